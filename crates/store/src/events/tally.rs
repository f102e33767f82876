//! Counts of the events of each day, so that a list tells its total without counting every event again.
//!
//! Events up to an instant are counted when none can appear before it any more: when all transactions have ended that were
//! under way then. A verdict's transaction locks its bucket's row, which gives it its number, before it takes the time of its
//! events; so every event before an instant is of a transaction that had its number then. Only a clock that is set back can
//! add events before what was counted, and such days are counted anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;

use crate::db::Operator;
use crate::error::Error;

/// Stands for "not known yet".
const UNKNOWN: i64 = i64::MIN;

/// The instant before which events are known to be counted, in microseconds since 1970; the same for all that read in this
/// process.
#[derive(Clone, Debug)]
pub(crate) struct Tallied(Arc<AtomicI64>);

impl Default for Tallied {
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(UNKNOWN)))
    }
}

impl Tallied {
    pub(super) fn get(&self) -> Option<Timestamp> {
        Timestamp::from_microsecond(self.0.load(Ordering::Relaxed)).ok()
    }

    pub(super) fn set(&self, until: Timestamp) {
        self.0.store(until.as_microsecond(), Ordering::Relaxed);
    }
}

/// Counts the events of one day, or what is left of it, that can be counted and are not; and anew the counted days in which
/// events have appeared. Answers how many days were counted: 0 where nothing is left to do, or another does it. In a
/// transaction of its own.
pub async fn tally(op: &mut Operator) -> Result<u32, Error> {
    let Some(end) = sqlx::query!(
        r#"
        select
            tallied_until as "from!: jiff_sqlx::Timestamp",
            least(
                watched_until, ((tallied_until at time zone 'UTC')::date + 1)::timestamp at time zone 'UTC'
            ) as "to!: jiff_sqlx::Timestamp",
            last_event_id,
            watched_until > tallied_until and pg_snapshot_xmin(pg_current_snapshot()) > watched_xid as "can_be_counted!"
        from event_tally_end
        for update skip locked
        "#
    )
    .fetch_optional(op.conn())
    .await?
    else {
        return Ok(0);
    };
    let late = sqlx::query!(
        r#"
        select d.day as "from!: jiff_sqlx::Timestamp", least(d.day + interval '1 day', $2) as "to!: jiff_sqlx::Timestamp"
        from (
            select distinct date_trunc('day', occurred_at, 'UTC') as day from health_event where event_id > $1 and occurred_at < $2
        ) as d
        "#,
        end.last_event_id,
        end.from as _,
    )
    .fetch_all(op.conn())
    .await?;
    for day in &late {
        uncount(op, day.from).await?;
        count(op, day.from, day.to).await?;
    }
    if end.can_be_counted {
        count(op, end.from, end.to).await?;
    }
    // This transaction began before it got its number.
    sqlx::query!(
        r#"
        update event_tally_end
        set tallied_until = case when $1 then $2 else tallied_until end,
            last_event_id = coalesce(pg_sequence_last_value('health_event_id_seq'), 0),
            watched_until = case when $1 then watched_until else now() end,
            watched_xid = case when $1 then watched_xid else pg_current_xact_id() end
        "#,
        end.can_be_counted,
        end.to as _,
    )
    .execute(op.conn())
    .await?;
    Ok(u32::try_from(late.len()).unwrap_or(u32::MAX).saturating_add(u32::from(end.can_be_counted)))
}

/// Adds the events of a period within one day to its counts.
async fn count(op: &mut Operator, from: jiff_sqlx::Timestamp, to: jiff_sqlx::Timestamp) -> Result<(), Error> {
    sqlx::query!(
        r#"
        with counted as (
            select account_id, subject, pool_id, pool_name, pool_healthy, origin_name, origin_healthy, count(*) as events
            from health_event
            where occurred_at >= $1 and occurred_at < $2
            group by account_id, subject, pool_id, pool_name, pool_healthy, origin_name, origin_healthy
        ), by_kind as (
            insert into event_tally as t (
                account_id, day, subject, pool_id, pool_name, pool_healthy, origin_name, origin_healthy, events
            )
            select account_id, ($1 at time zone 'UTC')::date, subject, pool_id, pool_name, pool_healthy, origin_name, origin_healthy, events
            from counted
            on conflict on constraint event_tally_key do update set events = t.events + excluded.events
        )
        insert into event_day as t (account_id, day, subject, pool_healthy, origin_healthy, events)
        select account_id, ($1 at time zone 'UTC')::date, subject, pool_healthy, origin_healthy, sum(events)
        from counted
        group by account_id, subject, pool_healthy, origin_healthy
        on conflict on constraint event_day_key do update set events = t.events + excluded.events
        "#,
        from as _,
        to as _
    )
    .execute(op.conn())
    .await?;
    Ok(())
}

/// Forgets the counts of a day.
async fn uncount(op: &mut Operator, day: jiff_sqlx::Timestamp) -> Result<(), Error> {
    sqlx::query!("delete from event_tally where day = ($1::timestamptz at time zone 'UTC')::date", day as _).execute(op.conn()).await?;
    sqlx::query!("delete from event_day where day = ($1::timestamptz at time zone 'UTC')::date", day as _).execute(op.conn()).await?;
    Ok(())
}

/// Days that are not kept any more.
pub(super) async fn forget(op: &mut Operator, retain_days: u16) -> Result<(), Error> {
    let days = i32::from(retain_days);
    sqlx::query!("delete from event_tally where day < (now() at time zone 'UTC')::date - $1::integer", days).execute(op.conn()).await?;
    sqlx::query!("delete from event_day where day < (now() at time zone 'UTC')::date - $1::integer", days).execute(op.conn()).await?;
    Ok(())
}
