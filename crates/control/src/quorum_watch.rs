//! Loss and return of quorum: told to the operator once an outage, after it has held for a while.
//! Never a health event, and nothing that steering looks at.

use std::sync::Arc;
use std::time::Duration;

use quorate_core::bucket::Bucket;
use quorate_core::pop::PopNo;
use quorate_core::quorum;
use quorate_core::timings::ms;
use quorate_store::verdicts::{QuorumNotice, VerdictStore};
use tokio::time::Instant;

use crate::bucket::{Role, Slot};
use crate::error::{bounded, chain};
use crate::probed::count;
use crate::reconcile::Rhythm;
use crate::registry::Registry;
use crate::shared::Shared;

/// Looks in the time that a loss has to hold.
const LOOKS: u32 = 8;

/// What is to be told of a bucket, and how it stands.
#[derive(Debug, Default)]
struct Watched {
    notices: Vec<QuorumNotice>,
    /// Pools without a quorum, told or not.
    lost: u32,
}

/// Watches until the stop.
pub(crate) async fn run<S: VerdictStore, R: Registry>(shared: Arc<Shared<S, R>>) {
    let hysteresis = ms(shared.timings.quorum_hysteresis_ms);
    let mut rhythm = Rhythm::steady(shared.tasks.stop(), (hysteresis / LOOKS).clamp(Duration::from_millis(50), Duration::from_secs(1)));
    while rhythm.next().await {
        let (mut notices, mut lost) = (Vec::new(), 0);
        for bucket in Bucket::all() {
            let watched = shared.board.lock(bucket).watch(hysteresis, |pop, epoch| shared.sessions.is_live(pop, epoch));
            notices.extend(watched.notices);
            lost += watched.lost;
        }
        metrics::gauge!("quorate_pools_without_quorum").set(lost);
        for notice in notices {
            tell(&shared, notice).await;
        }
    }
}

/// Records a notice, and says it where it is news.
async fn tell<S: VerdictStore, R: Registry>(shared: &Shared<S, R>, notice: QuorumNotice) {
    match bounded(shared.verdicts.note_quorum(notice)).await {
        Ok(is_news) => {
            shared.board.lock(notice.bucket).noted(&notice);
            if !is_news {
                return;
            }
            let event = if notice.lost { "quorum_lost" } else { "quorum_regained" };
            metrics::counter!("quorate_quorum_notices_total", "event" => event).increment(1);
            if notice.lost {
                tracing::warn!(event, pool.id = %notice.pool_id, account.id = %notice.account_id, "a pool lost its quorum: too many votes are missing to decide either way; what is published stays");
            } else {
                tracing::info!(event, pool.id = %notice.pool_id, account.id = %notice.account_id, "a pool regained its quorum");
            }
        }
        Err(error) => {
            tracing::debug!(error = chain(&error), pool.id = %notice.pool_id, "a notice of quorum could not be recorded; it is tried again");
        }
    }
}

impl Slot {
    fn watch(&mut self, hysteresis: Duration, live: impl Fn(PopNo, u64) -> bool) -> Watched {
        let mut watched = Watched::default();
        let (Role::Owner { .. }, Some(plan), false) = (self.role, &self.plan, self.stale) else { return watched };
        let now = Instant::now();
        for pool in &plan.pools {
            let config = &pool.config;
            let seated = self.seated(pool, &live);
            let lost = pool.probed.iter().filter(|probed| probed.is_judged()).any(|probed| {
                let (ballots, _) = count(plan, &seated, probed);
                quorum::tally(&pool.electorate, &ballots).quorum_lost()
            });
            watched.lost += u32::from(lost);
            let id = config.pool.id;
            if lost == config.quorum_lost_since.is_some() {
                self.quorum_turned.remove(&id);
                continue;
            }
            let since = *self.quorum_turned.entry(id).or_insert(now);
            if now - since >= hysteresis {
                watched.notices.push(QuorumNotice { account_id: config.pool.account_id, bucket: plan.bucket, pool_id: id, lost });
            }
        }
        watched
    }

    fn noted(&mut self, notice: &QuorumNotice) {
        self.quorum_turned.remove(&notice.pool_id);
        let pools = self.plan.iter_mut().flat_map(|plan| &mut plan.pools);
        for pool in pools.filter(|pool| pool.config.pool.id == notice.pool_id) {
            // Only whether it is lost matters here; since when is the database's to say.
            pool.config.quorum_lost_since = notice.lost.then_some(jiff::Timestamp::UNIX_EPOCH);
        }
    }
}

#[cfg(test)]
mod tests {
    use quorate_core::region::Region;
    use quorate_core::register::Stamp;
    use quorate_core::vote::VoteState;
    use quorate_proto::convert::Chunk;

    use super::*;
    use crate::bucket::Board;
    use crate::plan::Plan;
    use crate::sample::{bucket_config, pool, pop, with_origins};

    const HYSTERESIS: Duration = Duration::from_mins(1);

    #[tokio::test(start_paused = true)]
    async fn a_loss_is_told_once_after_it_has_held_and_so_is_the_return() {
        let board = Board::new();
        let bucket = Bucket::new(7).unwrap();
        let pops: Vec<_> = (1..=3).map(|no| pop(no, Region::Weu)).collect();
        let mut config = bucket_config(4, vec![pool(1, &["WEU"], &with_origins(1))]);
        config.seats = vec![(Region::Weu, pops.iter().map(|pop| pop.no).collect())];
        board.lock(bucket).take_role(Role::Owner { epoch: 1 });
        board.lock(bucket).install(Plan::new(config, &pops, None));
        for pop in &pops {
            let mut slot = board.lock(bucket);
            slot.manifest(pop.no);
            slot.take_chunk(pop.no, Stamp { epoch: 1, seq: 1 }, &Chunk::pack(bucket, 4, [VoteState::Up].into_iter()), 0);
        }
        let told = |living: u16| {
            let watched = board.lock(bucket).watch(HYSTERESIS, |pop, _| pop.0 <= living);
            for notice in &watched.notices {
                board.lock(bucket).noted(notice);
            }
            watched.notices.first().map(|notice| notice.lost)
        };
        assert_eq!(told(2), None, "two of three can decide");
        assert_eq!(told(1), None, "not yet");
        tokio::time::advance(HYSTERESIS / 2).await;
        assert_eq!(told(2), None, "it came back in time");
        assert_eq!(told(1), None);
        tokio::time::advance(HYSTERESIS / 2).await;
        assert_eq!(told(1), None, "the time starts again");
        tokio::time::advance(HYSTERESIS / 2).await;
        assert_eq!(told(1), Some(true));
        tokio::time::advance(HYSTERESIS).await;
        assert_eq!(told(0), None, "once an outage");
        assert_eq!(told(3), None);
        tokio::time::advance(HYSTERESIS).await;
        assert_eq!(told(3), Some(false));
        assert_eq!(told(3), None);
    }
}
