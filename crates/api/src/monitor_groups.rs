//! `/accounts/{account_id}/load_balancers/monitor_groups`: monitors that decide together.

use quorate_core::ids::{MonitorGroupId, MonitorId};
use quorate_core::monitor_group::{MEMBERS, Member, MemberSettings, MonitorGroup, MonitorGroupSettings};
use quorate_core::validate::DESCRIPTION_CHARS_MAX;
use quorate_store::monitor_groups;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::accounts::enabled;
use crate::answer::Answer;
use crate::auth::{Edit, InAccount, Read};
use crate::body::{self, Fields, Object, Told, flag, id, list_of, object_of, text};
use crate::envelope::{Envelope, Time};
use crate::error::ApiError;
use crate::extract::{Body, Id};
use crate::page::Page;

const NOT_FOUND: ApiError = ApiError::NotFound { resource: "monitor group" };

/// A monitor group, as every answer gives it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct MonitorGroupBody {
    id: MonitorGroupId,
    /// At most 1,024 characters.
    description: String,
    /// 1 to 10, in the order given; each monitor once.
    members: Vec<MemberBody>,
    created_on: Time,
    modified_on: Time,
}

/// A monitor's part in a group.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct MemberBody {
    monitor_id: MonitorId,
    /// A disabled member neither probes nor votes.
    enabled: bool,
    /// Probes and is shown, and does not vote.
    monitoring_only: bool,
    /// Its failure alone makes an origin unhealthy; without effect where it does not vote.
    must_be_healthy: bool,
    /// When its monitor joined the group.
    created_at: Time,
    /// When its part last changed.
    updated_at: Time,
}

impl From<MonitorGroup> for MonitorGroupBody {
    fn from(group: MonitorGroup) -> Self {
        let MonitorGroup { id, account_id: _, description, members, created_on, modified_on } = group;
        let members = members.into_iter().map(MemberBody::from).collect();
        Self { id, description, members, created_on: Time(created_on), modified_on: Time(modified_on) }
    }
}

impl From<Member> for MemberBody {
    fn from(member: Member) -> Self {
        let Member { settings: MemberSettings { monitor, enabled, monitoring_only, must_be_healthy }, created_at, updated_at } = member;
        let (created_at, updated_at) = (Time(created_at), Time(updated_at));
        Self { monitor_id: monitor, enabled, monitoring_only, must_be_healthy, created_at, updated_at }
    }
}

/// The settings that a body asks for; `stored` under a PATCH.
fn settings(object: Object, stored: Option<MonitorGroupSettings>) -> Result<MonitorGroupSettings, ApiError> {
    body::read(object, reader(stored), MonitorGroupSettings::problems)
}

/// The fields of a monitor group.
fn reader(stored: Option<MonitorGroupSettings>) -> impl FnOnce(&mut Fields<'_>) -> MonitorGroupSettings {
    let (description, members) = stored.map_or((None, None), |stored| (Some(stored.description), Some(stored.members)));
    |fields| {
        let settings = MonitorGroupSettings {
            description: fields.required("description", description, text).unwrap_or_default(),
            members: fields.required("members", members, list_of(object_of(member))).unwrap_or_default(),
        };
        fields.read_only(&["id", "created_on", "modified_on"]);
        settings
    }
}

/// What a body may hold.
pub(crate) fn told() -> Told {
    body::told("MonitorGroup", reader(None))
        .with("/description", json!({"maxLength": DESCRIPTION_CHARS_MAX}))
        .with("/members", json!({"minItems": MEMBERS.start(), "maxItems": MEMBERS.end()}))
}

fn member(fields: &mut Fields<'_>) -> MemberSettings {
    let settings = MemberSettings {
        monitor: fields.required("monitor_id", None, id).unwrap_or(MonitorId::from_bytes([0; 16])),
        enabled: fields.required("enabled", None, flag).unwrap_or_default(),
        monitoring_only: fields.required("monitoring_only", None, flag).unwrap_or_default(),
        must_be_healthy: fields.required("must_be_healthy", None, flag).unwrap_or_default(),
    };
    fields.read_only(&["created_at", "updated_at"]);
    settings
}

pub(crate) async fn list(place: InAccount<Read>, page: Page) -> Answer<Vec<MonitorGroupBody>> {
    let mut db = place.begin().await?;
    let found = monitor_groups::list(&mut db, place.account).await?;
    Ok(page.cut(found.into_iter().map(MonitorGroupBody::from).collect()))
}

pub(crate) async fn create(place: InAccount<Edit>, body: Body) -> Answer<MonitorGroupBody> {
    let mut db = place.begin().await?;
    enabled(&mut db, place.account).await?;
    let group = monitor_groups::create(&mut db, place.account, &settings(body.object()?, None)?).await?;
    db.commit().await?;
    Ok(Envelope::of(group.into()))
}

pub(crate) async fn show(place: InAccount<Read>, Id(id): Id<MonitorGroupId>) -> Answer<MonitorGroupBody> {
    let mut db = place.begin().await?;
    let group = monitor_groups::find(&mut db, place.account, id).await?.ok_or(NOT_FOUND)?;
    Ok(Envelope::of(group.into()))
}

pub(crate) async fn replace(place: InAccount<Edit>, id: Id<MonitorGroupId>, body: Body) -> Answer<MonitorGroupBody> {
    write(place, id, body, |_| None).await
}

pub(crate) async fn patch(place: InAccount<Edit>, id: Id<MonitorGroupId>, body: Body) -> Answer<MonitorGroupBody> {
    write(place, id, body, |stored| Some(stored.settings())).await
}

async fn write(
    place: InAccount<Edit>,
    Id(id): Id<MonitorGroupId>,
    body: Body,
    base: impl Fn(&MonitorGroup) -> Option<MonitorGroupSettings>,
) -> Answer<MonitorGroupBody> {
    let mut db = place.begin().await?;
    let stored = monitor_groups::find_for_update(&mut db, place.account, id).await?.ok_or(NOT_FOUND)?;
    let settings = settings(body.object()?, base(&stored))?;
    let group = monitor_groups::replace(&mut db, place.account, id, &settings).await?.ok_or(NOT_FOUND)?;
    db.commit().await?;
    Ok(Envelope::of(group.into()))
}

/// Answers the whole group, as it was.
pub(crate) async fn delete(place: InAccount<Edit>, Id(id): Id<MonitorGroupId>) -> Answer<MonitorGroupBody> {
    let mut db = place.begin().await?;
    let group = monitor_groups::delete(&mut db, place.account, id).await?.ok_or(NOT_FOUND)?;
    db.commit().await?;
    Ok(Envelope::of(group.into()))
}
