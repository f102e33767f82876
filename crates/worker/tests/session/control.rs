//! The control plane's side of the wire, word by word as the test says.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use quorate_proto::convert::{Change, Chunk, Hello, Window};
use quorate_proto::v1::control_message::Body as Say;
use quorate_proto::v1::worker_gateway_server::{WorkerGateway, WorkerGatewayServer};
use quorate_proto::v1::worker_message::Body as Heard;
use quorate_proto::v1::{ControlMessage, Limits, ManifestAck, Round, Timings, Welcome, WorkerMessage};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_stream::{Stream, StreamExt as _};
use tonic::transport::{Server, ServerTlsConfig};
use tonic::{Request, Response, Status, Streaming};

/// Bytes of a message that control reads.
pub(crate) const MESSAGE_IN_MAX: usize = 256 * 1024;
/// For anything that has to come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A replica of the control plane. Dropped: nobody answers there any more.
pub(crate) struct Control {
    pub(crate) address: SocketAddr,
    sessions: mpsc::Receiver<Peer>,
    dialled: Arc<AtomicUsize>,
    _serving: JoinSet<()>,
}

/// A worker's session as control sees it. Dropped: the stream ends.
pub(crate) struct Peer {
    pub(crate) authorization: Option<String>,
    incoming: Streaming<WorkerMessage>,
    out: mpsc::Sender<Result<ControlMessage, Status>>,
    /// Heard, but not what the test waited for.
    pub(crate) skipped: VecDeque<Heard>,
}

struct Gateway(mpsc::Sender<Peer>);

#[tonic::async_trait]
impl WorkerGateway for Gateway {
    type SessionStream = Pin<Box<dyn Stream<Item = Result<ControlMessage, Status>> + Send>>;

    async fn session(&self, request: Request<Streaming<WorkerMessage>>) -> Result<Response<Self::SessionStream>, Status> {
        let authorization = request.metadata().get("authorization").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (out, outgoing) = mpsc::channel(64);
        let peer = Peer { authorization, incoming: request.into_inner(), out, skipped: VecDeque::new() };
        self.0.send(peer).await.map_err(|_| Status::unavailable("the test is over"))?;
        Ok(Response::new(Box::pin(ReceiverStream::new(outgoing))))
    }
}

impl Control {
    pub(crate) async fn start() -> Self {
        Self::serve("127.0.0.1:0", None).await
    }

    /// At the address of one that was dropped.
    pub(crate) async fn start_at(address: SocketAddr) -> Self {
        Self::serve(&address.to_string(), None).await
    }

    pub(crate) async fn start_with_tls(tls: ServerTlsConfig) -> Self {
        Self::serve("127.0.0.1:0", Some(tls)).await
    }

    async fn serve(address: &str, tls: Option<ServerTlsConfig>) -> Self {
        // The port of a dropped one is free when its connections are gone.
        let listener = timeout(PATIENCE, async {
            loop {
                if let Ok(listener) = TcpListener::bind(address).await {
                    return listener;
                }
                tokio::task::yield_now().await;
            }
        });
        let listener = listener.await.expect("a loopback address has free ports");
        let address = listener.local_addr().expect("bound");
        let (sender, sessions) = mpsc::channel(8);
        let mut server = Server::builder();
        if let Some(tls) = tls {
            server = server.tls_config(tls).expect("a certificate and its key");
        }
        let router = server.add_service(WorkerGatewayServer::new(Gateway(sender)).max_decoding_message_size(MESSAGE_IN_MAX));
        let dialled = Arc::new(AtomicUsize::new(0));
        let count = dialled.clone();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let incoming = TcpListenerStream::new(listener).map(|stream| {
                count.fetch_add(1, Ordering::Relaxed);
                stream
            });
            router.serve_with_incoming(incoming).await.expect("the listener lives");
        });
        Self { address, sessions, dialled, _serving: serving }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next session of a worker.
    pub(crate) async fn accepts(&mut self) -> Peer {
        timeout(PATIENCE, self.sessions.recv()).await.expect("a worker dials").expect("the server lives")
    }

    /// Waits until somebody has connected so many times, whatever came of it.
    pub(crate) async fn is_dialled(&self, times: usize) {
        timeout(PATIENCE, async {
            while self.dialled.load(Ordering::Relaxed) < times {
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("a worker dials");
    }

    pub(crate) fn has_no_session(&mut self) -> bool {
        self.sessions.try_recv().is_err()
    }

    /// The next session, greeted.
    pub(crate) async fn welcomes(&mut self, replica: u8) -> (Peer, Hello) {
        let mut peer = self.accepts().await;
        let hello = peer.hears_hello().await;
        peer.says(Say::Welcome(welcome(replica))).await;
        (peer, hello)
    }
}

/// Everything at a fiftieth of the product's times, so that tests are quick.
pub(crate) fn welcome(replica: u8) -> Welcome {
    Welcome {
        min_epoch: 0,
        timings: Some(Timings {
            round_ms: 200,
            delta_ms: 20,
            keepalive_ms: 1_000,
            keepalive_timeout_ms: 1_000,
            reconnect_min_ms: 20,
            reconnect_max_ms: 100,
            fence_retry_ms: 300,
        }),
        limits: Some(Limits { delta_entries_per_second: 2_000, message_bytes_max: 1 << 20, checks_max: 100_000 }),
        replica_id: vec![replica; 16].into(),
    }
}

impl Peer {
    pub(crate) async fn says(&self, body: Say) {
        self.out.send(Ok(ControlMessage { body: Some(body) })).await.expect("the worker listens");
    }

    /// The next message; `None` where the worker has ended the stream.
    pub(crate) async fn hears(&mut self) -> Option<Heard> {
        timeout(PATIENCE, self.incoming.message()).await.expect("the worker speaks").ok()?.and_then(|message| message.body)
    }

    /// The first message in which `look` finds something.
    pub(crate) async fn hears_that<T>(&mut self, what: &str, look: impl Fn(&Heard) -> Option<T>) -> T {
        let search = async {
            loop {
                let message = self.incoming.message().await.expect("the stream lives").expect("the worker goes on");
                let body = message.body.expect("a message of this protocol");
                if let Some(found) = look(&body) {
                    return found;
                }
                self.skipped.push_back(body);
            }
        };
        timeout(PATIENCE, search).await.unwrap_or_else(|_| panic!("the worker never tells {what}"))
    }

    pub(crate) async fn hears_hello(&mut self) -> Hello {
        let hello = self.hears_that("hello", |body| if let Heard::Hello(hello) = body { Some(hello.clone()) } else { None }).await;
        Hello::try_from(hello).expect("well formed")
    }

    pub(crate) async fn hears_ack(&mut self) -> ManifestAck {
        self.hears_that("ack", |body| if let Heard::ManifestAck(ack) = body { Some(ack.clone()) } else { None }).await
    }

    pub(crate) async fn hears_round(&mut self) -> Round {
        self.hears_that("round", |body| if let Heard::Round(round) = body { Some(round.clone()) } else { None }).await
    }

    /// The first round that has a chunk.
    pub(crate) async fn hears_votes(&mut self) -> Votes {
        self.hears_that("votes", |body| match body {
            Heard::Round(round) if !round.chunks.is_empty() => Some(Votes::of(round)),
            _ => None,
        })
        .await
    }

    /// The first delta's changes.
    pub(crate) async fn hears_changes(&mut self) -> Vec<Change> {
        self.hears_that("changes", |body| match body {
            Heard::Delta(delta) => Some(delta.entries.iter().map(|entry| Change::try_from(entry).expect("well formed")).collect()),
            _ => None,
        })
        .await
    }
}

/// A round, read.
#[derive(Debug)]
pub(crate) struct Votes {
    pub(crate) seq: u64,
    pub(crate) chunks: Vec<Chunk>,
    pub(crate) windows: Vec<Window>,
}

impl Votes {
    fn of(round: &Round) -> Self {
        Self {
            seq: round.seq,
            chunks: round.chunks.iter().map(|chunk| Chunk::try_from(chunk.clone()).expect("well formed")).collect(),
            windows: round.detail.iter().map(|window| Window::try_from(window.clone()).expect("well formed")).collect(),
        }
    }
}
