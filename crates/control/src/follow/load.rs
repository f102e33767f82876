//! Bringing the plans of the buckets served here up to date, and seating the PoPs of those owned.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use quorate_core::bucket::Bucket;
use quorate_core::pop::PopNo;
use quorate_core::quorum::Fence;
use quorate_core::timings::ms;
use quorate_store::verdicts::{CommitError, Ownership, VerdictStore};

use crate::bucket::Role;
use crate::error::{CallError, DATABASE_CALL_MAX, bounded, chain};
use crate::plan::{Plan, Seats};
use crate::registry::Registry;
use crate::shared::Shared;

/// Buckets in one load: bounds the memory of an answer.
const LOADED_AT_ONCE: usize = 128;
/// Seatings under way.
const SEATED_AT_ONCE: usize = 2;

/// Who was dead when seats were last looked at.
#[derive(Debug, Default)]
pub(super) struct Seating {
    dead: Vec<PopNo>,
}

/// Loads what moved, then seats who has to sit.
pub(super) async fn pass<S: VerdictStore, R: Registry>(
    shared: &Shared<S, R>,
    seating: &mut Seating,
    ownerships: &[Ownership],
) -> Result<(), CallError> {
    let mut wanted: Vec<(Role, Bucket)> = Vec::new();
    for row in ownerships {
        let slot = shared.board.lock(row.bucket);
        let current = slot.plan.as_ref().is_some_and(|plan| plan.config_seq >= row.fence.config_seq);
        if slot.role != Role::Absent && (slot.stale || !current) {
            wanted.push((slot.role, row.bucket));
        }
    }
    // First those that wait for a decision.
    wanted.sort_by_key(|(role, _)| matches!(role, Role::Standby));
    let wanted: Vec<Bucket> = wanted.into_iter().map(|(_, bucket)| bucket).collect();
    for buckets in wanted.chunks(LOADED_AT_ONCE) {
        let registered = shared.registered.load_full();
        for config in bounded(shared.verdicts.load(buckets)).await? {
            let mut slot = shared.board.lock(config.bucket);
            if slot.role == Role::Absent {
                continue;
            }
            let bucket = config.bucket;
            let plan = Plan::new(config, &registered, slot.plan.as_ref());
            slot.install(plan);
            shared.queue.push(bucket, &mut slot);
        }
        // Workers may begin while the rest is loaded.
        shared.manifests.send_replace(());
    }
    seating.pass(shared).await;
    Ok(())
}

impl Seating {
    /// Writes the seats that have to change. What fails is tried again in the next pass.
    async fn pass<S: VerdictStore, R: Registry>(&mut self, shared: &Shared<S, R>) {
        let registered = shared.registered.load_full();
        let grace = ms(shared.timings.pop_dead_ms);
        let dead: Vec<_> = registered.iter().map(|pop| pop.no).filter(|pop| shared.sessions.is_dead(*pop, grace)).collect();
        let others_died = dead != self.dead;
        let mut due: Vec<(Bucket, Fence, Seats)> = Vec::new();
        for bucket in Bucket::all() {
            let mut slot = shared.board.lock(bucket);
            let (Role::Owner { epoch }, Some(plan), false) = (slot.role, &slot.plan, slot.stale) else { continue };
            if slot.seats_checked && !others_died {
                continue;
            }
            match plan.seats_due(&registered, |pop| dead.contains(&pop)) {
                Some(seats) => {
                    due.push((bucket, Fence { epoch, config_seq: plan.config_seq }, seats));
                    // Until they are written.
                    slot.seats_checked = false;
                }
                None => slot.seats_checked = true,
            }
        }
        self.dead = dead;
        if due.is_empty() {
            return;
        }
        let seated = stream::iter(due).map(|(bucket, fence, seats)| seat_bucket(shared, bucket, fence, seats));
        let outcome: Result<(), String> = seated.buffer_unordered(SEATED_AT_ONCE).try_collect().await;
        if let Err(error) = outcome {
            tracing::warn!(error, "PoPs could not be seated; it is tried again");
        }
        shared.manifests.send_replace(());
    }
}

async fn seat_bucket<S: VerdictStore, R: Registry>(
    shared: &Shared<S, R>,
    bucket: Bucket,
    fence: Fence,
    seats: Seats,
) -> Result<(), String> {
    // Without an answer the plan is read again before anything else, whatever became of it.
    let answer = tokio::time::timeout(DATABASE_CALL_MAX, shared.verdicts.seat(shared.me.id, bucket, fence, &seats)).await;
    let registered = shared.registered.load_full();
    let mut slot = shared.board.lock(bucket);
    match answer {
        Ok(Ok(config_seq)) => {
            // Unless it was loaded anew meanwhile, which knows more.
            if slot.plan.as_ref().is_some_and(|plan| plan.config_seq == fence.config_seq) {
                slot.seat(seats, config_seq, &registered);
            }
            shared.queue.push(bucket, &mut slot);
            metrics::counter!("quorate_seatings_total").increment(1);
            Ok(())
        }
        Ok(Err(CommitError::Fenced | CommitError::Stale)) => {
            slot.stale = true;
            Ok(())
        }
        Ok(Err(error @ CommitError::Unknown(_))) => {
            slot.stale = true;
            Err(chain(&error))
        }
        Ok(Err(error @ CommitError::Refused(_))) => Err(chain(&error)),
        Err(elapsed) => {
            slot.stale = true;
            Err(elapsed.to_string())
        }
    }
}
