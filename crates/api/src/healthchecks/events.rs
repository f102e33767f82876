//! `…/healthchecks/{healthcheck_id}/events`: its verdicts that changed, with the evidence as it stood. Ours.

use quorate_core::event::Subject;
use quorate_core::evidence::Evidence;
use quorate_core::healthcheck::HealthcheckStatus;
use quorate_core::ids::HealthcheckId;
use quorate_core::vote::Published;
use quorate_store::events::{self, Event, EventFilter};
use quorate_store::healthchecks;
use schemars::JsonSchema;
use serde::Serialize;

use super::NOT_FOUND;
use crate::answer::Answer;
use crate::auth::{InZone, Read};
use crate::envelope::Time;
use crate::events::period;
use crate::extract::{Id, Params};
use crate::page::{PER_PAGE_MAX, Page};

/// A change of a health check's verdict, or of its suspension.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct HealthcheckEvent {
    /// Unique, below 2^53, increasing with time.
    id: u64,
    timestamp: Time,
    /// `healthy`, `unhealthy`, `unknown` or `suspended`, from then on.
    status: HealthcheckStatus,
    failure_reason: String,
    /// For programs; also the anchor of what it means in `docs/failure-reasons.md`.
    failure_code: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_code: Option<u16>,
    /// Who voted what; null where the verdict stayed.
    evidence: Option<Evidence>,
}

impl HealthcheckEvent {
    /// `None` for a body without its one origin, which nothing of ours writes.
    fn of(event: Event) -> Option<Self> {
        let is_judged = event.body.pool.healthy.is_some();
        let origin = event.body.origins.into_iter().next()?;
        let verdict = match origin.healthy {
            Some(true) => Published::Up,
            Some(false) => Published::Down,
            None => Published::Unknown,
        };
        Some(Self {
            id: event.id,
            timestamp: Time(event.occurred_at),
            status: HealthcheckStatus::of(!is_judged && verdict != Published::Unknown, verdict),
            failure_reason: origin.failure_reason,
            failure_code: origin.failure_code,
            response_code: origin.response_code,
            evidence: origin.evidence,
        })
    }
}

pub(crate) async fn list(place: InZone<Read>, Id(id): Id<HealthcheckId>, params: Params, page: Page) -> Answer<Vec<HealthcheckEvent>> {
    let (mut db, zone) = place.begin().await?;
    healthchecks::find(&mut db, zone.account_id, zone.id, id).await?.ok_or(NOT_FOUND)?;
    drop(db);
    let (since, until) = period(&params)?;
    let filter = EventFilter { subject: Subject::Healthcheck, since, until, pool_id: Some(id.pool()), ..EventFilter::default() };
    let (offset, limit) = page.window(PER_PAGE_MAX);
    let (found, total) = events::list(&place.reader(), &filter, offset, limit).await?;
    Ok(page.told(found.into_iter().filter_map(HealthcheckEvent::of).collect(), limit.into(), total))
}
