//! The certificates of the demo origins. Made anew at each start: only the workers of the same process trust their CA.

use std::sync::Arc;

use anyhow::Context as _;
use rcgen::{Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::secrets::{new_ca, new_leaf};

/// TLS as the demo origins speak it.
#[derive(Clone)]
pub struct DemoTls {
    /// PEM of the CA that a worker has to trust to see anything but "untrusted" in the gallery.
    pub ca_pem: String,
    /// For the address that the origins have.
    pub(crate) good: TlsAcceptor,
    /// Of an authority that nobody trusts.
    pub(crate) untrusted: TlsAcceptor,
    /// Trusted, and for another name.
    pub(crate) other_name: TlsAcceptor,
}

impl std::fmt::Debug for DemoTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DemoTls").field("ca_pem", &self.ca_pem).finish_non_exhaustive()
    }
}

impl DemoTls {
    /// `address` is the DNS name or IP address under which the origins are probed.
    pub fn new(address: &str) -> anyhow::Result<Self> {
        let ca = new_ca("Quorate demo").context("cannot make the CA of the demo origins")?;
        let stranger = new_ca("Nobody knows me").context("cannot make a CA that nobody knows")?;
        Ok(Self {
            ca_pem: ca.pem(),
            good: acceptor(&ca, address)?,
            untrusted: acceptor(&stranger, address)?,
            other_name: acceptor(&ca, "elsewhere.invalid")?,
        })
    }
}

fn acceptor(issuer: &Issuer<'_, KeyPair>, name: &str) -> anyhow::Result<TlsAcceptor> {
    let (leaf, key) = new_leaf(issuer, name).context("cannot make a certificate for a demo origin")?;
    let chain = vec![CertificateDer::from(leaf.der().to_vec())];
    let key =
        PrivateKeyDer::try_from(key.serialize_der()).map_err(|error| anyhow::anyhow!("cannot use the key of a demo origin: {error}"))?;
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context("cannot use the certificate of a demo origin")?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
