//! `cargo xtask bench rest`.

use anyhow::Result;
use clap::Args;

use crate::command::{self, cargo};
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
        command::run(cargo(&["build", "--release", "-p", "quorate", "-p", "quorate-testkit", "--bins"])).await?;
        let database = Database::start().await?;
        let beside = database.binaries.program("pgbench");
        let mut run = cargo(&["run", "--quiet", "--release", "-p", "quorate-testkit", "--bin", "rest", "--", "--pgbench"]);
        run.arg(if beside.is_file() { beside } else { "pgbench".into() }).args(self.arguments);
        run.env("DATABASE_URL", database.url("postgres"));
        let outcome = command::run(run).await;
        database.stop_after(outcome).await
    }
}
