//! `cargo xtask bench kills`.

use anyhow::Result;
use clap::Args;
use tokio::process::Command;

use crate::command;
use crate::database::Database;

/// What to measure.
#[derive(Debug, Args)]
pub(crate) struct Kills {
    /// How many origins are killed.
    #[arg(long = "kills", default_value_t = 300)]
    count: usize,
    /// How many of them live and die in parallel, each in a pool of its own; up to 20.
    #[arg(long, default_value_t = 5)]
    pools: usize,
    /// How many workers there are in the three regions together: 9 or 3.
    #[arg(long, default_value = "9", value_parser = ["3", "9"])]
    workers: String,
    /// Measure the debug build.
    #[arg(long)]
    debug: bool,
}

impl Kills {
    /// Builds the program and its killer alike, and runs them on a throw-away server.
    pub(crate) async fn run(self) -> Result<()> {
        let programs = super::build(if self.debug { "dev" } else { "release" }).await?;
        let database = Database::start().await?;
        let mut run = Command::new(programs.join("kills"));
        run.args([&self.count.to_string(), &self.pools.to_string(), &self.workers]);
        run.env("DATABASE_URL", database.url("postgres"));
        let outcome = command::run(run).await;
        database.stop_after(outcome).await
    }
}
