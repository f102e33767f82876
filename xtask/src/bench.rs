//! `cargo xtask bench …`: figures, and the command that gives each.

mod kills;
mod memory;
mod probes;
mod rest;

use std::path::PathBuf;

use anyhow::Result;
use clap::Subcommand;

use crate::command::{self, cargo};
use crate::database::Database;
use crate::workspace;

#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// The crates' own benchmarks (`cargo bench`), with a throw-away Postgres for those that need one.
    Crates {
        /// Passed to `cargo bench`, such as `-p quorate-core`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Kill origins under real role processes: how long the committed event takes, and the memory of each role.
    Kills(kills::Kills),
    /// What checks cost a worker in memory, at rest and while it probes.
    Memory(memory::Memory),
    /// What a probe costs beside HAProxy, the blackbox exporter, fping and a bare program.
    Probes(probes::Probes),
    /// Requests of the REST API a second, beside the same SQL through pgbench.
    Rest(rest::Rest),
}

impl Bench {
    pub(crate) async fn run(self) -> Result<()> {
        match self {
            Self::Crates { arguments } => crates(&arguments).await,
            Self::Kills(kills) => kills.run().await,
            Self::Memory(memory) => memory.run().await,
            Self::Probes(probes) => probes.run().await,
            Self::Rest(rest) => rest.run().await,
        }
    }
}

/// Builds all that is measured and all that measures, and answers where the programs are. Always the same packages: fewer of
/// them would share other features, and build each dependency once more.
async fn build(profile: &str) -> Result<PathBuf> {
    let packages = ["-p", "quorate", "-p", "quorate-bench", "-p", "quorate-testkit", "--bins"];
    command::run(cargo(&[&["build", "--profile", profile][..], &packages].concat())).await?;
    Ok(workspace::target().join(if profile == "dev" { "debug" } else { profile }))
}

async fn crates(arguments: &[String]) -> Result<()> {
    let database = Database::start().await?;
    let mut bench = cargo(&["bench", "--workspace", "--benches"]);
    bench.args(arguments).env("DATABASE_URL", database.url("postgres"));
    let outcome = command::run(bench).await;
    database.stop_after(outcome).await
}
