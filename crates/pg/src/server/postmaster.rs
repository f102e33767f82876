//! The server's first process: spawn, watch, signal.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};

use crate::binaries::Binaries;
use crate::error::Error;
use crate::owner::Owner;

/// How often a state that nobody announces is looked at.
const POLL: Duration = Duration::from_millis(10);
const LOG_TAIL_LINES: usize = 20;

#[derive(Debug)]
pub(super) struct Postmaster {
    pid: Pid,
    /// `None`: adopted; somebody else is its parent.
    child: Option<Child>,
    data: PathBuf,
    /// Sent on drop, so that a start that is given up in the middle leaves no server. [`Postmaster::release`] takes it off.
    on_drop: Option<Signal>,
}

impl Postmaster {
    /// The server that runs on `data` now, if one does.
    pub(super) fn living(data: &Path) -> Option<Self> {
        let pid = line(data, 0)?.parse().ok().and_then(Pid::from_raw)?;
        runs_on(pid, data).then(|| Self { pid, child: None, data: data.to_owned(), on_drop: None })
    }

    /// Starts `postgres` itself, not through `pg_ctl`: in a process group of its own, so that Ctrl-C reaches us first and
    /// we stop it, and with its output in a file that our errors can quote.
    pub(super) fn spawn(
        binaries: &Binaries,
        data: &Path,
        run: &Path,
        log: &Path,
        owner: Option<Owner>,
        arguments: &[String],
    ) -> Result<Self, Error> {
        if log.exists() {
            let older = log.with_extension("log.1");
            fs::rename(log, &older).map_err(Error::io("create", &older))?;
        }
        let out = File::create(log).map_err(Error::io("create", log))?;
        let err = out.try_clone().map_err(Error::io("open", log))?;
        let mut command = command(binaries, "postgres", data, owner);
        command.arg("-D").arg(data).arg("-k").arg(run).args(arguments).stdout(out).stderr(err).process_group(0);
        let child = command.spawn().map_err(|problem| explain(problem, binaries, data, owner))?;
        let pid = Pid::from_child(&child);
        Ok(Self { pid, child: Some(child), data: data.to_owned(), on_drop: Some(Signal::INT) })
    }

    /// From now on its end is its holder's affair.
    pub(super) fn release(&mut self) {
        self.on_drop = None;
    }

    pub(super) fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Waits until the server takes connections, which it says in line 8 of its pid file.
    pub(super) async fn ready(&mut self, log: &Path, within: Duration) -> Result<(), Error> {
        let deadline = Instant::now() + within;
        loop {
            // Of an earlier server the file may say `ready` too.
            if line(&self.data, 0).is_some_and(|pid| pid == self.pid().to_string()) && status(&self.data).as_deref() == Some("ready") {
                return Ok(());
            }
            if !self.is_alive() {
                return Err(Error::Ended { log: log.to_owned(), tail: tail(log) });
            }
            if Instant::now() >= deadline {
                return Err(Error::NotReady { seconds: within.as_secs(), log: log.to_owned(), tail: tail(log) });
            }
            sleep(POLL).await;
        }
    }

    /// Waits for the end of the process; `false` when it still runs after `within`.
    pub(super) async fn gone(&mut self, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        while self.is_alive() {
            if Instant::now() >= deadline {
                return false;
            }
            sleep(POLL).await;
        }
        true
    }

    /// Signals the process if it is (still) ours: the number of an ended one may belong to another by now.
    pub(super) fn signal(&mut self, signal: Signal) {
        if self.is_alive()
            && let Err(problem) = kill_process(self.pid, signal)
        {
            tracing::debug!(pid = self.pid(), %problem, "cannot signal Postgres");
        }
    }

    fn is_alive(&mut self) -> bool {
        match &mut self.child {
            // An error here means that somebody else has reaped it.
            Some(child) => matches!(child.try_wait(), Ok(None)),
            None => runs_on(self.pid, &self.data),
        }
    }
}

impl Drop for Postmaster {
    fn drop(&mut self) {
        if let Some(signal) = self.on_drop {
            self.signal(signal);
        }
    }
}

/// `starting`, `ready`, `stopping`, `standby`.
pub(super) fn status(data: &Path) -> Option<String> {
    line(data, 7)
}

/// Where a running server keeps its socket.
pub(super) fn socket_folder(data: &Path) -> Option<PathBuf> {
    line(data, 4).filter(|folder| !folder.is_empty()).map(PathBuf::from)
}

/// A line of `postmaster.pid`: 0 pid, 1 data folder, 2 start time, 3 port, 4 socket folder, 5 address, 6 memory key, 7 status.
fn line(data: &Path, number: usize) -> Option<String> {
    let text = fs::read_to_string(data.join("postmaster.pid")).ok()?;
    text.lines().nth(number).map(|line| line.trim().to_owned())
}

/// Whether process `pid` is a server on `data`: Postgres works in its data folder, which other processes have no reason to.
#[cfg(target_os = "linux")]
fn runs_on(pid: Pid, data: &Path) -> bool {
    let works_in = fs::read_link(format!("/proc/{}/cwd", pid.as_raw_nonzero()));
    works_in.is_ok_and(|folder| fs::canonicalize(data).is_ok_and(|data| data == folder))
}

/// Without /proc: the process lives, and its socket answers.
#[cfg(not(target_os = "linux"))]
fn runs_on(pid: Pid, data: &Path) -> bool {
    let answers = |folder: PathBuf| std::os::unix::net::UnixStream::connect(folder.join(super::socket::NAME)).is_ok();
    rustix::process::test_kill_process(pid).is_ok() && socket_folder(data).is_some_and(answers)
}

/// Waits for the sessions of a postmaster that was killed: they end by themselves, within moments, and until then the
/// shared memory is theirs and a new server would refuse to start. After `within` that refusal is the better message.
pub(super) async fn leftovers_gone(data: &Path, within: Duration) {
    let deadline = Instant::now() + within;
    while has_leftovers(data) && Instant::now() < deadline {
        sleep(POLL).await;
    }
}

/// Whether a pid file lies there and some process works in the data folder.
fn has_leftovers(data: &Path) -> bool {
    if !data.join("postmaster.pid").exists() {
        return false;
    }
    let Ok(processes) = fs::read_dir("/proc") else { return false };
    processes
        .flatten()
        .filter_map(|process| process.file_name().to_str()?.parse().ok().and_then(Pid::from_raw))
        .any(|pid| cfg!(target_os = "linux") && runs_on(pid, data))
}

/// A program of Postgres, in a clean environment, as `owner`. Setting the user also drops root's supplementary groups.
pub(super) fn command(binaries: &Binaries, program: &str, work: &Path, owner: Option<Owner>) -> Command {
    let mut command = Command::new(binaries.program(program));
    command.current_dir(work).env_clear().env("LC_ALL", "C").env("TZ", "UTC").env("PATH", "/usr/bin:/bin").stdin(Stdio::null());
    if let Some(owner) = owner {
        command.uid(owner.uid).gid(owner.gid);
    }
    command
}

/// A bare `Permission denied` at spawn is nearly always a folder on the way that the server's user cannot enter: says which.
pub(super) fn explain(problem: std::io::Error, binaries: &Binaries, work: &Path, owner: Option<Owner>) -> Error {
    if let Some(owner) = owner.filter(|_| problem.kind() == ErrorKind::PermissionDenied) {
        for target in [work, binaries.folder()] {
            if let Some(folder) = owner.barred_from(target) {
                return Error::Unsearchable { folder, target: target.to_owned(), uid: owner.uid };
            }
        }
    }
    Error::io("run the programs in", binaries.folder())(problem)
}

fn tail(log: &Path) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
}
