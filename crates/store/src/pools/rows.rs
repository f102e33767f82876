//! The rows of a pool: its settings and origins (by account), its states (by bucket).

use jiff_sqlx::ToSqlx;
use quorate_core::bucket::Bucket;
use quorate_core::ids::{AccountId, CheckId, MonitorId, PoolId};
use quorate_core::pool::{CheckRegionsSetting, Origin, OriginSettings, Pool, PoolSettings, PoolState, Weight};
use serde_json::Value;
use sqlx::PgConnection;

use crate::error::{Error, on_constraint};
use crate::row::{Place, big, keys};

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

/// A pool beside one of its origins; one without origins stands once, beside nothing.
struct Beside {
    account_id: Vec<u8>,
    pool_id: Vec<u8>,
    name: String,
    description: String,
    enabled: bool,
    disabled_at: Option<jiff_sqlx::Timestamp>,
    minimum_origins: i64,
    monitor_id: Option<Vec<u8>>,
    monitor_group_id: Option<Vec<u8>>,
    check_regions: Option<Vec<String>>,
    latitude: Option<f64>,
    longitude: Option<f64>,
    notification_email: String,
    origin_steering: Option<Value>,
    load_shedding: Option<Value>,
    notification_filter: Option<Value>,
    health_sources: Option<Value>,
    created_on: jiff_sqlx::Timestamp,
    modified_on: jiff_sqlx::Timestamp,
    /// `None`, and so all that follows: beside nothing.
    check_id: Option<Vec<u8>>,
    config_gen: Option<i64>,
    origin_name: Option<String>,
    address: Option<String>,
    origin_enabled: Option<bool>,
    origin_disabled_at: Option<jiff_sqlx::Timestamp>,
    weight: Option<i16>,
    host: Option<String>,
    port: Option<i32>,
    flatten_cname: Option<bool>,
    virtual_network_id: Option<String>,
}

impl Beside {
    /// Takes the origin out.
    fn origin(&mut self) -> Result<Option<Origin>, Error> {
        let Some(check_id) = self.check_id.take() else { return Ok(None) };
        let place = Place { table: "origin", key: &check_id };
        let missing = |column| place.corrupt(format_args!("{column} is null"));
        Ok(Some(Origin {
            check_id: place.id("check_id", &check_id)?,
            config_gen: place.number("config_gen", self.config_gen.ok_or_else(|| missing("config_gen"))?)?,
            disabled_at: self.origin_disabled_at.take().map(jiff_sqlx::Timestamp::to_jiff),
            settings: OriginSettings {
                name: self.origin_name.take().ok_or_else(|| missing("name"))?,
                address: self.address.take().ok_or_else(|| missing("address"))?,
                enabled: self.origin_enabled.ok_or_else(|| missing("enabled"))?,
                weight: Weight(place.number("weight", self.weight.ok_or_else(|| missing("weight"))?)?),
                host: self.host.take(),
                port: place.number("port", self.port.ok_or_else(|| missing("port"))?)?,
                flatten_cname: self.flatten_cname,
                virtual_network_id: self.virtual_network_id.take(),
            },
        }))
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

/// Pools with their origins in one statement, so that both are of one instant; for whom, it says itself, so that it
/// needs no transaction around it (see [`crate::reader`]).
macro_rules! beside {
    ($conn:expr, $scope:expr, $account:expr, $condition:tt, $asked:expr) => {
        sqlx::query_as!(
            Beside,
            r#"
            select w.account_id as "account_id!", w.pool_id as "pool_id!", w.name as "name!", w.description as "description!",
                w.enabled as "enabled!", w.disabled_at as "disabled_at?: jiff_sqlx::Timestamp", w.minimum_origins as "minimum_origins!",
                w.monitor_id as "monitor_id?", w.monitor_group_id as "monitor_group_id?", w.check_regions as "check_regions?",
                w.latitude as "latitude?", w.longitude as "longitude?", w.notification_email as "notification_email!",
                w.origin_steering as "origin_steering?", w.load_shedding as "load_shedding?",
                w.notification_filter as "notification_filter?", w.health_sources as "health_sources?",
                w.created_on as "created_on!: jiff_sqlx::Timestamp", w.modified_on as "modified_on!: jiff_sqlx::Timestamp",
                w.check_id as "check_id?", w.config_gen as "config_gen?", w.origin_name as "origin_name?", w.address as "address?",
                w.origin_enabled as "origin_enabled?", w.origin_disabled_at as "origin_disabled_at?: jiff_sqlx::Timestamp",
                w.weight as "weight?", w.host as "host?", w.port as "port?", w.flatten_cname as "flatten_cname?",
                w.virtual_network_id as "virtual_network_id?"
            from (select set_config('quorate.accounts', $1::bytea[]::text, true) as accounts offset 0) as s
            cross join lateral (
                select p.account_id, p.pool_id, p.name, p.description, p.enabled, p.disabled_at, p.minimum_origins, p.monitor_id,
                    p.monitor_group_id, p.check_regions, p.latitude, p.longitude, p.notification_email, p.origin_steering,
                    p.load_shedding, p.notification_filter, p.health_sources, p.created_on, p.modified_on,
                    o.check_id, o.config_gen, o.place, o.name as origin_name, o.address, o.enabled as origin_enabled,
                    o.disabled_at as origin_disabled_at, o.weight, o.host, o.port, o.flatten_cname, o.virtual_network_id
                from pool as p
                left join origin as o on o.account_id = p.account_id and o.pool_id = p.pool_id
                where s.accounts is not null and "#
                + $condition
                + r#"
                offset 0
            ) as w
            where w.account_id = $2
            order by w.created_on, w.pool_id, w.place
            "#,
            $scope as &[&[u8]],
            $account.as_bytes(),
            $asked,
        )
        .fetch_all($conn)
        .await?
    };
}

/// In creation order.
pub(super) async fn list(
    conn: &mut PgConnection,
    scope: &[AccountId],
    account: AccountId,
    monitor: Option<MonitorId>,
) -> Result<Vec<Pool>, Error> {
    let monitor = monitor.as_ref().map(|id| id.as_bytes().as_slice());
    gathered(beside!(conn, &keys(scope), account, "p.account_id = $2 and ($3::bytea is null or p.monitor_id = $3)", monitor))
}

pub(super) async fn find(conn: &mut PgConnection, scope: &[AccountId], account: AccountId, id: PoolId) -> Result<Option<Pool>, Error> {
    // Without the account among the conditions: beside what row-level security asks of it, the server would take any index
    // that begins with the account for as good as the one of the id.
    Ok(gathered(beside!(conn, &keys(scope), account, "p.pool_id = $3", id.as_bytes()))?.pop())
}

/// The pools of rows, of which those of one pool follow each other.
fn gathered(rows: Vec<Beside>) -> Result<Vec<Pool>, Error> {
    let mut pools: Vec<(PoolRow, Vec<Origin>)> = Vec::new();
    for mut row in rows {
        let origin = row.origin()?;
        if pools.last().is_none_or(|(pool, _)| pool.pool_id != row.pool_id) {
            pools.push((pool_row!(row), Vec::new()));
        }
        if let (Some(origin), Some((_, origins))) = (origin, pools.last_mut()) {
            origins.push(origin);
        }
    }
    pools.into_iter().map(|(pool, origins)| pool.with_origins(origins)).collect()
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
