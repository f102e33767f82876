//! Times in which no replica could decide: recorded when they end, for the operator. Steering does not
//! look at them, and no verdict follows from them.

use std::sync::Arc;

use quorate_core::bucket::Bucket;
use quorate_core::timings::ms;
use quorate_store::verdicts::VerdictStore;
use tokio::time::Instant;

use crate::bucket::Role;
use crate::error::{bounded, chain};
use crate::reconcile::Rhythm;
use crate::registry::Registry;
use crate::shared::Shared;

/// Says until the stop that this replica can decide, whenever it can.
pub(crate) async fn run<S: VerdictStore, R: Registry>(shared: Arc<Shared<S, R>>) {
    let mut rhythm = Rhythm::steady(shared.tasks.stop(), ms(shared.timings.replica_heartbeat_ms));
    let gap = ms(shared.timings.round_ms);
    let mut said: Option<Instant> = None;
    while rhythm.next().await {
        if !can_decide(&shared) {
            continue;
        }
        // The database's clock may jump: who has just said so knows that there was no gap.
        let lately = said.is_some_and(|said| said.elapsed() < gap);
        let limit = if lately { std::time::Duration::MAX } else { gap };
        match bounded(shared.verdicts.pulse(limit)).await {
            Ok(found) => {
                said = Some(Instant::now());
                let Some(gap) = found else { continue };
                let seconds = gap.ended_at.duration_since(gap.began_at).as_secs_f64();
                metrics::counter!("quorate_control_gaps_total").increment(1);
                metrics::gauge!("quorate_control_gap_last_seconds").set(seconds);
                tracing::warn!(
                    event = "control_plane_gap",
                    gap.from = %gap.began_at,
                    gap.to = %gap.ended_at,
                    gap.seconds = seconds,
                    "nothing was decided for a while: no replica ran, reached the database and heard a worker; verdicts were kept, and what turned and turned back meanwhile left no event"
                );
            }
            Err(error) => tracing::debug!(error = chain(&error), "that this replica can decide could not be said"),
        }
    }
}

/// It has a bucket to decide, and some worker's votes count.
fn can_decide<S: VerdictStore, R: Registry>(shared: &Shared<S, R>) -> bool {
    let is_decided = |bucket| {
        let slot = shared.board.lock(bucket);
        matches!(slot.role, Role::Owner { .. }) && slot.plan.is_some() && !slot.stale
    };
    !shared.sessions.live().is_empty() && Bucket::all().any(is_decided)
}
