//! What a legal monitor is, beyond the ranges of its numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr};

use super::{FieldError, description, is_host_name};
use crate::monitor::{
    BODY_BYTES_MAX, ExpectedCodes, HEADER_BYTES_MAX, HEADER_NAMES_MAX, HTTP_METHODS, MonitorSettings, PATH_BYTES_MAX, TCP_METHOD,
};

impl MonitorSettings {
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
        if !(self.probe_zone.is_empty() || is_host_name(&self.probe_zone)) {
            refuse("probe_zone", format!("probe_zone {:?} is not the name of a zone", self.probe_zone));
        }
        problems.extend(description(&self.description));
        problems.extend(header_problem(&self.header));
        problems.extend(secret_headers_problem(&self.secret_headers));
        problems
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
    let mut seen = BTreeSet::new();
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
        Some(FieldError::new(format!("/header/{}", super::pointer_token(name)), detail))
    })
}

/// The first problem of the names of secret headers. A name of a header that is not there is legal: a PATCH of the one
/// must not fail for the other.
fn secret_headers_problem(names: &[String]) -> Option<FieldError> {
    if names.len() > HEADER_NAMES_MAX {
        let detail = format!("secret_headers has {} names and may have at most {HEADER_NAMES_MAX}", names.len());
        return Some(FieldError::new("/secret_headers", detail));
    }
    let mut seen = BTreeSet::new();
    names.iter().enumerate().find_map(|(index, name)| {
        let lower = name.to_ascii_lowercase();
        let detail = if !is_header_name(name) || name.len() > HEADER_BYTES_MAX {
            format!("secret_headers {name:?} is not an HTTP header name")
        } else if lower == "host" {
            "secret_headers \"Host\" cannot be secret: it names the host that is asked".to_owned()
        } else if !seen.insert(lower) {
            format!("secret_headers names {name:?} twice")
        } else {
            return None;
        };
        Some(FieldError::new(format!("/secret_headers/{index}"), detail))
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
        return address.parse::<Ipv6Addr>().is_ok() && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
    }
    let (host, port) = value.split_once(':').map_or((value, None), |(host, port)| (host, Some(port)));
    (is_host_name(host) || host.parse::<Ipv4Addr>().is_ok()) && port.is_none_or(is_port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::MonitorKind;

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
            assert_eq!(
                without_port.iter().map(|(pointer, _)| pointer.as_str()).collect::<Vec<_>>(),
                if kind.needs_port() { vec!["/port"] } else { vec![] }
            );
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
        check(|m| m.path = "/a b".to_owned(), "/path", "path \"/a b\" must begin with \"/\" and hold 1 to 1024 visible ASCII characters");
        check(
            |m| m.expected_codes = "2x".to_owned(),
            "/expected_codes",
            "expected_codes \"2x\" is not a comma-separated list of codes (200), classes (2xx) or ranges (200-299) within 100 to 599",
        );
        check(|m| m.expected_body = "x".repeat(10_241), "/expected_body", "expected_body has 10241 bytes and may have at most 10240");
        check(|m| m.description = "é".repeat(1025), "/description", "description has 1025 characters and may have at most 1024");
        check(|m| m.probe_zone = "no zone".to_owned(), "/probe_zone", "probe_zone \"no zone\" is not the name of a zone");
        assert!(!refused(MonitorKind::Http, |m| TCP_METHOD.clone_into(&mut m.method)).is_empty());
        assert!(
            refused(MonitorKind::Tcp, |m| "GET".clone_into(&mut m.method)).is_empty(),
            "clients send the HTTP defaults with every type"
        );
    }

    #[test]
    fn headers_cannot_smuggle_requests_or_replace_what_is_ours() {
        let check = |headers: &[(&str, &[&str])], expected: Option<(&str, &str)>| {
            let header =
                headers.iter().map(|(name, values)| ((*name).to_owned(), values.iter().map(|v| (*v).to_owned()).collect())).collect();
            let expected: Vec<(String, String)> = expected.iter().map(|(p, d)| ((*p).to_owned(), (*d).to_owned())).collect();
            assert_eq!(refused(MonitorKind::Https, |monitor| monitor.header = header), expected);
        };
        check(&[("Host", &["example.com:8080"]), ("X-App", &["a", "b c"]), ("Authorization", &["Bearer x"])], None);
        check(&[("Host", &["[2001:db8::1]:80"])], None);
        check(&[("user-agent", &["x"])], Some(("/header/user-agent", "header \"user-agent\" cannot be set")));
        check(&[("Content-Length", &["0"])], Some(("/header/Content-Length", "header \"Content-Length\" cannot be set")));
        check(&[("X A", &["x"])], Some(("/header/X A", "header name \"X A\" is not an HTTP header name")));
        check(&[("X", &[])], Some(("/header/X", "header \"X\" must have at least 1 value")));
        check(
            &[("X", &["a\r\nY: b"])],
            Some(("/header/X", "a value of header \"X\" holds characters other than visible ASCII, spaces and tabs inside it")),
        );
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
    fn a_secret_header_is_named_once_whether_or_not_it_is_there() {
        let check = |names: &[&str], expected: &[(&str, &str)]| {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            let expected: Vec<(String, String)> = expected.iter().map(|(p, d)| ((*p).to_owned(), (*d).to_owned())).collect();
            assert_eq!(refused(MonitorKind::Http, |monitor| monitor.secret_headers = names), expected);
        };
        check(&["X-Api-Key", "authorization"], &[]);
        check(&["X-A", "x-a"], &[("/secret_headers/1", "secret_headers names \"x-a\" twice")]);
        check(&["X A"], &[("/secret_headers/0", "secret_headers \"X A\" is not an HTTP header name")]);
        check(&["host"], &[("/secret_headers/0", "secret_headers \"Host\" cannot be secret: it names the host that is asked")]);
        let many: Vec<String> = (0..33).map(|number| format!("X-{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        check(&many, &[("/secret_headers", "secret_headers has 33 names and may have at most 32")]);
    }
}
