//! The TLS handshake of a probe, TLS 1.0 to 1.3.
//!
//! Two libraries: rustls costs less and brings most handshakes to their end; whatever it does not is
//! asked again of OpenSSL, which still speaks what old origins speak, and whose word then counts.
//! Certificates are judged by [`Trust`] for both.

mod aside;
mod broad;
#[cfg(test)]
mod fuzz;
mod memory;
mod modern;
mod ration;
mod trust;

use std::borrow::Cow;
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Once};
use std::task::{Context, Poll};
use std::time::Duration;
use std::{fmt, io};

use openssl::x509::X509;
use rustls::pki_types::{CertificateDer, UnixTime};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::SetOnce;
use tokio::time::{Instant, timeout_at};
use tokio_openssl::SslStream;
use tokio_rustls::client::TlsStream;

use self::aside::Aside;
use self::broad::Broad;
pub(crate) use self::memory::Memory;
use self::modern::Modern;
use self::ration::Rationed;
use self::trust::{Refused, Trust};
use super::fault::{Fault, Renegotiates};
use super::net::SetupError;
use super::target::Host;
use crate::config::{TlsPolicy, ZoneTls};

/// The only protocol that we speak over it, as ALPN has it.
const HTTP_1_1: &[u8] = b"http/1.1";
/// Bytes of a handshake that rustls is given, which keeps them twice at times.
const MODERN_BYTES_MAX: usize = 10 * 1024;
/// Bytes of a handshake that OpenSSL is given, which is asked where that was not enough: long chains, and long lists of
/// authorities for our certificate.
const BROAD_BYTES_MAX: usize = 64 * 1024;

/// How to shake hands, once somebody has to.
#[derive(Debug)]
pub(super) struct Tls {
    policy: TlsPolicy,
    begun: Once,
    /// The system's authorities, and what the libraries make of them, take some MiB: who has plain checks only does without.
    clients: Arc<SetOnce<Result<Clients, SetupError>>>,
}

/// How to shake hands: as ourselves, or in the name of a zone.
#[derive(Debug)]
pub(super) struct Clients {
    own: Client,
    /// By name, in lower case.
    zones: HashMap<String, Client>,
    aside: Aside,
}

/// One set of authorities, and one certificate of ours or none.
#[derive(Debug)]
struct Client {
    /// `None`: it cannot show that certificate.
    modern: Option<Modern>,
    broad: Arc<Broad>,
}

/// What shakes hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Library {
    /// rustls.
    Modern,
    /// OpenSSL.
    Broad,
}

/// Whom to shake hands with.
#[derive(Debug)]
pub(super) struct Peer<'a> {
    /// A host name is sent as server name; an address is not, and the certificate must name it as an address.
    name: Cow<'a, str>,
    allow_insecure: bool,
    /// A zone that the operator has said nothing of is as none.
    zone: Option<&'a str>,
    /// `None`: of whom nothing is remembered.
    memory: Option<&'a Arc<Memory>>,
}

/// A connection that TLS secures. Its end is an end, whether or not the server announced it: what was
/// read must make sense by itself.
pub(super) struct Secured<S> {
    stream: Either<S>,
    /// Whole days until the server's certificate ends, negative once it has.
    pub(super) certificate_days_left: Option<i32>,
}

enum Either<S> {
    Modern(Box<TlsStream<Rationed<S>>>),
    Broad(SslStream<Rationed<S>>),
}

impl Tls {
    /// Trusts the system's authorities and those of `extra_ca_pem`; a zone trusts its own besides.
    ///
    /// # Errors
    /// Authorities or certificates that the operator has configured cannot be used: they are tried at once.
    pub(super) fn new(extra_ca_pem: Option<&str>, zones: &[ZoneTls], policy: TlsPolicy) -> Result<Self, SetupError> {
        let is_configured = extra_ca_pem.is_some() || !zones.is_empty();
        let clients = is_configured.then(|| Clients::new(extra_ca_pem, zones, policy)).transpose()?;
        Ok(Self { policy, begun: Once::new(), clients: Arc::new(SetOnce::new_with(clients.map(Ok))) })
    }

    /// All time that handshakes of OpenSSL have lost so far, because there were more than we could do.
    pub(super) fn broad_lost(&self) -> Duration {
        self.clients.get().and_then(|made| made.as_ref().ok()).map_or(Duration::ZERO, |clients| clients.aside.lost())
    }

    /// Whether [`clients`](Self::clients) need not be made any more.
    pub(super) fn is_ready(&self) -> bool {
        self.clients.initialized()
    }

    /// Has them made where nobody else has; waits for them until then.
    ///
    /// # Errors
    /// `TlsSetup`: not yet, or the libraries refuse, which they will as long as this process runs.
    pub(super) async fn clients(&self, until: Instant) -> Result<&Clients, Fault> {
        let made = if let Some(made) = self.clients.get() {
            made
        } else {
            self.begun.call_once(|| self.begin());
            timeout_at(until, self.clients.wait()).await.map_err(|late| Fault::TlsSetup(late.into()))?
        };
        made.as_ref().map_err(|error| Fault::TlsSetup(io::Error::other(error.to_string())))
    }

    /// In a thread of its own: it reads files, and other probes go on meanwhile.
    fn begin(&self) {
        let (clients, policy) = (Arc::clone(&self.clients), self.policy);
        tokio::task::spawn_blocking(move || {
            let made = Clients::new(None, &[], policy);
            if let Err(error) = &made {
                tracing::error!(event = "tls_unusable", error = %error, "no HTTPS check can be probed: they abstain");
            }
            // An error: somebody else has set them, and nobody else does.
            clients.set(made).ok()
        });
    }
}

impl Clients {
    fn new(extra_ca_pem: Option<&str>, zones: &[ZoneTls], policy: TlsPolicy) -> Result<Self, SetupError> {
        let is_all = extra_ca_pem.is_none() && zones.is_empty();
        let mut trusted = system_authorities(is_all)?;
        if let Some(pem) = extra_ca_pem {
            trusted.extend(certificates(pem, "extra_ca_pem")?);
        }
        let own = Client::new(&trusted, None, policy)?;
        let mut by_name = HashMap::new();
        for zone in zones {
            let more = zone.extra_ca_pem.as_deref().map(|pem| certificates(pem, &zone.name)).transpose()?;
            let trusted: Vec<X509> = trusted.iter().cloned().chain(more.into_iter().flatten()).collect();
            by_name.insert(zone.name.to_ascii_lowercase(), Client::new(&trusted, Some(zone), policy)?);
        }
        Ok(Self { own, zones: by_name, aside: Aside::default() })
    }

    /// What to shake hands by.
    pub(super) fn library(&self, peer: &Peer<'_>) -> Library {
        match (&self.client(peer).modern, peer.memory) {
            (None, _) => Library::Broad,
            (Some(_), Some(memory)) => memory.library(),
            (Some(_), None) => Library::Modern,
        }
    }

    /// Shakes hands as a client.
    pub(super) async fn handshake<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        &self,
        stream: S,
        peer: &Peer<'_>,
        library: Library,
    ) -> Result<Secured<S>, Fault> {
        let client = self.client(peer);
        let (mut stream, validity) = match &client.modern {
            Some(modern) if library == Library::Modern => {
                let (stream, validity) = modern.handshake(Rationed::new(stream, MODERN_BYTES_MAX), peer).await?;
                (Either::Modern(Box::new(stream)), validity)
            }
            _ => {
                let (broad, name, allow_insecure) = (client.broad.clone(), peer.name.clone().into_owned(), peer.allow_insecure);
                let stream = Rationed::new(stream, BROAD_BYTES_MAX);
                let shaking = self.aside.run(async move { broad.handshake(stream, &name, allow_insecure).await });
                let (stream, validity) = shaking.await.map_err(Fault::TlsSetup)??;
                (Either::Broad(stream), validity)
            }
        };
        stream.rationed().renew();
        let now = UnixTime::now();
        Ok(Secured { stream, certificate_days_left: validity.map(|validity| validity.days_left(now)) })
    }

    fn client(&self, peer: &Peer<'_>) -> &Client {
        peer.zone.and_then(|zone| self.zones.get(zone)).unwrap_or(&self.own)
    }
}

impl<'a> Peer<'a> {
    pub(super) fn new(name: &'a Host, allow_insecure: bool, zone: Option<&'a str>, memory: Option<&'a Arc<Memory>>) -> Self {
        let name = match name {
            Host::Name(name) => Cow::Borrowed(&**name),
            Host::Address(address) => Cow::Owned(address.to_string()),
        };
        Self { name, allow_insecure, zone, memory }
    }

    /// Drops the session if the last handshake has resumed it. Whether it had.
    pub(super) fn forgets_resumed(&self) -> bool {
        self.memory.is_some_and(|memory| memory.forgets_resumed())
    }

    /// The cheap library has not come to a word.
    pub(super) fn needs_broad(&self) {
        if let Some(memory) = self.memory {
            memory.needs_broad();
        }
    }
}

impl Client {
    fn new(trusted: &[X509], zone: Option<&ZoneTls>, policy: TlsPolicy) -> Result<Self, SetupError> {
        let trust = Arc::new(Trust::new(trusted, policy.weak_certificates)?);
        let broad = Arc::new(Broad::new(&trust, trusted, zone, policy)?);
        let modern = Modern::new(&trust, zone.and_then(|zone| zone.client.as_ref()), policy)
            .inspect_err(|error| tracing::info!(error = %error, "a client certificate of worker.zones is left to OpenSSL"))
            .ok();
        Ok(Self { modern, broad })
    }
}

impl From<Refused> for Fault {
    fn from(refused: Refused) -> Self {
        Self::Certificate { why: refused.why, days_left: refused.days_left(UnixTime::now()) }
    }
}

impl<S> fmt::Debug for Secured<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secured").field("certificate_days_left", &self.certificate_days_left).finish_non_exhaustive()
    }
}

impl<S> Either<S> {
    fn rationed(&mut self) -> &mut Rationed<S> {
        match self {
            Self::Modern(stream) => stream.get_mut().0,
            Self::Broad(stream) => stream.get_mut(),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Secured<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let had = buffer.filled().len();
        let read = match &mut self.stream {
            Either::Modern(stream) => {
                let read = Pin::new(&mut *stream).poll_read(cx, buffer);
                if modern::has_refused_to_renegotiate(stream.get_ref().1) {
                    return Poll::Ready(Err(io::Error::other(Renegotiates)));
                }
                read
            }
            Either::Broad(stream) => Pin::new(stream).poll_read(cx, buffer),
        };
        if buffer.filled().len() > had {
            self.stream.rationed().renew();
        }
        match read {
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
            read => read,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Secured<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Either::Modern(stream) => Pin::new(stream).poll_write(cx, bytes),
            Either::Broad(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Either::Modern(stream) => Pin::new(stream).poll_flush(cx),
            Either::Broad(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Either::Modern(stream) => Pin::new(stream).poll_shutdown(cx),
            Either::Broad(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// # Errors
/// There are none because they cannot be read, and they are `all` that there would be: nobody would be believed.
fn system_authorities(all: bool) -> Result<Vec<X509>, SetupError> {
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
    let authorities: Vec<X509> = system.certs.iter().filter_map(taken).collect();
    if all && authorities.is_empty() && !system.errors.is_empty() { Err(SetupError::NoAuthorities) } else { Ok(authorities) }
}

/// One or more certificates; `of` says whose they are.
fn certificates(pem: &str, of: &str) -> Result<Vec<X509>, SetupError> {
    let certificates = X509::stack_from_pem(pem.as_bytes())?;
    if certificates.is_empty() { Err(SetupError::NoCertificate(of.to_owned())) } else { Ok(certificates) }
}
