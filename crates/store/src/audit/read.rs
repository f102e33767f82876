//! Reading the audit log.

use futures_util::stream::BoxStream;
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use quorate_core::ids::AccountId;
use sqlx::PgConnection;

use super::{Action, Actor, Entry};
use crate::db::{Operator, Tenant};
use crate::error::Error;
use crate::row::{Place, big};

/// Pages further back than this many rows are empty.
const OFFSET_MAX: u64 = 1 << 40;

/// Absent: filters nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Inclusive.
    pub since: Option<Timestamp>,
    /// Exclusive.
    pub until: Option<Timestamp>,
    pub action: Option<Action>,
    /// `monitor`, `pool` and so on.
    pub object_kind: Option<String>,
    pub object_id: Option<String>,
}

pub(super) struct Row {
    account_id: Vec<u8>,
    seq: i64,
    occurred_at: jiff_sqlx::Timestamp,
    actor_kind: String,
    actor_id: Option<String>,
    actor_name: Option<String>,
    address: Option<String>,
    action: String,
    object_kind: String,
    object_id: String,
    object_name: String,
    changed: Vec<String>,
    before_digest: Option<Vec<u8>>,
    after_digest: Option<Vec<u8>>,
    previous: Vec<u8>,
    hash: Vec<u8>,
}

impl TryFrom<Row> for Entry {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let place = Place { table: "audit_log", key: &row.seq.to_be_bytes() };
        let actor = match (row.actor_kind.as_str(), row.actor_id, row.actor_name) {
            ("token", Some(id), Some(name)) => Actor::Token {
                id: place.text("actor_id", &id)?,
                name,
                address: row.address.map(|address| place.text("address", &address)).transpose()?,
            },
            ("operator", None, None) => Actor::Operator,
            (kind, ..) => return Err(place.corrupt(format_args!("actor_kind is {kind}"))),
        };
        let digest = |column, bytes: Option<Vec<u8>>| bytes.map(|bytes| hash(place, column, &bytes)).transpose();
        Ok(Self {
            account_id: place.id("account_id", &row.account_id)?,
            seq: place.number("seq", row.seq)?,
            occurred_at: row.occurred_at.to_jiff(),
            actor,
            action: place.text("action", &row.action)?,
            object_kind: row.object_kind,
            object_id: row.object_id,
            object_name: row.object_name,
            changed: row.changed,
            before: digest("before_digest", row.before_digest)?,
            after: digest("after_digest", row.after_digest)?,
            previous: hash(place, "previous", &row.previous)?,
            hash: hash(place, "hash", &row.hash)?,
        })
    }
}

pub(super) fn hash(place: Place<'_>, column: &str, bytes: &[u8]) -> Result<[u8; 32], Error> {
    bytes.try_into().map_err(|_| place.corrupt(format_args!("{column} has {} bytes", bytes.len())))
}

/// Newest first, with the total that matches the filter; of an account that the tenant does not see, nothing.
pub async fn list(db: &mut Tenant, account: AccountId, filter: &Filter, offset: u64, limit: u32) -> Result<(Vec<Entry>, u64), Error> {
    page(db.conn(), account, filter, offset, limit).await
}

/// As [`list`], of any account or the [`INSTALLATION`](super::INSTALLATION).
pub async fn list_all(op: &mut Operator, account: AccountId, filter: &Filter, offset: u64, limit: u32) -> Result<(Vec<Entry>, u64), Error> {
    page(op.conn(), account, filter, offset, limit).await
}

async fn page(conn: &mut PgConnection, account: AccountId, filter: &Filter, offset: u64, limit: u32) -> Result<(Vec<Entry>, u64), Error> {
    let since = filter.since.map(ToSqlx::to_sqlx);
    let until = filter.until.map(ToSqlx::to_sqlx);
    let action = filter.action.map(Action::name);
    let rows = sqlx::query_as!(
        Row,
        r#"
        select account_id, seq, occurred_at as "occurred_at: jiff_sqlx::Timestamp", actor_kind, actor_id, actor_name, address,
            action, object_kind, object_id, object_name, changed, before_digest, after_digest, previous, hash
        from audit_log
        where account_id = $1
            and occurred_at >= coalesce($2, '-infinity'::timestamptz)
            and occurred_at < coalesce($3, 'infinity'::timestamptz)
            and ($4::text is null or action = $4)
            and ($5::text is null or object_kind = $5)
            and ($6::text is null or object_id = $6)
        order by seq desc
        offset $7 limit $8
        "#,
        account.as_bytes(),
        since as _,
        until as _,
        action,
        filter.object_kind.as_deref(),
        filter.object_id.as_deref(),
        big(offset.min(OFFSET_MAX)),
        i64::from(limit),
    )
    .fetch_all(&mut *conn)
    .await?;
    let total = sqlx::query_scalar!(
        r#"
        select count(*) as "count!"
        from audit_log
        where account_id = $1
            and occurred_at >= coalesce($2, '-infinity'::timestamptz)
            and occurred_at < coalesce($3, 'infinity'::timestamptz)
            and ($4::text is null or action = $4)
            and ($5::text is null or object_kind = $5)
            and ($6::text is null or object_id = $6)
        "#,
        account.as_bytes(),
        since as _,
        until as _,
        action,
        filter.object_kind.as_deref(),
        filter.object_id.as_deref(),
    )
    .fetch_one(conn)
    .await?;
    let entries = rows.into_iter().map(TryInto::try_into).collect::<Result<_, Error>>()?;
    Ok((entries, u64::try_from(total).unwrap_or(0)))
}

/// The rows of an account after `seq`.
pub(super) fn stream(conn: &mut PgConnection, account: AccountId, seq: u64) -> BoxStream<'_, Result<Row, sqlx::Error>> {
    sqlx::query_as!(
        Row,
        r#"
        select account_id, seq, occurred_at as "occurred_at: jiff_sqlx::Timestamp", actor_kind, actor_id, actor_name, address,
            action, object_kind, object_id, object_name, changed, before_digest, after_digest, previous, hash
        from audit_log
        where account_id = $1 and seq > $2
        order by seq
        "#,
        account.as_bytes().to_vec(),
        big(seq)
    )
    .fetch(conn)
}
