//! `…/monitors/{monitor_id}/references` and the same of monitor groups and pools: who would be hurt by a change,
//! and whom an object depends on.

use quorate_core::ids::{MonitorGroupId, MonitorId, PoolId};
use quorate_store::references::{self, Link, Resource};
use quorate_store::{monitor_groups, monitors, pools};
use schemars::JsonSchema;
use serde::Serialize;

use crate::answer::Answer;
use crate::auth::{InAccount, Read};
use crate::error::ApiError;
use crate::extract::Id;
use crate::page::Page;

/// An object at the other end of a reference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct ReferenceBody {
    reference_type: ReferenceType,
    resource_id: String,
    /// Of a monitor or a monitor group its description.
    resource_name: String,
    /// `load_balancer`, `pool`, `monitor` or `monitor_group`.
    resource_type: &'static str,
}

/// Which way a reference goes, seen from the object that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ReferenceType {
    /// The other one names this.
    Referrer,
    /// This names the other one.
    Referral,
}

pub(crate) async fn of_monitor(place: InAccount<Read>, Id(id): Id<MonitorId>, page: Page) -> Answer<Vec<ReferenceBody>> {
    let mut db = place.begin().await?;
    monitors::find(&mut db, place.account, id).await?.ok_or(ApiError::NotFound { resource: "monitor" })?;
    let links = references::of_monitor(&mut db, place.account, id).await?;
    Ok(page.cut(seen_from(&id.to_string(), &links)))
}

pub(crate) async fn of_monitor_group(place: InAccount<Read>, Id(id): Id<MonitorGroupId>, page: Page) -> Answer<Vec<ReferenceBody>> {
    let mut db = place.begin().await?;
    monitor_groups::find(&mut db, place.account, id).await?.ok_or(ApiError::NotFound { resource: "monitor group" })?;
    let links = references::of_monitor_group(&mut db, place.account, id).await?;
    Ok(page.cut(seen_from(&id.to_string(), &links)))
}

pub(crate) async fn of_pool(place: InAccount<Read>, Id(id): Id<PoolId>, page: Page) -> Answer<Vec<ReferenceBody>> {
    let mut db = place.begin().await?;
    pools::find(&mut db, place.account, id).await?.ok_or(ApiError::NotFound { resource: "pool" })?;
    let links = references::of_pool(&mut db, place.account, id).await?;
    Ok(page.cut(seen_from(&id.to_string(), &links)))
}

/// The other ends of the links of one object.
pub(crate) fn seen_from(id: &str, links: &[Link]) -> Vec<ReferenceBody> {
    let other_end = |link: &Link| {
        if link.to.id == id {
            Some(body(ReferenceType::Referrer, &link.from))
        } else if link.from.id == id {
            Some(body(ReferenceType::Referral, &link.to))
        } else {
            None
        }
    };
    links.iter().filter_map(other_end).collect()
}

impl ReferenceBody {
    pub(crate) fn reference_type(&self) -> ReferenceType {
        self.reference_type
    }
}

fn body(reference_type: ReferenceType, resource: &Resource) -> ReferenceBody {
    ReferenceBody {
        reference_type,
        resource_id: resource.id.clone(),
        resource_name: resource.name.clone(),
        resource_type: resource.kind.name(),
    }
}
