//! API tokens: `qrt_` + 8-character id part + 43 base-62 characters (256 bit) + 6-character checksum,
//! stored as HMAC-SHA-256 under a pepper that is not in the database.

mod secret;

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use quorate_core::ids::{AccountId, TokenId};
use serde_json::{Value, json};
use sha2::Sha256;
use sqlx::PgConnection;
use subtle::ConstantTimeEq;

use crate::accounts;
use crate::audit::{self, Audited};
use crate::db::{Db, Operator};
use crate::error::Error;
use crate::row::Place;

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

impl Pepper {
    /// What is stored of a secret: HMAC-SHA-256. No slow hash, since a secret of 256 random bits cannot be guessed.
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

struct Row {
    token_id: Vec<u8>,
    name: String,
    may_edit: bool,
    accounts: Vec<Vec<u8>>,
    created_on: jiff_sqlx::Timestamp,
    expires_on: Option<jiff_sqlx::Timestamp>,
    revoked_on: Option<jiff_sqlx::Timestamp>,
    last_used_on: Option<jiff_sqlx::Timestamp>,
}

impl TryFrom<Row> for Token {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let place = Place { table: "api_token", key: &row.token_id };
        Ok(Self {
            id: place.id("token_id", &row.token_id)?,
            name: row.name,
            scope: if row.may_edit { Scope::Edit } else { Scope::Read },
            accounts: row.accounts.iter().map(|id| place.id("accounts", id)).collect::<Result<_, Error>>()?,
            created_on: row.created_on.to_jiff(),
            expires_on: row.expires_on.map(jiff_sqlx::Timestamp::to_jiff),
            revoked_on: row.revoked_on.map(jiff_sqlx::Timestamp::to_jiff),
            last_used_on: row.last_used_on.map(jiff_sqlx::Timestamp::to_jiff),
        })
    }
}

impl Audited for Token {
    const KIND: &'static str = "token";

    fn accounts(&self) -> Vec<AccountId> {
        in_order(&self.accounts)
    }

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn fields(&self) -> Value {
        json!({
            "name": self.name,
            "may_edit": self.scope == Scope::Edit,
            "accounts": self.accounts,
            "expires_on": self.expires_on,
            "revoked_on": self.revoked_on,
        })
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
    let accounts: Vec<&[u8]> = new.accounts.iter().map(|id| id.as_bytes().as_slice()).collect();
    lock(op.conn(), &new.accounts).await?;
    // Two tokens with one id part are as good as impossible; then the next draw is another.
    loop {
        let id = TokenId::random(&mut rand::rng());
        let secret = secret::draw(&mut rand::rng());
        let row = sqlx::query_as!(
            Row,
            r#"
            insert into api_token (token_id, lookup, secret_digest, name, may_edit, accounts, expires_on)
            values ($1, $2, $3, $4, $5, $6, $7)
            on conflict (lookup) do nothing
            returning token_id, name, may_edit, accounts, created_on as "created_on: jiff_sqlx::Timestamp",
                expires_on as "expires_on: jiff_sqlx::Timestamp", revoked_on as "revoked_on: jiff_sqlx::Timestamp",
                last_used_on as "last_used_on: jiff_sqlx::Timestamp"
            "#,
            id.as_bytes(),
            secret::lookup(&secret),
            &pepper.digest(&secret),
            new.name,
            new.scope == Scope::Edit,
            &accounts as &[&[u8]],
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

/// All tokens, revoked ones included, in creation order.
pub async fn list(op: &mut Operator) -> Result<Vec<Token>, Error> {
    select(op.conn(), None).await
}

async fn select(conn: &mut PgConnection, id: Option<TokenId>) -> Result<Vec<Token>, Error> {
    sqlx::query_as!(
        Row,
        r#"
        select token_id, name, may_edit, accounts, created_on as "created_on: jiff_sqlx::Timestamp",
            expires_on as "expires_on: jiff_sqlx::Timestamp", revoked_on as "revoked_on: jiff_sqlx::Timestamp",
            last_used_on as "last_used_on: jiff_sqlx::Timestamp"
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

/// The token behind a secret; `None` for an unknown one. Expired and revoked ones are answered with
/// their dates: what they mean is the caller's. Compared in constant time. Notes the use at most once a minute.
pub async fn authenticate(db: &Db, pepper: &Pepper, secret: &str) -> Result<Option<Token>, Error> {
    if !is_well_formed(secret) {
        return Ok(None);
    }
    let found = sqlx::query!(
        r#"
        select token_id, secret_digest, name, may_edit, accounts, created_on as "created_on: jiff_sqlx::Timestamp",
            expires_on as "expires_on: jiff_sqlx::Timestamp", revoked_on as "revoked_on: jiff_sqlx::Timestamp",
            last_used_on as "last_used_on: jiff_sqlx::Timestamp",
            (last_used_on is null or last_used_on < now() - interval '1 minute') as "note_use!"
        from api_token
        where lookup = $1
        "#,
        secret::lookup(secret)
    )
    .fetch_optional(&db.auth())
    .await?;
    let Some(found) = found else { return Ok(None) };
    if !bool::from(pepper.digest(secret).ct_eq(found.secret_digest.as_slice())) {
        return Ok(None);
    }
    let mut token = Token::try_from(Row {
        token_id: found.token_id,
        name: found.name,
        may_edit: found.may_edit,
        accounts: found.accounts,
        created_on: found.created_on,
        expires_on: found.expires_on,
        revoked_on: found.revoked_on,
        last_used_on: found.last_used_on,
    })?;
    if found.note_use {
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
