//! Signing where the chains end, once a day, and holding the chains against what was signed.

use jiff::Timestamp;
use quorate_core::ids::AccountId;
use sqlx::postgres::types::PgInterval;

use super::chain::walk;
use super::head::{SignedHead, SigningKey};
use super::read::hash;
use super::{Head, INSTALLATION, Verified};
use crate::db::Operator;
use crate::error::Error;
use crate::row::{Place, big};

/// Between two signatures of one chain, in microseconds.
const EVERY_US: i64 = 24 * 60 * 60 * 1_000_000;

/// What became of a chain that was to be signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signing {
    Signed(SignedHead),
    /// It is not what it was when it was signed last: nothing is signed until that is clear.
    Broken {
        seq: u64,
        problem: &'static str,
    },
    /// There is nothing to sign: another replica was faster.
    Elsewhere,
}

/// The chains that were not signed within a day and have grown since, or have lost what was signed.
pub async fn due(op: &mut Operator) -> Result<Vec<AccountId>, Error> {
    let due = sqlx::query_scalar!(
        r#"
        select c.account_id as "account_id!"
        from (select account_id from account union all select $1) as c
        left join lateral (
            select seq from audit_log where account_id = c.account_id order by seq desc limit 1
        ) as l on true
        left join lateral (
            select seq, signed_on from audit_head where account_id = c.account_id order by seq desc limit 1
        ) as h on true
        where coalesce(l.seq, 0) < coalesce(h.seq, 0)
            or (l.seq > coalesce(h.seq, 0) and coalesce(h.signed_on < clock_timestamp() - $2::interval, true))
        "#,
        INSTALLATION.as_bytes(),
        PgInterval { months: 0, days: 0, microseconds: EVERY_US }
    )
    .fetch_all(op.conn())
    .await?;
    due.iter().map(|id| Place { table: "account", key: id }.id("account_id", id)).collect()
}

/// Signs where the chain of an account ends, after a look along what was added since the last signature.
pub async fn sign(op: &mut Operator, key: &SigningKey, account: AccountId) -> Result<Signing, Error> {
    let last = signed_heads(op, account).await?.pop();
    let from = last.map_or(Head { seq: 0, hash: [0; 32] }, |last| last.head);
    let head = match walk(op, account, from).await? {
        Verified::Whole(head) => head,
        Verified::Broken { seq, problem } => return Ok(Signing::Broken { seq, problem }),
    };
    if head == from {
        return Ok(match still_there(op, account, from).await? {
            Some(problem) => Signing::Broken { seq: from.seq, problem },
            None => Signing::Elsewhere,
        });
    }
    let now = sqlx::query_scalar!(r#"select clock_timestamp() as "now!: jiff_sqlx::Timestamp""#).fetch_one(op.conn()).await?;
    let signed = key.sign(account, head, to_the_microsecond(now.to_jiff()));
    let written = sqlx::query!(
        r#"
        insert into audit_head (account_id, seq, hash, signed_on, key_id, signature)
        values ($1, $2, $3, $4, $5, $6)
        on conflict (account_id, seq) do nothing
        "#,
        account.as_bytes(),
        big(signed.head.seq),
        &signed.head.hash,
        jiff_sqlx::ToSqlx::to_sqlx(signed.signed_on) as _,
        signed.key_id,
        &signed.signature,
    )
    .execute(op.conn())
    .await?;
    Ok(if written.rows_affected() == 1 { Signing::Signed(signed) } else { Signing::Elsewhere })
}

/// What a look at the signed heads of an account found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Signed with the key of this installation, and found in the chain.
    pub heads: u64,
    pub last_signed_on: Option<Timestamp>,
    /// Signed with another key, as before a new pepper: they say nothing.
    pub of_other_keys: u64,
    /// The first one that the chain does not have, or that nobody signed.
    pub broken: Option<(u64, &'static str)>,
}

/// Holds the chain of an account against its signed heads, and against those that were `kept` elsewhere.
pub async fn hold(op: &mut Operator, key: &SigningKey, account: AccountId, kept: &[SignedHead]) -> Result<Held, Error> {
    let mut heads = signed_heads(op, account).await?;
    heads.extend(kept.iter().filter(|head| head.account_id == account).cloned());
    heads.sort_by_key(|head| head.head.seq);
    let mut held = Held::default();
    for head in heads {
        if head.key_id != key.id() {
            held.of_other_keys += 1;
            continue;
        }
        let problem =
            if key.signed(&head) { still_there(op, account, head.head).await? } else { Some("the signature of its head is not ours") };
        if let Some(problem) = problem {
            held.broken = Some((head.head.seq, problem));
            break;
        }
        held.heads += 1;
        held.last_signed_on = held.last_signed_on.max(Some(head.signed_on));
    }
    Ok(held)
}

/// What is wrong with the row that a head names.
async fn still_there(op: &mut Operator, account: AccountId, head: Head) -> Result<Option<&'static str>, Error> {
    if head.seq == 0 {
        return Ok(None);
    }
    let found = sqlx::query_scalar!("select hash from audit_log where account_id = $1 and seq = $2", account.as_bytes(), big(head.seq))
        .fetch_optional(op.conn())
        .await?;
    Ok(match found {
        None => Some("it is missing, and a signed head tells of it"),
        Some(found) if found != head.hash => Some("it is not the row that was signed"),
        Some(_) => None,
    })
}

/// In the order of their rows.
async fn signed_heads(op: &mut Operator, account: AccountId) -> Result<Vec<SignedHead>, Error> {
    let rows = sqlx::query!(
        r#"
        select seq, hash, signed_on as "signed_on: jiff_sqlx::Timestamp", key_id, signature
        from audit_head
        where account_id = $1
        order by seq
        "#,
        account.as_bytes()
    )
    .fetch_all(op.conn())
    .await?;
    let place = Place { table: "audit_head", key: account.as_bytes() };
    rows.into_iter()
        .map(|row| {
            Ok(SignedHead {
                account_id: account,
                head: Head { seq: place.number("seq", row.seq)?, hash: hash(place, "hash", &row.hash)? },
                signed_on: row.signed_on.to_jiff(),
                key_id: row.key_id,
                signature: row.signature.try_into().map_err(|_| place.corrupt("signature has not 64 bytes"))?,
            })
        })
        .collect()
}

/// As the database keeps it, so that what is signed is what is read.
fn to_the_microsecond(time: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(time.as_microsecond()).expect("it was a time before")
}
