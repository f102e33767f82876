//! The in-memory twin of the verdict path: for simulations and for tests of the loops, held to the
//! same contract suite as Postgres. Whether a verdict may be published is `core`'s rule here, and the
//! SQL's there. It can refuse a commit or lose its answer on demand.

mod state;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use quorate_core::bucket::Bucket;
use quorate_core::event::{EventBody, Subject};
use quorate_core::evidence::PackedVotes;
use quorate_core::ids::{AccountId, CheckId, MonitorId, PoolId, ReplicaId};
use quorate_core::monitor::MonitorSettings;
use quorate_core::monitor_group::Monitoring;
use quorate_core::pool::{OriginHealth, Pool, pool_state};
use quorate_core::pop::{Pop, PopNo};
use quorate_core::quorum::Fence;
use quorate_core::region::Region;
use quorate_core::time::{Clock, SystemClock};
use quorate_core::vote::Published;
use tokio::sync::watch;
use tokio::time::Instant;

use super::columns::Columns;
use super::{
    BucketConfig, CommitError, Committed, ControlGap, Member, Ownership, PoolConfig, PublishedCheck, QuorumNotice, Replica, Tick,
    UnreadablePool, VerdictStore, VoteRow,
};
use crate::error::Error;

use state::{BucketRow, MemberRow, State};

/// What becomes of a commit, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The database answers with an error; nothing is written.
    Refuse,
    /// Written, and the answer is lost.
    LoseAnswerWritten,
    /// Not written, and the answer is lost.
    LoseAnswerUnwritten,
}

/// An event as recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedEvent {
    pub id: u64,
    pub occurred_at: Timestamp,
    pub bucket: Bucket,
    pub account_id: AccountId,
    pub pool_id: PoolId,
    pub check_id: Option<CheckId>,
    pub verdict_seq: Option<u64>,
    pub body: EventBody,
}

/// A copy of all rows, for [`MemoryVerdicts::restore`].
#[derive(Clone)]
pub struct Backup(State);

impl fmt::Debug for Backup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Backup(..)")
    }
}

/// The verdict path in memory. Clones share one store. Heartbeats age by tokio's clock.
#[derive(Clone)]
pub struct MemoryVerdicts {
    state: Arc<Mutex<State>>,
    clock: Arc<dyn Clock>,
    /// Loads pass while it is true.
    gate: watch::Sender<bool>,
}

impl fmt::Debug for MemoryVerdicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryVerdicts(..)")
    }
}

impl Default for MemoryVerdicts {
    fn default() -> Self {
        Self::new(Arc::new(SystemClock))
    }
}

impl MemoryVerdicts {
    /// `clock` dates events and notices.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let buckets = Bucket::all().map(|bucket| (bucket, BucketRow { config_seq: 1, ..BucketRow::default() })).collect();
        Self { state: Arc::new(Mutex::new(State { buckets, ..State::default() })), clock, gate: watch::Sender::new(true) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nobody panics between two writes that belong together.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What becomes of the next commit that has no fault yet; faults queue up.
    pub fn fail_next_commit(&self, fault: Fault) {
        self.state().faults.push_back(fault);
    }

    /// Registers a PoP, or replaces the one of its number.
    pub fn register_pop(&self, pop: Pop) {
        let mut state = self.state();
        state.pops.retain(|other| other.no != pop.no);
        state.pops.push(pop);
        state.pops.sort_by_key(|pop| pop.no);
    }

    pub fn revoke_pop(&self, no: PopNo) {
        self.state().pops.retain(|pop| pop.no != no);
    }

    /// Writes the settings of a monitor, without new generations: see [`put_pool`](Self::put_pool).
    pub fn put_monitor(&self, id: MonitorId, settings: MonitorSettings) {
        self.state().monitors.insert(id, settings);
    }

    /// Writes a pool as configured, generations included, and bumps its bucket's `config_seq`. Kept checks keep
    /// their verdicts, new ones start unknown.
    pub fn put_pool(&self, pool: Pool) {
        let mut state = self.state();
        let old = state.pools.iter().position(|config| config.pool.id == pool.id).map(|index| state.pools.remove(index));
        let checks: Vec<PublishedCheck> = pool
            .origins
            .iter()
            .map(|origin| {
                let held = old.iter().flat_map(|config| &config.checks).find(|check| check.check_id == origin.check_id);
                let unknown = PublishedCheck {
                    check_id: origin.check_id,
                    config_gen: origin.config_gen,
                    verdict: Published::Unknown,
                    verdict_seq: 0,
                    reason: None,
                    response_code: None,
                };
                PublishedCheck { config_gen: origin.config_gen, ..held.copied().unwrap_or(unknown) }
            })
            .collect();
        let health: Vec<OriginHealth> = pool
            .origins
            .iter()
            .map(|origin| OriginHealth { enabled: origin.settings.enabled, verdict: Published::Unknown, down_in_a_region: false })
            .collect();
        let settings = &pool.settings;
        let first = pool_state(settings.enabled, settings.monitor.is_some(), settings.minimum_origins, &health);
        let bucket = Bucket::of(pool.id);
        let config = PoolConfig {
            subject: Subject::Pool,
            monitoring: Monitoring::Nothing,
            state: old.as_ref().map_or(first, |config| config.state),
            state_seq: old.as_ref().map_or(0, |config| config.state_seq),
            quorum_lost_since: old.as_ref().and_then(|config| config.quorum_lost_since),
            checks,
            pool,
        };
        state.pools.push(config);
        state.forget_votes();
        state.bucket(bucket).config_seq += 1;
    }

    pub fn remove_pool(&self, id: PoolId) {
        let mut state = self.state();
        state.pools.retain(|config| config.pool.id != id);
        state.forget_votes();
        state.bucket(Bucket::of(id)).config_seq += 1;
    }

    /// From now on the rows of a pool cannot be read, or can again. Its bucket's `config_seq` grows, as by a change.
    pub fn spoil_pool(&self, id: PoolId, spoiled: bool) {
        let mut state = self.state();
        if spoiled {
            state.spoiled.insert(id)
        } else {
            state.spoiled.remove(&id)
        };
        state.bucket(Bucket::of(id)).config_seq += 1;
    }

    /// From now on every load that includes a bucket fails, or succeeds again.
    pub fn refuse_loads(&self, bucket: Bucket, refused: bool) {
        let mut state = self.state();
        if refused {
            state.unloadable.insert(bucket)
        } else {
            state.unloadable.remove(&bucket)
        };
    }

    /// From now on no load is answered, or those that wait and later ones are.
    pub fn hold_loads(&self, held: bool) {
        self.gate.send_replace(!held);
    }

    /// Loads that wait to be answered.
    pub fn loads_held(&self) -> usize {
        self.gate.receiver_count()
    }

    /// How a later [`restore`](Self::restore) finds it.
    pub fn backup(&self) -> Backup {
        Backup(self.state().clone())
    }

    /// Everything is as it was when the backup was made: the database was restored under the running control plane.
    pub fn restore(&self, backup: Backup) {
        *self.state() = backup.0;
    }

    /// Buckets seated between one look of a replica at the registry, which begins each of its passes, and the next.
    pub fn seatings(&self) -> Vec<usize> {
        self.state().seatings.clone()
    }

    /// All events in the order of their ids.
    pub fn events(&self) -> Vec<RecordedEvent> {
        self.state().events.clone()
    }

    pub fn votes_of(&self, check: CheckId) -> Option<PackedVotes> {
        self.state().votes.get(&check).cloned()
    }

    /// Whether some replica has said that it can decide.
    pub fn is_pulsing(&self) -> bool {
        self.state().pulse.is_some()
    }

    /// Times in which nobody could decide, in order.
    pub fn control_gaps(&self) -> Vec<ControlGap> {
        self.state().gaps.clone()
    }

    /// Losses and returns of quorum, in order.
    pub fn quorum_notices(&self) -> Vec<QuorumNotice> {
        self.state().notices.clone()
    }
}

/// As the driver tells of a connection that broke.
fn broken() -> Error {
    Error::Database(sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into()))
}

impl VerdictStore for MemoryVerdicts {
    async fn heartbeat(&self, me: &Replica, sessions: u32, dead_after: Duration) -> Result<Vec<Member>, Error> {
        let mut state = self.state();
        state.members.insert(me.id, MemberRow { url: me.url.clone(), sessions, heartbeat_at: Instant::now() });
        let member = |(id, row): (&ReplicaId, &MemberRow)| Member {
            id: *id,
            url: row.url.clone(),
            alive: *id == me.id || row.heartbeat_at.elapsed() < dead_after,
            sessions: row.sessions,
        };
        Ok(state.members.iter().map(member).collect())
    }

    async fn leave(&self, me: ReplicaId) -> Result<(), Error> {
        let mut state = self.state();
        state.members.remove(&me);
        for row in state.buckets.values_mut().filter(|row| row.owner == Some(me)) {
            row.owner = None;
            row.epoch += 1;
        }
        Ok(())
    }

    async fn ownerships(&self) -> Result<Vec<Ownership>, Error> {
        let state = self.state();
        let ownership = |(bucket, row): (&Bucket, &BucketRow)| Ownership {
            bucket: *bucket,
            owner: row.owner,
            fence: Fence { epoch: row.epoch, config_seq: row.config_seq },
        };
        Ok(state.buckets.iter().map(ownership).collect())
    }

    async fn claim(&self, me: ReplicaId, buckets: &[Bucket], dead_after: Duration) -> Result<Vec<Ownership>, Error> {
        let mut state = self.state();
        let mut wanted = buckets.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        let mut taken = Vec::new();
        for bucket in wanted {
            let owner = state.buckets.get(&bucket).and_then(|row| row.owner);
            if owner.is_some_and(|owner| state.is_alive(owner, dead_after)) {
                continue;
            }
            let row = state.bucket(bucket);
            row.owner = Some(me);
            row.epoch += 1;
            taken.push(Ownership { bucket, owner: row.owner, fence: Fence { epoch: row.epoch, config_seq: row.config_seq } });
        }
        Ok(taken)
    }

    async fn hand_over(&self, me: ReplicaId, to: Option<ReplicaId>, buckets: &[Bucket]) -> Result<(), Error> {
        let mut state = self.state();
        for (_, row) in state.buckets.iter_mut().filter(|(bucket, row)| buckets.contains(bucket) && row.owner == Some(me)) {
            row.owner = to;
            row.epoch += 1;
        }
        Ok(())
    }

    async fn registered_pops(&self) -> Result<Vec<Pop>, Error> {
        let mut state = self.state();
        state.seatings.push(0);
        Ok(state.pops.clone())
    }

    async fn load(&self, buckets: &[Bucket]) -> Result<Vec<BucketConfig>, Error> {
        // The sender lives in `self`.
        let _ = self.gate.subscribe().wait_for(|open| *open).await;
        let state = self.state();
        if let Some(bucket) = buckets.iter().find(|bucket| state.unloadable.contains(bucket)) {
            let row = bucket.number().to_string();
            return Err(Error::Corrupt { table: "bucket_seat", row, problem: "unloadable on purpose".to_owned() });
        }
        let config = |bucket: &Bucket| {
            let row = state.buckets.get(bucket)?;
            let mut seats = row.seats.clone();
            seats.sort_unstable_by_key(|(region, _)| *region);
            let pools = state.pools.iter().filter(|config| Bucket::of(config.pool.id) == *bucket);
            let with_monitor = |config: &PoolConfig| PoolConfig {
                monitoring: config
                    .pool
                    .settings
                    .monitor
                    .and_then(|id| state.monitors.get(&id).cloned())
                    .map_or(Monitoring::Nothing, Monitoring::Monitor),
                ..config.clone()
            };
            let (spoiled, pools): (Vec<_>, Vec<_>) = pools.partition(|config| state.spoiled.contains(&config.pool.id));
            Some(BucketConfig {
                bucket: *bucket,
                config_seq: row.config_seq,
                seats,
                pools: pools.into_iter().map(with_monitor).collect(),
                unreadable: spoiled
                    .into_iter()
                    .map(|config| UnreadablePool { pool_id: config.pool.id, problem: "spoiled on purpose".to_owned() })
                    .collect(),
            })
        };
        Ok(buckets.iter().filter_map(config).collect())
    }

    async fn seat(&self, me: ReplicaId, bucket: Bucket, fence: Fence, seats: &[(Region, Vec<PopNo>)]) -> Result<u64, CommitError> {
        let mut state = self.state();
        if state.stored_fence(bucket, me) != Some(fence) {
            return Err(CommitError::Fenced);
        }
        let row = state.bucket(bucket);
        row.seats = seats.to_vec();
        row.config_seq += 1;
        let config_seq = row.config_seq;
        if let Some(seatings) = state.seatings.last_mut() {
            *seatings += 1;
        }
        Ok(config_seq)
    }

    async fn commit(&self, tick: &Tick) -> Result<Committed, CommitError> {
        let occurred_at = self.clock.now();
        let mut state = self.state();
        let fault = state.faults.pop_front();
        match fault {
            Some(Fault::Refuse) => return Err(CommitError::Refused(broken())),
            Some(Fault::LoseAnswerUnwritten) => return Err(CommitError::Unknown(broken())),
            Some(Fault::LoseAnswerWritten) | None => {}
        }
        // As a row that cannot be: the same answer as from Postgres.
        Columns::of(tick).map_err(CommitError::Refused)?;
        state.judge(tick)?;
        let committed = state.write(tick, occurred_at);
        if fault.is_some() { Err(CommitError::Unknown(broken())) } else { Ok(committed) }
    }

    async fn save_votes(&self, rows: &[VoteRow]) -> Result<(), Error> {
        let mut state = self.state();
        for row in rows {
            if state.check(row.bucket, row.account_id, row.check_id).is_some() {
                state.votes.insert(row.check_id, row.votes.clone());
            }
        }
        Ok(())
    }

    async fn pulse(&self, gap: Duration) -> Result<Option<ControlGap>, Error> {
        let ended_at = self.clock.now();
        let mut state = self.state();
        let Some((began_at, began)) = state.pulse.replace((ended_at, Instant::now())) else { return Ok(None) };
        if began.elapsed() <= gap {
            return Ok(None);
        }
        let gap = ControlGap { began_at, ended_at };
        state.gaps.push(gap);
        Ok(Some(gap))
    }

    async fn note_quorum(&self, notice: QuorumNotice) -> Result<bool, Error> {
        let now = self.clock.now();
        let mut state = self.state();
        let is_it = |config: &&mut PoolConfig| {
            config.pool.id == notice.pool_id && config.pool.account_id == notice.account_id && Bucket::of(notice.pool_id) == notice.bucket
        };
        let Some(config) = state.pools.iter_mut().find(is_it) else { return Ok(false) };
        if config.quorum_lost_since.is_some() == notice.lost {
            return Ok(false);
        }
        config.quorum_lost_since = notice.lost.then_some(now);
        state.notices.push(notice);
        Ok(true)
    }
}
