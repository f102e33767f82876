//! What the kernel says of a process.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// CPU time of the threads that a process has, so far, and its resident memory in KiB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    pub(crate) cpu: Duration,
    pub(crate) resident_kib: u64,
}

pub(crate) fn usage(pid: u32) -> Result<Usage> {
    Ok(Usage { cpu: cpu(pid)?, resident_kib: memory(pid)?.resident_kib })
}

/// In nanoseconds, where the sum of `/proc/PID/stat` has only hundredths of a second. A thread that
/// ends in between takes its time with it; none of those that are measured has any that does.
fn cpu(pid: u32) -> Result<Duration> {
    let mut nanoseconds = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task")).with_context(|| format!("the process {pid} has ended"))? {
        let told = fs::read_to_string(thread?.path().join("schedstat")).context("a thread's time on the CPU")?;
        nanoseconds += told.split_whitespace().next().and_then(|time| time.parse::<u64>().ok()).context("a number of nanoseconds")?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// Memory of a process.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_field_names, reason = "the unit is what they share")]
pub(crate) struct Memory {
    pub(crate) resident_kib: u64,
    /// Of that what no file is behind: not the program's code.
    pub(crate) anonymous_kib: u64,
    /// The most that was ever resident.
    pub(crate) most_kib: u64,
}

pub(crate) fn memory(pid: u32) -> Result<Memory> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).with_context(|| format!("the process {pid} has ended"))?;
    let kib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).with_context(|| name.to_owned())?;
        line.trim_end_matches("kB").trim().parse::<u64>().context("a number of KiB")
    };
    Ok(Memory { resident_kib: kib("VmRSS")?, anonymous_kib: kib("RssAnon")?, most_kib: kib("VmHWM")? })
}

/// Echo requests that this network namespace has answered so far.
pub(crate) fn echoes_answered() -> Result<u64> {
    counter("Icmp:", "OutEchoReps")
}

/// Connections that this network namespace has begun so far, also those that are reset before anybody accepts them.
pub(crate) fn connections_begun() -> Result<u64> {
    counter("Tcp:", "ActiveOpens")
}

fn counter(protocol: &str, name: &str) -> Result<u64> {
    let snmp = fs::read_to_string("/proc/net/snmp").context("the counters of the network")?;
    let mut lines = snmp.lines().filter(|line| line.starts_with(protocol));
    let (names, numbers) = (lines.next().context("names")?, lines.next().context("numbers")?);
    let place = names.split_whitespace().position(|known| known == name).with_context(|| format!("a counter {name}"))?;
    numbers.split_whitespace().nth(place).and_then(|number| number.parse().ok()).context("a number")
}

/// The value below which `percent` of the sorted values are.
pub(crate) fn percentile(sorted: &[f64], percent: usize) -> Option<f64> {
    sorted.get(sorted.len().saturating_sub(1) * percent / 100).copied()
}
