//! A check, made ready to be asked: everything that can be wrong with it is found here, once.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method};
use quorate_core::check::{Check, HttpProbe, Probe};
use quorate_core::ids::PoolId;
use quorate_core::monitor::ExpectedCodes;
use quorate_core::validate::is_host_name;

use super::http::{fields, fold};
use super::limit::Asker;
use super::tls::Memory;

/// What to ask, of whom, within which time.
#[derive(Clone, Debug)]
pub struct Target {
    pub(crate) host: Host,
    /// 1 and up; 0 for a ping.
    pub(crate) port: u16,
    /// One absolute deadline of one attempt.
    pub(crate) timeout: Duration,
    pub(crate) retries: u8,
    /// Named in the User-Agent.
    pub(crate) pool: PoolId,
    pub(crate) asker: Asker,
    pub(crate) ask: Ask,
    /// Of the TLS handshakes with this target; `None` where it is not asked over TLS.
    pub(crate) memory: Option<Arc<Memory>>,
}

#[derive(Clone, Debug)]
pub(crate) enum Ask {
    Tcp,
    Smtp,
    Ping,
    /// Ping, then UDP.
    Udp,
    /// Equal for many checks, which share it.
    Http(Arc<HttpAsk>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HttpAsk {
    pub(crate) tls: bool,
    pub(crate) method: Method,
    pub(crate) path: PathAndQuery,
    pub(crate) host_header: Option<HostHeader>,
    pub(crate) headers: HeaderMap,
    /// Of the request by this method with these headers: see [`fields`].
    pub(crate) fields: Box<[u8]>,
    pub(crate) codes: ExpectedCodes,
    /// Folded; `None` where the body does not matter.
    pub(crate) needle: Option<String>,
    pub(crate) follow_redirects: bool,
    pub(crate) allow_insecure: bool,
    /// In lower case.
    pub(crate) zone: Option<String>,
}

/// A Host header in force: as it is sent, and the host that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostHeader {
    pub(crate) value: HeaderValue,
    pub(crate) host: Host,
}

/// A host name, in lower case, or an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Host {
    Name(Arc<str>),
    Address(IpAddr),
}

impl Host {
    /// `None` for what is neither.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        text.parse().map(Self::Address).ok().or_else(|| is_host_name(text).then(|| Self::Name(text.to_ascii_lowercase().into())))
    }
}

/// As it stands in a URL or a Host header.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

/// Why this worker cannot run a check. It then votes config error, and says this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unrunnable {
    /// The kind of the check.
    #[error("this worker cannot probe {0}: it takes CAP_NET_RAW, or the worker's group in net.ipv4.ping_group_range")]
    NoIcmp(&'static str),
    #[error("{0:?} is neither a host name nor an address")]
    Address(String),
    #[error("port 0 cannot be probed")]
    Port,
    #[error(transparent)]
    Codes(#[from] quorate_core::monitor::InvalidCodes),
    #[error("{field} {value:?} cannot be sent in an HTTP request")]
    Request { field: &'static str, value: String },
}

impl Target {
    pub fn new(check: &Check) -> Result<Self, Unrunnable> {
        let ask = match &check.probe {
            Probe::Tcp => Ask::Tcp,
            Probe::Http(http) => Ask::Http(Arc::new(HttpAsk::new(http)?)),
            Probe::IcmpPing => Ask::Ping,
            Probe::UdpIcmp => Ask::Udp,
            Probe::Smtp => Ask::Smtp,
        };
        if check.port == 0 && !matches!(ask, Ask::Ping) {
            return Err(Unrunnable::Port);
        }
        Ok(Self {
            host: Host::parse(&check.address).ok_or_else(|| Unrunnable::Address(check.address.clone()))?,
            port: check.port,
            timeout: check.timeout,
            retries: check.retries,
            pool: check.pool_id,
            asker: Asker::Once,
            memory: ask.is_over_tls().then(|| Arc::new(Memory::new(check.interval))),
            ask,
        })
    }

    /// In whose name it is asked.
    pub const fn pool(&self) -> PoolId {
        self.pool
    }

    /// The same question, on another account.
    #[must_use]
    pub(crate) fn asked_by(self, asker: Asker) -> Self {
        Self { asker, ..self }
    }

    /// The same question, asked in the name of another pool.
    #[must_use]
    pub fn for_pool(&self, pool: PoolId) -> Self {
        Self { pool, ..self.clone() }
    }

    /// Whether a probe may come to shake hands, be it after a redirect.
    pub(super) fn may_need_tls(&self) -> bool {
        matches!(&self.ask, Ask::Http(ask) if ask.tls || ask.follow_redirects)
    }

    /// The monitor's type; a label of metrics.
    pub fn kind(&self) -> &'static str {
        match &self.ask {
            Ask::Tcp => "tcp",
            Ask::Smtp => "smtp",
            Ask::Ping => "icmp_ping",
            Ask::Udp => "udp_icmp",
            Ask::Http(ask) if ask.tls => "https",
            Ask::Http(_) => "http",
        }
    }
}

impl Ask {
    fn is_over_tls(&self) -> bool {
        matches!(self, Self::Http(ask) if ask.tls)
    }
}

impl HttpAsk {
    fn new(http: &HttpProbe) -> Result<Self, Unrunnable> {
        let illegal = |field, value: &str| Unrunnable::Request { field, value: value.to_owned() };
        let method = Method::from_bytes(http.method.as_bytes()).ok().filter(|method| method != Method::CONNECT);
        // A path is more than `*`, which OPTIONS would accept.
        let path = http.path.parse::<PathAndQuery>().ok().filter(|path| path.as_str().starts_with('/') && path.as_str() == http.path);
        let method = method.ok_or_else(|| illegal("method", &http.method))?;
        let headers = headers(&http.headers)?;
        Ok(Self {
            tls: http.tls,
            fields: fields(&method, Some(&headers)).into(),
            method,
            path: path.ok_or_else(|| illegal("path", &http.path))?,
            host_header: http
                .host
                .as_deref()
                .map(|host| HostHeader::parse(host).ok_or_else(|| illegal("header Host", host)))
                .transpose()?,
            headers,
            codes: http.expected_codes.parse()?,
            needle: Some(fold(&http.expected_body)).filter(|needle| !needle.is_empty()),
            follow_redirects: http.follow_redirects,
            allow_insecure: http.allow_insecure,
            zone: Some(http.probe_zone.to_ascii_lowercase()).filter(|zone| !zone.is_empty()),
        })
    }
}

fn headers(pairs: &[(String, String)]) -> Result<HeaderMap, Unrunnable> {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let legal_name = HeaderName::from_bytes(name.as_bytes());
        let legal_value = HeaderValue::from_str(value);
        match (legal_name, legal_value) {
            (Ok(name), Ok(value)) => {
                headers.append(name, value);
            }
            // The value may be a secret.
            _ => return Err(Unrunnable::Request { field: "header", value: name.clone() }),
        }
    }
    Ok(headers)
}

impl HostHeader {
    /// A host name or address, with or without a port. A bare IPv6 address is sent in brackets.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse::<Ipv6Addr>() {
            let host = Host::Address(address.into());
            return Some(Self { value: HeaderValue::from_str(&host.to_string()).ok()?, host });
        }
        let host = match text.strip_prefix('[') {
            Some(rest) => rest.split_once(']')?.0,
            None => text.split_once(':').map_or(text, |(host, _)| host),
        };
        Some(Self { value: HeaderValue::from_str(text).ok()?, host: Host::parse(host)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::tests::checks::{http_check, tcp_check};

    fn refused(check: &Check) -> String {
        Target::new(check).expect_err("cannot be run").to_string()
    }

    #[test]
    fn a_check_that_cannot_be_run_says_why() {
        let mut check = tcp_check("origin.example", 0);
        assert_eq!(refused(&check), "port 0 cannot be probed");
        check.port = 1;
        check.address = "2130706433".to_owned();
        assert_eq!(refused(&check), "\"2130706433\" is neither a host name nor an address");
        for probe in [Probe::UdpIcmp, Probe::Smtp] {
            assert_eq!(refused(&Check { probe, ..tcp_check("192.0.2.1", 0) }), "port 0 cannot be probed");
        }
        assert!(Target::new(&Check { probe: Probe::IcmpPing, ..tcp_check("192.0.2.1", 0) }).is_ok(), "a ping has no port");
        let http = |change: fn(&mut HttpProbe)| refused(&http_check("192.0.2.1", 80, change));
        assert_eq!(http(|ask| ask.path = "no-slash".to_owned()), "path \"no-slash\" cannot be sent in an HTTP request");
        assert_eq!(http(|ask| ask.path = "/a b".to_owned()), "path \"/a b\" cannot be sent in an HTTP request");
        assert_eq!(http(|ask| ask.method = "CONNECT".to_owned()), "method \"CONNECT\" cannot be sent in an HTTP request");
        assert_eq!(http(|ask| ask.host = Some("a b".to_owned())), "header Host \"a b\" cannot be sent in an HTTP request");
        assert_eq!(
            http(|ask| ask.headers = vec![("X-Key".to_owned(), "se\r\ncret".to_owned())]),
            "header \"X-Key\" cannot be sent in an HTTP request"
        );
        assert!(http(|ask| ask.expected_codes = "2x".to_owned()).starts_with("expected_codes \"2x\""));
    }

    #[test]
    fn a_host_header_names_its_host_without_the_port() {
        let host = |text: &str| HostHeader::parse(text).map(|header| header.host.to_string());
        assert_eq!(host("WWW.example.com:8080"), Some("www.example.com".to_owned()));
        assert_eq!(host("192.0.2.1"), Some("192.0.2.1".to_owned()));
        assert_eq!(host("[2001:db8::1]:80"), Some("[2001:db8::1]".to_owned()));
        assert_eq!(host("a b"), None);
        let bare = HostHeader::parse("2001:db8::1").expect("an address");
        assert_eq!((bare.value.to_str().expect("text"), bare.host.to_string().as_str()), ("[2001:db8::1]", "[2001:db8::1]"));
    }
}
