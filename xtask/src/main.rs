//! Developer commands: `cargo xtask --help`.

mod bench;
mod check;
mod command;
mod database;
mod fuzz_api;
mod live;
mod python;
mod sdk;
mod sqlx;
mod test;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Developer commands of the workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Run every test against a throw-away Postgres.
    Test {
        /// Passed to `cargo nextest run` (or `cargo test`), such as `-p quorate-store` or a test's name.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Renew `.sqlx/`, the cache that lets a plain build check queries without a database.
    Sqlx {
        /// Change nothing; fail when the cache is stale.
        #[arg(long)]
        check: bool,
    },
    /// Start a throw-away Postgres, print its URL, and stop it on Ctrl-C.
    Db,
    /// Format, dependency policy, query cache, lints.
    Check,
    /// `check`, then `test`.
    Ci,
    /// Run the official clients of the API against a live server.
    Sdk(sdk::Sdk),
    /// Make requests from the API's own description against a live server.
    FuzzApi(fuzz_api::FuzzApi),
    /// Benchmarks.
    #[command(subcommand)]
    Bench(bench::Bench),
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse().task).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(task: Task) -> Result<()> {
    match task {
        Task::Test { arguments } => test::run(&arguments).await,
        Task::Sqlx { check } => sqlx::run(check).await,
        Task::Db => database::wait().await,
        Task::Check => check::run().await,
        Task::Ci => {
            check::run().await?;
            test::run(&[]).await
        }
        Task::Sdk(sdk) => sdk.run().await,
        Task::FuzzApi(fuzz) => fuzz.run().await,
        Task::Bench(bench) => bench.run().await,
    }
}
