//! The chain of an account's rows: what a row's hash is over, and the look along all of them.

use futures_util::TryStreamExt;
use quorate_core::ids::AccountId;
use sha2::{Digest, Sha256};

use super::read::{Row, stream};
use super::{Actor, Entry};
use crate::db::Operator;
use crate::error::Error;

/// Says which rule of hashing a row follows, so that another one can come.
const RULE: &str = "quorate audit 1";

/// The last row of an account's chain. Kept elsewhere, it shows later that nothing before it was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Rows in the chain; 0: none.
    pub seq: u64,
    pub hash: [u8; 32],
}

/// What a look along the chain of an account found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verified {
    Whole(Head),
    /// The row `seq` is not what was written, or not there.
    Broken {
        seq: u64,
        problem: &'static str,
    },
}

/// The hash of a row: over all that it tells and the hash of the row before it.
pub(super) fn link(entry: &Entry) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut part = |bytes: Option<&[u8]>| match bytes {
        // The length first, so that no two rows have the same bytes.
        Some(bytes) => {
            hash.update(bytes.len().to_string());
            hash.update(":");
            hash.update(bytes);
        }
        None => hash.update("-"),
    };
    let (kind, id, name, address) = match &entry.actor {
        Actor::Token { id, name, address } => ("token", Some(id.to_string()), Some(name), address.map(|it| it.to_string())),
        Actor::Operator => ("operator", None, None, None),
    };
    part(Some(RULE.as_bytes()));
    part(Some(entry.account_id.as_bytes()));
    part(Some(entry.seq.to_string().as_bytes()));
    part(Some(entry.occurred_at.as_microsecond().to_string().as_bytes()));
    part(Some(kind.as_bytes()));
    part(id.as_deref().map(str::as_bytes));
    part(name.map(String::as_bytes));
    part(address.as_deref().map(str::as_bytes));
    part(Some(entry.action.name().as_bytes()));
    part(Some(entry.object_kind.as_bytes()));
    part(Some(entry.object_id.as_bytes()));
    part(Some(entry.object_name.as_bytes()));
    part(Some(entry.changed.len().to_string().as_bytes()));
    for name in &entry.changed {
        part(Some(name.as_bytes()));
    }
    part(entry.before.as_ref().map(<[u8; 32]>::as_slice));
    part(entry.after.as_ref().map(<[u8; 32]>::as_slice));
    part(Some(&entry.previous));
    hash.finalize().into()
}

/// Walks the chain of an account from its first row.
pub async fn verify(op: &mut Operator, account: AccountId) -> Result<Verified, Error> {
    walk(op, account, Head { seq: 0, hash: [0; 32] }).await
}

/// Walks on from a row that is known.
pub(super) async fn walk(op: &mut Operator, account: AccountId, from: Head) -> Result<Verified, Error> {
    let mut head = from;
    let mut rows = stream(op.conn(), account, from.seq);
    while let Some(row) = rows.try_next().await? {
        let seq = head.seq + 1;
        let broken = |problem| Ok(Verified::Broken { seq, problem });
        // A row that cannot be read was not written by us.
        let Ok(entry) = Row::try_into(row) else { return broken("it is not legible") };
        let entry: Entry = entry;
        if entry.seq != seq {
            return broken("it is missing");
        }
        if entry.previous != head.hash {
            return broken("it does not follow the row before it");
        }
        if link(&entry) != entry.hash {
            return broken("it was changed");
        }
        head = Head { seq, hash: entry.hash };
    }
    Ok(Verified::Whole(head))
}
