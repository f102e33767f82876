//! Processor time, as the kernel counts it.

use std::fs;
use std::time::Duration;

/// Clock ticks a second of `/proc`, fixed in the kernel's interface on every Linux that Rust supports.
const TICKS_PER_SECOND: u64 = 100;

/// What the parties have used so far, or in a window.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spent {
    pub(crate) client: Duration,
    pub(crate) control: Duration,
    /// All processes of the server.
    pub(crate) postgres: Duration,
}

impl Spent {
    pub(crate) fn now(control: i32, postmaster: i32) -> Self {
        let mut now = Self::default();
        for process in processes() {
            if process.id == i32::try_from(std::process::id()).expect("a pid is an i32") {
                now.client += process.used;
            } else if process.id == control {
                now.control += process.used;
            } else if process.id == postmaster || process.parent == postmaster {
                now.postgres += process.used;
            }
        }
        now
    }

    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            client: self.client.saturating_sub(before.client),
            control: self.control.saturating_sub(before.control),
            // Sessions that ended take their time with them.
            postgres: self.postgres.saturating_sub(before.postgres),
        }
    }
}

struct Process {
    id: i32,
    parent: i32,
    used: Duration,
}

fn processes() -> Vec<Process> {
    let entries = fs::read_dir("/proc").expect("Linux tells of its processes");
    entries.filter_map(|entry| process(&fs::read_to_string(entry.ok()?.path().join("stat")).ok()?)).collect()
}

/// Who is whose, by a line of `/proc/PID/stat`.
fn process(line: &str) -> Option<Process> {
    // The name, in parentheses, may hold spaces.
    let (before, after) = line.rsplit_once(')')?;
    let fields: Vec<&str> = after.split_whitespace().collect();
    let ticks: u64 = fields.get(11..13)?.iter().filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Some(Process {
        id: before.split_whitespace().next()?.parse().ok()?,
        parent: fields.get(1)?.parse().ok()?,
        used: Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND),
    })
}

/// The parent of a process.
pub(crate) fn parent_of(id: i32) -> i32 {
    let line = fs::read_to_string(format!("/proc/{id}/stat")).expect("the process lives");
    process(&line).expect("a line of stat").parent
}
