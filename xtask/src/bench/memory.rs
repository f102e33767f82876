//! `cargo xtask bench memory`.

use anyhow::Result;
use clap::Args;

use super::probes::in_a_network;
use crate::command::{self, cargo};
use crate::workspace;

/// What to measure.
#[derive(Debug, Args)]
pub(crate) struct Memory {
    /// Passed on, such as `--checks 0 --checks 10000`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl Memory {
    /// Builds the program, and measures its worker.
    pub(crate) async fn run(self) -> Result<()> {
        command::run(cargo(&["build", "--release", "-p", "quorate-bench", "-p", "quorate"])).await?;
        let program = workspace::target().join("release/quorate").to_string_lossy().into_owned();
        in_a_network("memory", &[vec!["--program".to_owned(), program], self.arguments].concat()).await
    }
}
