//! Pools of an account, with their origins, which are the checks.

mod rows;

use jiff::Timestamp;
use quorate_core::bucket::Bucket;
use quorate_core::ids::{AccountId, CheckId, MonitorId, PoolId, hex};
use quorate_core::monitor_group::Voice;
use quorate_core::pool::{Origin, OriginHealth, OriginSettings, Pool, PoolSettings, pool_state};
use quorate_core::vote::Published;
use serde_json::Value;

use crate::audit::{self, Audited};
use crate::db::Tenant;
use crate::error::{Error, Referrer};
use crate::reader::Reader;
use crate::row::fields;
use crate::{accounts, buckets, monitor_groups};

pub(crate) use rows::{PoolRow, delete_pool_state, insert_pool_state, pool_row, write_check_states};

impl Audited for Pool {
    const KIND: &'static str = "pool";

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

/// In creation order; `monitor` keeps only the pools that use it.
pub async fn list(db: &mut Tenant, account: AccountId, monitor: Option<MonitorId>) -> Result<Vec<Pool>, Error> {
    let scope = db.accounts().to_vec();
    rows::list(db.conn(), &scope, account, monitor).await
}

pub async fn find(db: &mut Tenant, account: AccountId, id: PoolId) -> Result<Option<Pool>, Error> {
    let scope = db.accounts().to_vec();
    rows::find(db.conn(), &scope, account, id).await
}

/// As [`list`], where nothing else is asked.
pub async fn read_list(db: &Reader, account: AccountId, monitor: Option<MonitorId>) -> Result<Vec<Pool>, Error> {
    let mut session = db.session().await?;
    let found = rows::list(session.conn(), db.accounts(), account, monitor).await?;
    session.ended();
    Ok(found)
}

/// As [`find`], where nothing else is asked.
pub async fn read(db: &Reader, account: AccountId, id: PoolId) -> Result<Option<Pool>, Error> {
    let mut session = db.session().await?;
    let found = rows::find(session.conn(), db.accounts(), account, id).await?;
    session.ended();
    Ok(found)
}

/// Like [`find`], and nobody else changes it until the transaction ends: for PATCH.
pub async fn find_for_update(db: &mut Tenant, account: AccountId, id: PoolId) -> Result<Option<Pool>, Error> {
    accounts::lock(db.conn(), account).await?;
    find(db, account, id).await
}

/// Which of `ids` the account does not have.
pub async fn missing(db: &mut Tenant, account: AccountId, ids: &[PoolId]) -> Result<Vec<PoolId>, Error> {
    let wanted: Vec<&[u8]> = ids.iter().map(|id| id.as_bytes().as_slice()).collect();
    let present = sqlx::query_scalar!(
        "select pool_id from pool where account_id = $1 and pool_id = any ($2)",
        account.as_bytes(),
        &wanted as &[&[u8]]
    )
    .fetch_all(db.conn())
    .await?;
    Ok(ids.iter().filter(|id| !present.iter().any(|present| present == id.as_bytes())).copied().collect())
}

/// Inserts the pool, its origins, their check states and the pool's state, and bumps the bucket's `config_seq`.
/// `Error::QuotaExceeded` for pools and for origins, `Error::NotUnique { field: "name" }`,
/// `Error::MissingReference` for the monitor or the monitor group.
pub async fn create(db: &mut Tenant, account: AccountId, settings: &PoolSettings) -> Result<Pool, Error> {
    let limits = accounts::lock(db.conn(), account).await?;
    let (usage, now) = accounts::usage_now(db.conn(), account).await?;
    accounts::within_quota("pools", limits.pools, usage.pools, 1)?;
    accounts::within_quota("origins", limits.origins, usage.origins, settings.origins.len())?;
    let judged = is_judged(db, account, settings).await?;
    let pool = Pool {
        id: PoolId::random(&mut rand::rng()),
        account_id: account,
        origins: settings.origins.iter().map(|origin| new_origin(origin, now)).collect(),
        disabled_at: (!settings.enabled).then_some(now),
        settings: settings.clone(),
        created_on: now,
        modified_on: now,
    };
    rows::write_pool(db.conn(), &pool).await?;
    rows::write_origins(db.conn(), &pool).await?;
    buckets::bump_config(db.conn(), &[Bucket::of(pool.id)]).await?;
    let health: Vec<OriginHealth> = settings
        .origins
        .iter()
        .map(|origin| OriginHealth { enabled: origin.enabled, verdict: Published::Unknown, down_in_a_region: false })
        .collect();
    let state = pool_state(settings.enabled, judged, settings.minimum_origins, &health);
    rows::insert_pool_state(db.conn(), &pool, state).await?;
    rows::write_check_states(db.conn(), &pool).await?;
    audit::created(db.conn(), &pool).await?;
    Ok(pool)
}

/// Replaces the settings. Origins are matched by name: a kept one keeps its check and verdict, and gets a new
/// `config_gen` where address, port, network or Host changed, or where it or the pool was enabled or got
/// another monitor or group; a removed one loses its check; a new one is a new check. Bumps the bucket's `config_seq`.
/// Equal settings change nothing, `modified_on` included. Errors as [`create`]. `Ok(None)`: no such pool.
pub async fn replace(db: &mut Tenant, account: AccountId, id: PoolId, settings: &PoolSettings) -> Result<Option<Pool>, Error> {
    let limits = accounts::lock(db.conn(), account).await?;
    let Some(current) = find(db, account, id).await? else { return Ok(None) };
    if current.settings == *settings {
        return Ok(Some(current));
    }
    let (usage, now) = accounts::usage_now(db.conn(), account).await?;
    let more = settings.origins.len().saturating_sub(current.origins.len());
    accounts::within_quota("origins", limits.origins, usage.origins, more)?;
    is_judged(db, account, settings).await?;

    let removed: Vec<CheckId> = current
        .origins
        .iter()
        .filter(|held| !settings.origins.iter().any(|origin| origin.name == held.settings.name))
        .map(|held| held.check_id)
        .collect();
    let pool = Pool {
        id,
        account_id: account,
        origins: settings.origins.iter().map(|origin| kept_or_new(&current, settings, origin, now)).collect(),
        disabled_at: (!settings.enabled).then(|| current.disabled_at.unwrap_or(now)),
        settings: settings.clone(),
        created_on: current.created_on,
        modified_on: now,
    };
    rows::write_pool(db.conn(), &pool).await?;
    rows::delete_origins(db.conn(), &pool, &removed).await?;
    rows::write_origins(db.conn(), &pool).await?;
    buckets::bump_config(db.conn(), &[Bucket::of(id)]).await?;
    rows::delete_check_states(db.conn(), &pool, &removed).await?;
    rows::write_check_states(db.conn(), &pool).await?;
    audit::updated(db.conn(), &current, &pool).await?;
    Ok(Some(pool))
}

/// Empties the addresses for notices of every pool of the account that has some. Nothing that is probed changes.
pub async fn clear_notification_email(db: &mut Tenant, account: AccountId) -> Result<(), Error> {
    accounts::lock(db.conn(), account).await?;
    let before = list(db, account, None).await?;
    let (_, now) = accounts::usage_now(db.conn(), account).await?;
    for pool in before.into_iter().filter(|pool| !pool.settings.notification_email.is_empty()) {
        let settings = PoolSettings { notification_email: String::new(), ..pool.settings.clone() };
        let cleared = Pool { settings, modified_on: now, ..pool.clone() };
        rows::write_pool(db.conn(), &cleared).await?;
        audit::updated(db.conn(), &pool, &cleared).await?;
    }
    Ok(())
}

/// `Error::Referenced` while load balancers name it, with every place. `Ok(false)`: no such pool.
pub async fn delete(db: &mut Tenant, account: AccountId, id: PoolId) -> Result<bool, Error> {
    let Some(pool) = find_for_update(db, account, id).await? else { return Ok(false) };
    let referrers = sqlx::query!(
        r#"
        select l.load_balancer_id, l.name, r.place
        from load_balancer_pool as r
        join load_balancer as l on l.account_id = r.account_id and l.load_balancer_id = r.load_balancer_id
        where r.account_id = $1 and r.pool_id = $2
        order by l.created_on, l.load_balancer_id, r.place
        "#,
        account.as_bytes(),
        id.as_bytes()
    )
    .fetch_all(db.conn())
    .await?;
    if !referrers.is_empty() {
        let referrers = referrers.into_iter().map(|row| Referrer {
            resource_type: "load_balancer",
            name: row.name,
            id: hex(&row.load_balancer_id),
            place: row.place,
        });
        return Err(Error::Referenced { referrers: referrers.collect() });
    }
    sqlx::query!("delete from pool where account_id = $1 and pool_id = $2", account.as_bytes(), id.as_bytes()).execute(db.conn()).await?;
    let bucket = Bucket::of(id);
    buckets::bump_config(db.conn(), &[bucket]).await?;
    rows::delete_pool_state(db.conn(), bucket, account, id).await?;
    audit::deleted(db.conn(), &pool).await?;
    Ok(true)
}

fn new_origin(settings: &OriginSettings, now: Timestamp) -> Origin {
    Origin {
        check_id: CheckId::random(&mut rand::rng()),
        config_gen: 1,
        settings: settings.clone(),
        disabled_at: (!settings.enabled).then_some(now),
    }
}

/// The origin of that name under its new settings; a new check where there is none.
fn kept_or_new(current: &Pool, pool: &PoolSettings, settings: &OriginSettings, now: Timestamp) -> Origin {
    let Some(held) = current.origins.iter().find(|held| held.settings.name == settings.name) else { return new_origin(settings, now) };
    let old = &held.settings;
    let probes_differently = old.address != settings.address
        || old.port != settings.port
        || old.host != settings.host
        || old.virtual_network_id != settings.virtual_network_id;
    let probed_again = (settings.enabled && !old.enabled) || (pool.enabled && !current.settings.enabled);
    let by_others = pool.monitor != current.settings.monitor || pool.monitor_group != current.settings.monitor_group;
    let renewed = probes_differently || probed_again || by_others;
    Origin {
        check_id: held.check_id,
        config_gen: held.config_gen + u64::from(renewed),
        settings: settings.clone(),
        disabled_at: (!settings.enabled).then(|| held.disabled_at.unwrap_or(now)),
    }
}

/// Whether the pool's origins are judged by anybody. `Error::MissingReference` for a monitor or a group that
/// the account does not have.
async fn is_judged(db: &mut Tenant, account: AccountId, settings: &PoolSettings) -> Result<bool, Error> {
    let missing = |resource, id: String| Error::MissingReference { resource, id };
    if let Some(id) = settings.monitor {
        let found = sqlx::query_scalar!(
            "select monitor_id from monitor where account_id = $1 and monitor_id = $2",
            account.as_bytes(),
            id.as_bytes()
        )
        .fetch_optional(db.conn())
        .await?;
        return found.map(|_| true).ok_or_else(|| missing("monitor", id.to_string()));
    }
    let Some(id) = settings.monitor_group else { return Ok(false) };
    let group = monitor_groups::find(db, account, id).await?.ok_or_else(|| missing("monitor_group", id.to_string()))?;
    Ok(group.settings().voices().into_iter().any(Voice::votes))
}
