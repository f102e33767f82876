//! The table: each failure reason, and one origin, network or resolver that provokes it. The other
//! tests have the other ways to each of them.

use std::collections::BTreeSet;

use hickory_proto::op::ResponseCode;
use openssl::ssl::SniError;
use quorate_core::address_policy::AddressPolicy;
use quorate_core::check::{Check, HttpProbe, Probe};
use quorate_core::failure::FailureReason as R;

use super::checks::{http_check, tcp_check};
use super::dns::{Answer, Dns};
use super::network::within;
use super::server::Server;
use super::tls::{self, Leaf, authority, named};
use super::{Finding, ask, impatient, prober};
use crate::config::ResolverConfig;
use crate::probe::Target;

fn http(server: &Server, change: impl FnOnce(&mut HttpProbe)) -> Check {
    http_check("127.0.0.1", server.address.port(), change)
}

#[test]
fn every_reason_can_be_provoked() {
    within("ip route add unreachable 9.9.1.0/24; ip route add throw 9.9.2.0/24", async || {
        let authority = authority();
        let dns = Dns::start(&[
            ("inside.example", Answer::Addresses(vec!["10.0.0.1".parse().expect("an address")])),
            ("bad.example", Answer::Code(ResponseCode::ServFail)),
            ("", Answer::NameServer("a.root.example.")),
        ])
        .await;
        let prober = prober(|config| {
            config.resolver = ResolverConfig::Servers(vec![dns.address]);
            config.extra_ca_pem = Some(authority.pem());
            let loopback = "127.0.0.0/8".parse().expect("a range");
            config.address_policy = AddressPolicy::new(vec![loopback]);
        });
        let text = |ask: &mut HttpProbe| ask.expected_body = "all is well".to_owned();
        let answering = Server::answering(&["HTTP/1.1 200 OK\r\n\r\nall is lost"]).await;
        let busy = Server::answering(&["HTTP/1.1 503 Busy\r\n\r\n"]).await;
        let ssh = Server::answering(&["SSH-2.0-OpenSSH_9.2\r\n"]).await;
        let silent = Server::silent().await;
        let resetting = Server::resetting_after("").await;
        let (stranger, _) = tls::serve(&Leaf::self_signed("origin.example"), |_| {}).await;
        let (other, _) = tls::serve(&Leaf::of(&authority, "other.example"), |_| {}).await;
        let plain = Server::shouting(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        let picky = Server::shouting(b"\x15\x03\x03\x00\x02\x02\x28").await;
        let (nameless, _) = tls::serve(&Leaf::of(&authority, "origin.example"), |builder| {
            builder.set_servername_callback(|_, alert| {
                *alert = openssl::ssl::SslAlert::UNRECOGNIZED_NAME;
                Err(SniError::ALERT_FATAL)
            });
        })
        .await;
        let secured = |server: &Server| tls::check(server, named("origin.example"));

        let mut provoked = BTreeSet::new();
        for (reason, check) in [
            (R::TcpConnectionFailed, tcp_check("127.0.0.1", 1)),
            (R::TcpTimeout, impatient(tcp_check("9.9.9.9", 443))),
            (R::NoRouteToHost, tcp_check("9.9.1.1", 443)),
            (R::NetworkUnreachable, tcp_check("9.9.2.2", 443)),
            (R::ConnectionReset, http(&resetting, |_| {})),
            (R::TlsUntrustedCertificate, secured(&stranger)),
            (R::TlsNameMismatch, secured(&other)),
            (R::TlsUnrecognizedName, secured(&nameless)),
            (R::TlsProtocolError, secured(&plain)),
            (R::TlsHandshakeFailure, secured(&picky)),
            (R::HttpTimeout, impatient(http(&silent, |_| {}))),
            (R::HttpInvalidResponse, http(&ssh, |_| {})),
            (R::ResponseCodeMismatch, http(&busy, |_| {})),
            (R::ResponseBodyMismatch, http(&answering, text)),
            (R::DnsUnknownHost, tcp_check("absent.example", 443)),
            (R::DnsInternal, tcp_check("inside.example", 443)),
            (R::OtherFailure, tcp_check("bad.example", 443)),
        ] {
            assert_eq!(ask(&prober, &check).await.finding, Finding::Failed(reason));
            provoked.insert(reason);
        }
        let portless = Check { probe: Probe::Smtp, ..tcp_check("127.0.0.1", 0) };
        assert!(Target::new(&portless).is_err(), "votes config error, which the board's tests follow");
        provoked.insert(R::MonitorConfigError);
        assert_eq!(provoked, R::ALL.into_iter().collect());
    });
}
