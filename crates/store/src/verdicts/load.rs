//! Everything that the owner of buckets needs, in a few statements over one snapshot, however many buckets.

use std::collections::HashMap;

use quorate_core::bucket::Bucket;
use quorate_core::failure::FailureReason;
use quorate_core::ids::{CheckId, MonitorId};
use quorate_core::monitor::{Monitor, MonitorSettings};
use quorate_core::pool::{Origin, Pool, PoolState};
use quorate_core::pop::PopNo;
use quorate_core::region::Region;
use quorate_core::vote::Published;
use sqlx::{Connection, PgConnection};

use super::{BucketConfig, PoolConfig, PublishedCheck};
use crate::db::Db;
use crate::error::Error;
use crate::monitors;
use crate::pools::PoolRow;
use crate::row::Place;

pub(super) async fn buckets(db: &Db, wanted: &[Bucket]) -> Result<Vec<BucketConfig>, Error> {
    let mut conn = db.operator_pool().acquire().await?;
    let mut tx = conn.begin_with("begin isolation level repeatable read, read only").await?;
    let numbers: Vec<i16> = wanted.iter().map(|bucket| bucket.number().cast_signed()).collect();
    let mut found = bucket_rows(&mut tx, &numbers).await?;
    add_seats(&mut tx, &numbers, &mut found).await?;
    let monitors = monitor_settings(&mut tx, &numbers).await?;
    let checks = published_checks(&mut tx, &numbers).await?;
    add_pools(&mut tx, &numbers, &monitors, &checks, &mut found).await?;
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
            Ok((bucket, BucketConfig { bucket, config_seq, seats: Vec::new(), pools: Vec::new() }))
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

async fn monitor_settings(conn: &mut PgConnection, numbers: &[i16]) -> Result<HashMap<MonitorId, MonitorSettings>, Error> {
    let rows = sqlx::query_as!(
        monitors::Row,
        r#"
        select account_id, monitor_id, kind, description, method, path, header, port, timeout_s, retries, interval_s,
            consecutive_up, consecutive_down, expected_codes, expected_body, follow_redirects, allow_insecure, probe_zone,
            created_on as "created_on: jiff_sqlx::Timestamp", modified_on as "modified_on: jiff_sqlx::Timestamp"
        from monitor as m
        where exists (select from pool as p where p.bucket = any ($1) and p.account_id = m.account_id and p.monitor_id = m.monitor_id)
        "#,
        numbers
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let monitor = Monitor::try_from(row)?;
            Ok((monitor.id, monitor.settings))
        })
        .collect()
}

async fn published_checks(conn: &mut PgConnection, numbers: &[i16]) -> Result<HashMap<CheckId, PublishedCheck>, Error> {
    let rows = sqlx::query!(
        "select check_id, config_gen, verdict, verdict_seq, reason, response_code from check_state where bucket = any ($1)",
        numbers
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let place = Place { table: "check_state", key: &row.check_id };
            let check = PublishedCheck {
                check_id: place.id("check_id", &row.check_id)?,
                config_gen: place.number("config_gen", row.config_gen)?,
                verdict: Published::from_number(row.verdict).ok_or_else(|| place.corrupt(format_args!("verdict is {}", row.verdict)))?,
                verdict_seq: place.number("verdict_seq", row.verdict_seq)?,
                reason: row.reason.map(|number| reason(place, number)).transpose()?,
                response_code: row.response_code.map(|code| place.number("response_code", code)).transpose()?,
            };
            Ok((check.check_id, check))
        })
        .collect()
}

fn reason(place: Place<'_>, number: i16) -> Result<FailureReason, Error> {
    FailureReason::from_wire(place.number("reason", number)?).ok_or_else(|| place.corrupt(format_args!("reason is {number}")))
}

async fn add_pools(
    conn: &mut PgConnection,
    numbers: &[i16],
    monitors: &HashMap<MonitorId, MonitorSettings>,
    checks: &HashMap<CheckId, PublishedCheck>,
    found: &mut HashMap<Bucket, BucketConfig>,
) -> Result<(), Error> {
    let rows = sqlx::query!(
        r#"
        select p.bucket, p.account_id, p.pool_id, p.name, p.description, p.enabled,
            p.disabled_at as "disabled_at: jiff_sqlx::Timestamp", p.minimum_origins, p.monitor_id, p.monitor_group, p.check_regions,
            p.latitude, p.longitude, p.notification_email, p.origin_steering, p.load_shedding, p.notification_filter,
            p.health_sources, p.created_on as "created_on: jiff_sqlx::Timestamp",
            p.modified_on as "modified_on: jiff_sqlx::Timestamp", origin_rows(p.account_id, p.pool_id) as "origins!",
            s.state, s.state_seq, s.quorum_lost_since as "quorum_lost_since: jiff_sqlx::Timestamp"
        from pool as p
        join pool_state as s on s.bucket = p.bucket and s.account_id = p.account_id and s.pool_id = p.pool_id
        where p.bucket = any ($1) and s.bucket = any ($1)
        order by p.bucket, p.account_id, p.created_on, p.pool_id
        "#,
        numbers
    )
    .fetch_all(conn)
    .await?;
    for row in rows {
        let pool = Pool::try_from(PoolRow {
            account_id: row.account_id,
            pool_id: row.pool_id,
            name: row.name,
            description: row.description,
            enabled: row.enabled,
            disabled_at: row.disabled_at,
            minimum_origins: row.minimum_origins,
            monitor_id: row.monitor_id,
            monitor_group: row.monitor_group,
            check_regions: row.check_regions,
            latitude: row.latitude,
            longitude: row.longitude,
            notification_email: row.notification_email,
            origin_steering: row.origin_steering,
            load_shedding: row.load_shedding,
            notification_filter: row.notification_filter,
            health_sources: row.health_sources,
            created_on: row.created_on,
            modified_on: row.modified_on,
            origins: row.origins,
        })?;
        let key = pool.id;
        let place = Place { table: "pool_state", key: key.as_bytes() };
        let published = |origin: &Origin| {
            let check = checks.get(&origin.check_id).copied();
            check.ok_or_else(|| place.corrupt(format_args!("check {} has no state", origin.check_id)))
        };
        let config = PoolConfig {
            monitor: pool.settings.monitor.map(|id| monitors.get(&id).cloned().ok_or_else(|| place.corrupt("no monitor"))).transpose()?,
            state: PoolState::from_number(row.state).ok_or_else(|| place.corrupt(format_args!("state is {}", row.state)))?,
            state_seq: place.number("state_seq", row.state_seq)?,
            quorum_lost_since: row.quorum_lost_since.map(jiff_sqlx::Timestamp::to_jiff),
            checks: pool.origins.iter().map(published).collect::<Result<_, Error>>()?,
            pool,
        };
        if let Some(bucket) = found.get_mut(&place.bucket(row.bucket)?) {
            bucket.pools.push(config);
        }
    }
    Ok(())
}
