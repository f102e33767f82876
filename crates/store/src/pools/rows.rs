//! The rows of a pool: its settings and origins (by account), its states (by bucket).

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use quorate_core::bucket::Bucket;
use quorate_core::ids::{AccountId, CheckId, MonitorId, PoolId};
use quorate_core::pool::{CheckRegionsSetting, Origin, OriginSettings, Pool, PoolSettings, PoolState};
use serde::Deserialize;
use serde_json::Value;
use sqlx::PgConnection;

use crate::error::{Error, on_constraint};
use crate::row::{Place, big};

pub(crate) struct PoolRow {
    pub(crate) account_id: Vec<u8>,
    pub(crate) pool_id: Vec<u8>,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) enabled: bool,
    pub(crate) disabled_at: Option<jiff_sqlx::Timestamp>,
    pub(crate) minimum_origins: i64,
    pub(crate) monitor_id: Option<Vec<u8>>,
    pub(crate) monitor_group_id: Option<Vec<u8>>,
    pub(crate) check_regions: Option<Vec<String>>,
    pub(crate) latitude: Option<f64>,
    pub(crate) longitude: Option<f64>,
    pub(crate) notification_email: String,
    pub(crate) origin_steering: Option<Value>,
    pub(crate) load_shedding: Option<Value>,
    pub(crate) notification_filter: Option<Value>,
    pub(crate) health_sources: Option<Value>,
    pub(crate) created_on: jiff_sqlx::Timestamp,
    pub(crate) modified_on: jiff_sqlx::Timestamp,
}

/// A [`PoolRow`] from a record that has its columns among others.
macro_rules! pool_row {
    ($record:ident) => {
        $crate::pools::PoolRow {
            account_id: $record.account_id,
            pool_id: $record.pool_id,
            name: $record.name,
            description: $record.description,
            enabled: $record.enabled,
            disabled_at: $record.disabled_at,
            minimum_origins: $record.minimum_origins,
            monitor_id: $record.monitor_id,
            monitor_group_id: $record.monitor_group_id,
            check_regions: $record.check_regions,
            latitude: $record.latitude,
            longitude: $record.longitude,
            notification_email: $record.notification_email,
            origin_steering: $record.origin_steering,
            load_shedding: $record.load_shedding,
            notification_filter: $record.notification_filter,
            health_sources: $record.health_sources,
            created_on: $record.created_on,
            modified_on: $record.modified_on,
        }
    };
}
pub(crate) use pool_row;

/// One of the list that `origin_rows` makes.
#[derive(Deserialize)]
struct OriginRow {
    check_id: CheckId,
    config_gen: u64,
    disabled_at: Option<Timestamp>,
    #[serde(flatten)]
    settings: OriginSettings,
}

impl From<OriginRow> for Origin {
    fn from(row: OriginRow) -> Self {
        Self { check_id: row.check_id, config_gen: row.config_gen, settings: row.settings, disabled_at: row.disabled_at }
    }
}

impl PoolRow {
    /// The pool, with its origins in order.
    pub(crate) fn with_origins(self, origins: Vec<Origin>) -> Result<Pool, Error> {
        let place = Place { table: "pool", key: &self.pool_id };
        Ok(Pool {
            id: place.id("pool_id", &self.pool_id)?,
            account_id: place.id("account_id", &self.account_id)?,
            disabled_at: self.disabled_at.map(jiff_sqlx::Timestamp::to_jiff),
            created_on: self.created_on.to_jiff(),
            modified_on: self.modified_on.to_jiff(),
            settings: PoolSettings {
                minimum_origins: place.number("minimum_origins", self.minimum_origins)?,
                monitor: self.monitor_id.as_deref().map(|id| place.id("monitor_id", id)).transpose()?,
                name: self.name,
                description: self.description,
                enabled: self.enabled,
                monitor_group: self.monitor_group_id.as_deref().map(|id| place.id("monitor_group_id", id)).transpose()?,
                check_regions: CheckRegionsSetting(self.check_regions),
                origins: origins.iter().map(|origin| origin.settings.clone()).collect(),
                latitude: self.latitude,
                longitude: self.longitude,
                notification_email: self.notification_email,
                origin_steering: self.origin_steering,
                load_shedding: self.load_shedding,
                notification_filter: self.notification_filter,
                health_sources: self.health_sources,
            },
            origins,
        })
    }
}

pub(super) async fn select(
    conn: &mut PgConnection,
    account: AccountId,
    id: Option<PoolId>,
    monitor: Option<MonitorId>,
) -> Result<Vec<Pool>, Error> {
    // Pools and origins in one statement, so that both are of one instant.
    let rows = sqlx::query!(
        r#"
        select p.account_id, p.pool_id, p.name, p.description, p.enabled, p.disabled_at as "disabled_at: jiff_sqlx::Timestamp",
            p.minimum_origins, p.monitor_id, p.monitor_group_id, p.check_regions, p.latitude, p.longitude, p.notification_email,
            p.origin_steering, p.load_shedding, p.notification_filter, p.health_sources,
            p.created_on as "created_on: jiff_sqlx::Timestamp", p.modified_on as "modified_on: jiff_sqlx::Timestamp",
            origin_rows(p.account_id, p.pool_id) as "origins!"
        from pool as p
        where p.account_id = $1 and ($2::bytea is null or p.pool_id = $2) and ($3::bytea is null or p.monitor_id = $3)
        order by p.created_on, p.pool_id
        "#,
        account.as_bytes(),
        id.as_ref().map(|id| id.as_bytes().as_slice()),
        monitor.as_ref().map(|id| id.as_bytes().as_slice()),
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let place = Place { table: "pool", key: &row.pool_id };
            let origins: Vec<OriginRow> = place.json("origins", row.origins)?;
            pool_row!(row).with_origins(origins.into_iter().map(Into::into).collect())
        })
        .collect()
}

/// Inserts the pool, or overwrites the one with its id.
pub(super) async fn write_pool(conn: &mut PgConnection, pool: &Pool) -> Result<(), Error> {
    let settings = &pool.settings;
    sqlx::query!(
        r#"
        insert into pool (
            account_id, pool_id, bucket, name, description, enabled, disabled_at, minimum_origins, monitor_id, monitor_group_id,
            check_regions, latitude, longitude, notification_email, origin_steering, load_shedding, notification_filter,
            health_sources, created_on, modified_on
        )
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
        on conflict (account_id, pool_id) do update
        set name = excluded.name, description = excluded.description, enabled = excluded.enabled,
            disabled_at = excluded.disabled_at, minimum_origins = excluded.minimum_origins, monitor_id = excluded.monitor_id,
            monitor_group_id = excluded.monitor_group_id, check_regions = excluded.check_regions, latitude = excluded.latitude,
            longitude = excluded.longitude, notification_email = excluded.notification_email,
            origin_steering = excluded.origin_steering, load_shedding = excluded.load_shedding,
            notification_filter = excluded.notification_filter, health_sources = excluded.health_sources,
            modified_on = excluded.modified_on
        "#,
        pool.account_id.as_bytes(),
        pool.id.as_bytes(),
        Bucket::of(pool.id).number().cast_signed(),
        settings.name,
        settings.description,
        settings.enabled,
        pool.disabled_at.map(ToSqlx::to_sqlx) as _,
        i64::from(settings.minimum_origins),
        settings.monitor.as_ref().map(|id| id.as_bytes().as_slice()),
        settings.monitor_group.as_ref().map(|id| id.as_bytes().as_slice()),
        settings.check_regions.0.as_deref(),
        settings.latitude,
        settings.longitude,
        settings.notification_email,
        settings.origin_steering.as_ref() as Option<&Value>,
        settings.load_shedding.as_ref() as Option<&Value>,
        settings.notification_filter.as_ref() as Option<&Value>,
        settings.health_sources.as_ref() as Option<&Value>,
        pool.created_on.to_sqlx() as _,
        pool.modified_on.to_sqlx() as _,
    )
    .execute(conn)
    .await
    .map_err(|problem| on_constraint(problem, "pool_name_key", || Error::NotUnique { field: "name" }))?;
    Ok(())
}

/// Inserts the pool's origins, or overwrites those with their check ids.
pub(super) async fn write_origins(conn: &mut PgConnection, pool: &Pool) -> Result<(), Error> {
    let origins = &pool.origins;
    let column = |of: fn(&Origin) -> &str| -> Vec<&str> { origins.iter().map(of).collect() };
    let checks: Vec<&[u8]> = origins.iter().map(|origin| origin.check_id.as_bytes().as_slice()).collect();
    let gens: Vec<i64> = origins.iter().map(|origin| big(origin.config_gen)).collect();
    let names = column(|origin| &origin.settings.name);
    let addresses = column(|origin| &origin.settings.address);
    let enabled: Vec<bool> = origins.iter().map(|origin| origin.settings.enabled).collect();
    let disabled_at: Vec<Option<jiff_sqlx::Timestamp>> = origins.iter().map(|origin| origin.disabled_at.map(ToSqlx::to_sqlx)).collect();
    let weights: Vec<i16> = origins.iter().map(|origin| i16::from(origin.settings.weight.0)).collect();
    let hosts: Vec<Option<&str>> = origins.iter().map(|origin| origin.settings.host.as_deref()).collect();
    let ports: Vec<i32> = origins.iter().map(|origin| i32::from(origin.settings.port)).collect();
    let flatten: Vec<Option<bool>> = origins.iter().map(|origin| origin.settings.flatten_cname).collect();
    let networks: Vec<Option<&str>> = origins.iter().map(|origin| origin.settings.virtual_network_id.as_deref()).collect();
    sqlx::query!(
        r#"
        insert into origin (
            account_id, pool_id, check_id, config_gen, place, name, address, enabled, disabled_at, weight, host, port,
            flatten_cname, virtual_network_id
        )
        select $1, $2, o.check_id, o.config_gen, o.place - 1, o.name, o.address, o.enabled, o.disabled_at, o.weight, o.host,
            o.port, o.flatten_cname, o.virtual_network_id
        from unnest(
            $3::bytea[], $4::bigint[], $5::text[], $6::text[], $7::boolean[], $8::timestamptz[], $9::smallint[], $10::text[],
            $11::integer[], $12::boolean[], $13::text[]
        ) with ordinality as o (
            check_id, config_gen, name, address, enabled, disabled_at, weight, host, port, flatten_cname, virtual_network_id, place
        )
        on conflict (account_id, pool_id, check_id) do update
        set config_gen = excluded.config_gen, place = excluded.place, address = excluded.address, enabled = excluded.enabled,
            disabled_at = excluded.disabled_at, weight = excluded.weight, host = excluded.host, port = excluded.port,
            flatten_cname = excluded.flatten_cname, virtual_network_id = excluded.virtual_network_id
        "#,
        pool.account_id.as_bytes(),
        pool.id.as_bytes(),
        &checks as &[&[u8]],
        &gens,
        &names as &[&str],
        &addresses as &[&str],
        &enabled,
        &disabled_at as _,
        &weights,
        &hosts as &[Option<&str>],
        &ports,
        &flatten as &[Option<bool>],
        &networks as &[Option<&str>],
    )
    .execute(conn)
    .await
    .map_err(|problem| on_constraint(problem, "origin_name_key", || Error::NotUnique { field: "origins.name" }))?;
    Ok(())
}

pub(super) async fn delete_origins(conn: &mut PgConnection, pool: &Pool, checks: &[CheckId]) -> Result<(), Error> {
    let checks: Vec<&[u8]> = checks.iter().map(|id| id.as_bytes().as_slice()).collect();
    sqlx::query!(
        "delete from origin where account_id = $1 and pool_id = $2 and check_id = any ($3)",
        pool.account_id.as_bytes(),
        pool.id.as_bytes(),
        &checks as &[&[u8]]
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(crate) async fn insert_pool_state(conn: &mut PgConnection, pool: &Pool, state: PoolState) -> Result<(), Error> {
    sqlx::query!(
        "insert into pool_state (bucket, account_id, pool_id, state, since) values ($1, $2, $3, $4, $5)",
        Bucket::of(pool.id).number().cast_signed(),
        pool.account_id.as_bytes(),
        pool.id.as_bytes(),
        state.number(),
        pool.modified_on.to_sqlx() as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Inserts the states of new checks; a kept check keeps its verdict and takes the new generation.
pub(crate) async fn write_check_states(conn: &mut PgConnection, pool: &Pool) -> Result<(), Error> {
    let checks: Vec<&[u8]> = pool.origins.iter().map(|origin| origin.check_id.as_bytes().as_slice()).collect();
    let gens: Vec<i64> = pool.origins.iter().map(|origin| big(origin.config_gen)).collect();
    sqlx::query!(
        r#"
        insert into check_state as s (bucket, account_id, check_id, pool_id, config_gen, since)
        select $1, $2, c.check_id, $3, c.config_gen, $4
        from unnest($5::bytea[], $6::bigint[]) as c (check_id, config_gen)
        on conflict (bucket, account_id, check_id) do update
        set config_gen = excluded.config_gen
        where s.config_gen <> excluded.config_gen
        "#,
        Bucket::of(pool.id).number().cast_signed(),
        pool.account_id.as_bytes(),
        pool.id.as_bytes(),
        pool.modified_on.to_sqlx() as _,
        &checks as &[&[u8]],
        &gens,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn delete_check_states(conn: &mut PgConnection, pool: &Pool, checks: &[CheckId]) -> Result<(), Error> {
    let checks: Vec<&[u8]> = checks.iter().map(|id| id.as_bytes().as_slice()).collect();
    sqlx::query!(
        r#"
        -- Locked in the order in which votes are written, so that neither waits for the other in a circle.
        with locked as (
            select check_id from check_state
            where bucket = $1 and account_id = $2 and check_id = any ($3)
            order by check_id
            for update
        )
        delete from check_state as c
        using locked
        where c.bucket = $1 and c.account_id = $2 and c.check_id = locked.check_id
        "#,
        Bucket::of(pool.id).number().cast_signed(),
        pool.account_id.as_bytes(),
        &checks as &[&[u8]]
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes the pool's state, and with it its checks' states and votes.
pub(crate) async fn delete_pool_state(conn: &mut PgConnection, bucket: Bucket, account: AccountId, id: PoolId) -> Result<(), Error> {
    // As in `delete_check_states`.
    sqlx::query!(
        "select check_id from check_state where bucket = $1 and account_id = $2 and pool_id = $3 order by check_id for update",
        bucket.number().cast_signed(),
        account.as_bytes(),
        id.as_bytes()
    )
    .fetch_all(&mut *conn)
    .await?;
    sqlx::query!(
        "delete from pool_state where bucket = $1 and account_id = $2 and pool_id = $3",
        bucket.number().cast_signed(),
        account.as_bytes(),
        id.as_bytes()
    )
    .execute(conn)
    .await?;
    Ok(())
}
