//! An address that was allowed → a TCP connection.

use std::io;
use std::net::{IpAddr, SocketAddr};

use nix::errno::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::fault::Fault;

/// Connects, from `source` if there is one.
///
/// Asks the kernel for no more than it has to: the readiness itself says whether a handshake failed,
/// and only then the socket is asked why.
pub(super) async fn connect(address: SocketAddr, source: Option<IpAddr>) -> Result<TcpStream, Fault> {
    let v6 = address.is_ipv6();
    let socket = match Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP)) {
        Ok(socket) => socket,
        // A host without IPv6 has no socket for it: that is about the target's network.
        Err(source) if v6 => return Err(Fault::Connect { source, v6 }),
        Err(source) => return Err(Fault::Socket(source)),
    };
    if let Some(source) = source {
        socket.bind(&SocketAddr::new(source, 0).into()).map_err(Fault::Socket)?;
    }
    let failed = |source: io::Error| Fault::Connect { source, v6 };
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() != Some(Errno::EINPROGRESS as i32) => return Err(failed(error)),
        _under_way => {}
    }
    let stream = TcpStream::from_std(socket.into()).map_err(Fault::Socket)?;
    if stream.ready(Interest::WRITABLE).await.map_err(failed)?.is_write_closed()
        && let Some(error) = stream.take_error().map_err(failed)?
    {
        return Err(failed(error));
    }
    Ok(stream)
}
