//! The votes behind the verdicts, for the quorum view: one packed row a check, written after the
//! verdicts and never in their way. Changed ones first, within a budget; every row again each round.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use quorate_core::bucket::{BUCKETS, Bucket};
use quorate_core::electorate::RegionSeats;
use quorate_core::evidence::PackedVotes;
use quorate_core::pop::PopNo;
use quorate_core::timings::ms;
use quorate_store::verdicts::{VerdictStore, VoteRow};
use tokio::time::Instant;

use crate::bucket::{Role, Slot};
use crate::error::{bounded, chain};
use crate::probed::{Probed, Said, said};
use crate::reconcile::Rhythm;
use crate::registry::Registry;
use crate::shared::Shared;

/// Rows a second that are written at most.
const ROWS_PER_SECOND: u32 = 5_000;
/// Passes in the time that the votes may be behind: so that one that just missed a pass is not late.
const PASSES: u32 = 2;

/// Which rows a pass is after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Changed,
    /// Written longer ago than this.
    OlderThan(Duration),
}

/// Writes until the stop.
pub(crate) async fn run<S: VerdictStore, R: Registry>(shared: Arc<Shared<S, R>>) {
    let period = ms(shared.timings.votes_behind_ms) / PASSES;
    let budget = usize::try_from(u128::from(ROWS_PER_SECOND) * period.as_millis() / 1_000).unwrap_or(usize::MAX).max(1);
    let refresh = Wanted::OlderThan(ms(shared.timings.round_ms).saturating_sub(period));
    let mut rhythm = Rhythm::steady(shared.tasks.stop(), period);
    // Where the last pass stopped for want of budget: so that no bucket starves.
    let (mut changed_from, mut refresh_from) = (0, 0);
    let mut lived = BTreeSet::new();
    let mut failing = false;
    while rhythm.next().await {
        // Votes that fall silent, or count again, change what is seen as much as votes that change.
        let live = shared.sessions.live();
        let turned: Vec<PopNo> = live.symmetric_difference(&lived).map(|(pop, _)| *pop).collect();
        if !turned.is_empty() {
            Bucket::all().for_each(|bucket| shared.board.lock(bucket).seen_otherwise(&turned));
            lived = live;
        }
        let mut rows = Vec::new();
        collect(&shared, Wanted::Changed, budget, &mut changed_from, &mut rows);
        collect(&shared, refresh, budget, &mut refresh_from, &mut rows);
        if rows.is_empty() {
            continue;
        }
        let count = rows.len().try_into().unwrap_or(u64::MAX);
        match bounded(shared.verdicts.save_votes(&rows)).await {
            Ok(()) => {
                metrics::counter!("quorate_vote_rows_total").increment(count);
                failing = false;
            }
            Err(error) => {
                for row in &rows {
                    shared.board.lock(row.bucket).not_written(row);
                }
                if !failing {
                    tracing::warn!(error = chain(&error), "the votes behind the verdicts cannot be written; the quorum view is behind");
                }
                failing = true;
            }
        }
    }
}

/// Adds rows until the budget of a pass is used, from bucket `from` on, around once.
fn collect<S: VerdictStore, R: Registry>(shared: &Shared<S, R>, wanted: Wanted, budget: usize, from: &mut u16, rows: &mut Vec<VoteRow>) {
    let now_ms = shared.board.uptime_ms();
    let live = |pop, epoch| shared.sessions.is_live(pop, epoch);
    for step in 0..BUCKETS {
        let number = (*from + step) % BUCKETS;
        let Some(bucket) = Bucket::new(number) else { continue };
        shared.board.lock(bucket).collect(wanted, budget, live, now_ms, rows);
        if rows.len() >= budget {
            *from = number;
            return;
        }
    }
}

impl Slot {
    /// The checks on which one of `pops` has a seat are written again.
    fn seen_otherwise(&mut self, pops: &[PopNo]) {
        let Some(plan) = &self.plan else { return };
        for pool in &plan.pools {
            if pool.electorate.regions().iter().flat_map(RegionSeats::seats).any(|seat| pops.contains(seat)) {
                pool.probed.iter().flat_map(Probed::places).for_each(|index| self.behind[index].changed = true);
            }
        }
    }

    fn collect(&mut self, wanted: Wanted, budget: usize, live: impl Fn(PopNo, u64) -> bool, now_ms: u32, rows: &mut Vec<VoteRow>) {
        let (Role::Owner { .. }, Some(plan)) = (self.role, &self.plan) else { return };
        let now = Instant::now();
        let is_wanted = |index: usize| {
            let behind = &self.behind[index];
            match wanted {
                Wanted::Changed => behind.changed,
                Wanted::OlderThan(age) => behind.written.is_none_or(|written| now - written >= age),
            }
        };
        let mut written = Vec::new();
        for pool in &plan.pools {
            let origins: Vec<usize> = (0..pool.probed.len()).filter(|origin| pool.probed[*origin].places().any(is_wanted)).collect();
            if origins.is_empty() {
                continue;
            }
            let seated = self.seated(pool, &live);
            for origin in origins {
                if rows.len() >= budget {
                    break;
                }
                let probed = &pool.probed[origin];
                let Said { ballots, members } = said(plan, &seated, probed, now_ms);
                rows.push(VoteRow {
                    account_id: pool.config.pool.account_id,
                    bucket: plan.bucket,
                    check_id: pool.config.pool.origins[origin].check_id,
                    votes: PackedVotes { electorate: pool.electorate.clone(), ballots, members },
                });
                written.extend(probed.places());
            }
        }
        for index in written {
            self.behind[index].changed = false;
            self.behind[index].written = Some(now);
        }
    }

    fn not_written(&mut self, row: &VoteRow) {
        for place in self.plan.iter().flat_map(|plan| plan.places_of(row.check_id)) {
            self.behind[place].changed = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use quorate_core::region::Region;

    use super::*;
    use crate::bucket::Board;
    use crate::plan::Plan;
    use crate::sample::{bucket_config, pool, pop, with_origins};

    #[tokio::test(start_paused = true)]
    async fn changed_rows_come_first_and_every_row_comes_again_within_the_budget() {
        let board = Board::new();
        let slot = || board.lock(Bucket::new(7).unwrap());
        let mut config = bucket_config(4, vec![pool(1, &["WEU"], &with_origins(5))]);
        config.seats = vec![(Region::Weu, vec![PopNo(1)])];
        slot().take_role(Role::Owner { epoch: 1 });
        slot().install(Plan::new(config, &[pop(1, Region::Weu)], None));
        let refresh = Wanted::OlderThan(Duration::from_secs(10));
        let collected = |wanted, budget| {
            let mut rows = Vec::new();
            slot().collect(wanted, budget, |_, _| true, 0, &mut rows);
            rows
        };
        assert_eq!(collected(Wanted::Changed, 3).len(), 3, "as many as the budget has");
        let rest = collected(Wanted::Changed, 3);
        assert_eq!(rest.len(), 2);
        assert!(collected(Wanted::Changed, 3).is_empty());
        assert!(collected(refresh, 3).is_empty(), "just written");
        slot().not_written(&rest[1]);
        assert_eq!(collected(Wanted::Changed, 9)[0].check_id, rest[1].check_id, "what failed is written again");
        slot().seen_otherwise(&[PopNo(2)]);
        assert!(collected(Wanted::Changed, 9).is_empty(), "it has no seat here");
        slot().seen_otherwise(&[PopNo(2), PopNo(1)]);
        assert_eq!(collected(Wanted::Changed, 9).len(), 5, "silence is written as soon as a change of votes");
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(collected(refresh, 9).len(), 5);
        slot().take_role(Role::Standby);
        tokio::time::advance(Duration::from_secs(10)).await;
        assert!(collected(refresh, 9).is_empty(), "only the owner writes");
    }
}
