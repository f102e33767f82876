//! A page of events with its total, put together from the conditions that are asked for: which of them stand in the
//! statement decides by which index it is read, and a day that is written out, rather than given, lets the server plan for
//! the partitions of that day on and leave ninety others alone.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff_sqlx::ToSqlx;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Postgres, QueryBuilder, Row};

use super::{EventFilter, EventText};
use crate::error::Error;
use crate::reader::Reader;
use crate::row::{Place, big};

/// Pages further back than this many events are empty.
const OFFSET_MAX: u64 = 1 << 40;
/// What is asked for, in the form of parameters.
struct Asked<'a> {
    accounts: Vec<Vec<u8>>,
    filter: &'a EventFilter,
    offset: i64,
    limit: i64,
}

/// Whole days, both inclusive; without a first one there is no begin, without a last one there is none.
#[derive(Clone, Copy)]
struct Days {
    first: Option<Date>,
    last: Option<Date>,
}

/// The answer to the statement that counts.
struct First {
    /// Exclusive: events before it are counted.
    tallied_until: Timestamp,
    total: u64,
    events: Vec<EventText>,
}

pub(super) async fn page(db: &Reader, filter: &EventFilter, offset: u64, limit: u32) -> Result<(Vec<EventText>, u64), Error> {
    let accounts = db.accounts().iter().map(|id| id.as_bytes().to_vec()).collect();
    let asked = Asked { accounts, filter, offset: big(offset.min(OFFSET_MAX)), limit: limit.into() };
    let mut session = db.session_for_events().await?;
    let mut until = match db.tallied().get() {
        Some(until) => until,
        None => tallied_until(session.conn()).await?,
    };
    let first = loop {
        let first = asked.first(session.conn(), until).await?;
        // Once an hour more was counted in between.
        if first.tallied_until == until {
            break first;
        }
        until = first.tallied_until;
    };
    db.tallied().set(until);
    let shown = first.events.len() as u64;
    let events = if shown < u64::from(limit) && first.total > offset + shown {
        // The rest lies before the days that were looked at.
        let from = asked.reach(session.conn(), until).await?;
        asked.since(session.conn(), from).await?
    } else {
        first.events
    };
    session.ended();
    Ok((events, first.total))
}

async fn tallied_until(conn: &mut PgConnection) -> Result<Timestamp, Error> {
    let until = sqlx::query_scalar!(r#"select tallied_until as "until: jiff_sqlx::Timestamp" from event_tally_end"#).fetch_one(conn);
    Ok(until.await?.to_jiff())
}

impl Asked<'_> {
    /// The total, where events before `until` are counted; and of the page what happened on that day, the day before it, and
    /// after them.
    async fn first(&self, conn: &mut PgConnection, until: Timestamp) -> Result<First, Error> {
        let mut query = self.scoped("select c.tallied_until, c.total, e.event_id, e.occurred_at, e.body");
        query.push(" cross join lateral (select t.tallied_until, 0::bigint");
        self.totals(&mut query, until);
        query.push(" as total from event_tally_end as t where t.only_row and s.accounts is not null offset 0) as c left join lateral (");
        let from = begin_of(day(until).yesterday().unwrap_or(Date::MIN));
        self.events(&mut query, self.is_beyond(from).then_some(from));
        query.push(") as e on true order by e.occurred_at desc, e.event_id desc");
        let rows = query.build().fetch_all(conn).await?;
        let [front, ..] = rows.as_slice() else { return Err(Error::Schema("event_tally_end is empty".to_owned())) };
        let tallied: jiff_sqlx::Timestamp = front.try_get("tallied_until")?;
        let total: i64 = front.try_get("total")?;
        let events = rows.iter().map(event).filter_map(Result::transpose).collect::<Result<_, Error>>()?;
        Ok(First { tallied_until: tallied.to_jiff(), total: u64::try_from(total).unwrap_or(0), events })
    }

    /// The last day from whose begin on the page is full, by what was counted of whole days of the period; `None` where they
    /// do not fill it.
    async fn reach(&self, conn: &mut PgConnection, until: Timestamp) -> Result<Option<Timestamp>, Error> {
        let mut query = self.scoped("select r.day");
        query.push(" cross join lateral (select d.day, sum(sum(d.events)) over (order by d.day desc) as reached");
        let Days { first, last } = self.whole_days(until);
        // Of a day that the period cuts, more may have been counted by now.
        let last = last.into_iter().chain(self.filter.until.and_then(|end| day(end).yesterday().ok())).min();
        self.counts(&mut query, Days { first, last });
        query
            .push(" and s.accounts is not null group by d.day) as r where r.reached >= ")
            .push_bind(self.offset.saturating_add(self.limit));
        query.push(" order by r.day desc limit 1");
        let row = query.build().fetch_optional(conn).await?;
        let day = row.map(|row| row.try_get::<jiff_sqlx::Date, _>("day")).transpose()?;
        Ok(day.map(|day| begin_of(day.to_jiff())))
    }

    /// The page, where it lies from an instant on, or wherever it lies.
    async fn since(&self, conn: &mut PgConnection, from: Option<Timestamp>) -> Result<Vec<EventText>, Error> {
        let mut query = self.scoped("select e.event_id, e.occurred_at, e.body");
        query.push(" cross join lateral (");
        self.events(&mut query, from);
        query.push(") as e order by e.occurred_at desc, e.event_id desc");
        // Where a day stands in it, it is one of very many, and would push others out of those that are kept prepared.
        let rows = query.build().persistent(from.is_none()).fetch_all(conn).await?;
        rows.iter().map(event).filter_map(Result::transpose).collect()
    }

    /// A statement that says for whom it is, as [`Reader`]s do.
    fn scoped(&self, select: &str) -> QueryBuilder<Postgres> {
        let mut query = QueryBuilder::new(select);
        query.push(" from (select set_config('quorate.accounts', ").push_bind(self.accounts.clone());
        query.push("::bytea[]::text, true) as accounts offset 0) as s");
        query
    }

    /// Whether the period reaches beyond an instant.
    fn is_beyond(&self, instant: Timestamp) -> bool {
        self.filter.until.is_none_or(|end| end > instant)
    }

    /// The days that are counted and lie in the period as a whole; the day of `until` is counted up to there.
    fn whole_days(&self, until: Timestamp) -> Days {
        let EventFilter { since, until: end, .. } = *self.filter;
        let first = since.map(|since| if begin_of(day(since)) == since { day(since) } else { day(since).tomorrow().unwrap_or(Date::MAX) });
        let last = if self.is_beyond(until) { Some(day(until)) } else { end.and_then(|end| day(end).yesterday().ok()) };
        Days { first, last }
    }

    /// The counts `d` of these days, from the table that has those of what is asked for.
    fn counts(&self, query: &mut QueryBuilder<Postgres>, days: Days) {
        let table = if self.names_nothing() { "event_day" } else { "event_tally" };
        query.push(format_args!(" from {table} as d where d.account_id = any (")).push_bind(self.accounts.clone()).push(")");
        self.conditions(query, "d");
        if let Some(first) = days.first {
            query.push(" and d.day >= ").push_bind(first.to_sqlx());
        }
        if let Some(last) = days.last {
            query.push(" and d.day <= ").push_bind(last.to_sqlx());
        }
    }

    /// The sum over the days that are counted and lie in the period as a whole, and the events of what is left of it at
    /// both ends: each as `+ (select …)`.
    fn totals(&self, query: &mut QueryBuilder<Postgres>, until: Timestamp) {
        let EventFilter { since, until: end, .. } = *self.filter;
        let is_recent = self.is_beyond(until);
        let Days { first: from_day, last: last_day } = self.whole_days(until);
        if last_day.is_none() || from_day > last_day {
            let recent = Some(begin_of(day(until))).filter(|recent| since >= Some(*recent));
            self.count(query, recent, since, end);
            return;
        }
        query.push(" + (select coalesce(sum(d.events), 0)::bigint");
        self.counts(query, Days { first: from_day, last: last_day });
        query.push(")");
        if let (Some(since), Some(from_day)) = (since, from_day)
            && begin_of(from_day) > since
        {
            self.count(query, None, Some(since), Some(begin_of(from_day)));
        }
        if is_recent {
            self.count(query, Some(until), None, end);
        } else if let Some(end) = end.filter(|end| *end > begin_of(day(*end))) {
            self.count(query, None, Some(begin_of(day(end))), Some(end));
        }
    }

    /// Events counted one by one; `from` is written out, and nothing before it is meant.
    fn count(&self, query: &mut QueryBuilder<Postgres>, from: Option<Timestamp>, since: Option<Timestamp>, end: Option<Timestamp>) {
        query.push(" + (select count(*) from health_event as h where h.account_id = any (").push_bind(self.accounts.clone()).push(")");
        written(query, from);
        period(query, since, end);
        self.conditions(query, "h");
        query.push(")");
    }

    /// The page's events from `from` on; each account by itself, so that each is read in order.
    fn events(&self, query: &mut QueryBuilder<Postgres>, from: Option<Timestamp>) {
        query.push("select p.event_id, p.occurred_at, p.body from unnest(").push_bind(self.accounts.clone());
        query.push("::bytea[]) as a (account_id) cross join lateral (select h.event_id, h.occurred_at, h.body::text as body");
        query.push(" from health_event as h where h.account_id = a.account_id");
        written(query, from);
        period(query, self.filter.since, self.filter.until);
        self.conditions(query, "h");
        query.push(" order by h.occurred_at desc, h.event_id desc limit ").push_bind(self.offset.saturating_add(self.limit));
        query.push(") as p where s.accounts is not null order by p.occurred_at desc, p.event_id desc offset ").push_bind(self.offset);
        query.push(" limit ").push_bind(self.limit);
    }

    /// Whether neither a pool nor an origin is asked for.
    fn names_nothing(&self) -> bool {
        let EventFilter { subject: _, since: _, until: _, pool_id, pool_name, pool_healthy: _, origin_name, origin_healthy: _ } =
            self.filter;
        pool_id.is_none() && pool_name.is_none() && origin_name.is_none()
    }

    /// What holds of each event, and of each count of events.
    fn conditions(&self, query: &mut QueryBuilder<Postgres>, of: &str) {
        let EventFilter { subject, since: _, until: _, pool_id, pool_name, pool_healthy, origin_name, origin_healthy } = self.filter;
        query.push(format_args!(" and {of}.subject = ")).push_bind(subject.name());
        if let Some(id) = pool_id {
            query.push(format_args!(" and {of}.pool_id = ")).push_bind(id.as_bytes().to_vec());
        }
        if let Some(name) = pool_name {
            query.push(format_args!(" and {of}.pool_name = ")).push_bind(name.clone());
        }
        if let Some(healthy) = *pool_healthy {
            query.push(format_args!(" and {of}.pool_healthy = {healthy}"));
        }
        if let Some(name) = origin_name {
            query.push(format_args!(" and {of}.origin_name = ")).push_bind(name.clone());
        }
        if let Some(healthy) = *origin_healthy {
            query.push(format_args!(" and {of}.origin_healthy = {healthy}"));
        }
    }
}

/// From an instant on, which the server knows when it plans.
fn written(query: &mut QueryBuilder<Postgres>, from: Option<Timestamp>) {
    if let Some(from) = from {
        query.push(format_args!(" and h.occurred_at >= timestamptz '{from}'"));
    }
}

/// From `since` on and before `end`.
fn period(query: &mut QueryBuilder<Postgres>, since: Option<Timestamp>, end: Option<Timestamp>) {
    if let Some(since) = since {
        query.push(" and h.occurred_at >= ").push_bind(since.to_sqlx());
    }
    if let Some(end) = end {
        query.push(" and h.occurred_at < ").push_bind(end.to_sqlx());
    }
}

/// The event of a row; `None` beside a page without events.
fn event(row: &PgRow) -> Result<Option<EventText>, Error> {
    let Some(id) = row.try_get::<Option<i64>, _>("event_id")? else { return Ok(None) };
    let place = Place { table: "health_event", key: &id.to_be_bytes() };
    Ok(Some(EventText {
        id: place.number("event_id", id)?,
        occurred_at: row.try_get::<jiff_sqlx::Timestamp, _>("occurred_at")?.to_jiff(),
        body: row.try_get("body")?,
    }))
}

/// In UTC.
fn day(instant: Timestamp) -> Date {
    instant.to_zoned(TimeZone::UTC).date()
}

/// In UTC.
fn begin_of(day: Date) -> Timestamp {
    TimeZone::UTC.to_timestamp(day.into()).unwrap_or(if day.year() < 0 { Timestamp::MIN } else { Timestamp::MAX })
}
