//! Why a probe failed: the closed list, with its documented texts.

use serde::{Deserialize, Serialize};

/// A reason for a failed probe. `failure_reason` on the wire is [`text`](Self::text), `failure_code` is [`code`](Self::code).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum FailureReason {
    TcpConnectionFailed = 1,
    HttpTimeout = 2,
    ResponseCodeMismatch = 3,
    ResponseBodyMismatch = 4,
    TlsUntrustedCertificate = 5,
    TlsNameMismatch = 6,
    TlsProtocolError = 7,
    TlsUnrecognizedName = 8,
    NoRouteToHost = 9,
    TcpTimeout = 10,
    TlsHandshakeFailure = 11,
    NetworkUnreachable = 12,
    HttpInvalidResponse = 13,
    DnsUnknownHost = 14,
    ConnectionReset = 15,
    MonitorConfigError = 16,
    DnsInternal = 17,
    OtherFailure = 18,
}

/// `failure_reason` of a healthy origin.
pub const NO_FAILURES_TEXT: &str = "No failures";
/// `failure_code` of a healthy origin.
pub const NO_FAILURES_CODE: &str = "none";

impl FailureReason {
    pub const ALL: [Self; 18] = [
        Self::TcpConnectionFailed,
        Self::HttpTimeout,
        Self::ResponseCodeMismatch,
        Self::ResponseBodyMismatch,
        Self::TlsUntrustedCertificate,
        Self::TlsNameMismatch,
        Self::TlsProtocolError,
        Self::TlsUnrecognizedName,
        Self::NoRouteToHost,
        Self::TcpTimeout,
        Self::TlsHandshakeFailure,
        Self::NetworkUnreachable,
        Self::HttpInvalidResponse,
        Self::DnsUnknownHost,
        Self::ConnectionReset,
        Self::MonitorConfigError,
        Self::DnsInternal,
        Self::OtherFailure,
    ];

    /// The text that clients of the API compare with.
    pub const fn text(self) -> &'static str {
        match self {
            Self::TcpConnectionFailed => "TCP connection failed",
            Self::HttpTimeout => "HTTP timeout occurred",
            Self::ResponseCodeMismatch => "Response code mismatch error",
            Self::ResponseBodyMismatch => "Response body mismatch error",
            Self::TlsUntrustedCertificate => "TLS untrusted certificate error",
            Self::TlsNameMismatch => "TLS name mismatch error",
            Self::TlsProtocolError => "TLS protocol error",
            Self::TlsUnrecognizedName => "TLS unrecognized name error",
            Self::NoRouteToHost => "No route to host error",
            Self::TcpTimeout => "TCP Timeout",
            Self::TlsHandshakeFailure => "TLS Handshake Failure",
            Self::NetworkUnreachable => "Network Unreachable",
            Self::HttpInvalidResponse => "HTTP Invalid Response",
            Self::DnsUnknownHost => "DNS Unknown Host",
            Self::ConnectionReset => "Connection Reset by Peer",
            Self::MonitorConfigError => "Monitor Config Error",
            Self::DnsInternal => "DNS Internal",
            Self::OtherFailure => "Other Failure",
        }
    }

    /// The name for machines.
    pub const fn code(self) -> &'static str {
        match self {
            Self::TcpConnectionFailed => "tcp_connection_failed",
            Self::HttpTimeout => "http_timeout",
            Self::ResponseCodeMismatch => "response_code_mismatch",
            Self::ResponseBodyMismatch => "response_body_mismatch",
            Self::TlsUntrustedCertificate => "tls_untrusted_certificate",
            Self::TlsNameMismatch => "tls_name_mismatch",
            Self::TlsProtocolError => "tls_protocol_error",
            Self::TlsUnrecognizedName => "tls_unrecognized_name",
            Self::NoRouteToHost => "no_route_to_host",
            Self::TcpTimeout => "tcp_timeout",
            Self::TlsHandshakeFailure => "tls_handshake_failure",
            Self::NetworkUnreachable => "network_unreachable",
            Self::HttpInvalidResponse => "http_invalid_response",
            Self::DnsUnknownHost => "dns_unknown_host",
            Self::ConnectionReset => "connection_reset",
            Self::MonitorConfigError => "monitor_config_error",
            Self::DnsInternal => "dns_internal",
            Self::OtherFailure => "other_failure",
        }
    }

    /// The number in packed votes: 1 to 18; 0 stands for no failure.
    pub const fn wire(self) -> u8 {
        self as u8
    }

    pub fn from_wire(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }
}

/// `failure_reason` of a result that may have none.
pub const fn text_of(reason: Option<FailureReason>) -> &'static str {
    match reason {
        Some(reason) => reason.text(),
        None => NO_FAILURES_TEXT,
    }
}

/// `failure_code` of a result that may have none.
pub const fn code_of(reason: Option<FailureReason>) -> &'static str {
    match reason {
        Some(reason) => reason.code(),
        None => NO_FAILURES_CODE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wire_number_and_code_lead_back_to_the_reason() {
        for reason in FailureReason::ALL {
            assert_eq!(FailureReason::from_wire(reason.wire()), Some(reason));
            assert_eq!(serde_json::to_value(reason).expect("a unit variant"), reason.code());
        }
        assert_eq!(FailureReason::from_wire(0), None);
        assert_eq!(FailureReason::from_wire(19), None);
    }

    /// Links of the form `docs/failure-reasons.md#<failure_code>` must lead somewhere.
    #[test]
    fn every_code_has_its_row_and_its_anchor_in_the_documentation_and_no_row_is_left_over() {
        let documentation = include_str!("../../../docs/failure-reasons.md");
        let rows: Vec<Vec<&str>> = documentation
            .lines()
            .filter(|line| line.starts_with("| ") && !line.starts_with("| ---") && !line.starts_with("| failure_reason |"))
            .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
            .collect();
        let mut expected: Vec<_> = FailureReason::ALL
            .map(|reason| (format!("<a id=\"{0}\"></a>{1}", reason.code(), reason.text()), format!("`{}`", reason.code())))
            .to_vec();
        let mut told: Vec<_> = rows.iter().map(|row| (row[0].to_owned(), row[1].to_owned())).collect();
        expected.sort_unstable();
        told.sort_unstable();
        assert_eq!(told, expected);
        for row in &rows {
            assert!(row.len() == 5 && row.iter().all(|cell| !cell.is_empty()), "meaning, remedy and detection of {row:?}");
        }
        assert_eq!(documentation.matches("<a id=").count(), FailureReason::ALL.len() + 1, "and the one of `none`");
        assert!(documentation.contains(&format!("<a id=\"{NO_FAILURES_CODE}\"></a>")));
    }
}
