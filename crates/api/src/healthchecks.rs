//! `/zones/{zone_id}/healthchecks`: single addresses, probed and decided without a pool.

mod events;
mod preview;
mod quorum;
mod wire;

use quorate_core::healthcheck::{Healthcheck, HealthcheckSettings};
use quorate_core::ids::HealthcheckId;
use quorate_store::healthchecks::{self, Standing};
use quorate_store::{Tenant, worker_tokens};

use crate::accounts::limits;
use crate::answer::{Answer, Deleted};
use crate::auth::{Edit, InZone, Read};
use crate::body::Told;
use crate::envelope::Envelope;
use crate::error::ApiError;
use crate::extract::{Body, Id};
use crate::page::Page;
use crate::pools::no_workers;
use wire::HealthcheckBody;

pub(crate) use events::list as events;
pub(crate) use preview::{create as create_preview, delete as delete_preview, show as show_preview};
pub(crate) use quorum::show as quorum;

/// Version 4 of the Terraform provider knows by the first words alone that a health check is gone, and makes it anew.
const NOT_FOUND: ApiError = ApiError::NotFound { resource: "object does not exist: health check" };

/// What a body may hold.
pub(crate) fn told() -> Told {
    wire::told()
}

/// Items of a page where none is asked for.
const PER_PAGE: u64 = 25;

pub(crate) async fn list(place: InZone<Read>, page: Page) -> Answer<Vec<HealthcheckBody>> {
    let (mut db, zone) = place.begin().await?;
    let (offset, limit) = page.window(PER_PAGE);
    let (found, total) = healthchecks::list(&mut db, zone.account_id, zone.id, offset, limit).await?;
    let standings = healthchecks::standings(&mut db, zone.account_id, &found).await?;
    let body = |healthcheck: Healthcheck| {
        let new = Standing::of_new(healthcheck.settings.suspended);
        let standing = standings.get(&healthcheck.check_id).copied().unwrap_or(new);
        HealthcheckBody::of(healthcheck, standing, &place)
    };
    Ok(page.told(found.into_iter().map(body).collect(), limit.into(), total))
}

pub(crate) async fn create(place: InZone<Edit>, body: Body) -> Answer<HealthcheckBody> {
    let (mut db, zone) = place.begin().await?;
    let minimum = limits(&mut db, zone.account_id).await?.minimum_monitor_interval;
    let settings = wire::read(body.object()?, None, minimum)?;
    wire::refuse_redacted(&settings, &place)?;
    let made = healthchecks::create(&mut db, zone.account_id, zone.id, &settings).await?;
    written(db, made, &place).await
}

pub(crate) async fn show(place: InZone<Read>, Id(id): Id<HealthcheckId>) -> Answer<HealthcheckBody> {
    let (mut db, zone) = place.begin().await?;
    let found = healthchecks::find(&mut db, zone.account_id, zone.id, id).await?.ok_or(NOT_FOUND)?;
    standing(&mut db, found, &place).await.map(Envelope::of)
}

pub(crate) async fn replace(place: InZone<Edit>, id: Id<HealthcheckId>, body: Body) -> Answer<HealthcheckBody> {
    write(place, id, body, |_| None).await
}

pub(crate) async fn patch(place: InZone<Edit>, id: Id<HealthcheckId>, body: Body) -> Answer<HealthcheckBody> {
    write(place, id, body, |stored| Some(&stored.settings)).await
}

async fn write(
    place: InZone<Edit>,
    Id(id): Id<HealthcheckId>,
    body: Body,
    base: impl Fn(&Healthcheck) -> Option<&HealthcheckSettings>,
) -> Answer<HealthcheckBody> {
    let (mut db, zone) = place.begin().await?;
    let stored = healthchecks::find_for_update(&mut db, zone.account_id, zone.id, id).await?.ok_or(NOT_FOUND)?;
    let minimum = limits(&mut db, zone.account_id).await?.minimum_monitor_interval;
    let settings = wire::read(body.object()?, base(&stored), minimum)?;
    wire::refuse_redacted(&settings, &place)?;
    let made = healthchecks::replace(&mut db, zone.account_id, zone.id, id, &settings).await?.ok_or(NOT_FOUND)?;
    written(db, made, &place).await
}

pub(crate) async fn delete(place: InZone<Edit>, Id(id): Id<HealthcheckId>) -> Answer<Deleted<HealthcheckId>> {
    let (mut db, zone) = place.begin().await?;
    if !healthchecks::delete(&mut db, zone.account_id, zone.id, id).await? {
        return Err(NOT_FOUND);
    }
    db.commit().await?;
    Ok(Envelope::of(Deleted { id }))
}

async fn standing<A>(db: &mut Tenant, healthcheck: Healthcheck, place: &InZone<A>) -> Result<HealthcheckBody, ApiError> {
    let standings = healthchecks::standings(db, healthcheck.account_id, std::slice::from_ref(&healthcheck)).await?;
    let new = Standing::of_new(healthcheck.settings.suspended);
    let standing = standings.get(&healthcheck.check_id).copied().unwrap_or(new);
    Ok(HealthcheckBody::of(healthcheck, standing, place))
}

/// Commits, and answers with a remark where a chosen region has no workers.
async fn written(mut db: Tenant, healthcheck: Healthcheck, place: &InZone<Edit>) -> Answer<HealthcheckBody> {
    let registered = worker_tokens::registered_pops(&mut db).await?;
    let regions = healthcheck.settings.regions(healthcheck.default_region);
    let answer = Envelope::of(standing(&mut db, healthcheck, place).await?);
    db.commit().await?;
    Ok(no_workers(answer, &regions, &registered, wire::code))
}
