//! The health checks of buckets, as the pools that they are to the engine.

use std::collections::HashMap;

use quorate_core::bucket::Bucket;
use quorate_core::event::Subject;
use quorate_core::ids::PoolId;
use quorate_core::monitor_group::Monitoring;
use quorate_core::pool::PoolState;
use sqlx::PgConnection;

use super::check_state::CheckStateColumns;
use crate::error::Error;
use crate::header_secrets::{HeaderSecrets, unreadable};
use crate::healthchecks::Row;
use crate::row::Place;
use crate::verdicts::{BucketConfig, PoolConfig, UnreadablePool};

pub(super) async fn add(
    conn: &mut PgConnection,
    secrets: &HeaderSecrets,
    numbers: &[i16],
    found: &mut HashMap<Bucket, BucketConfig>,
) -> Result<(), Error> {
    let rows = sqlx::query!(
        r#"
        select h.bucket, h.account_id, h.healthcheck_id, h.zone_id, h.check_id, h.config_gen, h.settings, h.default_region,
            h.created_on as "created_on: jiff_sqlx::Timestamp", h.modified_on as "modified_on: jiff_sqlx::Timestamp",
            p.state as "state?", p.state_seq as "state_seq?", p.quorum_lost_since as "quorum_lost_since: jiff_sqlx::Timestamp",
            s.config_gen as "published_gen?", s.verdict as "verdict?", s.verdict_seq as "verdict_seq?", s.reason, s.response_code
        from healthcheck as h
        left join pool_state as p
            on p.bucket = h.bucket and p.bucket = any ($1) and p.account_id = h.account_id and p.pool_id = h.healthcheck_id
        left join check_state as s
            on s.bucket = h.bucket and s.bucket = any ($1) and s.account_id = h.account_id and s.check_id = h.check_id
        where h.bucket = any ($1)
        order by h.bucket, h.account_id, h.created_on, h.healthcheck_id
        "#,
        numbers
    )
    .fetch_all(conn)
    .await?;
    for row in rows {
        let key = row.healthcheck_id.clone();
        let place = Place { table: "healthcheck", key: &key };
        let pool_id: PoolId = place.id("healthcheck_id", &key)?;
        let Some(config) = found.get_mut(&place.bucket(row.bucket)?) else { continue };
        let read = || -> Result<PoolConfig, Error> {
            let (Some(state), Some(state_seq)) = (row.state, row.state_seq) else {
                return Err(place.corrupt("without the state of its pool"));
            };
            let published = CheckStateColumns {
                config_gen: row.published_gen,
                verdict: row.verdict,
                verdict_seq: row.verdict_seq,
                reason: row.reason,
                response_code: row.response_code,
            }
            .published(place.id("check_id", &row.check_id)?)?;
            let healthcheck = Row {
                account_id: row.account_id,
                healthcheck_id: row.healthcheck_id,
                zone_id: row.zone_id,
                check_id: row.check_id,
                config_gen: row.config_gen,
                settings: row.settings,
                default_region: row.default_region,
                created_on: row.created_on,
                modified_on: row.modified_on,
            }
            .healthcheck(secrets)?;
            let monitor = healthcheck.settings.monitor();
            if let Some(name) = unreadable(&monitor.header) {
                return Err(place.corrupt(format_args!("header {name:?} cannot be opened: the key that sealed it is not there")));
            }
            Ok(PoolConfig {
                subject: Subject::Healthcheck,
                monitoring: Monitoring::Monitor(monitor),
                state: PoolState::from_number(state).ok_or_else(|| place.corrupt(format_args!("state is {state}")))?,
                state_seq: place.number("state_seq", state_seq)?,
                quorum_lost_since: row.quorum_lost_since.map(jiff_sqlx::Timestamp::to_jiff),
                checks: vec![published],
                pool: healthcheck.pool(),
            })
        };
        match read() {
            Ok(pool) => config.pools.push(pool),
            Err(problem) => config.unreadable.push(UnreadablePool { pool_id, problem: problem.to_string() }),
        }
    }
    Ok(())
}
