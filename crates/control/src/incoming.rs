//! Connections of workers: accepted, encrypted, and never more than fit.

mod strangers;

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use crate::error::Error;
use crate::tasks::Tasks;

pub(crate) use strangers::Standing;
use strangers::{Guest, Strangers};

/// Connections at once; the next one waits in the kernel's queue.
const CONNECTIONS_MAX: usize = 2_000;
/// Connections that are ready and not taken yet.
const READY_MAX: usize = 64;
/// Pause after the system refused a connection, so that a lack of descriptors is not a busy loop.
const ACCEPT_RETRY_AFTER: Duration = Duration::from_millis(100);

/// The gateway's certificate and key, PEM.
#[derive(Clone)]
pub struct ServerTls {
    /// The certificate, then its CA.
    pub cert_chain_pem: String,
    pub key_pem: String,
}

impl std::fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerTls").field("cert_chain_pem", &self.cert_chain_pem).finish_non_exhaustive()
    }
}

impl ServerTls {
    fn acceptor(&self) -> Result<TlsAcceptor, Error> {
        let unusable = |problem: &dyn std::fmt::Display| Error::Certificate(problem.to_string());
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(self.cert_chain_pem.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|problem| unusable(&problem))?;
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes()).map_err(|problem| unusable(&problem))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|problem| unusable(&problem))?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|problem| unusable(&problem))?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

/// A worker's connection. It counts until it is dropped.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: Stream,
    guest: Guest,
    _counted: OwnedSemaphorePermit,
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Begins to accept. Without `tls` only on a loopback address.
pub(crate) fn accept(
    listener: TcpListener,
    tls: Option<&ServerTls>,
    introduction: Duration,
    tasks: &Tasks,
) -> Result<(SocketAddr, mpsc::Receiver<io::Result<Connection>>), Error> {
    let address = listener.local_addr().map_err(Error::Listener)?;
    if tls.is_none() && !address.ip().is_loopback() {
        return Err(Error::PlaintextBeyondLoopback(address));
    }
    let acceptor = tls.map(ServerTls::acceptor).transpose()?;
    let (ready, connections) = mpsc::channel(READY_MAX);
    let door = Door { acceptor, introduction, strangers: Arc::default(), ready };
    tasks.spawn("accept", door.keep(listener, tasks.clone()));
    Ok((address, connections))
}

/// Where connections come in.
struct Door {
    acceptor: Option<TlsAcceptor>,
    introduction: Duration,
    strangers: Arc<Strangers>,
    ready: mpsc::Sender<io::Result<Connection>>,
}

impl Door {
    async fn keep(self, listener: TcpListener, tasks: Tasks) {
        let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let stop = tasks.stop().clone();
        let next = async || {
            let counted = Arc::clone(&connections).acquire_owned().await.ok()?;
            let guest = Strangers::admit(&self.strangers, self.introduction).await;
            Some((counted, guest, listener.accept().await))
        };
        while let Some(Some((counted, mut guest, accepted))) = stop.run_until_cancelled(next()).await {
            let tcp = match accepted {
                Ok((tcp, _)) => tcp,
                Err(error) => {
                    tracing::debug!(error = %error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_RETRY_AFTER).await;
                    continue;
                }
            };
            guest.arrived();
            let (acceptor, ready, stop) = (self.acceptor.clone(), self.ready.clone(), stop.clone());
            tasks.spawn("handshake", async move {
                let shaken = async {
                    tokio::select! {
                        () = guest.dismissed() => Err(io::ErrorKind::TimedOut.into()),
                        stream = shake(tcp, acceptor) => stream,
                    }
                };
                match stop.run_until_cancelled(shaken).await {
                    Some(Ok(stream)) => {
                        // An error here: the server has stopped.
                        let _ = ready.send(Ok(Connection { stream, guest, _counted: counted })).await;
                    }
                    Some(Err(error)) => {
                        metrics::counter!("quorate_handshakes_failed_total").increment(1);
                        tracing::debug!(error = %error, "a TLS handshake failed");
                    }
                    None => {}
                }
            });
        }
    }
}

async fn shake(tcp: TcpStream, acceptor: Option<TlsAcceptor>) -> io::Result<Stream> {
    // A vote is small, and it is waited for.
    tcp.set_nodelay(true)?;
    let Some(acceptor) = acceptor else { return Ok(Stream::Plain(tcp)) };
    Ok(Stream::Tls(Box::new(acceptor.accept(tcp).await?)))
}

impl Connected for Connection {
    type ConnectInfo = Standing;

    fn connect_info(&self) -> Standing {
        self.guest.standing()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.guest.poll_dismissed(cx).is_ready() {
            metrics::counter!("quorate_strangers_dismissed_total").increment(1);
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTRODUCTION: Duration = Duration::from_secs(15);

    #[tokio::test]
    async fn plaintext_is_refused_beyond_loopback() {
        let tasks = Tasks::new();
        let listen = async |address: &str| TcpListener::bind(address).await.expect("a free port");
        assert!(matches!(accept(listen("0.0.0.0:0").await, None, INTRODUCTION, &tasks), Err(Error::PlaintextBeyondLoopback(_))));
        assert!(accept(listen("127.0.0.1:0").await, None, INTRODUCTION, &tasks).is_ok());
        tasks.stop().cancel();
        tasks.ended().await;
    }

    #[tokio::test]
    async fn a_certificate_that_does_not_fit_its_key_is_refused_at_the_start() {
        let made = || {
            let key = rcgen::KeyPair::generate().unwrap();
            let certificate = rcgen::CertificateParams::new(vec!["control".to_owned()]).unwrap().self_signed(&key).unwrap();
            (certificate.pem(), key.serialize_pem())
        };
        let ((chain, key), (_, other_key)) = (made(), made());
        let acceptor =
            |chain: &str, key: &str| ServerTls { cert_chain_pem: chain.to_owned(), key_pem: key.to_owned() }.acceptor().map(|_| ());
        assert!(acceptor(&chain, &key).is_ok());
        assert!(matches!(acceptor(&chain, &other_key), Err(Error::Certificate(_))));
        assert!(matches!(acceptor("nonsense", &key), Err(Error::Certificate(_))));
        assert!(matches!(acceptor(&chain, "nonsense"), Err(Error::Certificate(_))));
    }
}
