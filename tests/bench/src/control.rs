//! As much of a control plane as a worker needs: it hands out a manifest, and takes what is reported.

use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use quorate_core::bucket::{BUCKETS, Bucket};
use quorate_core::check::Check;
use quorate_core::ids::ReplicaId;
use quorate_core::vote::VoteState;
use quorate_proto::convert::{BucketMap, Change, Chunk, Replica, manifest_hash, sort_entries};
use quorate_proto::v1::control_message::Body as Say;
use quorate_proto::v1::worker_gateway_server::{WorkerGateway, WorkerGatewayServer};
use quorate_proto::v1::worker_message::Body as Heard;
use quorate_proto::v1::{CheckSpec, ControlMessage, Limits, ManifestDelta, RoundAck, Timings, Welcome, WorkerMessage};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, Streaming};

/// Bytes of a message that control reads.
const MESSAGE_BYTES_MAX: usize = 256 * 1024;
const REPLICA: [u8; 16] = [1; 16];
/// Milliseconds between two rounds, as in the product.
const ROUND_MS: u32 = 10_000;

pub(crate) struct Control {
    pub(crate) url: String,
    /// Checks that are up, by rounds and deltas.
    up: watch::Receiver<usize>,
    /// When a change to down was heard.
    downs: mpsc::UnboundedReceiver<Instant>,
    _serving: JoinSet<()>,
}

struct Gateway {
    url: String,
    manifests: Vec<ManifestDelta>,
    up: watch::Sender<usize>,
    downs: mpsc::UnboundedSender<Instant>,
}

impl Control {
    /// Must be called within a runtime.
    pub(crate) async fn start(checks: &[Check]) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address: SocketAddr = listener.local_addr()?;
        let url = format!("http://{address}");
        let (ups, up) = watch::channel(0);
        let (down, downs) = mpsc::unbounded_channel();
        let gateway = Gateway { url: url.clone(), manifests: manifests(checks), up: ups, downs: down };
        let gateway = WorkerGatewayServer::new(gateway).max_decoding_message_size(MESSAGE_BYTES_MAX);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let serving = tonic::transport::Server::builder().add_service(gateway).serve_with_incoming(TcpListenerStream::new(listener));
            if let Err(error) = serving.await {
                eprintln!("the control of the bench has failed: {error}");
            }
        });
        Ok(Self { url, up, downs, _serving: serving })
    }

    pub(crate) fn up(&self) -> usize {
        *self.up.borrow()
    }

    /// Until so many checks are up.
    pub(crate) async fn until_up(&self, count: u32, within: Duration) -> Result<()> {
        let (all, mut up) = (usize::try_from(count)?, self.up.clone());
        match timeout(within, up.wait_for(|up| *up >= all)).await {
            Ok(heard) => heard.map(drop).context("the control of the bench has ended"),
            Err(_elapsed) => bail!("after {within:?} {} of {count} checks are up", self.up()),
        }
    }

    /// When the next check is heard to go down, of those that nobody has asked after yet.
    pub(crate) async fn next_down(&mut self) -> Option<Instant> {
        self.downs.recv().await
    }

    /// Those that went down so far are not asked after.
    pub(crate) fn forget_downs(&mut self) {
        while self.downs.try_recv().is_ok() {}
    }
}

fn manifests(checks: &[Check]) -> Vec<ManifestDelta> {
    let of_bucket = |bucket: u16| {
        let mine = checks.iter().skip(bucket.into()).step_by(BUCKETS.into());
        let mut add: Vec<CheckSpec> = mine.map(CheckSpec::from).collect();
        sort_entries(&mut add);
        ManifestDelta { bucket: bucket.into(), to_version: 1, nonce: 1, hash: manifest_hash(&add), add, ..ManifestDelta::default() }
    };
    (0..BUCKETS).map(of_bucket).filter(|manifest| !manifest.add.is_empty()).collect()
}

#[tonic::async_trait]
impl WorkerGateway for Gateway {
    type SessionStream = Pin<Box<dyn Stream<Item = Result<ControlMessage, Status>> + Send>>;

    async fn session(&self, request: Request<Streaming<WorkerMessage>>) -> Result<Response<Self::SessionStream>, Status> {
        let mut incoming = request.into_inner();
        let (out, outgoing) = mpsc::channel(64);
        let (map, manifests, up, downs) = (owns_everything(&self.url), self.manifests.clone(), self.up.clone(), self.downs.clone());
        let listening = async move {
            let mut told = Told::new(&manifests);
            while let Some(Ok(message)) = incoming.next().await {
                let mut answers = Vec::new();
                match message.body {
                    Some(Heard::Hello(_)) => {
                        answers.extend([Say::Welcome(welcome()), map.clone()]);
                        answers.extend(manifests.iter().cloned().map(Say::ManifestDelta));
                    }
                    Some(Heard::Round(round)) => {
                        answers.push(Say::RoundAck(RoundAck { seq: round.seq, next_round_ms: ROUND_MS }));
                        round.chunks.into_iter().filter_map(|chunk| Chunk::try_from(chunk).ok()).for_each(|chunk| told.take_chunk(&chunk));
                        up.send_replace(told.up);
                    }
                    Some(Heard::Delta(delta)) => {
                        let heard = Instant::now();
                        for change in delta.entries.iter().filter_map(|entry| Change::try_from(entry).ok()) {
                            told.take_change(&change);
                            if change.detail.state == VoteState::Down && downs.send(heard).is_err() {
                                return;
                            }
                        }
                        up.send_replace(told.up);
                    }
                    _ => {}
                }
                for body in answers {
                    if out.send(Ok(ControlMessage { body: Some(body) })).await.is_err() {
                        return;
                    }
                }
            }
        };
        let outgoing = ReceiverStream::new(outgoing);
        Ok(Response::new(Box::pin(Spoken { outgoing, listening: Box::pin(listening), done: false })))
    }
}

/// What a worker has told of each check.
struct Told {
    /// By bucket and position.
    states: Vec<Vec<VoteState>>,
    up: usize,
}

impl Told {
    fn new(manifests: &[ManifestDelta]) -> Self {
        let mut states = vec![Vec::new(); BUCKETS.into()];
        for manifest in manifests {
            if let Some(states) = usize::try_from(manifest.bucket).ok().and_then(|bucket| states.get_mut(bucket)) {
                states.resize(manifest.add.len(), VoteState::Unknown);
            }
        }
        Self { states, up: 0 }
    }

    fn take_chunk(&mut self, chunk: &Chunk) {
        let states = &mut self.states[usize::from(chunk.bucket.number())];
        if let Ok(now) = chunk.states(states.len()) {
            let up = |states: &[VoteState]| states.iter().filter(|state| **state == VoteState::Up).count();
            self.up -= up(states);
            *states = now.collect();
            self.up += up(states);
        }
    }

    fn take_change(&mut self, change: &Change) {
        let states = &mut self.states[usize::from(change.bucket.number())];
        if let Some(state) = usize::try_from(change.position).ok().and_then(|position| states.get_mut(position)) {
            self.up -= usize::from(*state == VoteState::Up);
            *state = change.detail.state;
            self.up += usize::from(*state == VoteState::Up);
        }
    }
}

/// What is said, while what is heard is worked on.
struct Spoken<F> {
    outgoing: ReceiverStream<Result<ControlMessage, Status>>,
    listening: Pin<Box<F>>,
    done: bool,
}

impl<F: Future<Output = ()>> Stream for Spoken<F> {
    type Item = Result<ControlMessage, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> std::task::Poll<Option<Self::Item>> {
        if !self.done {
            self.done = self.listening.as_mut().poll(cx).is_ready();
        }
        Pin::new(&mut self.outgoing).poll_next(cx)
    }
}

fn welcome() -> Welcome {
    Welcome {
        min_epoch: 0,
        timings: Some(Timings {
            round_ms: ROUND_MS,
            delta_ms: 200,
            keepalive_ms: 10_000,
            keepalive_timeout_ms: 5_000,
            reconnect_min_ms: 500,
            reconnect_max_ms: 5_000,
            fence_retry_ms: 60_000,
        }),
        limits: Some(Limits { delta_entries_per_second: 2_000, message_bytes_max: 262_144, checks_max: 1_000_000 }),
        replica_id: REPLICA.to_vec().into(),
    }
}

fn owns_everything(url: &str) -> Say {
    let id = ReplicaId::from_bytes(REPLICA);
    let replicas = vec![Replica { id, url: url.to_owned() }];
    Say::BucketMap((&BucketMap::new(1, replicas, |_: Bucket| Some(id), |_| None)).into())
}
