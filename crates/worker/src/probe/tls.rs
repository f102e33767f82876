//! The TLS handshake of a probe, TLS 1.0 to 1.3.
//!
//! OpenSSL, because it still speaks what old origins speak and tells apart why a handshake failed.

use std::fmt;
use std::pin::Pin;

use openssl::error::ErrorStack;
use openssl::ssl::{SslConnector, SslMethod, SslOptions, SslVerifyMode, SslVersion};
use openssl::x509::X509;
use openssl::x509::store::X509StoreBuilder;
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

use super::fault::Fault;
use super::net::SetupError;
use super::target::Host;

/// Old origins are asked too: every cipher that authenticates and encrypts.
const CIPHERS: &str = "ALL:!aNULL:!eNULL:@SECLEVEL=0";
/// `SSL_OP_LEGACY_SERVER_CONNECT`: servers without secure renegotiation.
const LEGACY_SERVER_CONNECT: u64 = 0x4;
/// The only protocol that we speak over it, as ALPN has it.
const ALPN_HTTP_1_1: &[u8] = b"\x08http/1.1";

/// The two kinds of handshake.
pub(super) struct Tls {
    verifying: SslConnector,
    trusting: SslConnector,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl Tls {
    /// Trusts the system's authorities, and those of `extra_ca_pem`.
    pub(super) fn new(extra_ca_pem: Option<&str>) -> Result<Self, SetupError> {
        let mut store = X509StoreBuilder::new()?;
        let system = rustls_native_certs::load_native_certs();
        for error in &system.errors {
            tracing::warn!(error = %error, "some of the system's certificate authorities cannot be read");
        }
        for authority in &system.certs {
            // A bundle may hold what OpenSSL does not take; the others still count.
            match X509::from_der(authority) {
                Ok(authority) => store.add_cert(authority)?,
                Err(error) => tracing::debug!(error = %error, "a certificate authority of the system is skipped"),
            }
        }
        if let Some(pem) = extra_ca_pem {
            let extra = X509::stack_from_pem(pem.as_bytes())?;
            if extra.is_empty() {
                return Err(SetupError::NoCertificate);
            }
            for authority in extra {
                store.add_cert(authority)?;
            }
        }
        let mut verifying = connector()?;
        verifying.set_cert_store(store.build());
        let mut trusting = connector()?;
        trusting.set_verify(SslVerifyMode::NONE);
        Ok(Self { verifying: verifying.build(), trusting: trusting.build() })
    }

    /// Shakes hands as a client that wants `name`. A host name is sent as server name; an address is
    /// not, and the certificate must name it as an address.
    pub(super) async fn handshake(&self, stream: TcpStream, name: &Host, allow_insecure: bool) -> Result<SslStream<TcpStream>, Fault> {
        let setup = || {
            let connector = if allow_insecure { &self.trusting } else { &self.verifying };
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

fn connector() -> Result<openssl::ssl::SslConnectorBuilder, ErrorStack> {
    let mut builder = SslConnector::builder(SslMethod::tls_client())?;
    builder.set_min_proto_version(Some(SslVersion::TLS1))?;
    builder.set_cipher_list(CIPHERS)?;
    builder.set_options(SslOptions::from_bits_retain(LEGACY_SERVER_CONNECT));
    builder.set_alpn_protos(ALPN_HTTP_1_1)?;
    Ok(builder)
}
