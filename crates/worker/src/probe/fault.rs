//! What can go wrong in an attempt, as it was met; [`classify`](super::classify) gives it its reason.

use std::io;

use hickory_resolver::net::NetError;
use openssl::ssl;
use openssl::x509::X509VerifyResult;
use quorate_core::address_policy::Refusal;

use super::Phase;
use super::http::Malformed;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("the timeout passed in the phase {0:?}")]
    Deadline(Phase),
    /// NXDOMAIN, or an answer with neither A nor AAAA.
    #[error("the name does not exist or has no address")]
    NoAddress,
    /// The resolver fails for this name, and answers others.
    #[error("the name cannot be resolved")]
    Lookup(#[source] Box<NetError>),
    /// The resolver answers nothing at all.
    #[error("the resolver fails for all names")]
    ResolverDown { timed_out: bool },
    #[error("the address policy refuses a target: {0}")]
    Forbidden(#[source] Refusal),
    /// The address has been asked by this worker as often as it may be.
    #[error("this worker has asked the address as often as it may")]
    Capped,
    /// Before a packet left: no socket, or not from that source address.
    #[error("no socket to probe from")]
    Socket(#[source] io::Error),
    #[error("cannot connect")]
    Connect { source: io::Error, v6: bool },
    /// What the system or the network says of a packet that was sent, or was to be.
    #[error("a packet does not get there")]
    Ping { source: io::Error, v6: bool },
    /// The host has an address of a family in which this worker cannot ping.
    #[error("no ICMP socket can be opened for this family: it takes CAP_NET_RAW, or the worker's group in net.ipv4.ping_group_range")]
    NoIcmp,
    #[error("the network says that the UDP port is closed")]
    PortUnreachable,
    #[error("the SMTP dialog failed")]
    Smtp(#[source] io::Error),
    /// The library that is tried first came to no word of its own; the other one is asked.
    #[error("the first TLS handshake failed")]
    Modern(#[source] io::Error),
    #[error("the TLS handshake failed")]
    Tls(#[source] ssl::Error),
    #[error("the certificate is refused: {why}")]
    Certificate {
        why: X509VerifyResult,
        /// Whole days until it ends, negative once it has, as far as it can be read.
        days_left: Option<i32>,
    },
    /// The libraries would not even start.
    #[error("cannot set up TLS")]
    TlsSetup(#[source] io::Error),
    #[error("the HTTP exchange failed")]
    Http(#[source] io::Error),
    #[error("the answer is no HTTP: {0}")]
    NotHttp(#[from] Malformed),
    #[error("a redirect cannot be followed: {0}")]
    Redirect(&'static str),
    #[error("status {0} is not expected")]
    Code(u16),
    #[error("the body does not hold the expected text")]
    Body,
    /// This worker had no time for the attempt, so what came of it says nothing.
    #[error("this worker stood still meanwhile")]
    StoodStill(#[source] Box<Self>),
}

/// What rustls does not do, and OpenSSL does.
#[derive(Debug, thiserror::Error)]
#[error("the server asks for another handshake over the same connection")]
pub(crate) struct Renegotiates;

impl Fault {
    /// Whether another TLS library may bring further what has failed so: what TLS itself ended, and not what the origin did
    /// with a connection that stood. A certificate that is refused by one is refused by both.
    pub(crate) fn is_of_tls(&self) -> bool {
        match self {
            Self::Modern(_) => true,
            Self::Http(error) => error.get_ref().is_some_and(|wrapped| {
                wrapped.downcast_ref::<rustls::Error>().is_some() || wrapped.downcast_ref::<Renegotiates>().is_some()
            }),
            Self::Deadline(_)
            | Self::NoAddress
            | Self::Lookup(_)
            | Self::ResolverDown { .. }
            | Self::Forbidden(_)
            | Self::Capped
            | Self::Socket(_)
            | Self::Connect { .. }
            | Self::Ping { .. }
            | Self::NoIcmp
            | Self::PortUnreachable
            | Self::Smtp(_)
            | Self::Tls(_)
            | Self::Certificate { .. }
            | Self::TlsSetup(_)
            | Self::NotHttp(_)
            | Self::Redirect(_)
            | Self::Code(_)
            | Self::Body
            | Self::StoodStill(_) => false,
        }
    }

    /// Whether an origin that is well may end an attempt so where we come late: time is up, or it has given us up.
    pub(crate) fn may_be_of_delay(&self) -> bool {
        match self {
            // 408: the server has waited for the request.
            Self::Deadline(_)
            | Self::Lookup(_)
            | Self::ResolverDown { .. }
            | Self::Smtp(_)
            | Self::Modern(_)
            | Self::Tls(_)
            | Self::Http(_)
            | Self::NotHttp(Malformed::Cut)
            | Self::Code(408) => true,
            Self::Connect { source, .. } => source.kind() != io::ErrorKind::ConnectionRefused,
            Self::NoAddress
            | Self::Forbidden(_)
            | Self::Socket(_)
            | Self::Certificate { .. }
            | Self::TlsSetup(_)
            | Self::NotHttp(_)
            | Self::Redirect(_)
            | Self::Code(_)
            | Self::Body
            | Self::StoodStill(_)
            | Self::Ping { .. }
            | Self::NoIcmp
            | Self::Capped
            | Self::PortUnreachable => false,
        }
    }

    /// Whether time ran out, which alone is tried again: everything else is an answer.
    pub(crate) fn timed_out(&self) -> bool {
        match self {
            Self::Deadline(_) | Self::ResolverDown { timed_out: true } => true,
            Self::Connect { source, .. } | Self::Smtp(source) => source.kind() == io::ErrorKind::TimedOut,
            Self::NoAddress
            | Self::Lookup(_)
            | Self::ResolverDown { timed_out: false }
            | Self::Forbidden(_)
            | Self::Socket(_)
            | Self::Modern(_)
            | Self::Tls(_)
            | Self::Certificate { .. }
            | Self::TlsSetup(_)
            | Self::Http(_)
            | Self::NotHttp(_)
            | Self::Redirect(_)
            | Self::Code(_)
            | Self::Body
            | Self::StoodStill(_)
            | Self::Ping { .. }
            | Self::NoIcmp
            | Self::Capped
            | Self::PortUnreachable => false,
        }
    }
}
