//! Seating the PoPs of the buckets owned here, a few buckets a pass: when a PoP dies nearly every
//! bucket has a seat to give, and nothing else may wait until all are written.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use quorate_core::bucket::{BUCKETS, Bucket};
use quorate_core::pop::PopNo;
use quorate_core::quorum::Fence;
use quorate_core::timings::ms;
use quorate_store::verdicts::{CommitError, VerdictStore};

use crate::bucket::Role;
use crate::error::{DATABASE_CALL_MAX, chain};
use crate::plan::Seats;
use crate::registry::Registry;
use crate::shared::Shared;

/// Seatings under way.
const SEATED_AT_ONCE: usize = 2;
/// Buckets that one pass seats.
const SEATED_MAX: usize = 64;
/// None is begun after this long in one pass.
const SEATING_MAX: Duration = Duration::from_millis(500);
/// Buckets looked at between two breaths.
const LOOKED_AT_ONCE: u16 = 64;

/// Who was dead when seats were last looked at, and where.
#[derive(Debug, Default)]
pub(super) struct Seating {
    dead: Vec<PopNo>,
    /// The bucket where the next pass begins: so that one that cannot be seated keeps none waiting.
    from: u16,
}

impl Seating {
    /// Writes seats that have to change; whether there are more, for a pass that should follow at once.
    /// What fails is tried again in the next pass.
    pub(super) async fn pass<S: VerdictStore, R: Registry>(&mut self, shared: &Shared<S, R>) -> bool {
        let registered = shared.registered.load_full();
        let grace = ms(shared.timings.pop_dead_ms);
        let dead: Vec<_> = registered.iter().map(|pop| pop.no).filter(|pop| shared.sessions.is_dead(*pop, grace)).collect();
        if dead != self.dead {
            Bucket::all().for_each(|bucket| shared.board.lock(bucket).seats_checked = false);
            self.dead = dead;
        }
        let due = self.due(shared).await;
        if due.is_empty() {
            return false;
        }
        let wanted = due.len();
        let begun = stream::iter(due).take_until(tokio::time::sleep(SEATING_MAX));
        let seated = begun.map(|(bucket, fence, seats)| seat_bucket(shared, bucket, fence, seats));
        let outcomes: Vec<Result<(), String>> = seated.buffer_unordered(SEATED_AT_ONCE).collect().await;
        shared.manifests.send_replace(());
        let more = wanted == SEATED_MAX || outcomes.len() < wanted;
        match outcomes.into_iter().find_map(Result::err) {
            Some(error) => {
                tracing::warn!(error, "PoPs could not be seated; it is tried again");
                false
            }
            None => more,
        }
    }

    /// The next buckets in which somebody else should sit.
    async fn due<S: VerdictStore, R: Registry>(&mut self, shared: &Shared<S, R>) -> Vec<(Bucket, Fence, Seats)> {
        let registered = shared.registered.load_full();
        let mut due = Vec::new();
        for step in 0..BUCKETS {
            let number = (self.from + step) % BUCKETS;
            if due.len() == SEATED_MAX {
                self.from = number;
                break;
            }
            if step % LOOKED_AT_ONCE == LOOKED_AT_ONCE - 1 {
                tokio::task::yield_now().await;
            }
            let Some(bucket) = Bucket::new(number) else { continue };
            let mut slot = shared.board.lock(bucket);
            let (Role::Owner { epoch }, Some(plan), false, false) = (slot.role, &slot.plan, slot.stale, slot.seats_checked) else {
                continue;
            };
            match plan.seats_due(&registered, |pop| self.dead.contains(&pop)) {
                Some(seats) => due.push((bucket, Fence { epoch, config_seq: plan.config_seq }, seats)),
                None => slot.seats_checked = true,
            }
        }
        due
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
