//! `…/healthchecks/{healthcheck_id}/quorum`: its verdict, explained, as for an origin of a pool. Ours.

use quorate_core::healthcheck::HealthcheckStatus;
use quorate_core::ids::HealthcheckId;
use quorate_core::vote::Published;
use quorate_store::{health, healthchecks, worker_tokens};
use schemars::JsonSchema;
use serde::Serialize;

use super::NOT_FOUND;
use crate::answer::Answer;
use crate::auth::{InZone, Read};
use crate::envelope::{Envelope, Time};
use crate::extract::Id;
use crate::pools::quorum::{OriginQuorum, origin_view};

/// A health check's verdict with its evidence. Regions have the names of load balancing in it: `SAS`, not `IN`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct HealthcheckQuorum {
    id: HealthcheckId,
    /// `unknown` before the first majority, `healthy`, `unhealthy` or `suspended`.
    status: HealthcheckStatus,
    /// Since when missing votes make a majority impossible; null while it is possible.
    quorum_lost_since: Option<Time>,
    #[serde(flatten)]
    verdict: OriginQuorum,
}

pub(crate) async fn show(place: InZone<Read>, Id(id): Id<HealthcheckId>) -> Answer<HealthcheckQuorum> {
    let (mut db, zone) = place.begin().await?;
    let healthcheck = healthchecks::find(&mut db, zone.account_id, zone.id, id).await?.ok_or(NOT_FOUND)?;
    let pool = healthcheck.pool();
    let health = health::of_pool(&mut db, zone.account_id, pool.id).await?.ok_or(NOT_FOUND)?;
    let pops = worker_tokens::pops(&mut db).await?;
    let origin = pool.origins.first().ok_or(NOT_FOUND)?;
    let check = health.checks.iter().find(|check| check.check_id == origin.check_id);
    let published = check.map_or(Published::Unknown, |check| check.verdict);
    Ok(Envelope::of(HealthcheckQuorum {
        id,
        status: HealthcheckStatus::of(healthcheck.settings.suspended, published),
        quorum_lost_since: health.quorum_lost_since.map(Time),
        verdict: origin_view(origin, check, &pops),
    }))
}
