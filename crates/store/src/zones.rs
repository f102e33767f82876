//! Zones: domains of an account.

use std::str::FromStr;

use jiff::Timestamp;
use quorate_core::ids::{AccountId, ZoneId, hex};
use serde_json::{Value, json};
use sqlx::PgConnection;

use crate::accounts;
use crate::audit::{self, Audited};
use crate::db::{Db, Operator, Tenant};
use crate::error::{Error, Referrer, on_constraint};
use crate::row::{self, Place};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    pub id: ZoneId,
    pub account_id: AccountId,
    pub account_name: String,
    /// Lower case, no trailing dot: `example.com`.
    pub name: String,
    pub kind: ZoneKind,
    pub load_balancing_enabled: bool,
    pub created_on: Timestamp,
    pub modified_on: Timestamp,
}

/// What a zone is asked to be. Kept and given back: nothing here depends on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ZoneKind {
    #[default]
    Full,
    Partial,
    Secondary,
    Internal,
}

impl ZoneKind {
    pub const ALL: [Self; 4] = [Self::Full, Self::Partial, Self::Secondary, Self::Internal];

    /// As it is written on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Partial => "partial",
            Self::Secondary => "secondary",
            Self::Internal => "internal",
        }
    }
}

impl FromStr for ZoneKind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| format!("{name:?} is no kind of zone"))
    }
}

/// Zones that requests may make in an account; the operator's commands know no limit.
pub const ZONES_MAX: u32 = 1000;

/// One request at a time makes a zone, so that two do not share a name unseen. The number is this lock's alone.
const NAMES_LOCK: i64 = 7_310_037;

struct Row {
    account_id: Vec<u8>,
    zone_id: Vec<u8>,
    account_name: String,
    name: String,
    kind: String,
    load_balancing_enabled: bool,
    created_on: jiff_sqlx::Timestamp,
    modified_on: jiff_sqlx::Timestamp,
}

impl TryFrom<Row> for Zone {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let place = Place { table: "zone", key: &row.zone_id };
        Ok(Self {
            id: place.id("zone_id", &row.zone_id)?,
            account_id: place.id("account_id", &row.account_id)?,
            account_name: row.account_name,
            kind: place.text("kind", &row.kind)?,
            name: row.name,
            load_balancing_enabled: row.load_balancing_enabled,
            created_on: row.created_on.to_jiff(),
            modified_on: row.modified_on.to_jiff(),
        })
    }
}

impl Audited for Zone {
    const KIND: &'static str = "zone";

    fn accounts(&self) -> Vec<AccountId> {
        vec![self.account_id]
    }

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn fields(&self) -> Value {
        json!({"name": self.name, "type": self.kind.name(), "load_balancing_enabled": self.load_balancing_enabled})
    }
}

/// `Error::NotUnique { field: "name" }` where the name is taken in the account, `Error::MissingReference` for the account.
pub async fn create(op: &mut Operator, account: AccountId, name: &str) -> Result<Zone, Error> {
    accounts::lock(op.conn(), account).await?;
    insert(op.conn(), account, name, ZoneKind::Full).await
}

/// Like [`create`], for a request; `Error::QuotaExceeded` at [`ZONES_MAX`], `Error::TakenElsewhere` where the name would reach
/// into another account's. The operator alone may share names out otherwise.
pub async fn create_in(db: &Db, tenant: &mut Tenant, account: AccountId, name: &str, kind: ZoneKind) -> Result<Zone, Error> {
    accounts::lock(tenant.conn(), account).await?;
    let there = sqlx::query_scalar!(r#"select count(*) as "count!" from zone where account_id = $1"#, account.as_bytes())
        .fetch_one(tenant.conn())
        .await?;
    accounts::within_quota("zones", ZONES_MAX, row::count(there), 1)?;
    sqlx::query!("select pg_advisory_xact_lock($1)", NAMES_LOCK).execute(tenant.conn()).await?;
    if is_taken_elsewhere(db, account, name).await? {
        return Err(Error::TakenElsewhere { name: name.to_owned() });
    }
    insert(tenant.conn(), account, name, kind).await
}

/// Asked beside the tenant, who does not see the zones of others.
async fn is_taken_elsewhere(db: &Db, account: AccountId, name: &str) -> Result<bool, Error> {
    let taken = sqlx::query_scalar!(
        r#"
        select exists (
            select
            from zone as z
            where z.account_id <> $1
                and (
                    z.name = $2
                    or right($2, length(z.name) + 1) = '.' || z.name
                    or right(z.name, length($2) + 1) = '.' || $2
                )
        ) as "taken!"
        "#,
        account.as_bytes(),
        name
    )
    .fetch_one(&db.operator_pool())
    .await?;
    Ok(taken)
}

async fn insert(conn: &mut PgConnection, account: AccountId, name: &str, kind: ZoneKind) -> Result<Zone, Error> {
    let id = ZoneId::random(&mut rand::rng());
    sqlx::query!(
        r#"
        insert into zone (account_id, zone_id, name, kind, created_on, modified_on)
        select $1, $2, $3, $4, now.instant, now.instant
        from (select clock_timestamp() as instant) as now
        "#,
        account.as_bytes(),
        id.as_bytes(),
        name,
        kind.name(),
    )
    .execute(&mut *conn)
    .await
    .map_err(|problem| on_constraint(problem, "zone_name_key", || Error::NotUnique { field: "name" }))?;
    let zone = select(&mut *conn, Some(id)).await?.pop();
    let zone = zone.ok_or_else(|| Error::MissingReference { resource: "zone", id: id.to_string() })?;
    audit::created(conn, &zone).await?;
    Ok(zone)
}

/// `Ok(None)`: no such zone.
pub async fn set_load_balancing(op: &mut Operator, id: ZoneId, enabled: bool) -> Result<Option<Zone>, Error> {
    let Some(before) = find_for_update(op.conn(), id).await? else { return Ok(None) };
    if before.load_balancing_enabled == enabled {
        return Ok(Some(before));
    }
    sqlx::query!(
        r#"
        update zone
        set load_balancing_enabled = $2, modified_on = clock_timestamp()
        where zone_id = $1
        "#,
        id.as_bytes(),
        enabled
    )
    .execute(op.conn())
    .await?;
    let after = select(op.conn(), Some(id)).await?.pop();
    if let Some(after) = &after {
        audit::updated(op.conn(), &before, after).await?;
    }
    Ok(after)
}

/// Under the lock of its account.
async fn find_for_update(conn: &mut PgConnection, id: ZoneId) -> Result<Option<Zone>, Error> {
    let Some(found) = select(&mut *conn, Some(id)).await?.pop() else { return Ok(None) };
    accounts::lock(&mut *conn, found.account_id).await?;
    // Once more: it may have changed before the lock.
    Ok(select(conn, Some(id)).await?.pop())
}

/// In creation order.
pub async fn list_all(op: &mut Operator) -> Result<Vec<Zone>, Error> {
    select(op.conn(), None).await
}

/// `Error::Referenced` while load balancers or health checks are in it. `Ok(false)`: no such zone.
pub async fn delete(op: &mut Operator, id: ZoneId) -> Result<bool, Error> {
    remove(op.conn(), id).await
}

/// Like [`delete`], for a request.
pub async fn delete_in(db: &mut Tenant, id: ZoneId) -> Result<bool, Error> {
    remove(db.conn(), id).await
}

async fn remove(conn: &mut PgConnection, id: ZoneId) -> Result<bool, Error> {
    let Some(zone) = find_for_update(&mut *conn, id).await? else { return Ok(false) };
    let inside = sqlx::query!(
        r#"
        select kind as "kind!", id as "id!", name as "name!"
        from (
            select 'load_balancer' as kind, load_balancer_id as id, name, created_on
            from load_balancer
            where account_id = $1 and zone_id = $2
            union all
            select 'healthcheck', healthcheck_id, settings ->> 'name', created_on
            from healthcheck
            where account_id = $1 and zone_id = $2
        ) as inside
        order by created_on, id
        "#,
        zone.account_id.as_bytes(),
        id.as_bytes()
    )
    .fetch_all(&mut *conn)
    .await?;
    if !inside.is_empty() {
        let referrers = inside.into_iter().map(|row| Referrer {
            resource_type: if row.kind == "healthcheck" { "healthcheck" } else { "load_balancer" },
            name: row.name,
            id: hex(&row.id),
            place: "zone".to_owned(),
        });
        return Err(Error::Referenced { referrers: referrers.collect() });
    }
    sqlx::query!("delete from zone where account_id = $1 and zone_id = $2", zone.account_id.as_bytes(), id.as_bytes())
        .execute(&mut *conn)
        .await?;
    audit::deleted(conn, &zone).await?;
    Ok(true)
}

/// All zones of the accounts that the tenant sees, in creation order.
pub async fn list(db: &mut Tenant) -> Result<Vec<Zone>, Error> {
    select(db.conn(), None).await
}

pub async fn find(db: &mut Tenant, id: ZoneId) -> Result<Option<Zone>, Error> {
    Ok(select(db.conn(), Some(id)).await?.pop())
}

/// What the role of the connection may see.
async fn select(conn: &mut PgConnection, id: Option<ZoneId>) -> Result<Vec<Zone>, Error> {
    sqlx::query_as!(
        Row,
        r#"
        select z.account_id, z.zone_id, a.name as account_name, z.name, z.kind, z.load_balancing_enabled,
            z.created_on as "created_on: jiff_sqlx::Timestamp", z.modified_on as "modified_on: jiff_sqlx::Timestamp"
        from zone as z
        join account as a on a.account_id = z.account_id
        where $1::bytea is null or z.zone_id = $1
        order by z.created_on, z.zone_id
        "#,
        id.as_ref().map(|id| id.as_bytes().as_slice()),
    )
    .fetch_all(conn)
    .await?
    .into_iter()
    .map(TryInto::try_into)
    .collect()
}
