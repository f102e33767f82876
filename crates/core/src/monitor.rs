//! Monitors: what to ask of an origin.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, MonitorId};
use crate::validate::{self, FieldError};

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
        Self {
            kind,
            method: kind.default_method().to_owned(),
            expected_codes: kind.default_expected_codes().to_owned(),
            ..Self::default()
        }
    }

    /// What is not legal beyond the ranges of the numbers, one entry a field. Fields that mean nothing for
    /// the type are legal, since clients send them with their defaults, but must be well formed.
    pub fn problems(&self) -> Vec<FieldError> {
        let mut problems: Vec<FieldError> = Vec::new();
        let mut refuse = |field: &str, detail: String| problems.push(FieldError::new(format!("/{field}"), detail));
        let http = self.kind.is_http();
        if !(HTTP_METHODS.contains(&self.method.as_str()) || (!http && (self.method == TCP_METHOD || self.method.is_empty()))) {
            refuse("method", format!("method {:?} is not one of {} for type {}", self.method, HTTP_METHODS.join(", "), self.kind));
        }
        if !(is_path(&self.path) || (!http && self.path.is_empty())) {
            refuse("path", format!("path {:?} must begin with \"/\" and hold 1 to {PATH_BYTES_MAX} visible ASCII characters", self.path));
        }
        if self.kind.needs_port() && self.port == 0 {
            refuse("port", format!("port 0 is not in range [1, 65535], and type {} has no port of its own", self.kind));
        }
        if let Err(invalid) = self.expected_codes.parse::<ExpectedCodes>() {
            refuse("expected_codes", invalid.to_string());
        }
        if self.expected_body.len() > BODY_BYTES_MAX {
            refuse("expected_body", format!("expected_body has {} bytes and may have at most {BODY_BYTES_MAX}", self.expected_body.len()));
        }
        if !(self.probe_zone.is_empty() || validate::is_host_name(&self.probe_zone)) {
            refuse("probe_zone", format!("probe_zone {:?} is not the name of a zone", self.probe_zone));
        }
        problems.extend(validate::description(&self.description));
        problems.extend(header_problem(&self.header));
        problems
    }

    /// Whether a change from `self` to `other` changes the probe, so that old votes say nothing any more.
    /// A new description does not; a new interval, threshold or expectation does.
    pub fn probes_differently(&self, other: &Self) -> bool {
        let described = Self { description: self.description.clone(), ..other.clone() };
        *self != described
    }

    /// The value of the Host header, if the monitor sets one.
    pub fn host(&self) -> Option<&str> {
        self.header.iter().find(|(name, _)| name.eq_ignore_ascii_case("host")).and_then(|(_, values)| values.first()).map(String::as_str)
    }
}

fn is_path(path: &str) -> bool {
    path.starts_with('/') && path.len() <= PATH_BYTES_MAX && path.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Header names that frame or route the request, or that are ours.
const RESERVED_HEADERS: [&str; 10] = [
    "user-agent",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
    "expect",
];

/// The first problem of the request headers.
fn header_problem(header: &BTreeMap<String, Vec<String>>) -> Option<FieldError> {
    if header.len() > HEADER_NAMES_MAX {
        return Some(FieldError::new("/header", format!("header has {} names and may have at most {HEADER_NAMES_MAX}", header.len())));
    }
    let bytes: usize = header.iter().map(|(name, values)| values.iter().map(|value| name.len() + value.len()).sum::<usize>()).sum();
    if bytes > HEADER_BYTES_MAX {
        return Some(FieldError::new("/header", format!("header has {bytes} bytes and may have at most {HEADER_BYTES_MAX}")));
    }
    let mut seen = std::collections::BTreeSet::new();
    header.iter().find_map(|(name, values)| {
        let lower = name.to_ascii_lowercase();
        let detail = if !is_header_name(name) {
            format!("header name {name:?} is not an HTTP header name")
        } else if RESERVED_HEADERS.contains(&lower.as_str()) {
            format!("header {name:?} cannot be set")
        } else if !seen.insert(lower.clone()) {
            format!("header {name:?} is given twice, in different spellings")
        } else if values.is_empty() {
            format!("header {name:?} must have at least 1 value")
        } else if values.iter().any(|value| !is_header_value(value)) {
            format!("a value of header {name:?} holds characters other than visible ASCII, spaces and tabs inside it")
        } else if lower == "host" && !matches!(values.as_slice(), [host] if is_host_value(host)) {
            "header \"Host\" must have exactly 1 value, a host name or address with or without a port".to_owned()
        } else {
            return None;
        };
        Some(FieldError::new(format!("/header/{}", name.replace('~', "~0").replace('/', "~1")), detail))
    })
}

fn is_header_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

fn is_header_value(value: &str) -> bool {
    value.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ' || byte == b'\t') && value.trim() == value
}

fn is_host_value(value: &str) -> bool {
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port != 0) && port.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(rest) = value.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else { return false };
        return address.parse::<std::net::Ipv6Addr>().is_ok() && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
    }
    let (host, port) = value.split_once(':').map_or((value, None), |(host, port)| (host, Some(port)));
    (validate::is_host_name(host) || host.parse::<std::net::Ipv4Addr>().is_ok()) && port.is_none_or(is_port)
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

    /// The pointers and details that `change` makes of a legal monitor of `kind`.
    fn refused(kind: MonitorKind, change: impl FnOnce(&mut MonitorSettings)) -> Vec<(String, String)> {
        let mut monitor = MonitorSettings { port: 25, ..MonitorSettings::of_kind(kind) };
        assert_eq!(monitor.problems(), [], "{kind} with its defaults");
        change(&mut monitor);
        monitor.problems().into_iter().map(|problem| (problem.pointer, problem.detail)).collect()
    }

    #[test]
    fn each_kind_is_legal_with_its_defaults_and_only_some_need_a_port() {
        for kind in MonitorKind::ALL {
            let without_port = refused(kind, |monitor| monitor.port = 0);
            assert_eq!(without_port.iter().map(|(pointer, _)| pointer.as_str()).collect::<Vec<_>>(), if kind.needs_port() { vec!["/port"] } else { vec![] });
        }
    }

    #[test]
    fn each_bad_field_is_refused_by_name_with_what_is_legal() {
        let check = |change: fn(&mut MonitorSettings), pointer: &str, detail: &str| {
            assert_eq!(refused(MonitorKind::Http, change), [(pointer.to_owned(), detail.to_owned())]);
        };
        check(|m| m.method = "DELETE".to_owned(), "/method", "method \"DELETE\" is not one of GET, HEAD, OPTIONS, POST for type http");
        check(
            |m| m.path = "health".to_owned(),
            "/path",
            "path \"health\" must begin with \"/\" and hold 1 to 1024 visible ASCII characters",
        );
        check(
            |m| m.path = "/a b".to_owned(),
            "/path",
            "path \"/a b\" must begin with \"/\" and hold 1 to 1024 visible ASCII characters",
        );
        check(
            |m| m.expected_codes = "2x".to_owned(),
            "/expected_codes",
            "expected_codes \"2x\" is not a comma-separated list of codes (200), classes (2xx) or ranges (200-299) within 100 to 599",
        );
        check(|m| m.expected_body = "x".repeat(10_241), "/expected_body", "expected_body has 10241 bytes and may have at most 10240");
        check(|m| m.description = "é".repeat(1025), "/description", "description has 1025 characters and may have at most 1024");
        check(|m| m.probe_zone = "no zone".to_owned(), "/probe_zone", "probe_zone \"no zone\" is not the name of a zone");
        assert!(!refused(MonitorKind::Http, |m| TCP_METHOD.clone_into(&mut m.method)).is_empty());
        assert!(refused(MonitorKind::Tcp, |m| "GET".clone_into(&mut m.method)).is_empty(), "clients send the HTTP defaults with every type");
    }

    #[test]
    fn headers_cannot_smuggle_requests_or_replace_what_is_ours() {
        let check = |headers: &[(&str, &[&str])], expected: Option<(&str, &str)>| {
            let header = headers.iter().map(|(name, values)| ((*name).to_owned(), values.iter().map(|v| (*v).to_owned()).collect())).collect();
            let expected: Vec<(String, String)> = expected.iter().map(|(p, d)| ((*p).to_owned(), (*d).to_owned())).collect();
            assert_eq!(refused(MonitorKind::Https, |monitor| monitor.header = header), expected);
        };
        check(&[("Host", &["example.com:8080"]), ("X-App", &["a", "b c"]), ("Authorization", &["Bearer x"])], None);
        check(&[("Host", &["[2001:db8::1]:80"])], None);
        check(&[("user-agent", &["x"])], Some(("/header/user-agent", "header \"user-agent\" cannot be set")));
        check(&[("Content-Length", &["0"])], Some(("/header/Content-Length", "header \"Content-Length\" cannot be set")));
        check(&[("X A", &["x"])], Some(("/header/X A", "header name \"X A\" is not an HTTP header name")));
        check(&[("X", &[])], Some(("/header/X", "header \"X\" must have at least 1 value")));
        check(&[("X", &["a\r\nY: b"])], Some(("/header/X", "a value of header \"X\" holds characters other than visible ASCII, spaces and tabs inside it")));
        check(&[("X", &["a"]), ("x", &["b"])], Some(("/header/x", "header \"x\" is given twice, in different spellings")));
        let host = "header \"Host\" must have exactly 1 value, a host name or address with or without a port";
        for bad in [&["a.example", "b.example"][..], &["a.example:0"], &["a.example:99999"], &["a b"], &["[::1"]] {
            check(&[("Host", bad)], Some(("/header/Host", host)));
        }
        let names: Vec<String> = (0..33).map(|number| format!("X-{number}")).collect();
        let many: Vec<(&str, &[&str])> = names.iter().map(|name| (name.as_str(), &["x"][..])).collect();
        check(&many, Some(("/header", "header has 33 names and may have at most 32")));
        let long = "x".repeat(4096);
        check(&[("X", &[&long])], Some(("/header", "header has 4097 bytes and may have at most 4096")));
    }

    #[test]
    fn only_a_change_of_the_probe_drops_the_votes() {
        let monitor = MonitorSettings::default();
        assert!(!monitor.probes_differently(&MonitorSettings { description: "shop".to_owned(), ..monitor.clone() }));
        assert!(monitor.probes_differently(&MonitorSettings { path: "/health".to_owned(), ..monitor.clone() }));
        assert!(monitor.probes_differently(&MonitorSettings { interval: 10, ..monitor.clone() }));
    }
}
