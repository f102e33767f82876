//! How long a worker takes from an answer that fails to control's hearing of the vote that it makes.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use quorate_core::check::Check;
use tokio::time::timeout;

use crate::control::Control;
use crate::farm::{Farm, address};
use crate::measure::percentile;
use crate::peers::Running;
use crate::rows::{Kind, Row, check};

/// Beside the one that fails, so many others are probed.
const ROW: Row = Row { name: "decisions", kind: Kind::Http, count: 2_000, interval_ms: 1_000 };
/// A worker that probes every second has told within this.
const TOLD_MAX: Duration = Duration::from_secs(30);

/// Prints one line: the share of this is the worker's, and what a message takes over loopback.
pub(crate) async fn measure(failures: u32, farm: &Farm, folder: &Path) -> Result<()> {
    let checks: Vec<Check> = (0..ROW.count).map(|number| check(&ROW, number, farm.http)).collect();
    let mut control = Control::start(&checks).await?;
    let _worker = Running::worker(None, &control.url, folder, ROW.kind)?;
    control.until_up(ROW.count, TOLD_MAX).await?;
    let mut took_ms = Vec::new();
    for failure in 0..failures {
        let origin = IpAddr::from(address(failure % ROW.count));
        control.forget_downs();
        farm.failing.set(Some(origin));
        let heard = timeout(TOLD_MAX, control.next_down()).await.with_context(|| format!("{origin} did not go down"))?;
        let (heard, answered) = heard.zip(farm.failing.answered()).context("an answer that was heard of")?;
        took_ms.push(heard.saturating_duration_since(answered).as_secs_f64() * 1e3);
        farm.failing.set(None);
        control.until_up(ROW.count, TOLD_MAX).await?;
    }
    took_ms.sort_unstable_by(f64::total_cmp);
    let at = |percent| percentile(&took_ms, percent).unwrap_or_default();
    println!("| failures | from the answer to control, ms: p50 | p90 | p99 | max |");
    println!("| --- | --- | --- | --- | --- |");
    println!("| {failures} | {:.2} | {:.2} | {:.2} | {:.2} |", at(50), at(90), at(99), at(100));
    Ok(())
}
