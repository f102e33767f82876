//! `…/monitors/{monitor_id}/preview`, `…/pools/{pool_id}/preview`, `…/preview/{preview_id}`: what a
//! monitor would see, probed once and for real, without any change of health.

mod result;

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::ids::{AccountId, MonitorId, PoolId, PreviewId};
use quorate_core::monitor::MonitorSettings;
use quorate_core::pool::Pool;
use quorate_core::preview::{PROBES_MAX, PreviewPool};
use quorate_core::region::Region;
use quorate_store::{Tenant, monitors, pools, previews, worker_tokens};
use schemars::JsonSchema;
use serde::Serialize;

use crate::accounts::enabled;
use crate::answer::Answer;
use crate::auth::{Edit, InAccount, Read};
use crate::envelope::Envelope;
use crate::error::ApiError;
use crate::extract::{Body, Id};
use crate::monitors::{refuse_redacted, settings};
use result::PoolResult;

const NOT_FOUND: ApiError = ApiError::NotFound { resource: "preview" };

/// A preview that has begun.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Begun {
    preview_id: PreviewId,
    /// Id to name of each pool that is probed.
    pools: BTreeMap<PoolId, String>,
}

/// The body is a monitor, which may differ from the stored one; every pool that uses
/// the stored one, by itself or in its group, is probed.
pub(crate) async fn of_monitor(place: InAccount<Edit>, Id(id): Id<MonitorId>, body: Body) -> Answer<Begun> {
    let mut db = place.begin().await?;
    let account = enabled(&mut db, place.account).await?;
    monitors::find(&mut db, place.account, id).await?.ok_or(crate::monitors::NOT_FOUND)?;
    let settings = settings(body.object()?, None, account.limits.minimum_monitor_interval)?;
    refuse_redacted(&settings, &place)?;
    let users = monitors::pools(&mut db, place.account, id).await?;
    let mut pools = pools::list(&mut db, place.account, None).await?;
    pools.retain(|pool| users.contains(&pool.id));
    begin(db, place.account, &settings, &pools).await
}

/// The body is a monitor; the pool may use another one, or none.
pub(crate) async fn of_pool(place: InAccount<Edit>, Id(id): Id<PoolId>, body: Body) -> Answer<Begun> {
    let mut db = place.begin().await?;
    let account = enabled(&mut db, place.account).await?;
    let pool = pools::find(&mut db, place.account, id).await?.ok_or(crate::pools::NOT_FOUND)?;
    let settings = settings(body.object()?, None, account.limits.minimum_monitor_interval)?;
    refuse_redacted(&settings, &place)?;
    begin(db, place.account, &settings, &[pool]).await
}

async fn begin(mut db: Tenant, account: AccountId, settings: &MonitorSettings, pools: &[Pool]) -> Answer<Begun> {
    let registered = worker_tokens::registered_pops(&mut db).await?;
    let staffed: BTreeSet<Region> = registered.iter().map(|pop| pop.region).collect();
    let pools: Vec<PreviewPool> = pools.iter().map(|pool| PreviewPool::of(pool, &registered)).collect();
    let probes: usize = pools.iter().map(PreviewPool::probes).sum();
    if probes > PROBES_MAX {
        let detail = format!("the preview asks for {probes} probes, origins times regions, and may ask for at most {PROBES_MAX}");
        return Err(ApiError::field("", detail));
    }
    let preview_id = previews::create(&mut db, account, settings, &pools, |region| staffed.contains(&region)).await?;
    db.commit().await?;
    Ok(Envelope::of(Begun { preview_id, pools: pools.into_iter().map(|pool| (pool.id, pool.name)).collect() }))
}

/// What has been seen so far, by pool.
pub(crate) async fn show(place: InAccount<Read>, Id(id): Id<PreviewId>) -> Answer<BTreeMap<PoolId, PoolResult>> {
    let mut db = place.begin().await?;
    let preview = previews::find(&mut db, place.account, id).await?.ok_or(NOT_FOUND)?;
    let pops = worker_tokens::pops(&mut db).await?;
    let of_pool = |pool: &PreviewPool| (pool.id, PoolResult::of(pool, |region| preview.answer(pool.id, region), &pops));
    Ok(Envelope::of(preview.pools.iter().map(of_pool).collect()))
}
