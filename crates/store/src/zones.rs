//! Zones: domains of an account.

use jiff::Timestamp;
use quorate_core::ids::{AccountId, ZoneId};

use crate::db::{Operator, Tenant};
use crate::error::Error;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    pub id: ZoneId,
    pub account_id: AccountId,
    pub account_name: String,
    /// Lower case, no trailing dot: `example.com`.
    pub name: String,
    pub load_balancing_enabled: bool,
    pub created_on: Timestamp,
    pub modified_on: Timestamp,
}

/// `Error::NotUnique { field: "name" }` where the name is taken in the account.
pub async fn create(op: &mut Operator, account: AccountId, name: &str) -> Result<Zone, Error> {
    unimplemented!("{op:?}{account}{name}")
}

pub async fn set_load_balancing(op: &mut Operator, id: ZoneId, enabled: bool) -> Result<Option<Zone>, Error> {
    unimplemented!("{op:?}{id}{enabled}")
}

pub async fn list_all(op: &mut Operator) -> Result<Vec<Zone>, Error> {
    unimplemented!("{op:?}")
}

/// `Error::Referenced` while load balancers are in it. `Ok(false)`: no such zone.
pub async fn delete(op: &mut Operator, id: ZoneId) -> Result<bool, Error> {
    unimplemented!("{op:?}{id}")
}

/// All zones of the accounts that the tenant sees, in creation order.
pub async fn list(db: &mut Tenant) -> Result<Vec<Zone>, Error> {
    unimplemented!("{db:?}")
}

pub async fn find(db: &mut Tenant, id: ZoneId) -> Result<Option<Zone>, Error> {
    unimplemented!("{db:?}{id}")
}
