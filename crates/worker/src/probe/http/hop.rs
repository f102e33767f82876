//! Where a request goes, and where a redirect sends the next one.
//!
//! A redirect within the host that was asked stays with the origin: the connection goes to the
//! origin's address again, not to wherever the public name leads. Any other host is resolved and
//! judged like a target of its own, and gets nothing that the user wrote.

use std::borrow::Cow;
use std::io::Write as _;

use http::header::{ACCEPT, ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderValue, TRANSFER_ENCODING, USER_AGENT};
use http::uri::PathAndQuery;
use http::{Method, StatusCode};
use url::Url;

use crate::probe::fault::Fault;
use crate::probe::net::UserAgent;
use crate::probe::target::{Host, HttpAsk, Target};

/// Bytes of a `Location`, and of the address that it leads to, beyond which nobody is followed: each is held several times.
pub(super) const LOCATION_BYTES_MAX: usize = 2_048;
const LONG: Fault = Fault::Redirect("a Location of more than 2,048 bytes");

#[derive(Clone, Copy, Debug)]
pub(super) struct Hop<'a> {
    pub(super) tls: bool,
    pub(super) connect_to: &'a Host,
    pub(super) port: u16,
    /// Sent as server name where it is one, and looked for in the certificate.
    pub(super) tls_name: &'a Host,
    /// The host that the user asks for.
    named: &'a Host,
    /// What the user wrote, and not just the host and port.
    host_header: Option<&'a HeaderValue>,
    path: &'a PathAndQuery,
    pub(super) method: &'a Method,
    /// Whether the user's headers may go along.
    trusted: bool,
}

/// Where a redirect leads: what a [`Hop`] borrows otherwise, on its own.
#[derive(Clone, Debug)]
pub(super) struct Elsewhere {
    tls: bool,
    connect_to: Host,
    port: u16,
    tls_name: Host,
    named: Host,
    host_header: Option<HeaderValue>,
    path: PathAndQuery,
    method: Method,
    trusted: bool,
}

impl Elsewhere {
    pub(super) const fn hop(&self) -> Hop<'_> {
        Hop {
            tls: self.tls,
            connect_to: &self.connect_to,
            port: self.port,
            tls_name: &self.tls_name,
            named: &self.named,
            host_header: self.host_header.as_ref(),
            path: &self.path,
            method: &self.method,
            trusted: self.trusted,
        }
    }
}

impl<'a> Hop<'a> {
    pub(super) fn first(target: &'a Target, ask: &'a HttpAsk) -> Self {
        let named = ask.host_header.as_ref().map_or(&target.host, |header| &header.host);
        Self {
            tls: ask.tls,
            connect_to: &target.host,
            port: target.port,
            // An address in a Host header names no server.
            tls_name: if matches!(named, Host::Name(_)) { named } else { &target.host },
            named,
            host_header: ask.host_header.as_ref().map(|header| &header.value),
            path: &ask.path,
            method: &ask.method,
            trusted: true,
        }
    }

    /// # Errors
    /// `Redirect` where there is nowhere to go, or from https to http.
    pub(super) fn next(&self, status: StatusCode, location: Option<&HeaderValue>) -> Result<Elsewhere, Fault> {
        if location.is_some_and(|location| location.len() > LOCATION_BYTES_MAX) {
            return Err(LONG);
        }
        let location = location.and_then(|location| std::str::from_utf8(location.as_bytes()).ok()).ok_or(Fault::Redirect("no Location"))?;
        let url = self.url().and_then(|url| url.join(location).ok()).ok_or(Fault::Redirect("no usable Location"))?;
        if url.as_str().len() > LOCATION_BYTES_MAX {
            return Err(LONG);
        }
        let tls = match url.scheme() {
            "https" => true,
            "http" if self.tls => return Err(Fault::Redirect("from https to http")),
            "http" => false,
            _ => return Err(Fault::Redirect("to another scheme")),
        };
        let named = match url.host() {
            Some(url::Host::Domain(name)) => Host::parse(name),
            Some(url::Host::Ipv4(address)) => Some(Host::Address(address.into())),
            Some(url::Host::Ipv6(address)) => Some(Host::Address(address.into())),
            None => None,
        };
        let (Some(named), Some(port)) = (named, url.port_or_known_default().filter(|port| *port != 0)) else {
            return Err(Fault::Redirect("to no host"));
        };
        let same_host = named == *self.named;
        let same_port = port == self.port;
        let upgraded = tls && !self.tls && (self.port, port) == (80, 443);
        let path = url[url::Position::BeforePath..url::Position::AfterQuery].parse().map_err(|_| Fault::Redirect("no usable Location"))?;
        let becomes_get = status == StatusCode::SEE_OTHER && self.method != Method::HEAD;
        Ok(Elsewhere {
            tls,
            connect_to: if same_host { self.connect_to } else { &named }.clone(),
            port,
            tls_name: if same_host { self.tls_name } else { &named }.clone(),
            host_header: self.host_header.filter(|_| same_host && same_port).cloned(),
            named,
            path,
            method: if becomes_get { Method::GET } else { self.method.clone() },
            trusted: self.trusted && same_host && (same_port || upgraded),
        })
    }

    /// Whether this is still the host that the user wrote down.
    pub(super) const fn is_trusted(self) -> bool {
        self.trusted
    }

    /// Writes the request, as it is sent.
    pub(super) fn request(&self, ask: &HttpAsk, user_agent: &UserAgent<'_>, request: &mut Vec<u8>) {
        for part in [self.method.as_str(), " ", self.path.as_str(), " HTTP/1.1\r\nHost: "] {
            request.extend_from_slice(part.as_bytes());
        }
        match self.host_header {
            Some(value) => request.extend_from_slice(value.as_bytes()),
            None => write_host(request, self.named, self.port, self.tls),
        }
        request.extend_from_slice(b"\r\nUser-Agent: ");
        for part in user_agent.parts() {
            request.extend_from_slice(part);
        }
        let is_as_prepared = self.trusted && *self.method == ask.method;
        let theirs = Some(&ask.headers).filter(|_| self.trusted);
        let fields = if is_as_prepared { Cow::Borrowed(&*ask.fields) } else { fields(self.method, theirs).into() };
        request.extend_from_slice(&fields);
    }

    /// What a relative Location is relative to.
    fn url(&self) -> Option<Url> {
        let scheme = if self.tls { "https" } else { "http" };
        Url::parse(&format!("{scheme}://{}:{}{}", self.named, self.port, self.path)).ok()
    }
}

/// A request from the end of the User-Agent to its end: the same for all targets of a monitor.
pub(crate) fn fields(method: &Method, theirs: Option<&HeaderMap>) -> Vec<u8> {
    let mut fields = b"\r\nConnection: close".to_vec();
    let mut add = |name: &str, value: &[u8]| {
        fields.extend_from_slice(b"\r\n");
        fields.extend(in_title_case(name));
        fields.extend_from_slice(b": ");
        fields.extend_from_slice(value);
    };
    if method == Method::POST {
        // Without it some servers ask for a length, 411.
        add("content-length", b"0");
    }
    // What frames the request and says who asks is ours.
    let ours = [HOST, USER_AGENT, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING];
    for (name, value) in theirs.into_iter().flatten().filter(|(name, _)| !ours.contains(name)) {
        add(name.as_str(), value.as_bytes());
    }
    for (name, value) in [(ACCEPT, "*/*"), (ACCEPT_ENCODING, "identity")] {
        if !theirs.is_some_and(|headers| headers.contains_key(&name)) {
            add(name.as_str(), value.as_bytes());
        }
    }
    fields.extend_from_slice(b"\r\n\r\n");
    fields
}

/// Some old servers know headers by their usual writing only.
fn in_title_case(name: &str) -> impl Iterator<Item = u8> + '_ {
    let mut is_first = true;
    name.bytes().map(move |byte| {
        let byte = if is_first { byte.to_ascii_uppercase() } else { byte };
        is_first = byte == b'-';
        byte
    })
}

/// The port stands beside the host only where it is not the protocol's own.
fn write_host(request: &mut Vec<u8>, host: &Host, port: u16, tls: bool) {
    let written = if port == if tls { 443 } else { 80 } { write!(request, "{host}") } else { write!(request, "{host}:{port}") };
    written.expect("there is always room in a vector");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::target::Ask;
    use crate::probe::tests::checks::http_check;

    /// Origin 192.0.2.1, asked for www.example.com, with a secret of the user's.
    fn first(tls: bool, port: u16) -> (Target, HttpAsk) {
        let check = http_check("192.0.2.1", port, |ask| {
            ask.host = Some("www.example.com".to_owned());
            ask.path = "/a/b?c".to_owned();
            ask.headers = vec![("Authorization".to_owned(), "Bearer secret".to_owned())];
        });
        let target = Target::new(&check).expect("runnable");
        let Ask::Http(ask) = &target.ask else { panic!("an HTTP check") };
        let ask = HttpAsk { tls, ..HttpAsk::clone(ask) };
        (target, ask)
    }

    fn sent(hop: Hop<'_>, ask: &HttpAsk) -> String {
        let mut request = Vec::new();
        hop.request(ask, &UserAgent::for_tests(), &mut request);
        String::from_utf8(request).expect("ASCII")
    }

    /// `connect_to:port host-header path secret?` after one redirect to `location`.
    fn follow(tls: bool, port: u16, location: &str) -> String {
        let (target, ask) = first(tls, port);
        let location = HeaderValue::from_str(location).expect("visible ASCII");
        match Hop::first(&target, &ask).next(StatusCode::FOUND, Some(&location)) {
            Ok(elsewhere) => {
                let hop = elsewhere.hop();
                let request = sent(hop, &ask);
                let secret = if request.contains("secret") { "secret" } else { "-" };
                let scheme = if hop.tls { "https" } else { "http" };
                let path = request.split(' ').nth(1).expect("a path");
                let host = request.lines().find_map(|line| line.strip_prefix("Host: ")).expect("a host");
                format!("{scheme} {}:{} {host} {path} {secret}", hop.connect_to, hop.port)
            }
            Err(fault) => fault.to_string(),
        }
    }

    #[test]
    fn a_redirect_within_the_host_stays_with_the_origin() {
        assert_eq!(follow(false, 80, "/login?next=1#top"), "http 192.0.2.1:80 www.example.com /login?next=1 secret");
        assert_eq!(follow(false, 80, "d"), "http 192.0.2.1:80 www.example.com /a/d secret");
        assert_eq!(follow(false, 80, "https://WWW.example.com/"), "https 192.0.2.1:443 www.example.com / secret");
        assert_eq!(follow(true, 8443, "/x"), "https 192.0.2.1:8443 www.example.com /x secret");
        assert_eq!(
            follow(true, 443, "//www.example.com:444/x"),
            "https 192.0.2.1:444 www.example.com:444 /x -",
            "another port is another server"
        );
    }

    #[test]
    fn another_host_is_resolved_itself_and_gets_no_header_of_the_users() {
        assert_eq!(follow(false, 80, "http://other.example/x"), "http other.example:80 other.example /x -");
        assert_eq!(
            follow(true, 443, "https://www.example.com.evil.example/"),
            "https www.example.com.evil.example:443 www.example.com.evil.example / -"
        );
        assert_eq!(follow(false, 80, "http://192.0.2.1/"), "http 192.0.2.1:80 192.0.2.1 / -");
        assert_eq!(follow(false, 80, "http://2130706433/"), "http 127.0.0.1:80 127.0.0.1 / -", "judged as the address that it is");
        assert_eq!(follow(false, 80, "http://user:pw@[2001:db8::1]:81/"), "http [2001:db8::1]:81 [2001:db8::1]:81 / -");
    }

    #[test]
    fn headers_once_dropped_stay_dropped() {
        let (target, ask) = first(true, 443);
        let to = |hop: Hop<'_>, location: &'static str| {
            hop.next(StatusCode::FOUND, Some(&HeaderValue::from_static(location))).expect("followed")
        };
        let other = to(Hop::first(&target, &ask), "https://other.example/");
        let back = to(other.hop(), "https://www.example.com/");
        let within = to(other.hop(), "/again");
        for hop in [back.hop(), within.hop()] {
            assert!(!sent(hop, &ask).contains("secret"), "{hop:?}");
        }
        assert_eq!(back.connect_to.to_string(), "www.example.com", "the way back is by name");
    }

    #[test]
    fn a_redirect_to_nowhere_is_refused() {
        assert_eq!(follow(true, 443, "http://www.example.com/"), "a redirect cannot be followed: from https to http");
        assert_eq!(follow(false, 80, "ftp://www.example.com/"), "a redirect cannot be followed: to another scheme");
        assert_eq!(follow(false, 80, "https://"), "a redirect cannot be followed: no usable Location");
        let long = "a redirect cannot be followed: a Location of more than 2,048 bytes";
        assert_eq!(follow(false, 80, &"a".repeat(2_049)), long);
        assert_eq!(follow(false, 80, &"<".repeat(2_000)), long, "each is written as three");
        assert!(follow(false, 80, &"a".repeat(2_000)).starts_with("http 192.0.2.1:80 "));
        let (target, ask) = first(false, 80);
        assert!(matches!(Hop::first(&target, &ask).next(StatusCode::FOUND, None), Err(Fault::Redirect("no Location"))));
    }

    #[test]
    fn see_other_turns_the_method_into_get() {
        let (target, ask) = first(false, 80);
        let hop = Hop::first(&target, &ask);
        let next = |method: Method, status| {
            Hop { method: &method, ..hop }.next(status, Some(&HeaderValue::from_static("/"))).expect("followed").method
        };
        assert_eq!(next(Method::POST, StatusCode::SEE_OTHER), Method::GET);
        assert_eq!(next(Method::HEAD, StatusCode::SEE_OTHER), Method::HEAD);
        assert_eq!(next(Method::POST, StatusCode::FOUND), Method::POST);
    }
}
