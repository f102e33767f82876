//! `icmp_ping`: an echo request, and the reply that belongs to it.
//!
//! Each ping has a connected socket of its own: the kernel then hands over what that one peer
//! answers, and what the network says of the way to it, as an error of the socket.

mod packet;
mod socket;

use std::io;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use rand::Rng as _;
use tokio::net::UdpSocket;
use tokio::time::Instant;

use self::packet::Echo;
pub(super) use self::socket::{Form, IcmpSockets};
use super::Phase;
use super::attempt::Attempt;
use super::datagram::{Received, receive};
use super::fault::Fault;
use super::net::Net;
use super::target::Target;

/// Packets of a peer that are looked at; a raw socket sees more of a peer than replies.
const PACKETS_MAX: usize = 256;

pub(super) async fn probe(net: &Net, target: &Target, attempt: &mut Attempt) -> Result<(), Fault> {
    let address = net.address(&target.host, attempt).await?;
    ping(net, address, attempt).await
}

/// Pings an address that was judged. The round trip becomes the attempt's.
pub(super) async fn ping(net: &Net, address: IpAddr, attempt: &mut Attempt) -> Result<(), Fault> {
    let form = net.icmp.form(address).ok_or(Fault::NoIcmp)?;
    let socket = socket::connect(form, address, net.source_for(address))?;
    let failed = |source| Fault::Ping { source, v6: address.is_ipv6() };
    attempt.rtt = Some(attempt.within(Phase::Echo, async { exchange(&socket, form, address).await.map_err(failed) }).await?);
    Ok(())
}

/// Sends an echo request, and waits for its reply for as long as it is let. The round trip.
async fn exchange(socket: &UdpSocket, form: Form, address: IpAddr) -> io::Result<Duration> {
    let mut echo = Echo { v6: address.is_ipv6(), ..Echo::default() };
    let mut seed = [0; 4];
    rand::rng().fill_bytes(&mut seed);
    rand::rng().fill_bytes(&mut echo.payload);
    (echo.id, echo.sequence) = (u16::from_be_bytes([seed[0], seed[1]]), u16::from_be_bytes([seed[2], seed[3]]));
    let sent = Instant::now();
    socket.send(&echo.request()).await?;
    let mut buffer = [0; packet::REPLY_BYTES_MAX];
    for _ in 0..PACKETS_MAX {
        let Received { bytes, at } = receive(socket, &mut buffer).await?;
        // A datagram socket has given the request an id of its own, and asks for nothing else.
        if echo.is_answered_by(&buffer[..bytes], form == Form::Raw) {
            let elapsed = sent.elapsed();
            // The reply may have waited for us: the kernel knows since when.
            let waited = at.and_then(|at| SystemTime::now().duration_since(at).ok()).unwrap_or_default();
            return Ok(elapsed.checked_sub(waited).unwrap_or(elapsed));
        }
    }
    // Too much of something else: it is left unread.
    std::future::pending().await
}
