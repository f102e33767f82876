//! Load balancers: of a zone, or of the account itself.

use std::collections::BTreeMap;

use jiff_sqlx::ToSqlx;
use quorate_core::ids::{AccountId, LoadBalancerId, PoolId, ZoneId};
use quorate_core::load_balancer::{LoadBalancer, LoadBalancerSettings, ZoneOf};
use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::accounts;
use crate::audit::{self, Audited};
use crate::db::Tenant;
use crate::error::{Error, on_constraint};
use crate::pools;
use crate::row::{Place, fields};

type PoolMap = BTreeMap<String, Vec<PoolId>>;

struct Row {
    account_id: Vec<u8>,
    load_balancer_id: Vec<u8>,
    zone_id: Option<Vec<u8>>,
    zone_name: Option<String>,
    name: String,
    description: String,
    enabled: bool,
    proxied: bool,
    ttl_s: Option<i64>,
    default_pools: Vec<Vec<u8>>,
    fallback_pool: Vec<u8>,
    region_pools: Option<Value>,
    country_pools: Option<Value>,
    pop_pools: Option<Value>,
    steering_policy: String,
    session_affinity: String,
    session_affinity_ttl_s: Option<i64>,
    session_affinity_attributes: Option<Value>,
    random_steering: Option<Value>,
    location_strategy: Option<Value>,
    adaptive_routing: Option<Value>,
    rules: Option<Value>,
    pool_sets: Option<Value>,
    networks: Option<Value>,
    created_on: jiff_sqlx::Timestamp,
    modified_on: jiff_sqlx::Timestamp,
}

impl TryFrom<Row> for LoadBalancer {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let place = Place { table: "load_balancer", key: &row.load_balancer_id };
        let map = |column, value: Option<Value>| value.map(|value| place.json::<PoolMap>(column, value)).transpose();
        let seconds = |column, value: Option<i64>| value.map(|value| place.number(column, value)).transpose();
        Ok(Self {
            id: place.id("load_balancer_id", &row.load_balancer_id)?,
            account_id: place.id("account_id", &row.account_id)?,
            zone: match row.zone_id.zip(row.zone_name) {
                Some((id, name)) => Some(ZoneOf { id: place.id("zone_id", &id)?, name }),
                None => None,
            },
            settings: LoadBalancerSettings {
                ttl: seconds("ttl_s", row.ttl_s)?,
                default_pools: row.default_pools.iter().map(|id| place.id("default_pools", id)).collect::<Result<_, Error>>()?,
                fallback_pool: place.id("fallback_pool", &row.fallback_pool)?,
                region_pools: map("region_pools", row.region_pools)?,
                country_pools: map("country_pools", row.country_pools)?,
                pop_pools: map("pop_pools", row.pop_pools)?,
                session_affinity_ttl: seconds("session_affinity_ttl_s", row.session_affinity_ttl_s)?,
                name: row.name,
                description: row.description,
                enabled: row.enabled,
                proxied: row.proxied,
                steering_policy: row.steering_policy,
                session_affinity: row.session_affinity,
                session_affinity_attributes: row.session_affinity_attributes,
                random_steering: row.random_steering,
                location_strategy: row.location_strategy,
                adaptive_routing: row.adaptive_routing,
                rules: row.rules,
                pool_sets: row.pool_sets,
                networks: row.networks,
            },
            created_on: row.created_on.to_jiff(),
            modified_on: row.modified_on.to_jiff(),
        })
    }
}

impl Audited for LoadBalancer {
    const KIND: &'static str = "load_balancer";

    fn accounts(&self) -> Vec<AccountId> {
        vec![self.account_id]
    }

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn name(&self) -> String {
        self.settings.name.clone()
    }

    fn fields(&self) -> Value {
        fields(&self.settings)
    }
}

/// Those of the zone, or of the account itself, in creation order.
pub async fn list(db: &mut Tenant, account: AccountId, zone: Option<ZoneId>) -> Result<Vec<LoadBalancer>, Error> {
    select(db.conn(), account, zone, None).await
}

pub async fn find(db: &mut Tenant, account: AccountId, zone: Option<ZoneId>, id: LoadBalancerId) -> Result<Option<LoadBalancer>, Error> {
    Ok(select(db.conn(), account, zone, Some(id)).await?.pop())
}

/// Like [`find`], and nobody else changes it until the transaction ends: for PATCH.
pub async fn find_for_update(
    db: &mut Tenant,
    account: AccountId,
    zone: Option<ZoneId>,
    id: LoadBalancerId,
) -> Result<Option<LoadBalancer>, Error> {
    accounts::lock(db.conn(), account).await?;
    find(db, account, zone, id).await
}

async fn select(
    conn: &mut PgConnection,
    account: AccountId,
    zone: Option<ZoneId>,
    id: Option<LoadBalancerId>,
) -> Result<Vec<LoadBalancer>, Error> {
    sqlx::query_as!(
        Row,
        r#"
        select l.account_id, l.load_balancer_id, l.zone_id, z.name as "zone_name?", l.name, l.description, l.enabled, l.proxied,
            l.ttl_s, l.default_pools, l.fallback_pool, l.region_pools, l.country_pools, l.pop_pools, l.steering_policy,
            l.session_affinity, l.session_affinity_ttl_s, l.session_affinity_attributes, l.random_steering,
            l.location_strategy, l.adaptive_routing, l.rules, l.pool_sets, l.networks,
            l.created_on as "created_on: jiff_sqlx::Timestamp", l.modified_on as "modified_on: jiff_sqlx::Timestamp"
        from load_balancer as l
        left join zone as z on z.account_id = l.account_id and z.zone_id = l.zone_id
        where l.account_id = $1 and l.zone_id is not distinct from $2 and ($3::bytea is null or l.load_balancer_id = $3)
        order by l.created_on, l.load_balancer_id
        "#,
        account.as_bytes(),
        zone.as_ref().map(|zone| zone.as_bytes().as_slice()),
        id.as_ref().map(|id| id.as_bytes().as_slice()),
    )
    .fetch_all(conn)
    .await?
    .into_iter()
    .map(TryInto::try_into)
    .collect()
}

/// Also records every pool named (`LoadBalancerSettings::pool_references`), which is what guards the pools from
/// deletion. `Error::QuotaExceeded`, `Error::NotUnique { field: "name" }`, `Error::MissingReference` for a pool
/// or the zone.
pub async fn create(
    db: &mut Tenant,
    account: AccountId,
    zone: Option<ZoneId>,
    settings: &LoadBalancerSettings,
) -> Result<LoadBalancer, Error> {
    let limits = accounts::lock(db.conn(), account).await?;
    let (usage, now) = accounts::usage_now(db.conn(), account).await?;
    accounts::within_quota("load balancers", limits.load_balancers, usage.load_balancers, 1)?;
    let zone = match zone {
        Some(id) => Some(ZoneOf { id, name: zone_name(db.conn(), account, id).await? }),
        None => None,
    };
    let load_balancer = LoadBalancer {
        id: LoadBalancerId::random(&mut rand::rng()),
        account_id: account,
        zone,
        settings: settings.clone(),
        created_on: now,
        modified_on: now,
    };
    write(db, &load_balancer).await?;
    audit::created(db.conn(), &load_balancer).await?;
    Ok(load_balancer)
}

async fn zone_name(conn: &mut PgConnection, account: AccountId, zone: ZoneId) -> Result<String, Error> {
    sqlx::query_scalar!("select name from zone where account_id = $1 and zone_id = $2", account.as_bytes(), zone.as_bytes())
        .fetch_optional(conn)
        .await?
        .ok_or_else(|| Error::MissingReference { resource: "zone", id: zone.to_string() })
}

/// Equal settings change nothing, `modified_on` included. Errors as [`create`]. `Ok(None)`: no such load balancer.
pub async fn replace(
    db: &mut Tenant,
    account: AccountId,
    zone: Option<ZoneId>,
    id: LoadBalancerId,
    settings: &LoadBalancerSettings,
) -> Result<Option<LoadBalancer>, Error> {
    let Some(current) = find_for_update(db, account, zone, id).await? else { return Ok(None) };
    if current.settings == *settings {
        return Ok(Some(current));
    }
    let (_, now) = accounts::usage_now(db.conn(), account).await?;
    let load_balancer = LoadBalancer { settings: settings.clone(), modified_on: now, ..current.clone() };
    write(db, &load_balancer).await?;
    audit::updated(db.conn(), &current, &load_balancer).await?;
    Ok(Some(load_balancer))
}

/// Inserts the load balancer, or overwrites the one with its id, and records the pools that it names.
async fn write(db: &mut Tenant, load_balancer: &LoadBalancer) -> Result<(), Error> {
    let settings = &load_balancer.settings;
    let references = settings.pool_references();
    let pools: Vec<PoolId> = references.iter().map(|reference| reference.pool).collect();
    if let Some(missing) = pools::missing(db, load_balancer.account_id, &pools).await?.first() {
        return Err(Error::MissingReference { resource: "pool", id: missing.to_string() });
    }
    let default_pools: Vec<&[u8]> = settings.default_pools.iter().map(|id| id.as_bytes().as_slice()).collect();
    sqlx::query!(
        r#"
        insert into load_balancer (
            account_id, load_balancer_id, zone_id, name, description, enabled, proxied, ttl_s, default_pools, fallback_pool,
            region_pools, country_pools, pop_pools, steering_policy, session_affinity, session_affinity_ttl_s,
            session_affinity_attributes, random_steering, location_strategy, adaptive_routing, rules, pool_sets, networks,
            created_on, modified_on
        )
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25)
        on conflict (account_id, load_balancer_id) do update
        set name = excluded.name, description = excluded.description, enabled = excluded.enabled, proxied = excluded.proxied,
            ttl_s = excluded.ttl_s, default_pools = excluded.default_pools, fallback_pool = excluded.fallback_pool,
            region_pools = excluded.region_pools, country_pools = excluded.country_pools, pop_pools = excluded.pop_pools,
            steering_policy = excluded.steering_policy, session_affinity = excluded.session_affinity,
            session_affinity_ttl_s = excluded.session_affinity_ttl_s,
            session_affinity_attributes = excluded.session_affinity_attributes, random_steering = excluded.random_steering,
            location_strategy = excluded.location_strategy, adaptive_routing = excluded.adaptive_routing,
            rules = excluded.rules, pool_sets = excluded.pool_sets, networks = excluded.networks,
            modified_on = excluded.modified_on
        "#,
        load_balancer.account_id.as_bytes(),
        load_balancer.id.as_bytes(),
        load_balancer.zone.as_ref().map(|zone| zone.id.as_bytes().as_slice()),
        settings.name,
        settings.description,
        settings.enabled,
        settings.proxied,
        settings.ttl.map(i64::from),
        &default_pools as &[&[u8]],
        settings.fallback_pool.as_bytes(),
        settings.region_pools.as_ref().map(Json) as _,
        settings.country_pools.as_ref().map(Json) as _,
        settings.pop_pools.as_ref().map(Json) as _,
        settings.steering_policy,
        settings.session_affinity,
        settings.session_affinity_ttl.map(i64::from),
        settings.session_affinity_attributes.as_ref() as Option<&Value>,
        settings.random_steering.as_ref() as Option<&Value>,
        settings.location_strategy.as_ref() as Option<&Value>,
        settings.adaptive_routing.as_ref() as Option<&Value>,
        settings.rules.as_ref() as Option<&Value>,
        settings.pool_sets.as_ref() as Option<&Value>,
        settings.networks.as_ref() as Option<&Value>,
        load_balancer.created_on.to_sqlx() as _,
        load_balancer.modified_on.to_sqlx() as _,
    )
    .execute(db.conn())
    .await
    .map_err(|problem| on_constraint(problem, "load_balancer_name_key", || Error::NotUnique { field: "name" }))?;

    sqlx::query!(
        "delete from load_balancer_pool where account_id = $1 and load_balancer_id = $2",
        load_balancer.account_id.as_bytes(),
        load_balancer.id.as_bytes()
    )
    .execute(db.conn())
    .await?;
    let pools: Vec<&[u8]> = references.iter().map(|reference| reference.pool.as_bytes().as_slice()).collect();
    let places: Vec<&str> = references.iter().map(|reference| reference.place.as_str()).collect();
    sqlx::query!(
        r#"
        insert into load_balancer_pool (account_id, load_balancer_id, pool_id, place)
        select $1, $2, r.pool_id, r.place
        from unnest($3::bytea[], $4::text[]) as r (pool_id, place)
        "#,
        load_balancer.account_id.as_bytes(),
        load_balancer.id.as_bytes(),
        &pools as &[&[u8]],
        &places as &[&str],
    )
    .execute(db.conn())
    .await?;
    Ok(())
}

/// `Ok(false)`: no such load balancer.
pub async fn delete(db: &mut Tenant, account: AccountId, zone: Option<ZoneId>, id: LoadBalancerId) -> Result<bool, Error> {
    let Some(found) = find_for_update(db, account, zone, id).await? else { return Ok(false) };
    sqlx::query!("delete from load_balancer where account_id = $1 and load_balancer_id = $2", account.as_bytes(), id.as_bytes())
        .execute(db.conn())
        .await?;
    audit::deleted(db.conn(), &found).await?;
    Ok(true)
}
