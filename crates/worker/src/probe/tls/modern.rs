//! TLS 1.2 and 1.3 by rustls, for less than OpenSSL takes.

use std::io;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, Tls12Resumption};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, HandshakeKind, OtherError, ProtocolVersion,
    SignatureScheme,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::trust::{Refused, Trust, Validity};
use super::{HTTP_1_1, Peer};
use crate::config::{ClientCertificate, TlsPolicy, TlsVersion};
use crate::probe::fault::Fault;

/// Shakes hands with servers of our time.
#[derive(Debug)]
pub(super) struct Modern {
    trust: Arc<Trust>,
    policy: TlsPolicy,
    verifying: ClientConfig,
    trusting: ClientConfig,
}

impl Modern {
    /// # Errors
    /// A client certificate that this library cannot show.
    pub(super) fn new(trust: &Arc<Trust>, client: Option<&ClientCertificate>, policy: TlsPolicy) -> Result<Self, Error> {
        let provider = Arc::new(ring::default_provider());
        let config = |verifies| {
            let verifier = Verifier { trust: trust.clone(), verifies, provider: provider.clone() };
            let versions = if policy.min_version == TlsVersion::V1_3 { &[&TLS13][..] } else { &[&TLS13, &TLS12] };
            let builder = ClientConfig::builder_with_provider(provider.clone())
                .with_protocol_versions(versions)?
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(verifier));
            let mut config = match client {
                None => builder.with_no_client_auth(),
                Some(client) => {
                    let (chain, key) = shown(client)?;
                    builder.with_client_auth_cert(chain, key)?
                }
            };
            config.alpn_protocols = vec![HTTP_1_1.to_vec()];
            Ok::<_, Error>(config)
        };
        Ok(Self { trust: trust.clone(), policy, verifying: config(true)?, trusting: config(false)? })
    }

    /// # Errors
    /// `Certificate` is the last word; anything else the other library may see differently.
    pub(super) async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        peer: &Peer<'_>,
    ) -> Result<(TlsStream<S>, Option<Validity>), Fault> {
        let name = ServerName::try_from(peer.name.clone().into_owned()).map_err(|error| Fault::Modern(io::Error::other(error)))?;
        let mut config = if peer.allow_insecure { &self.trusting } else { &self.verifying }.clone();
        let resume_for = self.policy.full_handshake_every;
        config.resumption = match peer.memory {
            None => Resumption::disabled(),
            Some(memory) => {
                memory.prepare(resume_for, UnixTime::now());
                Resumption::store(memory.clone()).tls12_resumption(Tls12Resumption::SessionIdOrTickets)
            }
        };
        let connected = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
        let stream = connected.map_err(|error| {
            if let Some(memory) = peer.memory {
                memory.forget();
            }
            refusal(&error).map_or(Fault::Modern(error), Fault::from)
        })?;
        let connection = stream.get_ref().1;
        if let Some(memory) = peer.memory {
            memory.shook_hands(is_resumed(connection));
        }
        let validity = self.validity(connection, peer);
        Ok((stream, validity))
    }

    /// Of the certificate that the server has shown, now or when the session began.
    fn validity(&self, connection: &ClientConnection, peer: &Peer<'_>) -> Option<Validity> {
        if is_resumed(connection) {
            return peer.memory.and_then(|memory| memory.validity());
        }
        let (chain, now) = (connection.peer_certificates()?, UnixTime::now());
        let seen = if peer.allow_insecure { self.trust.look(chain, now) } else { self.trust.judge(chain, &peer.name, now) };
        let validity = seen.ok()?;
        if let Some(memory) = peer.memory {
            memory.proved(self.policy.full_handshake_every, validity);
        }
        Some(validity)
    }
}

fn is_resumed(connection: &ClientConnection) -> bool {
    connection.handshake_kind() == Some(HandshakeKind::Resumed)
}

/// Whether a server has asked for another handshake, which this library refuses: while an answer is read, the refusal is all that
/// waits to be written. TLS 1.3 knows no such thing.
pub(super) fn has_refused_to_renegotiate(connection: &ClientConnection) -> bool {
    connection.wants_write() && connection.protocol_version() == Some(ProtocolVersion::TLSv1_2)
}

/// A certificate of ours and its key, as this library takes them.
fn shown(client: &ClientCertificate) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), Error> {
    let unreadable = |error: rustls::pki_types::pem::Error| Error::General(error.to_string());
    let chain = CertificateDer::pem_slice_iter(client.chain_pem.as_bytes()).collect::<Result<_, _>>().map_err(unreadable)?;
    Ok((chain, PrivateKeyDer::from_pem_slice(client.key_pem.as_bytes()).map_err(unreadable)?))
}

/// What our verifier has said, inside what came of it.
fn refusal(error: &io::Error) -> Option<Refused> {
    match error.get_ref()?.downcast_ref::<Error>()? {
        Error::InvalidCertificate(CertificateError::Other(OtherError(why))) => why.downcast_ref::<Refused>().copied(),
        _ => None,
    }
}

/// Leaves certificates to [`Trust`], and their keys' signatures to the library.
#[derive(Debug)]
struct Verifier {
    trust: Arc<Trust>,
    verifies: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.verifies {
            let chain: Vec<CertificateDer<'_>> =
                std::iter::once(leaf).chain(others).map(|der| CertificateDer::from(der.as_ref())).collect();
            let judged = self.trust.judge(&chain, &name.to_str(), now);
            judged.map_err(|refused| CertificateError::Other(OtherError(Arc::new(refused))))?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, leaf, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, leaf, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
