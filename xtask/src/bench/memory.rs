//! `cargo xtask bench memory`.

use anyhow::Result;
use clap::Args;

use super::probes::in_a_network;

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
        let programs = super::build("release").await?;
        let program = programs.join("quorate").to_string_lossy().into_owned();
        in_a_network(&programs, "memory", &[vec!["--program".to_owned(), program], self.arguments].concat()).await
    }
}
