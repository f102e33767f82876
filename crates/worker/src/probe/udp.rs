//! `udp_icmp`: a ping, and then a packet to the port. The port is closed where the network says so,
//! and open where nobody says anything: silence passes, so a probe that passes lasts its whole timeout.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;

use rand::Rng as _;
use tokio::net::UdpSocket;

use super::Phase;
use super::attempt::Attempt;
use super::datagram::{hear_errors, receive};
use super::fault::Fault;
use super::icmp::ping;
use super::net::Net;
use super::target::Target;

/// Bytes of the packet; they are random.
const PAYLOAD_BYTES: usize = 16;

pub(super) async fn probe(net: &Net, target: &Target, attempt: &mut Attempt<'_>) -> Result<(), Fault> {
    let address = net.address(&target.host, attempt).await?;
    ping(net, address, attempt).await?;
    let socket = connect(SocketAddr::new(address, target.port), net.source_for(address))?;
    let asked = attempt.within(Phase::Datagram, pin!(ask(&socket, address.is_ipv6()))).await;
    match asked {
        Err(Fault::Deadline(Phase::Datagram)) => Ok(()),
        asked => asked,
    }
}

fn connect(address: SocketAddr, source: Option<IpAddr>) -> Result<UdpSocket, Fault> {
    let v6 = address.is_ipv6();
    let any = if v6 { IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED) } else { IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED) };
    let made = || {
        let socket = std::net::UdpSocket::bind(SocketAddr::new(source.unwrap_or(any), 0))?;
        socket.set_nonblocking(true)?;
        hear_errors(&socket, v6)?;
        Ok(socket)
    };
    let socket = made().map_err(Fault::Socket)?;
    socket.connect(address).map_err(|source| Fault::Ping { source, v6 })?;
    UdpSocket::from_std(socket).map_err(Fault::Socket)
}

/// Ends with any answer, or with what the network says.
async fn ask(socket: &UdpSocket, v6: bool) -> Result<(), Fault> {
    let mut payload = [0; PAYLOAD_BYTES];
    rand::rng().fill_bytes(&mut payload);
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::ConnectionRefused => Fault::PortUnreachable,
        _ => Fault::Ping { source, v6 },
    };
    socket.send(&payload).await.map_err(failed)?;
    receive(socket, &mut [0; PAYLOAD_BYTES]).await.map_err(failed)?;
    Ok(())
}
