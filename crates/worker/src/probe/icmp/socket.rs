//! Sockets that speak ICMP: a datagram socket where the system allows it to the worker's group
//! (`net.ipv4.ping_group_range`), else a raw one, which needs `CAP_NET_RAW`.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::ReceiveTimestampns;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

use crate::probe::datagram::hear_errors;
use crate::probe::fault::Fault;

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

/// A socket that is connected to a peer. Nothing was sent.
pub(super) fn connect(form: Form, address: IpAddr, source: Option<IpAddr>) -> Result<UdpSocket, Fault> {
    let v6 = address.is_ipv6();
    let socket = open(form, v6).map_err(Fault::Socket)?;
    setsockopt(&socket, ReceiveTimestampns, &true).map_err(|errno| Fault::Socket(errno.into()))?;
    hear_errors(&socket, v6).map_err(Fault::Socket)?;
    if let Some(source) = source {
        socket.bind(&SocketAddr::new(source, 0).into()).map_err(Fault::Socket)?;
    }
    socket.connect(&SocketAddr::new(address, 0).into()).map_err(|source| Fault::Ping { source, v6 })?;
    // Tokio has no other socket for datagrams; which protocol they are of is nothing to it.
    UdpSocket::from_std(OwnedFd::from(socket).into()).map_err(Fault::Socket)
}
