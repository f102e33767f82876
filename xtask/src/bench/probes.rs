//! `cargo xtask bench probes`.

use std::path::Path;

use anyhow::{Result, bail};
use clap::Args;
use rustix::process::geteuid;
use tokio::process::Command;

use crate::command;

/// The peers, as Debian names them, and their programs.
const PEERS: [(&str, &str); 3] = [
    ("fping", "/usr/bin/fping"),
    ("haproxy", "/usr/sbin/haproxy"),
    ("prometheus-blackbox-exporter", "/usr/bin/prometheus-blackbox-exporter"),
];

/// What to measure.
#[derive(Debug, Args)]
pub(crate) struct Probes {
    /// Passed on, such as `--rows http-2000` or `--seconds 5`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl Probes {
    /// Gets the peers where they are missing, builds, and measures.
    pub(crate) async fn run(self) -> Result<()> {
        let missing: Vec<&str> = PEERS.iter().filter(|(_, program)| !Path::new(program).exists()).map(|(package, _)| *package).collect();
        if !missing.is_empty() {
            let mut install = Command::new("apt-get");
            install.args(["install", "--yes", "--no-install-recommends"]).args(missing).env("DEBIAN_FRONTEND", "noninteractive");
            command::run(install).await?;
        }
        let programs = super::build("release").await?;
        in_a_network(&programs, "run", &self.arguments).await
    }
}

/// Runs a measurement of the bench in a network of its own: origins on the second CPU, what is measured on the first.
pub(super) async fn in_a_network(programs: &Path, what: &str, arguments: &[String]) -> Result<()> {
    if !geteuid().is_root() {
        bail!("the bench makes a network namespace, and pings: run it as root");
    }
    let mut run = Command::new("unshare");
    let network = "ip link set lo up && ulimit -n \"$(ulimit -H -n)\" && exec \"$@\"";
    run.args(["--net", "--", "sh", "-c", network, "sh", "taskset", "-c", "1"]);
    run.arg(programs.join("quorate-bench")).arg(what).args(arguments);
    command::run(run).await
}
