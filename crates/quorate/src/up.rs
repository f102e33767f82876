//! `quorate up`: everything in one process, on one machine.

mod demo_set;
mod live;
mod lock;
mod postgres;
mod progress;
mod site;
mod welcome;
mod workers;

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::Context as _;
use clap::Args;
use quorate_pg::Install;
use tokio_util::sync::CancellationToken;

use self::lock::Lock;
use self::postgres::Postgres;
use self::progress::{during, tell};
use self::site::Site;
use crate::admin::database_url_file;
use crate::assemble::Listeners;
use crate::cli::warn_of_unknown_variables;
use crate::config::Config;
use crate::failure::Result;
use crate::lifecycle::{self, Signals};
use crate::secrets::write_private;
use crate::telemetry::{Sink, start_logging};

/// Name of the folder of its Postgres in the data folder.
pub(crate) const POSTGRES_DIR: &str = "postgres";

#[derive(Clone, Copy, Debug, Args)]
pub struct Arguments {
    /// Make the account, the zone and the token, and no demo pools
    #[arg(long)]
    empty: bool,
    /// Fetch no Postgres: where none is found, end with the command that installs it
    #[arg(long)]
    no_install: bool,
}

pub async fn run(config: Config, arguments: Arguments) -> Result<()> {
    let mut signals = Signals::listen()?;
    let data_dir = config.data_dir()?;
    make_data_dir(&data_dir)?;
    // Held to the end.
    let _lock = Lock::take(&data_dir)?;
    start_logging(&config.log, Sink::File(&data_dir.join("quorate.log")))?;
    warn_of_unknown_variables();
    let listeners = Listeners::bind(&config).await?;
    let stop = CancellationToken::new();
    lifecycle::run(&mut signals, &stop, Box::pin(everything(&config, arguments, &data_dir, listeners, &stop))).await?;
    tell(&format!("Stopped. The data is in {}; the next `up` continues from it.", data_dir.display()));
    Ok(())
}

/// Everybody may enter it and nobody else list it: as root Postgres runs as another user. What matters below is 0700.
fn make_data_dir(data_dir: &Path) -> Result<()> {
    if !data_dir.exists() {
        let what = || format!("cannot make the data folder {}", data_dir.display());
        fs::DirBuilder::new().recursive(true).mode(0o711).create(data_dir).with_context(what)?;
        // The umask may have taken the bits away.
        fs::set_permissions(data_dir, fs::Permissions::from_mode(0o711)).with_context(what)?;
    }
    Ok(())
}

/// Postgres around all the rest.
async fn everything(config: &Config, arguments: Arguments, data_dir: &Path, listeners: Listeners, stop: &CancellationToken) -> Result<()> {
    let install = if arguments.no_install { Install::Forbidden } else { Install::Allowed };
    let postgres = tokio::select! {
        biased;
        // Half a start is repaired by the next one, which takes over what runs.
        () = stop.cancelled() => return Ok(()),
        started = Postgres::start(data_dir, install) => started?,
    };
    let url_file = database_url_file(data_dir);
    write_private(&url_file, &postgres.service_url)?;
    let prepared = Site::prepare(config, data_dir, &postgres.service_url, arguments.empty);
    let ended = match during("preparing what runs on it", prepared).await {
        Ok(site) => site.run(listeners, stop).await,
        Err(failure) => Err(failure),
    };
    let stopped = during("stopping Postgres", postgres.stop()).await;
    // Admin commands shall say that nothing runs, not that something refuses.
    fs::remove_file(&url_file).with_context(|| format!("cannot remove {}", url_file.display()))?;
    ended.and(stopped)
}
