//! Accounts: tenants, their plan's limits, and what they use.

use jiff::Timestamp;
use quorate_core::ids::AccountId;

use crate::db::{Operator, Tenant};
use crate::error::Error;

/// What an account may have. Defaults: 20 load balancers, 20 pools, 100 origins, 30 monitors, 20 origins a pool, 10 s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub load_balancers: u32,
    pub pools: u32,
    /// Over all pools.
    pub origins: u32,
    pub monitors: u32,
    pub max_origins_per_pool: u32,
    /// Seconds.
    pub minimum_monitor_interval: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    pub load_balancers: u32,
    pub pools: u32,
    pub origins: u32,
    pub monitors: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub id: AccountId,
    pub name: String,
    pub load_balancing_enabled: bool,
    pub limits: Limits,
    pub created_on: Timestamp,
}

pub async fn create(op: &mut Operator, name: &str, limits: Limits) -> Result<Account, Error> {
    unimplemented!("{op:?}{name}{limits:?}")
}

/// Changes limits or the load-balancing flag; `None` leaves as is. `Ok(None)`: no such account.
pub async fn update(
    op: &mut Operator,
    id: AccountId,
    limits: Option<Limits>,
    load_balancing_enabled: Option<bool>,
) -> Result<Option<Account>, Error> {
    unimplemented!("{op:?}{id}{limits:?}{load_balancing_enabled:?}")
}

pub async fn list_all(op: &mut Operator) -> Result<Vec<Account>, Error> {
    unimplemented!("{op:?}")
}

/// The accounts that the tenant sees, in creation order.
pub async fn list(db: &mut Tenant) -> Result<Vec<Account>, Error> {
    unimplemented!("{db:?}")
}

pub async fn find(db: &mut Tenant, id: AccountId) -> Result<Option<Account>, Error> {
    unimplemented!("{db:?}{id}")
}

pub async fn usage(db: &mut Tenant, id: AccountId) -> Result<Usage, Error> {
    unimplemented!("{db:?}{id}")
}
