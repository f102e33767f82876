//! What the quorum view and the pool health need of one pool: verdicts, and the packed votes that the
//! owner writes behind them.

use jiff::Timestamp;
use quorate_core::bucket::Bucket;
use quorate_core::evidence::PackedVotes;
use quorate_core::failure::FailureReason;
use quorate_core::ids::{AccountId, CheckId, PoolId};
use quorate_core::pool::PoolState;
use quorate_core::vote::Published;

use crate::db::Tenant;
use crate::error::Error;
use crate::row::Place;

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
    /// Published with a Down verdict; for when its voters have gone.
    pub reason: Option<FailureReason>,
    /// When the verdict last changed.
    pub since: Timestamp,
    /// As the owner saw the votes at `as_of`; `None` before its first write.
    pub votes: Option<PackedVotes>,
    pub as_of: Option<Timestamp>,
}

/// `Ok(None)`: no such pool.
pub async fn of_pool(db: &mut Tenant, account: AccountId, pool: PoolId) -> Result<Option<PoolHealth>, Error> {
    let bucket = Bucket::of(pool).number().cast_signed();
    // One statement, so that verdicts and pool state are of one instant.
    let rows = sqlx::query!(
        r#"
        select p.state, p.since as "since: jiff_sqlx::Timestamp", p.quorum_lost_since as "quorum_lost_since: jiff_sqlx::Timestamp",
            c.check_id as "check_id?", c.verdict as "verdict?", c.verdict_seq as "verdict_seq?", c.reason as "reason?",
            c.since as "check_since?: jiff_sqlx::Timestamp", v.votes as "votes?", v.as_of as "as_of?: jiff_sqlx::Timestamp"
        from pool_state as p
        left join check_state as c on c.bucket = p.bucket and c.account_id = p.account_id and c.pool_id = p.pool_id
        left join check_votes as v on v.bucket = c.bucket and v.account_id = c.account_id and v.check_id = c.check_id
        where p.bucket = $1 and p.account_id = $2 and p.pool_id = $3
        order by c.check_id
        "#,
        bucket,
        account.as_bytes(),
        pool.as_bytes()
    )
    .fetch_all(db.conn())
    .await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let place = Place { table: "pool_state", key: pool.as_bytes() };
    let mut health = PoolHealth {
        state: PoolState::from_number(first.state).ok_or_else(|| place.corrupt(format_args!("state is {}", first.state)))?,
        since: first.since.to_jiff(),
        quorum_lost_since: first.quorum_lost_since.map(jiff_sqlx::Timestamp::to_jiff),
        checks: Vec::with_capacity(rows.len()),
    };
    for row in rows {
        let (Some(check_id), Some(verdict), Some(verdict_seq), Some(since)) = (row.check_id, row.verdict, row.verdict_seq, row.check_since)
        else {
            continue;
        };
        let place = Place { table: "check_state", key: &check_id };
        health.checks.push(CheckHealth {
            check_id: place.id("check_id", &check_id)?,
            verdict: Published::from_number(verdict).ok_or_else(|| place.corrupt(format_args!("verdict is {verdict}")))?,
            verdict_seq: place.number("verdict_seq", verdict_seq)?,
            reason: row.reason.and_then(|number| u8::try_from(number).ok()).and_then(FailureReason::from_wire),
            since: since.to_jiff(),
            votes: row.votes.map(|votes| PackedVotes::decode(&votes)).transpose().map_err(|damaged| place.corrupt(damaged))?,
            as_of: row.as_of.map(jiff_sqlx::Timestamp::to_jiff),
        });
    }
    Ok(Some(health))
}
