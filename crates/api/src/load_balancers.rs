//! `/zones/{zone_id}/load_balancers`: names that pools answer for.

mod shapes;
mod wire;

use quorate_core::ids::{AccountId, LoadBalancerId, PoolId};
use quorate_core::load_balancer::{LoadBalancer, LoadBalancerSettings, PoolReference};
use quorate_core::validate::FieldError;
use quorate_store::{Tenant, load_balancers, pools};

use crate::accounts::enabled;
use crate::answer::{Answer, Deleted};
use crate::auth::{Edit, InZone, Read};
use crate::body::{PROBLEMS_MAX, Told};
use crate::envelope::Envelope;
use crate::error::ApiError;
use crate::extract::{Body, Id};
use crate::page::Page;
use wire::LoadBalancerBody;

const NOT_FOUND: ApiError = ApiError::NotFound { resource: "load balancer" };

/// What a body may hold.
pub(crate) fn told() -> Told {
    wire::told()
}

pub(crate) async fn list(place: InZone<Read>, page: Page) -> Answer<Vec<LoadBalancerBody>> {
    let (mut db, zone) = place.begin().await?;
    let found = load_balancers::list(&mut db, zone.id).await?;
    Ok(page.cut(found.into_iter().map(LoadBalancerBody::from).collect()))
}

pub(crate) async fn create(place: InZone<Edit>, body: Body) -> Answer<LoadBalancerBody> {
    let (mut db, zone) = place.begin().await?;
    enabled(&mut db, zone.account_id).await?;
    if !zone.load_balancing_enabled {
        return Err(ApiError::NotEnabled { place: "zone" });
    }
    let settings = wire::read(body.object()?, None, Some(&zone.name))?;
    pools_exist(&mut db, zone.account_id, &settings).await?;
    let made = load_balancers::create(&mut db, zone.account_id, zone.id, &settings).await?;
    db.commit().await?;
    Ok(Envelope::of(made.into()))
}

pub(crate) async fn show(place: InZone<Read>, Id(id): Id<LoadBalancerId>) -> Answer<LoadBalancerBody> {
    let (mut db, zone) = place.begin().await?;
    let found = load_balancers::find(&mut db, zone.id, id).await?.ok_or(NOT_FOUND)?;
    Ok(Envelope::of(found.into()))
}

pub(crate) async fn replace(place: InZone<Edit>, id: Id<LoadBalancerId>, body: Body) -> Answer<LoadBalancerBody> {
    write(place, id, body, |_| None).await
}

pub(crate) async fn patch(place: InZone<Edit>, id: Id<LoadBalancerId>, body: Body) -> Answer<LoadBalancerBody> {
    write(place, id, body, |stored| Some(&stored.settings)).await
}

async fn write(
    place: InZone<Edit>,
    Id(id): Id<LoadBalancerId>,
    body: Body,
    base: impl Fn(&LoadBalancer) -> Option<&LoadBalancerSettings>,
) -> Answer<LoadBalancerBody> {
    let (mut db, zone) = place.begin().await?;
    let stored = load_balancers::find_for_update(&mut db, zone.id, id).await?.ok_or(NOT_FOUND)?;
    let settings = wire::read(body.object()?, base(&stored), Some(&zone.name))?;
    pools_exist(&mut db, zone.account_id, &settings).await?;
    let made = load_balancers::replace(&mut db, zone.id, id, &settings).await?.ok_or(NOT_FOUND)?;
    db.commit().await?;
    Ok(Envelope::of(made.into()))
}

pub(crate) async fn delete(place: InZone<Edit>, Id(id): Id<LoadBalancerId>) -> Answer<Deleted<LoadBalancerId>> {
    let (mut db, zone) = place.begin().await?;
    if !load_balancers::delete(&mut db, zone.id, id).await? {
        return Err(NOT_FOUND);
    }
    db.commit().await?;
    Ok(Envelope::of(Deleted { id }))
}

/// Every pool that the settings name must be the account's: one error a place.
async fn pools_exist(db: &mut Tenant, account: AccountId, settings: &LoadBalancerSettings) -> Result<(), ApiError> {
    let references = settings.pool_references();
    let mut named: Vec<PoolId> = references.iter().map(|reference| reference.pool).collect();
    named.sort_unstable();
    named.dedup();
    let missing = pools::missing(db, account, &named).await?;
    let absent = references.iter().filter(|reference| missing.contains(&reference.pool));
    let problems: Vec<FieldError> = absent.map(no_such_pool).take(PROBLEMS_MAX).collect();
    if problems.is_empty() { Ok(()) } else { Err(ApiError::Invalid(problems)) }
}

fn no_such_pool(reference: &PoolReference) -> FieldError {
    let PoolReference { pool, place } = reference;
    let pointer = format!("/{}", place.replace(['.', '['], "/").replace(']', ""));
    FieldError::new(pointer, format!("{place} names pool {pool}, which does not exist"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_missing_pool_is_a_pointer_into_the_body() {
        let pool = PoolId::from_bytes([1; 16]);
        let pointer = |place: &str| no_such_pool(&PoolReference { pool, place: place.to_owned() }).pointer;
        assert_eq!(pointer("fallback_pool"), "/fallback_pool");
        assert_eq!(pointer("region_pools.WNAM"), "/region_pools/WNAM");
        assert_eq!(pointer("rules[0].overrides.region_pools.WNAM"), "/rules/0/overrides/region_pools/WNAM");
    }
}
