//! HTTP over TLS, ended where it can end once the handshake is done.

use std::io::{Read as _, Write as _};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use openssl::ssl::{Ssl, SslAcceptor, SslMethod, SslVersion};
use quorate_core::failure::FailureReason as R;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_openssl::SslStream;

use super::checks::http_check;
use super::server::{Server, hold, read_head};
use super::tls::{Leaf, check};
use super::{Finding, Prober as _, Target, failed, find, impatient, prober};

/// How a server leaves.
#[derive(Clone, Copy, Debug)]
enum Leaving {
    /// With the alert that says so.
    InOrder,
    /// Without a word, as many do.
    Silently,
    ByReset,
    /// Not at all.
    Never,
}

/// Shakes hands, reads a request, says `said` and leaves.
async fn saying(version: SslVersion, said: &'static str, leaving: Leaving) -> Server {
    let leaf = Leaf::self_signed("origin.example");
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).expect("OpenSSL");
    builder.set_max_proto_version(Some(version)).expect("a version");
    leaf.show(&mut builder);
    let acceptor = Arc::new(builder.build());
    Server::start(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let mut secured = SslStream::new(Ssl::new(acceptor.context()).expect("OpenSSL"), stream).expect("OpenSSL");
            Pin::new(&mut secured).accept().await.expect("a handshake");
            read_head(&mut secured).await;
            secured.write_all(said.as_bytes()).await.expect("the probe listens");
            match leaving {
                Leaving::InOrder => secured.shutdown().await.expect("the probe listens"),
                Leaving::Silently => secured.get_mut().shutdown().await.expect("the probe listens"),
                Leaving::ByReset => return socket2::SockRef::from(secured.get_ref()).set_linger(Some(Duration::ZERO)).expect("a socket"),
                Leaving::Never => {}
            }
            // The probe goes first, or what it still says would be answered by a reset.
            while secured.get_mut().read(&mut [0; 1024]).await.is_ok_and(|bytes| bytes > 0) {}
        }
    })
    .await
}

#[tokio::test]
async fn the_end_of_a_connection_is_judged_as_it_is_without_tls() {
    use Leaving::{ByReset, InOrder, Never, Silently};
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        for (said, leaving, finding) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Never, Finding::Passed),
            ("HTTP/1.1 200 OK\r\n\r\nall is ok", InOrder, Finding::Passed),
            ("HTTP/1.1 200 OK\r\n\r\nall is lost", InOrder, failed(R::ResponseBodyMismatch)),
            ("HTTP/1.1 200 OK\r\n\r\nall is lost", Silently, failed(R::ResponseBodyMismatch)),
            ("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nall is", InOrder, failed(R::HttpInvalidResponse)),
            ("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nall is", Silently, failed(R::HttpInvalidResponse)),
            ("", InOrder, failed(R::HttpInvalidResponse)),
            ("", Silently, failed(R::HttpInvalidResponse)),
            ("HTTP/1.1 200 OK\r\nX", Silently, failed(R::HttpInvalidResponse)),
            ("SSH-2.0-OpenSSH_9.2\r\n", Silently, failed(R::HttpInvalidResponse)),
            ("", ByReset, failed(R::ConnectionReset)),
            ("HTTP/1.1 200 OK\r\nX", ByReset, failed(R::ConnectionReset)),
            ("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nall is", ByReset, failed(R::ConnectionReset)),
        ] {
            let server = saying(version, said, leaving).await;
            let check = check(&server, |ask| {
                ask.allow_insecure = true;
                ask.expected_body = "ok".to_owned();
            });
            assert_eq!(find(&check).await, finding, "{version:?}: {said:?}, then {leaving:?}");
            assert_eq!(server.came(), 1, "{version:?}: {said:?}, then {leaving:?}: no request is made twice");
        }
        for said in ["", "HTTP/1.1 200 OK\r\nX", "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nall is"] {
            let server = saying(version, said, Never).await;
            let check = check(&server, |ask| {
                ask.allow_insecure = true;
                ask.expected_body = "ok".to_owned();
            });
            assert_eq!(find(&impatient(check)).await, failed(R::HttpTimeout), "{version:?}: {said:?}, then nothing");
        }
    }
}

/// A certificate is shown, and then the line goes dead or is cut.
#[tokio::test]
async fn a_handshake_that_is_cut_in_its_middle_is_told_by_how() {
    let cut = |by_reset: bool| {
        Server::start(move |mut stream| async move {
            assert!(stream.read(&mut [0; 4096]).await.is_ok_and(|bytes| bytes > 100), "a ClientHello");
            // The head of a record of 16 bytes, and one of them.
            stream.write_all(b"\x16\x03\x03\x00\x10\x02").await.expect("the probe listens");
            if by_reset {
                socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("a socket");
            } else {
                stream.shutdown().await.expect("the probe listens");
                hold(stream).await;
            }
        })
    };
    for (by_reset, reason) in [(false, R::TlsHandshakeFailure), (true, R::ConnectionReset)] {
        assert_eq!(find(&check(&cut(by_reset).await, |_| {})).await, failed(reason), "by reset: {by_reset}");
    }
}

#[tokio::test]
async fn a_handshake_that_failed_is_told_where_no_second_one_is_let_in() {
    for (said, reason) in [
        (&b"\x15\x03\x03\x00\x02\x02\x50"[..], R::TlsHandshakeFailure),
        (b"\x15\x03\x03\x00\x02\x02\x46", R::TlsProtocolError),
        (b"\x15\x03\x03\x00\x02\x02\x70", R::TlsUnrecognizedName),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", R::TlsProtocolError),
    ] {
        assert_eq!(find_once(said).await, failed(reason), "{said:?}");
    }
}

/// What is found of a server that says this to whom comes first, and lets nobody in after that.
async fn find_once(said: &'static [u8]) -> Finding {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a probe");
        drop(listener);
        assert!(stream.read(&mut [0; 4096]).is_ok_and(|bytes| bytes > 100), "a ClientHello");
        stream.write_all(said).expect("the probe listens");
    });
    let found = find(&http_check("127.0.0.1", port, |ask| ask.tls = true)).await;
    serving.join().expect("no panic");
    found
}

#[tokio::test]
async fn a_handshake_that_trickles_does_not_move_the_deadline() {
    // A record that is as long as one may be.
    let server = Server::start(|mut stream| async move {
        stream.write_all(b"\x16\x03\x03\x40\x00").await.expect("the probe listens");
        let mut beat = tokio::time::interval(Duration::from_millis(10));
        while stream.write_all(b"\x02").await.is_ok() {
            beat.tick().await;
        }
    })
    .await;
    let target = Target::new(&impatient(check(&server, |_| {}))).expect("runnable");
    let prober = prober(|_| {});
    // The system's authorities are read first, and that takes a while.
    prober.probe_once(&Target::new(&check(&server, |_| {})).expect("runnable")).await;
    // By rustls, and then by OpenSSL.
    for _library in 0..2 {
        let started = std::time::Instant::now();
        assert_eq!(prober.probe_once(&target).await.finding, failed(R::TlsHandshakeFailure));
        assert!(started.elapsed() < 3 * target.timeout, "{:?}", started.elapsed());
    }
}
