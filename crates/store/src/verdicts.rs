//! The verdict path: claim buckets, load them, commit verdicts. A trait, because it has two
//! implementations: Postgres and an in-memory twin, held to one contract suite.

mod columns;
mod load;
mod memory;
mod pg;
mod votes;

use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;
use quorate_core::bucket::Bucket;
use quorate_core::event::{EventBody, Subject};
use quorate_core::evidence::PackedVotes;
use quorate_core::failure::FailureReason;
use quorate_core::ids::{AccountId, CheckId, PoolId, ReplicaId};
use quorate_core::monitor_group::Monitoring;
use quorate_core::pool::{Pool, PoolState};
use quorate_core::pop::{Pop, PopNo};
use quorate_core::quorum::Fence;
use quorate_core::region::Region;
use quorate_core::vote::{Published, Verdict};

use crate::error::Error;

pub use memory::{Backup, Fault, MemoryVerdicts, RecordedEvent};
pub use pg::PgVerdicts;

/// A replica as it tells of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    pub id: ReplicaId,
    /// Where workers dial it: `https://127.0.0.1:8081`.
    pub url: String,
    pub version: String,
}

/// A replica as its row tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub id: ReplicaId,
    pub url: String,
    /// Its heartbeat is younger than the limit, by the database's clock.
    pub alive: bool,
    /// Worker sessions it last reported.
    pub sessions: u32,
}

/// One bucket's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ownership {
    pub bucket: Bucket,
    pub owner: Option<ReplicaId>,
    pub fence: Fence,
}

/// Everything that the owner (or standby) of a bucket needs, as of one snapshot.
#[derive(Clone, Debug, PartialEq)]
pub struct BucketConfig {
    pub bucket: Bucket,
    pub config_seq: u64,
    /// Who sits where; regions never seated are absent.
    pub seats: Vec<(Region, Vec<PopNo>)>,
    pub pools: Vec<PoolConfig>,
    /// Pools whose rows cannot be read by this release; the others of the bucket do not suffer for them.
    pub unreadable: Vec<UnreadablePool>,
}

/// A pool left out of its bucket, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadablePool {
    pub pool_id: PoolId,
    pub problem: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct PoolConfig {
    /// What its events are of.
    pub subject: Subject,
    pub pool: Pool,
    pub monitoring: Monitoring,
    pub state: PoolState,
    /// Counts the pool's published states.
    pub state_seq: u64,
    pub quorum_lost_since: Option<Timestamp>,
    /// Same length and order as `pool.origins`.
    pub checks: Vec<PublishedCheck>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishedCheck {
    pub check_id: CheckId,
    pub config_gen: u64,
    pub verdict: Published,
    /// Counts the published verdicts.
    pub verdict_seq: u64,
    pub reason: Option<FailureReason>,
    pub response_code: Option<u16>,
}

/// All that one bucket publishes at one instant: one transaction, all or nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Tick {
    pub bucket: Bucket,
    pub replica: ReplicaId,
    pub fence: Fence,
    pub checks: Vec<CheckChange>,
    pub pools: Vec<PoolChange>,
    /// One a check whose verdict changed, and one a pool whose state changed without one.
    pub events: Vec<NewEvent>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct CheckChange {
    pub account_id: AccountId,
    pub check_id: CheckId,
    pub config_gen: u64,
    /// `verdict_seq` as the owner knows it; the change is recorded as this + 1.
    pub expected_seq: u64,
    pub verdict: Verdict,
    /// The most frequent among the Down votes.
    pub reason: Option<FailureReason>,
    pub response_code: Option<u16>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct PoolChange {
    pub account_id: AccountId,
    pub pool_id: PoolId,
    pub expected_seq: u64,
    pub state: PoolState,
}

#[derive(Clone, Debug, PartialEq)]
pub struct NewEvent {
    pub account_id: AccountId,
    pub pool_id: PoolId,
    /// The changed check; `None` for a pool changed by configuration.
    pub check_id: Option<CheckId>,
    pub body: EventBody,
}

/// Ids and time that the store gave to the events of a tick, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    pub event_ids: Vec<u64>,
    pub occurred_at: Timestamp,
}

#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The bucket is not mine any more, or its configuration moved on. Nothing was written: reload.
    #[error("the bucket is fenced: owner, epoch or config_seq differ")]
    Fenced,
    /// A check or pool is not as the owner believes. Nothing was written: reload.
    #[error("a verdict is not as expected")]
    Stale,
    /// The database answered with an error; nothing was written.
    #[error("refused")]
    Refused(#[source] Error),
    /// No answer: written or not. Re-read before anything else.
    #[error("the outcome is unknown")]
    Unknown(#[source] Error),
}

/// The votes of one check for the quorum view.
#[derive(Clone, Debug, PartialEq)]
pub struct VoteRow {
    pub account_id: AccountId,
    pub bucket: Bucket,
    pub check_id: CheckId,
    pub votes: PackedVotes,
}

/// A loss or return of quorum of one pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuorumNotice {
    pub account_id: AccountId,
    pub bucket: Bucket,
    pub pool_id: PoolId,
    pub lost: bool,
}

/// A time in which nobody could decide, by the database's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlGap {
    pub began_at: Timestamp,
    pub ended_at: Timestamp,
}

/// The verdict path. Every method is one transaction.
pub trait VerdictStore: Send + Sync + 'static {
    /// Writes my heartbeat and answers all members; `alive` by `dead_after` and the database's clock.
    fn heartbeat(&self, me: &Replica, sessions: u32, dead_after: Duration) -> impl Future<Output = Result<Vec<Member>, Error>> + Send;

    /// Removes my row and leaves my buckets ownerless: an orderly stop.
    fn leave(&self, me: ReplicaId) -> impl Future<Output = Result<(), Error>> + Send;

    /// All 1,024 rows, in the order of the buckets.
    fn ownerships(&self) -> impl Future<Output = Result<Vec<Ownership>, Error>> + Send;

    /// Takes those of `buckets` that nobody alive owns; the epoch of each grows. Answers what was taken.
    fn claim(&self, me: ReplicaId, buckets: &[Bucket], dead_after: Duration) -> impl Future<Output = Result<Vec<Ownership>, Error>> + Send;

    /// Gives my buckets to another replica (`None`: to nobody); the epoch of each grows.
    fn hand_over(&self, me: ReplicaId, to: Option<ReplicaId>, buckets: &[Bucket]) -> impl Future<Output = Result<(), Error>> + Send;

    /// The registered PoPs.
    fn registered_pops(&self) -> impl Future<Output = Result<Vec<Pop>, Error>> + Send;

    /// Loads buckets, each as of one snapshot. A pool that cannot be read is named, and left out.
    fn load(&self, buckets: &[Bucket]) -> impl Future<Output = Result<Vec<BucketConfig>, Error>> + Send;

    /// Writes who sits where in a bucket of mine and bumps its `config_seq`; answers the new one.
    fn seat(
        &self,
        me: ReplicaId,
        bucket: Bucket,
        fence: Fence,
        seats: &[(Region, Vec<PopNo>)],
    ) -> impl Future<Output = Result<u64, CommitError>> + Send;

    /// Publishes a tick: verdicts, pool states, events and outbox rows in one transaction, if the
    /// fence still stands and every expected sequence fits; else nothing.
    fn commit(&self, tick: &Tick) -> impl Future<Output = Result<Committed, CommitError>> + Send;

    /// Writes the votes behind the verdicts; rows of checks that are gone are passed over.
    fn save_votes(&self, rows: &[VoteRow]) -> impl Future<Output = Result<(), Error>> + Send;

    /// Says that this replica can decide. Where no replica had said so for longer than `gap`, that time is
    /// recorded, once, and answered.
    fn pulse(&self, gap: Duration) -> impl Future<Output = Result<Option<ControlGap>, Error>> + Send;

    /// Records that a pool lost or regained its quorum, once an outage: `false` where it was so recorded already.
    fn note_quorum(&self, notice: QuorumNotice) -> impl Future<Output = Result<bool, Error>> + Send;
}
