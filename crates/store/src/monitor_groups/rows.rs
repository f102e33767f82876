//! The rows of a monitor group and of its members.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use quorate_core::ids::{AccountId, MonitorGroupId, MonitorId, PoolId};
use quorate_core::monitor_group::{Member, MemberSettings, MonitorGroup};
use serde::Deserialize;
use sqlx::PgConnection;

use crate::error::Error;
use crate::row::{self, Place};

/// One of the list that is read along with its group.
#[derive(Deserialize)]
struct MemberRow {
    monitor_id: MonitorId,
    enabled: bool,
    monitoring_only: bool,
    must_be_healthy: bool,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl From<MemberRow> for Member {
    fn from(row: MemberRow) -> Self {
        let MemberRow { monitor_id, enabled, monitoring_only, must_be_healthy, created_at, updated_at } = row;
        Self { settings: MemberSettings { monitor: monitor_id, enabled, monitoring_only, must_be_healthy }, created_at, updated_at }
    }
}

/// In creation order, each with its members in order, as of one instant.
pub(super) async fn select(conn: &mut PgConnection, account: AccountId, id: Option<MonitorGroupId>) -> Result<Vec<MonitorGroup>, Error> {
    let rows = sqlx::query!(
        r#"
        select g.monitor_group_id, g.description, g.created_on as "created_on: jiff_sqlx::Timestamp",
            g.modified_on as "modified_on: jiff_sqlx::Timestamp",
            (
                select jsonb_agg(
                    jsonb_build_object(
                        'monitor_id', encode(m.monitor_id, 'hex'),
                        'enabled', m.enabled,
                        'monitoring_only', m.monitoring_only,
                        'must_be_healthy', m.must_be_healthy,
                        'created_at', m.created_at,
                        'updated_at', m.updated_at
                    )
                    order by m.place
                )
                from monitor_group_member as m
                where m.account_id = g.account_id and m.monitor_group_id = g.monitor_group_id
            ) as "members!"
        from monitor_group as g
        where g.account_id = $1 and ($2::bytea is null or g.monitor_group_id = $2)
        order by g.created_on, g.monitor_group_id
        "#,
        account.as_bytes(),
        id.as_ref().map(|id| id.as_bytes().as_slice()),
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let place = Place { table: "monitor_group", key: &row.monitor_group_id };
            let members: Vec<MemberRow> = place.json("members", row.members)?;
            Ok(MonitorGroup {
                id: place.id("monitor_group_id", &row.monitor_group_id)?,
                account_id: account,
                description: row.description,
                members: members.into_iter().map(Into::into).collect(),
                created_on: row.created_on.to_jiff(),
                modified_on: row.modified_on.to_jiff(),
            })
        })
        .collect()
}

pub(super) async fn count(conn: &mut PgConnection, account: AccountId) -> Result<u32, Error> {
    let count = sqlx::query_scalar!(r#"select count(*) as "count!" from monitor_group where account_id = $1"#, account.as_bytes())
        .fetch_one(conn)
        .await?;
    Ok(row::count(count))
}

/// Which of the members' monitors the account has.
pub(super) async fn present(conn: &mut PgConnection, group: &MonitorGroup) -> Result<Vec<MonitorId>, Error> {
    let wanted = monitors(group);
    let present = sqlx::query_scalar!(
        "select monitor_id from monitor where account_id = $1 and monitor_id = any ($2)",
        group.account_id.as_bytes(),
        &wanted as &[&[u8]]
    )
    .fetch_all(conn)
    .await?;
    present.iter().map(|id| Place { table: "monitor", key: id }.id("monitor_id", id)).collect()
}

fn monitors(group: &MonitorGroup) -> Vec<&[u8]> {
    group.members.iter().map(|member| member.settings.monitor.as_bytes().as_slice()).collect()
}

/// Inserts the group, or overwrites the one with its id, and its members.
pub(super) async fn write(conn: &mut PgConnection, group: &MonitorGroup) -> Result<(), Error> {
    sqlx::query!(
        r#"
        insert into monitor_group (account_id, monitor_group_id, description, created_on, modified_on)
        values ($1, $2, $3, $4, $5)
        on conflict (account_id, monitor_group_id) do update
        set description = excluded.description, modified_on = excluded.modified_on
        "#,
        group.account_id.as_bytes(),
        group.id.as_bytes(),
        group.description,
        group.created_on.to_sqlx() as _,
        group.modified_on.to_sqlx() as _,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "delete from monitor_group_member where account_id = $1 and monitor_group_id = $2",
        group.account_id.as_bytes(),
        group.id.as_bytes()
    )
    .execute(&mut *conn)
    .await?;
    let flags = |of: fn(&MemberSettings) -> bool| -> Vec<bool> { group.members.iter().map(|member| of(&member.settings)).collect() };
    let times =
        |of: fn(&Member) -> Timestamp| -> Vec<jiff_sqlx::Timestamp> { group.members.iter().map(|member| of(member).to_sqlx()).collect() };
    sqlx::query!(
        r#"
        insert into monitor_group_member (
            account_id, monitor_group_id, monitor_id, place, enabled, monitoring_only, must_be_healthy, created_at, updated_at
        )
        select $1, $2, m.monitor_id, m.place - 1, m.enabled, m.monitoring_only, m.must_be_healthy, m.created_at, m.updated_at
        from unnest($3::bytea[], $4::boolean[], $5::boolean[], $6::boolean[], $7::timestamptz[], $8::timestamptz[]) with ordinality
            as m (monitor_id, enabled, monitoring_only, must_be_healthy, created_at, updated_at, place)
        "#,
        group.account_id.as_bytes(),
        group.id.as_bytes(),
        &monitors(group) as &[&[u8]],
        &flags(|member| member.enabled),
        &flags(|member| member.monitoring_only),
        &flags(|member| member.must_be_healthy),
        &times(|member| member.created_at) as _,
        &times(|member| member.updated_at) as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The pools that use a group, with their names, in creation order.
pub(super) async fn users(conn: &mut PgConnection, account: AccountId, id: MonitorGroupId) -> Result<Vec<(PoolId, String)>, Error> {
    let rows = sqlx::query!(
        "select pool_id, name from pool where account_id = $1 and monitor_group_id = $2 order by created_on, pool_id",
        account.as_bytes(),
        id.as_bytes()
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|row| Ok((Place { table: "pool", key: &row.pool_id }.id("pool_id", &row.pool_id)?, row.name))).collect()
}

pub(super) async fn delete(conn: &mut PgConnection, account: AccountId, id: MonitorGroupId) -> Result<(), Error> {
    sqlx::query!("delete from monitor_group where account_id = $1 and monitor_group_id = $2", account.as_bytes(), id.as_bytes())
        .execute(conn)
        .await?;
    Ok(())
}
