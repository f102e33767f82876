//! A whole installation to point clients at: `quorate up` in a folder of its own, with what it tells a client.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::command::{self, cargo};
use crate::workspace;

/// From its start until `up` says that a client may come: it makes a database, and nine workers vote.
const START_MAX: Duration = Duration::from_mins(3);
/// From SIGTERM to its end.
const STOP_MAX: Duration = Duration::from_secs(30);
/// Whichever the system gives; `up` tells which.
const FREE_PORT: &str = "127.0.0.1:0";
const PAUSE: Duration = Duration::from_millis(100);

/// A running `quorate up`.
pub(crate) struct Live {
    /// `QUORATE_URL`, `QUORATE_TOKEN` and the rest of the file that `up` writes for clients.
    pub(crate) variables: BTreeMap<String, String>,
    folder: TempDir,
    server: Child,
}

impl Live {
    /// Builds the program, starts it, and waits until it is ready. Each token may ask `requests_max` times within five
    /// minutes; 0: without limit.
    pub(crate) async fn start(requests_max: u32) -> Result<Self> {
        // What `cargo xtask test` builds, so that nothing is built twice.
        command::run(cargo(&["build", "--workspace", "--bins", "--tests"])).await?;
        let folder = tempfile::Builder::new().prefix("quorate-live-").tempdir()?;
        let log = std::fs::File::create(folder.path().join("log"))?;
        let mut up = Command::new(workspace::program("quorate"));
        up.args(["up", "--listen", FREE_PORT, "--grpc-listen", FREE_PORT]);
        up.arg("--data-dir").arg(folder.path().join("data"));
        up.env("QUORATE_CONTROL__RATE_LIMIT_REQUESTS", requests_max.to_string());
        up.stdin(std::process::Stdio::null()).stdout(log.try_clone()?).stderr(log).kill_on_drop(true);
        let server = up.spawn().context("cannot run the program just built")?;
        let mut live = Self { variables: BTreeMap::new(), folder, server };
        match live.until_ready().await {
            Ok(()) => Ok(live),
            Err(problem) => bail!("{problem:#}; it said:\n{}", live.log()),
        }
    }

    async fn until_ready(&mut self) -> Result<()> {
        let file = self.folder.path().join("data").join("env");
        let deadline = Instant::now() + START_MAX;
        loop {
            if let Some(status) = self.server.try_wait()? {
                bail!("`quorate up` ended ({status}) before it was ready");
            }
            if let Some(variables) = variables(&file)? {
                self.variables = variables;
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("`quorate up` was not ready within {START_MAX:?}");
            }
            sleep(PAUSE).await;
        }
    }

    /// Runs an admin command of the program on this installation, and answers the last word that it prints.
    pub(crate) async fn admin(&self, arguments: &[&str]) -> Result<String> {
        let mut admin = Command::new(workspace::program("quorate"));
        admin.args(arguments).arg("--data-dir").arg(self.folder.path().join("data"));
        let output = admin.output().await?;
        if !output.status.success() {
            bail!("`quorate {}` failed: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        let text = String::from_utf8(output.stdout).context("an admin command prints UTF-8")?;
        Ok(text.split_whitespace().last().context("an admin command prints what it made")?.to_owned())
    }

    /// Stops it whatever `outcome` is. A failure comes with the end of what the server said.
    pub(crate) async fn stop_after<T>(mut self, outcome: Result<T>) -> Result<T> {
        let stopped = self.stop().await;
        let value = outcome.with_context(|| format!("the server said:\n{}", self.log()))?;
        stopped?;
        Ok(value)
    }

    async fn stop(&mut self) -> Result<()> {
        let pid = self.server.id().context("the server ended before it was told to: see its log")?;
        kill_process(Pid::from_raw(pid.try_into()?).context("a process has a number")?, Signal::TERM)?;
        let status = timeout(STOP_MAX, self.server.wait()).await.context("the server did not stop in time")??;
        if !status.success() {
            bail!("the server ended with {status}");
        }
        Ok(())
    }

    /// The last lines of its output.
    fn log(&self) -> String {
        const LINES: usize = 40;
        let text = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_else(|error| error.to_string());
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }
}

/// The lines `NAME=value` of the file; `None` while it is not there.
fn variables(file: &Path) -> Result<Option<BTreeMap<String, String>>> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(Some(
            text.lines().filter_map(|line| line.split_once('=')).map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        )),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}
