//! Who names whom inside an account: pools their monitor or monitor group, groups their monitors, load balancers
//! their pools.

use quorate_core::ids::{AccountId, MonitorGroupId, MonitorId, PoolId, hex};
use sqlx::PgConnection;

use crate::db::Tenant;
use crate::error::Error;
use crate::row::Place;

/// What can be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    LoadBalancer,
    Pool,
    Monitor,
    MonitorGroup,
}

impl Kind {
    /// As it is written on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LoadBalancer => "load_balancer",
            Self::Pool => "pool",
            Self::Monitor => "monitor",
            Self::MonitorGroup => "monitor_group",
        }
    }
}

impl std::str::FromStr for Kind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let all = [Self::LoadBalancer, Self::Pool, Self::Monitor, Self::MonitorGroup];
        all.into_iter().find(|kind| kind.name() == name).ok_or_else(|| format!("{name:?} is no kind of resource"))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Resource {
    pub kind: Kind,
    /// 32 lower-case hexadecimal characters.
    pub id: String,
    /// A monitor and a group have their description for a name, which may be empty.
    pub name: String,
}

/// One resource that names another, in however many places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub from: Resource,
    pub to: Resource,
}

/// The monitor groups and the pools that use the monitor, in creation order.
pub async fn of_monitor(db: &mut Tenant, account: AccountId, id: MonitorId) -> Result<Vec<Link>, Error> {
    select(db.conn(), account, Some(id.as_bytes())).await
}

/// The monitors of the group; then the pools that use it, in creation order.
pub async fn of_monitor_group(db: &mut Tenant, account: AccountId, id: MonitorGroupId) -> Result<Vec<Link>, Error> {
    select(db.conn(), account, Some(id.as_bytes())).await
}

/// The load balancers that name the pool, wherever they do, in creation order; then its monitor or group.
pub async fn of_pool(db: &mut Tenant, account: AccountId, id: PoolId) -> Result<Vec<Link>, Error> {
    select(db.conn(), account, Some(id.as_bytes())).await
}

/// All of the account between what a [`search`] finds, which monitor groups are not among.
pub async fn all(db: &mut Tenant, account: AccountId) -> Result<Vec<Link>, Error> {
    let links = select(db.conn(), account, None).await?;
    let is_found = |resource: &Resource| resource.kind != Kind::MonitorGroup;
    Ok(links.into_iter().filter(|link| is_found(&link.from) && is_found(&link.to)).collect())
}

async fn select(conn: &mut PgConnection, account: AccountId, of: Option<&[u8; 16]>) -> Result<Vec<Link>, Error> {
    let rows = sqlx::query!(
        r#"
        select link.from_kind as "from_kind!", link.from_id as "from_id!", link.from_name as "from_name!",
            link.to_kind as "to_kind!", link.to_id as "to_id!", link.to_name as "to_name!"
        from (
            select 'load_balancer' as from_kind, l.load_balancer_id as from_id, l.name as from_name, l.created_on,
                'pool' as to_kind, p.pool_id as to_id, p.name as to_name, p.created_on as to_created_on
            from (select distinct load_balancer_id, pool_id from load_balancer_pool where account_id = $1) as r
            join load_balancer as l on l.account_id = $1 and l.load_balancer_id = r.load_balancer_id
            join pool as p on p.account_id = $1 and p.pool_id = r.pool_id
            union all
            select 'pool', p.pool_id, p.name, p.created_on, 'monitor', m.monitor_id, m.description, m.created_on
            from pool as p
            join monitor as m on m.account_id = p.account_id and m.monitor_id = p.monitor_id
            where p.account_id = $1
            union all
            select 'pool', p.pool_id, p.name, p.created_on, 'monitor_group', g.monitor_group_id, g.description, g.created_on
            from pool as p
            join monitor_group as g on g.account_id = p.account_id and g.monitor_group_id = p.monitor_group_id
            where p.account_id = $1
            union all
            select 'monitor_group', g.monitor_group_id, g.description, g.created_on, 'monitor', m.monitor_id, m.description, m.created_on
            from monitor_group_member as r
            join monitor_group as g on g.account_id = r.account_id and g.monitor_group_id = r.monitor_group_id
            join monitor as m on m.account_id = r.account_id and m.monitor_id = r.monitor_id
            where r.account_id = $1
        ) as link
        where $2::bytea is null or link.from_id = $2 or link.to_id = $2
        order by link.from_kind, link.created_on, link.from_id, link.to_created_on, link.to_id
        "#,
        account.as_bytes(),
        of.map(<[u8; 16]>::as_slice),
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Link {
                from: resource("load_balancer_pool", &row.from_kind, &row.from_id, row.from_name)?,
                to: resource("load_balancer_pool", &row.to_kind, &row.to_id, row.to_name)?,
            })
        })
        .collect()
}

/// The load balancers, pools and monitors whose name contains `text`, in whatever case, or whose id it is; all of
/// them for an empty text. By kind, then in creation order.
pub async fn search(db: &mut Tenant, account: AccountId, text: &str) -> Result<Vec<Resource>, Error> {
    let rows = sqlx::query!(
        r#"
        select found.kind as "kind!", found.id as "id!", found.name as "name!"
        from (
            select 1 as place, 'load_balancer' as kind, load_balancer_id as id, name, created_on
            from load_balancer where account_id = $1
            union all
            select 2, 'pool', pool_id, name, created_on from pool where account_id = $1
            union all
            select 3, 'monitor', monitor_id, description, created_on from monitor where account_id = $1
        ) as found
        where position(lower($2) in lower(found.name)) > 0 or encode(found.id, 'hex') = lower($2)
        order by found.place, found.created_on, found.id
        "#,
        account.as_bytes(),
        text,
    )
    .fetch_all(db.conn())
    .await?;
    rows.into_iter().map(|row| resource("load_balancer", &row.kind, &row.id, row.name)).collect()
}

fn resource(table: &'static str, kind: &str, id: &[u8], name: String) -> Result<Resource, Error> {
    Ok(Resource { kind: Place { table, key: id }.text("kind", kind)?, id: hex(id), name })
}
