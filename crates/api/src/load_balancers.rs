//! `/zones/{zone_id}/load_balancers` and `/accounts/{account_id}/load_balancers`: names that pools answer for. A zone's
//! have names in it; an account's own are for its inner use, and their names need not be domains of it.

mod shapes;
mod wire;

use quorate_core::ids::{AccountId, LoadBalancerId, PoolId, ZoneId};
use quorate_core::load_balancer::{LoadBalancer, LoadBalancerSettings, PoolReference};
use quorate_core::validate::FieldError;
use quorate_store::zones::Zone;
use quorate_store::{Tenant, load_balancers, pools};

use crate::accounts::enabled;
use crate::answer::{Answer, Deleted};
use crate::auth::{Access, InAccount, InZone};
use crate::body::{PROBLEMS_MAX, Told};
use crate::envelope::Envelope;
use crate::error::ApiError;
use crate::extract::{Body, Id};
use crate::openapi::Part;
use crate::page::Page;
use wire::LoadBalancerBody;

const NOT_FOUND: ApiError = ApiError::NotFound { resource: "load balancer" };

/// What a body may hold.
pub(crate) fn told() -> Told {
    wire::told()
}

/// Where load balancers are: a zone of the path, or the account itself.
pub(crate) trait Scope: Part + Send + Sync {
    /// Begins a transaction there.
    fn enter(&self) -> impl Future<Output = Result<(Tenant, Place), ApiError>> + Send;
}

#[derive(Debug)]
pub(crate) struct Place {
    account: AccountId,
    zone: Option<Zone>,
}

impl Place {
    fn zone_id(&self) -> Option<ZoneId> {
        self.zone.as_ref().map(|zone| zone.id)
    }

    fn zone_name(&self) -> Option<&str> {
        self.zone.as_ref().map(|zone| zone.name.as_str())
    }
}

impl<A: Access> Scope for InZone<A> {
    async fn enter(&self) -> Result<(Tenant, Place), ApiError> {
        let (db, zone) = self.begin().await?;
        Ok((db, Place { account: zone.account_id, zone: Some(zone) }))
    }
}

impl<A: Access> Scope for InAccount<A> {
    async fn enter(&self) -> Result<(Tenant, Place), ApiError> {
        Ok((self.begin().await?, Place { account: self.account, zone: None }))
    }
}

pub(crate) async fn list<S: Scope>(scope: S, page: Page) -> Answer<Vec<LoadBalancerBody>> {
    let (mut db, place) = scope.enter().await?;
    let found = load_balancers::list(&mut db, place.account, place.zone_id()).await?;
    Ok(page.cut(found.into_iter().map(LoadBalancerBody::from).collect()))
}

pub(crate) async fn create<S: Scope>(scope: S, body: Body) -> Answer<LoadBalancerBody> {
    let (mut db, place) = scope.enter().await?;
    enabled(&mut db, place.account).await?;
    if place.zone.as_ref().is_some_and(|zone| !zone.load_balancing_enabled) {
        return Err(ApiError::NotEnabled { place: "zone" });
    }
    let settings = wire::read(body.object()?, None, place.zone_name())?;
    pools_exist(&mut db, place.account, &settings).await?;
    let made = load_balancers::create(&mut db, place.account, place.zone_id(), &settings).await?;
    db.commit().await?;
    Ok(Envelope::of(made.into()))
}

pub(crate) async fn show<S: Scope>(scope: S, Id(id): Id<LoadBalancerId>) -> Answer<LoadBalancerBody> {
    let (mut db, place) = scope.enter().await?;
    let found = load_balancers::find(&mut db, place.account, place.zone_id(), id).await?.ok_or(NOT_FOUND)?;
    Ok(Envelope::of(found.into()))
}

pub(crate) async fn replace<S: Scope>(scope: S, id: Id<LoadBalancerId>, body: Body) -> Answer<LoadBalancerBody> {
    write(scope, id, body, |_| None).await
}

pub(crate) async fn patch<S: Scope>(scope: S, id: Id<LoadBalancerId>, body: Body) -> Answer<LoadBalancerBody> {
    write(scope, id, body, |stored| Some(&stored.settings)).await
}

async fn write(
    scope: impl Scope,
    Id(id): Id<LoadBalancerId>,
    body: Body,
    base: impl Fn(&LoadBalancer) -> Option<&LoadBalancerSettings>,
) -> Answer<LoadBalancerBody> {
    let (mut db, place) = scope.enter().await?;
    let (account, zone) = (place.account, place.zone_id());
    let stored = load_balancers::find_for_update(&mut db, account, zone, id).await?.ok_or(NOT_FOUND)?;
    let settings = wire::read(body.object()?, base(&stored), place.zone_name())?;
    pools_exist(&mut db, account, &settings).await?;
    let made = load_balancers::replace(&mut db, account, zone, id, &settings).await?.ok_or(NOT_FOUND)?;
    db.commit().await?;
    Ok(Envelope::of(made.into()))
}

pub(crate) async fn delete<S: Scope>(scope: S, Id(id): Id<LoadBalancerId>) -> Answer<Deleted<LoadBalancerId>> {
    let (mut db, place) = scope.enter().await?;
    if !load_balancers::delete(&mut db, place.account, place.zone_id(), id).await? {
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
