use std::time::Duration;

use hickory_proto::op::ResponseCode;
use quorate_core::check::Check;
use quorate_core::failure::FailureReason as R;

use super::checks::{http_check, tcp_check};
use super::dns::{Answer, Dns};
use super::server::{Server, hold, read_head, send};
use super::{Finding, NetProber, Phase, Phases, ask, failed, impatient, prober};
use crate::config::ResolverConfig;

fn asking(dns: &Dns) -> NetProber {
    prober(|config| config.resolver = ResolverConfig::Servers(vec![dns.address]))
}

fn addresses(texts: &[&str]) -> Answer {
    Answer::Addresses(texts.iter().map(|text| text.parse().expect("an address")).collect())
}

/// A TCP check of a name on the server's port.
fn check(name: &str, server: &Server) -> Check {
    tcp_check(name, server.address.port())
}

#[tokio::test]
async fn a_name_is_looked_up_anew_for_every_probe_and_never_twice_in_one() {
    let server = Server::silent().await;
    let dns = Dns::start(&[("origin.example", addresses(&["127.0.0.1"]))]).await;
    let prober = asking(&dns);
    for probes in 1..=3 {
        let outcome = ask(&prober, &check("Origin.Example", &server)).await;
        assert_eq!(outcome.finding, Finding::Passed);
        assert!(outcome.phases.of(Phase::Resolve).is_some());
        assert_eq!((dns.asked("origin.example. A"), dns.asked("origin.example. AAAA")), (probes, 0));
    }
}

#[tokio::test]
async fn ipv4_comes_first_and_of_several_addresses_the_lowest() {
    let v4 = Server::start_on("127.0.0.2:0", hold).await;
    let dns = Dns::start(&[("both.example", addresses(&["127.0.0.9", "127.0.0.2", "127.0.0.3", "::1"]))]).await;
    assert_eq!(ask(&asking(&dns), &check("both.example", &v4)).await.finding, Finding::Passed);
    let v6 = Server::start_on("[::1]:0", hold).await;
    dns.tells("six.example", addresses(&["::1"]));
    assert_eq!(ask(&asking(&dns), &check("six.example", &v6)).await.finding, Finding::Passed, "no A record");
}

#[tokio::test]
async fn a_name_that_does_not_exist_or_has_no_address_is_unknown() {
    let server = Server::silent().await;
    let dns = Dns::start(&[("empty.example", addresses(&[]))]).await;
    for name in ["absent.example", "empty.example"] {
        let outcome = ask(&asking(&dns), &Check { retries: 3, ..check(name, &server) }).await;
        assert_eq!((outcome.finding, outcome.attempts), (failed(R::DnsUnknownHost), 1), "{name}");
    }
}

#[tokio::test]
async fn a_resolver_that_fails_for_one_name_condemns_it_and_one_that_fails_for_all_abstains() {
    let server = Server::silent().await;
    let (servfail, refused) = (Answer::Code(ResponseCode::ServFail), Answer::Code(ResponseCode::Refused));
    let dns = Dns::start(&[("good.example", addresses(&["127.0.0.1"])), ("bad.example", servfail.clone()), ("no.example", refused)]).await;
    let prober = asking(&dns);
    assert_eq!(ask(&prober, &check("good.example", &server)).await.finding, Finding::Passed);
    for name in ["bad.example", "no.example"] {
        assert_eq!(ask(&prober, &check(name, &server)).await.finding, failed(R::OtherFailure), "{name}: others are answered");
    }
    dns.tells("good.example", servfail);
    for name in ["bad.example", "no.example", "good.example"] {
        assert_eq!(ask(&prober, &check(name, &server)).await.finding, Finding::Abstained(R::OtherFailure), "{name}: nobody is answered");
    }
}

#[tokio::test]
async fn a_resolver_is_asked_for_something_else_where_it_is_silent() {
    let server = Server::silent().await;
    let dns = Dns::start(&[("good.example", addresses(&["127.0.0.1"])), ("slow.example", Answer::Silence)]).await;
    let prober = asking(&dns);
    assert_eq!(ask(&prober, &check("good.example", &server)).await.finding, Finding::Passed);
    let slow = Check { retries: 1, ..impatient(check("slow.example", &server)) };
    let outcome = ask(&prober, &slow).await;
    assert_eq!((outcome.finding, outcome.attempts), (failed(R::OtherFailure), 2));
    dns.goes_down();
    let started = std::time::Instant::now();
    let outcome = ask(&prober, &slow).await;
    assert_eq!((outcome.finding, outcome.attempts), (Finding::Abstained(R::OtherFailure), 2));
    assert!(started.elapsed() < 5 * slow.timeout, "within the deadlines of two attempts");
}

#[tokio::test]
async fn the_first_name_of_all_is_held_against_the_root() {
    let server = Server::silent().await;
    let dns = Dns::start(&[("bad.example", Answer::Code(ResponseCode::ServFail))]).await;
    assert_eq!(ask(&asking(&dns), &check("bad.example", &server)).await.finding, Finding::Abstained(R::OtherFailure));
    assert_eq!(dns.asked(". NS"), 1);
    dns.tells("", Answer::NameServer("a.root.example."));
    assert_eq!(ask(&asking(&dns), &check("bad.example", &server)).await.finding, failed(R::OtherFailure), "the root is answered");
}

#[tokio::test]
async fn names_that_no_server_is_asked_for_say_nothing_of_the_resolver() {
    let server = Server::silent().await;
    let dns = Dns::start(&[("good.example", addresses(&["127.0.0.1"]))]).await;
    let prober = asking(&dns);
    assert_eq!(ask(&prober, &check("good.example", &server)).await.finding, Finding::Passed);
    dns.goes_down();
    let good = impatient(check("good.example", &server));
    for (name, expected) in
        [("x.invalid", failed(R::DnsUnknownHost)), ("localhost", Finding::Passed), ("x.onion", failed(R::DnsUnknownHost))]
    {
        let special = impatient(check(name, &server));
        let asked = dns.asked("good.example. A");
        let others = async {
            // Within the time of the question about the other name, which ends by its deadline.
            while dns.asked("good.example. A") == asked {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            ask(&prober, &special).await.finding
        };
        let (found, special) = tokio::join!(ask(&prober, &good), others);
        assert_eq!((found.finding, special), (Finding::Abstained(R::OtherFailure), expected), "beside {name}");
    }
    assert_eq!(dns.asked("x.invalid. A") + dns.asked("localhost. A") + dns.asked("x.onion. A"), 0);
}

#[tokio::test]
async fn one_forbidden_address_among_others_is_enough_to_refuse() {
    let server = Server::silent().await;
    let dns = Dns::start(&[
        ("mixed.example", addresses(&["127.0.0.1", "10.0.0.1"])),
        ("metadata.example", addresses(&["169.254.169.254"])),
        ("mapped.example", addresses(&["::ffff:169.254.169.254"])),
    ])
    .await;
    for name in ["mixed.example", "metadata.example", "mapped.example"] {
        let outcome = ask(&asking(&dns), &check(name, &server)).await;
        assert_eq!(outcome.finding, failed(R::DnsInternal), "{name}");
        assert_eq!((outcome.phases, outcome.rtt), (Phases::default(), None), "{name}: not even how long its name took");
    }
    assert_eq!(server.came(), 0);
}

#[tokio::test]
async fn a_name_that_changes_under_our_hands_is_judged_as_it_is_connected_to() {
    let server = Server::silent().await;
    let turns = [["127.0.0.1"], ["10.0.0.1"]].map(|turn| turn.map(|text| text.parse().expect("an address")).to_vec());
    let dns = Dns::start(&[("rebinding.example", Answer::Turns(turns.to_vec()))]).await;
    let prober = asking(&dns);
    for turn in 0..1_000 {
        let expected = if turn % 2 == 0 { Finding::Passed } else { failed(R::DnsInternal) };
        assert_eq!(ask(&prober, &check("rebinding.example", &server)).await.finding, expected, "turn {turn}");
    }
    assert_eq!((dns.asked("rebinding.example. A"), server.came()), (1_000, 500));
}

#[tokio::test]
async fn a_redirect_to_a_name_is_resolved_and_judged_like_any_other() {
    let dns = Dns::start(&[
        ("origin.example", addresses(&["127.0.0.1"])),
        ("inside.example", addresses(&["169.254.169.254"])),
        ("outside.example", addresses(&["127.0.0.3"])),
    ])
    .await;
    let outside = Server::start_on("127.0.0.3:0", |mut stream| async move {
        read_head(&mut stream).await;
        send(&mut stream, &["HTTP/1.1 200 OK\r\n\r\n"]).await;
    })
    .await;
    for (location, expected) in [
        ("http://inside.example/".to_owned(), failed(R::DnsInternal)),
        ("http://absent.example/".to_owned(), failed(R::DnsUnknownHost)),
        (format!("http://outside.example:{}/", outside.address.port()), Finding::Passed),
    ] {
        let told = location.clone();
        let server = Server::start(move |mut stream| {
            let location = told.clone();
            async move {
                read_head(&mut stream).await;
                send(&mut stream, &[&format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\n\r\n")]).await;
            }
        })
        .await;
        let check = http_check("origin.example", server.address.port(), |ask| ask.follow_redirects = true);
        let outcome = ask(&asking(&dns), &check).await;
        assert_eq!(outcome.finding, expected, "{location}");
        assert_eq!(outcome.phases != Phases::default(), expected != failed(R::DnsInternal), "{location}: how long its name took");
    }
    assert_eq!(outside.came(), 1);
}

#[tokio::test]
async fn one_deadline_holds_from_the_look_up_to_the_last_byte() {
    // Each of three parts takes less than the timeout, and all of them more.
    let timeout = Duration::from_secs(2);
    let part = timeout * 7 / 20;
    let server = Server::start(move |mut stream| async move {
        read_head(&mut stream).await;
        for piece in ["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", "ok"] {
            tokio::time::sleep(part).await;
            send(&mut stream, &[piece]).await;
        }
    })
    .await;
    let dns = Dns::start(&[("origin.example", addresses(&["127.0.0.1"]))]).await;
    dns.takes(part);
    let check = http_check("origin.example", server.address.port(), |ask| ask.expected_body = "ok".to_owned());
    let outcome = ask(&asking(&dns), &Check { timeout, ..check.clone() }).await;
    assert_eq!(outcome.finding, failed(R::HttpTimeout));
    let phases = outcome.phases;
    assert!(
        phases.of(Phase::Resolve) >= Some(part) && phases.of(Phase::FirstByte) >= Some(part / 2) && phases.of(Phase::Body) < Some(part),
        "{phases:?}"
    );
    let patient = ask(&asking(&dns), &Check { timeout: 10 * timeout, ..check }).await;
    assert_eq!(patient.finding, Finding::Passed, "given the time");
}

#[tokio::test]
async fn an_alias_is_followed_and_a_circle_of_them_is_left() {
    let server = Server::silent().await;
    let dns = Dns::start(&[
        ("www.example", Answer::Alias("origin.example.")),
        ("origin.example", addresses(&["127.0.0.1"])),
        ("a.example", Answer::Alias("b.example.")),
        ("b.example", Answer::Alias("a.example.")),
        ("self.example", Answer::Alias("self.example.")),
    ])
    .await;
    let prober = asking(&dns);
    assert_eq!(ask(&prober, &check("www.example", &server)).await.finding, Finding::Passed);
    for name in ["a.example", "self.example"] {
        let outcome = ask(&prober, &Check { retries: 3, ..check(name, &server) }).await;
        assert_eq!((outcome.finding, outcome.attempts), (failed(R::DnsUnknownHost), 1), "{name}");
        assert!(dns.asked(&format!("{name}. A")) < 20, "asked {} times", dns.asked(&format!("{name}. A")));
    }
}

#[tokio::test]
async fn a_thousand_addresses_are_judged_to_the_last() {
    let server = Server::start_on("127.0.0.7:0", hold).await;
    let many = |last: &str| {
        let others = (1..=999_u16).map(|number| format!("127.1.{}.{}", number / 250, number % 250 + 1));
        Answer::Addresses(others.chain([last.to_owned()]).map(|text| text.parse().expect("an address")).collect())
    };
    let dns = Dns::start(&[("many.example", many("127.0.0.7")), ("inside.example", many("10.0.0.1"))]).await;
    let prober = asking(&dns);
    assert_eq!(ask(&prober, &check("many.example", &server)).await.finding, Finding::Passed, "the lowest is the last");
    assert_eq!(ask(&prober, &check("inside.example", &server)).await.finding, failed(R::DnsInternal));
    assert_eq!(server.came(), 1);
}
