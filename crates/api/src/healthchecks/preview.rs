//! `…/healthchecks/preview`: a health check that is asked once and not kept.

use std::collections::BTreeSet;

use quorate_core::healthcheck::HealthcheckStatus;
use quorate_core::ids::HealthcheckId;
use quorate_core::region::Region;
use quorate_core::vote::Published;
use quorate_store::healthchecks::{self, Standing};
use quorate_store::previews::{self, healthcheck as stored};
use quorate_store::worker_tokens;

use super::wire::{self, HealthcheckBody};
use crate::accounts::limits;
use crate::answer::{Answer, Deleted};
use crate::auth::{Edit, InZone, Read};
use crate::envelope::Envelope;
use crate::error::ApiError;
use crate::extract::{Body, Id};

const NOT_FOUND: ApiError = ApiError::NotFound { resource: "health check preview" };

/// Asks at once, and answers with the health check as it stands before the first answer.
pub(crate) async fn create(place: InZone<Edit>, body: Body) -> Answer<HealthcheckBody> {
    let (mut db, zone) = place.begin().await?;
    let minimum = limits(&mut db, zone.account_id).await?.minimum_monitor_interval;
    let settings = wire::read(body.object()?, None, minimum)?;
    wire::refuse_redacted(&settings, &place)?;
    let default_region = healthchecks::region_of_choice(&mut db).await?;
    let registered = worker_tokens::registered_pops(&mut db).await?;
    let staffed: BTreeSet<Region> = registered.iter().map(|pop| pop.region).collect();
    let made = stored::create(&mut db, zone.account_id, zone.id, settings, default_region, |region| staffed.contains(&region)).await?;
    db.commit().await?;
    Ok(Envelope::of(HealthcheckBody::of(made, Standing::of_new(false), &place)))
}

/// With what has been seen: `unknown` until every region has answered, or will not.
pub(crate) async fn show(place: InZone<Read>, Id(id): Id<HealthcheckId>) -> Answer<HealthcheckBody> {
    let (mut db, zone) = place.begin().await?;
    let (healthcheck, preview) = stored::find(&mut db, zone.account_id, zone.id, id).await?.ok_or(NOT_FOUND)?;
    let standing = standing(&preview);
    Ok(Envelope::of(HealthcheckBody::of(healthcheck, standing, &place)))
}

fn standing(preview: &previews::Preview) -> Standing {
    let Some(pool) = preview.pools.first() else { return Standing::of_new(false) };
    let outcome = pool.outcome(|region| preview.answer(pool.id, region));
    let Some(origin) = outcome.origins.first().filter(|_| outcome.finished) else { return Standing::of_new(false) };
    let verdict = match origin.healthy {
        Some(true) => Published::Up,
        Some(false) => Published::Down,
        None => Published::Unknown,
    };
    Standing { status: HealthcheckStatus::of(false, verdict), reason: origin.reason, response_code: origin.response_code }
}

pub(crate) async fn delete(place: InZone<Edit>, Id(id): Id<HealthcheckId>) -> Answer<Deleted<HealthcheckId>> {
    let (mut db, zone) = place.begin().await?;
    if !stored::delete(&mut db, zone.account_id, zone.id, id).await? {
        return Err(NOT_FOUND);
    }
    db.commit().await?;
    Ok(Envelope::of(Deleted { id }))
}
