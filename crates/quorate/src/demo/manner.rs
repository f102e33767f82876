//! How a demo origin behaves.

use quorate_core::failure::FailureReason;

/// What an origin does with a probe. All but [`Switched`](Self::Switched) are for a monitor of type `https` that
/// trusts the demo CA and expects `200` and `ok`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Manner {
    /// Plain HTTP: `200 ok`, or `503` where the switchboard says broken.
    Switched,
    /// A port on which nobody listens.
    Refused,
    /// A full accept queue: the connection attempt gets no answer.
    Unanswered,
    /// A handshake, then silence.
    Silent,
    /// `500`.
    WrongCode,
    /// `200` with another body.
    WrongBody,
    /// A certificate of an authority that nobody knows.
    UntrustedCertificate,
    /// A certificate for another name.
    OtherName,
    /// Plain HTTP on a port where TLS is expected.
    NotTls,
    /// The alert `unrecognized_name`.
    UnrecognizedName,
    /// The alert `handshake_failure`.
    HandshakeFailure,
    /// A handshake, a request, and a reset.
    Reset,
    /// A handshake, and an answer that is no HTTP.
    InvalidHttp,
}

/// An origin of the gallery: its name, how it fails, and where it is.
#[derive(Clone, Copy, Debug)]
pub struct Exhibit {
    pub name: &'static str,
    pub place: Place,
    pub shows: FailureReason,
}

#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// An origin that is served here.
    Served(Manner),
    /// An address that is not served at all.
    Elsewhere(&'static str),
}

/// The gallery: a failure reason each.
pub const GALLERY: [Exhibit; 14] = {
    use FailureReason as R;
    const fn served(name: &'static str, manner: Manner, shows: FailureReason) -> Exhibit {
        Exhibit { name, place: Place::Served(manner), shows }
    }
    [
        served("refused", Manner::Refused, R::TcpConnectionFailed),
        served("unanswered", Manner::Unanswered, R::TcpTimeout),
        served("silent", Manner::Silent, R::HttpTimeout),
        served("wrong-code", Manner::WrongCode, R::ResponseCodeMismatch),
        served("wrong-body", Manner::WrongBody, R::ResponseBodyMismatch),
        served("untrusted-certificate", Manner::UntrustedCertificate, R::TlsUntrustedCertificate),
        served("other-name", Manner::OtherName, R::TlsNameMismatch),
        served("not-tls", Manner::NotTls, R::TlsProtocolError),
        served("unrecognized-name", Manner::UnrecognizedName, R::TlsUnrecognizedName),
        served("handshake-failure", Manner::HandshakeFailure, R::TlsHandshakeFailure),
        served("reset", Manner::Reset, R::ConnectionReset),
        served("invalid-http", Manner::InvalidHttp, R::HttpInvalidResponse),
        Exhibit { name: "unknown-host", place: Place::Elsewhere("nonexistent.invalid"), shows: R::DnsUnknownHost },
        Exhibit { name: "private-address", place: Place::Elsewhere("10.255.255.1"), shows: R::DnsInternal },
    ]
};

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_exhibit_has_a_name_and_a_reason_of_its_own() {
        assert_eq!(GALLERY.iter().map(|exhibit| exhibit.name).collect::<HashSet<_>>().len(), GALLERY.len());
        assert_eq!(GALLERY.iter().map(|exhibit| exhibit.shows).collect::<HashSet<_>>().len(), GALLERY.len());
    }
}
