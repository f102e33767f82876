//! `icmp_ping` and `udp_icmp`, each in a network of its own.

use std::io::Read as _;
use std::time::{Duration, Instant};

use quorate_core::check::{Check, Probe};
use quorate_core::failure::FailureReason as R;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

use super::checks::tcp_check;
use super::network::{packets_sent, within, within_and_unprivileged};
use super::{Capabilities, Finding, Phase, Target, ask, failed, impatient, prober};
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
        let (rtt, echo) = (outcome.rtt.expect("measured"), outcome.phases.of(Phase::Echo).expect("timed"));
        assert!(rtt > Duration::ZERO && rtt <= echo, "{rtt:?} of {echo:?}");
    }
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

fn sockets_open() -> usize {
    let open = std::fs::read_dir("/proc/self/fd").expect("a list of descriptors").filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok());
    open.filter(|fd| fd.to_string_lossy().starts_with("socket:")).count()
}

/// Thousands at once, with every kind of end, over one socket a family.
async fn mixture() {
    let ends = [
        ("127.0.0.1", Finding::Passed),
        ("9.9.9.9", failed(R::NoRouteToHost)),
        ("127.0.0.2", Finding::Passed),
        ("9.9.8.8", failed(R::NetworkUnreachable)),
        ("198.41.0.4", Finding::Passed),
        ("9.9.6.6", failed(R::OtherFailure)),
        ("::1", Finding::Passed),
        // Said by the other side of loopback, in a packet.
        ("2620:fe:1::9", failed(R::NetworkUnreachable)),
        ("2001:500::1", Finding::Passed),
    ];
    let prober = std::sync::Arc::new(prober(|config| config.address_probes_per_second_max = u32::MAX));
    let mut running = tokio::task::JoinSet::new();
    let before = sockets_open();
    for number in 0..4_500 {
        let (address, end) = ends[number % ends.len()];
        let (prober, check) = (prober.clone(), Check { timeout: Duration::from_secs(2), ..ping(address) });
        running.spawn(async move { (address, ask(&prober, &check).await.finding, end) });
    }
    while let Some(ended) = running.join_next().await {
        let (address, found, expected) = ended.expect("no panic");
        assert_eq!(found, expected, "{address}");
        if running.len() % 100 == 0 {
            assert!(sockets_open() <= before + 2, "{} sockets for {} pings", sockets_open() - before, running.len());
        }
    }
}

const ENDS: &str = "ip route add unreachable 9.9.9.0/24; ip route add throw 9.9.8.0/24";

#[test]
fn pings_share_a_raw_socket_and_each_is_told_its_own() {
    within(&format!("{OWN}; {ENDS}; echo '1 0' > /proc/sys/net/ipv4/ping_group_range"), async || mixture().await);
}

#[test]
fn pings_share_a_datagram_socket_and_each_is_told_its_own() {
    within(&format!("{OWN}; {ENDS}; echo '0 0' > /proc/sys/net/ipv4/ping_group_range"), async || {
        assert_eq!(IcmpSockets::detect().v4, Some(Form::Datagram));
        mixture().await;
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

/// Two addresses of ours, whose pings the kernel leaves to [`answering`].
const MUTE: &str = "ip addr add 198.41.0.4/32 dev lo; ip addr add 198.41.0.5/32 dev lo; echo 1 > /proc/sys/net/ipv4/icmp_echo_ignore_all";

/// Answers echo requests to 198.41.0.4: `script` is given how many came before and the request, and
/// says what is sent, from which of its two addresses. Ends with the process.
fn answering(mut script: impl FnMut(usize, &[u8]) -> Vec<(&'static str, Vec<u8>)> + Send + 'static) {
    let raw = |address: &str| {
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4)).expect("we are root here");
        let address: std::net::IpAddr = address.parse().expect("an address");
        socket.bind(&std::net::SocketAddr::new(address, 0).into()).expect("it is ours");
        socket
    };
    let mut hearing = raw("198.41.0.4");
    std::thread::spawn(move || {
        let mut count = 0;
        loop {
            let mut packet = [0; 128];
            let bytes = hearing.read(&mut packet).expect("it can be read");
            let echo = &packet[20..bytes];
            if echo[0] != 8 {
                continue;
            }
            for (from, reply) in script(count, echo) {
                let to: std::net::SocketAddr = "198.41.0.4:0".parse().expect("an address");
                raw(from).send_to(&reply, &to.into()).expect("sent");
            }
            count += 1;
        }
    });
}

/// The reply to a request, with a byte changed.
fn reply(request: &[u8], change: Option<usize>) -> Vec<u8> {
    let mut reply = request.to_vec();
    (reply[0], reply[2], reply[3]) = (0, 0, 0);
    if let Some(place) = change {
        reply[place] ^= 1;
    }
    let sum: u32 = reply.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let [.., high, low] = (!(folded + (folded >> 16))).to_be_bytes();
    (reply[2], reply[3]) = (high, low);
    reply
}

async fn forgeries() {
    let mut first = Vec::new();
    answering(move |count, request| {
        let forged = |place| ("198.41.0.4", reply(request, Some(place)));
        let mut replies = vec![forged(5), forged(7), forged(8), forged(63), ("198.41.0.5", reply(request, None))];
        match count {
            0 => first = request.to_vec(),
            // A timeout late.
            1 => replies.push(("198.41.0.4", reply(&first, None))),
            _ => replies.push(("198.41.0.4", reply(request, None))),
        }
        replies
    });
    let check = Check { retries: 3, ..impatient(ping("198.41.0.4")) };
    let outcome = ask(&prober(|_| {}), &check).await;
    assert_eq!((outcome.finding, outcome.attempts), (Finding::Passed, 3), "the first reply that is whole, in time and of whom was asked");
}

#[test]
fn a_reply_that_is_forged_or_late_does_not_count_on_a_raw_socket() {
    within(&format!("{MUTE}; echo '1 0' > /proc/sys/net/ipv4/ping_group_range"), async || forgeries().await);
}

#[test]
fn a_reply_that_is_forged_or_late_does_not_count_on_a_datagram_socket() {
    within(&format!("{MUTE}; echo '0 0' > /proc/sys/net/ipv4/ping_group_range"), async || {
        assert_eq!(IcmpSockets::detect().v4, Some(Form::Datagram));
        forgeries().await;
    });
}

#[test]
fn pings_go_on_when_what_has_read_their_replies_is_gone() {
    within("", async || {
        let prober = std::sync::Arc::new(prober(|_| {}));
        for _ in 0..2 {
            let prober = prober.clone();
            let pinging = std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                runtime.block_on(async { ask(&prober, &ping("127.0.0.1")).await.finding })
            });
            assert_eq!(pinging.join().expect("no panic"), Finding::Passed);
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
        assert!(started.elapsed() >= check.timeout && outcome.phases.of(Phase::Datagram).is_some(), "the whole timeout is waited for");
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
        assert!(outcome.phases.of(Phase::Datagram).expect("asked") < patient.timeout, "any answer ends it");

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
