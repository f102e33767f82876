//! Real `quorate` processes, configured as an operator configures them: by environment.

use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use crate::until::until;

/// What every environment starts from; the rest of ours would leak `DATABASE_URL` and the like.
const INHERITED: [&str; 5] = ["PATH", "HOME", "TMPDIR", "LANG", "RUST_BACKTRACE"];
/// Lines of a process's log that a failing story shows.
const LOG_LINES_SHOWN: usize = 40;

/// The `quorate` program to test: `QUORATE_BIN`, or the one beside the running test.
///
/// # Panics
/// Where it is not built; `cargo xtask test` builds it.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        if let Some(named) = std::env::var_os("QUORATE_BIN") {
            return named.into();
        }
        let me = std::env::current_exe().expect("a process knows its program");
        // Tests lie in target/PROFILE/deps, programs in target/PROFILE.
        let mut profile = me.parent().expect("a program lies in a folder");
        if profile.ends_with("deps") {
            profile = profile.parent().expect("deps lies in a folder");
        }
        let beside = profile.join("quorate");
        assert!(beside.is_file(), "{} is not built: cargo build -p quorate", beside.display());
        beside
    })
}

/// A running process. Killed when dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

/// How to start a process.
#[derive(Clone, Debug)]
pub struct Launch {
    pub name: String,
    pub args: Vec<String>,
    pub env: Vec<(String, String)>,
    /// For its log; exists.
    pub dir: PathBuf,
}

impl Launch {
    pub fn new(name: &str, args: &[&str], dir: &Path) -> Self {
        Self { name: name.to_owned(), args: args.iter().map(|&arg| arg.to_owned()).collect(), env: Vec::new(), dir: dir.to_owned() }
    }

    #[must_use]
    pub fn env(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.env.push((name.to_owned(), format!("{value}")));
        self
    }

    #[must_use]
    pub fn envs(mut self, pairs: &[(String, String)]) -> Self {
        self.env.extend_from_slice(pairs);
        self
    }

    fn command(&self) -> Command {
        let mut command = Command::new(program());
        command.args(&self.args).env_clear().stdin(Stdio::null()).kill_on_drop(true);
        for name in INHERITED {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts it; what it prints goes to its log, appended where it ran before.
    pub fn start(&self) -> Process {
        let log = self.dir.join(format!("{}.log", self.name));
        let out = File::options().create(true).append(true).open(&log).expect("the story's folder is ours");
        let err = out.try_clone().expect("a file opens twice");
        let child = self.command().stdout(out).stderr(err).spawn().expect("the program starts");
        Process { name: self.name.clone(), child, log }
    }

    /// Runs it to its end: exit code, standard output, standard error.
    pub async fn run(&self) -> Finished {
        let output = self.command().output().await.expect("the program starts");
        let text = |bytes| String::from_utf8(bytes).expect("the program prints UTF-8");
        Finished { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

/// A command that has ended.
#[derive(Clone, Debug)]
pub struct Finished {
    /// `None`: killed by a signal.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Finished {
    /// Its standard output.
    ///
    /// # Panics
    /// Where it failed, with all that it said.
    pub fn succeeded(self) -> String {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self.stdout
    }

    /// Checks that it ended with `code` and said `part`.
    ///
    /// # Panics
    /// Where it did not, with all that it said.
    pub fn failed(self, code: i32, part: &str) {
        assert!(self.code == Some(code) && self.stderr.contains(part), "not {code} with {part:?}: {self:#?}");
    }
}

impl Process {
    pub fn name(&self) -> &str {
        &self.name
    }

    /// # Panics
    /// Where it has ended.
    pub fn pid(&self) -> Pid {
        let raw = self.child.id().unwrap_or_else(|| panic!("{} has ended\n{}", self.name, self.log_tail()));
        Pid::from_raw(i32::try_from(raw).expect("a pid is an i32")).expect("no process is 0")
    }

    /// Waits until `GET url` answers 200.
    ///
    /// # Panics
    /// When `limit` has passed, or the process ended before.
    pub async fn ready(&mut self, url: &str, limit: Duration) {
        let client = crate::operator::http_client();
        let claim = format!("{} is ready at {url}", self.name);
        until(&claim, limit, async || {
            if let Some(status) = self.child.try_wait().expect("a child can be asked") {
                panic!("{} ended with {status} before it was ready\n{}", self.name, self.log_tail());
            }
            let answer = client.get(url).send().await.map_err(|error| format!("{error:?}\n{}", self.log_tail()))?;
            if answer.status() == 200 { Ok(()) } else { Err(format!("{answer:?}\n{}", self.log_tail())) }
        })
        .await;
    }

    /// SIGKILL: no goodbye. Returns when it is gone.
    pub async fn kill(&mut self) {
        self.child.kill().await.expect("a child can be killed");
    }

    /// Sends a signal, `INT` for Ctrl-C.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("a child can be told");
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When `limit` has passed.
    pub async fn ends(&mut self, limit: Duration) -> ExitStatus {
        let Ok(status) = tokio::time::timeout(limit, self.child.wait()).await else {
            panic!("{} runs on after {limit:?}\n{}", self.name, self.log_tail());
        };
        status.expect("a child can be waited for")
    }

    /// SIGTERM, and its end.
    pub async fn stop(&mut self, limit: Duration) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ends(limit).await
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child can be asked").is_none()
    }

    /// All that it has printed.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The last lines of it, for a failing story.
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        let shown = &lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..];
        let mut tail = format!("--- {} ---\n", self.name);
        for line in shown {
            writeln!(tail, "{line}").expect("a string takes text");
        }
        tail
    }

    /// Resident memory in KiB, as the kernel counts it.
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid().as_raw_nonzero())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a process has memory");
        line.trim().trim_end_matches(" kB").parse().expect("a number of KiB")
    }
}
