//! Running other programs: shown, awaited, and stopped with us.

use std::env;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

use crate::workspace;

/// What `cargo run` tells us of our own package. Build scripts of dependencies ask for it, and would be run again, with all
/// that is built on them, whenever the developer's `cargo` and ours take turns.
const OF_OUR_PACKAGE: [&str; 2] = ["CARGO_PKG_", "CARGO_MANIFEST_"];

/// `cargo` of the toolchain that runs us, in the workspace's folder.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(workspace::root());
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(|name| OF_OUR_PACKAGE.iter().any(|prefix| name.starts_with(prefix))) {
            command.env_remove(name);
        }
    }
    command
}

/// Shows the command, runs it with our terminal, and fails when it fails.
///
/// Ctrl-C reaches the child too, through the terminal; so we only wait for its end, and the caller stops what it started.
/// A SIGTERM is for us alone, so the child is told; a test runner stops what it started.
pub(crate) async fn run(mut command: Command) -> Result<()> {
    let shown = shown(&command);
    eprintln!("$ {shown}");
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut child = command.kill_on_drop(true).spawn().with_context(|| format!("cannot run `{shown}`"))?;
    let mut stopping = false;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status?,
            _ = interrupt.recv() => stopping = true,
            _ = terminate.recv() => {
                stopping = true;
                if let Some(pid) = child.id().and_then(|pid| Pid::from_raw(pid.try_into().ok()?)) {
                    kill_process(pid, Signal::TERM)?;
                }
            }
        }
    };
    if stopping {
        bail!("told to stop while `{shown}` ran");
    }
    if !status.success() {
        bail!("`{shown}` failed ({status})");
    }
    Ok(())
}

/// Whether the command is there and succeeds, in silence.
pub(crate) async fn works(mut command: Command) -> bool {
    command.output().await.is_ok_and(|output| output.status.success())
}

fn shown(command: &Command) -> String {
    let command = command.as_std();
    let program = Path::new(command.get_program()).file_name().unwrap_or_else(|| command.get_program());
    let words = std::iter::once(program).chain(command.get_args()).map(|word| word.to_string_lossy().into_owned());
    words.collect::<Vec<_>>().join(" ")
}
