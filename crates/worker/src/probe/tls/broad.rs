//! TLS 1.0 to 1.3 by OpenSSL, which still speaks what old origins speak and tells apart why a
//! handshake failed: what the other library does not bring to an end is asked here, and this word counts.

use std::pin::Pin;
use std::sync::Arc;

use openssl::error::ErrorStack;
use openssl::pkey::PKey;
use openssl::ssl::{Ssl, SslConnector, SslConnectorBuilder, SslMethod, SslOptions, SslRef, SslVerifyMode, SslVersion, StatusType};
use openssl::x509::X509;
use openssl::x509::store::X509StoreBuilder;
use rustls::pki_types::{CertificateDer, UnixTime};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_openssl::SslStream;

use super::HTTP_1_1;
use super::trust::{Refused, Trust, Validity};
use crate::config::{ClientCertificate, TlsPolicy, TlsVersion, ZoneTls};
use crate::probe::fault::Fault;
use crate::probe::net::SetupError;

/// Every cipher that authenticates and encrypts and that OpenSSL still has, but for RC4, which it has where it is told to.
/// Level 0 is what TLS 1.0 and 1.1 need for their signatures; how weak a certificate may be is another question.
const CIPHERS: &str = "ALL:!aNULL:!eNULL:!RC4:@SECLEVEL=0";
/// The first alone gets a key share. Without the hybrids, whose long hello old servers do not take.
const GROUPS: &str = "X25519:P-256:X448:P-384:P-521";
/// `SSL_OP_LEGACY_SERVER_CONNECT`: servers without secure renegotiation, as most that speak nothing newer than TLS 1.0.
const LEGACY_SERVER_CONNECT: u64 = 0x4;
/// `SSL_OP_IGNORE_UNEXPECTED_EOF`: a server that goes without a word has ended its answer.
const IGNORE_UNEXPECTED_EOF: u64 = 0x80;

/// Bits of the key that a server makes for the exchange. With one of 10,000 bits, the most that OpenSSL takes, our own takes a second of
/// the processor; with this many, a thirtieth of that.
const EXCHANGE_BITS_MAX: u32 = 4_096;
/// The same in the second handshake over a connection, which is not made aside.
const EXCHANGE_BITS_MAX_AGAIN: u32 = 2_048;
/// Handshakes over one connection: some servers ask for a second one, to be shown a certificate.
const HANDSHAKES_MAX: u32 = 2;

/// Shakes hands with servers of any time.
pub(super) struct Broad {
    trust: Arc<Trust>,
    verifying: SslConnector,
    trusting: SslConnector,
}

impl std::fmt::Debug for Broad {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broad").finish_non_exhaustive()
    }
}

impl Broad {
    /// # Errors
    /// A client certificate or authorities that OpenSSL does not take.
    pub(super) fn new(trust: &Arc<Trust>, authorities: &[X509], zone: Option<&ZoneTls>, policy: TlsPolicy) -> Result<Self, SetupError> {
        let mut store = X509StoreBuilder::new()?;
        for authority in authorities {
            store.add_cert(authority.clone())?;
        }
        let (mut verifying, mut trusting) = (connector(policy)?, connector(policy)?);
        verifying.set_cert_store(store.build());
        trusting.set_verify(SslVerifyMode::NONE);
        // A connector comes with a copy of the system's authorities.
        trusting.set_cert_store(X509StoreBuilder::new()?.build());
        if let Some((zone, client)) = zone.and_then(|zone| Some((zone, zone.client.as_ref()?))) {
            for builder in [&mut verifying, &mut trusting] {
                show(builder, client).map_err(|source| SetupError::ClientCertificate { zone: zone.name.clone(), source })?;
            }
        }
        Ok(Self { trust: trust.clone(), verifying: verifying.build(), trusting: trusting.build() })
    }

    pub(super) async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        name: &str,
        allow_insecure: bool,
    ) -> Result<(SslStream<S>, Option<Validity>), Fault> {
        let setup = || {
            let mut connection = if allow_insecure { &self.trusting } else { &self.verifying }.configure()?;
            connection.set_verify_hostname(!allow_insecure);
            let mut ssl = connection.into_ssl(name)?;
            // The callback that judges what the server has said is called where a status was asked for.
            ssl.set_status_type(StatusType::OCSP)?;
            SslStream::new(ssl, stream)
        };
        let mut stream = setup().map_err(|error| Fault::TlsSetup(error.into()))?;
        let connected = Pin::new(&mut stream).connect().await;
        // A certificate that came is judged also where the handshake went no further: it is what failed first.
        let seen = self.judge(stream.ssl(), name, allow_insecure);
        match (connected, seen) {
            (_, Some(Err(refused))) if !allow_insecure => Err(refused.into()),
            (Err(error), _) => Err(Fault::Tls(error)),
            (Ok(()), seen) => Ok((stream, seen.and_then(Result::ok))),
        }
    }

    /// `None`: no certificate came.
    fn judge(&self, ssl: &SslRef, name: &str, allow_insecure: bool) -> Option<Result<Validity, Refused>> {
        let presented = ssl.peer_cert_chain()?.iter().map(|certificate| Ok(CertificateDer::from(certificate.to_der()?)));
        let judged = presented.collect::<Result<Vec<_>, ErrorStack>>().map_err(Refused::from).and_then(|chain| {
            if allow_insecure { self.trust.look(&chain, UnixTime::now()) } else { self.trust.judge(&chain, name, UnixTime::now()) }
        });
        Some(judged)
    }
}

/// Lets connections show a certificate of ours to whoever asks for one.
fn show(builder: &mut SslConnectorBuilder, client: &ClientCertificate) -> Result<(), ErrorStack> {
    let mut chain = X509::stack_from_pem(client.chain_pem.as_bytes())?.into_iter();
    if let Some(certificate) = chain.next() {
        builder.set_certificate(&certificate)?;
    }
    for issuer in chain {
        builder.add_extra_chain_cert(issuer)?;
    }
    builder.set_private_key(&*PKey::private_key_from_pem(client.key_pem.as_bytes())?)?;
    builder.check_private_key()
}

fn connector(policy: TlsPolicy) -> Result<SslConnectorBuilder, ErrorStack> {
    let mut builder = SslConnector::builder(SslMethod::tls_client())?;
    builder.set_min_proto_version(Some(match policy.min_version {
        TlsVersion::V1_0 => SslVersion::TLS1,
        TlsVersion::V1_1 => SslVersion::TLS1_1,
        TlsVersion::V1_2 => SslVersion::TLS1_2,
        TlsVersion::V1_3 => SslVersion::TLS1_3,
    }))?;
    builder.set_cipher_list(CIPHERS)?;
    builder.set_groups_list(GROUPS)?;
    builder.set_options(SslOptions::from_bits_retain(LEGACY_SERVER_CONNECT | IGNORE_UNEXPECTED_EOF));
    let handshakes = Ssl::new_ex_index::<u32>()?;
    // Called once in each full handshake: the server has said its part, and ours is not computed yet.
    builder.set_status_callback(move |ssl| {
        let begun = ssl.ex_data(handshakes).map_or(1, |before| before + 1);
        ssl.set_ex_data(handshakes, begun);
        let bits_max = if begun == 1 { EXCHANGE_BITS_MAX } else { EXCHANGE_BITS_MAX_AGAIN };
        Ok(begun <= HANDSHAKES_MAX && ssl.peer_tmp_key().map_or(true, |key| key.bits() <= bits_max))
    })?;
    // Each protocol with its length before it.
    builder.set_alpn_protos(&[b"\x08", HTTP_1_1].concat())?;
    Ok(builder)
}
