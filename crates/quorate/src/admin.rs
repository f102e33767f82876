//! The commands of the operator. They go to the database directly, so they work while nothing else runs.

pub mod accounts;
pub mod audit;
pub mod header_keys;
pub mod tokens;
pub mod worker_tokens;
pub mod zones;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use quorate_core::ids::AccountId;
use quorate_store::accounts::{self as store, Account};
use quorate_store::{Db, Operator};

use crate::config::Config;
use crate::failure::{Failure, Result};
use crate::secrets::write_private;
use crate::up;

/// Where a running `up` tells its database: it is another one each time that the socket's folder moves.
pub fn database_url_file(data_dir: &Path) -> PathBuf {
    data_dir.join("database-url")
}

/// The database of the configuration, else that of `up` in the data folder.
pub async fn database(config: &Config) -> Result<Db> {
    let data_dir = config.data_dir()?;
    // The folder of an `up` that was named by hand wins over a database that the environment happens to name. Of an
    // installation with a database elsewhere the folder holds the secrets.
    let named_up = config.data_dir_by_flag && data_dir.join(up::POSTGRES_DIR).exists();
    if let Some(url) = config.database.url.as_ref().filter(|_| !named_up) {
        return Ok(Db::connect(url.reveal()).await.context("cannot use the database of database.url")?);
    }
    let file = database_url_file(&data_dir);
    let url = match std::fs::read_to_string(&file) {
        Ok(url) => url,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Failure::usage(format!(
                "no database: set QUORATE_DATABASE_URL, or name the data folder of a `quorate up` with --data-dir (there is none in {})",
                data_dir.display()
            )));
        }
        Err(error) => return Err(anyhow::Error::new(error).context(format!("cannot read {}", file.display())).into()),
    };
    let connected = Db::connect(url.trim()).await;
    Ok(connected
        .with_context(|| format!("cannot use the database of `quorate up` in {}: it runs only while `up` does", data_dir.display()))?)
}

/// Runs one piece of work in one transaction of the operator, and commits it.
pub(crate) async fn in_transaction<T>(db: &Db, work: impl AsyncFnOnce(&mut Operator) -> Result<T>) -> Result<T> {
    let mut op = db.operator().await.context("cannot reach the database")?;
    let done = work(&mut op).await?;
    op.commit().await.context("cannot commit")?;
    Ok(done)
}

/// The account of that id or name.
pub(crate) async fn account_called(op: &mut Operator, text: &str) -> Result<Account> {
    let accounts = store::list_all(op).await?;
    let id: Option<AccountId> = text.parse().ok();
    let mut named = accounts.iter().filter(|account| Some(account.id) == id || account.name == text);
    match (named.next(), named.next()) {
        (Some(account), None) => Ok(account.clone()),
        (Some(_), Some(_)) => Err(Failure::usage(format!("several accounts are called {text:?}: give the id"))),
        (None, _) => Err(Failure::Failed(anyhow::anyhow!("no account is called {text:?} or has that id"))),
    }
}

/// Prints a secret for a script to take, or writes it to a file that only its owner reads.
pub(crate) fn hand_out(secret: &str, file: Option<&Path>) -> Result<()> {
    match file {
        Some(file) => Ok(write_private(file, &format!("{secret}\n"))?),
        None => crate::output::line(secret),
    }
}

/// `on` or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Switch {
    On,
    Off,
}

impl From<Switch> for bool {
    fn from(switch: Switch) -> Self {
        matches!(switch, Switch::On)
    }
}

pub(crate) const fn on_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}
