//! `/accounts`: tenants. Made by the operator's commands; read here.

use quorate_core::ids::AccountId;
use quorate_store::Tenant;
use quorate_store::accounts::{self, Account, Limits};
use schemars::{JsonSchema, json_schema};
use serde::Serialize;

use crate::answer::Answer;
use crate::auth::{Caller, InAccount, Know, Read};
use crate::envelope::{Envelope, Time};
use crate::error::ApiError;
use crate::extract::Params;
use crate::openapi::Query;
use crate::page::Page;

/// An account.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AccountBody {
    id: AccountId,
    name: String,
    /// `standard`.
    #[serde(rename = "type")]
    kind: &'static str,
    settings: AccountSettings,
    created_on: Time,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AccountSettings {
    enforce_twofactor: bool,
}

impl From<Account> for AccountBody {
    fn from(account: Account) -> Self {
        Self {
            id: account.id,
            name: account.name,
            kind: "standard",
            settings: AccountSettings { enforce_twofactor: false },
            created_on: Time(account.created_on),
        }
    }
}

/// What the account may have and has.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct UsageBody {
    load_balancers: u32,
    monitors: u32,
    origins: u32,
    pools: u32,
    max_origins_per_pool: u32,
    /// Seconds.
    minimum_monitor_interval: u16,
    /// Health checks that stand by themselves. An addition of ours to what clients know, as are the limits.
    healthchecks: u32,
    limits: UsageLimits,
}

/// How many of each the account may have. An addition of ours to what clients know.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct UsageLimits {
    load_balancers: u32,
    monitors: u32,
    /// Over all pools.
    origins: u32,
    pools: u32,
    healthchecks: u32,
}

pub(crate) fn query() -> Vec<Query> {
    vec![
        Query::new("name", "Only the account of this name.", json_schema!({"type": "string"})),
        Query::new("direction", "In order of creation, or the other way round.", json_schema!({"type": "string", "enum": ["asc", "desc"]})),
    ]
}

pub(crate) async fn list(caller: Caller, params: Params, page: Page) -> Answer<Vec<AccountBody>> {
    let mut db = caller.begin().await?;
    let mut found = accounts::list(&mut db).await?;
    if let Some(name) = params.text("name") {
        found.retain(|account| account.name == name);
    }
    match params.text("direction") {
        None | Some("asc") => {}
        Some("desc") => found.reverse(),
        Some(other) => return Err(ApiError::InvalidQuery(format!("direction {other:?} is not one of asc, desc"))),
    }
    Ok(page.cut(found.into_iter().map(AccountBody::from).collect()))
}

pub(crate) async fn show(place: InAccount<Know>) -> Answer<AccountBody> {
    let mut db = place.begin().await?;
    Ok(Envelope::of(find(&mut db, place.account).await?.into()))
}

pub(crate) async fn usage(place: InAccount<Read>) -> Answer<UsageBody> {
    let mut db = place.begin().await?;
    let limits = limits(&mut db, place.account).await?;
    let used = accounts::usage(&mut db, place.account).await?;
    Ok(Envelope::of(UsageBody {
        load_balancers: used.load_balancers,
        monitors: used.monitors,
        origins: used.origins,
        pools: used.pools,
        max_origins_per_pool: limits.max_origins_per_pool,
        minimum_monitor_interval: limits.minimum_monitor_interval,
        healthchecks: used.healthchecks,
        limits: UsageLimits {
            healthchecks: limits.healthchecks,
            load_balancers: limits.load_balancers,
            monitors: limits.monitors,
            origins: limits.origins,
            pools: limits.pools,
        },
    }))
}

/// The account; one that the token reaches and that is gone since is out of reach.
async fn find(db: &mut Tenant, id: AccountId) -> Result<Account, ApiError> {
    accounts::find(db, id).await?.ok_or(ApiError::OutOfReach)
}

pub(crate) async fn limits(db: &mut Tenant, id: AccountId) -> Result<Limits, ApiError> {
    Ok(find(db, id).await?.limits)
}

/// The account, with load balancing switched on: the first thing that a create asks.
pub(crate) async fn enabled(db: &mut Tenant, id: AccountId) -> Result<Account, ApiError> {
    let account = find(db, id).await?;
    if account.load_balancing_enabled { Ok(account) } else { Err(ApiError::NotEnabled { place: "account" }) }
}
