//! The rows of the in-memory twin, and what a tick does to them.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use quorate_core::bucket::Bucket;
use quorate_core::evidence::PackedVotes;
use quorate_core::ids::{AccountId, CheckId, MonitorId, PoolId, ReplicaId};
use quorate_core::monitor::MonitorSettings;
use quorate_core::pop::{Pop, PopNo};
use quorate_core::quorum::{Fence, Guards, may_commit};
use quorate_core::region::Region;
use quorate_core::vote::{Published, Verdict};
use tokio::time::Instant;

use super::super::{CommitError, Committed, ControlGap, PoolConfig, PublishedCheck, QuorumNotice, Tick};
use super::{Fault, RecordedEvent};

#[derive(Clone)]
pub(super) struct MemberRow {
    pub(super) url: String,
    pub(super) sessions: u32,
    pub(super) heartbeat_at: Instant,
}

#[derive(Clone, Default)]
pub(super) struct BucketRow {
    pub(super) owner: Option<ReplicaId>,
    pub(super) epoch: u64,
    pub(super) config_seq: u64,
    pub(super) seats: Vec<(Region, Vec<PopNo>)>,
}

#[derive(Clone, Default)]
pub(super) struct State {
    pub(super) members: BTreeMap<ReplicaId, MemberRow>,
    pub(super) buckets: BTreeMap<Bucket, BucketRow>,
    pub(super) pops: Vec<Pop>,
    pub(super) monitors: HashMap<MonitorId, MonitorSettings>,
    pub(super) pools: Vec<PoolConfig>,
    pub(super) events: Vec<RecordedEvent>,
    pub(super) votes: HashMap<CheckId, PackedVotes>,
    pub(super) notices: Vec<QuorumNotice>,
    pub(super) gaps: Vec<ControlGap>,
    /// When somebody last said that it can decide, by the clock and by tokio's.
    pub(super) pulse: Option<(Timestamp, Instant)>,
    pub(super) faults: VecDeque<Fault>,
    pub(super) spoiled: HashSet<PoolId>,
    pub(super) unloadable: HashSet<Bucket>,
    /// By look at the registry.
    pub(super) seatings: Vec<usize>,
}

impl State {
    pub(super) fn bucket(&mut self, bucket: Bucket) -> &mut BucketRow {
        self.buckets.entry(bucket).or_default()
    }

    /// The votes of checks that are gone.
    pub(super) fn forget_votes(&mut self) {
        let Self { pools, votes, .. } = self;
        votes.retain(|id, _| pools.iter().flat_map(|config| &config.checks).any(|check| check.check_id == *id));
    }

    pub(super) fn is_alive(&self, replica: ReplicaId, dead_after: Duration) -> bool {
        self.members.get(&replica).is_some_and(|member| member.heartbeat_at.elapsed() < dead_after)
    }

    pub(super) fn stored_fence(&self, bucket: Bucket, replica: ReplicaId) -> Option<Fence> {
        let row = self.buckets.get(&bucket)?;
        (row.owner == Some(replica)).then_some(Fence { epoch: row.epoch, config_seq: row.config_seq })
    }

    /// Whether the whole tick may be published.
    pub(super) fn judge(&self, tick: &Tick) -> Result<(), CommitError> {
        let stored = self.stored_fence(tick.bucket, tick.replica).ok_or(CommitError::Fenced)?;
        let may = |published, verdict| may_commit(Guards::ALL, tick.fence, stored, published, verdict);
        // The fence alone: what is said of an unknown check is a change.
        if !may(Published::Unknown, Verdict::Up) {
            return Err(CommitError::Fenced);
        }
        let mut seen = Vec::with_capacity(tick.checks.len());
        for change in &tick.checks {
            let check = self.check(tick.bucket, change.account_id, change.check_id).ok_or(CommitError::Stale)?;
            let expected = check.config_gen == change.config_gen && check.verdict_seq == change.expected_seq;
            if !expected || !may(check.verdict, change.verdict) || seen.contains(&change.check_id) {
                return Err(CommitError::Stale);
            }
            seen.push(change.check_id);
        }
        for change in &tick.pools {
            let config = self.pool(tick.bucket, change.account_id, change.pool_id).ok_or(CommitError::Stale)?;
            if config.state_seq != change.expected_seq || config.state == change.state {
                return Err(CommitError::Stale);
            }
        }
        Ok(())
    }

    fn pool(&self, bucket: Bucket, account: AccountId, id: PoolId) -> Option<&PoolConfig> {
        let is_it = |config: &&PoolConfig| config.pool.id == id && config.pool.account_id == account && Bucket::of(id) == bucket;
        self.pools.iter().find(is_it)
    }

    pub(super) fn check(&self, bucket: Bucket, account: AccountId, id: CheckId) -> Option<&PublishedCheck> {
        let pools = self.pools.iter().filter(|config| config.pool.account_id == account && Bucket::of(config.pool.id) == bucket);
        pools.flat_map(|config| &config.checks).find(|check| check.check_id == id)
    }

    pub(super) fn write(&mut self, tick: &Tick, occurred_at: Timestamp) -> Committed {
        for change in &tick.checks {
            let mut checks = self.pools.iter_mut().flat_map(|config| &mut config.checks);
            if let Some(check) = checks.find(|check| check.check_id == change.check_id) {
                check.verdict = change.verdict.into();
                check.verdict_seq += 1;
                check.reason = change.reason;
                check.response_code = change.response_code;
            }
        }
        for change in &tick.pools {
            if let Some(config) = self.pools.iter_mut().find(|config| config.pool.id == change.pool_id) {
                config.state = change.state;
                config.state_seq += 1;
            }
        }
        let mut event_ids = Vec::with_capacity(tick.events.len());
        for event in &tick.events {
            let id = self.events.last().map_or(1, |last| last.id + 1);
            event_ids.push(id);
            let change = event.check_id.and_then(|id| tick.checks.iter().find(|change| change.check_id == id));
            self.events.push(RecordedEvent {
                id,
                occurred_at,
                bucket: tick.bucket,
                account_id: event.account_id,
                pool_id: event.pool_id,
                check_id: event.check_id,
                verdict_seq: change.map(|change| change.expected_seq + 1),
                body: event.body.clone(),
            });
        }
        Committed { event_ids, occurred_at }
    }
}
