//! Much that turns Down at once: an alert for the operator, since a fault of our own is then as likely
//! as one of the origins. It holds nothing back: the outage of a whole provider has to be steered around.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quorate_core::bucket::Bucket;
use quorate_core::ids::CheckId;
use quorate_core::vote::{Published, Verdict};
use quorate_store::verdicts::{Tick, VerdictStore};
use tokio::time::Instant;

use crate::bucket::{Role, Slot};
use crate::reconcile::Rhythm;
use crate::registry::Registry;
use crate::shared::Shared;

/// Checks that turn Down within this are counted together.
const WINDOW: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// More than one in so many of what was Up is too much.
const ONE_IN: usize = 5;
/// Fewer are nothing that one broken origin server could not do.
const FALLEN_MIN: usize = 10;

/// The checks that this replica turned Down lately.
#[derive(Debug, Default)]
pub(crate) struct Fallen(Mutex<HashMap<CheckId, Instant>>);

impl Fallen {
    fn checks(&self) -> MutexGuard<'_, HashMap<CheckId, Instant>> {
        // Nobody panics between two writes that belong together.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A tick was published.
    pub(crate) fn published(&self, tick: &Tick) {
        let now = Instant::now();
        let fallen = tick.checks.iter().filter(|change| change.verdict == Verdict::Down);
        self.checks().extend(fallen.map(|change| (change.check_id, now)));
    }

    /// How many fell within the window; the others are forgotten.
    fn count(&self) -> usize {
        let mut checks = self.checks();
        checks.retain(|_, fell| fell.elapsed() < WINDOW);
        checks.len()
    }
}

/// Whether so many that fell are too many beside those that are Up still.
const fn is_too_much(fallen: usize, up: usize) -> bool {
    fallen >= FALLEN_MIN && fallen * ONE_IN > fallen + up
}

/// Watches until the stop.
pub(crate) async fn run<S: VerdictStore, R: Registry>(shared: Arc<Shared<S, R>>) {
    let mut rhythm = Rhythm::steady(shared.tasks.stop(), LOOK_EVERY);
    let mut alert = false;
    metrics::gauge!("quorate_mass_flip").set(0);
    while rhythm.next().await {
        let fallen = shared.fallen.count();
        let up = if fallen < FALLEN_MIN { 0 } else { Bucket::all().map(|bucket| shared.board.lock(bucket).count_up()).sum() };
        if is_too_much(fallen, up) == alert {
            continue;
        }
        alert = !alert;
        metrics::gauge!("quorate_mass_flip").set(u32::from(alert));
        if alert {
            metrics::counter!("quorate_mass_flips_total").increment(1);
            tracing::warn!(
                event = "mass_flip",
                checks.fallen = fallen,
                checks.up = up,
                "more than a fifth of what was up turned down within a minute; verdicts follow the votes as ever"
            );
        } else {
            tracing::info!(event = "mass_flip_over", checks.fallen = fallen, checks.up = up, "no more turn down than usual");
        }
    }
}

impl Slot {
    /// Checks of an owned bucket that are published as Up.
    fn count_up(&self) -> usize {
        let (Role::Owner { .. }, Some(plan)) = (self.role, &self.plan) else { return 0 };
        plan.pools.iter().flat_map(|pool| &pool.config.checks).filter(|check| check.verdict == Published::Up).count()
    }
}

#[cfg(test)]
mod tests {
    use quorate_core::ids::{AccountId, ReplicaId};
    use quorate_core::quorum::Fence;
    use quorate_store::verdicts::CheckChange;

    use super::*;

    fn tick(numbers: std::ops::Range<u8>, verdict: Verdict) -> Tick {
        let change = |number: u8| CheckChange {
            account_id: AccountId::from_bytes([1; 16]),
            check_id: CheckId::from_bytes([number; 16]),
            config_gen: 1,
            expected_seq: 1,
            verdict,
            reason: None,
            response_code: None,
        };
        Tick {
            bucket: Bucket::new(7).unwrap(),
            replica: ReplicaId::from_bytes([3; 16]),
            fence: Fence { epoch: 1, config_seq: 1 },
            checks: numbers.map(change).collect(),
            pools: Vec::new(),
            events: Vec::new(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_that_fell_counts_once_for_a_minute() {
        let fallen = Fallen::default();
        fallen.published(&tick(0..4, Verdict::Down));
        fallen.published(&tick(0..4, Verdict::Up));
        tokio::time::advance(WINDOW / 2).await;
        fallen.published(&tick(3..6, Verdict::Down));
        assert_eq!(fallen.count(), 6, "the fourth flaps, and is one");
        tokio::time::advance(WINDOW / 2).await;
        assert_eq!(fallen.count(), 3);
        tokio::time::advance(WINDOW / 2).await;
        assert_eq!(fallen.count(), 0);
    }

    #[test]
    fn more_than_a_fifth_of_what_was_up_and_not_a_handful_is_too_much() {
        let rows = [(9, 0, false), (10, 40, false), (10, 39, true), (100, 500, false), (126, 500, true), (0, 0, false)];
        for (fallen, up, too_much) in rows {
            assert_eq!(is_too_much(fallen, up), too_much, "{fallen} fell, {up} are up");
        }
    }
}
