//! `icmp_ping` and `udp_icmp`, each in a network of its own.

use std::time::{Duration, Instant};

use quorate_core::check::{Check, Probe};
use quorate_core::failure::FailureReason as R;
use tokio::net::UdpSocket;

use super::checks::tcp_check;
use super::network::{packets_sent, within, within_and_unprivileged};
use super::{Capabilities, Finding, Target, ask, failed, impatient, prober};
use crate::probe::icmp::{Form, IcmpSockets};

fn ping(address: &str) -> Check {
    Check { probe: Probe::IcmpPing, ..tcp_check(address, 0) }
}

fn udp(address: &str, port: u16) -> Check {
    Check { probe: Probe::UdpIcmp, ..impatient(tcp_check(address, port)) }
}

async fn echoes() {
    let prober = prober(|_| {});
    // 198.41.0.4 and 2001:500::1 are ours here.
    for address in ["127.0.0.1", "::1", "198.41.0.4", "2001:500::1"] {
        let outcome = ask(&prober, &ping(address)).await;
        assert_eq!((outcome.finding, outcome.attempts, outcome.response_code), (Finding::Passed, 1, None), "{address}");
        let (rtt, echo) = (outcome.rtt.expect("measured"), outcome.phases.echo.expect("timed"));
        assert!(rtt > Duration::ZERO && rtt <= echo, "{rtt:?} of {echo:?}");
    }
    // One socket a ping, so that none takes another's reply.
    let many = (0..50).map(|number| if number % 2 == 0 { "127.0.0.1" } else { "127.0.0.2" });
    let mut running = tokio::task::JoinSet::new();
    let prober = std::sync::Arc::new(prober);
    for address in many {
        let prober = prober.clone();
        running.spawn(async move { ask(&prober, &ping(address)).await.finding });
    }
    assert_eq!(running.join_all().await, [Finding::Passed; 50]);
}

const OWN: &str = "ip addr add 198.41.0.4/32 dev lo; ip -6 addr add 2001:500::1/128 dev lo";

#[test]
fn an_echo_passes_by_raw_sockets() {
    within(&format!("{OWN}; echo '1 0' > /proc/sys/net/ipv4/ping_group_range"), async || {
        assert_eq!((IcmpSockets::detect().v4, IcmpSockets::detect().v6), (Some(Form::Raw), Some(Form::Raw)));
        echoes().await;
    });
}

#[test]
fn an_echo_passes_by_datagram_sockets_which_take_no_privilege() {
    within_and_unprivileged(&format!("{OWN}; echo '0 0' > /proc/sys/net/ipv4/ping_group_range"), async || {
        assert_eq!((IcmpSockets::detect().v4, IcmpSockets::detect().v6), (Some(Form::Datagram), Some(Form::Datagram)));
        echoes().await;
    });
}

#[test]
fn a_worker_that_may_open_no_such_socket_abstains_and_names_what_it_lacks() {
    within_and_unprivileged("echo '1 0' > /proc/sys/net/ipv4/ping_group_range", async || {
        let capabilities = Capabilities::detect();
        assert!(!capabilities.names().iter().any(|name| name.contains("icmp")), "{capabilities:?}");
        for check in [ping("127.0.0.1"), ping("::1"), ping("a.example"), udp("127.0.0.1", 9)] {
            let target = Target::new(&check).expect("well formed");
            let refused = capabilities.allow(&target).expect_err("impossible here").to_string();
            assert!(refused.contains(target.kind()) && refused.contains("CAP_NET_RAW"), "{refused}");
            if check.address != "a.example" {
                assert_eq!(ask(&prober(|_| {}), &check).await.finding, Finding::Abstained(R::MonitorConfigError));
            }
        }
        assert_eq!(packets_sent(), 0);
    });
}

#[test]
fn silence_fails_and_is_asked_again_at_once() {
    within("", async || {
        let check = Check { retries: 2, ..impatient(ping("9.9.9.9")) };
        let (started, before) = (Instant::now(), packets_sent());
        let outcome = ask(&prober(|_| {}), &check).await;
        assert_eq!((outcome.finding, outcome.attempts, outcome.rtt), (failed(R::OtherFailure), 3, None));
        assert!(started.elapsed() >= 3 * check.timeout);
        assert_eq!(packets_sent() - before, 3);
    });
}

#[test]
fn what_the_network_says_of_the_way_is_the_reason() {
    let routes = "ip route add unreachable 9.9.9.0/24; ip route add throw 9.9.8.0/24; ip -6 route add unreachable 2620:fe::/48; \
                  ip route add prohibit 9.9.7.0/24";
    within(routes, async || {
        for (address, reason) in [
            ("9.9.9.9", R::NoRouteToHost),
            ("9.9.8.8", R::NetworkUnreachable),
            ("2620:fe::9", R::NoRouteToHost),
            ("9.9.7.7", R::OtherFailure),
            // Said by the other side of loopback, in a packet.
            ("2620:fe:1::9", R::NetworkUnreachable),
        ] {
            for check in [ping(address), udp(address, 53)] {
                let outcome = ask(&prober(|_| {}), &Check { retries: 3, ..check }).await;
                assert_eq!((outcome.finding, outcome.attempts), (failed(reason), 1), "{address}");
            }
        }
    });
}

/// A router one hop away: what leaves by one end of a cable comes in at the other, as if from elsewhere.
const ROUTER: &str = "
    echo 1 > /proc/sys/net/ipv4/ip_forward
    echo 0 > /proc/sys/net/ipv4/icmp_ratelimit
    ip link add near type veth peer name far
    for end in near far; do
        ip link set $end address 02:00:00:00:00:01 arp off up
        echo 1 > /proc/sys/net/ipv4/conf/$end/accept_local
        echo 0 > /proc/sys/net/ipv4/conf/$end/rp_filter
    done
    echo 0 > /proc/sys/net/ipv4/conf/all/rp_filter
    ip addr add 198.41.0.4/32 dev lo
    ip route add 9.9.0.0/16 dev near src 198.41.0.4
    ip rule add iif far lookup 100
    ip route add unreachable 9.9.1.0/24 table 100
    ip route add prohibit 9.9.2.0/24 table 100
    ip route add default dev lo table 100";

#[test]
fn a_router_that_knows_no_way_is_heard() {
    within(ROUTER, async || {
        // A router of Linux says so five times at once, and then once a second.
        for check in [ping("9.9.1.1"), udp("9.9.1.1", 53), tcp_check("9.9.1.1", 80), ping("9.9.2.2")] {
            let outcome = ask(&prober(|_| {}), &Check { retries: 3, ..check }).await;
            assert_eq!((outcome.finding, outcome.attempts), (failed(R::NoRouteToHost), 1), "{outcome:?}");
        }
    });
}

#[test]
fn a_udp_port_is_open_unless_the_network_says_it_is_closed() {
    within("", async || {
        let silent = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let port = |socket: &UdpSocket| socket.local_addr().expect("bound").port();
        let check = udp("127.0.0.1", port(&silent));
        let started = Instant::now();
        let outcome = ask(&prober(|_| {}), &check).await;
        assert_eq!((outcome.finding, outcome.attempts), (Finding::Passed, 1), "silence passes");
        assert!(started.elapsed() >= check.timeout && outcome.phases.datagram.is_some(), "the whole timeout is waited for");
        assert!(outcome.rtt.expect("of the ping") < check.timeout);
        let mut payload = [0; 64];
        assert_eq!(silent.recv(&mut payload).await.expect("a packet came"), 16);

        let answering = UdpSocket::bind("[::1]:0").await.expect("a port");
        let patient = Check { timeout: Duration::from_secs(30), ..udp("::1", port(&answering)) };
        let answer = async {
            let (bytes, peer) = answering.recv_from(&mut [0; 64]).await.expect("a packet");
            answering.send_to(&[0; 3][..bytes.min(3)], peer).await.expect("sent");
        };
        let prober = prober(|_| {});
        let (outcome, ()) = tokio::join!(ask(&prober, &patient), answer);
        assert_eq!(outcome.finding, Finding::Passed);
        assert!(outcome.phases.datagram.expect("asked") < patient.timeout, "any answer ends it");

        for address in ["127.0.0.1", "::1"] {
            let outcome = ask(&prober, &Check { retries: 3, ..udp(address, 9) }).await;
            assert_eq!((outcome.finding, outcome.attempts), (failed(R::OtherFailure), 1), "{address}: closed");
            assert!(outcome.rtt.is_some(), "the ping was answered");
        }
    });
}

#[test]
fn no_udp_packet_follows_a_ping_without_answer() {
    within("", async || {
        let before = packets_sent();
        assert_eq!(ask(&prober(|_| {}), &udp("9.9.9.9", 53)).await.finding, failed(R::OtherFailure));
        assert_eq!(packets_sent() - before, 1, "the echo request");
    });
}
