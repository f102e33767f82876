//! Recorded verdict changes.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use quorate_core::event::{EventBody, Subject};
use quorate_core::ids::PoolId;
use serde_json::Value;

use crate::db::{Operator, Tenant};
use crate::error::Error;
use crate::row::{self, Place, big};

/// Pages further back than this many events are empty.
const OFFSET_MAX: u64 = 1 << 40;

/// Absent: filters nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Of pools, where nothing else is said.
    pub subject: Subject,
    /// Inclusive.
    pub since: Option<Timestamp>,
    /// Exclusive.
    pub until: Option<Timestamp>,
    pub pool_id: Option<PoolId>,
    pub pool_name: Option<String>,
    /// The pool after the change.
    pub pool_healthy: Option<bool>,
    /// The changed origin.
    pub origin_name: Option<String>,
    pub origin_healthy: Option<bool>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Unique, below 2^53, increasing with time.
    pub id: u64,
    pub occurred_at: Timestamp,
    pub body: EventBody,
}

struct Row {
    event_id: i64,
    occurred_at: jiff_sqlx::Timestamp,
    body: Value,
}

impl TryFrom<Row> for Event {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let place = Place { table: "health_event", key: &row.event_id.to_be_bytes() };
        Ok(Self {
            id: place.number("event_id", row.event_id)?,
            occurred_at: row.occurred_at.to_jiff(),
            body: place.json("body", row.body)?,
        })
    }
}

/// Newest first by (`occurred_at`, id), with the total that matches the filter.
///
/// Each account of the tenant is read through its own index, from the newest on, so that a page near
/// the front costs what it holds; the total costs what it counts.
pub async fn list(db: &mut Tenant, filter: &EventFilter, offset: u64, limit: u32) -> Result<(Vec<Event>, u64), Error> {
    let accounts: Vec<Vec<u8>> = db.accounts().iter().map(|id| id.as_bytes().to_vec()).collect();
    let since = filter.since.map(ToSqlx::to_sqlx);
    let until = filter.until.map(ToSqlx::to_sqlx);
    let pool_id = filter.pool_id.as_ref().map(|id| id.as_bytes().as_slice());
    let rows = sqlx::query_as!(
        Row,
        r#"
        select e.event_id as "event_id!", e.occurred_at as "occurred_at!: jiff_sqlx::Timestamp", e.body as "body!"
        from unnest($1::bytea[]) as a (account_id)
        cross join lateral (
            select event_id, occurred_at, body
            from health_event
            where account_id = a.account_id
                and occurred_at >= coalesce($2, '-infinity'::timestamptz)
                and occurred_at < coalesce($3, 'infinity'::timestamptz)
                and ($4::bytea is null or pool_id = $4)
                and ($5::text is null or pool_name = $5)
                and ($6::boolean is null or pool_healthy = $6)
                and ($7::text is null or origin_name = $7)
                and ($8::boolean is null or origin_healthy = $8)
                and subject = $11
            order by occurred_at desc, event_id desc
            limit $9::bigint + $10
        ) as e
        order by e.occurred_at desc, e.event_id desc
        offset $9 limit $10
        "#,
        &accounts,
        since as _,
        until as _,
        pool_id,
        filter.pool_name.as_deref(),
        filter.pool_healthy,
        filter.origin_name.as_deref(),
        filter.origin_healthy,
        big(offset.min(OFFSET_MAX)),
        i64::from(limit),
        filter.subject.name(),
    )
    .fetch_all(db.conn())
    .await?;
    let total = sqlx::query_scalar!(
        r#"
        select count(*) as "count!"
        from health_event
        where account_id = any ($1)
            and occurred_at >= coalesce($2, '-infinity'::timestamptz)
            and occurred_at < coalesce($3, 'infinity'::timestamptz)
            and ($4::bytea is null or pool_id = $4)
            and ($5::text is null or pool_name = $5)
            and ($6::boolean is null or pool_healthy = $6)
            and ($7::text is null or origin_name = $7)
            and ($8::boolean is null or origin_healthy = $8)
            and subject = $9
        "#,
        &accounts,
        since as _,
        until as _,
        pool_id,
        filter.pool_name.as_deref(),
        filter.pool_healthy,
        filter.origin_name.as_deref(),
        filter.origin_healthy,
        filter.subject.name(),
    )
    .fetch_one(db.conn())
    .await?;
    let events = rows.into_iter().map(TryInto::try_into).collect::<Result<_, Error>>()?;
    Ok((events, u64::try_from(total).unwrap_or(0)))
}

/// Events after `id`, oldest first: for `up`, which prints them live. Not for delivery: of two
/// transactions that end at once the later may have the lower id, and then it is passed over here.
pub async fn after(op: &mut Operator, id: u64, limit: u32) -> Result<Vec<Event>, Error> {
    sqlx::query_as!(
        Row,
        r#"
        select event_id, occurred_at as "occurred_at: jiff_sqlx::Timestamp", body
        from health_event
        where event_id > $1
        order by event_id
        limit $2
        "#,
        big(id),
        i64::from(limit)
    )
    .fetch_all(op.conn())
    .await?
    .into_iter()
    .map(TryInto::try_into)
    .collect()
}

/// The id of the newest event, 0 where there is none: where [`after`] may begin.
pub async fn newest_id(op: &mut Operator) -> Result<u64, Error> {
    let newest = sqlx::query_scalar!(r#"select coalesce(max(event_id), 0) as "newest!" from health_event"#).fetch_one(op.conn()).await?;
    Ok(u64::try_from(newest).unwrap_or(0))
}

/// Creates the daily partitions for today and `days_ahead` days, drops those older than `retain_days`,
/// and with them the quorum notices and the gaps of control. One caller at a time does the work; answers how many were created and dropped.
pub async fn keep_partitions(op: &mut Operator, days_ahead: u16, retain_days: u16) -> Result<(u32, u32), Error> {
    let row = sqlx::query!(
        r#"select created as "created!", dropped as "dropped!" from keep_event_partitions($1, $2)"#,
        i32::from(days_ahead),
        i32::from(retain_days)
    )
    .fetch_one(op.conn())
    .await?;
    sqlx::query!("delete from quorum_notice where occurred_at < now() - make_interval(days => $1)", i32::from(retain_days))
        .execute(op.conn())
        .await?;
    sqlx::query!("delete from control_gap where ended_at < now() - make_interval(days => $1)", i32::from(retain_days))
        .execute(op.conn())
        .await?;
    Ok((row::count(row.created.into()), row::count(row.dropped.into())))
}
