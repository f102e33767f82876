//! Everything that the owner of buckets needs, in a few statements over one snapshot, however many buckets.

mod check_state;
mod healthchecks;

use std::collections::HashMap;

use quorate_core::bucket::Bucket;
use quorate_core::event::Subject;
use quorate_core::failure::FailureReason;
use quorate_core::ids::{MonitorGroupId, MonitorId, PoolId};
use quorate_core::monitor::MonitorSettings;
use quorate_core::monitor_group::{Monitoring, Voice};
use quorate_core::pool::{Origin, OriginSettings, PoolSettings, PoolState, Weight};
use quorate_core::pop::PopNo;
use quorate_core::region::Region;
use sqlx::{Connection, PgConnection};

use super::{BucketConfig, PoolConfig, PublishedCheck, UnreadablePool};
use crate::db::Db;
use crate::error::Error;
use crate::header_secrets::{HeaderSecrets, unreadable};
use crate::monitors;
use crate::pools::pool_row;
use crate::row::Place;

use check_state::CheckStateColumns;

pub(super) async fn buckets(db: &Db, wanted: &[Bucket]) -> Result<Vec<BucketConfig>, Error> {
    let mut conn = db.operator_pool().acquire().await?;
    let mut tx = conn.begin_with("begin isolation level repeatable read, read only").await?;
    let numbers: Vec<i16> = wanted.iter().map(|bucket| bucket.number().cast_signed()).collect();
    let mut found = bucket_rows(&mut tx, &numbers).await?;
    add_seats(&mut tx, &numbers, &mut found).await?;
    let monitors = monitor_settings(&mut tx, db.header_secrets(), &numbers).await?;
    let groups = group_voices(&mut tx, &numbers).await?;
    let checks = checks(&mut tx, &numbers).await?;
    add_pools(&mut tx, &numbers, &monitors, &groups, checks, &mut found).await?;
    healthchecks::add(&mut tx, db.header_secrets(), &numbers, &mut found).await?;
    tx.commit().await?;
    Ok(wanted.iter().filter_map(|bucket| found.remove(bucket)).collect())
}

async fn bucket_rows(conn: &mut PgConnection, numbers: &[i16]) -> Result<HashMap<Bucket, BucketConfig>, Error> {
    let rows = sqlx::query!("select bucket, config_seq from bucket_owner where bucket = any ($1)", numbers).fetch_all(conn).await?;
    rows.into_iter()
        .map(|row| {
            let place = Place { table: "bucket_owner", key: &row.bucket.to_be_bytes() };
            let bucket = place.bucket(row.bucket)?;
            let config_seq = place.number("config_seq", row.config_seq)?;
            Ok((bucket, BucketConfig { bucket, config_seq, seats: Vec::new(), pools: Vec::new(), unreadable: Vec::new() }))
        })
        .collect()
}

async fn add_seats(conn: &mut PgConnection, numbers: &[i16], found: &mut HashMap<Bucket, BucketConfig>) -> Result<(), Error> {
    let rows = sqlx::query!("select bucket, region, pops from bucket_seat where bucket = any ($1)", numbers).fetch_all(conn).await?;
    for row in rows {
        let place = Place { table: "bucket_seat", key: &row.bucket.to_be_bytes() };
        let region: Region = place.text("region", &row.region)?;
        let pops = row.pops.iter().map(|pop| Ok(PopNo(place.number("pops", *pop)?))).collect::<Result<_, Error>>()?;
        if let Some(config) = found.get_mut(&place.bucket(row.bucket)?) {
            config.seats.push((region, pops));
        }
    }
    for config in found.values_mut() {
        config.seats.sort_unstable_by_key(|(region, _)| *region);
    }
    Ok(())
}

/// What could be read, or what is wrong with it: a problem of the pools that use it alone.
type Readable<T> = Result<T, String>;

async fn monitor_settings(
    conn: &mut PgConnection,
    secrets: &HeaderSecrets,
    numbers: &[i16],
) -> Result<HashMap<MonitorId, Readable<MonitorSettings>>, Error> {
    let rows = sqlx::query_as!(
        monitors::Row,
        r#"
        select account_id, monitor_id, kind, description, method, path, header, secret_headers, port, timeout_s, retries, interval_s,
            consecutive_up, consecutive_down, expected_codes, expected_body, follow_redirects, allow_insecure, probe_zone,
            created_on as "created_on: jiff_sqlx::Timestamp", modified_on as "modified_on: jiff_sqlx::Timestamp"
        from monitor as m
        where exists (select from pool as p where p.bucket = any ($1) and p.account_id = m.account_id and p.monitor_id = m.monitor_id)
            or exists (
                select from monitor_group_member as g
                join pool as p on p.account_id = g.account_id and p.monitor_group_id = g.monitor_group_id
                where p.bucket = any ($1) and g.account_id = m.account_id and g.monitor_id = m.monitor_id and g.enabled
            )
        "#,
        numbers
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let id = Place { table: "monitor", key: &row.monitor_id }.id("monitor_id", &row.monitor_id)?;
            let read = row.monitor(secrets).map(|monitor| monitor.settings).map_err(|problem| problem.to_string());
            let settings = read.and_then(|settings| match unreadable(&settings.header) {
                Some(name) => Err(format!("header {name:?} of monitor {id} cannot be opened: the key that sealed it is not there")),
                None => Ok(settings),
            });
            Ok((id, settings))
        })
        .collect()
}

/// The enabled members of the groups that the pools use, by id of their monitors.
async fn group_voices(conn: &mut PgConnection, numbers: &[i16]) -> Result<HashMap<MonitorGroupId, Vec<Voice>>, Error> {
    let rows = sqlx::query!(
        r#"
        select g.monitor_group_id, g.monitor_id, g.monitoring_only, g.must_be_healthy
        from monitor_group_member as g
        where g.enabled
            and exists (
                select from pool as p
                where p.bucket = any ($1) and p.account_id = g.account_id and p.monitor_group_id = g.monitor_group_id
            )
        order by g.monitor_group_id, g.monitor_id
        "#,
        numbers
    )
    .fetch_all(conn)
    .await?;
    let mut found: HashMap<MonitorGroupId, Vec<Voice>> = HashMap::new();
    for row in rows {
        let place = Place { table: "monitor_group_member", key: &row.monitor_group_id };
        found.entry(place.id("monitor_group_id", &row.monitor_group_id)?).or_default().push(Voice {
            monitor: place.id("monitor_id", &row.monitor_id)?,
            monitoring_only: row.monitoring_only,
            must_be_healthy: row.must_be_healthy,
        });
    }
    Ok(found)
}

/// What the origins of a pool are asked.
fn monitoring(
    place: Place<'_>,
    pool: &PoolSettings,
    monitors: &HashMap<MonitorId, Readable<MonitorSettings>>,
    groups: &HashMap<MonitorGroupId, Vec<Voice>>,
) -> Readable<Monitoring> {
    let monitor =
        |id: MonitorId| monitors.get(&id).cloned().unwrap_or_else(|| Err(place.corrupt(format_args!("no monitor {id}")).to_string()));
    if let Some(id) = pool.monitor {
        return monitor(id).map(Monitoring::Monitor);
    }
    let Some(group) = pool.monitor_group else { return Ok(Monitoring::Nothing) };
    // A group that is not here has no enabled member.
    let voices = groups.get(&group).map(Vec::as_slice).unwrap_or_default();
    voices.iter().map(|voice| Ok((*voice, monitor(voice.monitor)?))).collect::<Result<_, _>>().map(Monitoring::Group)
}

/// The origins of a pool in order, each with what is published of it.
type Checks = Vec<(Origin, PublishedCheck)>;

async fn checks(conn: &mut PgConnection, numbers: &[i16]) -> Result<HashMap<PoolId, Readable<Checks>>, Error> {
    let rows = sqlx::query!(
        r#"
        select o.pool_id, o.check_id, o.config_gen, o.name, o.address, o.enabled,
            o.disabled_at as "disabled_at: jiff_sqlx::Timestamp", o.weight, o.host, o.port, o.flatten_cname, o.virtual_network_id,
            s.config_gen as "published_gen?", s.verdict as "verdict?", s.verdict_seq as "verdict_seq?", s.reason, s.response_code
        from pool as p
        join origin as o on o.account_id = p.account_id and o.pool_id = p.pool_id
        left join check_state as s
            on s.bucket = p.bucket and s.bucket = any ($1) and s.account_id = p.account_id and s.check_id = o.check_id
        where p.bucket = any ($1)
        order by o.pool_id, o.place
        "#,
        numbers
    )
    .fetch_all(conn)
    .await?;
    let mut found: HashMap<PoolId, Readable<Checks>> = HashMap::new();
    for row in rows {
        let place = Place { table: "origin", key: &row.check_id };
        let of_pool = found.entry(place.id("pool_id", &row.pool_id)?).or_insert_with(|| Ok(Vec::new()));
        let Ok(checks) = of_pool else { continue };
        let read = || -> Result<(Origin, PublishedCheck), Error> {
            let origin = Origin {
                check_id: place.id("check_id", &row.check_id)?,
                config_gen: place.number("config_gen", row.config_gen)?,
                disabled_at: row.disabled_at.map(jiff_sqlx::Timestamp::to_jiff),
                settings: OriginSettings {
                    name: row.name,
                    address: row.address,
                    enabled: row.enabled,
                    weight: Weight(place.number("weight", row.weight)?),
                    host: row.host,
                    port: place.number("port", row.port)?,
                    flatten_cname: row.flatten_cname,
                    virtual_network_id: row.virtual_network_id,
                },
            };
            let published = CheckStateColumns {
                config_gen: row.published_gen,
                verdict: row.verdict,
                verdict_seq: row.verdict_seq,
                reason: row.reason,
                response_code: row.response_code,
            }
            .published(origin.check_id)?;
            Ok((origin, published))
        };
        match read() {
            Ok(check) => checks.push(check),
            Err(problem) => *of_pool = Err(problem.to_string()),
        }
    }
    Ok(found)
}

fn reason(place: Place<'_>, number: i16) -> Result<FailureReason, Error> {
    FailureReason::from_wire(place.number("reason", number)?).ok_or_else(|| place.corrupt(format_args!("reason is {number}")))
}

async fn add_pools(
    conn: &mut PgConnection,
    numbers: &[i16],
    monitors: &HashMap<MonitorId, Readable<MonitorSettings>>,
    groups: &HashMap<MonitorGroupId, Vec<Voice>>,
    mut checks: HashMap<PoolId, Readable<Checks>>,
    found: &mut HashMap<Bucket, BucketConfig>,
) -> Result<(), Error> {
    let rows = sqlx::query!(
        r#"
        select p.bucket, p.account_id, p.pool_id, p.name, p.description, p.enabled,
            p.disabled_at as "disabled_at: jiff_sqlx::Timestamp", p.minimum_origins, p.monitor_id, p.monitor_group_id, p.check_regions,
            p.latitude, p.longitude, p.notification_email, p.origin_steering, p.load_shedding, p.notification_filter,
            p.health_sources, p.created_on as "created_on: jiff_sqlx::Timestamp",
            p.modified_on as "modified_on: jiff_sqlx::Timestamp",
            s.state as "state?", s.state_seq as "state_seq?", s.quorum_lost_since as "quorum_lost_since: jiff_sqlx::Timestamp"
        from pool as p
        left join pool_state as s
            on s.bucket = p.bucket and s.bucket = any ($1) and s.account_id = p.account_id and s.pool_id = p.pool_id
        where p.bucket = any ($1)
        order by p.bucket, p.account_id, p.created_on, p.pool_id
        "#,
        numbers
    )
    .fetch_all(conn)
    .await?;
    for row in rows {
        let key = row.pool_id.clone();
        let place = Place { table: "pool_state", key: &key };
        let pool_id: PoolId = place.id("pool_id", &key)?;
        let Some(config) = found.get_mut(&place.bucket(row.bucket)?) else { continue };
        let checks = checks.remove(&pool_id).unwrap_or_else(|| Ok(Vec::new()));
        let read = || -> Result<PoolConfig, String> {
            let (origins, published) = checks?.into_iter().unzip();
            let told = |problem: Error| problem.to_string();
            let (Some(state), Some(state_seq)) = (row.state, row.state_seq) else { return Err(told(place.corrupt("a pool without it"))) };
            let state = PoolState::from_number(state).ok_or_else(|| told(place.corrupt(format_args!("state is {state}"))))?;
            let state_seq = place.number("state_seq", state_seq).map_err(told)?;
            let quorum_lost_since = row.quorum_lost_since.map(jiff_sqlx::Timestamp::to_jiff);
            let pool = pool_row!(row).with_origins(origins).map_err(told)?;
            let monitoring = monitoring(place, &pool.settings, monitors, groups)?;
            Ok(PoolConfig { subject: Subject::Pool, pool, monitoring, state, state_seq, quorum_lost_since, checks: published })
        };
        match read() {
            Ok(pool) => config.pools.push(pool),
            Err(problem) => config.unreadable.push(UnreadablePool { pool_id, problem }),
        }
    }
    Ok(())
}
