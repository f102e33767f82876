//! `cargo xtask fuzz-api`: requests made from the API's own description, against a live server.
//!
//! No answer may be a fault of the server, have another status than described, or another shape; what the description
//! calls illegal must be refused, and what it calls legal accepted, as far as a schema alone can tell.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use tokio::process::Command;
use tokio::time::timeout;

use crate::command;
use crate::live::Live;
use crate::python;
use crate::workspace;

/// Beyond the asked time: to start, and to shrink what was found.
const SLACK: Duration = Duration::from_mins(4);
/// More than a run can make.
const MANY: &str = "1000000";

#[derive(Debug, Args)]
pub(crate) struct FuzzApi {
    /// How long to make requests.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Of a run to repeat.
    #[arg(long)]
    seed: Option<u64>,
}

impl FuzzApi {
    pub(crate) async fn run(self) -> Result<()> {
        let python = python::with(&folder().join("requirements.txt")).await?;
        // It asks more often than a client should.
        let live = Live::start(0).await?;
        let outcome = self.fuzz(&live, &python).await;
        live.stop_after(outcome).await
    }

    async fn fuzz(&self, live: &Live, python: &std::path::Path) -> Result<()> {
        let base = live.variables["QUORATE_URL"].strip_suffix("/client/v4").context("the URL ends in /client/v4")?;
        // An account of its own, without limits that a minute of creating would meet.
        let account = live
            .admin(&["account", "create", "fuzz", "--monitors", MANY, "--pools", MANY, "--origins", MANY, "--load-balancers", MANY])
            .await?;
        let zone = live.admin(&["zone", "create", "fuzz.example", "--account", &account]).await?;
        let token = live.admin(&["token", "create", "fuzz", "--account", &account, "--scope", "admin"]).await?;
        let mut fuzz = Command::new(python);
        fuzz.arg(folder().join("run.py")).args(["--seconds", &self.seconds.to_string()]);
        if let Some(seed) = self.seed {
            fuzz.args(["--seed", &seed.to_string()]);
        }
        fuzz.env("QUORATE_BASE_URL", base).env("QUORATE_TOKEN", token);
        fuzz.env("QUORATE_ACCOUNT_ID", account).env("QUORATE_ZONE_ID", zone);
        match timeout(Duration::from_secs(self.seconds) + SLACK, command::run(fuzz)).await {
            Ok(outcome) => outcome,
            Err(_) => bail!("it did not end within {} seconds and {SLACK:?}", self.seconds),
        }
    }
}

fn folder() -> PathBuf {
    workspace::root().join("tests/compatibility/fuzz")
}
