//! The origins: one listener a protocol, reached by every address of 127.0.0.0/8, and a book of when
//! each address is asked.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use crate::origin::{self, Failing};
use crate::rows::Kind;

/// The name in the origins' certificate.
pub(crate) const NAME: &str = "origin.bench";
pub(crate) const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
pub(crate) const FAILURE: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// The origins, running in a thread for each protocol.
pub(crate) struct Farm {
    pub(crate) http: u16,
    pub(crate) https: u16,
    /// PEM of the authority behind the certificate.
    pub(crate) ca_pem: String,
    book: Arc<Mutex<Book>>,
    /// Of the plain origins.
    pub(crate) failing: Arc<Failing>,
}

/// Who was asked when, since that was last taken.
pub(crate) type Book = Vec<(IpAddr, Instant)>;

/// Address number `number` of the farm: 127.1.0.1 and up.
pub(crate) fn address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::new(127, 1, 0, 1).to_bits() + number)
}

impl Farm {
    /// Where origins of this kind listen.
    pub(crate) const fn port(&self, kind: Kind) -> u16 {
        match kind {
            Kind::Https | Kind::HttpsResumed => self.https,
            Kind::Http | Kind::Tcp => self.http,
            Kind::Icmp => 0,
        }
    }

    pub(crate) fn start() -> Result<Self> {
        let (acceptor, ca_pem) = tls()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (plain, secured) = runtime.block_on(async { anyhow::Ok((listener()?, listener()?)) })?;
        let (http, https) = (plain.local_addr()?.port(), secured.local_addr()?.port());
        let book = Arc::<Mutex<Book>>::default();
        let (ours, theirs) = (Arc::clone(&book), Arc::clone(&book));
        let failing = Arc::<Failing>::default();
        let fails = Arc::clone(&failing);
        let plain = mio::net::TcpListener::from_std(plain.into_std()?);
        std::thread::Builder::new().name("farm".to_owned()).spawn(move || {
            if let Err(error) = origin::serve(plain, &ours, &fails) {
                eprintln!("the origins of the bench have failed: {error}");
            }
        })?;
        std::thread::Builder::new().name("farm-tls".to_owned()).spawn(move || runtime.block_on(serve(secured, acceptor, &theirs)))?;
        Ok(Self { http, https, ca_pem, book, failing })
    }

    /// What was seen since the last call.
    pub(crate) fn take(&self) -> Book {
        std::mem::take(&mut *lock(&self.book))
    }
}

/// With room for all that arrive at once.
fn listener() -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from(([0, 0, 0, 0], 0)))?;
    socket.listen(4096)
}

pub(crate) fn lock(book: &Mutex<Book>) -> std::sync::MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

fn tls() -> Result<(TlsAcceptor, String)> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "the bench's authority");
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let leaf = CertificateParams::new(vec![NAME.to_owned()])?.signed_by(&key, &ca)?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .context("a certificate of our own")?;
    // What rustls keeps of sessions else is fewer than there are origins.
    config.ticketer = rustls::crypto::ring::Ticketer::new()?;
    Ok((TlsAcceptor::from(Arc::new(config)), ca.pem()))
}

async fn serve(listener: TcpListener, tls: TlsAcceptor, book: &Mutex<Book>) {
    let mut open = tokio::task::JoinSet::new();
    loop {
        let accepted = listener.accept().await;
        while open.try_join_next().is_some() {}
        let Ok((stream, _)) = accepted else {
            // Out of descriptors: some close soon.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        if let Ok(asked) = stream.local_addr() {
            lock(book).push((asked.ip(), Instant::now()));
        }
        let tls = tls.clone();
        open.spawn(async move {
            // A probe that goes early has seen enough.
            let _done: io::Result<()> = async { answer(tls.accept(stream).await?).await }.await;
        });
    }
}

/// Answers a request, if one comes, and closes.
async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    if stream.read(&mut [0; 2048]).await? > 0 {
        stream.write_all(ANSWER).await?;
        stream.shutdown().await?;
    }
    Ok(())
}
