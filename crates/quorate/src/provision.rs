//! What an installation needs before anyone can use it: an account, a zone, a token, registered PoPs. Made where
//! missing, left alone where there; for `up` and `init`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use quorate_core::ids::AccountId;
use quorate_core::time::{Clock as _, SystemClock};
use quorate_store::accounts::{self, Account, Limits};
use quorate_store::tokens::{self, NewToken, Pepper, Permission, Scope, Validity};
use quorate_store::zones::{self, Zone};
use quorate_store::{Db, Operator};

use crate::admin::in_transaction;
use crate::env_file::EnvFile;
use crate::failure::Result;

/// Where client settings of `up` are.
pub fn env_file(data_dir: &Path) -> PathBuf {
    data_dir.join("env")
}

/// What to make where it is missing.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    pub account: &'a str,
    pub limits: Limits,
    pub zone: &'a str,
    /// Of the token.
    pub token: &'a str,
}

/// What is there now.
#[derive(Clone, Debug)]
pub struct Tenancy {
    pub account: Account,
    pub zone: Zone,
    /// The token's secret.
    pub token: String,
}

/// Finds or makes the account, the zone and the token. `known` is what the last run wrote down: its account and zone are
/// taken where they still exist, and its token where it still opens the account; else there is a new token.
pub async fn tenancy(db: &Db, pepper: &Pepper, wanted: &Wanted<'_>, known: Option<&EnvFile>) -> Result<Tenancy> {
    let kept = match known {
        Some(known) => token_opens(db, pepper, &known.token, known.account_id).await?.then(|| known.token.clone()),
        None => None,
    };
    in_transaction(db, async |op| {
        let account = find_or_make_account(op, wanted, known).await?;
        let zone = find_or_make_zone(op, &account, wanted.zone, known).await?;
        let token = match kept {
            Some(token) if known.is_some_and(|known| known.account_id == account.id) => token,
            Some(_) | None => {
                let new = NewToken::new(wanted.token, Scope::Admin, vec![account.id]);
                tokens::create(op, pepper, new).await.context("cannot make the token")?.1
            }
        };
        Ok(Tenancy { account, zone, token })
    })
    .await
}

async fn token_opens(db: &Db, pepper: &Pepper, secret: &str, account: AccountId) -> Result<bool> {
    let token = tokens::authenticate(db, pepper, secret).await.context("cannot look up the token of the last run")?;
    let now = SystemClock.now();
    Ok(token.is_some_and(|token| {
        token.revoked_on.is_none()
            && token.validity(now) == Validity::Active
            && token.permissions.allow(Permission::Admin)
            && token.accounts.contains(&account)
    }))
}

async fn find_or_make_account(op: &mut Operator, wanted: &Wanted<'_>, known: Option<&EnvFile>) -> anyhow::Result<Account> {
    let all = accounts::list_all(op).await.context("cannot list the accounts")?;
    let known = known.and_then(|known| all.iter().find(|account| account.id == known.account_id));
    match known.or_else(|| all.iter().find(|account| account.name == wanted.account)) {
        Some(account) => Ok(account.clone()),
        None => accounts::create(op, wanted.account, wanted.limits).await.context("cannot make the account"),
    }
}

async fn find_or_make_zone(op: &mut Operator, account: &Account, name: &str, known: Option<&EnvFile>) -> anyhow::Result<Zone> {
    let mut all = zones::list_all(op).await.context("cannot list the zones")?;
    all.retain(|zone| zone.account_id == account.id);
    let known = known.and_then(|known| all.iter().find(|zone| zone.id == known.zone_id));
    match known.or_else(|| all.iter().find(|zone| zone.name == name)) {
        Some(zone) => Ok(zone.clone()),
        None => zones::create(op, account.id, name).await.context("cannot make the zone"),
    }
}
