//! An address that was allowed → a TCP connection.

use std::net::{IpAddr, SocketAddr};

use tokio::net::{TcpSocket, TcpStream};

use super::fault::Fault;

/// Connects, from `source` if there is one.
pub(super) async fn connect(address: SocketAddr, source: Option<IpAddr>) -> Result<TcpStream, Fault> {
    let v6 = address.is_ipv6();
    let socket = if v6 { TcpSocket::new_v6() } else { TcpSocket::new_v4() };
    let socket = match socket {
        Ok(socket) => socket,
        // A host without IPv6 has no socket for it: that is about the target's network.
        Err(source) if v6 => return Err(Fault::Connect { source, v6 }),
        Err(source) => return Err(Fault::Socket(source)),
    };
    if let Some(source) = source {
        socket.bind(SocketAddr::new(source, 0)).map_err(Fault::Socket)?;
    }
    // A request is one small write and must not wait for company.
    socket.set_nodelay(true).map_err(Fault::Socket)?;
    socket.connect(address).await.map_err(|source| Fault::Connect { source, v6 })
}
