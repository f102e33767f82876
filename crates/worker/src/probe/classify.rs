//! What went wrong → the failure reason. The only place that knows both.
//!
//! Reason codes of OpenSSL are matched, never texts: those change between releases.

use std::io;

use openssl::ssl;
use quorate_core::failure::FailureReason;

use super::fault::Fault;
use super::{Finding, Phase};

/// The library of OpenSSL that those reasons are of; others number their own from the same beginning.
const SSL_LIBRARY: i32 = 20;

/// Reasons of OpenSSL, from `sslerr.h`; from 1000 on, 1000 plus the alert that the peer sent.
mod reason {
    pub(super) const CERTIFICATE_VERIFY_FAILED: i32 = 134;
    pub(super) const HTTPS_PROXY_REQUEST: i32 = 155;
    pub(super) const HTTP_REQUEST: i32 = 156;
    pub(super) const NO_PROTOCOLS_AVAILABLE: i32 = 191;
    pub(super) const UNSUPPORTED_PROTOCOL: i32 = 258;
    pub(super) const UNKNOWN_PROTOCOL: i32 = 252;
    pub(super) const WRONG_SSL_VERSION: i32 = 266;
    pub(super) const WRONG_VERSION_NUMBER: i32 = 267;
    pub(super) const PACKET_LENGTH_TOO_LONG: i32 = 198;
    pub(super) const RECORD_TOO_SMALL: i32 = 298;
    pub(super) const UNEXPECTED_MESSAGE: i32 = 244;
    pub(super) const ALERT_PROTOCOL_VERSION: i32 = 1070;
    pub(super) const ALERT_INSUFFICIENT_SECURITY: i32 = 1071;
    pub(super) const ALERT_UNRECOGNIZED_NAME: i32 = 1112;
}

/// Results of X.509 verification that speak of the name: host, e-mail, address.
const NAME_MISMATCHES: std::ops::RangeInclusive<i32> = 62..=64;

/// Errors of Linux that `io::ErrorKind` has no stable name for.
mod errno {
    pub(super) const NO_MEMORY: i32 = 12;
    pub(super) const TOO_MANY_FILES_IN_SYSTEM: i32 = 23;
    pub(super) const TOO_MANY_FILES: i32 = 24;
    pub(super) const FAMILY_NOT_SUPPORTED: i32 = 97;
    pub(super) const NO_BUFFERS: i32 = 105;
    pub(super) const HOST_DOWN: i32 = 112;
}

pub(crate) fn classify(fault: &Fault) -> Finding {
    use FailureReason as R;
    let reason = match fault {
        Fault::Deadline(phase) => match phase {
            // The resolver answers other names in this time, just not this one. Mail and echo have no time-out of their own.
            Phase::Resolve | Phase::Dialog | Phase::Echo | Phase::Datagram => R::OtherFailure,
            Phase::Connect => R::TcpTimeout,
            Phase::Tls => R::TlsHandshakeFailure,
            Phase::Request | Phase::FirstByte | Phase::Headers | Phase::Body => R::HttpTimeout,
        },
        Fault::NoAddress => R::DnsUnknownHost,
        Fault::Lookup(_) | Fault::PortUnreachable => R::OtherFailure,
        Fault::ResolverDown { .. } | Fault::Socket(_) | Fault::TlsSetup(_) | Fault::StoodStill(_) => {
            return Finding::Abstained(R::OtherFailure);
        }
        Fault::Forbidden(_) => R::DnsInternal,
        Fault::NoIcmp | Fault::Capped => return Finding::Abstained(R::MonitorConfigError),
        Fault::Connect { source, v6 } => return unreached(source, *v6).unwrap_or(Finding::Failed(R::TcpConnectionFailed)),
        Fault::Ping { source, v6 } => return unreached(source, *v6).unwrap_or(Finding::Failed(R::OtherFailure)),
        Fault::Smtp(error) => broken(error).unwrap_or(R::OtherFailure),
        Fault::Modern(error) => broken(error).unwrap_or_else(|| modern_handshake(error)),
        Fault::Tls(error) => handshake(error),
        Fault::Certificate { why, .. } if NAME_MISMATCHES.contains(&why.as_raw()) => R::TlsNameMismatch,
        Fault::Certificate { .. } => R::TlsUntrustedCertificate,
        Fault::Http(error) => exchange(error),
        Fault::NotHttp(_) | Fault::Redirect(_) => R::HttpInvalidResponse,
        Fault::Code(_) => R::ResponseCodeMismatch,
        Fault::Body => R::ResponseBodyMismatch,
    };
    Finding::Failed(reason)
}

/// What an error on the way there says, if it says more than that it was refused.
fn unreached(error: &io::Error, v6: bool) -> Option<Finding> {
    use FailureReason as R;
    if is_out_of_resources(error) || (error.kind() == io::ErrorKind::AddrNotAvailable && !v6) {
        // IPv4 says this where our own ephemeral ports are used up.
        return Some(Finding::Abstained(R::OtherFailure));
    }
    Some(Finding::Failed(match (error.kind(), error.raw_os_error()) {
        (io::ErrorKind::HostUnreachable, _) | (_, Some(errno::HOST_DOWN)) => R::NoRouteToHost,
        (io::ErrorKind::NetworkUnreachable | io::ErrorKind::AddrNotAvailable, _) | (_, Some(errno::FAMILY_NOT_SUPPORTED)) => {
            R::NetworkUnreachable
        }
        (io::ErrorKind::TimedOut, _) => R::TcpTimeout,
        // A SYN is refused; only what stood is reset.
        (io::ErrorKind::ConnectionReset, _) => R::ConnectionReset,
        _ => return None,
    }))
}

fn is_out_of_resources(error: &io::Error) -> bool {
    let ours = [errno::NO_MEMORY, errno::TOO_MANY_FILES_IN_SYSTEM, errno::TOO_MANY_FILES, errno::NO_BUFFERS];
    error.raw_os_error().is_some_and(|number| ours.contains(&number))
}

/// An error of the socket once the connection stood, if it says more than "closed".
fn broken(error: &io::Error) -> Option<FailureReason> {
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
            Some(FailureReason::ConnectionReset)
        }
        io::ErrorKind::TimedOut => Some(FailureReason::TcpTimeout),
        io::ErrorKind::HostUnreachable => Some(FailureReason::NoRouteToHost),
        io::ErrorKind::NetworkUnreachable => Some(FailureReason::NetworkUnreachable),
        _ => None,
    }
}

/// As the other library would be understood.
fn modern_handshake(error: &io::Error) -> FailureReason {
    use rustls::AlertDescription as Alert;
    match error.get_ref().and_then(|wrapped| wrapped.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::AlertReceived(Alert::UnrecognisedName)) => FailureReason::TlsUnrecognizedName,
        Some(
            rustls::Error::AlertReceived(Alert::ProtocolVersion | Alert::InsufficientSecurity)
            | rustls::Error::InvalidMessage(_)
            | rustls::Error::InappropriateMessage { .. }
            | rustls::Error::InappropriateHandshakeMessage { .. },
        ) => FailureReason::TlsProtocolError,
        _ => FailureReason::TlsHandshakeFailure,
    }
}

fn handshake(error: &ssl::Error) -> FailureReason {
    if let Some(reason) = error.io_error().and_then(broken) {
        return reason;
    }
    let told = error.ssl_error().into_iter().flat_map(openssl::error::ErrorStack::errors);
    for told in told.filter(|told| told.library_code() == SSL_LIBRARY) {
        match told.reason_code() {
            // The certificate itself has been judged before; a name that does not fit would have been told.
            reason::CERTIFICATE_VERIFY_FAILED => return FailureReason::TlsUntrustedCertificate,
            reason::ALERT_UNRECOGNIZED_NAME => return FailureReason::TlsUnrecognizedName,
            reason::HTTPS_PROXY_REQUEST
            | reason::HTTP_REQUEST
            | reason::NO_PROTOCOLS_AVAILABLE
            | reason::UNSUPPORTED_PROTOCOL
            | reason::UNKNOWN_PROTOCOL
            | reason::WRONG_SSL_VERSION
            | reason::WRONG_VERSION_NUMBER
            | reason::PACKET_LENGTH_TOO_LONG
            | reason::RECORD_TOO_SMALL
            | reason::UNEXPECTED_MESSAGE
            | reason::ALERT_PROTOCOL_VERSION
            | reason::ALERT_INSUFFICIENT_SECURITY => return FailureReason::TlsProtocolError,
            _ => {}
        }
    }
    FailureReason::TlsHandshakeFailure
}

/// An HTTP exchange breaks where the socket does, or where TLS does after its handshake (TLS 1.3
/// servers refuse a client that late), or with a stream that ends within an answer.
fn exchange(error: &io::Error) -> FailureReason {
    if let Some(reason) = broken(error) {
        return reason;
    }
    let Some(wrapped) = error.get_ref() else { return FailureReason::HttpInvalidResponse };
    match wrapped.downcast_ref::<ssl::Error>() {
        Some(error) => handshake(error),
        None if wrapped.downcast_ref::<rustls::Error>().is_some() => modern_handshake(error),
        None => FailureReason::HttpInvalidResponse,
    }
}
