//! What a handshake leaves out because an earlier one has shown it, and what it never does.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use openssl::ssl::{Ssl, SslAcceptor, SslContext, SslMethod, SslVersion};
use quorate_core::check::HttpProbe;
use quorate_core::failure::FailureReason as R;
use rcgen::date_time_ymd;
use tokio::time::{Duration, advance, pause, resume, sleep};
use tokio_openssl::SslStream;

use super::origin::{Authority, Leaf, OK, authority, check, named};
use crate::config::TlsPolicy;
use crate::probe::tests::server::{Server, read_head, send};
use crate::probe::tests::{Finding, failed, prober};
use crate::probe::{NetProber, Prober as _, Target};

const HOUR: Duration = Duration::from_hours(1);

/// An HTTPS origin that takes up sessions, also those that began under another certificate.
struct Origin {
    server: Server,
    shown: Arc<Mutex<SslContext>>,
    /// Of each handshake: whether it resumed a session.
    resumed: Arc<Mutex<Vec<bool>>>,
}

fn context(leaf: &Leaf, version: SslVersion) -> SslContext {
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).expect("OpenSSL");
    builder.set_max_proto_version(Some(version)).expect("a version");
    leaf.show(&mut builder);
    builder.build().into_context()
}

impl Origin {
    async fn start(leaf: &Leaf, version: SslVersion) -> Self {
        let shown = Arc::new(Mutex::new(context(leaf, version)));
        let resumed = Arc::<Mutex<Vec<bool>>>::default();
        let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).expect("OpenSSL");
        builder.set_max_proto_version(Some(version)).expect("a version");
        leaf.show(&mut builder);
        let now_shown = shown.clone();
        builder.set_servername_callback(move |ssl, _| {
            ssl.set_ssl_context(&now_shown.lock().expect("no panic")).expect("taken");
            Ok(())
        });
        let (acceptor, seen) = (builder.build(), resumed.clone());
        let server = Server::start(move |stream| {
            let (ssl, seen) = (Ssl::new(acceptor.context()).expect("OpenSSL"), seen.clone());
            async move {
                let mut stream = SslStream::new(ssl, stream).expect("OpenSSL");
                let accepted = Pin::new(&mut stream).accept().await;
                if accepted.is_ok() {
                    seen.lock().expect("no panic").push(stream.ssl().session_reused());
                    read_head(&mut stream).await;
                    send(&mut stream, &[OK]).await;
                }
            }
        })
        .await;
        Self { server, shown, resumed }
    }

    fn shows(&self, leaf: &Leaf, version: SslVersion) {
        *self.shown.lock().expect("no panic") = context(leaf, version);
    }

    /// Since the last call.
    fn resumed(&self) -> Vec<bool> {
        std::mem::take(&mut self.resumed.lock().expect("no panic"))
    }

    fn target(&self, change: impl FnOnce(&mut HttpProbe)) -> Target {
        Target::new(&check(&self.server, change)).expect("runnable")
    }
}

/// Trusts an authority, and wants a full handshake this often.
fn prober_every(authority: &Authority, full_handshake_every: Duration) -> NetProber {
    prober(|config| {
        config.extra_ca_pem = Some(authority.pem());
        config.tls = TlsPolicy { full_handshake_every, ..TlsPolicy::default() };
    })
}

async fn later(time: Duration) {
    pause();
    advance(time).await;
    resume();
}

#[tokio::test]
async fn a_session_is_resumed_until_a_full_handshake_is_due() {
    let authority = authority();
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let origin = Origin::start(&Leaf::of(&authority, "origin.example"), version).await;
        let often = prober_every(&authority, HOUR);
        let target = origin.target(named("origin.example"));
        for minutes in [0, 1, 58, 2, 1] {
            later(Duration::from_mins(minutes)).await;
            let outcome = often.probe_once(&target).await;
            assert_eq!(outcome.finding, Finding::Passed);
            assert!(outcome.certificate_days_left.is_some(), "known from the full handshake");
        }
        assert_eq!(origin.resumed(), [false, true, true, false, true], "{version:?}");

        let always = prober_every(&authority, Duration::ZERO);
        let target = origin.target(named("origin.example"));
        for _ in 0..3 {
            assert_eq!(always.probe_once(&target).await.finding, Finding::Passed);
        }
        assert_eq!(origin.resumed(), [false, false, false], "{version:?}");
    }
}

#[tokio::test]
async fn no_session_crosses_targets_names_or_what_may_be_insecure() {
    let authority = authority();
    let origin = Origin::start(&Leaf::of(&authority, "*.origin.example"), SslVersion::TLS1_3).await;
    let prober = prober_every(&authority, HOUR);
    let insecure = |ask: &mut HttpProbe| {
        named("a.origin.example")(ask);
        ask.allow_insecure = true;
    };
    for target in [
        origin.target(insecure),
        origin.target(named("a.origin.example")),
        origin.target(named("a.origin.example")),
        origin.target(named("b.origin.example")),
    ] {
        assert_eq!(prober.probe_once(&target).await.finding, Finding::Passed);
        assert_eq!(prober.probe_once(&target).await.finding, Finding::Passed);
        assert_eq!(origin.resumed(), [false, true]);
    }
}

#[tokio::test]
async fn a_swapped_certificate_is_seen_at_the_next_full_handshake_and_each_after_it_is_full() {
    let (authority, version) = (authority(), SslVersion::TLS1_3);
    let good = Leaf::of(&authority, "origin.example");
    let origin = Origin::start(&good, version).await;
    let prober = prober_every(&authority, HOUR);
    let target = origin.target(named("origin.example"));
    assert_eq!(prober.probe_once(&target).await.finding, Finding::Passed);

    origin.shows(&Leaf::self_signed("origin.example"), version);
    assert_eq!(prober.probe_once(&target).await.finding, Finding::Passed, "the session goes on");
    assert_eq!(origin.resumed(), [false, true]);
    later(HOUR).await;
    for _ in 0..2 {
        assert_eq!(prober.probe_once(&target).await.finding, failed(R::TlsUntrustedCertificate));
    }

    origin.shows(&Leaf::of(&authority, "other.example"), version);
    assert_eq!(prober.probe_once(&target).await.finding, failed(R::TlsNameMismatch));
    origin.shows(&good, version);
    assert_eq!(prober.probe_once(&target).await.finding, Finding::Passed);
    // The server finishes before it hears that its certificate is refused, or does not.
    assert_eq!(origin.resumed().last(), Some(&false));
}

#[tokio::test]
async fn a_certificate_that_ends_is_seen_at_that_second_also_in_a_resumed_session() {
    let authority = authority();
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let not_after = Duration::from_secs(now().as_secs() + 3);
    let leaf = Leaf::with(&authority, "origin.example", |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(1970, 1, 1) + not_after;
    });
    let origin = Origin::start(&leaf, SslVersion::TLS1_3).await;
    let prober = prober_every(&authority, HOUR);
    let target = origin.target(named("origin.example"));
    loop {
        let began = now();
        let finding = prober.probe_once(&target).await.finding;
        // OpenSSL takes the last second as still valid.
        if began > not_after + Duration::from_secs(1) {
            assert_eq!(finding, failed(R::TlsUntrustedCertificate));
            break;
        }
        if now() < not_after {
            assert_eq!(finding, Finding::Passed);
        }
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_fails_over_a_resumed_session_is_asked_again_in_full() {
    let authority = authority();
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let acceptor = context(&Leaf::of(&authority, "origin.example"), version);
        let server = Server::start(move |stream| {
            let ssl = Ssl::new(&acceptor).expect("OpenSSL");
            async move {
                let mut stream = SslStream::new(ssl, stream).expect("OpenSSL");
                let is_full = Pin::new(&mut stream).accept().await.is_ok() && !stream.ssl().session_reused();
                if is_full {
                    read_head(&mut stream).await;
                    send(&mut stream, &[OK]).await;
                }
            }
        })
        .await;
        let prober = prober_every(&authority, HOUR);
        let target = Target::new(&check(&server, named("origin.example"))).expect("runnable");
        for came in [1, 3, 5] {
            assert_eq!(prober.probe_once(&target).await.finding, Finding::Passed);
            assert_eq!(server.came(), came, "{version:?}");
        }
    }
}
