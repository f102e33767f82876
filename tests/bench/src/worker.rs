//! Quorate's worker as it ships: manifest, schedule, probes, thresholds, metrics, reports.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use metrics_exporter_prometheus::PrometheusBuilder;
use quorate_core::address_policy::AddressPolicy;
use quorate_core::region::Region;
use quorate_proto::join::JoinToken;
use quorate_worker::{TlsPolicy, WorkerConfig, WorkerStatus};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

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
        let metrics = PrometheusBuilder::new().set_buckets(&[0.001, 0.01, 0.1, 1.0])?.install_recorder()?;
        let config = WorkerConfig {
            address_policy: AddressPolicy::new(vec!["127.0.0.0/8".parse()?]),
            extra_ca_pem: Some(std::fs::read_to_string(&self.ca).context("the authority")?),
            tls: TlsPolicy { full_handshake_every: Duration::from_secs(self.full_handshake_every_s), ..TlsPolicy::default() },
            account_probes_per_second_max: u32::MAX,
            ..WorkerConfig::new(vec![self.control], token()?)
        };
        let upkeep = async {
            let mut ticks = tokio::time::interval(Duration::from_secs(5));
            loop {
                ticks.tick().await;
                metrics.run_upkeep();
            }
        };
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
