//! `cargo xtask sdk`: the official clients of the API this one is compatible with, against a live server.
//!
//! Each client comes by its language's own package manager, with the versions and digests of the lock file beside its
//! checks in `tests/compatibility/`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use tokio::process::Command;

use crate::command;
use crate::live::Live;
use crate::python;
use crate::workspace;

#[derive(Debug, Args)]
pub(crate) struct Sdk {
    /// Only these; all unless given.
    #[arg(value_enum)]
    clients: Vec<Client>,
}

/// A client, by its language and major version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Client {
    Python5,
    Python4,
    /// The older one, from before the typed clients.
    Python2,
    Typescript,
}

/// Requests of one token within five minutes: more than the checks of a client need, and soon asked by those that want to be
/// refused.
const REQUESTS_MAX: u32 = 300;
/// What goes with the key in the headers of old.
const EMAIL: &str = "ops@example.com";

const ALL: [Client; 4] = [Client::Python5, Client::Python4, Client::Python2, Client::Typescript];

impl Sdk {
    pub(crate) async fn run(self) -> Result<()> {
        let clients = if self.clients.is_empty() { ALL.to_vec() } else { self.clients };
        let mut checks = Vec::new();
        for client in &clients {
            checks.push(client.installed().await?);
        }
        let live = Live::start(REQUESTS_MAX).await?;
        let outcome = run_all(&live, checks).await;
        live.stop_after(outcome).await
    }
}

/// Runs every client's checks, even after one failed.
async fn run_all(live: &Live, checks: Vec<Command>) -> Result<()> {
    let small = live.admin(&["account", "create", "small", "--monitors", "1"]).await?;
    let mut failed = 0;
    for mut check in checks {
        check.envs(&live.variables).envs(credentials(live, &small).await?);
        check.env("QUORATE_SMALL_ACCOUNT_ID", &small).env("QUORATE_REQUESTS_MAX", REQUESTS_MAX.to_string());
        if let Err(problem) = command::run(check).await {
            eprintln!("{problem:#}");
            failed += 1;
        }
    }
    if failed > 0 {
        bail!("{failed} of the clients failed");
    }
    Ok(())
}

/// New ones for each client, so that none uses up the requests of another.
async fn credentials(live: &Live, small: &str) -> Result<BTreeMap<&'static str, String>> {
    let account = &live.variables["QUORATE_ACCOUNT_ID"];
    let token = async |account: &str, scope: &str| live.admin(&["token", "create", "client", "--account", account, "--scope", scope]).await;
    Ok(BTreeMap::from([
        ("QUORATE_TOKEN", token(account, "edit").await?),
        ("QUORATE_READ_ONLY_TOKEN", token(account, "read").await?),
        ("QUORATE_HASTY_TOKEN", token(account, "read").await?),
        ("QUORATE_SMALL_TOKEN", token(small, "edit").await?),
        ("QUORATE_KEY", live.admin(&["token", "create-key", "client", "--email", EMAIL, "--account", account]).await?),
        ("QUORATE_EMAIL", EMAIL.to_owned()),
    ]))
}

impl Client {
    /// Installs the client, and answers the command that runs its checks.
    async fn installed(self) -> Result<Command> {
        let (requirements, module) = match self {
            Self::Python5 => ("cloudflare-5.txt", "typed"),
            Self::Python4 => ("cloudflare-4.txt", "typed"),
            Self::Python2 => ("cloudflare-2.txt", "legacy"),
            Self::Typescript => return typescript().await,
        };
        let folder = checks("python");
        let mut check = Command::new(python::with(&folder.join(requirements)).await?);
        // Nothing is left beside the checks.
        check.args(["-m", module]).current_dir(folder).env("PYTHONDONTWRITEBYTECODE", "1");
        Ok(check)
    }
}

fn checks(language: &str) -> PathBuf {
    workspace::root().join("tests/compatibility").join(language)
}

/// `npm ci`, then a build by the TypeScript compiler, which checks the types of every result.
async fn typescript() -> Result<Command> {
    let (source, built) = (checks("typescript"), workspace::scratch().join("typescript"));
    std::fs::create_dir_all(&built)?;
    for entry in std::fs::read_dir(&source)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            std::fs::copy(entry.path(), built.join(entry.file_name()))?;
        }
    }
    command::run(npm(&built, &["ci", "--no-audit", "--no-fund"])).await?;
    command::run(npm(&built, &["exec", "--", "tsc"])).await?;
    let mut check = Command::new("node");
    check.arg(built.join("check.js"));
    Ok(check)
}

fn npm(folder: &Path, arguments: &[&str]) -> Command {
    let mut npm = Command::new("npm");
    npm.args(arguments).current_dir(folder);
    npm
}
