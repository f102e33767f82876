//! Servers of another time, and what a worker's policy makes of them.

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::dh::Dh;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::ssl::{SslOptions, SslVersion};
use openssl::x509::extension::SubjectAlternativeName;
use openssl::x509::{X509, X509Builder};
use quorate_core::failure::FailureReason as R;
use tokio::time::{Duration, advance, pause, resume};

use super::origin::{Authority, Leaf, authority, check, named, serve, trusting};
use crate::config::{TlsPolicy, TlsVersion};
use crate::probe::tests::{Finding, ask, failed, prober};
use crate::probe::{Prober as _, Target};

const VERSIONS: [(TlsVersion, SslVersion); 4] = [
    (TlsVersion::V1_0, SslVersion::TLS1),
    (TlsVersion::V1_1, SslVersion::TLS1_1),
    (TlsVersion::V1_2, SslVersion::TLS1_2),
    (TlsVersion::V1_3, SslVersion::TLS1_3),
];

/// A certificate with an RSA key of `bits`, signed over `digest`.
fn rsa_leaf(authority: &Authority, bits: u32, digest: MessageDigest) -> Leaf {
    let issuer = X509::from_pem(authority.pem().as_bytes()).expect("a CA");
    let issuer_key = PKey::private_key_from_pem(authority.key().serialize_pem().as_bytes()).expect("a key");
    let key = PKey::from_rsa(Rsa::generate(bits).expect("a key")).expect("a key");
    let mut builder = X509Builder::new().expect("OpenSSL");
    builder.set_version(2).expect("X.509 v3");
    builder.set_issuer_name(issuer.subject_name()).expect("a name");
    builder.set_pubkey(&key).expect("a key");
    builder.set_not_before(&Asn1Time::days_from_now(0).expect("now")).expect("a time");
    builder.set_not_after(&Asn1Time::days_from_now(90).expect("soon")).expect("a time");
    let context = builder.x509v3_context(Some(&issuer), None);
    let names = SubjectAlternativeName::new().dns("origin.example").build(&context).expect("a name");
    builder.append_extension(names).expect("taken");
    builder.sign(&issuer_key, digest).expect("signed");
    let pem = |bytes: Vec<u8>| String::from_utf8(bytes).expect("PEM is text");
    Leaf { certificate: pem(builder.build().to_pem().expect("PEM")), key: pem(key.private_key_to_pem_pkcs8().expect("PEM")) }
}

#[tokio::test]
async fn a_worker_takes_no_version_older_than_it_is_told_to() {
    let authority = authority();
    for (offered, version) in VERSIONS {
        let (server, _) = serve(&Leaf::of(&authority, "origin.example"), |builder| {
            builder.set_min_proto_version(Some(version)).expect("a version");
            builder.set_max_proto_version(Some(version)).expect("a version");
        })
        .await;
        for (min_version, _) in VERSIONS {
            let prober = prober(|config| {
                config.extra_ca_pem = Some(authority.pem());
                config.tls = TlsPolicy { min_version, ..TlsPolicy::default() };
            });
            let expected = if offered >= min_version { Finding::Passed } else { failed(R::TlsProtocolError) };
            let finding = ask(&prober, &check(&server, named("origin.example"))).await.finding;
            assert_eq!(finding, expected, "{offered:?} where {min_version:?} is the oldest");
        }
    }
}

#[tokio::test]
async fn certificates_that_anybody_can_forge_pass_only_where_the_worker_says_so() {
    let authority = authority();
    let forgiving = prober(|config| {
        config.extra_ca_pem = Some(authority.pem());
        config.tls.weak_certificates = true;
    });
    let strict = trusting(&authority);
    let (refused, passed) = (failed(R::TlsUntrustedCertificate), Finding::Passed);
    for (what, bits, digest, finding) in [
        ("RSA of 1,024 bits", 1024, MessageDigest::sha256(), passed),
        ("RSA of 768 bits", 768, MessageDigest::sha256(), refused),
        ("SHA-1", 2048, MessageDigest::sha1(), refused),
    ] {
        let leaf = rsa_leaf(&authority, bits, digest);
        for (_, version) in VERSIONS {
            let (server, _) = serve(&leaf, |builder| {
                builder.set_min_proto_version(Some(version)).expect("a version");
                builder.set_max_proto_version(Some(version)).expect("a version");
            })
            .await;
            let check = check(&server, named("origin.example"));
            assert_eq!(ask(&strict, &check).await.finding, finding, "{what}, {version:?}");
            assert_eq!(ask(&forgiving, &check).await.finding, passed, "{what}, {version:?}, forgiven");
        }
    }
}

#[tokio::test]
async fn a_server_without_forward_secrecy_or_modern_ciphers_passes() {
    let authority = authority();
    for ciphers in ["AES128-SHA:@SECLEVEL=0", "AES256-SHA256:@SECLEVEL=0", "DHE-RSA-AES128-SHA:@SECLEVEL=0"] {
        let (server, _) = serve(&rsa_leaf(&authority, 2048, MessageDigest::sha256()), |builder| {
            builder.set_max_proto_version(Some(SslVersion::TLS1_2)).expect("a version");
            builder.set_cipher_list(ciphers).expect("ciphers");
        })
        .await;
        let finding = ask(&trusting(&authority), &check(&server, named("origin.example"))).await.finding;
        assert_eq!(finding, Finding::Passed, "{ciphers}");
    }
}

#[tokio::test]
async fn a_server_that_asks_for_too_costly_a_key_exchange_fails() {
    let authority = authority();
    let leaf = rsa_leaf(&authority, 2048, MessageDigest::sha256());
    for (bits, finding) in [(1_024, Finding::Passed), (4_096, Finding::Passed), (4_104, failed(R::TlsHandshakeFailure))] {
        // No prime, but nobody can tell.
        let mut modulus = BigNum::new().expect("a number");
        modulus.rand(bits, MsbOption::ONE, true).expect("random");
        let params = Dh::from_pqg(modulus, None, BigNum::from_u32(2).expect("a number")).expect("parameters");
        let (server, _) = serve(&leaf, |builder| {
            builder.set_max_proto_version(Some(SslVersion::TLS1_2)).expect("a version");
            builder.set_cipher_list("DHE-RSA-AES128-SHA:@SECLEVEL=0").expect("ciphers");
            builder.set_tmp_dh(&params).expect("taken");
        })
        .await;
        let found = ask(&trusting(&authority), &check(&server, named("origin.example"))).await.finding;
        assert_eq!(found, finding, "{bits} bits");
    }
}

#[tokio::test]
async fn an_old_server_is_asked_once_a_probe_and_only_now_and_then_whether_it_is_still_old() {
    let authority = authority();
    let prober = trusting(&authority);
    let (server, _) = serve(&Leaf::of(&authority, "origin.example"), |builder| {
        builder.set_options(SslOptions::NO_TLSV1_2 | SslOptions::NO_TLSV1_3);
    })
    .await;
    let target = Target::new(&check(&server, named("origin.example"))).expect("runnable");
    for (minutes, came) in [(0, 2), (1, 3), (8, 4), (2, 6), (1, 7)] {
        pause();
        advance(Duration::from_mins(minutes)).await;
        resume();
        assert_eq!(prober.probe_once(&target).await.finding, Finding::Passed);
        assert_eq!(server.came(), came, "{minutes} minutes later");
    }
}
