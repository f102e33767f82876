//! Monitors of an account.

use quorate_core::ids::{AccountId, MonitorId};
use quorate_core::monitor::{Monitor, MonitorSettings};

use crate::db::Tenant;
use crate::error::Error;

/// In creation order.
pub async fn list(db: &mut Tenant, account: AccountId) -> Result<Vec<Monitor>, Error> {
    unimplemented!("{db:?}{account}")
}

pub async fn find(db: &mut Tenant, account: AccountId, id: MonitorId) -> Result<Option<Monitor>, Error> {
    unimplemented!("{db:?}{account}{id}")
}

/// Like [`find`], and nobody else changes it until the transaction ends: for PATCH.
pub async fn find_for_update(db: &mut Tenant, account: AccountId, id: MonitorId) -> Result<Option<Monitor>, Error> {
    unimplemented!("{db:?}{account}{id}")
}

/// `Error::QuotaExceeded` at the account's limit, decided in this transaction.
pub async fn create(db: &mut Tenant, account: AccountId, settings: &MonitorSettings) -> Result<Monitor, Error> {
    unimplemented!("{db:?}{account}{settings:?}")
}

/// Replaces the settings. Where the probe changes, every check of every pool that uses the monitor gets
/// a new `config_gen`, and their buckets a new `config_seq`, in this transaction. Equal settings change nothing,
/// `modified_on` included. `Ok(None)`: no such monitor.
pub async fn replace(db: &mut Tenant, account: AccountId, id: MonitorId, settings: &MonitorSettings) -> Result<Option<Monitor>, Error> {
    unimplemented!("{db:?}{account}{id}{settings:?}")
}

/// `Error::Referenced` while pools use it. `Ok(false)`: no such monitor.
pub async fn delete(db: &mut Tenant, account: AccountId, id: MonitorId) -> Result<bool, Error> {
    unimplemented!("{db:?}{account}{id}")
}
