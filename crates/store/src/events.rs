//! Recorded verdict changes.

mod list;
mod tally;

use jiff::Timestamp;
use quorate_core::event::{EventBody, Subject};
use quorate_core::ids::PoolId;
use serde_json::Value;

use crate::db::Operator;
use crate::error::Error;
use crate::reader::Reader;
use crate::row::{self, Place, big};

pub(crate) use tally::Tallied;
pub use tally::tally;

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

/// An event with its body as the database writes it: an [`EventBody`] as JSON, that nobody has read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventText {
    /// Unique, below 2^53, increasing with time.
    pub id: u64,
    pub occurred_at: Timestamp,
    pub body: String,
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

impl TryFrom<EventText> for Event {
    type Error = Error;

    fn try_from(event: EventText) -> Result<Self, Error> {
        let place = Place { table: "health_event", key: &event.id.to_be_bytes() };
        let body = serde_json::from_str(&event.body).map_err(|problem| place.corrupt(format_args!("body: {problem}")))?;
        Ok(Self { id: event.id, occurred_at: event.occurred_at, body })
    }
}

/// Newest first by (`occurred_at`, id), with the total that matches the filter, as of one instant.
///
/// Each account of the reader is read through its own index, from the newest on, so that a page near the front costs what
/// it holds. Of the total, the days that are over were counted once for all ([`tally()`]).
pub async fn page(db: &Reader, filter: &EventFilter, offset: u64, limit: u32) -> Result<(Vec<EventText>, u64), Error> {
    list::page(db, filter, offset, limit).await
}

/// As [`page`], with the bodies read.
pub async fn list(db: &Reader, filter: &EventFilter, offset: u64, limit: u32) -> Result<(Vec<Event>, u64), Error> {
    let (texts, total) = page(db, filter, offset, limit).await?;
    Ok((texts.into_iter().map(TryInto::try_into).collect::<Result<_, Error>>()?, total))
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
/// and with them their counts, the quorum notices and the gaps of control. One caller at a time does the work; answers how
/// many were created and dropped.
pub async fn keep_partitions(op: &mut Operator, days_ahead: u16, retain_days: u16) -> Result<(u32, u32), Error> {
    let row = sqlx::query!(
        r#"select created as "created!", dropped as "dropped!" from keep_event_partitions($1, $2)"#,
        i32::from(days_ahead),
        i32::from(retain_days)
    )
    .fetch_one(op.conn())
    .await?;
    tally::forget(op, retain_days).await?;
    sqlx::query!("delete from quorum_notice where occurred_at < now() - make_interval(days => $1)", i32::from(retain_days))
        .execute(op.conn())
        .await?;
    sqlx::query!("delete from control_gap where ended_at < now() - make_interval(days => $1)", i32::from(retain_days))
        .execute(op.conn())
        .await?;
    Ok((row::count(row.created.into()), row::count(row.dropped.into())))
}
