//! API tokens: `qrt_` + 8-character id part + 43 base-62 characters (256 bit) + 6-character checksum,
//! stored as HMAC-SHA-256 under a pepper that is not in the database. Beside them the pair of an e-mail address and a
//! key, which clients send that are older than tokens: stored in the same way, and the same in all else.

mod permissions;
mod row;
mod secret;

use std::net::IpAddr;

use hmac::{Hmac, KeyInit, Mac};
use ipnet::IpNet;
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use quorate_core::ids::{AccountId, TokenId};
use sha2::Sha256;
use sqlx::PgConnection;
use subtle::ConstantTimeEq;

use crate::accounts;
use crate::audit;
use crate::db::{Db, Operator};
use crate::error::Error;

pub use permissions::{InvalidPermission, Permission, Permissions, Scope};
use row::Row;

/// Server secret mixed into every stored digest; 32 bytes.
#[derive(Clone)]
pub struct Pepper(pub [u8; 32]);

impl std::fmt::Debug for Pepper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pepper(..)")
    }
}

impl Pepper {
    /// What is stored of a secret, or follows from it: HMAC-SHA-256. No slow hash, since a secret of 256 random bits cannot be guessed.
    pub(crate) fn digest(&self, secret: &str) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        mac.update(secret.as_bytes());
        mac.finalize().into_bytes().into()
    }
}

/// A token as listed; the secret is shown once, at creation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub id: TokenId,
    pub name: String,
    /// `Some`: its secret is the key that belongs to this address.
    pub email: Option<String>,
    pub permissions: Permissions,
    /// The accounts it reaches; the first is its default account.
    pub accounts: Vec<AccountId>,
    /// Where it may be used from; empty: from everywhere.
    pub allowed_addresses: Vec<IpNet>,
    pub created_on: Timestamp,
    /// Inclusive.
    pub not_before: Option<Timestamp>,
    /// Exclusive.
    pub expires_on: Option<Timestamp>,
    pub revoked_on: Option<Timestamp>,
    pub last_used_on: Option<Timestamp>,
}

/// Whether a token works at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    Active,
    NotYet,
    Expired,
}

impl Token {
    /// Apart from revocation: a revoked token is as good as unknown.
    pub fn validity(&self, now: Timestamp) -> Validity {
        if self.expires_on.is_some_and(|end| end <= now) {
            Validity::Expired
        } else if self.not_before.is_some_and(|begin| now < begin) {
            Validity::NotYet
        } else {
            Validity::Active
        }
    }

    pub fn allows_address(&self, address: IpAddr) -> bool {
        self.allowed_addresses.is_empty() || self.allowed_addresses.iter().any(|range| range.contains(&address))
    }
}

#[derive(Clone, Debug)]
pub struct NewToken {
    pub name: String,
    pub permissions: Permissions,
    pub accounts: Vec<AccountId>,
    /// Empty: from everywhere.
    pub allowed_addresses: Vec<IpNet>,
    pub not_before: Option<Timestamp>,
    pub expires_on: Option<Timestamp>,
}

impl NewToken {
    /// From everywhere, from now on and without end.
    pub fn new(name: impl Into<String>, permissions: impl Into<Permissions>, accounts: Vec<AccountId>) -> Self {
        Self {
            name: name.into(),
            permissions: permissions.into(),
            accounts,
            allowed_addresses: Vec::new(),
            not_before: None,
            expires_on: None,
        }
    }
}

/// Each account once, in the order in which several are locked.
fn in_order(accounts: &[AccountId]) -> Vec<AccountId> {
    let mut accounts = accounts.to_vec();
    accounts.sort_unstable();
    accounts.dedup();
    accounts
}

/// `Error::MissingReference` for an account that is not there.
async fn lock(conn: &mut PgConnection, accounts: &[AccountId]) -> Result<(), Error> {
    for account in in_order(accounts) {
        accounts::lock(conn, account).await?;
    }
    Ok(())
}

/// Answer: the token and its secret in plain text. `Error::MissingReference` for an account that is not there.
pub async fn create(op: &mut Operator, pepper: &Pepper, new: NewToken) -> Result<(Token, String), Error> {
    insert(op, pepper, new, None).await
}

/// As [`create`], for clients that send an e-mail address and a key: the secret is the key, 37 hexadecimal characters. An
/// address may have several, one of which is then as good as another.
pub async fn create_key(op: &mut Operator, pepper: &Pepper, email: &str, new: NewToken) -> Result<(Token, String), Error> {
    insert(op, pepper, new, Some(email)).await
}

async fn insert(op: &mut Operator, pepper: &Pepper, new: NewToken, email: Option<&str>) -> Result<(Token, String), Error> {
    let accounts: Vec<&[u8]> = new.accounts.iter().map(|id| id.as_bytes().as_slice()).collect();
    lock(op.conn(), &new.accounts).await?;
    let permissions: Vec<String> = new.permissions.iter().map(|permission| permission.name().to_owned()).collect();
    let allowed: Option<Vec<String>> =
        (!new.allowed_addresses.is_empty()).then(|| new.allowed_addresses.iter().map(ToString::to_string).collect());
    // Two tokens with one id part are as good as impossible; then the next draw is another.
    loop {
        let id = TokenId::random(&mut rand::rng());
        let secret = if email.is_some() { secret::draw_key(&mut rand::rng()) } else { secret::draw(&mut rand::rng()) };
        let lookup = if email.is_some() { secret::key_lookup(&secret) } else { secret::lookup(&secret) };
        let row = sqlx::query_as!(
            Row,
            r#"
            insert into api_token (
                token_id, lookup, secret_digest, name, email, may_edit, permissions, accounts, allowed_addresses, not_before, expires_on
            )
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
            on conflict (lookup) do nothing
            returning token_id, secret_digest, name, email, may_edit, permissions, accounts, allowed_addresses,
                created_on as "created_on: jiff_sqlx::Timestamp", not_before as "not_before: jiff_sqlx::Timestamp",
                expires_on as "expires_on: jiff_sqlx::Timestamp", revoked_on as "revoked_on: jiff_sqlx::Timestamp",
                last_used_on as "last_used_on: jiff_sqlx::Timestamp", false as "note_use!"
            "#,
            id.as_bytes(),
            lookup,
            &digest(pepper, email, &secret),
            new.name,
            email,
            new.permissions.may_edit(),
            &permissions,
            &accounts as &[&[u8]],
            allowed.as_deref() as Option<&[String]>,
            new.not_before.map(ToSqlx::to_sqlx) as _,
            new.expires_on.map(ToSqlx::to_sqlx) as _,
        )
        .fetch_optional(op.conn())
        .await?;
        if let Some(row) = row {
            let token = row.try_into()?;
            audit::created(op.conn(), &token).await?;
            return Ok((token, secret));
        }
    }
}

/// What is stored of a secret. A key is worth nothing without its address.
fn digest(pepper: &Pepper, email: Option<&str>, secret: &str) -> [u8; 32] {
    match email {
        Some(email) => pepper.digest(&format!("{}\n{secret}", email.to_ascii_lowercase())),
        None => pepper.digest(secret),
    }
}

/// All tokens, revoked ones included, in creation order.
pub async fn list(op: &mut Operator) -> Result<Vec<Token>, Error> {
    select(op.conn(), None).await
}

async fn select(conn: &mut PgConnection, id: Option<TokenId>) -> Result<Vec<Token>, Error> {
    sqlx::query_as!(
        Row,
        r#"
        select token_id, secret_digest, name, email, may_edit, permissions, accounts, allowed_addresses,
            created_on as "created_on: jiff_sqlx::Timestamp", not_before as "not_before: jiff_sqlx::Timestamp",
            expires_on as "expires_on: jiff_sqlx::Timestamp", revoked_on as "revoked_on: jiff_sqlx::Timestamp",
            last_used_on as "last_used_on: jiff_sqlx::Timestamp", false as "note_use!"
        from api_token
        where $1::bytea is null or token_id = $1
        order by created_on, token_id
        "#,
        id.as_ref().map(|id| id.as_bytes().as_slice()),
    )
    .fetch_all(conn)
    .await?
    .into_iter()
    .map(TryInto::try_into)
    .collect()
}

/// `false`: no such token, or already revoked.
pub async fn revoke(op: &mut Operator, id: TokenId) -> Result<bool, Error> {
    let Some(before) = select(op.conn(), Some(id)).await?.pop() else { return Ok(false) };
    lock(op.conn(), &before.accounts).await?;
    let revoked =
        sqlx::query!("update api_token set revoked_on = clock_timestamp() where token_id = $1 and revoked_on is null", id.as_bytes())
            .execute(op.conn())
            .await?;
    if revoked.rows_affected() == 0 {
        return Ok(false);
    }
    if let Some(after) = select(op.conn(), Some(id)).await?.pop() {
        audit::updated(op.conn(), &before, &after).await?;
    }
    Ok(true)
}

/// Whether the text has the form and checksum of a token: tells typing errors without the database.
pub fn is_well_formed(text: &str) -> bool {
    secret::is_well_formed(text)
}

/// Whether the text has the form of a key that belongs to an e-mail address.
pub fn is_well_formed_key(text: &str) -> bool {
    secret::is_well_formed_key(text)
}

/// The token behind a secret; `None` for an unknown one. Expired and revoked ones are answered with
/// their dates: what they mean is the caller's. Compared in constant time. Notes the use at most once a minute.
pub async fn authenticate(db: &Db, pepper: &Pepper, secret: &str) -> Result<Option<Token>, Error> {
    if !is_well_formed(secret) {
        return Ok(None);
    }
    find(db, secret::lookup(secret), &digest(pepper, None, secret)).await
}

/// As [`authenticate`], for a key with its e-mail address, in whatever case.
pub async fn authenticate_key(db: &Db, pepper: &Pepper, email: &str, key: &str) -> Result<Option<Token>, Error> {
    if !is_well_formed_key(key) {
        return Ok(None);
    }
    find(db, secret::key_lookup(key), &digest(pepper, Some(email), key)).await
}

async fn find(db: &Db, lookup: &str, digest: &[u8; 32]) -> Result<Option<Token>, Error> {
    let found = sqlx::query_as!(
        Row,
        r#"
        select token_id, secret_digest, name, email, may_edit, permissions, accounts, allowed_addresses,
            created_on as "created_on: jiff_sqlx::Timestamp", not_before as "not_before: jiff_sqlx::Timestamp",
            expires_on as "expires_on: jiff_sqlx::Timestamp", revoked_on as "revoked_on: jiff_sqlx::Timestamp",
            last_used_on as "last_used_on: jiff_sqlx::Timestamp",
            (last_used_on is null or last_used_on < now() - interval '1 minute') as "note_use!"
        from api_token
        where lookup = $1
        "#,
        lookup
    )
    .fetch_optional(&db.auth())
    .await?;
    let Some(found) = found.filter(|found| bool::from(digest.ct_eq(found.secret_digest.as_slice()))) else { return Ok(None) };
    let note_use = found.note_use;
    let mut token = Token::try_from(found)?;
    if note_use {
        // The condition again: many requests at once write one row version, not many.
        let noted = sqlx::query_scalar!(
            r#"
            update api_token
            set last_used_on = now()
            where token_id = $1 and (last_used_on is null or last_used_on < now() - interval '1 minute')
            returning last_used_on as "last_used_on!: jiff_sqlx::Timestamp"
            "#,
            token.id.as_bytes()
        )
        .fetch_optional(&db.auth())
        .await?;
        token.last_used_on = noted.map(jiff_sqlx::Timestamp::to_jiff).or(token.last_used_on);
    }
    Ok(Some(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> Token {
        Token {
            id: TokenId::from_bytes([1; 16]),
            name: "ci".to_owned(),
            email: None,
            permissions: Permissions::default(),
            accounts: Vec::new(),
            allowed_addresses: Vec::new(),
            created_on: Timestamp::UNIX_EPOCH,
            not_before: None,
            expires_on: None,
            revoked_on: None,
            last_used_on: None,
        }
    }

    #[test]
    fn a_token_is_valid_from_its_begin_until_just_before_its_end() {
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let token = Token { not_before: Some(at(100)), expires_on: Some(at(200)), ..token() };
        let expected = [(99, Validity::NotYet), (100, Validity::Active), (199, Validity::Active), (200, Validity::Expired)];
        for (second, validity) in expected {
            assert_eq!(token.validity(at(second)), validity, "{second}");
        }
    }

    #[test]
    fn a_token_with_ranges_is_of_use_in_them_and_nowhere_else() {
        let ranges = ["192.0.2.0/28", "2001:db8::/32"].map(|range| range.parse().unwrap());
        let bound = Token { allowed_addresses: ranges.to_vec(), ..token() };
        for (address, allowed) in [("192.0.2.15", true), ("192.0.2.16", false), ("2001:db8::1", true), ("2001:db9::1", false)] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(bound.allows_address(address), allowed, "{address}");
            assert!(token().allows_address(address));
        }
    }
}
