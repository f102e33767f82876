//! Previews: the API writes what to ask and reads the answers, the owner of a pool's bucket reads what
//! is open and writes them. Nothing else of the store changes by a preview.

mod columns;
pub mod healthcheck;

use jiff::Timestamp;
use quorate_core::bucket::Bucket;
use quorate_core::ids::{AccountId, PoolId, PreviewId, ZoneId};
use quorate_core::monitor::MonitorSettings;
use quorate_core::preview::{Answer, KEPT_FOR, KEPT_MAX, OPEN_MAX, PreviewPool};
use quorate_core::region::Region;
use serde_json::Value;
use sqlx::PgConnection;
use sqlx::postgres::types::PgInterval;
use sqlx::types::Json;

use crate::accounts;
use crate::db::{Db, Operator, Tenant};
use crate::error::Error;
use crate::header_secrets::{HeaderSecrets, Owner};
use crate::row::{self, Place};

use columns::{AnswerColumns, answer};

/// A preview with what has been answered so far.
#[derive(Clone, Debug, PartialEq)]
pub struct Preview {
    pub id: PreviewId,
    pub created_on: Timestamp,
    pub pools: Vec<PreviewPool>,
    answers: Vec<(PoolId, Region, Answer)>,
}

impl Preview {
    pub fn answer(&self, pool: PoolId, region: Region) -> Option<&Answer> {
        self.answers.iter().find(|(of, from, _)| (*of, *from) == (pool, region)).map(|(_, _, answer)| answer)
    }
}

/// What one region has still to be asked.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenAnswer {
    pub key: AnswerKey,
    pub monitor: MonitorSettings,
    pub pool: PreviewPool,
}

/// Names one answer of a preview.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AnswerKey {
    pub account_id: AccountId,
    pub preview_id: PreviewId,
    pub pool_id: PoolId,
    pub region: Region,
}

/// Begins a preview of pools of the account. Where `has_workers` says no of a region, that is its answer
/// at once; the owners of the pools ask the others.
/// `Error::QuotaExceeded` for too many that are open, or kept.
pub async fn create(
    db: &mut Tenant,
    account: AccountId,
    monitor: &MonitorSettings,
    pools: &[PreviewPool],
    has_workers: impl Fn(Region) -> bool,
) -> Result<PreviewId, Error> {
    let id = PreviewId::random(&mut rand::rng());
    within_limits(db.conn(), account).await?;
    insert(db, account, id, monitor, pools, None).await?;
    insert_answers(db.conn(), account, id, pools, has_workers).await?;
    Ok(id)
}

/// Locks the account, deletes what nobody can see any more, and counts what is left.
async fn within_limits(conn: &mut PgConnection, account: AccountId) -> Result<(), Error> {
    accounts::lock(&mut *conn, account).await?;
    let counts = sqlx::query!(
        r#"
        with gone as (
            delete from preview where account_id = $1 and created_on <= clock_timestamp() - $2::interval
        )
        select
            (
                select count(*) from preview where account_id = $1 and created_on > clock_timestamp() - $2::interval
            ) as "kept!",
            (
                select count(distinct a.preview_id)
                from preview_answer as a
                join preview as p on p.account_id = a.account_id and p.preview_id = a.preview_id
                where a.account_id = $1 and a.outcome is null and p.created_on > clock_timestamp() - $2::interval
            ) as "open!"
        "#,
        account.as_bytes(),
        kept_for()
    )
    .fetch_one(conn)
    .await?;
    accounts::within_quota("open previews", OPEN_MAX, row::count(counts.open), 1)?;
    accounts::within_quota("previews an hour", KEPT_MAX, row::count(counts.kept), 1)
}

async fn insert(
    db: &mut Tenant,
    account: AccountId,
    id: PreviewId,
    monitor: &MonitorSettings,
    pools: &[PreviewPool],
    healthcheck: Option<(ZoneId, Value)>,
) -> Result<(), Error> {
    let monitor = sealed(db.header_secrets(), account, id, monitor)?;
    let (zone, healthcheck) = healthcheck.unzip();
    sqlx::query!(
        r#"
        insert into preview (account_id, preview_id, monitor, pools, zone_id, healthcheck, created_on)
        values ($1, $2, $3, $4, $5, $6, clock_timestamp())
        "#,
        account.as_bytes(),
        id.as_bytes(),
        monitor,
        Json(pools) as _,
        zone.as_ref().map(|zone| zone.as_bytes().as_slice()),
        healthcheck,
    )
    .execute(db.conn())
    .await?;
    Ok(())
}

async fn insert_answers(
    conn: &mut PgConnection,
    account: AccountId,
    id: PreviewId,
    pools: &[PreviewPool],
    has_workers: impl Fn(Region) -> bool,
) -> Result<(), Error> {
    let each = || pools.iter().flat_map(|pool| pool.regions.iter().map(move |region| (pool, *region)));
    let ids: Vec<&[u8]> = each().map(|(pool, _)| pool.id.as_bytes().as_slice()).collect();
    let regions: Vec<&str> = each().map(|(_, region)| region.code()).collect();
    let buckets: Vec<i16> = each().map(|(pool, _)| Bucket::of(pool.id).number().cast_signed()).collect();
    let workers: Vec<bool> = each().map(|(_, region)| has_workers(region)).collect();
    sqlx::query!(
        r#"
        with inserted as (
            insert into preview_answer (account_id, preview_id, pool_id, region, bucket, outcome, answered_on)
            select $1, $2, a.pool_id, a.region, a.bucket,
                case when not a.workers then 'no_workers' end,
                case when not a.workers then clock_timestamp() end
            from unnest($3::bytea[], $4::text[], $5::smallint[], $6::boolean[]) as a (pool_id, region, bucket, workers)
            returning outcome
        )
        select count(*) as "count!", pg_notify('quorate_preview', '')::text as woken from inserted where outcome is null
        "#,
        account.as_bytes(),
        id.as_bytes(),
        &ids as &[&[u8]],
        &regions as &[&str],
        &buckets,
        &workers,
    )
    .fetch_one(conn)
    .await?;
    Ok(())
}

/// `Ok(None)`: no such preview, or one from more than an hour ago.
pub async fn find(db: &mut Tenant, account: AccountId, id: PreviewId) -> Result<Option<Preview>, Error> {
    select(db.conn(), account, id, false).await
}

async fn select(conn: &mut PgConnection, account: AccountId, id: PreviewId, of_healthcheck: bool) -> Result<Option<Preview>, Error> {
    let found = sqlx::query!(
        r#"
        select pools, created_on as "created_on: jiff_sqlx::Timestamp"
        from preview
        where account_id = $1 and preview_id = $2 and created_on > clock_timestamp() - $3::interval
            and (healthcheck is not null) = $4
        "#,
        account.as_bytes(),
        id.as_bytes(),
        kept_for(),
        of_healthcheck
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(found) = found else { return Ok(None) };
    let answers = sqlx::query!(
        r#"
        select pool_id, region, outcome, pop_no, details, errors as "errors: Vec<Option<String>>", phases_us,
            certificate_days_left as "certificate_days_left: Vec<Option<i32>>"
        from preview_answer
        where account_id = $1 and preview_id = $2
        "#,
        account.as_bytes(),
        id.as_bytes()
    )
    .fetch_all(conn)
    .await?;
    let place = Place { table: "preview_answer", key: id.as_bytes() };
    let answers = answers.into_iter().map(|row| {
        let columns = AnswerColumns {
            outcome: row.outcome,
            pop_no: row.pop_no,
            details: row.details,
            errors: row.errors,
            phases_us: row.phases_us,
            certificate_days_left: row.certificate_days_left,
        };
        Ok((place.id("pool_id", &row.pool_id)?, place.text("region", &row.region)?, answer(place, columns)?))
    });
    Ok(Some(Preview {
        id,
        created_on: found.created_on.to_jiff(),
        answers: answers.collect::<Result<_, Error>>()?,
        pools: Place { table: "preview", key: id.as_bytes() }.json("pools", found.pools)?,
    }))
}

/// What has still to be asked in `buckets`, in fair turns: of each account at most `per_account`, of all
/// `limit`, the oldest first.
pub async fn open(db: &Db, buckets: &[Bucket], per_account: u32, limit: u32) -> Result<Vec<OpenAnswer>, Error> {
    let numbers: Vec<i16> = buckets.iter().map(|bucket| bucket.number().cast_signed()).collect();
    let rows = sqlx::query!(
        r#"
        with waiting as (
            select a.account_id, a.preview_id, a.pool_id, a.region, p.created_on,
                row_number() over (partition by a.account_id order by p.created_on, a.preview_id, a.pool_id, a.region) as turn
            from preview_answer as a
            join preview as p on p.account_id = a.account_id and p.preview_id = a.preview_id
            where a.bucket = any ($1) and a.outcome is null and p.created_on > clock_timestamp() - $4::interval
        )
        select w.account_id as "account_id!", w.preview_id as "preview_id!", w.pool_id as "pool_id!", w.region as "region!",
            p.monitor as "monitor!", p.pools as "pools!"
        from waiting as w
        join preview as p on p.account_id = w.account_id and p.preview_id = w.preview_id
        where w.turn <= $2
        order by w.turn, w.created_on
        limit $3
        "#,
        &numbers,
        i64::from(per_account),
        i64::from(limit),
        kept_for()
    )
    .fetch_all(&db.operator_pool())
    .await?;
    rows.into_iter()
        .map(|row| {
            let place = Place { table: "preview", key: &row.preview_id };
            let pool_id: PoolId = place.id("pool_id", &row.pool_id)?;
            let pools: Vec<PreviewPool> = place.json("pools", row.pools)?;
            let key = AnswerKey {
                account_id: place.id("account_id", &row.account_id)?,
                preview_id: place.id("preview_id", &row.preview_id)?,
                pool_id,
                region: place.text("region", &row.region)?,
            };
            let pool = pools.into_iter().find(|pool| pool.id == pool_id);
            Ok(OpenAnswer {
                key,
                monitor: opened(db.header_secrets(), place, key, row.monitor)?,
                pool: pool.ok_or_else(|| place.corrupt(format_args!("an answer is of pool {pool_id}, which is not in it")))?,
            })
        })
        .collect()
}

/// Writes an answer; the first one stands: `false` where there is one, or where the preview is gone.
/// [`Answer::Pending`] is none, and changes nothing.
pub async fn answered(db: &Db, key: AnswerKey, answer: &Answer) -> Result<bool, Error> {
    let columns = AnswerColumns::of(answer);
    let written = sqlx::query!(
        r#"
        update preview_answer
        set outcome = $5, pop_no = $6, details = $7, errors = $8, phases_us = $9, certificate_days_left = $10,
            answered_on = case when $5::text is not null then clock_timestamp() end
        where account_id = $1 and preview_id = $2 and pool_id = $3 and region = $4 and outcome is null
        "#,
        key.account_id.as_bytes(),
        key.preview_id.as_bytes(),
        key.pool_id.as_bytes(),
        key.region.code(),
        columns.outcome,
        columns.pop_no,
        columns.details,
        columns.errors as _,
        columns.phases_us,
        columns.certificate_days_left as _,
    )
    .execute(&db.operator_pool())
    .await?;
    Ok(written.rows_affected() > 0)
}

/// Deletes those that nobody can see any more; answers how many.
pub async fn forget_old(op: &mut Operator) -> Result<u32, Error> {
    let deleted =
        sqlx::query!("delete from preview where created_on <= clock_timestamp() - $1::interval", kept_for()).execute(op.conn()).await?;
    Ok(u32::try_from(deleted.rows_affected()).unwrap_or(u32::MAX))
}

/// The settings as they are stored: what is secret in the header is sealed, bound to the preview.
fn sealed(secrets: &HeaderSecrets, account: AccountId, id: PreviewId, monitor: &MonitorSettings) -> Result<Value, Error> {
    let mut stored = row::fields(monitor);
    let owner = Owner { kind: "preview", account: account.as_bytes(), id: id.as_bytes() };
    stored["header"] = secrets.seal(owner, &monitor.header, &monitor.secret_headers)?;
    Ok(stored)
}

/// The settings behind what [`sealed`] made; a secret that cannot be opened reads as no value.
fn opened(secrets: &HeaderSecrets, place: Place<'_>, key: AnswerKey, mut stored: Value) -> Result<MonitorSettings, Error> {
    let owner = Owner { kind: "preview", account: key.account_id.as_bytes(), id: key.preview_id.as_bytes() };
    let header =
        secrets.open(owner, stored["header"].take()).map_err(|problem| place.corrupt(format_args!("monitor: header: {problem}")))?;
    stored["header"] = serde_json::json!({});
    Ok(MonitorSettings { header, ..place.json("monitor", stored)? })
}

fn kept_for() -> PgInterval {
    PgInterval { months: 0, days: 0, microseconds: i64::try_from(KEPT_FOR.as_micros()).unwrap_or(i64::MAX) }
}
