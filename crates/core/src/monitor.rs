//! Monitors: what to ask of an origin.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, MonitorId};

/// Bytes of a response body searched for `expected_body`; the match ignores case.
/// Source: the vendor's docs, Load Balancing, Common error codes, "Response body mismatch" ("first 10 KB"; read here as 10 × 1024).
pub const BODY_BYTES_MAX: usize = 10 * 1024;
/// Redirects followed in one probe.
pub const REDIRECTS_MAX: usize = 10;
/// Seconds between two probes; the least is a limit of the account.
pub const INTERVAL_MAX_S: u16 = 3600;
/// Seconds of one attempt.
pub const TIMEOUT_S: RangeInclusive<u16> = 1..=60;
pub const RETRIES: RangeInclusive<u8> = 0..=5;
/// Results in a row that turn a vote; 0 and 1 are the same.
pub const CONSECUTIVE: RangeInclusive<u8> = 0..=100;
/// Header names of one monitor.
pub const HEADER_NAMES_MAX: usize = 32;
/// Bytes of all header names and values of one monitor.
pub const HEADER_BYTES_MAX: usize = 4096;
/// Bytes of a path.
pub const PATH_BYTES_MAX: usize = 1024;
/// Methods of an HTTP(S) monitor. A probe has no body and no right to change anything.
pub const HTTP_METHODS: [&str; 4] = ["GET", "HEAD", "OPTIONS", "POST"];
/// Method of a TCP monitor.
pub const TCP_METHOD: &str = "connection_established";

/// How a monitor probes. On the wire: `http`, `udp_icmp` and so on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MonitorKind {
    #[default]
    Http,
    Https,
    Tcp,
    UdpIcmp,
    IcmpPing,
    Smtp,
}

impl MonitorKind {
    pub const ALL: [Self; 6] = [Self::Http, Self::Https, Self::Tcp, Self::UdpIcmp, Self::IcmpPing, Self::Smtp];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Tcp => "tcp",
            Self::UdpIcmp => "udp_icmp",
            Self::IcmpPing => "icmp_ping",
            Self::Smtp => "smtp",
        }
    }

    /// Port where neither monitor nor origin names one.
    pub const fn default_port(self) -> Option<u16> {
        match self {
            Self::Http => Some(80),
            Self::Https => Some(443),
            Self::Tcp | Self::UdpIcmp | Self::IcmpPing | Self::Smtp => None,
        }
    }

    /// Whether method, path, headers, codes and body have a meaning.
    pub const fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::Https)
    }

    /// The method where none is given: empty where the kind has none.
    pub const fn default_method(self) -> &'static str {
        match self {
            Self::Http | Self::Https => "GET",
            Self::Tcp => TCP_METHOD,
            Self::UdpIcmp | Self::IcmpPing | Self::Smtp => "",
        }
    }

    /// The expected codes where none are given: empty where the kind has none.
    pub const fn default_expected_codes(self) -> &'static str {
        if self.is_http() { "200" } else { "" }
    }

    /// Whether the monitor has to name a port.
    pub const fn needs_port(self) -> bool {
        matches!(self, Self::Tcp | Self::UdpIcmp | Self::Smtp)
    }
}

impl fmt::Display for MonitorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for MonitorKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == text)
            .ok_or_else(|| format!("type {text:?} is not one of http, https, tcp, udp_icmp, icmp_ping, smtp"))
    }
}

/// The settings of a monitor, valid. Ranges: see `docs/compatibility.md`, "Monitor".
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MonitorSettings {
    #[serde(rename = "type")]
    pub kind: MonitorKind,
    pub description: String,
    /// `GET` or another method for HTTP(S), `connection_established` for TCP, empty otherwise.
    pub method: String,
    pub path: String,
    /// Name to values, as written.
    pub header: BTreeMap<String, Vec<String>>,
    /// Names of headers whose values are secret, beside those that are so by themselves; as written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secret_headers: Vec<String>,
    /// 0: not set.
    pub port: u16,
    /// Seconds, 1 to 60: one absolute deadline of one attempt.
    pub timeout: u16,
    /// Immediate, and for timeouts only; 0 to 5.
    pub retries: u8,
    /// Seconds.
    pub interval: u16,
    pub consecutive_up: u8,
    pub consecutive_down: u8,
    /// As written: see [`ExpectedCodes`]. Empty means 200.
    pub expected_codes: String,
    pub expected_body: String,
    pub follow_redirects: bool,
    pub allow_insecure: bool,
    pub probe_zone: String,
}

impl Default for MonitorSettings {
    fn default() -> Self {
        Self {
            kind: MonitorKind::Http,
            description: String::new(),
            method: "GET".to_owned(),
            path: "/".to_owned(),
            header: BTreeMap::new(),
            secret_headers: Vec::new(),
            port: 0,
            timeout: 5,
            retries: 2,
            interval: 60,
            consecutive_up: 0,
            consecutive_down: 0,
            expected_codes: String::new(),
            expected_body: String::new(),
            follow_redirects: false,
            allow_insecure: false,
            probe_zone: String::new(),
        }
    }
}

impl MonitorSettings {
    /// The settings of a monitor of which only the type is given.
    pub fn of_kind(kind: MonitorKind) -> Self {
        Self { kind, method: kind.default_method().to_owned(), expected_codes: kind.default_expected_codes().to_owned(), ..Self::default() }
    }

    /// Whether a change from `self` to `other` changes the probe, so that old votes say nothing any more.
    /// A new description does not, nor who may read a header; a new interval, threshold or expectation does.
    pub fn probes_differently(&self, other: &Self) -> bool {
        let told_alike = Self { description: self.description.clone(), secret_headers: self.secret_headers.clone(), ..other.clone() };
        *self != told_alike
    }

    /// The value of the Host header, if the monitor sets one.
    pub fn host(&self) -> Option<&str> {
        self.header.iter().find(|(name, _)| name.eq_ignore_ascii_case("host")).and_then(|(_, values)| values.first()).map(String::as_str)
    }
}

/// A monitor as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Monitor {
    pub id: MonitorId,
    pub account_id: AccountId,
    pub settings: MonitorSettings,
    pub created_on: Timestamp,
    pub modified_on: Timestamp,
}

/// Compiled `expected_codes`: comma-separated `NNN`, `Nxx` (any case) and `NNN-NNN`, 100 to 599; empty means 200.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExpectedCodes(Vec<(u16, u16)>);

/// Why a text is no list of expected codes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected_codes {0:?} is not a comma-separated list of codes (200), classes (2xx) or ranges (200-299) within 100 to 599")]
pub struct InvalidCodes(pub String);

impl ExpectedCodes {
    pub fn matches(&self, code: u16) -> bool {
        self.0.iter().any(|(low, high)| (*low..=*high).contains(&code))
    }
}

impl FromStr for ExpectedCodes {
    type Err = InvalidCodes;

    fn from_str(text: &str) -> Result<Self, InvalidCodes> {
        if text.trim().is_empty() {
            return Ok(Self(vec![(200, 200)]));
        }
        let invalid = || InvalidCodes(text.to_owned());
        let code = |digits: &str| {
            let three_digits = digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse::<u16>().ok().filter(|code| three_digits && (100..=599).contains(code))
        };
        let atom = |atom: &str| {
            let atom = atom.trim();
            if let Some((low, high)) = atom.split_once('-') {
                let range = (code(low.trim())?, code(high.trim())?);
                return (range.0 <= range.1).then_some(range);
            }
            match atom.as_bytes() {
                [class @ b'1'..=b'5', b'x' | b'X', b'x' | b'X'] => {
                    let low = u16::from(class - b'0') * 100;
                    Some((low, low + 99))
                }
                _ => code(atom).map(|code| (code, code)),
            }
        };
        text.split(',').map(atom).collect::<Option<Vec<_>>>().map(Self).ok_or_else(invalid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expected_codes_are_codes_classes_and_ranges() {
        let matches = |text: &str, code| text.parse::<ExpectedCodes>().expect("valid").matches(code);
        assert!(matches("", 200) && !matches("", 204));
        assert!(matches("200, 302", 302) && !matches("200,302", 301));
        assert!(matches("2xX", 299) && !matches("2xx", 300));
        assert!(matches("200-204,5xx", 204) && matches("200-204,5xx", 503));
        for bad in ["abc", "2x", "600", "099", "200-", "299-200", "200,,201", ",", "20 0", "+20", "6xx", "200;201"] {
            assert_eq!(bad.parse::<ExpectedCodes>(), Err(InvalidCodes(bad.to_owned())), "{bad}");
        }
    }

    #[test]
    fn only_a_change_of_the_probe_drops_the_votes() {
        let monitor = MonitorSettings::default();
        assert!(!monitor.probes_differently(&MonitorSettings { description: "shop".to_owned(), ..monitor.clone() }));
        assert!(!monitor.probes_differently(&MonitorSettings { secret_headers: vec!["X-Api-Key".to_owned()], ..monitor.clone() }));
        assert!(monitor.probes_differently(&MonitorSettings { path: "/health".to_owned(), ..monitor.clone() }));
        assert!(monitor.probes_differently(&MonitorSettings { interval: 10, ..monitor.clone() }));
    }
}
