//! A worker that follows a script: it speaks the protocol and probes nothing.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use quorate_core::bucket::Bucket;
use quorate_core::failure::FailureReason;
use quorate_core::ids::CheckId;
use quorate_core::pop::Pop;
use quorate_core::vote::{Detail, VoteState};
use quorate_proto::convert::{Change, Chunk, HeldManifest, Hello, Window, manifest_hash};
use quorate_proto::v1::control_message::Body as FromControl;
use quorate_proto::v1::worker_gateway_client::WorkerGatewayClient;
use quorate_proto::v1::worker_message::Body as ToControl;
use quorate_proto::{PROTOCOL, v1};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status, Streaming};

use crate::world::{holds, until};

/// What a worker says of itself.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) hello: Hello,
    pub(crate) secret: String,
}

impl Script {
    pub(crate) fn of(pop: &Pop) -> Self {
        Self {
            hello: Hello {
                protocol: PROTOCOL,
                pop: pop.code.clone(),
                region: pop.region,
                session_epoch: 1_000,
                boot_id: [u8::try_from(pop.no.0).unwrap(); 16],
                version: "0.0.0".to_owned(),
                capabilities: vec!["http".to_owned()],
                held: Vec::new(),
            },
            secret: secret_of(pop),
        }
    }

    pub(crate) fn epoch(mut self, epoch: u64) -> Self {
        self.hello.session_epoch = epoch;
        self
    }

    pub(crate) fn boot(mut self, boot: u8) -> Self {
        self.hello.boot_id = [boot; 16];
        self
    }
}

pub(crate) fn secret_of(pop: &Pop) -> String {
    format!("secret-of-{}", pop.code)
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Held {
    pub(crate) version: u64,
    pub(crate) checks: BTreeMap<[u8; 16], v1::CheckSpec>,
}

impl Held {
    fn hash(&self) -> u64 {
        manifest_hash(self.checks.values())
    }
}

/// What was heard in this session.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) welcomes: Vec<v1::Welcome>,
    pub(crate) held: HashMap<Bucket, Held>,
    pub(crate) steps: Vec<v1::ManifestDelta>,
    pub(crate) drops: Vec<u32>,
    pub(crate) acked_round: u64,
    pub(crate) map: Option<v1::BucketMap>,
    pub(crate) fence: Option<v1::Fence>,
    /// One-off probes that it was asked for, unanswered.
    pub(crate) requests: Vec<v1::ProbeRequest>,
    pub(crate) ended: Option<Result<(), Status>>,
    /// Steps are kept but neither taken up nor acknowledged.
    pub(crate) stubborn: bool,
}

/// A session of a scripted worker.
#[derive(Debug)]
pub(crate) struct Worker {
    script: Script,
    out: mpsc::Sender<v1::WorkerMessage>,
    heard: Arc<Mutex<Heard>>,
    changed: watch::Receiver<()>,
    _reading: JoinSet<()>,
}

pub(crate) async fn channel(address: SocketAddr) -> Channel {
    Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
}

impl Worker {
    /// Dials, introduces itself, and listens.
    pub(crate) async fn dials(address: SocketAddr, script: Script) -> Self {
        Self::tries(channel(address).await, script).await.unwrap()
    }

    /// The same over any channel; the error is what the server refused the call with.
    pub(crate) async fn tries(channel: Channel, script: Script) -> Result<Self, Status> {
        let mut client = WorkerGatewayClient::new(channel).max_decoding_message_size(4 * 1024 * 1024);
        let (out, messages) = mpsc::channel(16);
        let mut request = Request::new(ReceiverStream::new(messages));
        request.metadata_mut().insert("authorization", format!("Bearer {}", script.secret).parse().unwrap());
        let inbound = client.session(request).await?.into_inner();
        let heard = Arc::new(Mutex::new(Heard::default()));
        let (ring, changed) = watch::channel(());
        let mut reading = JoinSet::new();
        reading.spawn(read(inbound, Arc::clone(&heard), ring, out.clone()));
        let worker = Self { script, out, heard, changed, _reading: reading };
        worker.sends(ToControl::Hello((&worker.script.hello).into())).await;
        Ok(worker)
    }

    pub(crate) fn script(&self) -> Script {
        self.script.clone()
    }

    pub(crate) async fn sends(&self, body: ToControl) {
        // Where the stream has ended, what was heard says so.
        let _ = self.out.send(v1::WorkerMessage { body: Some(body) }).await;
    }

    pub(crate) fn look<T>(&self, look: impl FnOnce(&mut Heard) -> T) -> T {
        look(&mut self.heard.lock().unwrap())
    }

    /// Waits until what was heard satisfies a claim.
    pub(crate) async fn until(&self, claim: &str, mut satisfied: impl FnMut(&Heard) -> bool) {
        let mut changed = self.changed.clone();
        let wait = async {
            while !self.look(|heard| satisfied(heard)) {
                if changed.changed().await.is_err() {
                    assert!(
                        self.look(|heard| satisfied(heard)),
                        "the session ended first: {claim}: {:#?}",
                        self.look(|heard| heard.ended.clone())
                    );
                }
            }
        };
        let limit = std::time::Duration::from_secs(20);
        assert!(tokio::time::timeout(limit, wait).await.is_ok(), "not within {limit:?}: {claim}: {:#?}", self.heard);
    }

    /// Waits until it holds so many checks in all.
    pub(crate) async fn holds_checks(&self, count: usize) {
        self.until("it holds its checks", |heard| heard.held.values().map(|held| held.checks.len()).sum::<usize>() == count).await;
    }

    pub(crate) fn held(&self) -> HashMap<Bucket, Held> {
        self.look(|heard| heard.held.clone())
    }

    /// What it holds, as it would tell in the next Hello.
    pub(crate) fn remembers(&self) -> Vec<HeldManifest> {
        let of = |(bucket, held): (Bucket, Held)| HeldManifest { bucket, version: held.version, hash: held.hash() };
        self.held().into_iter().map(of).collect()
    }

    /// Never goes back within the process, so that no reconnect is taken for an old message.
    fn next_seq() -> u64 {
        static SEQ: AtomicU64 = AtomicU64::new(1);
        SEQ.fetch_add(1, Ordering::Relaxed)
    }

    /// Sends its whole state with all detail; waits until control has taken it.
    pub(crate) async fn says(&mut self, state: impl Fn(CheckId) -> VoteState) {
        self.says_of(self.held(), state).await;
    }

    /// The same, cast under manifests of its choice.
    pub(crate) async fn says_of(&mut self, manifests: HashMap<Bucket, Held>, state: impl Fn(CheckId) -> VoteState) {
        let seq = Self::next_seq();
        let (mut chunks, mut detail) = (Vec::new(), Vec::new());
        for (bucket, held) in manifests {
            let states: Vec<VoteState> = held.checks.keys().map(|id| state(CheckId::from_bytes(*id))).collect();
            chunks.push((&Chunk::pack(bucket, held.version, states.iter().copied())).into());
            let details = states.iter().map(|state| detail_of(*state)).collect();
            detail.push((&Window { bucket, manifest_version: held.version, from: 0, details }).into());
        }
        self.sends(ToControl::Round(v1::Round { seq, chunks, detail })).await;
        self.until("the round is acknowledged", |heard| heard.acked_round >= seq || heard.fence.is_some()).await;
    }

    /// Sends one changed vote.
    pub(crate) async fn changes(&mut self, check: CheckId, state: VoteState) {
        let seq = Self::next_seq();
        let (bucket, held) = self.held().into_iter().find(|(_, held)| held.checks.contains_key(check.as_bytes())).expect("it is asked");
        let position = held.checks.keys().position(|id| id == check.as_bytes()).unwrap();
        let change = Change { bucket, manifest_version: held.version, position: position.try_into().unwrap(), detail: detail_of(state) };
        self.sends(ToControl::Delta(v1::Delta { seq, entries: vec![(&change).into()] })).await;
    }

    pub(crate) async fn says_goodbye(self) {
        self.sends(ToControl::Goodbye(v1::Goodbye { reason: "drain".to_owned() })).await;
        self.until("the stream ends", |heard| heard.ended.is_some()).await;
    }

    pub(crate) async fn is_fenced(&self) -> v1::Fence {
        self.until("it is fenced", |heard| heard.fence.is_some()).await;
        self.look(|heard| heard.fence.clone().unwrap())
    }

    pub(crate) async fn ends(&self) {
        until("the stream ends", async || holds(self.look(|heard| heard.ended.is_some()), "open")).await;
    }
}

fn detail_of(state: VoteState) -> Detail {
    let down = state == VoteState::Down;
    Detail {
        state,
        reason: down.then_some(FailureReason::ResponseCodeMismatch),
        response_code: Some(if down { 503 } else { 200 }),
        rtt_us: Some(12_100),
    }
}

async fn read(
    mut inbound: Streaming<v1::ControlMessage>,
    heard: Arc<Mutex<Heard>>,
    ring: watch::Sender<()>,
    out: mpsc::Sender<v1::WorkerMessage>,
) {
    loop {
        let answer = match inbound.message().await {
            Ok(Some(v1::ControlMessage { body: Some(body) })) => take(&mut heard.lock().unwrap(), body),
            Ok(Some(_)) => None,
            Ok(None) => {
                heard.lock().unwrap().ended = Some(Ok(()));
                break;
            }
            Err(status) => {
                heard.lock().unwrap().ended = Some(Err(status));
                break;
            }
        };
        if let Some(ack) = answer {
            let _ = out.send(v1::WorkerMessage { body: Some(ToControl::ManifestAck(ack)) }).await;
        }
        ring.send_replace(());
    }
}

fn take(heard: &mut Heard, body: FromControl) -> Option<v1::ManifestAck> {
    match body {
        FromControl::Welcome(welcome) => heard.welcomes.push(welcome),
        FromControl::RoundAck(ack) => heard.acked_round = ack.seq,
        FromControl::BucketMap(map) => heard.map = Some(map),
        FromControl::Fence(fence) => heard.fence = Some(fence),
        FromControl::Throttle(_) => {}
        FromControl::ProbeRequest(request) => heard.requests.push(*request),
        FromControl::ManifestDrop(drop) => {
            heard.drops.push(drop.bucket);
            heard.held.remove(&Bucket::new(drop.bucket.try_into().unwrap()).unwrap());
        }
        FromControl::ManifestDelta(step) => {
            heard.steps.push(step.clone());
            return (!heard.stubborn).then(|| apply(heard, &step));
        }
    }
    None
}

fn apply(heard: &mut Heard, step: &v1::ManifestDelta) -> v1::ManifestAck {
    let bucket = Bucket::new(step.bucket.try_into().unwrap()).unwrap();
    let ack = |version| v1::ManifestAck { bucket: step.bucket, version, nonce: step.nonce, rejected: Vec::new() };
    let held = heard.held.entry(bucket).or_default();
    let whole = step.from_version == 0;
    if !whole && held.version != step.from_version {
        return ack(0);
    }
    let mut next = Held { version: step.to_version, checks: if whole { BTreeMap::new() } else { held.checks.clone() } };
    for id in &step.remove {
        next.checks.remove(&<[u8; 16]>::try_from(&id[..]).unwrap());
    }
    for spec in &step.add {
        next.checks.insert(<[u8; 16]>::try_from(&spec.check_id[..]).unwrap(), spec.clone());
    }
    assert_eq!(next.hash(), step.hash, "a step leads to what control says");
    *held = next;
    ack(step.to_version)
}
