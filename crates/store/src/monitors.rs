//! Monitors of an account.

use jiff_sqlx::ToSqlx;
use quorate_core::ids::{AccountId, MonitorId, PoolId, hex};
use quorate_core::monitor::{Monitor, MonitorSettings};
use serde_json::Value;
use sqlx::PgConnection;

use crate::audit::{self, Audited};
use crate::db::Tenant;
use crate::error::{Error, Referrer};
use crate::header_secrets::{HeaderSecrets, Owner};
use crate::row::{self, Place};
use crate::{accounts, generations};

pub(crate) struct Row {
    pub(crate) account_id: Vec<u8>,
    pub(crate) monitor_id: Vec<u8>,
    pub(crate) kind: String,
    pub(crate) description: String,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) header: Value,
    pub(crate) secret_headers: Vec<String>,
    pub(crate) port: i32,
    pub(crate) timeout_s: i32,
    pub(crate) retries: i16,
    pub(crate) interval_s: i32,
    pub(crate) consecutive_up: i16,
    pub(crate) consecutive_down: i16,
    pub(crate) expected_codes: String,
    pub(crate) expected_body: String,
    pub(crate) follow_redirects: bool,
    pub(crate) allow_insecure: bool,
    pub(crate) probe_zone: String,
    pub(crate) created_on: jiff_sqlx::Timestamp,
    pub(crate) modified_on: jiff_sqlx::Timestamp,
}

impl Row {
    /// The monitor; a secret of its header that cannot be opened reads as no value.
    pub(crate) fn monitor(self, secrets: &HeaderSecrets) -> Result<Monitor, Error> {
        let row = self;
        let place = Place { table: "monitor", key: &row.monitor_id };
        let owner = Owner { kind: "monitor", account: &row.account_id, id: &row.monitor_id };
        Ok(Monitor {
            id: place.id("monitor_id", &row.monitor_id)?,
            account_id: place.id("account_id", &row.account_id)?,
            settings: MonitorSettings {
                kind: place.text("kind", &row.kind)?,
                header: secrets.open(owner, row.header).map_err(|problem| place.corrupt(format_args!("header: {problem}")))?,
                secret_headers: row.secret_headers,
                port: place.number("port", row.port)?,
                timeout: place.number("timeout_s", row.timeout_s)?,
                retries: place.number("retries", row.retries)?,
                interval: place.number("interval_s", row.interval_s)?,
                consecutive_up: place.number("consecutive_up", row.consecutive_up)?,
                consecutive_down: place.number("consecutive_down", row.consecutive_down)?,
                description: row.description,
                method: row.method,
                path: row.path,
                expected_codes: row.expected_codes,
                expected_body: row.expected_body,
                follow_redirects: row.follow_redirects,
                allow_insecure: row.allow_insecure,
                probe_zone: row.probe_zone,
            },
            created_on: row.created_on.to_jiff(),
            modified_on: row.modified_on.to_jiff(),
        })
    }
}

/// A monitor, as the audit log knows it.
struct Told<'a> {
    monitor: &'a Monitor,
    secrets: &'a HeaderSecrets,
}

impl Audited for Told<'_> {
    const KIND: &'static str = "monitor";

    fn accounts(&self) -> Vec<AccountId> {
        vec![self.monitor.account_id]
    }

    fn id(&self) -> String {
        self.monitor.id.to_string()
    }

    /// Monitors have no name.
    fn name(&self) -> String {
        self.monitor.settings.description.clone()
    }

    fn fields(&self) -> Value {
        let mut fields = row::fields(&self.monitor.settings);
        fields["header"] = self.secrets.audited(&self.monitor.settings.header, &self.monitor.settings.secret_headers);
        fields
    }
}

/// In creation order.
pub async fn list(db: &mut Tenant, account: AccountId) -> Result<Vec<Monitor>, Error> {
    select(db, account, None).await
}

pub async fn find(db: &mut Tenant, account: AccountId, id: MonitorId) -> Result<Option<Monitor>, Error> {
    Ok(select(db, account, Some(id)).await?.pop())
}

/// Like [`find`], and nobody else changes it until the transaction ends: for PATCH.
pub async fn find_for_update(db: &mut Tenant, account: AccountId, id: MonitorId) -> Result<Option<Monitor>, Error> {
    accounts::lock(db.conn(), account).await?;
    find(db, account, id).await
}

async fn select(db: &mut Tenant, account: AccountId, id: Option<MonitorId>) -> Result<Vec<Monitor>, Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        select account_id, monitor_id, kind, description, method, path, header, secret_headers, port, timeout_s, retries, interval_s,
            consecutive_up, consecutive_down, expected_codes, expected_body, follow_redirects, allow_insecure, probe_zone,
            created_on as "created_on: jiff_sqlx::Timestamp", modified_on as "modified_on: jiff_sqlx::Timestamp"
        from monitor
        where account_id = $1 and ($2::bytea is null or monitor_id = $2)
        order by created_on, monitor_id
        "#,
        account.as_bytes(),
        id.as_ref().map(|id| id.as_bytes().as_slice()),
    )
    .fetch_all(db.conn())
    .await?;
    rows.into_iter().map(|row| row.monitor(db.header_secrets())).collect()
}

/// `Error::QuotaExceeded` at the account's limit, decided in this transaction.
pub async fn create(db: &mut Tenant, account: AccountId, settings: &MonitorSettings) -> Result<Monitor, Error> {
    let limits = accounts::lock(db.conn(), account).await?;
    let (usage, now) = accounts::usage_now(db.conn(), account).await?;
    accounts::within_quota("monitors", limits.monitors, usage.monitors, 1)?;
    let monitor = Monitor {
        id: MonitorId::random(&mut rand::rng()),
        account_id: account,
        settings: settings.clone(),
        created_on: now,
        modified_on: now,
    };
    write(db, &monitor).await?;
    let secrets = db.header_secrets().clone();
    audit::created(db.conn(), &Told { monitor: &monitor, secrets: &secrets }).await?;
    Ok(monitor)
}

/// Inserts the monitor, or overwrites the one with its id.
async fn write(db: &mut Tenant, monitor: &Monitor) -> Result<(), Error> {
    let settings = &monitor.settings;
    let owner = Owner { kind: "monitor", account: monitor.account_id.as_bytes(), id: monitor.id.as_bytes() };
    let header = db.header_secrets().seal(owner, &settings.header, &settings.secret_headers)?;
    sqlx::query!(
        r#"
        insert into monitor (
            account_id, monitor_id, kind, description, method, path, header, port, timeout_s, retries, interval_s,
            consecutive_up, consecutive_down, expected_codes, expected_body, follow_redirects, allow_insecure, probe_zone,
            created_on, modified_on, secret_headers
        )
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)
        on conflict (account_id, monitor_id) do update
        set kind = excluded.kind, description = excluded.description, method = excluded.method, path = excluded.path,
            header = excluded.header, secret_headers = excluded.secret_headers, port = excluded.port, timeout_s = excluded.timeout_s, retries = excluded.retries,
            interval_s = excluded.interval_s, consecutive_up = excluded.consecutive_up,
            consecutive_down = excluded.consecutive_down, expected_codes = excluded.expected_codes,
            expected_body = excluded.expected_body, follow_redirects = excluded.follow_redirects,
            allow_insecure = excluded.allow_insecure, probe_zone = excluded.probe_zone, modified_on = excluded.modified_on
        "#,
        monitor.account_id.as_bytes(),
        monitor.id.as_bytes(),
        settings.kind.name(),
        settings.description,
        settings.method,
        settings.path,
        header,
        i32::from(settings.port),
        i32::from(settings.timeout),
        i16::from(settings.retries),
        i32::from(settings.interval),
        i16::from(settings.consecutive_up),
        i16::from(settings.consecutive_down),
        settings.expected_codes,
        settings.expected_body,
        settings.follow_redirects,
        settings.allow_insecure,
        settings.probe_zone,
        monitor.created_on.to_sqlx() as _,
        monitor.modified_on.to_sqlx() as _,
        &settings.secret_headers,
    )
    .execute(db.conn())
    .await?;
    Ok(())
}

/// Replaces the settings. Where the probe changes, every check of every pool that uses the monitor gets
/// a new `config_gen`, and their buckets a new `config_seq`, in this transaction. Equal settings change nothing,
/// `modified_on` included. `Ok(None)`: no such monitor.
pub async fn replace(db: &mut Tenant, account: AccountId, id: MonitorId, settings: &MonitorSettings) -> Result<Option<Monitor>, Error> {
    let Some(current) = find_for_update(db, account, id).await? else { return Ok(None) };
    if current.settings == *settings {
        return Ok(Some(current));
    }
    let (_, now) = accounts::usage_now(db.conn(), account).await?;
    let probes_differently = current.settings.probes_differently(settings);
    let monitor = Monitor { settings: settings.clone(), modified_on: now, ..current.clone() };
    write(db, &monitor).await?;
    let secrets = db.header_secrets().clone();
    audit::updated(db.conn(), &Told { monitor: &current, secrets: &secrets }, &Told { monitor: &monitor, secrets: &secrets }).await?;
    if probes_differently {
        let pools = probed_pools(db.conn(), account, id).await?;
        generations::renew(db.conn(), account, &pools).await?;
    }
    Ok(Some(monitor))
}

/// The pools that a monitor probes for, for whoever asks on behalf of a tenant.
pub async fn pools(db: &mut Tenant, account: AccountId, id: MonitorId) -> Result<Vec<PoolId>, Error> {
    probed_pools(db.conn(), account, id).await
}

/// The pools that a monitor probes for, by themselves or through an enabled member of their group.
async fn probed_pools(conn: &mut PgConnection, account: AccountId, id: MonitorId) -> Result<Vec<PoolId>, Error> {
    let pools = sqlx::query_scalar!(
        r#"
        select p.pool_id
        from pool as p
        where p.account_id = $1
            and (
                p.monitor_id = $2
                or exists (
                    select from monitor_group_member as m
                    where m.account_id = p.account_id and m.monitor_group_id = p.monitor_group_id and m.monitor_id = $2 and m.enabled
                )
            )
        "#,
        account.as_bytes(),
        id.as_bytes()
    )
    .fetch_all(conn)
    .await?;
    pools.iter().map(|id| Place { table: "pool", key: id }.id("pool_id", id)).collect()
}

/// `Error::Referenced` while pools or monitor groups use it. `Ok(false)`: no such monitor.
pub async fn delete(db: &mut Tenant, account: AccountId, id: MonitorId) -> Result<bool, Error> {
    let Some(monitor) = find_for_update(db, account, id).await? else { return Ok(false) };
    let referrers = referrers(db, account, id).await?;
    if !referrers.is_empty() {
        return Err(Error::Referenced { referrers });
    }
    sqlx::query!("delete from monitor where account_id = $1 and monitor_id = $2", account.as_bytes(), id.as_bytes())
        .execute(db.conn())
        .await?;
    let secrets = db.header_secrets().clone();
    audit::deleted(db.conn(), &Told { monitor: &monitor, secrets: &secrets }).await?;
    Ok(true)
}

/// The pools and the monitor groups that use a monitor, each kind in creation order. A group has no name:
/// its description stands for it.
pub async fn referrers(db: &mut Tenant, account: AccountId, id: MonitorId) -> Result<Vec<Referrer>, Error> {
    let pools = sqlx::query!(
        "select pool_id, name from pool where account_id = $1 and monitor_id = $2 order by created_on, pool_id",
        account.as_bytes(),
        id.as_bytes()
    )
    .fetch_all(db.conn())
    .await?;
    let pools =
        pools.into_iter().map(|row| Referrer { resource_type: "pool", name: row.name, id: hex(&row.pool_id), place: "monitor".to_owned() });
    let groups = sqlx::query!(
        r#"
        select g.monitor_group_id, g.description
        from monitor_group_member as m
        join monitor_group as g on g.account_id = m.account_id and g.monitor_group_id = m.monitor_group_id
        where m.account_id = $1 and m.monitor_id = $2
        order by g.created_on, g.monitor_group_id
        "#,
        account.as_bytes(),
        id.as_bytes()
    )
    .fetch_all(db.conn())
    .await?;
    let groups = groups.into_iter().map(|row| Referrer {
        resource_type: "monitor_group",
        name: row.description,
        id: hex(&row.monitor_group_id),
        place: "members".to_owned(),
    });
    Ok(pools.chain(groups).collect())
}
