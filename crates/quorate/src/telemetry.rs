//! Logs and metrics of the process.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::{BoxMakeWriter, MakeWriterExt as _};

use crate::config::log::{Log, LogFormat};
use crate::failure::Result;

/// Seconds; from a delta on loopback to a probe's longest deadline.
const BUCKETS: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];
/// Histograms are drained this often even where nobody reads them: they keep every sample until then, and a worker takes
/// some for each probe.
const UPKEEP_EVERY: Duration = Duration::from_millis(500);

/// Where the log goes.
#[derive(Clone, Copy, Debug)]
pub enum Sink<'a> {
    Stderr,
    /// Appended to; errors go to stderr as well.
    File(&'a Path),
}

/// Starts logging. Once a process.
pub fn start_logging(log: &Log, sink: Sink<'_>) -> Result<()> {
    let (writer, ansi) = match sink {
        Sink::Stderr => (BoxMakeWriter::new(std::io::stderr), std::io::IsTerminal::is_terminal(&std::io::stderr())),
        Sink::File(path) => {
            let errors = std::io::stderr.with_max_level(tracing::Level::ERROR);
            (BoxMakeWriter::new(errors.and(std::sync::Mutex::new(open(path)?))), false)
        }
    };
    let filter = EnvFilter::try_new(&log.filter).context("log.filter is not a filter")?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(ansi);
    match log.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    }
    .map_err(|error| anyhow::anyhow!("cannot start the log: {error}"))?;
    Ok(())
}

fn open(path: &Path) -> anyhow::Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot open the log file {}", path.display()))
}

/// The process's metrics, rendered for a scrape.
#[derive(Clone, Debug)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// Starts recording. Once a process.
    pub fn start(role: &'static str) -> Result<Self> {
        let builder = PrometheusBuilder::new().set_buckets(&BUCKETS).context("the buckets of histograms are not valid")?;
        let handle = builder.install_recorder().context("cannot start the metrics")?;
        metrics::describe_gauge!("quorate_build_info", "Version and role of this process; always 1");
        metrics::gauge!("quorate_build_info", "version" => env!("CARGO_PKG_VERSION"), "role" => role).set(1.0);
        Ok(Self(handle))
    }

    /// In the text format of Prometheus.
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// Keeps histograms small until `stop`.
    pub async fn upkeep(self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(UPKEEP_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ = ticks.tick() => self.0.run_upkeep(),
            }
        }
    }
}
