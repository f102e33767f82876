//! How much an HTTPS origin may say.

use openssl::ssl::{SslAcceptorBuilder, SslVersion};
use openssl::x509::X509;
use quorate_core::failure::FailureReason as R;

use super::origin::{Leaf, check, serve, serve_on};
use crate::probe::tests::{Finding, failed, find, prober};
use crate::probe::tls::Library;
use crate::probe::{Prober as _, Target};

const VERSIONS: [SslVersion; 2] = [SslVersion::TLS1_2, SslVersion::TLS1_3];

/// Shows `leaf`, and after it as many others as make `bytes`.
fn long_chain(leaf: &Leaf, version: SslVersion, bytes: usize) -> impl FnOnce(&mut SslAcceptorBuilder) {
    let other = X509::from_pem(leaf.certificate.as_bytes()).expect("a certificate");
    let others = bytes / other.to_der().expect("a certificate").len();
    move |builder| {
        builder.set_max_proto_version(Some(version)).expect("a version");
        for _ in 0..others {
            builder.add_extra_chain_cert(other.clone()).expect("taken");
        }
    }
}

#[tokio::test]
async fn chains_pass_up_to_sixty_kib() {
    for version in VERSIONS {
        for (kib, finding) in [(8, Finding::Passed), (20, Finding::Passed), (60, Finding::Passed), (70, failed(R::TlsHandshakeFailure))] {
            let leaf = Leaf::self_signed("origin.example");
            let (server, _) = serve(&leaf, long_chain(&leaf, version, kib * 1024)).await;
            assert_eq!(find(&check(&server, |ask| ask.allow_insecure = true)).await, finding, "{kib} KiB over {version:?}");
        }
    }
}

#[tokio::test]
async fn tickets_before_the_answer_pass_while_they_have_an_end() {
    for (tickets, finding) in [(10, Finding::Passed), (500, failed(R::HttpInvalidResponse))] {
        let (server, _) = serve(&Leaf::self_signed("origin.example"), |builder| builder.set_num_tickets(tickets).expect("taken")).await;
        assert_eq!(find(&check(&server, |ask| ask.allow_insecure = true)).await, finding, "{tickets} tickets");
    }
}

#[tokio::test]
async fn an_answer_is_read_on_however_much_came_before_it() {
    // A body nearly as long as is searched, in chunks of one letter.
    let body = "1\r\nb\r\n".repeat(10_000);
    let answer = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}6\r\nneedle\r\n0\r\n\r\n");
    for version in VERSIONS {
        let (server, _) = serve_on("127.0.0.1:0", &Leaf::self_signed("origin.example"), answer.clone(), |builder| {
            builder.set_max_proto_version(Some(version)).expect("a version");
        })
        .await;
        let check = check(&server, |ask| {
            ask.allow_insecure = true;
            ask.expected_body = "needle".to_owned();
        });
        let target = Target::new(&check).expect("runnable");
        assert_eq!(prober(|_| {}).probe_once(&target).await.finding, Finding::Passed, "{version:?}");
        assert_eq!(library(&target), Library::Modern, "{version:?}");
    }
}

fn library(target: &Target) -> Library {
    target.memory.as_ref().expect("an HTTPS check").library()
}
