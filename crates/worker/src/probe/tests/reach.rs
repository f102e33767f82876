//! What can stand between a worker and an origin, each in a network where it does.

use quorate_core::check::{Check, HttpProbe, Probe};
use quorate_core::failure::FailureReason as R;

use super::checks::{http_check, tcp_check};
use super::dns::{Answer, Dns};
use super::network::within;
use super::server::{Server, hold};
use super::{Finding, ask, failed, impatient, prober};
use crate::config::ResolverConfig;

/// One check of each type that connects.
fn connecting(address: &str) -> [Check; 4] {
    let smtp = Check { probe: Probe::Smtp, ..tcp_check(address, 25) };
    let https = |ask: &mut HttpProbe| ask.tls = true;
    [tcp_check(address, 443), http_check(address, 80, |_| {}), http_check(address, 443, https), smtp]
}

#[test]
fn no_answer_no_way_and_no_network_are_told_apart() {
    let routes = "ip route add unreachable 9.9.1.0/24; ip route add throw 9.9.2.0/24; ip route add prohibit 9.9.3.0/24; \
                  ip -6 route add unreachable 2620:fe:1::/48";
    within(routes, async || {
        let prober = prober(|_| {});
        for (address, reason, attempts) in [
            ("9.9.9.9", R::TcpTimeout, 2),
            ("9.9.1.1", R::NoRouteToHost, 1),
            ("2620:fe:1::1", R::NoRouteToHost, 1),
            ("9.9.2.2", R::NetworkUnreachable, 1),
            // A rule of our own host's forbids it.
            ("9.9.3.3", R::TcpConnectionFailed, 1),
            ("127.0.0.1", R::TcpConnectionFailed, 1),
            ("::1", R::TcpConnectionFailed, 1),
        ] {
            for check in connecting(address) {
                let outcome = ask(&prober, &Check { retries: 1, ..impatient(check) }).await;
                assert_eq!((outcome.finding, outcome.attempts, outcome.rtt), (failed(reason), attempts, None), "{address}");
            }
        }
    });
}

#[test]
fn a_worker_without_ipv6_says_so_of_what_has_nothing_else() {
    within("echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6", async || {
        for address in ["2620:fe::9", "::1"] {
            for check in connecting(address) {
                assert_eq!(ask(&prober(|_| {}), &check).await.finding, failed(R::NetworkUnreachable), "{address}");
            }
        }
        let server = Server::silent().await;
        assert_eq!(ask(&prober(|_| {}), &tcp_check("127.0.0.1", server.address.port())).await.finding, Finding::Passed);
        let dns = Dns::start(&[("six.example", Answer::Addresses(vec!["2620:fe::9".parse().expect("an address")]))]).await;
        let asking = prober(|config| config.resolver = ResolverConfig::Servers(vec![dns.address]));
        for check in connecting("six.example") {
            assert_eq!(ask(&asking, &check).await.finding, failed(R::NetworkUnreachable), "a name with no other address");
        }
    });
}

#[test]
fn a_worker_without_a_free_port_abstains() {
    within("echo '40000 40001' > /proc/sys/net/ipv4/ip_local_port_range", async || {
        // Listening takes no port out of that range.
        let server = Server::start_on("127.0.0.1:443", hold).await;
        let held = [tokio::net::TcpStream::connect(server.address).await, tokio::net::TcpStream::connect(server.address).await];
        assert!(held.iter().all(Result::is_ok), "both ports are taken now: {held:?}");
        for check in [tcp_check("127.0.0.1", 443), http_check("127.0.0.1", 443, |_| {})] {
            assert_eq!(ask(&prober(|_| {}), &check).await.finding, Finding::Abstained(R::OtherFailure));
        }
    });
}

#[test]
fn a_worker_without_a_free_descriptor_abstains() {
    within("ulimit -n 64", async || {
        let server = Server::silent().await;
        let prober = prober(|_| {});
        let mut held = Vec::new();
        while let Ok(socket) = std::net::UdpSocket::bind("127.0.0.1:0") {
            held.push(socket);
        }
        let check = tcp_check("127.0.0.1", server.address.port());
        assert_eq!(ask(&prober, &check).await.finding, Finding::Abstained(R::OtherFailure));
        for probe in [Probe::IcmpPing, Probe::UdpIcmp, Probe::Smtp] {
            assert_eq!(ask(&prober, &Check { probe, ..check.clone() }).await.finding, Finding::Abstained(R::OtherFailure));
        }
        drop(held);
        assert_eq!(ask(&prober, &check).await.finding, Finding::Passed);
    });
}
