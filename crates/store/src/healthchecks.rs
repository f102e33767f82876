//! Standalone health checks of a zone. To the engine each is a pool of one origin: its states are the
//! pool's, under the same id.

use std::collections::HashMap;

use jiff_sqlx::ToSqlx;
use quorate_core::bucket::Bucket;
use quorate_core::failure::FailureReason;
use quorate_core::healthcheck::{Healthcheck, HealthcheckSettings, HealthcheckStatus};
use quorate_core::ids::{AccountId, CheckId, HealthcheckId, ZoneId};
use quorate_core::pool::PoolState;
use quorate_core::region::Region;
use quorate_core::vote::Published;
use serde_json::Value;
use sqlx::PgConnection;

use crate::audit::{self, Audited};
use crate::db::Tenant;
use crate::error::Error;
use crate::header_secrets::{Header, HeaderSecrets, Owner};
use crate::pools::{delete_pool_state, insert_pool_state, write_check_states};
use crate::row::{Place, big, fields};
use crate::{accounts, buckets};

/// Where a health check without regions is asked from while no PoP is registered.
const REGION_OF_NONE: Region = Region::Weu;

pub(crate) struct Row {
    pub(crate) account_id: Vec<u8>,
    pub(crate) healthcheck_id: Vec<u8>,
    pub(crate) zone_id: Vec<u8>,
    pub(crate) check_id: Vec<u8>,
    pub(crate) config_gen: i64,
    pub(crate) settings: Value,
    pub(crate) default_region: String,
    pub(crate) created_on: jiff_sqlx::Timestamp,
    pub(crate) modified_on: jiff_sqlx::Timestamp,
}

impl Row {
    /// The health check; a secret of its header that cannot be opened reads as no value.
    pub(crate) fn healthcheck(self, secrets: &HeaderSecrets) -> Result<Healthcheck, Error> {
        let row = self;
        let place = Place { table: "healthcheck", key: &row.healthcheck_id };
        let owner = Owner { kind: "healthcheck", account: &row.account_id, id: &row.healthcheck_id };
        Ok(Healthcheck {
            id: place.id("healthcheck_id", &row.healthcheck_id)?,
            account_id: place.id("account_id", &row.account_id)?,
            zone_id: place.id("zone_id", &row.zone_id)?,
            check_id: place.id("check_id", &row.check_id)?,
            config_gen: place.number("config_gen", row.config_gen)?,
            settings: opened(secrets, owner, place, row.settings)?,
            default_region: place.text("default_region", &row.default_region)?,
            created_on: row.created_on.to_jiff(),
            modified_on: row.modified_on.to_jiff(),
        })
    }
}

/// The settings as they are stored: what is secret in the header is sealed.
pub(crate) fn sealed(secrets: &HeaderSecrets, owner: Owner<'_>, settings: &HealthcheckSettings) -> Result<Value, Error> {
    let mut stored = fields(settings);
    if let Some((header, marked)) = header_of(settings) {
        stored["http"]["header"] = secrets.seal(owner, header, marked)?;
    }
    Ok(stored)
}

/// The settings behind what [`sealed`] made.
pub(crate) fn opened(secrets: &HeaderSecrets, owner: Owner<'_>, place: Place<'_>, mut stored: Value) -> Result<HealthcheckSettings, Error> {
    let sealed = stored.pointer_mut("/http/header").map(Value::take).filter(Value::is_object);
    let mut settings: HealthcheckSettings = place.json("settings", stored)?;
    if let (Some(http), Some(sealed)) = (&mut settings.http, sealed) {
        let header = secrets.open(owner, sealed).map_err(|problem| place.corrupt(format_args!("header: {problem}")))?;
        http.header = Some(header);
    }
    Ok(settings)
}

/// With the names that it calls secret.
fn header_of(settings: &HealthcheckSettings) -> Option<(&Header, &[String])> {
    let http = settings.http.as_ref()?;
    Some((http.header.as_ref()?, &http.secret_headers))
}

/// A health check, as the audit log knows it.
struct Told<'a> {
    healthcheck: &'a Healthcheck,
    secrets: &'a HeaderSecrets,
}

impl Audited for Told<'_> {
    const KIND: &'static str = "healthcheck";

    fn accounts(&self) -> Vec<AccountId> {
        vec![self.healthcheck.account_id]
    }

    fn id(&self) -> String {
        self.healthcheck.id.to_string()
    }

    fn name(&self) -> String {
        self.healthcheck.settings.name.clone()
    }

    fn fields(&self) -> Value {
        let mut told = fields(&self.healthcheck.settings);
        if let Some((header, marked)) = header_of(&self.healthcheck.settings) {
            told["http"]["header"] = self.secrets.audited(header, marked);
        }
        told
    }
}

/// How a health check stands, and why where it is unhealthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub status: HealthcheckStatus,
    pub reason: Option<FailureReason>,
    pub response_code: Option<u16>,
}

impl Standing {
    /// Of one that nobody has asked yet.
    pub const fn of_new(suspended: bool) -> Self {
        Self { status: HealthcheckStatus::of(suspended, Published::Unknown), reason: None, response_code: None }
    }
}

/// A page in creation order, with the number of all of the zone.
pub async fn list(db: &mut Tenant, account: AccountId, zone: ZoneId, offset: u64, limit: u32) -> Result<(Vec<Healthcheck>, u64), Error> {
    let total = sqlx::query_scalar!(
        r#"select count(*) as "count!" from healthcheck where account_id = $1 and zone_id = $2"#,
        account.as_bytes(),
        zone.as_bytes()
    )
    .fetch_one(db.conn())
    .await?;
    let found = sqlx::query_as!(
        Row,
        r#"
        select account_id, healthcheck_id, zone_id, check_id, config_gen, settings, default_region,
            created_on as "created_on: jiff_sqlx::Timestamp", modified_on as "modified_on: jiff_sqlx::Timestamp"
        from healthcheck
        where account_id = $1 and zone_id = $2
        order by created_on, healthcheck_id
        offset $3 limit $4
        "#,
        account.as_bytes(),
        zone.as_bytes(),
        big(offset),
        i64::from(limit)
    )
    .fetch_all(db.conn())
    .await?;
    let found = found.into_iter().map(|row| row.healthcheck(db.header_secrets())).collect::<Result<_, Error>>()?;
    Ok((found, u64::try_from(total).unwrap_or(0)))
}

pub async fn find(db: &mut Tenant, account: AccountId, zone: ZoneId, id: HealthcheckId) -> Result<Option<Healthcheck>, Error> {
    let found = sqlx::query_as!(
        Row,
        r#"
        select account_id, healthcheck_id, zone_id, check_id, config_gen, settings, default_region,
            created_on as "created_on: jiff_sqlx::Timestamp", modified_on as "modified_on: jiff_sqlx::Timestamp"
        from healthcheck
        where account_id = $1 and zone_id = $2 and healthcheck_id = $3
        "#,
        account.as_bytes(),
        zone.as_bytes(),
        id.as_bytes()
    )
    .fetch_optional(db.conn())
    .await?;
    found.map(|row| row.healthcheck(db.header_secrets())).transpose()
}

/// Like [`find`], and nobody else changes it until the transaction ends: for PATCH.
pub async fn find_for_update(db: &mut Tenant, account: AccountId, zone: ZoneId, id: HealthcheckId) -> Result<Option<Healthcheck>, Error> {
    accounts::lock(db.conn(), account).await?;
    find(db, account, zone, id).await
}

/// How health checks stand, by their checks.
pub async fn standings(db: &mut Tenant, account: AccountId, of: &[Healthcheck]) -> Result<HashMap<CheckId, Standing>, Error> {
    let buckets: Vec<i16> = of.iter().map(|healthcheck| Bucket::of(healthcheck.id.pool()).number().cast_signed()).collect();
    let checks: Vec<&[u8]> = of.iter().map(|healthcheck| healthcheck.check_id.as_bytes().as_slice()).collect();
    let rows = sqlx::query!(
        "select check_id, verdict, reason, response_code from check_state where bucket = any ($1) and account_id = $2 and check_id = any ($3)",
        &buckets,
        account.as_bytes(),
        &checks as &[&[u8]]
    )
    .fetch_all(db.conn())
    .await?;
    let mut standings = HashMap::new();
    for row in rows {
        let place = Place { table: "check_state", key: &row.check_id };
        let check: CheckId = place.id("check_id", &row.check_id)?;
        let suspended = of.iter().any(|healthcheck| healthcheck.check_id == check && healthcheck.settings.suspended);
        let verdict = Published::from_number(row.verdict).ok_or_else(|| place.corrupt(format_args!("verdict is {}", row.verdict)))?;
        let standing = Standing {
            status: HealthcheckStatus::of(suspended, verdict),
            reason: row.reason.and_then(|number| u8::try_from(number).ok()).and_then(FailureReason::from_wire),
            response_code: row.response_code.map(|code| place.number("response_code", code)).transpose()?,
        };
        standings.insert(check, standing);
    }
    Ok(standings)
}

/// Inserts the health check with its states, and bumps its bucket's `config_seq`. `Error::QuotaExceeded`.
pub async fn create(db: &mut Tenant, account: AccountId, zone: ZoneId, settings: &HealthcheckSettings) -> Result<Healthcheck, Error> {
    let limits = accounts::lock(db.conn(), account).await?;
    let (usage, now) = accounts::usage_now(db.conn(), account).await?;
    accounts::within_quota("health checks", limits.healthchecks, usage.healthchecks, 1)?;
    let default_region = default_region(db.conn()).await?;
    let healthcheck = Healthcheck {
        id: HealthcheckId::random(&mut rand::rng()),
        account_id: account,
        zone_id: zone,
        check_id: CheckId::random(&mut rand::rng()),
        config_gen: 1,
        settings: settings.clone(),
        default_region,
        created_on: now,
        modified_on: now,
    };
    let pool = healthcheck.pool();
    write(db, &healthcheck).await?;
    buckets::bump_config(db.conn(), &[Bucket::of(pool.id)]).await?;
    let state = if settings.suspended { PoolState::Disabled } else { PoolState::Unknown };
    insert_pool_state(db.conn(), &pool, state).await?;
    write_check_states(db.conn(), &pool).await?;
    let secrets = db.header_secrets().clone();
    audit::created(db.conn(), &Told { healthcheck: &healthcheck, secrets: &secrets }).await?;
    Ok(healthcheck)
}

/// Replaces the settings, with a new `config_gen` where the probe changes or begins again, and bumps the bucket's
/// `config_seq`. Equal settings change nothing, `modified_on` included. `Ok(None)`: no such health check.
pub async fn replace(
    db: &mut Tenant,
    account: AccountId,
    zone: ZoneId,
    id: HealthcheckId,
    settings: &HealthcheckSettings,
) -> Result<Option<Healthcheck>, Error> {
    let Some(current) = find_for_update(db, account, zone, id).await? else { return Ok(None) };
    if current.settings == *settings {
        return Ok(Some(current));
    }
    let (_, now) = accounts::usage_now(db.conn(), account).await?;
    let is_default_new = settings.check_regions.is_none() && current.settings.check_regions.is_some();
    let healthcheck = Healthcheck {
        config_gen: current.config_gen + u64::from(current.settings.probes_differently(settings)),
        default_region: if is_default_new { default_region(db.conn()).await? } else { current.default_region },
        settings: settings.clone(),
        modified_on: now,
        ..current.clone()
    };
    write(db, &healthcheck).await?;
    buckets::bump_config(db.conn(), &[Bucket::of(id.pool())]).await?;
    write_check_states(db.conn(), &healthcheck.pool()).await?;
    let secrets = db.header_secrets().clone();
    let told = |healthcheck| Told { healthcheck, secrets: &secrets };
    audit::updated(db.conn(), &told(&current), &told(&healthcheck)).await?;
    Ok(Some(healthcheck))
}

/// `Ok(false)`: no such health check.
pub async fn delete(db: &mut Tenant, account: AccountId, zone: ZoneId, id: HealthcheckId) -> Result<bool, Error> {
    let Some(healthcheck) = find_for_update(db, account, zone, id).await? else { return Ok(false) };
    sqlx::query!("delete from healthcheck where account_id = $1 and healthcheck_id = $2", account.as_bytes(), id.as_bytes())
        .execute(db.conn())
        .await?;
    let bucket = Bucket::of(id.pool());
    buckets::bump_config(db.conn(), &[bucket]).await?;
    delete_pool_state(db.conn(), bucket, account, id.pool()).await?;
    let secrets = db.header_secrets().clone();
    audit::deleted(db.conn(), &Told { healthcheck: &healthcheck, secrets: &secrets }).await?;
    Ok(true)
}

/// Inserts the health check, or overwrites the one with its id.
async fn write(db: &mut Tenant, healthcheck: &Healthcheck) -> Result<(), Error> {
    let owner = Owner { kind: "healthcheck", account: healthcheck.account_id.as_bytes(), id: healthcheck.id.as_bytes() };
    let settings = sealed(db.header_secrets(), owner, &healthcheck.settings)?;
    sqlx::query!(
        r#"
        insert into healthcheck (
            account_id, healthcheck_id, zone_id, bucket, check_id, config_gen, settings, default_region, created_on, modified_on
        )
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        on conflict (account_id, healthcheck_id) do update
        set config_gen = excluded.config_gen, settings = excluded.settings, default_region = excluded.default_region,
            modified_on = excluded.modified_on
        "#,
        healthcheck.account_id.as_bytes(),
        healthcheck.id.as_bytes(),
        healthcheck.zone_id.as_bytes(),
        Bucket::of(healthcheck.id.pool()).number().cast_signed(),
        healthcheck.check_id.as_bytes(),
        big(healthcheck.config_gen),
        settings,
        healthcheck.default_region.code(),
        healthcheck.created_on.to_sqlx() as _,
        healthcheck.modified_on.to_sqlx() as _,
    )
    .execute(db.conn())
    .await?;
    Ok(())
}

/// The region of the PoP that has been registered for longest.
pub(crate) async fn default_region(conn: &mut PgConnection) -> Result<Region, Error> {
    let region =
        sqlx::query_scalar!("select region from pop where revoked_on is null order by pop_no limit 1").fetch_optional(conn).await?;
    let place = Place { table: "pop", key: &[] };
    region.map_or(Ok(REGION_OF_NONE), |region| place.text("region", &region))
}

/// The same, for a preview.
pub async fn region_of_choice(db: &mut Tenant) -> Result<Region, Error> {
    default_region(db.conn()).await
}
