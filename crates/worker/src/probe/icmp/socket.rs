//! Sockets that speak ICMP: a datagram socket where the system allows it to the worker's group
//! (`net.ipv4.ping_group_range`), else a raw one, which needs `CAP_NET_RAW`.

use std::io;
use std::net::{IpAddr, SocketAddr};

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::ReceiveTimestampns;
use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use super::packet::reply_type;
use crate::probe::datagram::hear_errors;

/// Bytes of replies that may wait to be read, as the kernel counts them; it gives less where
/// `net.core.rmem_max` says so.
const RECEIVE_BYTES: usize = 1 << 20;

/// How ICMP can be spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::probe) enum Form {
    Datagram,
    Raw,
}

/// What this host allows, by family.
#[derive(Clone, Copy, Debug)]
pub(in crate::probe) struct IcmpSockets {
    pub(in crate::probe) v4: Option<Form>,
    pub(in crate::probe) v6: Option<Form>,
}

impl IcmpSockets {
    pub(in crate::probe) fn detect() -> Self {
        let first = |v6| [Form::Datagram, Form::Raw].into_iter().find(|form| open(*form, v6).is_ok());
        Self { v4: first(false), v6: first(true) }
    }

    pub(in crate::probe) const fn any(self) -> bool {
        self.v4.is_some() || self.v6.is_some()
    }

    pub(in crate::probe) const fn form(self, address: IpAddr) -> Option<Form> {
        if address.is_ipv6() { self.v6 } else { self.v4 }
    }
}

fn open(form: Form, v6: bool) -> io::Result<Socket> {
    let (domain, protocol) = if v6 { (Domain::IPV6, Protocol::ICMPV6) } else { (Domain::IPV4, Protocol::ICMPV4) };
    let kind = match form {
        Form::Datagram => Type::DGRAM,
        Form::Raw => Type::RAW,
    };
    Socket::new(domain, kind.nonblocking(), Some(protocol))
}

/// A socket for pings to anywhere, from `source` if it is given, whose requests have the id `id`. A
/// datagram socket gives them an id of its own, and hears replies with no other.
pub(super) fn shared(form: Form, v6: bool, source: Option<IpAddr>, id: u16) -> io::Result<Socket> {
    let socket = open(form, v6)?;
    if form == Form::Raw {
        socket.attach_filter(&replies_only(v6, id))?;
    }
    setsockopt(&socket, ReceiveTimestampns, &true)?;
    hear_errors(&socket, v6)?;
    socket.set_recv_buffer_size(RECEIVE_BYTES)?;
    if let Some(source) = source {
        socket.bind(&SocketAddr::new(source, 0).into())?;
    }
    Ok(socket)
}

/// A raw socket is shown every ICMP packet of the host: the kernel passes on replies with our id, and
/// nobody wakes up for the rest. A program of the classic packet filter.
fn replies_only(v6: bool, id: u16) -> [SockFilter; 7] {
    // As `linux/bpf_common.h` names them.
    const LDX_IMM: u16 = 0x01;
    const LDX_HEADER_BYTES: u16 = 0xb1;
    const LD_BYTE_AT_X: u16 = 0x50;
    const LD_HALF_AT_X: u16 = 0x48;
    const JUMP_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    [
        // X: where ICMP begins. IPv4 shows its own header, IPv6 does not.
        SockFilter::new(if v6 { LDX_IMM } else { LDX_HEADER_BYTES }, 0, 0, 0),
        SockFilter::new(LD_BYTE_AT_X, 0, 0, 0),
        SockFilter::new(JUMP_EQUAL, 0, 3, reply_type(v6).into()),
        SockFilter::new(LD_HALF_AT_X, 0, 0, 4),
        SockFilter::new(JUMP_EQUAL, 0, 1, id.into()),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
        SockFilter::new(RETURN, 0, 0, 0),
    ]
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read as _};

    use super::*;
    use crate::probe::icmp::packet::{PAYLOAD_BYTES, request};
    use crate::probe::tests::network::within;

    #[test]
    fn a_raw_socket_hears_its_own_replies_and_no_others() {
        within("", async || {
            for (v6, loopback) in [(false, "127.0.0.1"), (true, "::1")] {
                let raw = |id| shared(Form::Raw, v6, None, id).expect("we are root here");
                let (mut ours, mut others) = (raw(7), raw(8));
                let to = SocketAddr::new(loopback.parse().expect("an address"), 0);
                ours.send_to(&request(v6, 7, 1, &[0; PAYLOAD_BYTES]), &to.into()).expect("sent");
                // Loopback has answered when it was sent.
                let mut packet = [0; 128];
                assert!(ours.read(&mut packet).expect("a reply") >= 64, "{loopback}");
                assert_eq!(ours.read(&mut packet).expect_err("not the request too").kind(), ErrorKind::WouldBlock);
                assert_eq!(others.read(&mut packet).expect_err("not its id").kind(), ErrorKind::WouldBlock);
            }
        });
    }
}
