//! Worker tokens, and with them the registry of PoPs: a registered PoP is one with an unrevoked token.
//!
//! A worker token is one string that joins a worker: `qwt_` + base64url(JSON {pop, region, city,
//! country, secret, ca_fingerprint}); only the digest of the secret is stored.

use jiff::Timestamp;
use quorate_core::pop::{Pop, PopCode, PopNo};
use quorate_core::region::Region;

use crate::db::{Db, Operator, Tenant};
use crate::error::Error;
use crate::tokens::Pepper;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPop {
    pub code: PopCode,
    pub region: Region,
    pub city: String,
    /// ISO 3166-1 alpha-2.
    pub country: String,
}

/// A PoP with its token, as listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredPop {
    pub pop: Pop,
    pub created_on: Timestamp,
    pub revoked_on: Option<Timestamp>,
    /// What the owner last saw of it; `None` before its first session.
    pub connected: Option<bool>,
    pub last_round_at: Option<Timestamp>,
    pub version: Option<String>,
    pub checks: Option<u32>,
}

/// Registers a PoP (or gives an existing one a new token) and answers the random 256-bit secret in
/// hexadecimal. `Error::NotUnique` where the code is taken in another region.
pub async fn create(op: &mut Operator, pepper: &Pepper, pop: NewPop) -> Result<(Pop, String), Error> {
    unimplemented!("{op:?}{pepper:?}{pop:?}")
}

pub async fn list(op: &mut Operator) -> Result<Vec<RegisteredPop>, Error> {
    unimplemented!("{op:?}")
}

/// `false`: no such PoP, or already revoked.
pub async fn revoke(op: &mut Operator, code: &PopCode) -> Result<bool, Error> {
    unimplemented!("{op:?}{code}")
}

/// The PoP that a secret speaks for; `None` for an unknown or revoked one. Compared in constant time.
pub async fn authenticate(db: &Db, pepper: &Pepper, secret: &str) -> Result<Option<Pop>, Error> {
    unimplemented!("{db:?}{pepper:?}{secret}")
}

/// Every PoP ever registered, for the names in evidence; `registered` tells the present ones.
pub async fn pops(db: &mut Tenant) -> Result<Vec<Pop>, Error> {
    unimplemented!("{db:?}")
}

/// What the gateway saw of a PoP. Written when a session starts or ends, and once a round.
pub async fn saw(db: &Db, pop: PopNo, connected: bool, version: &str, checks: u32) -> Result<(), Error> {
    unimplemented!("{db:?}{pop:?}{connected}{version}{checks}")
}
