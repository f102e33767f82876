//! HTTPS origins of every kind.

mod bounds;
mod origin;
mod resumption;
mod weak;
mod zones;

use openssl::ssl::{SniError, SslVerifyMode, SslVersion};
use quorate_core::check::{Check, HttpProbe};
use quorate_core::failure::FailureReason as R;
use rcgen::date_time_ymd;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

pub(super) use self::origin::{Leaf, authority, check, named, serve};
use self::origin::{OK, serve_on, trusting};
use super::checks::http_check;
use super::server::{Server, hold, send};
use super::{Finding, Phase, ask, failed, impatient, prober};

#[tokio::test]
async fn a_certificate_of_a_trusted_authority_for_the_name_passes() {
    let authority = authority();
    let (server, mut names) = serve(&Leaf::of(&authority, "origin.example"), |_| {}).await;
    let outcome = ask(&trusting(&authority), &check(&server, named("origin.example:8443"))).await;
    assert_eq!((outcome.finding, outcome.response_code), (Finding::Passed, Some(200)));
    assert!(outcome.phases.of(Phase::Tls).is_some() && outcome.rtt >= outcome.phases.of(Phase::Tls), "{outcome:?}");
    assert_eq!(names.recv().await, Some(Some("origin.example".to_owned())), "the Host header is the server name");
}

#[tokio::test]
async fn an_address_without_host_header_sends_no_name_and_is_looked_for_as_address() {
    let authority = authority();
    let (server, mut names) = serve(&Leaf::of(&authority, "127.0.0.1"), |_| {}).await;
    assert_eq!(ask(&trusting(&authority), &check(&server, |_| {})).await.finding, Finding::Passed);
    assert_eq!(names.recv().await, Some(None));
    let (server, _) = serve_on("[::1]:0", &Leaf::of(&authority, "::1"), OK, |_| {}).await;
    let v6 = http_check("::1", server.address.port(), |ask| ask.tls = true);
    assert_eq!(ask(&trusting(&authority), &v6).await.finding, Finding::Passed, "an IPv6 address");
    let (server, _) = serve_on("[::1]:0", &Leaf::of(&authority, "::2"), OK, |_| {}).await;
    let v6 = http_check("::1", server.address.port(), |ask| ask.tls = true);
    assert_eq!(ask(&trusting(&authority), &v6).await.finding, failed(R::TlsNameMismatch), "another IPv6 address");
    let (server, _) = serve(&Leaf::of(&authority, "127.0.0.9"), |_| {}).await;
    assert_eq!(ask(&trusting(&authority), &check(&server, |_| {})).await.finding, failed(R::TlsNameMismatch), "another address");
    let (server, _) = serve(&Leaf::of(&authority, "origin.example"), |_| {}).await;
    assert_eq!(ask(&trusting(&authority), &check(&server, |_| {})).await.finding, failed(R::TlsNameMismatch), "no address");
}

#[tokio::test]
async fn every_version_from_1_0_to_1_3_passes() {
    let authority = authority();
    let prober = trusting(&authority);
    for version in [SslVersion::TLS1, SslVersion::TLS1_1, SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let (server, _) = serve(&Leaf::of(&authority, "origin.example"), |builder| {
            builder.set_min_proto_version(Some(version)).expect("a version");
            builder.set_max_proto_version(Some(version)).expect("a version");
        })
        .await;
        assert_eq!(ask(&prober, &check(&server, named("origin.example"))).await.finding, Finding::Passed, "{version:?}");
    }
}

/// The system's library may have been built without.
#[cfg(feature = "vendored-openssl")]
#[tokio::test]
async fn a_server_that_has_nothing_better_than_3des_passes() {
    let authority = authority();
    for version in [SslVersion::TLS1, SslVersion::TLS1_2] {
        let (server, _) = serve(&Leaf::of(&authority, "origin.example"), |builder| {
            builder.set_min_proto_version(Some(version)).expect("a version");
            builder.set_max_proto_version(Some(version)).expect("a version");
            builder.set_cipher_list("3DES:@SECLEVEL=0").expect("ciphers");
        })
        .await;
        assert_eq!(ask(&trusting(&authority), &check(&server, named("origin.example"))).await.finding, Finding::Passed, "{version:?}");
    }
}

#[tokio::test]
async fn certificates_that_lead_nowhere_are_untrusted_unless_that_is_allowed() {
    let (authority, stranger) = (authority(), authority());
    let prober = trusting(&authority);
    let expired = Leaf::with(&authority, "origin.example", |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    });
    let early = Leaf::with(&authority, "origin.example", |params| {
        params.not_before = date_time_ymd(2090, 1, 1);
        params.not_after = date_time_ymd(2091, 1, 1);
    });
    for (name, leaf) in [
        ("self-signed", Leaf::self_signed("origin.example")),
        ("of an unknown issuer", Leaf::of(&stranger, "origin.example")),
        ("expired", expired),
        ("not yet valid", early),
    ] {
        let (server, _) = serve(&leaf, |_| {}).await;
        assert_eq!(ask(&prober, &check(&server, named("origin.example"))).await.finding, failed(R::TlsUntrustedCertificate), "{name}");
        let insecure = check(&server, |ask| {
            ask.allow_insecure = true;
            ask.host = Some("another.example".to_owned());
        });
        assert_eq!(ask(&prober, &insecure).await.finding, Finding::Passed, "{name}, allowed");
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_is_a_mismatch() {
    let authority = authority();
    let prober = trusting(&authority);
    let (server, _) = serve(&Leaf::of(&authority, "*.origin.example"), |_| {}).await;
    for (name, finding) in [
        ("a.origin.example", Finding::Passed),
        ("origin.example", failed(R::TlsNameMismatch)),
        ("a.b.origin.example", failed(R::TlsNameMismatch)),
        ("elsewhere.example", failed(R::TlsNameMismatch)),
    ] {
        assert_eq!(ask(&prober, &check(&server, named(name))).await.finding, finding, "{name}");
    }
}

#[tokio::test]
async fn what_does_not_speak_our_tls_is_a_protocol_error() {
    for (name, bytes) in [
        ("HTTP", &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..]),
        ("a banner", b"220 mail.example ESMTP\r\n"),
        ("alert 70", b"\x15\x03\x01\x00\x02\x02\x46"),
        ("alert 71", b"\x15\x03\x03\x00\x02\x02\x47"),
        // A ServerHello of SSL 3.0.
        (
            "SSL 3.0",
            b"\x16\x03\x00\x00\x2a\x02\x00\x00\x26\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\
              \x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x0a\x00",
        ),
    ] {
        let server = Server::shouting(bytes).await;
        assert_eq!(ask(&prober(|_| {}), &check(&server, |_| {})).await.finding, failed(R::TlsProtocolError), "{name}");
    }
}

#[tokio::test]
async fn alerts_and_silence_have_their_reasons() {
    let prober = prober(|_| {});
    // Every fatal alert that a server may send, RFC 8446 and those before it.
    for alert in [10, 20, 21, 22, 30, 40, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 60, 70, 71, 80, 86, 109, 110, 112, 113, 115, 116, 120] {
        let reason = match alert {
            70 | 71 => R::TlsProtocolError,
            112 => R::TlsUnrecognizedName,
            _ => R::TlsHandshakeFailure,
        };
        let server = Server::start(move |mut stream| async move {
            if stream.write_all(&[0x15, 3, 3, 0, 2, 2, alert]).await.is_ok() {
                hold(stream).await;
            }
        })
        .await;
        assert_eq!(ask(&prober, &check(&server, |_| {})).await.finding, failed(reason), "alert {alert}");
    }
    let server = Server::silent().await;
    let outcome = ask(&prober, &Check { retries: 1, ..impatient(check(&server, |_| {})) }).await;
    assert_eq!((outcome.finding, outcome.attempts), (failed(R::TlsHandshakeFailure), 2), "a stall is asked again");
    let closing = Server::start(|mut stream| async move {
        // All of ClientHello, or the close would be a reset.
        assert!(stream.read(&mut [0; 4096]).await.is_ok_and(|bytes| bytes > 100));
    })
    .await;
    assert_eq!(ask(&prober, &check(&closing, |_| {})).await.finding, failed(R::TlsHandshakeFailure), "closed");
    let resetting = Server::resetting_after("").await;
    assert_eq!(ask(&prober, &check(&resetting, |_| {})).await.finding, failed(R::ConnectionReset), "reset");
    let half = Server::start(|mut stream| async move {
        send(&mut stream, &["\x16\x03\x03"]).await;
        hold(stream).await;
    })
    .await;
    assert_eq!(ask(&prober, &impatient(check(&half, |_| {}))).await.finding, failed(R::TlsHandshakeFailure), "half a record");
}

#[tokio::test]
async fn a_server_that_does_not_know_the_name_says_so() {
    let authority = authority();
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let (server, _) = serve(&Leaf::of(&authority, "origin.example"), |builder| {
            builder.set_min_proto_version(Some(version)).expect("a version");
            builder.set_servername_callback(|_, alert| {
                *alert = openssl::ssl::SslAlert::UNRECOGNIZED_NAME;
                Err(SniError::ALERT_FATAL)
            });
        })
        .await;
        let finding = ask(&trusting(&authority), &check(&server, named("unknown.example"))).await.finding;
        assert_eq!(finding, failed(R::TlsUnrecognizedName), "{version:?}");
    }
}

#[tokio::test]
async fn a_demand_for_a_client_certificate_fails_the_handshake_in_every_version() {
    let authority = authority();
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let (server, _) = serve(&Leaf::of(&authority, "origin.example"), |builder| {
            builder.set_max_proto_version(Some(version)).expect("a version");
            builder.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
        })
        .await;
        // In TLS 1.3 the refusal comes when the client already speaks HTTP.
        let finding = ask(&trusting(&authority), &check(&server, named("origin.example"))).await.finding;
        assert_eq!(finding, failed(R::TlsHandshakeFailure), "{version:?}");
    }
}

#[tokio::test]
async fn a_redirect_from_https_to_http_is_refused() {
    let authority = authority();
    let plain = Server::answering(&[OK]).await;
    let location = plain.address;
    let answer = format!("HTTP/1.1 302 Found\r\nLocation: http://{location}/\r\n\r\n");
    let (server, _) = serve_on("127.0.0.1:0", &Leaf::of(&authority, "127.0.0.1"), answer, |_| {}).await;
    let finding = ask(&trusting(&authority), &check(&server, |ask| ask.follow_redirects = true)).await.finding;
    assert_eq!((finding, plain.came()), (failed(R::HttpInvalidResponse), 0));
}

#[tokio::test]
async fn without_a_common_cipher_the_handshake_fails() {
    let authority = authority();
    let (server, _) = serve(&Leaf::of(&authority, "origin.example"), |builder| {
        builder.set_max_proto_version(Some(SslVersion::TLS1_2)).expect("a version");
        // Those that show no certificate.
        builder.set_cipher_list("aNULL:@SECLEVEL=0").expect("ciphers");
    })
    .await;
    assert_eq!(ask(&trusting(&authority), &check(&server, named("origin.example"))).await.finding, failed(R::TlsHandshakeFailure));
}

#[tokio::test]
async fn a_certificate_tells_how_long_it_lasts() {
    let authority = authority();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    for (not_after, days_left) in
        [(now + hours(10 * 24 + 1), 10), (now + hours(1), 0), (now.checked_sub(hours(1)).expect("long after 1970"), -1)]
    {
        let leaf = Leaf::with(&authority, "origin.example", |params| {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(1970, 1, 1) + not_after;
        });
        let (server, _) = serve(&leaf, |_| {}).await;
        let insecure = |ask: &mut HttpProbe| ask.allow_insecure = true;
        let outcome = ask(&trusting(&authority), &check(&server, insecure)).await;
        assert_eq!((outcome.finding, outcome.certificate_days_left), (Finding::Passed, Some(days_left)));
        // And one that is not believed, by either library, be it for its issuer, its date or its name.
        let (old_server, _) = serve(&leaf, |builder| {
            builder.set_min_proto_version(Some(SslVersion::TLS1)).expect("a version");
            builder.set_max_proto_version(Some(SslVersion::TLS1)).expect("a version");
        })
        .await;
        for server in [&server, &old_server] {
            let stranger = ask(&prober(|_| {}), &check(server, named("origin.example"))).await;
            assert_eq!((stranger.finding, stranger.certificate_days_left), (failed(R::TlsUntrustedCertificate), Some(days_left)));
            let other = ask(&trusting(&authority), &check(server, named("other.example"))).await;
            let reason = if days_left < 0 { R::TlsUntrustedCertificate } else { R::TlsNameMismatch };
            assert_eq!((other.finding, other.certificate_days_left), (failed(reason), Some(days_left)));
        }
    }
    let plain = Server::answering(&[OK]).await;
    let outcome = ask(&trusting(&authority), &http_check("127.0.0.1", plain.address.port(), |_| {})).await;
    assert_eq!((outcome.finding, outcome.certificate_days_left), (Finding::Passed, None));
}
