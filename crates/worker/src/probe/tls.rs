//! The TLS handshake of a probe, TLS 1.0 to 1.3.
//!
//! OpenSSL, because it still speaks what old origins speak and tells apart why a handshake failed.

#[cfg(test)]
mod fuzz;

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;

use openssl::asn1::Asn1Time;
use openssl::error::ErrorStack;
use openssl::pkey::PKey;
use openssl::ssl::{SslConnector, SslConnectorBuilder, SslMethod, SslOptions, SslRef, SslVerifyMode, SslVersion};
use openssl::x509::X509;
use openssl::x509::store::X509StoreBuilder;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_openssl::SslStream;

use super::fault::Fault;
use super::net::SetupError;
use super::target::Host;
use crate::config::{ClientCertificate, ZoneTls};

/// Old origins are asked too: every cipher that authenticates and encrypts.
const CIPHERS: &str = "ALL:!aNULL:!eNULL:@SECLEVEL=0";
/// `SSL_OP_LEGACY_SERVER_CONNECT`: servers without secure renegotiation.
const LEGACY_SERVER_CONNECT: u64 = 0x4;
/// The only protocol that we speak over it, as ALPN has it.
const ALPN_HTTP_1_1: &[u8] = b"\x08http/1.1";

/// How to shake hands: as ourselves, or in the name of a zone.
pub(super) struct Tls {
    own: Connectors,
    /// By name, in lower case.
    zones: HashMap<String, Connectors>,
}

/// The two kinds of handshake.
struct Connectors {
    verifying: SslConnector,
    trusting: SslConnector,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("zones", &self.zones.keys()).finish_non_exhaustive()
    }
}

impl Tls {
    /// Trusts the system's authorities and those of `extra_ca_pem`; a zone trusts its own besides.
    pub(super) fn new(extra_ca_pem: Option<&str>, zones: &[ZoneTls]) -> Result<Self, SetupError> {
        let mut trusted = system_authorities();
        if let Some(pem) = extra_ca_pem {
            trusted.extend(certificates(pem, "extra_ca_pem")?);
        }
        let own = Connectors::new(&trusted, None)?;
        let mut by_name = HashMap::new();
        for zone in zones {
            let more = zone.extra_ca_pem.as_deref().map(|pem| certificates(pem, &zone.name)).transpose()?;
            let trusted: Vec<X509> = trusted.iter().cloned().chain(more.into_iter().flatten()).collect();
            by_name.insert(zone.name.to_ascii_lowercase(), Connectors::new(&trusted, Some(zone))?);
        }
        Ok(Self { own, zones: by_name })
    }

    /// Shakes hands as a client that wants `name`. A host name is sent as server name; an address is
    /// not, and the certificate must name it as an address. A zone that the operator has said nothing
    /// of is as none.
    pub(super) async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        name: &Host,
        allow_insecure: bool,
        zone: Option<&str>,
    ) -> Result<SslStream<S>, Fault> {
        let connectors = zone.and_then(|zone| self.zones.get(zone)).unwrap_or(&self.own);
        let setup = || {
            let connector = if allow_insecure { &connectors.trusting } else { &connectors.verifying };
            let mut connection = connector.configure()?;
            connection.set_verify_hostname(!allow_insecure);
            let ssl = match name {
                Host::Name(name) => connection.into_ssl(name)?,
                Host::Address(address) => connection.into_ssl(&address.to_string())?,
            };
            SslStream::new(ssl, stream)
        };
        let mut stream = setup().map_err(Fault::TlsSetup)?;
        match Pin::new(&mut stream).connect().await {
            Ok(()) => Ok(stream),
            Err(source) => Err(Fault::Tls { source, verified: stream.ssl().verify_result() }),
        }
    }
}

/// Whole days until the certificate of the other side ends, negative once it has.
pub(super) fn certificate_days_left(ssl: &SslRef) -> Option<i32> {
    let certificate = ssl.peer_certificate()?;
    // A certificate whose dates cannot be read has been refused, or nobody asked.
    Some(Asn1Time::days_from_now(0).ok()?.diff(certificate.not_after()).ok()?.days)
}

impl Connectors {
    fn new(trusted: &[X509], zone: Option<&ZoneTls>) -> Result<Self, SetupError> {
        let mut store = X509StoreBuilder::new()?;
        for authority in trusted {
            store.add_cert(authority.clone())?;
        }
        let (mut verifying, mut trusting) = (connector()?, connector()?);
        verifying.set_cert_store(store.build());
        trusting.set_verify(SslVerifyMode::NONE);
        if let Some((zone, client)) = zone.and_then(|zone| Some((zone, zone.client.as_ref()?))) {
            for builder in [&mut verifying, &mut trusting] {
                show(builder, client).map_err(|source| SetupError::ClientCertificate { zone: zone.name.clone(), source })?;
            }
        }
        Ok(Self { verifying: verifying.build(), trusting: trusting.build() })
    }
}

fn system_authorities() -> Vec<X509> {
    let system = rustls_native_certs::load_native_certs();
    for error in &system.errors {
        tracing::warn!(error = %error, "some of the system's certificate authorities cannot be read");
    }
    // A bundle may hold what OpenSSL does not take; the others still count.
    let taken = |authority: &CertificateDer<'_>| {
        X509::from_der(authority)
            .inspect_err(|error| tracing::debug!(error = %error, "a certificate authority of the system is skipped"))
            .ok()
    };
    system.certs.iter().filter_map(taken).collect()
}

/// One or more certificates; `of` says whose they are.
fn certificates(pem: &str, of: &str) -> Result<Vec<X509>, SetupError> {
    let certificates = X509::stack_from_pem(pem.as_bytes())?;
    if certificates.is_empty() { Err(SetupError::NoCertificate(of.to_owned())) } else { Ok(certificates) }
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

fn connector() -> Result<SslConnectorBuilder, ErrorStack> {
    let mut builder = SslConnector::builder(SslMethod::tls_client())?;
    builder.set_min_proto_version(Some(SslVersion::TLS1))?;
    builder.set_cipher_list(CIPHERS)?;
    builder.set_options(SslOptions::from_bits_retain(LEGACY_SERVER_CONNECT));
    builder.set_alpn_protos(ALPN_HTTP_1_1)?;
    Ok(builder)
}
