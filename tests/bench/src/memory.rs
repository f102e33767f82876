//! What checks cost in memory: the worker with more and more of them, at rest and while it probes.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use quorate_core::check::Check;
use tokio::time::{Instant, sleep};

use crate::control::Control;
use crate::farm::Farm;
use crate::measure::{Memory, memory};
use crate::peers::Running;
use crate::rows::{Kind, Row, check};

/// So many checks, each at rest and, where it is not none, while they are probed.
const COUNTS: [u32; 4] = [0, 1_000, 10_000, 100_000];
/// Probes a second while it probes, at most; over TLS the origins take more than the worker.
const PROBES_PER_SECOND: u32 = 2_000;
const SECURED_PROBES_PER_SECOND: u32 = 500;
/// Once every check was probed, nothing more happens for so long.
const AT_REST_MS: u64 = 3_600_000;
/// Every check has told of its first probe within this.
const FIRST_ROUND_MAX: Duration = Duration::from_mins(3);
/// For what is freed afterwards, and for a regular round.
const SETTLE: Duration = Duration::from_secs(12);

#[derive(Debug, clap::Args)]
pub(crate) struct MemoryOfChecks {
    /// Numbers of checks; none, 1,000, 10,000 and 100,000 unless named.
    #[arg(long)]
    checks: Vec<u32>,
    /// What is probed.
    #[arg(long, value_enum, default_value = "http")]
    kind: Kind,
    /// The `quorate` program to measure; the worker of this bench unless named.
    #[arg(long)]
    program: Option<PathBuf>,
}

impl MemoryOfChecks {
    pub(crate) fn run(self) -> Result<()> {
        let farm = Farm::start()?;
        let per_second = if self.kind.is_https() { SECURED_PROBES_PER_SECOND } else { PROBES_PER_SECOND };
        println!(
            "| checks ({:?}) | interval s | all up after s | RSS MiB | of it anonymous | most so far | anonymous, bytes per check |",
            self.kind
        );
        println!("| --- | --- | --- | --- | --- | --- | --- |");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut empty = None;
            for count in if self.checks.is_empty() { &COUNTS[..] } else { &self.checks } {
                let probing_ms = u64::from(*count) * 1_000 / u64::from(per_second);
                for interval_ms in [AT_REST_MS, probing_ms.max(1_000)] {
                    let row = Row { name: "memory", kind: self.kind, count: *count, interval_ms };
                    let (memory, first) = self.measure(&row, &farm).await?;
                    let base = *empty.get_or_insert(memory.anonymous_kib);
                    print(&row, first, memory, base);
                    if *count == 0 {
                        break;
                    }
                }
            }
            Ok(())
        })
    }

    async fn measure(&self, row: &Row, farm: &Farm) -> Result<(Memory, Duration)> {
        // One of its own: what a worker before has kept would be taken up, and replaced.
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("ca.pem"), &farm.ca_pem)?;
        let checks: Vec<Check> = (0..row.count).map(|number| check(row, number, farm.port(row.kind))).collect();
        let control = Control::start(&checks).await?;
        drop(checks);
        let worker = Running::worker(self.program.as_deref(), &control.url, folder.path(), row.kind)?;
        let begun = Instant::now();
        control.until_up(row.count, FIRST_ROUND_MAX).await?;
        let first = begun.elapsed();
        sleep(SETTLE).await;
        Ok((memory(worker.pid()).context("the worker")?, first))
    }
}

fn print(row: &Row, first: Duration, memory: Memory, empty_kib: u64) {
    let mib = |kib: u64| format!("{}.{}", kib / 1_024, kib % 1_024 * 10 / 1_024);
    let per_check = (memory.anonymous_kib.saturating_sub(empty_kib) * 1_024).checked_div(row.count.into());
    let per_check = per_check.map_or_else(|| "-".to_owned(), |bytes| bytes.to_string());
    println!(
        "| {} | {} | {:.1} | {} | {} | {} | {per_check} |",
        row.count,
        row.interval_ms / 1_000,
        first.as_secs_f64(),
        mib(memory.resident_kib),
        mib(memory.anonymous_kib),
        mib(memory.most_kib)
    );
}
