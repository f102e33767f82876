//! Who changed what. Every function that changes an object calls [`created`], [`updated`] or [`deleted`] in the
//! transaction of the change, after it has locked the account; a new kind of object implements [`Audited`].
//!
//! The rows of an account are a chain: each carries the hash of the one before it. Roles of the program can
//! add rows and not change them, so a row that is changed or removed by other means breaks the chain, which
//! [`verify`](chain::verify) finds. Rows taken from its end leave a chain that is whole: so its end is [signed](signing)
//! every day.

mod chain;
mod head;
mod read;
mod signing;

use std::collections::BTreeSet;
use std::net::IpAddr;

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use quorate_core::ids::{AccountId, TokenId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;

use crate::error::Error;
use crate::row::{Place, big};

pub use chain::{Head, Verified, verify};
pub use head::{InvalidHead, SignedHead, SigningKey};
pub use read::{Filter, list, list_all};
pub use signing::{Held, Signing, due, hold, sign};

/// Stands for the installation where an account is asked for: what belongs to no account is written down under it.
pub const INSTALLATION: AccountId = AccountId::from_bytes([0; 16]);

/// One writer at a time where there is no account to lock. The number is this lock's alone.
const INSTALLATION_LOCK: i64 = 7_310_036;

/// Who makes a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Actor {
    /// A request under an API token.
    Token {
        id: TokenId,
        name: String,
        /// Where the request came from; `None`: not over the network.
        address: Option<IpAddr>,
    },
    /// A command of the operator, who is in the database anyway.
    Operator,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Create,
    Update,
    Delete,
}

impl Action {
    pub const ALL: [Self; 3] = [Self::Create, Self::Update, Self::Delete];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

impl std::str::FromStr for Action {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|action| action.name() == text).ok_or_else(|| format!("{text:?} is no action"))
    }
}

/// One change of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub account_id: AccountId,
    /// Without gaps from 1 in each account.
    pub seq: u64,
    pub occurred_at: Timestamp,
    pub actor: Actor,
    pub action: Action,
    /// `monitor`, `pool`, `load_balancer` and so on.
    pub object_kind: String,
    pub object_id: String,
    pub object_name: String,
    /// Names of the fields that differ; all of them for a creation or a deletion.
    pub changed: Vec<String>,
    /// SHA-256 of the object as JSON without its secrets; `None`: it was not there.
    pub before: Option<[u8; 32]>,
    /// `None`: it is gone.
    pub after: Option<[u8; 32]>,
    /// The hash of the row before it; zeros in the first.
    pub previous: [u8; 32],
    pub hash: [u8; 32],
}

/// A kind of object whose changes are written down.
pub(crate) trait Audited {
    /// The word for it in routes, tables and answers: `load_balancer`.
    const KIND: &'static str;

    /// Where it is written down: its account, all that it reaches, or [`INSTALLATION`].
    fn accounts(&self) -> Vec<AccountId>;

    fn id(&self) -> String;

    /// What people call it.
    fn name(&self) -> String;

    /// What can change of it, by field. A secret is not among them, or as a keyed digest: what lies in the log must help
    /// nobody to guess it.
    fn fields(&self) -> Value;
}

/// Writes down that `object` was made. The accounts of the object have to be locked by this transaction.
pub(crate) async fn created(conn: &mut PgConnection, object: &impl Audited) -> Result<(), Error> {
    record(conn, Action::Create, object, None, Some(object.fields())).await
}

/// Writes down that `before` became `after`, also where no field that is told differs. The accounts of the object have to
/// be locked by this transaction.
pub(crate) async fn updated<T: Audited>(conn: &mut PgConnection, before: &T, after: &T) -> Result<(), Error> {
    record(conn, Action::Update, after, Some(before.fields()), Some(after.fields())).await
}

/// Writes down that `object` is gone. The accounts of the object have to be locked by this transaction.
pub(crate) async fn deleted(conn: &mut PgConnection, object: &impl Audited) -> Result<(), Error> {
    record(conn, Action::Delete, object, Some(object.fields()), None).await
}

async fn record<T: Audited>(
    conn: &mut PgConnection,
    action: Action,
    object: &T,
    before: Option<Value>,
    after: Option<Value>,
) -> Result<(), Error> {
    let changed = changed(before.as_ref(), after.as_ref());
    let (before, after) = (before.as_ref().map(digest), after.as_ref().map(digest));
    for account_id in object.accounts() {
        if account_id == INSTALLATION {
            sqlx::query!("select pg_advisory_xact_lock($1)", INSTALLATION_LOCK).execute(&mut *conn).await?;
        }
        let head = head(conn, account_id).await?;
        let entry = Entry {
            account_id,
            seq: head.seq + 1,
            occurred_at: head.now,
            actor: head.actor,
            action,
            object_kind: T::KIND.to_owned(),
            object_id: object.id(),
            object_name: object.name(),
            changed: changed.clone(),
            before,
            after,
            previous: head.hash,
            hash: [0; 32],
        };
        insert(conn, &Entry { hash: chain::link(&entry), ..entry }).await?;
    }
    Ok(())
}

/// Where the next row of an account is put, and by whom this transaction is.
struct Next {
    now: Timestamp,
    actor: Actor,
    seq: u64,
    hash: [u8; 32],
}

async fn head(conn: &mut PgConnection, account: AccountId) -> Result<Next, Error> {
    let row = sqlx::query!(
        r#"
        select n.instant as "now!: jiff_sqlx::Timestamp", n.actor as "actor?", l.seq as "seq?", l.hash as "hash?"
        from (select clock_timestamp() as instant, nullif(current_setting('quorate.actor', true), '') as actor) as n
        left join lateral (
            select seq, hash from audit_log where account_id = $1 order by seq desc limit 1
        ) as l on true
        "#,
        account.as_bytes()
    )
    .fetch_one(conn)
    .await?;
    let place = Place { table: "audit_log", key: account.as_bytes() };
    let actor = match row.actor {
        Some(text) => serde_json::from_str(&text).map_err(|problem| place.corrupt(format_args!("quorate.actor: {problem}")))?,
        None => Actor::Operator,
    };
    Ok(Next {
        now: row.now.to_jiff(),
        actor,
        seq: row.seq.map_or(Ok(0), |seq| place.number("seq", seq))?,
        hash: row.hash.map_or(Ok([0; 32]), |hash| read::hash(place, "hash", &hash))?,
    })
}

async fn insert(conn: &mut PgConnection, entry: &Entry) -> Result<(), Error> {
    let (kind, id, name, address) = match &entry.actor {
        Actor::Token { id, name, address } => ("token", Some(id.to_string()), Some(name.as_str()), address.map(|it| it.to_string())),
        Actor::Operator => ("operator", None, None, None),
    };
    sqlx::query!(
        r#"
        insert into audit_log (
            account_id, seq, occurred_at, actor_kind, actor_id, actor_name, address, action, object_kind, object_id, object_name,
            changed, before_digest, after_digest, previous, hash
        )
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
        "#,
        entry.account_id.as_bytes(),
        big(entry.seq),
        entry.occurred_at.to_sqlx() as _,
        kind,
        id,
        name,
        address,
        entry.action.name(),
        entry.object_kind,
        entry.object_id,
        entry.object_name,
        &entry.changed,
        entry.before.as_ref().map(<[u8; 32]>::as_slice),
        entry.after.as_ref().map(<[u8; 32]>::as_slice),
        &entry.previous,
        &entry.hash,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Names of the top-level fields that differ.
fn changed(before: Option<&Value>, after: Option<&Value>) -> Vec<String> {
    let nothing = Map::new();
    let fields = |value: Option<&Value>| value.and_then(Value::as_object).cloned().unwrap_or_else(|| nothing.clone());
    let (before, after) = (fields(before), fields(after));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    names.into_iter().filter(|name| before.get(*name) != after.get(*name)).cloned().collect()
}

/// SHA-256 of the value as JSON, keys in alphabetical order.
fn digest(value: &Value) -> [u8; 32] {
    let mut sorted = value.clone();
    sorted.sort_all_objects();
    Sha256::digest(sorted.to_string()).into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_change_is_told_by_the_names_of_the_fields_that_differ() {
        let (before, after) = (json!({"a": 1, "b": {"c": 2}, "d": 3}), json!({"d": 3, "b": {"c": 4}, "e": null}));
        assert_eq!(changed(Some(&before), Some(&after)), ["a", "b", "e"]);
        assert_eq!(changed(None, Some(&before)), ["a", "b", "d"]);
        assert_eq!(changed(Some(&before), Some(&before)), Vec::<String>::new());
    }

    #[test]
    fn a_digest_knows_values_and_no_order_of_keys() {
        let one = digest(&json!({"a": 1, "b": {"c": 2, "d": [1, 2]}}));
        assert_eq!(one, digest(&json!({"b": {"d": [1, 2], "c": 2}, "a": 1})));
        assert_ne!(one, digest(&json!({"a": 1, "b": {"c": 2, "d": [2, 1]}})));
    }
}
