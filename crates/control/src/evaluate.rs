//! Decisions, driven by votes: an idle bucket decides at once, a few times in a row too; one that turns
//! more often waits for its spacing. One transaction a bucket, a few at a time, first come first served.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use quorate_core::bucket::{BUCKETS, Bucket};
use quorate_core::spacing::Spacing;
use quorate_core::timings::ms;
use quorate_core::vote::Verdict;
use quorate_store::verdicts::{CommitError, Committed, Tick, VerdictStore};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use crate::bucket::Slot;
use crate::decide::{Decision, View, decide};
use crate::error::chain;
use crate::registry::Registry;
use crate::shared::{DELTA_ENTRIES_PER_SECOND, Shared};

/// Commits under way: as many as the verdict path has connections.
const COMMITS_MAX: usize = 4;
/// Decisions that turn something and may follow one another at once in a bucket; of more, those that
/// follow wait for their spacing and take along what turns meanwhile.
const TURNS_BURST: u32 = 4;
/// Pause after the first refusal; it doubles with each that follows.
const REFUSED_PAUSE: Duration = Duration::from_millis(500);
const REFUSED_PAUSE_MAX: Duration = Duration::from_secs(10);
/// Commits under way when the process stops have this long to end.
const DRAIN_MAX: Duration = Duration::from_secs(2);
/// Buckets waiting for a decision above which workers are asked to slow down, and below which no longer.
const OVERLOADED_ABOVE: usize = 256;
const RELIEVED_BELOW: usize = 64;
/// Part of the delta entries that is left to workers then. Rounds go on, so nothing is lost but speed.
const THROTTLED_SHARE: u32 = 8;

/// Buckets that may have something to decide. Each is in it once at most, so it is never full.
#[derive(Debug)]
pub(crate) struct Queue {
    sender: mpsc::Sender<Bucket>,
    receiver: Mutex<mpsc::Receiver<Bucket>>,
}

impl Queue {
    pub(crate) fn new() -> Self {
        let (sender, receiver) = mpsc::channel(usize::from(BUCKETS));
        Self { sender, receiver: Mutex::new(receiver) }
    }

    /// Asks for a decision of a bucket.
    pub(crate) fn push(&self, bucket: Bucket, slot: &mut Slot) {
        if !slot.queued && self.sender.try_send(bucket).is_ok() {
            slot.queued = true;
        }
    }

    /// Buckets waiting.
    fn len(&self) -> usize {
        self.sender.max_capacity() - self.sender.capacity()
    }

    /// Whether so many wait that buckets should not change hands now.
    pub(crate) fn is_overloaded(&self) -> bool {
        self.len() > OVERLOADED_ABOVE
    }
}

/// What became of a commit.
struct Outcome {
    tick: Tick,
    heard_at: Option<Instant>,
    began: Instant,
    more: bool,
    result: Result<Committed, CommitError>,
}

/// Every owned bucket is looked at so often in a round, whether or not anybody asked: a lost wake-up
/// costs latency, not truth.
const SWEEPS_PER_ROUND: u32 = 4;
/// Buckets that one step of a sweep asks for, and the steps of a sweep: so few that no step looks like overload.
const SWEPT_AT_ONCE: u16 = 64;
const SWEEP_STEPS: u16 = BUCKETS / SWEPT_AT_ONCE;

/// Decides until the stop.
pub(crate) async fn run<S: VerdictStore, R: Registry>(shared: Arc<Shared<S, R>>) {
    let stop = shared.tasks.stop().clone();
    let mut queue = shared.queue.receiver.lock().await;
    let mut commits: JoinSet<Outcome> = JoinSet::new();
    let mut later: BinaryHeap<Reverse<(Instant, Bucket)>> = BinaryHeap::new();
    let mut sweep = tokio::time::interval(ms(shared.timings.round_ms) / (SWEEPS_PER_ROUND * u32::from(SWEEP_STEPS)));
    let mut swept = (0..BUCKETS).cycle().filter_map(Bucket::new);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let free = commits.len() < COMMITS_MAX;
        let due = later.peek().map(|Reverse((due, _))| *due);
        let next = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(done) = commits.join_next() => {
                let outcome = done.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
                settle(&shared, outcome);
                None
            }
            () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if free && due.is_some() => {
                later.pop().map(|Reverse((due, bucket))| {
                let mut slot = shared.board.lock(bucket);
                slot.later = slot.later.filter(|asked| *asked != due);
                bucket
            })
            }
            Some(bucket) = queue.recv(), if free => {
                // Here only: whoever comes by its time may wait in the queue as well.
                shared.board.lock(bucket).queued = false;
                Some(bucket)
            }
            _ = sweep.tick(), if shared.queue.len() < RELIEVED_BELOW => {
                for bucket in swept.by_ref().take(SWEPT_AT_ONCE.into()) {
                    let mut slot = shared.board.lock(bucket);
                    if slot.deciding().is_some() {
                        shared.queue.push(bucket, &mut slot);
                    }
                }
                None
            }
        };
        if let Some(bucket) = next {
            match consider(&shared, bucket) {
                Next::Nothing => {}
                Next::Later(due) => later.push(Reverse((due, bucket))),
                Next::Commit(decision, heard_at) => commit(&shared, decision, heard_at, &mut commits),
            }
        }
        throttle(&shared);
    }
    let drained = async {
        while let Some(done) = commits.join_next().await {
            if let Ok(outcome) = done {
                settle(&shared, outcome);
            }
        }
    };
    if tokio::time::timeout(DRAIN_MAX, drained).await.is_err() {
        tracing::warn!(commits = commits.len(), "the database did not answer in time; the outcome of the last commits is unknown");
    }
}

enum Next {
    Nothing,
    Later(Instant),
    /// With the instant at which the vote was heard that led to it.
    Commit(Decision, Option<Instant>),
}

fn consider<S: VerdictStore, R: Registry>(shared: &Shared<S, R>, bucket: Bucket) -> Next {
    let mut slot = shared.board.lock(bucket);
    // Whatever ends that state asks for another decision.
    let Some(epoch) = slot.deciding() else { return Next::Nothing };
    let now = Instant::now();
    if let Some(due) = slot.not_before.filter(|due| *due > now) {
        return later(&mut slot, due);
    }
    let heard_at = slot.heard_at.take();
    let registered = shared.registered.load();
    let view = View {
        replica: shared.me.id,
        registered: &registered,
        live: |pop, epoch| shared.sessions.is_live(pop, epoch),
        now_ms: shared.board.uptime_ms(),
    };
    let Some(decision) = decide(&slot, epoch, &view) else {
        slot.calm_due = None;
        return Next::Nothing;
    };
    // Where nothing turned, as when one region loses an origin, nobody waits for it: the verdict that
    // often follows a moment later takes it along, and must not wait behind it.
    if decision.tick.events.is_empty() {
        let due = *slot.calm_due.get_or_insert(now + ms(shared.timings.tick_ms));
        if due > now {
            return later(&mut slot, due);
        }
    }
    slot.calm_due = None;
    slot.committing = true;
    Next::Commit(decision, heard_at)
}

/// Comes back to a bucket, at the earliest of the times that were asked for.
fn later(slot: &mut Slot, due: Instant) -> Next {
    if slot.later.is_some_and(|asked| asked <= due) {
        return Next::Nothing;
    }
    slot.later = Some(due);
    Next::Later(due)
}

fn commit<S: VerdictStore, R: Registry>(
    shared: &Arc<Shared<S, R>>,
    decision: Decision,
    heard_at: Option<Instant>,
    commits: &mut JoinSet<Outcome>,
) {
    let shared = Arc::clone(shared);
    commits.spawn(async move {
        let Decision { tick, more } = decision;
        let began = Instant::now();
        let result = shared.verdicts.commit(&tick).await;
        Outcome { tick, heard_at, began, more, result }
    });
}

/// Draws the consequences of a commit, and asks for the next decision of its bucket.
fn settle<S: VerdictStore, R: Registry>(shared: &Shared<S, R>, outcome: Outcome) {
    let Outcome { tick, heard_at, began, more, result } = outcome;
    metrics::histogram!("quorate_commit_seconds").record(began.elapsed());
    let mut slot = shared.board.lock(tick.bucket);
    slot.committing = false;
    let bucket = tick.bucket.number();
    let label = match result {
        Ok(_) => {
            slot.published(&tick);
            if let Some(heard_at) = heard_at.filter(|_| !tick.checks.is_empty()) {
                metrics::histogram!("quorate_verdict_seconds").record(heard_at.elapsed());
            }
            shared.fallen.published(&tick);
            slot.refusals = 0;
            // What did not fit goes on at once, behind the buckets that wait.
            slot.not_before = (!tick.events.is_empty() && !more).then(|| {
                let spacing = slot.spacing.get_or_insert_with(|| Spacing::new(ms(shared.timings.tick_ms), TURNS_BURST, began));
                spacing.spend(began);
                spacing.next(began)
            });
            for verdict in [Verdict::Up, Verdict::Down] {
                let changes = tick.checks.iter().filter(|change| change.verdict == verdict).count();
                metrics::counter!("quorate_verdicts_total", "verdict" => if verdict == Verdict::Up { "up" } else { "down" })
                    .increment(changes.try_into().unwrap_or(u64::MAX));
            }
            tracing::debug!(bucket, verdicts = tick.checks.len(), pools = tick.pools.len(), more, "verdicts were published");
            "committed"
        }
        Err(CommitError::Refused(error)) => {
            let pause = REFUSED_PAUSE.saturating_mul(2_u32.saturating_pow(slot.refusals)).min(REFUSED_PAUSE_MAX);
            if slot.refusals == 0 {
                tracing::warn!(bucket, error = chain(&error), "the database refused verdicts; they are decided again until it takes them");
            }
            slot.refusals = slot.refusals.saturating_add(1);
            slot.not_before = Some(Instant::now() + pause);
            "refused"
        }
        Err(error) => {
            // Not mine any more, not as I believed, or written without my learning of it: read before anything else.
            slot.stale = true;
            slot.not_before = Some(Instant::now() + ms(shared.timings.tick_ms));
            let label = match &error {
                CommitError::Fenced => "fenced",
                CommitError::Stale => "stale",
                CommitError::Unknown(_) | CommitError::Refused(_) => {
                    tracing::warn!(
                        bucket,
                        error = chain(&error),
                        "whether verdicts were published is not known; they are read again first"
                    );
                    "unknown"
                }
            };
            shared.follow.poke();
            label
        }
    };
    metrics::counter!("quorate_commits_total", "outcome" => label).increment(1);
    shared.queue.push(tick.bucket, &mut slot);
}

/// Asks the workers to slow down while too many buckets wait.
fn throttle<S: VerdictStore, R: Registry>(shared: &Shared<S, R>) {
    let waiting = shared.queue.len();
    let slow = DELTA_ENTRIES_PER_SECOND / THROTTLED_SHARE;
    shared.throttle.send_if_modified(|allowed| {
        let wanted = match waiting {
            _ if waiting > OVERLOADED_ABOVE => slow,
            _ if waiting < RELIEVED_BELOW => DELTA_ENTRIES_PER_SECOND,
            _ => *allowed,
        };
        let changed = *allowed != wanted;
        if changed {
            *allowed = wanted;
            tracing::warn!(
                buckets.waiting = waiting,
                delta_entries_per_second = wanted,
                "the load changed, and with it what workers may send"
            );
        }
        changed
    });
}
