//! The address policy, counted in packets.

use std::collections::BTreeMap;
use std::time::Duration;

use quorate_core::address_policy::AddressPolicy;
use quorate_core::check::{Check, HttpProbe, Probe};
use quorate_core::failure::FailureReason as R;

use super::checks::{http_check, tcp_check};
use super::dns::{Answer, Dns};
use super::network::{packets_sent, within};
use super::server::{Server, read_head, send};
use super::{Finding, NetProber, Prober as _, Target, ask, failed, impatient, prober};
use crate::config::ResolverConfig;
use crate::jobs::JobKey;
use crate::probe::Asker;

/// Some of each class of the table in `quorate_core::address_policy`, which has them all.
const REFUSED: [&str; 36] = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.255",
    "168.63.129.16",
    "169.254.0.1",
    "169.254.169.254",
    "169.254.170.2",
    "172.16.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "203.0.113.1",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1.1.1.1",
    "2001:db8::1",
    "2001:0:808:808:0:0:5601:5601",
    "2002:a9fe:a9fe::",
    "2002:7f00:1::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::a9fe:a9fe",
    "fec0::1",
    "ff02::1",
];

/// One check of each type.
fn every_type(address: &str) -> [Check; 6] {
    let of = |probe| Check { probe, ..tcp_check(address, 25) };
    [
        of(Probe::Tcp),
        of(Probe::Smtp),
        of(Probe::IcmpPing),
        of(Probe::UdpIcmp),
        http_check(address, 80, |_| {}),
        http_check(address, 443, |ask: &mut HttpProbe| ask.tls = true),
    ]
}

async fn refuses(prober: &NetProber, check: &Check) {
    assert_eq!(ask(prober, check).await.finding, failed(R::DnsInternal), "{} by {:?}", check.address, check.probe);
}

#[test]
fn not_a_packet_leaves_for_an_address_that_is_refused() {
    within("", async || {
        let prober = prober(|config| config.address_policy = AddressPolicy::default());
        for check in REFUSED.iter().flat_map(|address| every_type(address)) {
            refuses(&prober, &check).await;
        }
        assert_eq!(packets_sent(), 0);
        for check in every_type("9.9.9.9") {
            let before = packets_sent();
            assert_ne!(ask(&prober, &impatient(check.clone())).await.finding, Finding::Passed);
            assert!(packets_sent() > before, "what is allowed is sent, and counted: {:?}", check.probe);
        }
    });
}

#[test]
fn a_name_that_leads_to_a_refused_address_costs_the_question_and_nothing_else() {
    within("", async || {
        let address = |text: &str| text.parse().expect("an address");
        let dns = Dns::start(&[
            ("inside.example", Answer::Addresses(vec![address("10.0.0.1")])),
            ("mixed.example", Answer::Addresses(vec![address("9.9.9.9"), address("169.254.169.254")])),
        ])
        .await;
        let prober = prober(|config| {
            config.address_policy = AddressPolicy::default();
            config.resolver = ResolverConfig::Servers(vec![dns.address]);
        });
        for check in every_type("inside.example").into_iter().chain(every_type("mixed.example")) {
            let before = packets_sent();
            refuses(&prober, &check).await;
            assert_eq!(packets_sent() - before, 2, "a question and its answer");
        }
    });
}

#[test]
fn an_operator_who_allows_everything_still_sends_nothing_to_metadata_services() {
    within("", async || {
        let all = ["0.0.0.0/0", "::/0"].map(|range| range.parse().expect("a range"));
        let prober = prober(|config| config.address_policy = AddressPolicy::new(all.to_vec()));
        for address in ["169.254.169.254", "100.100.100.200", "168.63.129.16", "fd00:ec2::254", "::ffff:169.254.169.254", "224.0.0.1"] {
            for check in every_type(address) {
                refuses(&prober, &check).await;
            }
        }
        assert_eq!(packets_sent(), 0);
        assert_eq!(ask(&prober, &impatient(tcp_check("10.0.0.1", 80))).await.finding, failed(R::TcpTimeout));
        assert_eq!(packets_sent(), 1);
    });
}

/// Names that all lead to 198.41.0.4, which refuses.
const NAMES: [&str; 4] = ["a.example", "b.example", "c.example", "d.example"];

/// A worker that asks one address twice a second.
fn sparing(dns: &Dns) -> NetProber {
    prober(|config| {
        config.resolver = ResolverConfig::Servers(vec![dns.address]);
        config.address_probes_per_second_max = 2;
    })
}

/// What is found as one of a worker's jobs, which come again each second.
async fn ask_as_job(prober: &NetProber, check: &Check) -> Finding {
    let target = Target::new(check).expect("runnable");
    prober.probe_once(&target.asked_by(Asker::job(JobKey::of(check).rank(), check))).await.finding
}

#[test]
fn where_too_many_ask_one_address_the_same_ones_abstain_with_every_probe_and_at_every_worker() {
    within("ip addr add 198.41.0.4/32 dev lo", async || {
        let dns = Dns::start(&NAMES.map(|name| (name, Answer::Addresses(vec!["198.41.0.4".parse().expect("an address")])))).await;
        // Nothing here lapses or runs out of time on a busy machine.
        let checks = NAMES.map(|name| Check { timeout: Duration::from_mins(10), ..tcp_check(name, 80) });
        let mut told = Vec::new();
        for first in 0..NAMES.len() {
            // Each worker hears of the checks in another order.
            let mut checks = checks.clone();
            checks.rotate_left(first);
            let worker = sparing(&dns);
            let mut rounds = Vec::new();
            for _ in 0..10 {
                let mut round = BTreeMap::new();
                for check in &checks {
                    round.insert(check.address.clone(), ask_as_job(&worker, check).await);
                }
                rounds.push(round);
            }
            let settled = rounds.split_off(1);
            assert!(settled.iter().all(|round| *round == settled[0]), "no vote flickers: {settled:#?}");
            told.push(settled[0].clone());
        }
        assert!(told.iter().all(|findings| *findings == told[0]), "all workers agree: {told:#?}");
        let count = |finding| told[0].values().filter(|found| **found == finding).count();
        assert_eq!(
            (count(failed(R::TcpConnectionFailed)), count(Finding::Abstained(R::MonitorConfigError))),
            (2, 2),
            "and nobody is down by it"
        );
    });
}

#[test]
fn not_a_packet_leaves_beyond_the_cap_of_an_address_by_whatever_way() {
    within("ip addr add 198.41.0.4/32 dev lo", async || {
        let dns = Dns::start(&[("a.example", Answer::Addresses(vec!["198.41.0.4".parse().expect("an address")]))]).await;
        let worker = sparing(&dns);
        // A claim lasts two intervals and a timeout: to the end of this test.
        let lasting = |address: &str| Check { timeout: Duration::from_mins(10), ..tcp_check(address, 80) };
        for address in ["198.41.0.4", "::ffff:198.41.0.4"] {
            assert_eq!(ask_as_job(&worker, &lasting(address)).await, failed(R::TcpConnectionFailed), "{address}");
        }
        let before = packets_sent();
        for address in ["198.41.0.4", "::ffff:198.41.0.4", "64:ff9b::198.41.0.4", "2002:c629:4::"] {
            for check in every_type(address) {
                assert_eq!(ask(&worker, &check).await.finding, Finding::Abstained(R::MonitorConfigError), "{address}: {:?}", check.probe);
            }
        }
        assert_eq!(packets_sent(), before);
        let by_name = ask(&worker, &lasting("a.example")).await.finding;
        assert_eq!((by_name, packets_sent() - before), (Finding::Abstained(R::MonitorConfigError), 2), "a question and its answer");

        assert_eq!(ask(&worker, &impatient(tcp_check("9.9.9.8", 80))).await.finding, failed(R::TcpTimeout), "another address");
        for _ in 0..20 {
            assert_eq!(ask(&worker, &tcp_check("127.0.0.1", 1)).await.finding, failed(R::TcpConnectionFailed), "named by the operator");
        }
    });
}

#[test]
fn redirects_in_a_circle_get_no_further_than_the_cap_of_the_address() {
    within("ip addr add 198.41.0.4/32 dev lo", async || {
        let circle = Server::start_on("198.41.0.4:80", |mut stream| async move {
            read_head(&mut stream).await;
            send(&mut stream, &["HTTP/1.1 302 Found\r\nLocation: /again\r\n\r\n"]).await;
        })
        .await;
        let dns = Dns::start(&[]).await;
        let worker = sparing(&dns);
        let check = http_check("198.41.0.4", 80, |ask| ask.follow_redirects = true);
        for probes in 1..=5 {
            assert_eq!(ask_as_job(&worker, &check).await, Finding::Abstained(R::MonitorConfigError));
            assert_eq!(circle.came(), 2 * probes, "of eleven connections");
        }
    });
}
