//! Previews of health checks that nobody has stored.

use jiff::Timestamp;
use quorate_core::healthcheck::{Healthcheck, HealthcheckSettings};
use quorate_core::ids::{AccountId, CheckId, HealthcheckId, PreviewId, ZoneId};
use quorate_core::preview::PreviewPool;
use quorate_core::region::Region;

use super::{Preview, insert, insert_answers, kept_for, select, within_limits};
use crate::db::Tenant;
use crate::error::Error;
use crate::header_secrets::Owner;
use crate::healthchecks::{opened, sealed};
use crate::row::Place;

/// Begins a preview of a health check that is not kept; its id is the preview's. Errors as [`create`](super::create).
pub async fn create(
    db: &mut Tenant,
    account: AccountId,
    zone: ZoneId,
    settings: HealthcheckSettings,
    default_region: Region,
    has_workers: impl Fn(Region) -> bool,
) -> Result<Healthcheck, Error> {
    within_limits(db.conn(), account).await?;
    let id = HealthcheckId::random(&mut rand::rng());
    let stored = sealed(db.header_secrets(), owner(&account, &id), &settings)?;
    // Dated when it is there.
    let mut healthcheck = unstored(account, zone, id, settings, default_region, Timestamp::UNIX_EPOCH);
    // It is asked whether or not it would be suspended: that is what a preview is for.
    let pools = [PreviewPool::of(&healthcheck.pool(), &[])];
    let preview = PreviewId::from_bytes(*id.as_bytes());
    insert(db, account, preview, &healthcheck.settings.monitor(), &pools, Some((zone, stored))).await?;
    insert_answers(db.conn(), account, preview, &pools, has_workers).await?;
    if let Some(made) = select(db.conn(), account, preview, true).await? {
        (healthcheck.created_on, healthcheck.modified_on) = (made.created_on, made.created_on);
    }
    Ok(healthcheck)
}

/// The previewed health check, with what has been seen of it. `Ok(None)` as for [`find`](super::find), and in another zone.
pub async fn find(db: &mut Tenant, account: AccountId, zone: ZoneId, id: HealthcheckId) -> Result<Option<(Healthcheck, Preview)>, Error> {
    let found = sqlx::query_scalar!(
        r#"select healthcheck as "healthcheck!" from preview where account_id = $1 and preview_id = $2 and zone_id = $3"#,
        account.as_bytes(),
        id.as_bytes(),
        zone.as_bytes()
    )
    .fetch_optional(db.conn())
    .await?;
    let preview = select(db.conn(), account, PreviewId::from_bytes(*id.as_bytes()), true).await?;
    let (Some(stored), Some(preview)) = (found, preview) else { return Ok(None) };
    let settings = opened(db.header_secrets(), owner(&account, &id), Place { table: "preview", key: id.as_bytes() }, stored)?;
    let region = preview.pools.first().and_then(|pool| pool.regions.first()).copied().unwrap_or(Region::Weu);
    Ok(Some((unstored(account, zone, id, settings, region, preview.created_on), preview)))
}

/// `Ok(false)`: no such preview of a health check.
pub async fn delete(db: &mut Tenant, account: AccountId, zone: ZoneId, id: HealthcheckId) -> Result<bool, Error> {
    let deleted = sqlx::query!(
        "delete from preview where account_id = $1 and preview_id = $2 and zone_id = $3 and created_on > clock_timestamp() - $4::interval",
        account.as_bytes(),
        id.as_bytes(),
        zone.as_bytes(),
        kept_for()
    )
    .execute(db.conn())
    .await?;
    Ok(deleted.rows_affected() > 0)
}

fn owner<'a>(account: &'a AccountId, id: &'a HealthcheckId) -> Owner<'a> {
    Owner { kind: "preview", account: account.as_bytes(), id: id.as_bytes() }
}

fn unstored(
    account_id: AccountId,
    zone_id: ZoneId,
    id: HealthcheckId,
    settings: HealthcheckSettings,
    default_region: Region,
    now: Timestamp,
) -> Healthcheck {
    // Nothing is kept under the id of its check.
    let check_id = CheckId::from_bytes(*id.as_bytes());
    Healthcheck { id, account_id, zone_id, check_id, config_gen: 1, settings, default_region, created_on: now, modified_on: now }
}
