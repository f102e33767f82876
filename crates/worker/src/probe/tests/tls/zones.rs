//! What the operator of a worker has configured for a zone.

use openssl::ssl::{SslAcceptorBuilder, SslVerifyMode, SslVersion};
use openssl::x509::X509;
use quorate_core::check::HttpProbe;
use quorate_core::failure::FailureReason as R;

use super::origin::{Authority, Leaf, OK, authority, check, serve, serve_on};
use crate::config::{ClientCertificate, ZoneTls};
use crate::probe::NetProber;
use crate::probe::tests::{Finding, ask, failed, prober};

fn demanding(clients: &Authority) -> impl FnOnce(&mut SslAcceptorBuilder) + use<> {
    let clients = X509::from_pem(clients.pem().as_bytes()).expect("a CA");
    move |builder| {
        builder.cert_store_mut().add_cert(clients).expect("taken");
        builder.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
    }
}

/// Trusts `servers` and shows a certificate of `clients`, both in the name of Shop.example only.
fn of_a_zone(servers: &Authority, clients: &Authority) -> NetProber {
    let Leaf { certificate, key } = Leaf::of(clients, "worker.example");
    prober(|config| {
        config.zones = vec![ZoneTls {
            name: "Shop.example".to_owned(),
            client: Some(ClientCertificate { chain_pem: certificate, key_pem: key }),
            extra_ca_pem: Some(servers.pem()),
        }];
    })
}

fn in_zone(zone: &'static str) -> impl FnOnce(&mut HttpProbe) {
    move |ask| {
        zone.clone_into(&mut ask.probe_zone);
        ask.host = Some("origin.example".to_owned());
        ask.follow_redirects = true;
    }
}

#[tokio::test]
async fn a_zone_brings_its_certificate_and_its_authorities_and_others_do_not() {
    let (servers, clients) = (authority(), authority());
    let prober = of_a_zone(&servers, &clients);
    for version in [SslVersion::TLS1, SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let (server, _) = serve(&Leaf::of(&servers, "origin.example"), |builder| {
            builder.set_max_proto_version(Some(version)).expect("a version");
            demanding(&clients)(builder);
        })
        .await;
        assert_eq!(ask(&prober, &check(&server, in_zone("SHOP.example"))).await.finding, Finding::Passed, "{version:?}");
        for zone in ["", "other.example"] {
            let finding = ask(&prober, &check(&server, in_zone(zone))).await.finding;
            assert_eq!(finding, failed(R::TlsUntrustedCertificate), "{zone:?}");
            let insecure = |ask: &mut HttpProbe| {
                in_zone(zone)(ask);
                ask.allow_insecure = true;
            };
            assert_eq!(ask(&prober, &check(&server, insecure)).await.finding, failed(R::TlsHandshakeFailure), "{zone:?}");
        }
    }
}

#[tokio::test]
async fn a_stranger_is_not_shown_the_certificate_of_a_zone() {
    let (servers, clients) = (authority(), authority());
    let prober = of_a_zone(&servers, &clients);
    let insecure = |ask: &mut HttpProbe| {
        in_zone("shop.example")(ask);
        ask.allow_insecure = true;
    };
    let (stranger, _) = serve_on("127.0.0.2:0", &Leaf::of(&servers, "127.0.0.2"), OK, demanding(&clients)).await;
    let answer = format!("HTTP/1.1 302 Found\r\nLocation: https://{}/\r\n\r\n", stranger.address);
    let (server, _) = serve_on("127.0.0.1:0", &Leaf::of(&servers, "origin.example"), answer, demanding(&clients)).await;
    assert_eq!(ask(&prober, &check(&server, insecure)).await.finding, failed(R::TlsHandshakeFailure));
    assert_eq!((server.came(), stranger.came()), (1, 2), "the stranger is asked by both libraries");
}
