//! `/accounts/{account_id}/load_balancers/pools`: origins that answer together.

mod health;
pub(crate) mod quorum;
mod wire;

use quorate_core::electorate::CheckRegions;
use quorate_core::ids::{self, AccountId, MonitorId, PoolId};
use quorate_core::pool::{CheckRegionsSetting, OriginSettings, Pool, PoolSettings};
use quorate_core::pop::Pop;
use quorate_core::region::Region;
use quorate_core::validate::PoolRules;
use quorate_store::accounts::Limits;
use quorate_store::{Tenant, pools, worker_tokens, zones};

use crate::accounts::{enabled, limits};
use crate::answer::{Answer, Deleted};
use crate::auth::{Edit, InAccount, Read};
use crate::body::{self, Fields, Object, Told, one_of};
use crate::envelope::Envelope;
use crate::error::ApiError;
use crate::extract::{Body, Id, Params};
use crate::openapi::Query;
use crate::page::Page;
use wire::PoolBody;

pub(crate) use health::show as health;

pub(crate) const NOT_FOUND: ApiError = ApiError::NotFound { resource: "pool" };

/// Code of the remark that a chosen region has no workers.
const NO_WORKERS: u32 = 1100;

/// What a body may hold.
pub(crate) fn told() -> Told {
    wire::told()
}

pub(crate) fn query() -> Vec<Query> {
    vec![Query::new("monitor", "Only pools with this monitor.", ids::schema())]
}

pub(crate) async fn list(place: InAccount<Read>, params: Params, page: Page) -> Answer<Vec<PoolBody>> {
    let monitor: Option<MonitorId> = params.parsed("monitor", "an identifier of 32 lower-case hexadecimal characters")?;
    let found = pools::read_list(&place.reader(), place.account, monitor).await?;
    Ok(page.cut(found.into_iter().map(PoolBody::from).collect()))
}

pub(crate) async fn create(place: InAccount<Edit>, body: Body) -> Answer<PoolBody> {
    let mut db = place.begin().await?;
    let account = enabled(&mut db, place.account).await?;
    let settings = settings(&mut db, place.account, account.limits, body.object()?, None, &[]).await?;
    let pool = pools::create(&mut db, place.account, &settings).await?;
    written(db, pool).await
}

pub(crate) async fn show(place: InAccount<Read>, Id(id): Id<PoolId>) -> Answer<PoolBody> {
    let pool = pools::read(&place.reader(), place.account, id).await?.ok_or(NOT_FOUND)?;
    Ok(Envelope::of(pool.into()))
}

pub(crate) async fn replace(place: InAccount<Edit>, id: Id<PoolId>, body: Body) -> Answer<PoolBody> {
    write(place, id, body, |_| None).await
}

pub(crate) async fn patch(place: InAccount<Edit>, id: Id<PoolId>, body: Body) -> Answer<PoolBody> {
    write(place, id, body, |stored| Some(&stored.settings)).await
}

async fn write(place: InAccount<Edit>, Id(id): Id<PoolId>, body: Body, base: impl Fn(&Pool) -> Option<&PoolSettings>) -> Answer<PoolBody> {
    let mut db = place.begin().await?;
    let stored = pools::find_for_update(&mut db, place.account, id).await?.ok_or(NOT_FOUND)?;
    let limits = limits(&mut db, place.account).await?;
    let settings = settings(&mut db, place.account, limits, body.object()?, base(&stored), &stored.settings.origins).await?;
    let pool = pools::replace(&mut db, place.account, id, &settings).await?.ok_or(NOT_FOUND)?;
    written(db, pool).await
}

fn change_of_all(fields: &mut Fields<'_>) {
    fields.required("notification_email", None, one_of(&[""]));
}

/// What a body may hold that changes all pools.
pub(crate) fn told_of_all() -> Told {
    body::told("AllPools", change_of_all)
}

/// All pools of the account at once. The one thing that can be changed so is the old list of addresses for notices:
/// it can be emptied.
pub(crate) async fn patch_all(place: InAccount<Edit>, page: Page, body: Body) -> Answer<Vec<PoolBody>> {
    let mut db = place.begin().await?;
    body::read(body.object()?, change_of_all, |()| Vec::new())?;
    pools::clear_notification_email(&mut db, place.account).await?;
    let all = pools::list(&mut db, place.account, None).await?;
    db.commit().await?;
    Ok(page.cut(all.into_iter().map(PoolBody::from).collect()))
}

pub(crate) async fn delete(place: InAccount<Edit>, Id(id): Id<PoolId>) -> Answer<Deleted<PoolId>> {
    let mut db = place.begin().await?;
    if !pools::delete(&mut db, place.account, id).await? {
        return Err(NOT_FOUND);
    }
    db.commit().await?;
    Ok(Envelope::of(Deleted { id }))
}

/// The settings that a body asks for; `stored` under a PATCH, `origins` that the pool has.
async fn settings(
    db: &mut Tenant,
    account: AccountId,
    limits: Limits,
    body: Object,
    stored: Option<&PoolSettings>,
    origins: &[OriginSettings],
) -> Result<PoolSettings, ApiError> {
    let zones: Vec<String> = zones::list(db).await?.into_iter().filter(|zone| zone.account_id == account).map(|zone| zone.name).collect();
    wire::read(body, stored, PoolRules { max_origins: limits.max_origins_per_pool, zones: &zones, stored: origins })
}

/// Commits, and answers with a remark where a chosen region has no workers.
async fn written(mut db: Tenant, pool: Pool) -> Answer<PoolBody> {
    let registered = worker_tokens::registered_pops(&mut db).await?;
    db.commit().await?;
    let regions = pool.settings.check_regions.clone();
    Ok(no_workers(Envelope::of(pool.into()), &regions, &registered, Region::code))
}

/// Says of which chosen regions no worker is registered, under the names that `name` gives them.
pub(crate) fn no_workers<T>(
    answer: Envelope<T>,
    regions: &CheckRegionsSetting,
    registered: &[Pop],
    name: impl Fn(Region) -> &'static str,
) -> Envelope<T> {
    let CheckRegions::Regions(mut chosen) = regions.meaning() else { return answer };
    chosen.retain(|region| registered.iter().all(|pop| pop.region != *region));
    if chosen.is_empty() {
        return answer;
    }
    let codes: Vec<&str> = chosen.into_iter().map(name).collect();
    answer.saying(NO_WORKERS, format!("No workers are registered in {}: such a region counts and cannot vote.", codes.join(", ")))
}
