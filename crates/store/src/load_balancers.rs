//! Load balancers of a zone.

use quorate_core::ids::{AccountId, LoadBalancerId, ZoneId};
use quorate_core::load_balancer::{LoadBalancer, LoadBalancerSettings};

use crate::db::Tenant;
use crate::error::Error;

/// In creation order.
pub async fn list(db: &mut Tenant, zone: ZoneId) -> Result<Vec<LoadBalancer>, Error> {
    unimplemented!("{db:?}{zone}")
}

pub async fn find(db: &mut Tenant, zone: ZoneId, id: LoadBalancerId) -> Result<Option<LoadBalancer>, Error> {
    unimplemented!("{db:?}{zone}{id}")
}

/// Like [`find`], and nobody else changes it until the transaction ends: for PATCH.
pub async fn find_for_update(db: &mut Tenant, zone: ZoneId, id: LoadBalancerId) -> Result<Option<LoadBalancer>, Error> {
    unimplemented!("{db:?}{zone}{id}")
}

/// Also records every pool named (`LoadBalancerSettings::pool_references`), which is what guards the pools from
/// deletion. `Error::QuotaExceeded`, `Error::NotUnique { field: "name" }`, `Error::MissingReference` for a pool.
pub async fn create(db: &mut Tenant, account: AccountId, zone: ZoneId, settings: &LoadBalancerSettings) -> Result<LoadBalancer, Error> {
    unimplemented!("{db:?}{account}{zone}{settings:?}")
}

/// Equal settings change nothing, `modified_on` included. `Ok(None)`: no such load balancer.
pub async fn replace(
    db: &mut Tenant,
    zone: ZoneId,
    id: LoadBalancerId,
    settings: &LoadBalancerSettings,
) -> Result<Option<LoadBalancer>, Error> {
    unimplemented!("{db:?}{zone}{id}{settings:?}")
}

/// `Ok(false)`: no such load balancer.
pub async fn delete(db: &mut Tenant, zone: ZoneId, id: LoadBalancerId) -> Result<bool, Error> {
    unimplemented!("{db:?}{zone}{id}")
}
