//! The accept loop: bounded connections, in all and of one address, a deadline for request heads, and an orderly end.

mod crowd;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::future::RouteFuture;
use http::Response;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use ipnet::IpNet;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

use crowd::Crowd;

/// Limits of a listener.
#[derive(Clone, Debug)]
pub struct ServeLimits {
    /// Connections at once; further ones wait in the system's queue.
    pub connections_max: usize,
    /// Connections of one address (IPv6: one /64) at once; one more is answered 429. 0: no limit.
    pub connections_per_address_max: usize,
    /// Addresses without that limit: proxies, which come for many.
    pub unlimited_addresses: Vec<IpNet>,
    /// From the first moment of a connection, and from the end of a request, to the end of the next request's head.
    pub header_timeout: Duration,
    /// Bytes of a request's head; at least 8,192.
    pub header_bytes_max: usize,
    /// Requests at once on one HTTP/2 connection.
    pub streams_max: u32,
    /// After `stop`: how long requests that have begun may take.
    pub drain: Duration,
}

impl Default for ServeLimits {
    fn default() -> Self {
        Self {
            connections_max: 1024,
            connections_per_address_max: 256,
            unlimited_addresses: Vec::new(),
            header_timeout: Duration::from_secs(10),
            header_bytes_max: 32 * 1024,
            streams_max: 100,
            drain: Duration::from_secs(5),
        }
    }
}

/// The other end of the connection that a request came on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Tells the router where its requests come from.
#[derive(Clone, Debug)]
struct WithPeer {
    peer: Peer,
    router: Router,
}

impl Service<http::Request<Incoming>> for WithPeer {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = RouteFuture<Infallible>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request>::poll_ready(&mut self.router, context)
    }

    fn call(&mut self, mut request: http::Request<Incoming>) -> RouteFuture<Infallible> {
        request.extensions_mut().insert(self.peer);
        self.router.call(request.map(Body::new))
    }
}

/// Wait after the system refused a connection, as it does where files run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The first bytes of HTTP/2.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Wait for more of a preface that came in parts; a socket with unread bytes counts as readable.
const PREFACE_PAUSE: Duration = Duration::from_millis(10);

/// Serves `router` until `stop`, then lets begun requests end, and cuts what is left after `limits.drain`.
pub async fn serve(listener: TcpListener, router: Router, limits: ServeLimits, stop: CancellationToken) {
    let server = builder(&limits);
    let crowd = Crowd::new(limits.connections_per_address_max, limits.unlimited_addresses.clone());
    let (tracker, cut) = (TaskTracker::new(), CancellationToken::new());
    let connections = std::sync::Arc::new(Semaphore::new(limits.connections_max));
    loop {
        let permit = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            permit = std::sync::Arc::clone(&connections).acquire_owned() => permit.expect("nobody closes the semaphore"),
        };
        let stream = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match stream {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(counted) = crowd.enter(peer.ip()) else {
            let (server, crowd, cut) = (server.clone(), std::sync::Arc::clone(&crowd), cut.clone());
            tracker.spawn(async move {
                tokio::select! {
                    () = cut.cancelled() => {}
                    () = crowd.refuse(&server, stream) => {}
                }
            });
            continue;
        };
        let service = TowerToHyperService::new(WithPeer { peer: Peer(peer), router: router.clone() });
        let (server, stop, cut) = (server.clone(), stop.clone(), cut.clone());
        tracker.spawn(async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                speaks = speaks_within(&stream, limits.header_timeout) => if !speaks { return },
            }
            connection(&server, stream, service, &stop, &cut).await;
            drop((permit, counted));
        });
    }
    drop(listener);
    tracker.close();
    if tokio::time::timeout(limits.drain, tracker.wait()).await.is_err() {
        cut.cancel();
        tracker.wait().await;
    }
}

fn builder(limits: &ServeLimits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.header_timeout).max_buf_size(limits.header_bytes_max.max(8192));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams_max)
        .max_header_list_size(16 * 1024)
        .max_pending_accept_reset_streams(10)
        .max_local_error_reset_streams(Some(100))
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10));
    builder
}

/// Whether the peer sends its preface in time. The wait for it, which tells HTTP/1 from HTTP/2, knows no deadline
/// of its own, so a peer that begins the preface of HTTP/2 must end it here.
async fn speaks_within(stream: &TcpStream, time: Duration) -> bool {
    let preface = async {
        let mut seen = [0; PREFACE.len()];
        let mut before = 0;
        loop {
            let bytes = stream.peek(&mut seen).await?;
            let undecided = bytes < seen.len() && PREFACE.starts_with(&seen[..bytes]);
            if bytes == 0 || !undecided {
                return Ok::<bool, std::io::Error>(bytes > 0);
            }
            if bytes == before {
                tokio::time::sleep(PREFACE_PAUSE).await;
            }
            before = bytes;
        }
    };
    match tokio::time::timeout(time, preface).await {
        Ok(Ok(speaks)) => speaks,
        Ok(Err(error)) => {
            tracing::debug!(%error, "a connection ended at once");
            false
        }
        Err(_) => {
            tracing::debug!("a connection was silent");
            false
        }
    }
}

async fn connection(
    server: &auto::Builder<TokioExecutor>,
    stream: TcpStream,
    service: TowerToHyperService<WithPeer>,
    stop: &CancellationToken,
    cut: &CancellationToken,
) {
    // Answers are small; waiting to fill packets only delays them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection ended at once");
        return;
    }
    let mut connection = std::pin::pin!(server.serve_connection(TokioIo::new(stream), service));
    let mut stopping = false;
    loop {
        tokio::select! {
            biased;
            () = cut.cancelled() => return,
            () = stop.cancelled(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended with an error");
                }
                return;
            }
        }
    }
}
