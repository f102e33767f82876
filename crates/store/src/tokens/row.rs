//! A token between table, domain and audit log.

use quorate_core::ids::AccountId;
use serde_json::{Value, json};

use super::{Scope, Token, in_order};
use crate::audit::Audited;
use crate::error::Error;
use crate::row::Place;

pub(super) struct Row {
    pub(super) token_id: Vec<u8>,
    pub(super) secret_digest: Vec<u8>,
    pub(super) name: String,
    pub(super) email: Option<String>,
    pub(super) may_edit: bool,
    pub(super) permissions: Option<Vec<String>>,
    pub(super) accounts: Vec<Vec<u8>>,
    pub(super) allowed_addresses: Option<Vec<String>>,
    pub(super) created_on: jiff_sqlx::Timestamp,
    pub(super) not_before: Option<jiff_sqlx::Timestamp>,
    pub(super) expires_on: Option<jiff_sqlx::Timestamp>,
    pub(super) revoked_on: Option<jiff_sqlx::Timestamp>,
    pub(super) last_used_on: Option<jiff_sqlx::Timestamp>,
    /// Whether the last note of its use is old.
    pub(super) note_use: bool,
}

impl TryFrom<Row> for Token {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let place = Place { table: "api_token", key: &row.token_id };
        let permissions = match row.permissions {
            Some(names) => names.iter().map(|name| place.text("permissions", name)).collect::<Result<_, Error>>()?,
            // Written by a program that knew no groups: all that there was then.
            None if row.may_edit => Scope::Admin.into(),
            None => Scope::Read.into(),
        };
        let ranges = row.allowed_addresses.unwrap_or_default();
        Ok(Self {
            id: place.id("token_id", &row.token_id)?,
            name: row.name,
            email: row.email,
            permissions,
            accounts: row.accounts.iter().map(|id| place.id("accounts", id)).collect::<Result<_, Error>>()?,
            allowed_addresses: ranges.iter().map(|range| place.text("allowed_addresses", range)).collect::<Result<_, Error>>()?,
            created_on: row.created_on.to_jiff(),
            not_before: row.not_before.map(jiff_sqlx::Timestamp::to_jiff),
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
            "email": self.email,
            "permissions": self.permissions.to_string(),
            "accounts": self.accounts,
            "allowed_addresses": self.allowed_addresses,
            "not_before": self.not_before,
            "expires_on": self.expires_on,
            "revoked_on": self.revoked_on,
        })
    }
}
