//! One session of one worker, from its Hello to the end of the stream.

mod introduction;
mod limits;
mod outbound;
pub(crate) mod wire;

use std::collections::HashMap;
use std::sync::Arc;

use quorate_core::bucket::Bucket;
use quorate_core::pop::Pop;
use quorate_core::register::Stamp;
use quorate_core::timings::ms;
use quorate_proto::convert::{Change, Chunk, Hello, Malformed, ProbeAnswer, Window};
use quorate_proto::v1;
use quorate_proto::v1::control_message::Body as ToWorker;
use quorate_proto::v1::worker_message::Body as FromWorker;
use quorate_store::verdicts::VerdictStore;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tonic::{Status, Streaming};

use crate::error::chain;
use crate::identity::Secret;
use crate::ingest::Taken;
use crate::one_off::{Ask, Requests};
use crate::registry::Registry;
use crate::sessions::{End, Ticket};
use crate::shared::Shared;

use introduction::{fence, introduce};
use limits::{BadParts, DeltaRate};
use outbound::{Gone, Outbound};

/// Runs a session of the PoP that the token speaks for.
pub(crate) async fn run<S: VerdictStore, R: Registry>(
    shared: Arc<Shared<S, R>>,
    pop: Pop,
    secret: Secret,
    mut inbound: Streaming<v1::WorkerMessage>,
    out: mpsc::Sender<Result<v1::ControlMessage, Status>>,
) {
    let stop = shared.tasks.stop().clone();
    let code = pop.code.clone();
    let out = Outbound::new(out, ms(shared.timings.session_lease_ms));
    let work = async {
        let (ticket, hello) = introduce(&shared, &pop, &secret, &mut inbound, &out).await?;
        tracing::info!(pop = %pop.code, region = pop.region.code(), worker.version = hello.version, "a worker connected");
        metrics::counter!("quorate_sessions_total").increment(1);
        shared.presence.poke();
        if !shared.registered.load().iter().any(|known| known.no == pop.no) {
            // It was registered a moment ago.
            shared.follow.poke();
        }
        Session::new(&shared, ticket, out, &hello).run(inbound).await
    };
    let ended = stop.run_until_cancelled(work).await;
    shared.presence.poke();
    match ended {
        None => {}
        Some(Ok(())) => tracing::info!(pop = %code, "a worker's session ended"),
        Some(Err(reason)) => tracing::info!(pop = %code, reason = %reason, "a worker's session ended"),
    }
}

/// Why a session ended that nobody asked to end.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("it did not introduce itself")]
    NoHello,
    #[error("it was fenced: {0}")]
    Fenced(&'static str),
    #[error("it was silent for longer than the lease")]
    Silent,
    #[error("it took no more messages")]
    Stuck(#[from] Gone),
    #[error("the connection broke: {0}")]
    Broken(Box<Status>),
}

/// A worker that was let in.
struct Session<'a, S, R> {
    shared: &'a Shared<S, R>,
    ticket: Ticket,
    out: Outbound,
    /// What the worker has, as far as this session knows.
    manifests: outbound::Manifests,
    bad: BadParts,
    deltas: DeltaRate,
    /// One-off probes to ask for, and those that are asked.
    asks: mpsc::Receiver<Ask>,
    requests: Requests,
}

impl<'a, S: VerdictStore, R: Registry> Session<'a, S, R> {
    fn new(shared: &'a Shared<S, R>, mut ticket: Ticket, out: Outbound, hello: &Hello) -> Self {
        let asks = ticket.take_asks();
        Self {
            shared,
            ticket,
            out,
            manifests: outbound::Manifests::new(hello),
            bad: BadParts::default(),
            deltas: DeltaRate::default(),
            asks,
            requests: Requests::default(),
        }
    }

    async fn run(mut self, mut inbound: Streaming<v1::WorkerMessage>) -> Result<(), Ended> {
        let lease = ms(self.shared.timings.session_lease_ms);
        let mut map = self.shared.map.subscribe();
        let mut manifests = self.shared.manifests.subscribe();
        let mut throttle = self.shared.throttle.subscribe();
        map.mark_changed();
        manifests.mark_changed();
        let mut silent_at = Instant::now() + lease;
        loop {
            // A sender of these lives as long as the control plane.
            tokio::select! {
                biased;
                end = self.ticket.ended() => return Err(self.ended(&end).await),
                Ok(()) = map.changed() => {
                    let message = map.borrow_and_update().as_deref().map(v1::BucketMap::from);
                    if let Some(message) = message {
                        self.out.send(ToWorker::BucketMap(message)).await?;
                    }
                }
                Ok(()) = manifests.changed() => self.send_manifests().await?,
                Ok(()) = throttle.changed() => {
                    let delta_entries_per_second = *throttle.borrow_and_update();
                    self.out.send(ToWorker::Throttle(v1::Throttle { delta_entries_per_second })).await?;
                }
                Some(ask) = self.asks.recv() => self.out.send(ToWorker::ProbeRequest(Box::new(self.requests.request(ask)))).await?,
                heard = tokio::time::timeout_at(silent_at, inbound.message()) => match heard {
                    Err(_) => return Err(Ended::Silent),
                    Ok(Err(status)) => return Err(Ended::Broken(Box::new(status))),
                    Ok(Ok(None)) => return Ok(()),
                    Ok(Ok(Some(message))) => {
                        silent_at = Instant::now() + lease;
                        // What it said before it fell silent does not count again because it speaks again.
                        if self.ticket.is_silent() {
                            for bucket in Bucket::all() {
                                self.shared.board.lock(bucket).forget_votes(self.ticket.pop());
                            }
                        }
                        self.ticket.heard();
                        if self.hear(message).await? {
                            return Ok(());
                        }
                    }
                },
            }
        }
    }

    async fn ended(&self, end: &End) -> Ended {
        match end {
            End::Fenced => fence(self.shared, &self.out, "a newer process speaks for this PoP").await,
            End::Revoked => fence(self.shared, &self.out, "the worker token was revoked or replaced").await,
            End::Reopened => Ended::Fenced("the same process opened another stream"),
        }
    }

    /// Takes a message; `true`: it was the last.
    async fn hear(&mut self, message: v1::WorkerMessage) -> Result<bool, Ended> {
        match message.body {
            Some(FromWorker::Round(round)) => self.take_round(round).await?,
            Some(FromWorker::Delta(delta)) => self.take_delta(&delta).await?,
            Some(FromWorker::ManifestAck(ack)) => self.take_ack(&ack).await?,
            Some(FromWorker::ProbeAnswer(answer)) => match ProbeAnswer::try_from(answer) {
                Ok(answer) => self.requests.answered(answer),
                Err(malformed) => self.judge(Part::Unreadable(malformed), "probe answer").await?,
            },
            Some(FromWorker::Goodbye(goodbye)) => {
                self.ticket.goodbye();
                self.shared.follow.poke();
                tracing::info!(
                    pop.no = self.ticket.pop().0,
                    reason = goodbye.reason,
                    "a worker says goodbye; its votes are missing from now on"
                );
                return Ok(true);
            }
            Some(FromWorker::Hello(_)) | None => self.bad_part("message").await?,
        }
        Ok(false)
    }

    async fn take_round(&mut self, round: v1::Round) -> Result<(), Ended> {
        let stamp = Stamp { epoch: self.ticket.epoch(), seq: round.seq };
        let now_ms = self.shared.board.uptime_ms();
        metrics::counter!("quorate_rounds_total").increment(1);
        // Decided once the details are in too, so that an event tells them.
        let mut changed = Vec::new();
        for chunk in round.chunks {
            let taken = match Chunk::try_from(chunk) {
                Ok(chunk) => {
                    let taken = self.give(chunk.bucket, |slot, pop| slot.take_chunk(pop, stamp, &chunk, now_ms));
                    if taken.changed() {
                        changed.push(chunk.bucket);
                    }
                    if let Some(step) = self.manifests.if_behind(self.shared, self.ticket.pop(), chunk.bucket, chunk.manifest_version) {
                        self.out.send(step).await?;
                    }
                    taken
                }
                Err(malformed) => Part::Unreadable(malformed),
            };
            self.judge(taken, "chunk").await?;
        }
        for window in round.detail {
            let taken = match Window::try_from(window) {
                Ok(window) => match self.give(window.bucket, |slot, pop| slot.take_window(pop, stamp, &window)) {
                    // Its chunk has told already what is wrong with the version.
                    Part::Taken(_, Taken::Ahead | Taken::UnknownVersion | Taken::Old) => continue,
                    part => part,
                },
                Err(malformed) => Part::Unreadable(malformed),
            };
            self.judge(taken, "window").await?;
        }
        for bucket in changed {
            self.shared.queue.push(bucket, &mut self.shared.board.lock(bucket));
        }
        self.ticket.asked(self.manifests.asked(self.shared));
        let ack = v1::RoundAck { seq: round.seq, next_round_ms: self.shared.timings.round_ms };
        Ok(self.out.send(ToWorker::RoundAck(ack)).await?)
    }

    async fn take_delta(&mut self, delta: &v1::Delta) -> Result<(), Ended> {
        let stamp = Stamp { epoch: self.ticket.epoch(), seq: delta.seq };
        let now_ms = self.shared.board.uptime_ms();
        if !self.deltas.admits(delta.entries.len(), *self.shared.throttle.borrow()) {
            // The next round heals it.
            metrics::counter!("quorate_deltas_dropped_total").increment(1);
            return Ok(());
        }
        let mut by_bucket: HashMap<(Bucket, u64), Vec<Change>> = HashMap::new();
        for entry in &delta.entries {
            match Change::try_from(entry) {
                Ok(change) => by_bucket.entry((change.bucket, change.manifest_version)).or_default().push(change),
                Err(malformed) => self.judge(Part::Unreadable(malformed), "delta").await?,
            }
        }
        for ((bucket, _), changes) in by_bucket {
            let taken = self.take(bucket, |slot, pop| slot.take_delta(pop, stamp, &changes, now_ms));
            self.judge(taken, "delta").await?;
        }
        Ok(())
    }

    /// Gives one bucket's part of a message to its slot, and asks for a decision where it may change something.
    fn take(&self, bucket: Bucket, give: impl FnOnce(&mut crate::bucket::Slot, quorate_core::pop::PopNo) -> Taken) -> Part {
        let part = self.give(bucket, give);
        if part.changed() {
            self.shared.queue.push(bucket, &mut self.shared.board.lock(bucket));
        }
        part
    }

    /// Gives one bucket's part of a message to its slot.
    fn give(&self, bucket: Bucket, give: impl FnOnce(&mut crate::bucket::Slot, quorate_core::pop::PopNo) -> Taken) -> Part {
        let mut slot = self.shared.board.lock(bucket);
        let taken = give(&mut slot, self.ticket.pop());
        if taken == (Taken::Kept { changed: true }) {
            slot.heard_at = Some(Instant::now());
        }
        Part::Taken(bucket, taken)
    }

    async fn judge(&mut self, part: Part, what: &'static str) -> Result<(), Ended> {
        match part {
            Part::Taken(_, Taken::Kept { .. } | Taken::Old) => {}
            // The worker learned of a configuration before this replica did.
            Part::Taken(_, Taken::Ahead) => self.shared.follow.poke(),
            Part::Taken(bucket, Taken::UnknownVersion) => {
                metrics::counter!("quorate_parts_ignored_total", "reason" => "unknown_version").increment(1);
                if let Some(step) = self.manifests.again(self.shared, self.ticket.pop(), bucket) {
                    self.out.send(step).await?;
                }
            }
            // Its map is older than ours; it gets the new one with the next change.
            Part::Taken(_, Taken::NotServed) => {
                metrics::counter!("quorate_parts_ignored_total", "reason" => "not_served").increment(1);
            }
            Part::Taken(bucket, Taken::Malformed) => {
                tracing::debug!(pop.no = self.ticket.pop().0, bucket = bucket.number(), part = what, "a part does not fit its manifest");
                self.bad_part(what).await?;
            }
            Part::Unreadable(malformed) => {
                tracing::debug!(pop.no = self.ticket.pop().0, error = chain(&malformed), part = what, "a part cannot be read");
                self.bad_part(what).await?;
            }
        }
        Ok(())
    }

    /// Counts what is malformed; too much of it ends the session.
    async fn bad_part(&mut self, what: &'static str) -> Result<(), Ended> {
        metrics::counter!("quorate_bad_parts_total", "part" => what).increment(1);
        if self.bad.too_many() {
            return Err(fence(self.shared, &self.out, "too many malformed messages").await);
        }
        Ok(())
    }

    async fn take_ack(&mut self, ack: &v1::ManifestAck) -> Result<(), Ended> {
        let Some(bucket) = u16::try_from(ack.bucket).ok().and_then(Bucket::new) else { return self.bad_part("ack").await };
        for rejected in &ack.rejected {
            metrics::counter!("quorate_checks_rejected_total").increment(1);
            let check = <[u8; 16]>::try_from(&*rejected.check_id).map(quorate_core::ids::CheckId::from_bytes);
            let check = check.map_or_else(|_| "unreadable".to_owned(), |id| id.to_string());
            tracing::warn!(
                pop.no = self.ticket.pop().0,
                check.id = check,
                error = rejected.error,
                "a worker cannot run a check; it abstains there"
            );
        }
        if ack.version == 0 {
            // What it came to differs from what was meant: it starts over.
            metrics::counter!("quorate_manifests_resent_total").increment(1);
            if let Some(step) = self.manifests.whole(self.shared, self.ticket.pop(), bucket) {
                self.out.send(step).await?;
            }
            return Ok(());
        }
        self.manifests.acknowledged(bucket, ack.version, ack.nonce);
        Ok(())
    }

    /// Brings every bucket's manifest up to date.
    async fn send_manifests(&mut self) -> Result<(), Ended> {
        for bucket in Bucket::all() {
            if let Some(step) = self.manifests.next(self.shared, self.ticket.pop(), bucket) {
                self.out.send(step).await?;
            }
        }
        self.ticket.asked(self.manifests.asked(self.shared));
        Ok(())
    }
}

/// One bucket's part of a message.
enum Part {
    Taken(Bucket, Taken),
    Unreadable(Malformed),
}

impl Part {
    /// Some vote is another one now.
    fn changed(&self) -> bool {
        matches!(self, Self::Taken(_, Taken::Kept { changed: true }))
    }
}
