//! What the quorum view and the pool health need of one pool: verdicts, and the packed votes that the
//! owner writes behind them.

use jiff::Timestamp;
use quorate_core::evidence::PackedVotes;
use quorate_core::ids::{AccountId, CheckId, PoolId};
use quorate_core::pool::PoolState;
use quorate_core::vote::Published;

use crate::db::Tenant;
use crate::error::Error;

#[derive(Clone, Debug, PartialEq)]
pub struct PoolHealth {
    pub state: PoolState,
    /// When the state last changed.
    pub since: Timestamp,
    /// `Some` while missing votes make a majority impossible for some check of it.
    pub quorum_lost_since: Option<Timestamp>,
    pub checks: Vec<CheckHealth>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct CheckHealth {
    pub check_id: CheckId,
    pub verdict: Published,
    pub verdict_seq: u64,
    /// When the verdict last changed.
    pub since: Timestamp,
    /// As the owner saw the votes at `as_of`; `None` before its first write.
    pub votes: Option<PackedVotes>,
    pub as_of: Option<Timestamp>,
}

/// `Ok(None)`: no such pool.
pub async fn of_pool(db: &mut Tenant, account: AccountId, pool: PoolId) -> Result<Option<PoolHealth>, Error> {
    unimplemented!("{db:?}{account}{pool}")
}
