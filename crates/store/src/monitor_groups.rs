//! Monitor groups of an account, with their members.

mod rows;

use jiff::Timestamp;
use quorate_core::ids::{AccountId, MonitorGroupId};
use quorate_core::monitor_group::{Member, MemberSettings, MonitorGroup, MonitorGroupSettings};
use serde_json::Value;

use crate::audit::{self, Audited};
use crate::db::Tenant;
use crate::error::{Error, Referrer};
use crate::row::fields;
use crate::{accounts, generations};

impl Audited for MonitorGroup {
    const KIND: &'static str = "monitor_group";

    fn accounts(&self) -> Vec<AccountId> {
        vec![self.account_id]
    }

    fn id(&self) -> String {
        self.id.to_string()
    }

    /// Groups have no name.
    fn name(&self) -> String {
        self.description.clone()
    }

    fn fields(&self) -> Value {
        fields(&self.settings())
    }
}

/// In creation order.
pub async fn list(db: &mut Tenant, account: AccountId) -> Result<Vec<MonitorGroup>, Error> {
    rows::select(db.conn(), account, None).await
}

pub async fn find(db: &mut Tenant, account: AccountId, id: MonitorGroupId) -> Result<Option<MonitorGroup>, Error> {
    Ok(rows::select(db.conn(), account, Some(id)).await?.pop())
}

/// Like [`find`], and nobody else changes it until the transaction ends: for PATCH.
pub async fn find_for_update(db: &mut Tenant, account: AccountId, id: MonitorGroupId) -> Result<Option<MonitorGroup>, Error> {
    accounts::lock(db.conn(), account).await?;
    find(db, account, id).await
}

/// `Error::QuotaExceeded` where the account has as many groups as it may have monitors,
/// `Error::MissingMembers` for members whose monitors it does not have.
pub async fn create(db: &mut Tenant, account: AccountId, settings: &MonitorGroupSettings) -> Result<MonitorGroup, Error> {
    let limits = accounts::lock(db.conn(), account).await?;
    let (_, now) = accounts::usage_now(db.conn(), account).await?;
    let count = rows::count(db.conn(), account).await?;
    accounts::within_quota("monitor groups", limits.monitors, count, 1)?;
    let group = MonitorGroup {
        id: MonitorGroupId::random(&mut rand::rng()),
        account_id: account,
        description: settings.description.clone(),
        members: settings.members.iter().map(|member| kept_or_new(&[], *member, now)).collect(),
        created_on: now,
        modified_on: now,
    };
    write(db, &group).await?;
    audit::created(db.conn(), &group).await?;
    Ok(group)
}

/// Replaces the settings. A member whose monitor was in the group before keeps its times. Where what probes
/// or votes changes, every check of every pool that uses the group gets a new `config_gen`, and their buckets
/// a new `config_seq`. Equal settings change nothing, `modified_on` included. Errors as [`create`].
/// `Ok(None)`: no such group.
pub async fn replace(
    db: &mut Tenant,
    account: AccountId,
    id: MonitorGroupId,
    settings: &MonitorGroupSettings,
) -> Result<Option<MonitorGroup>, Error> {
    let Some(current) = find_for_update(db, account, id).await? else { return Ok(None) };
    let before = current.settings();
    if before == *settings {
        return Ok(Some(current));
    }
    let (_, now) = accounts::usage_now(db.conn(), account).await?;
    let group = MonitorGroup {
        description: settings.description.clone(),
        members: settings.members.iter().map(|member| kept_or_new(&current.members, *member, now)).collect(),
        modified_on: now,
        ..current.clone()
    };
    write(db, &group).await?;
    audit::updated(db.conn(), &current, &group).await?;
    if before.voices() != settings.voices() {
        let users = rows::users(db.conn(), account, id).await?;
        let pools: Vec<_> = users.iter().map(|(pool, _)| *pool).collect();
        generations::renew(db.conn(), account, &pools).await?;
    }
    Ok(Some(group))
}

/// Answers what was deleted. `Error::Referenced` while pools use it. `Ok(None)`: no such group.
pub async fn delete(db: &mut Tenant, account: AccountId, id: MonitorGroupId) -> Result<Option<MonitorGroup>, Error> {
    let Some(group) = find_for_update(db, account, id).await? else { return Ok(None) };
    let referrers = referrers(db, account, id).await?;
    if !referrers.is_empty() {
        return Err(Error::Referenced { referrers });
    }
    rows::delete(db.conn(), account, id).await?;
    audit::deleted(db.conn(), &group).await?;
    Ok(Some(group))
}

/// The pools that use a group, in creation order.
pub async fn referrers(db: &mut Tenant, account: AccountId, id: MonitorGroupId) -> Result<Vec<Referrer>, Error> {
    let users = rows::users(db.conn(), account, id).await?;
    let referrer = |(pool, name): (quorate_core::ids::PoolId, String)| Referrer {
        resource_type: "pool",
        name,
        id: pool.to_string(),
        place: "monitor_group".to_owned(),
    };
    Ok(users.into_iter().map(referrer).collect())
}

/// Writes a group whose members all exist.
async fn write(db: &mut Tenant, group: &MonitorGroup) -> Result<(), Error> {
    let present = rows::present(db.conn(), group).await?;
    let members = group.members.iter().map(|member| member.settings.monitor).enumerate();
    let missing: Vec<_> = members.filter(|(_, monitor)| !present.contains(monitor)).collect();
    if !missing.is_empty() {
        return Err(Error::MissingMembers { missing });
    }
    rows::write(db.conn(), group).await
}

/// The member of that monitor with its new part; a new member where there is none.
fn kept_or_new(current: &[Member], settings: MemberSettings, now: Timestamp) -> Member {
    match current.iter().find(|held| held.settings.monitor == settings.monitor) {
        Some(held) if held.settings == settings => *held,
        Some(held) => Member { settings, updated_at: now, ..*held },
        None => Member { settings, created_at: now, updated_at: now },
    }
}
