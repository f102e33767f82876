//! Datagrams, and what the network says of those that were sent.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _};

use nix::sys::socket::sockopt::{Ipv4RecvErr, Ipv6RecvErr};
use nix::sys::socket::{MsgFlags, recv, setsockopt};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// Makes every ICMP error about the way to a peer an error of the socket: without it only those
/// are that forbid to go on, and an unreachable host would look like a silent one.
pub(super) fn hear_errors(socket: &impl AsFd, v6: bool) -> io::Result<()> {
    let set = if v6 { setsockopt(socket, Ipv6RecvErr, &true) } else { setsockopt(socket, Ipv4RecvErr, &true) };
    Ok(set?)
}

/// Waits for a datagram of the peer; what does not fit the buffer is cut off. Its bytes.
///
/// # Errors
/// What the network says of an earlier packet. An error alone makes a socket not readable, so
/// `UdpSocket::recv` would not wake up for it.
pub(super) async fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<usize> {
    let fd = socket.as_fd().as_raw_fd();
    socket.async_io(Interest::READABLE | Interest::ERROR, || Ok(recv(fd, buffer, MsgFlags::empty())?)).await
}
