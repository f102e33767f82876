//! Where a request comes from: the other end of its connection, or what a proxy that the operator trusts says.

use std::net::IpAddr;

use http::HeaderMap;
use http::request::Parts;
use ipnet::IpNet;

use crate::serve::Peer;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// `None`: over no socket, as in a test of the router itself.
pub(super) fn address(parts: &Parts, trusted: &[IpNet]) -> Option<IpAddr> {
    let peer = parts.extensions.get::<Peer>()?.0.ip().to_canonical();
    Some(behind(peer, &parts.headers, trusted))
}

/// The nearest address that no trusted proxy has. Each proxy adds, at the end, whom it heard: so the list is read from
/// there, and what stands before a stranger is only the stranger's word.
fn behind(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|range| range.contains(&address));
    let lines: Vec<&str> = headers.get_all(FORWARDED_FOR).iter().map(|line| line.to_str().unwrap_or_default()).collect();
    let mut nearest = peer;
    for hop in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
        if !is_trusted(nearest) {
            break;
        }
        // Unreadable: the proxy that we trust is the last that we know of.
        let Ok(address) = hop.trim().parse::<IpAddr>() else { break };
        nearest = address.to_canonical();
    }
    nearest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(peer: &str, forwarded: &[&'static str], expected: &str) {
        let trusted: Vec<IpNet> = ["10.0.0.0/8", "fd00::/8"].map(|range| range.parse().expect("a range")).to_vec();
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(FORWARDED_FOR, line.parse().expect("a value"));
        }
        let found = behind(peer.parse().expect("an address"), &headers, &trusted);
        assert_eq!(found.to_string(), expected, "{peer} {forwarded:?}");
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        check("198.51.100.1", &["192.0.2.1"], "198.51.100.1");
        check("10.0.0.1", &["192.0.2.1"], "192.0.2.1");
        check("10.0.0.1", &[], "10.0.0.1");
    }

    #[test]
    fn what_a_client_says_of_itself_before_the_proxy_does_not_count() {
        check("10.0.0.1", &["203.0.113.9, 192.0.2.1"], "192.0.2.1");
        check("10.0.0.1", &["203.0.113.9", "192.0.2.1"], "192.0.2.1");
        check("10.0.0.1", &["203.0.113.9, 192.0.2.1, 10.0.0.2"], "192.0.2.1");
        check("10.0.0.1", &["203.0.113.9, unknown, 10.0.0.2"], "10.0.0.2");
    }

    #[test]
    fn a_chain_of_trusted_proxies_ends_at_its_first() {
        check("fd00::1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3");
        check("fd00::1", &["::ffff:192.0.2.1"], "192.0.2.1");
    }
}
