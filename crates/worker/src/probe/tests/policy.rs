//! The address policy, counted in packets.

use quorate_core::address_policy::AddressPolicy;
use quorate_core::check::{Check, HttpProbe, Probe};
use quorate_core::failure::FailureReason as R;

use super::checks::{http_check, tcp_check};
use super::dns::{Answer, Dns};
use super::network::{packets_sent, within};
use super::{Finding, NetProber, ask, failed, impatient, prober};
use crate::config::ResolverConfig;

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

#[test]
fn one_address_is_asked_so_often_and_no_more_by_whatever_way() {
    within("", async || {
        let dns = Dns::start(&[("a.example", Answer::Addresses(vec!["9.9.9.9".parse().expect("an address")]))]).await;
        let prober = prober(|config| {
            config.resolver = ResolverConfig::Servers(vec![dns.address]);
            config.address_probes_per_second_max = 2;
        });
        let quick = |address: &str| Check { timeout: std::time::Duration::from_millis(1), ..tcp_check(address, 80) };
        // A burst of two seconds' worth.
        for address in ["9.9.9.9", "9.9.9.9", "9.9.9.9", "9.9.9.9"] {
            assert_eq!(ask(&prober, &quick(address)).await.finding, failed(R::TcpTimeout));
        }
        let before = packets_sent();
        for check in every_type("9.9.9.9") {
            assert_eq!(ask(&prober, &check).await.finding, Finding::Abstained(R::MonitorConfigError));
        }
        assert_eq!(packets_sent(), before);
        assert_eq!(ask(&prober, &tcp_check("a.example", 80)).await.finding, Finding::Abstained(R::MonitorConfigError), "by a name");
        assert_eq!(ask(&prober, &quick("9.9.9.8")).await.finding, failed(R::TcpTimeout), "another address");
        for _ in 0..20 {
            assert_eq!(ask(&prober, &tcp_check("127.0.0.1", 1)).await.finding, failed(R::TcpConnectionFailed), "named by the operator");
        }
    });
}
