//! `cargo xtask bench rest`.

use anyhow::Result;
use clap::Args;
use tokio::process::Command;

use crate::command;
use crate::database::Database;

/// What to measure.
#[derive(Debug, Args)]
pub(crate) struct Rest {
    /// Passed on, such as `--only events` or `--seconds 2`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl Rest {
    /// Builds the program and its client for release, and runs them on a throw-away server.
    pub(crate) async fn run(self) -> Result<()> {
        let programs = super::build("release").await?;
        let database = Database::start().await?;
        let beside = database.binaries.program("pgbench");
        let mut run = Command::new(programs.join("rest"));
        run.arg("--pgbench").arg(if beside.is_file() { beside } else { "pgbench".into() }).args(self.arguments);
        run.env("DATABASE_URL", database.url("postgres"));
        let outcome = command::run(run).await;
        database.stop_after(outcome).await
    }
}
