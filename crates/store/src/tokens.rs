//! API tokens: `qrt_` + 8-character id part + 43 base-62 characters (256 bit) + 6-character checksum,
//! stored as HMAC-SHA-256 under a pepper that is not in the database.

use jiff::Timestamp;
use quorate_core::ids::{AccountId, TokenId};

use crate::db::{Db, Operator};
use crate::error::Error;

/// What a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    Read,
    /// Includes read.
    Edit,
}

/// Server secret mixed into every stored digest; 32 bytes.
#[derive(Clone)]
pub struct Pepper(pub [u8; 32]);

impl std::fmt::Debug for Pepper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pepper(..)")
    }
}

/// A token as listed; the secret is shown once, at creation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub id: TokenId,
    pub name: String,
    pub scope: Scope,
    /// The accounts it reaches; the first is its default account.
    pub accounts: Vec<AccountId>,
    pub created_on: Timestamp,
    pub expires_on: Option<Timestamp>,
    pub revoked_on: Option<Timestamp>,
    pub last_used_on: Option<Timestamp>,
}

#[derive(Clone, Debug)]
pub struct NewToken {
    pub name: String,
    pub scope: Scope,
    pub accounts: Vec<AccountId>,
    pub expires_on: Option<Timestamp>,
}

/// Answer: the token and its secret in plain text.
pub async fn create(op: &mut Operator, pepper: &Pepper, new: NewToken) -> Result<(Token, String), Error> {
    unimplemented!("{op:?}{pepper:?}{new:?}")
}

pub async fn list(op: &mut Operator) -> Result<Vec<Token>, Error> {
    unimplemented!("{op:?}")
}

/// `false`: no such token, or already revoked.
pub async fn revoke(op: &mut Operator, id: TokenId) -> Result<bool, Error> {
    unimplemented!("{op:?}{id}")
}

/// Whether the text has the form and checksum of a token: tells typing errors without the database.
pub fn is_well_formed(text: &str) -> bool {
    unimplemented!("{text}")
}

/// The token behind a secret; `None` for an unknown one. Expired and revoked ones are answered with
/// their dates: what they mean is the caller's. Compared in constant time. Notes the use at most once a minute.
pub async fn authenticate(db: &Db, pepper: &Pepper, secret: &str) -> Result<Option<Token>, Error> {
    unimplemented!("{db:?}{pepper:?}{secret}")
}
