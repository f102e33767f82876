//! Quorate's worker as it ships: manifest, schedule, probes, thresholds, metrics, reports.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use quorate_core::address_policy::AddressPolicy;
use quorate_core::region::Region;
use quorate_proto::join::JoinToken;
use quorate_worker::{TlsPolicy, WorkerConfig, WorkerStatus};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// What the worker itself says of how late its probes started.
const LATENESS: &str = "quorate_worker_probe_lateness_seconds";
pub(crate) const LATENESS_BUCKETS_SECONDS: [f64; 10] = [0.0005, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.008, 0.012, 0.025, 0.1];

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// `http://127.0.0.1:8081`.
    #[arg(long)]
    control: String,
    /// PEM of an authority to trust.
    #[arg(long)]
    ca: PathBuf,
    /// 0: every TLS handshake is a full one.
    #[arg(long)]
    full_handshake_every_s: u64,
}

impl Arguments {
    pub(crate) fn run(self) -> Result<()> {
        tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(self.probe())
    }

    async fn probe(self) -> Result<()> {
        let lateness = Matcher::Full(LATENESS.to_owned());
        let metrics = PrometheusBuilder::new()
            .set_buckets(&[0.001, 0.01, 0.1, 1.0])?
            .set_buckets_for_metric(lateness, &LATENESS_BUCKETS_SECONDS)?
            .install_recorder()?;
        let config = WorkerConfig {
            address_policy: AddressPolicy::new(vec!["127.0.0.0/8".parse()?]),
            extra_ca_pem: Some(std::fs::read_to_string(&self.ca).context("the authority")?),
            tls: TlsPolicy { full_handshake_every: Duration::from_secs(self.full_handshake_every_s), ..TlsPolicy::default() },
            account_probes_per_second_max: u32::MAX,
            ..WorkerConfig::new(vec![self.control], token()?)
        };
        let upkeep = async {
            // As in the product.
            let mut ticks = tokio::time::interval(Duration::from_millis(500));
            loop {
                ticks.tick().await;
                metrics.run_upkeep();
            }
        };
        // Whoever started this asks by a line, and is told in one.
        let told = metrics.clone();
        std::thread::Builder::new().name("told".to_owned()).spawn(move || {
            for _asked in std::io::stdin().lines().map_while(Result::ok) {
                println!("{}", lateness_counts(&told.render()));
            }
        })?;
        let (status, _) = watch::channel(WorkerStatus::default());
        tokio::select! {
            ended = quorate_worker::run(config, CancellationToken::new(), status) => Ok(ended?),
            () = upkeep => Ok(()),
        }
    }
}

/// Whom the bench's control lets in, which is anybody.
pub(crate) fn token() -> Result<JoinToken> {
    Ok(JoinToken {
        pop: "lhr".parse().map_err(|error| anyhow::anyhow!("{error}"))?,
        region: Region::Weu,
        city: "London".to_owned(),
        country: "GB".to_owned(),
        secret: "bench".to_owned(),
        ca_sha256: [0; 32],
    })
}

/// Probes that were no later than each of the buckets, and all, with spaces between.
fn lateness_counts(metrics: &str) -> String {
    let bucket = format!("{LATENESS}_bucket{{");
    let counts = metrics.lines().filter(|line| line.starts_with(&bucket)).filter_map(|line| line.rsplit(' ').next());
    counts.collect::<Vec<_>>().join(" ")
}
