//! Accounts: tenants, their plan's limits, and what they use.

use jiff::Timestamp;
use quorate_core::ids::AccountId;
use serde_json::{Value, json};
use sqlx::PgConnection;

use crate::audit::{self, Audited};
use crate::db::{Operator, Tenant};
use crate::error::Error;
use crate::row::{self, Place};

/// What an account may have. Defaults: 20 load balancers, 20 pools, 100 origins, 30 monitors, 50 health checks, 20 origins a pool, 10 s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub load_balancers: u32,
    pub pools: u32,
    /// Over all pools.
    pub origins: u32,
    pub monitors: u32,
    /// Of all zones.
    pub healthchecks: u32,
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
    pub healthchecks: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub id: AccountId,
    pub name: String,
    pub load_balancing_enabled: bool,
    pub limits: Limits,
    pub created_on: Timestamp,
}

struct Row {
    account_id: Vec<u8>,
    name: String,
    load_balancing_enabled: bool,
    load_balancers_max: i64,
    pools_max: i64,
    origins_max: i64,
    monitors_max: i64,
    healthchecks_max: i64,
    origins_per_pool_max: i64,
    minimum_monitor_interval_s: i32,
    created_on: jiff_sqlx::Timestamp,
}

impl TryFrom<Row> for Account {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let place = Place { table: "account", key: &row.account_id };
        Ok(Self {
            id: place.id("account_id", &row.account_id)?,
            limits: Limits {
                load_balancers: place.number("load_balancers_max", row.load_balancers_max)?,
                pools: place.number("pools_max", row.pools_max)?,
                origins: place.number("origins_max", row.origins_max)?,
                monitors: place.number("monitors_max", row.monitors_max)?,
                healthchecks: place.number("healthchecks_max", row.healthchecks_max)?,
                max_origins_per_pool: place.number("origins_per_pool_max", row.origins_per_pool_max)?,
                minimum_monitor_interval: place.number("minimum_monitor_interval_s", row.minimum_monitor_interval_s)?,
            },
            name: row.name,
            load_balancing_enabled: row.load_balancing_enabled,
            created_on: row.created_on.to_jiff(),
        })
    }
}

impl Audited for Account {
    const KIND: &'static str = "account";

    fn accounts(&self) -> Vec<AccountId> {
        vec![self.id]
    }

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn fields(&self) -> Value {
        json!({
            "name": self.name,
            "load_balancing_enabled": self.load_balancing_enabled,
            "load_balancers": self.limits.load_balancers,
            "pools": self.limits.pools,
            "origins": self.limits.origins,
            "monitors": self.limits.monitors,
            "healthchecks": self.limits.healthchecks,
            "max_origins_per_pool": self.limits.max_origins_per_pool,
            "minimum_monitor_interval": self.limits.minimum_monitor_interval,
        })
    }
}

pub async fn create(op: &mut Operator, name: &str, limits: Limits) -> Result<Account, Error> {
    let id = AccountId::random(&mut rand::rng());
    let account: Account = sqlx::query_as!(
        Row,
        r#"
        insert into account (
            account_id, name, load_balancers_max, pools_max, origins_max, monitors_max, origins_per_pool_max,
            minimum_monitor_interval_s, healthchecks_max
        )
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        returning account_id, name, load_balancing_enabled, load_balancers_max, pools_max, origins_max, monitors_max,
            healthchecks_max, origins_per_pool_max, minimum_monitor_interval_s, created_on as "created_on: jiff_sqlx::Timestamp"
        "#,
        id.as_bytes(),
        name,
        i64::from(limits.load_balancers),
        i64::from(limits.pools),
        i64::from(limits.origins),
        i64::from(limits.monitors),
        i64::from(limits.max_origins_per_pool),
        i32::from(limits.minimum_monitor_interval),
        i64::from(limits.healthchecks),
    )
    .fetch_one(op.conn())
    .await?
    .try_into()?;
    audit::created(op.conn(), &account).await?;
    Ok(account)
}

/// Changes limits or the load-balancing flag; `None` leaves as is. `Ok(None)`: no such account.
pub async fn update(
    op: &mut Operator,
    id: AccountId,
    limits: Option<Limits>,
    load_balancing_enabled: Option<bool>,
) -> Result<Option<Account>, Error> {
    let Some(before) = locked(op.conn(), id).await? else { return Ok(None) };
    let after: Account = sqlx::query_as!(
        Row,
        r#"
        update account
        set load_balancing_enabled = coalesce($2, load_balancing_enabled),
            load_balancers_max = coalesce($3, load_balancers_max),
            pools_max = coalesce($4, pools_max),
            origins_max = coalesce($5, origins_max),
            monitors_max = coalesce($6, monitors_max),
            origins_per_pool_max = coalesce($7, origins_per_pool_max),
            minimum_monitor_interval_s = coalesce($8, minimum_monitor_interval_s),
            healthchecks_max = coalesce($9, healthchecks_max)
        where account_id = $1
        returning account_id, name, load_balancing_enabled, load_balancers_max, pools_max, origins_max, monitors_max,
            healthchecks_max, origins_per_pool_max, minimum_monitor_interval_s, created_on as "created_on: jiff_sqlx::Timestamp"
        "#,
        id.as_bytes(),
        load_balancing_enabled,
        limits.map(|limits| i64::from(limits.load_balancers)),
        limits.map(|limits| i64::from(limits.pools)),
        limits.map(|limits| i64::from(limits.origins)),
        limits.map(|limits| i64::from(limits.monitors)),
        limits.map(|limits| i64::from(limits.max_origins_per_pool)),
        limits.map(|limits| i32::from(limits.minimum_monitor_interval)),
        limits.map(|limits| i64::from(limits.healthchecks)),
    )
    .fetch_one(op.conn())
    .await?
    .try_into()?;
    if after != before {
        audit::updated(op.conn(), &before, &after).await?;
    }
    Ok(Some(after))
}

/// In creation order.
pub async fn list_all(op: &mut Operator) -> Result<Vec<Account>, Error> {
    select(op.conn(), None).await
}

/// The accounts that the tenant sees, in creation order.
pub async fn list(db: &mut Tenant) -> Result<Vec<Account>, Error> {
    select(db.conn(), None).await
}

pub async fn find(db: &mut Tenant, id: AccountId) -> Result<Option<Account>, Error> {
    Ok(select(db.conn(), Some(id)).await?.pop())
}

pub async fn usage(db: &mut Tenant, id: AccountId) -> Result<Usage, Error> {
    Ok(usage_now(db.conn(), id).await?.0)
}

/// What the role of the connection may see.
async fn select(conn: &mut PgConnection, id: Option<AccountId>) -> Result<Vec<Account>, Error> {
    sqlx::query_as!(
        Row,
        r#"
        select account_id, name, load_balancing_enabled, load_balancers_max, pools_max, origins_max, monitors_max,
            healthchecks_max, origins_per_pool_max, minimum_monitor_interval_s, created_on as "created_on: jiff_sqlx::Timestamp"
        from account
        where $1::bytea is null or account_id = $1
        order by created_on, account_id
        "#,
        id.as_ref().map(|id| id.as_bytes().as_slice()),
    )
    .fetch_all(conn)
    .await?
    .into_iter()
    .map(TryInto::try_into)
    .collect()
}

/// What an account uses, and the database's time. After [`lock`] both are exact: the counts cannot
/// change, and the times of an account's changes follow each other.
pub(crate) async fn usage_now(conn: &mut PgConnection, id: AccountId) -> Result<(Usage, Timestamp), Error> {
    let row = sqlx::query!(
        r#"
        select
            (select count(*) from load_balancer where account_id = $1) as "load_balancers!",
            (select count(*) from pool where account_id = $1) as "pools!",
            (select count(*) from origin where account_id = $1) as "origins!",
            (select count(*) from monitor where account_id = $1) as "monitors!",
            (select count(*) from healthcheck where account_id = $1) as "healthchecks!",
            clock_timestamp() as "now!: jiff_sqlx::Timestamp"
        "#,
        id.as_bytes()
    )
    .fetch_one(conn)
    .await?;
    let usage = Usage {
        load_balancers: row::count(row.load_balancers),
        pools: row::count(row.pools),
        origins: row::count(row.origins),
        monitors: row::count(row.monitors),
        healthchecks: row::count(row.healthchecks),
    };
    Ok((usage, row.now.to_jiff()))
}

/// Locks the account until the transaction ends, first thing in every configuration change: quotas are
/// exact, and changes of one account cannot wait for each other in a circle.
/// `Error::MissingReference` for an account that is not there (or not the tenant's).
pub(crate) async fn lock(conn: &mut PgConnection, id: AccountId) -> Result<Limits, Error> {
    let account = locked(conn, id).await?;
    Ok(account.ok_or_else(|| Error::MissingReference { resource: "account", id: id.to_string() })?.limits)
}

async fn locked(conn: &mut PgConnection, id: AccountId) -> Result<Option<Account>, Error> {
    sqlx::query_as!(
        Row,
        r#"
        select account_id, name, load_balancing_enabled, load_balancers_max, pools_max, origins_max, monitors_max,
            healthchecks_max, origins_per_pool_max, minimum_monitor_interval_s, created_on as "created_on: jiff_sqlx::Timestamp"
        from account
        where account_id = $1
        for no key update
        "#,
        id.as_bytes()
    )
    .fetch_optional(conn)
    .await?
    .map(TryInto::try_into)
    .transpose()
}

/// Whether `more` fit under `limit` beside the `count` that are there.
pub(crate) fn within_quota(resource: &'static str, limit: u32, count: u32, more: usize) -> Result<(), Error> {
    let fits = u32::try_from(more).ok().and_then(|more| count.checked_add(more)).is_some_and(|sum| sum <= limit);
    if more == 0 || fits { Ok(()) } else { Err(Error::QuotaExceeded { resource, limit, count }) }
}
