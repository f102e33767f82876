//! An address that was allowed → a TCP connection.

use std::net::{IpAddr, SocketAddr};

use tokio::net::{TcpSocket, TcpStream};

use super::fault::Fault;

/// Connects from `source` where the target can be reached from it.
pub(super) async fn connect(address: SocketAddr, source: Option<IpAddr>) -> Result<TcpStream, Fault> {
    let v6 = address.is_ipv6();
    let socket = if v6 { TcpSocket::new_v6() } else { TcpSocket::new_v4() };
    let socket = match socket {
        Ok(socket) => socket,
        // A host without IPv6 has no socket for it: that is about the target's network.
        Err(source) if v6 => return Err(Fault::Connect { source, v6 }),
        Err(source) => return Err(Fault::Socket(source)),
    };
    if let Some(source) = source.filter(|source| reaches(*source, address.ip())) {
        socket.bind(SocketAddr::new(source, 0)).map_err(Fault::Socket)?;
    }
    // A request is one small write and must not wait for company.
    socket.set_nodelay(true).map_err(Fault::Socket)?;
    socket.connect(address).await.map_err(|source| Fault::Connect { source, v6 })
}

/// An address reaches its own family, and a loopback address nothing but loopback.
const fn reaches(source: IpAddr, target: IpAddr) -> bool {
    source.is_ipv6() == target.is_ipv6() && (!source.is_loopback() || target.is_loopback())
}
