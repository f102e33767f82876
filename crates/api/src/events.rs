//! `/user/load_balancing_analytics/events`: verdicts that changed, with the evidence as it stood.

use std::borrow::Cow;

use jiff::Timestamp;
use quorate_core::event::{EventOrigin, EventPool, Subject};
use quorate_core::ids;
use quorate_store::Reader;
use quorate_store::events::{self, EventFilter, EventText};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::answer::Answer;
use crate::auth::{InAccount, Permitted, ReadEvents};
use crate::envelope::Time;
use crate::error::ApiError;
use crate::extract::Params;
use crate::openapi::Query;
use crate::page::{PER_PAGE_MAX, Page};

/// An event as it is stored, between its id and time: nothing of it is read on its way out.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct EventItem(Box<RawValue>);

/// A change of one origin's verdict, or of a pool's state by configuration.
#[derive(JsonSchema)]
#[schemars(rename = "EventItem")]
#[expect(dead_code, reason = "tells what is in an EventItem")]
struct EventShape {
    /// Unique, below 2^53, increasing with time.
    id: u64,
    timestamp: Time,
    pool: EventPool,
    /// All origins of the pool in order; `changed` on at most one, which carries its evidence.
    origins: Vec<EventOrigin>,
}

impl JsonSchema for EventItem {
    fn schema_name() -> Cow<'static, str> {
        EventShape::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        EventShape::json_schema(generator)
    }
}

impl EventItem {
    fn of(event: &EventText) -> Result<Self, ApiError> {
        let members = event.body.strip_prefix('{').unwrap_or_default();
        let text = format!("{{\"id\":{},\"timestamp\":\"{:.6}\",{members}", event.id, event.occurred_at);
        RawValue::from_string(text).map(Self).map_err(|problem| ApiError::Internal(Box::new(problem)))
    }
}

/// `since` and `until`.
pub(crate) fn period(params: &Params) -> Result<(Option<Timestamp>, Option<Timestamp>), ApiError> {
    let time = |name| {
        let time: Option<Timestamp> = params.parsed(name, "an RFC 3339 time such as 2026-01-01T00:00:00Z")?;
        // Nothing happened before the epoch, and the database's calendar is shorter than ours.
        Ok::<_, ApiError>(time.map(|time| time.max(Timestamp::UNIX_EPOCH)))
    };
    Ok((time("since")?, time("until")?))
}

/// The seven filters. An absent one filters nothing.
fn filter(params: &Params) -> Result<EventFilter, ApiError> {
    let (since, until) = period(params)?;
    let flag = |name| params.parsed::<bool>(name, "true or false");
    Ok(EventFilter {
        subject: Subject::Pool,
        since,
        until,
        pool_id: params.parsed("pool_id", "an identifier of 32 lower-case hexadecimal characters")?,
        pool_name: params.text("pool_name").map(str::to_owned),
        pool_healthy: flag("pool_healthy")?,
        origin_name: params.text("origin_name").map(str::to_owned),
        origin_healthy: flag("origin_healthy")?,
    })
}

/// The period, told.
pub(crate) fn period_query() -> Vec<Query> {
    let time = || json_schema!({"type": "string", "format": "date-time"});
    vec![Query::new("since", "From this instant on.", time()), Query::new("until", "Before this instant.", time())]
}

/// The filters, told.
pub(crate) fn query() -> Vec<Query> {
    let flag = || json_schema!({"type": "boolean"});
    let mut filters = period_query();
    filters.extend([
        Query::new("pool_id", "Only of this pool.", ids::schema()),
        Query::new("pool_name", "Only of the pool that had this name.", json_schema!({"type": "string"})),
        Query::new("pool_healthy", "Only where the pool was healthy after the change, or was not. Absent: both.", flag()),
        Query::new("origin_name", "Only where the origin of this name changed.", json_schema!({"type": "string"})),
        Query::new("origin_healthy", "Only where the changed origin was healthy after the change, or was not. Absent: both.", flag()),
    ]);
    filters
}

/// Every account that the token reads.
pub(crate) async fn of_token(caller: Permitted<ReadEvents>, params: Params, page: Page) -> Answer<Vec<EventItem>> {
    list(&caller.reader(), &params, page).await
}

/// One account.
pub(crate) async fn of_account(place: InAccount<ReadEvents>, params: Params, page: Page) -> Answer<Vec<EventItem>> {
    list(&place.reader(), &params, page).await
}

async fn list(db: &Reader, params: &Params, page: Page) -> Answer<Vec<EventItem>> {
    let (offset, limit) = page.window(PER_PAGE_MAX);
    let (found, total) = events::page(db, &filter(params)?, offset, limit).await?;
    let items = found.iter().map(EventItem::of).collect::<Result<_, ApiError>>()?;
    Ok(page.told(items, limit.into(), total))
}
