//! How much an HTTPS origin may say, and how many may be asked the expensive way at once.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use openssl::ssl::{Ssl, SslAcceptor, SslAcceptorBuilder, SslMethod, SslVersion};
use openssl::x509::X509;
use quorate_core::check::Check;
use quorate_core::failure::FailureReason as R;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_openssl::SslStream;

use super::origin::{Leaf, check, serve, serve_on};
use crate::probe::tests::server::{Server, read_head};
use crate::probe::tests::{Finding, failed, find, prober};
use crate::probe::tls::{BROAD_AT_ONCE_MAX, Library};
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

#[tokio::test]
async fn who_finds_openssl_asked_by_too_many_at_once_abstains() {
    let prober = prober(|_| {});
    let (good, _) = serve(&Leaf::self_signed("origin.example"), |_| {}).await;
    let good = by_openssl(&good, "");
    assert_eq!(prober.probe_once(&good).await.finding, Finding::Passed, "there is room");

    let (slow, mut begun) = without_an_end().await;
    let slow = by_openssl(&slow, "needle");
    let mut slow: Vec<_> = (0..BROAD_AT_ONCE_MAX).map(|_| Box::pin(prober.probe_once(&slow))).collect();
    let mut all = poll_fn(|cx| {
        assert!(slow.iter_mut().all(|probe| probe.as_mut().poll(cx).is_pending()), "no answer has an end");
        Poll::<()>::Pending
    });
    for _ in 0..BROAD_AT_ONCE_MAX {
        tokio::select! {
            Some(()) = begun.recv() => {}
            () = &mut all => {}
        }
    }
    assert_eq!(prober.probe_once(&good).await.finding, Finding::Abstained(R::OtherFailure), "it is not the origin's fault");
    drop(slow.pop());
    assert_eq!(prober.probe_once(&good).await.finding, Finding::Passed, "somebody has gone");
}

fn library(target: &Target) -> Library {
    target.memory.as_ref().expect("an HTTPS check").library()
}

/// Left with OpenSSL, and with time enough.
fn by_openssl(server: &Server, body: &str) -> Target {
    let check = check(server, |ask| {
        ask.allow_insecure = true;
        ask.expected_body = body.to_owned();
    });
    let target = Target::new(&Check { timeout: Duration::from_mins(1), ..check }).expect("runnable");
    target.memory.as_ref().expect("an HTTPS check").needs_broad();
    target
}

/// Begins an answer, says so, and does not end it.
async fn without_an_end() -> (Server, UnboundedReceiver<()>) {
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).expect("OpenSSL");
    Leaf::self_signed("origin.example").show(&mut builder);
    let acceptor = builder.build();
    let (sender, begun) = unbounded_channel();
    let server = Server::start(move |stream| {
        let (ssl, sender) = (Ssl::new(acceptor.context()).expect("OpenSSL"), sender.clone());
        async move {
            let mut stream = SslStream::new(ssl, stream).expect("OpenSSL");
            Pin::new(&mut stream).accept().await.expect("a handshake");
            read_head(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nand").await.expect("the probe listens");
            sender.send(()).expect("the test waits");
            while stream.read(&mut [0; 1024]).await.is_ok_and(|bytes| bytes > 0) {}
        }
    })
    .await;
    (server, begun)
}
