//! Datagrams of a connected socket, and what the network says of those that were sent.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _};
use std::time::{Duration, SystemTime};

use nix::sys::socket::sockopt::{Ipv4RecvErr, Ipv6RecvErr};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// Makes every ICMP error about the way to the peer an error of the socket: without it only those
/// are that forbid to go on, and an unreachable host would look like a silent one.
pub(super) fn hear_errors(socket: &impl AsFd, v6: bool) -> io::Result<()> {
    let set = if v6 { setsockopt(socket, Ipv6RecvErr, &true) } else { setsockopt(socket, Ipv4RecvErr, &true) };
    Ok(set?)
}

/// A datagram that was received.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) bytes: usize,
    /// When the kernel had it, by the clock of the day, if the socket asks for that.
    pub(super) at: Option<SystemTime>,
}

/// Waits for a datagram; what does not fit the buffer is cut off.
///
/// # Errors
/// What the network says of an earlier packet. An error alone makes a socket not readable, so
/// `UdpSocket::recv` would not wake up for it.
pub(super) async fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<Received> {
    socket.async_io(Interest::READABLE | Interest::ERROR, || take(socket, buffer)).await
}

fn take(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<Received> {
    let mut parts = [io::IoSliceMut::new(buffer)];
    let mut room = nix::cmsg_space!(nix::sys::time::TimeSpec);
    let message = recvmsg::<()>(socket.as_fd().as_raw_fd(), &mut parts, Some(&mut room), MsgFlags::empty())?;
    let stamped = message.cmsgs()?.find_map(|control| match control {
        ControlMessageOwned::ScmTimestampns(at) => Some(at),
        _ => None,
    });
    let at = stamped.and_then(|at| SystemTime::UNIX_EPOCH.checked_add(Duration::from(at)));
    Ok(Received { bytes: message.bytes, at })
}
