//! Pools of an account, with their origins, which are the checks.

use quorate_core::ids::{AccountId, MonitorId, PoolId};
use quorate_core::pool::{Pool, PoolSettings};

use crate::db::Tenant;
use crate::error::Error;

/// In creation order; `monitor` keeps only the pools that use it.
pub async fn list(db: &mut Tenant, account: AccountId, monitor: Option<MonitorId>) -> Result<Vec<Pool>, Error> {
    unimplemented!("{db:?}{account}{monitor:?}")
}

pub async fn find(db: &mut Tenant, account: AccountId, id: PoolId) -> Result<Option<Pool>, Error> {
    unimplemented!("{db:?}{account}{id}")
}

/// Like [`find`], and nobody else changes it until the transaction ends: for PATCH.
pub async fn find_for_update(db: &mut Tenant, account: AccountId, id: PoolId) -> Result<Option<Pool>, Error> {
    unimplemented!("{db:?}{account}{id}")
}

/// Which of `ids` the account does not have.
pub async fn missing(db: &mut Tenant, account: AccountId, ids: &[PoolId]) -> Result<Vec<PoolId>, Error> {
    unimplemented!("{db:?}{account}{ids:?}")
}

/// Inserts the pool, its origins, their check states and the pool's state, and bumps the bucket's `config_seq`.
/// `Error::QuotaExceeded` for pools and for origins, `Error::NotUnique { field: "name" }`,
/// `Error::MissingReference` for the monitor.
pub async fn create(db: &mut Tenant, account: AccountId, settings: &PoolSettings) -> Result<Pool, Error> {
    unimplemented!("{db:?}{account}{settings:?}")
}

/// Replaces the settings. Origins are matched by name: a kept one keeps its check and verdict, and gets a new
/// `config_gen` where address, port, network or Host changed, or where it or the pool was enabled or got
/// another monitor; a removed one loses its check; a new one is a new check. Bumps the bucket's `config_seq`.
/// Equal settings change nothing, `modified_on` included. Errors as [`create`]. `Ok(None)`: no such pool.
pub async fn replace(db: &mut Tenant, account: AccountId, id: PoolId, settings: &PoolSettings) -> Result<Option<Pool>, Error> {
    unimplemented!("{db:?}{account}{id}{settings:?}")
}

/// `Error::Referenced` while load balancers name it, with every place. `Ok(false)`: no such pool.
pub async fn delete(db: &mut Tenant, account: AccountId, id: PoolId) -> Result<bool, Error> {
    unimplemented!("{db:?}{account}{id}")
}
