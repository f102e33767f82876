//! One session on one stream: Hello, Welcome, and then manifests in and votes out.
//!
//! What goes out waits in a queue of this session while control takes its time, and nothing new is
//! made until the queue is empty: state is read when it can be sent, never before.

use std::collections::VecDeque;
use std::time::Duration;

use metrics::{counter, histogram};
use prost::Message as _;
use quorate_core::ids::ReplicaId;
use quorate_core::spacing::Spacing;
use quorate_core::timings::{Timings, ms};
use quorate_proto::PROTOCOL;
use quorate_proto::convert::{BucketMap, Change, Hello, Malformed, ProbeAnswer};
use quorate_proto::v1::control_message::Body as FromControl;
use quorate_proto::v1::worker_gateway_client::WorkerGatewayClient;
use quorate_proto::v1::worker_message::Body as ToControl;
use quorate_proto::v1::{ControlMessage, Delta, DeltaEntry, Fence, Goodbye, Limits, Round, Welcome, WorkerMessage};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use super::directory::Directory;
use super::pace::{Backoff, Budget, DELTA_ENTRIES_PER_SECOND, NEWS_BURST, Rhythm};
use super::transport::Transport;
use crate::board::CHECKS_MAX;
use crate::hub::Hub;
use crate::outbox::SessionId;
use crate::report::{CHANGE_BYTES_MAX, MESSAGE_BYTES_MAX, Reporter};

/// From Hello to Welcome.
const WELCOME_TIMEOUT: Duration = Duration::from_secs(10);
/// Times that a Welcome may ask for a higher epoch.
const HELLOS_MAX: usize = 3;
/// Messages handed to the transport and not taken by it yet.
const OUTGOING_MAX: usize = 4;
/// Answers to one-off probes that wait for this session.
const ANSWERS_MAX: usize = 64;
/// After Goodbye, for control to end the stream.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// How a session ended that was not asked to.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error("control fences this worker: {reason}")]
    Fenced { reason: String, retry_after: Duration },
    #[error("the stream failed")]
    Stream(#[from] Status),
    #[error("control ended the stream")]
    Closed,
    #[error("control did not answer Hello in time")]
    NoWelcome,
    #[error("control asks for ever higher epochs")]
    Epochs,
    #[error("control speaks nonsense")]
    Malformed(#[from] Malformed),
}

/// What a session needs of the worker.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    pub(super) hub: &'a Hub,
    pub(super) directory: &'a Directory,
    pub(super) url: &'a str,
    /// The worker drains: Goodbye.
    pub(super) stop: &'a CancellationToken,
    /// Only this session ends: another one reaches the replica.
    pub(super) hang_up: &'a CancellationToken,
}

/// Runs a session to its end. `Ok` where it was asked to end. Once it stands, the waits begin anew.
pub(super) async fn run(
    around: Around<'_>,
    transport: &Transport,
    mut client: WorkerGatewayClient<Channel>,
    backoff: &mut Backoff,
) -> Result<(), Ended> {
    let (out, outgoing) = mpsc::channel(OUTGOING_MAX);
    let welcomed = async {
        // The first message is there before the call, since control may not answer without it.
        say_hello(around.hub, &out).await?;
        let mut incoming = client.session(transport.authorize(ReceiverStream::new(outgoing))).await?.into_inner();
        let welcome = hear_welcome(around.hub, &out, &mut incoming).await?;
        Ok((welcome, incoming))
    };
    let (welcome, incoming) = tokio::select! {
        biased;
        () = around.stop.cancelled() => return Ok(()),
        () = around.hang_up.cancelled() => return Ok(()),
        welcomed = timeout(WELCOME_TIMEOUT, welcomed) => welcomed.unwrap_or(Err(Ended::NoWelcome))?,
    };
    let timings = welcome.timings.as_ref().map_or_else(|| Ok(Timings::default()), Timings::try_from)?;
    let replica = ReplicaId::try_from(&welcome.replica_id[..]).map_err(|_| Malformed::Length {
        field: "replica_id",
        bytes: welcome.replica_id.len(),
        expected: 16,
    })?;
    let outbox = around.hub.board().outboxes.open();
    let mut session = Session::new(around, replica, timings, welcome.limits.unwrap_or_default(), outbox, out);
    backoff.reset();
    around.directory.welcomed(around.url, replica, timings);
    tracing::info!(control.url = around.url, control.replica = %replica, "a session with control stands");
    let ended = session.speak(incoming).await;
    around.hub.board().outboxes.close(outbox);
    around.directory.ended(around.url);
    ended
}

async fn say_hello(hub: &Hub, out: &mpsc::Sender<WorkerMessage>) -> Result<(), Ended> {
    let held = {
        let board = hub.board();
        let buckets: Vec<_> = board.buckets().collect();
        buckets.into_iter().filter_map(|bucket| Some(board.held(bucket)?.0)).collect()
    };
    let hello = Hello {
        protocol: PROTOCOL,
        pop: hub.pop.clone(),
        region: hub.region,
        session_epoch: hub.epoch(),
        boot_id: hub.boot_id,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        capabilities: hub.capabilities.names(),
        held,
    };
    out.send(message(ToControl::Hello((&hello).into()))).await.map_err(|_| Ended::Closed)
}

async fn hear_welcome(hub: &Hub, out: &mpsc::Sender<WorkerMessage>, incoming: &mut Streaming<ControlMessage>) -> Result<Welcome, Ended> {
    for _ in 0..HELLOS_MAX {
        let body = incoming.message().await?.ok_or(Ended::Closed)?.body;
        match body {
            Some(FromControl::Welcome(welcome)) if welcome.min_epoch <= hub.epoch() => return Ok(welcome),
            Some(FromControl::Welcome(welcome)) => {
                let epoch = hub.raise_epoch(welcome.min_epoch);
                tracing::warn!(session.epoch = epoch, "control has seen a higher session epoch; this worker adopts the next one");
                say_hello(hub, out).await?;
            }
            Some(FromControl::Fence(fence)) if fence.epoch_max > 0 && hub.epoch() > fence.epoch_max => {
                let epoch = hub.lower_epoch(fence.epoch_max);
                tracing::warn!(session.epoch = epoch, "the session epoch was absurdly high; the clock has given another one");
                return Err(fenced(&fence));
            }
            Some(FromControl::Fence(fence)) => return Err(fenced(&fence)),
            _ => return Err(Malformed::Missing { field: "welcome" }.into()),
        }
    }
    Err(Ended::Epochs)
}

fn fenced(fence: &Fence) -> Ended {
    Ended::Fenced { reason: fence.reason.clone(), retry_after: ms(fence.retry_after_ms) }
}

fn message(body: ToControl) -> WorkerMessage {
    WorkerMessage { body: Some(body) }
}

struct Session<'a> {
    around: Around<'a>,
    replica: ReplicaId,
    message_bytes_max: usize,
    outbox: SessionId,
    out: mpsc::Sender<WorkerMessage>,
    queue: VecDeque<WorkerMessage>,
    reporter: Reporter,
    budget: Budget,
    /// Of news.
    spacing: Spacing<Instant>,
    rhythm: Rhythm,
    /// For the answers to one-off probes.
    answers: mpsc::Sender<ProbeAnswer>,
    answered: mpsc::Receiver<ProbeAnswer>,
    /// Something may have changed that this session has not told.
    news: bool,
    /// When news may go at the earliest.
    news_from: Instant,
}

impl<'a> Session<'a> {
    fn new(
        around: Around<'a>,
        replica: ReplicaId,
        timings: Timings,
        limits: Limits,
        outbox: SessionId,
        out: mpsc::Sender<WorkerMessage>,
    ) -> Self {
        let now = Instant::now();
        let or = |limit: u32, default: usize| if limit == 0 { default } else { usize::try_from(limit).unwrap_or(default) };
        around.hub.board().allow(or(limits.checks_max, CHECKS_MAX), now);
        let (answers, answered) = mpsc::channel(ANSWERS_MAX);
        let per_second = if limits.delta_entries_per_second == 0 { DELTA_ENTRIES_PER_SECOND } else { limits.delta_entries_per_second };
        Self {
            around,
            replica,
            message_bytes_max: or(limits.message_bytes_max, MESSAGE_BYTES_MAX).min(MESSAGE_BYTES_MAX),
            outbox,
            out,
            queue: VecDeque::new(),
            reporter: Reporter::default(),
            budget: Budget::new(per_second, now),
            spacing: Spacing::new(ms(timings.delta_ms), NEWS_BURST, now),
            rhythm: Rhythm::new(ms(timings.round_ms), now),
            answers,
            answered,
            // A new session tells everything first.
            news: true,
            news_from: now,
        }
    }

    async fn speak(&mut self, mut incoming: Streaming<ControlMessage>) -> Result<(), Ended> {
        let mut changed = self.around.hub.changed.subscribe();
        let mut directory = self.around.directory.changed.subscribe();
        let out = self.out.clone();
        loop {
            let is_free = self.queue.is_empty();
            tokio::select! {
                biased;
                () = self.around.stop.cancelled() => break,
                () = self.around.hang_up.cancelled() => return Ok(()),
                permit = out.reserve(), if !is_free => {
                    let permit = permit.map_err(|_| Ended::Closed)?;
                    if let Some(message) = self.queue.pop_front() {
                        permit.send(message);
                    }
                }
                heard = incoming.message() => self.hear(heard?.ok_or(Ended::Closed)?)?,
                Ok(()) = changed.changed() => self.news = true,
                Ok(()) = directory.changed() => self.news = true,
                Some(answer) = self.answered.recv(), if is_free => self.queue.push_back(message(ToControl::ProbeAnswer((&answer).into()))),
                () = sleep_until(self.rhythm.next()), if is_free => self.round(Instant::now()),
                () = sleep_until(self.news_from), if is_free && self.news => self.tell_news(Instant::now()),
            }
        }
        drop(out);
        self.say_goodbye(incoming).await;
        Ok(())
    }

    fn hear(&mut self, message: ControlMessage) -> Result<(), Ended> {
        let now = Instant::now();
        let bucket = |number: u32| u16::try_from(number).ok().and_then(quorate_core::bucket::Bucket::new);
        match message.body {
            Some(FromControl::ManifestDelta(delta)) => {
                let Some(at) = bucket(delta.bucket) else {
                    tracing::error!(bucket = delta.bucket, "a manifest is of a bucket that does not exist");
                    return Ok(());
                };
                match self.around.hub.take_manifest(at, &delta, self.around.directory.word_of(self.replica, at)) {
                    Ok(ack) => self.queue.push_back(self::message(ToControl::ManifestAck(ack))),
                    Err(error) => tracing::error!(bucket = delta.bucket, error = %error, "a manifest is malformed and not taken"),
                }
            }
            Some(FromControl::ManifestDrop(drop)) => {
                if let Some(at) = bucket(drop.bucket) {
                    self.around.hub.drop_bucket(at, self.around.directory.word_of(self.replica, at));
                }
            }
            Some(FromControl::BucketMap(map)) => self.around.directory.learn(BucketMap::try_from(map)?),
            Some(FromControl::RoundAck(ack)) => self.rhythm.acked(ack.seq, ms(ack.next_round_ms)),
            Some(FromControl::Throttle(throttle)) => {
                self.budget.throttle(throttle.delta_entries_per_second, now);
                self.news_from = now;
                self.news = true;
            }
            Some(FromControl::ProbeRequest(request)) => {
                if let Some(refusal) = self.around.hub.one_offs.ask(*request, &self.answers) {
                    self.queue.push_back(self::message(ToControl::ProbeAnswer((&refusal).into())));
                }
            }
            Some(FromControl::Fence(fence)) => return Err(fenced(&fence)),
            Some(FromControl::Welcome(_)) => tracing::debug!("control says Welcome twice"),
            // From a newer control plane: what this release does not know, it does not need.
            None => {}
        }
        Ok(())
    }

    fn round(&mut self, now: Instant) {
        let rounds = {
            let serves = self.around.directory.serves(self.replica);
            self.reporter.round(&self.around.hub.board(), serves, self.message_bytes_max, now)
        };
        let seq = self.send_rounds("regular", rounds);
        self.rhythm.sent(seq, now);
    }

    /// Buckets that control has not heard of in full, then changed votes, as many as may go now.
    fn tell_news(&mut self, now: Instant) {
        let serves = self.around.directory.serves(self.replica);
        let (untold, changes, is_waiting) = {
            let mut board = self.around.hub.board();
            let untold = self.reporter.untold(&board, &serves, self.message_bytes_max, now);
            let count = self.budget.available(now).min((self.message_bytes_max / CHANGE_BYTES_MAX).max(1));
            let changes = board.changes(self.outbox, &serves, count, now);
            (untold, changes, board.outboxes.is_waiting(self.outbox))
        };
        if !untold.is_empty() || !changes.is_empty() {
            self.spacing.spend(now);
            self.news_from = self.spacing.next(now);
        }
        self.send_rounds("full", untold);
        if !changes.is_empty() {
            self.budget.spend(changes.len());
            counter!("quorate_worker_delta_entries_total").increment(changes.len() as u64);
            let entries = changes.iter().map(|change: &Change| DeltaEntry::from(change)).collect();
            self.queue.push_back(message(ToControl::Delta(Delta { seq: self.around.hub.next_seq(), entries })));
        }
        // What did not fit the budget goes when it is refilled; without a budget only rounds tell it.
        self.news = is_waiting && self.budget.wait().is_some();
        self.news_from = self.news_from.max(now + self.budget.wait().unwrap_or_default());
    }

    /// The sequence number of the last one.
    fn send_rounds(&mut self, kind: &'static str, rounds: Vec<Round>) -> Option<u64> {
        let mut last = None;
        for mut round in rounds {
            round.seq = self.around.hub.next_seq();
            #[expect(clippy::cast_precision_loss, reason = "a few megabytes")]
            histogram!("quorate_worker_round_bytes", "kind" => kind).record(round.encoded_len() as f64);
            last = Some(round.seq);
            self.queue.push_back(message(ToControl::Round(round)));
        }
        last
    }

    /// The votes of this worker are missing from now on. Best effort: silence says the same, later.
    async fn say_goodbye(&mut self, mut incoming: Streaming<ControlMessage>) {
        let goodbye = message(ToControl::Goodbye(Goodbye { reason: "the worker stops".to_owned() }));
        let drained = async {
            if self.out.send(goodbye).await.is_err() {
                return;
            }
            // The end of our side is what control waits for; the end of its side is what we wait for.
            let (closed, _) = mpsc::channel(1);
            self.out = closed;
            while let Ok(Some(_)) = incoming.message().await {}
        };
        if timeout(DRAIN_TIMEOUT, drained).await.is_err() {
            tracing::debug!("control did not end the stream after Goodbye");
        }
    }
}
