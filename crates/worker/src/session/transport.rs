//! A gRPC channel to one replica: TLS with the pinned authority, or plain on loopback.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use quorate_core::timings::{Timings, ms};
use quorate_proto::join::JoinToken;
use quorate_proto::v1::worker_gateway_client::WorkerGatewayClient;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;
use url::Url;

use super::pin::PinnedAuthority;

/// The name in every certificate of a control plane, wherever it is reached.
const SERVER_NAME: &str = "control.quorate.internal";
/// From the first SYN to an open HTTP/2 connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A manifest of a bucket is the largest message.
const INCOMING_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Why a control plane is not dialled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlUrlError {
    #[error("it is not a URL")]
    Syntax,
    #[error("it has to begin with https:// (or http:// on loopback)")]
    Scheme,
    #[error("without TLS only loopback may be dialled")]
    Plain,
    #[error("it names no host")]
    Host,
}

/// How to reach a control plane and prove who we are.
pub(super) struct Transport {
    tls: TlsConnector,
    authorization: MetadataValue<Ascii>,
}

/// A checked address of a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dial {
    tls: bool,
    host: String,
    port: u16,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Dial {
    pub(super) fn parse(url: &str) -> Result<Self, ControlUrlError> {
        let url = Url::parse(url).map_err(|_| ControlUrlError::Syntax)?;
        let tls = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(ControlUrlError::Scheme),
        };
        let (host, is_loopback) = match url.host().ok_or(ControlUrlError::Host)? {
            url::Host::Domain(name) => (name.to_owned(), name == "localhost"),
            url::Host::Ipv4(address) => (address.to_string(), address.is_loopback()),
            url::Host::Ipv6(address) => (address.to_string(), IpAddr::V6(address).to_canonical().is_loopback()),
        };
        if !tls && !is_loopback {
            return Err(ControlUrlError::Plain);
        }
        Ok(Self { tls, host, port: url.port_or_known_default().ok_or(ControlUrlError::Host)? })
    }

    async fn connect(&self, tls: &TlsConnector) -> io::Result<Box<dyn Stream>> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        if !self.tls {
            return Ok(Box::new(stream));
        }
        let name = ServerName::try_from(SERVER_NAME).expect("a constant host name");
        Ok(Box::new(tls.connect(name, stream).await?))
    }
}

impl Transport {
    /// `None` where the token's secret cannot stand in a header.
    pub(super) fn new(token: &JoinToken) -> Option<Self> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("the provider has ciphers for the default versions")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(PinnedAuthority::new(token.ca_sha256, provider)))
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let mut authorization: MetadataValue<Ascii> = format!("Bearer {}", token.secret).parse().ok()?;
        authorization.set_sensitive(true);
        Some(Self { tls: TlsConnector::from(Arc::new(tls)), authorization })
    }

    /// # Errors
    /// The replica cannot be reached, or is not of the pinned authority.
    pub(super) async fn connect(&self, dial: &Dial, timings: &Timings) -> Result<WorkerGatewayClient<Channel>, tonic::transport::Error> {
        // TLS is the connector's, so the endpoint is plain to tonic.
        let endpoint = Endpoint::from_static("http://control.quorate.internal")
            .user_agent(concat!("quorate-worker/", env!("CARGO_PKG_VERSION")))?
            .http2_keep_alive_interval(ms(timings.keepalive_ms))
            .keep_alive_timeout(ms(timings.keepalive_timeout_ms))
            .keep_alive_while_idle(true);
        let (tls, dial) = (self.tls.clone(), dial.clone());
        let connector = service_fn(move |_| {
            let (tls, dial) = (tls.clone(), dial.clone());
            async move {
                let connected = tokio::time::timeout(CONNECT_TIMEOUT, dial.connect(&tls)).await;
                connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map(TokioIo::new)
            }
        });
        let channel = endpoint.connect_with_connector(connector).await?;
        Ok(WorkerGatewayClient::new(channel).max_decoding_message_size(INCOMING_BYTES_MAX))
    }

    /// Puts the token on a request.
    pub(super) fn authorize<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        request.metadata_mut().insert("authorization", self.authorization.clone());
        request
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_tls_only_loopback_is_dialled() {
        let dial = |url: &str| Dial::parse(url).map(|dial| (dial.tls, dial.host, dial.port));
        assert_eq!(dial("https://control-1:8081"), Ok((true, "control-1".to_owned(), 8081)));
        assert_eq!(dial("https://[2001:db8::1]"), Ok((true, "2001:db8::1".to_owned(), 443)));
        for loopback in ["http://localhost:1", "http://127.0.0.9:1", "http://[::1]:1"] {
            assert!(dial(loopback).is_ok(), "{loopback}");
        }
        for (url, error) in [
            ("http://control-1:8081", ControlUrlError::Plain),
            ("http://10.0.0.1:8081", ControlUrlError::Plain),
            ("http://localhost.example:1", ControlUrlError::Plain),
            ("ftp://localhost", ControlUrlError::Scheme),
            ("control-1", ControlUrlError::Syntax),
        ] {
            assert_eq!(dial(url), Err(error), "{url}");
        }
    }
}
