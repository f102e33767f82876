//! TLS: the authority of the token, and nobody else.

use quorate_worker::WorkerConfig;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Identity, ServerTlsConfig};

use crate::control::Control;
use crate::world::{Worker, config};

/// A control plane with an authority of its own; the fingerprint of that.
async fn control() -> (Control, [u8; 32]) {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a CA");
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["control.quorate.internal".to_owned()]).expect("a name");
    let leaf = params.signed_by(&key, &authority).expect("signed");
    let chain = format!("{}{}", leaf.pem(), authority.pem());
    let tls = ServerTlsConfig::new().identity(Identity::from_pem(chain, key.serialize_pem()));
    (Control::start_with_tls(tls).await, Sha256::digest(authority.der()).into())
}

fn worker(control: &Control, ca_sha256: [u8; 32]) -> WorkerConfig {
    let mut config = config(format!("https://{}", control.address));
    config.token.ca_sha256 = ca_sha256;
    config
}

#[tokio::test]
async fn a_worker_trusts_the_authority_of_its_token_and_no_other() {
    let (mut good, fingerprint) = control().await;
    let (mut false_one, _) = control().await;
    let mut urls = worker(&good, fingerprint);
    urls.control_urls.push(format!("https://{}", false_one.address));
    let mut worker = Worker::start(urls);
    let (mut peer, _) = good.welcomes(1).await;
    peer.hears_round().await;
    worker.shows("one session", |status| status.connected == [format!("https://{}", good.address)]).await;
    false_one.is_dialled(2).await;
    assert!(false_one.has_no_session(), "not even a token is sent there");
}

#[tokio::test]
async fn without_tls_nobody_but_loopback_is_dialled() {
    let refused = quorate_worker::run(config("http://192.0.2.1:8081".to_owned()), CancellationToken::new(), watch::Sender::default()).await;
    assert!(matches!(refused, Err(quorate_worker::Error::ControlUrl { .. })), "{refused:?}");
}
