//! `quorate header-key`

use std::collections::BTreeMap;

use anyhow::anyhow;
use clap::Subcommand;
use quorate_core::ids::AccountId;
use quorate_store::header_secrets::{self as store, HeaderKey, KeyId};
use quorate_store::{Db, accounts};

use super::{database, in_transaction};
use crate::config::Config;
use crate::failure::{Failure, Result};
use crate::output;
use crate::secrets::Missing;
use crate::secrets::header_keys::{change, header_secrets};

#[derive(Clone, Copy, Debug, Subcommand)]
pub enum Command {
    /// Show the keys by their ids, the one in use first, and how many values each has sealed
    List,
    /// Make a key that only opens for now, to be copied to every replica before `rotate`; prints its id
    Add,
    /// Use the newest key from now on, a new one where there is none but the old, and seal everything under it
    ///
    /// Running replicas with the same file find the new key by themselves. Those with a copy need it first: see `add`.
    Rotate,
    /// Remove a key under which nothing is sealed any more; a backup from before opens only with it
    Forget { id: KeyId },
}

pub async fn run(config: &Config, command: Command) -> Result<()> {
    match command {
        Command::List => list(config).await,
        Command::Add => {
            let key = HeaderKey::random(&mut rand::rng());
            let id = key.id();
            change(config, |mut keys| {
                keys.push(key);
                Ok(keys)
            })?;
            output::line(&id.to_string())
        }
        Command::Rotate => rotate(config).await,
        Command::Forget { id } => forget(config, id).await,
    }
}

async fn list(config: &Config) -> Result<()> {
    let secrets = header_secrets(config, Missing::Refuse)?;
    let db = database(config).await?;
    let used = in_use(&db).await?;
    let known: Vec<KeyId> = secrets.keys();
    let lost = used.keys().copied().filter(|id| !known.contains(id));
    let rows: Vec<[String; 3]> = known
        .iter()
        .enumerate()
        .map(|(place, id)| (*id, if place == 0 { "in use" } else { "opens" }))
        .chain(lost.map(|id| (id, "NOT THERE")))
        .map(|(id, state)| [id.to_string(), state.to_owned(), used.get(&id).copied().unwrap_or(0).to_string()])
        .collect();
    output::line(&output::table(["id", "state", "values"], &rows))
}

async fn rotate(config: &Config) -> Result<()> {
    let db = database(config).await?;
    let before = header_secrets(config, Missing::Refuse)?.current();
    change(config, |mut keys| {
        if keys.len() < 2 {
            keys.push(HeaderKey::random(&mut rand::rng()));
        }
        keys.rotate_right(1);
        Ok(keys)
    })?;
    let secrets = header_secrets(config, Missing::Refuse)?;
    let after = secrets.current().ok_or_else(|| Failure::Failed(anyhow!("the file of keys is empty")))?;
    in_transaction(&db, async |op| Ok(store::key_changed(op, before, after).await?)).await?;
    let (objects, unreadable) = seal_all(&db.with_header_secrets(secrets)).await?;
    output::line(&after.to_string())?;
    output::note(&format!("{objects} headers are sealed under {after} now; keep the other keys as long as you keep backups from before"));
    if unreadable.is_empty() {
        return Ok(());
    }
    Err(Failure::Failed(anyhow!("the key of some headers is not there, so that they stay as they are: {}", unreadable.join(", "))))
}

async fn forget(config: &Config, id: KeyId) -> Result<()> {
    let db = database(config).await?;
    if let Some(values) = in_use(&db).await?.get(&id) {
        return Err(Failure::Failed(anyhow!("{values} values are sealed under {id}: `quorate header-key rotate` first")));
    }
    change(config, |mut keys| {
        let before = keys.len();
        if keys.first().is_some_and(|key| key.id() == id) {
            return Err(Failure::Failed(anyhow!("{id} is in use: `quorate header-key rotate` first")));
        }
        keys.retain(|key| key.id() != id);
        if keys.len() == before { Err(Failure::Failed(anyhow!("no key has the id {id}"))) } else { Ok(keys) }
    })
}

async fn in_use(db: &Db) -> Result<BTreeMap<KeyId, u64>> {
    let used = in_transaction(db, async |op| Ok(store::keys_in_use(op).await?)).await?;
    Ok(used.into_iter().map(|used| (used.key, used.values)).collect())
}

/// Whether anything is sealed, so that a new key would open nothing.
pub(crate) async fn anything_sealed(db: &Db) -> Result<bool> {
    Ok(!in_use(db).await?.is_empty())
}

/// Seals what is not under the key in use, account by account. Answers how many objects, and what could not be opened.
pub(crate) async fn seal_all(db: &Db) -> Result<(u64, Vec<String>)> {
    let accounts: Vec<AccountId> =
        in_transaction(db, async |op| Ok(accounts::list_all(op).await?.into_iter().map(|account| account.id).collect())).await?;
    let (mut objects, mut unreadable) = (0, Vec::new());
    for account in accounts {
        let done = in_transaction(db, async |op| Ok(store::reseal(op, account).await?)).await?;
        objects += done.objects;
        unreadable.extend(done.unreadable);
    }
    Ok((objects, unreadable))
}
