//! `quorate worker`: one worker, and the small listener that tells how it stands.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::get;
use quorate_api::{ServeLimits, serve};
use quorate_core::address_policy::AddressPolicy;
use quorate_proto::join::JoinToken;
use quorate_worker::{ClientCertificate, Error, ResolverConfig, TlsPolicy, TlsVersion, WorkerConfig, WorkerStatus, ZoneTls};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::admin::worker_tokens;
use crate::assemble::{REST_DRAIN, bind};
use crate::config::Config;
use crate::config::worker::{TlsMinVersion, Worker, WorkerZone};
use crate::failure::{OrUsage as _, Result};
use crate::lifecycle::{self, Signals};
use crate::telemetry::Metrics;

pub async fn run(config: Config) -> Result<()> {
    let mut signals = Signals::listen()?;
    let token = worker_tokens::configured(&config)?;
    let data_dir = match &config.worker.data_dir {
        Some(dir) => dir.clone(),
        None => config.data_dir()?.join("worker"),
    };
    let worker = worker_config(&config.worker, token, &data_dir)?;
    let metrics = Metrics::start("worker")?;
    let listener = bind(config.worker.listen, "--listen").await?;
    let address: SocketAddr = listener.local_addr().context("a socket has no address")?;
    tracing::info!(pop = %worker.token.pop, region = %worker.token.region, listen = %address, "a worker starts");

    let stop = CancellationToken::new();
    let (status, told) = watch::channel(WorkerStatus::default());
    let limits = ServeLimits { drain: REST_DRAIN, ..ServeLimits::default() };
    let asked = serve(listener, router(told, metrics.clone()), limits, stop.clone());
    let running = quorate_worker::run(worker, stop.clone(), status);
    lifecycle::run(&mut signals, &stop, async {
        let ended = async {
            let ended = running.await;
            // A worker that ends by itself takes the listener along.
            stop.cancel();
            ended
        };
        let (ended, (), ()) = tokio::join!(ended, asked, metrics.upkeep(stop.clone()));
        match ended {
            Err(error @ (Error::ControlUrl { .. } | Error::NoControlUrl | Error::Token)) => Err(error).or_usage(),
            ended => Ok(ended.context("the worker cannot run")?),
        }
    })
    .await
}

/// The worker's own form of its configuration.
fn worker_config(worker: &Worker, token: JoinToken, data_dir: &Path) -> Result<WorkerConfig> {
    Ok(WorkerConfig {
        data_dir: Some(data_dir.to_owned()),
        address_policy: AddressPolicy::new(worker.allow_cidrs.clone()),
        source_address: worker.source_address,
        resolver: resolver(worker),
        extra_ca_pem: extra_ca_pem(worker)?,
        zones: zones(worker)?,
        tls: tls_policy(worker),
        account_probes_per_second_max: worker.account_probes_per_second_max,
        address_probes_per_second_max: worker.address_probes_per_second_max,
        user_agent_url: worker.user_agent_url.clone(),
        ..WorkerConfig::new(worker.control_urls.clone(), token)
    })
}

/// The authorities that HTTPS probes trust beside the system's.
pub(crate) fn extra_ca_pem(worker: &Worker) -> Result<Option<String>> {
    read_pem(worker.extra_ca_file.as_deref(), "worker.extra_ca_file")
}

/// What HTTPS probes in the name of a zone bring along.
pub(crate) fn zones(worker: &Worker) -> Result<Vec<ZoneTls>> {
    let zone = |zone: &WorkerZone| {
        let read = |file: &Option<PathBuf>| read_pem(file.as_deref(), "worker.zones");
        let client = match (read(&zone.client_certificate_file)?, read(&zone.client_key_file)?) {
            (Some(chain_pem), Some(key_pem)) => Some(ClientCertificate { chain_pem, key_pem }),
            // The check of the configuration has refused one without the other.
            _ => None,
        };
        Ok(ZoneTls { name: zone.name.clone(), client, extra_ca_pem: read(&zone.extra_ca_file)? })
    };
    worker.zones.iter().map(zone).collect()
}

/// Which servers HTTPS probes take, and how often they prove who they are.
pub(crate) fn tls_policy(worker: &Worker) -> TlsPolicy {
    TlsPolicy {
        min_version: match worker.tls_min_version {
            TlsMinVersion::V1_0 => TlsVersion::V1_0,
            TlsMinVersion::V1_1 => TlsVersion::V1_1,
            TlsMinVersion::V1_2 => TlsVersion::V1_2,
            TlsMinVersion::V1_3 => TlsVersion::V1_3,
        },
        weak_certificates: worker.tls_weak_certificates,
        full_handshake_every: Duration::from_secs(worker.tls_full_handshake_every_s.into()),
    }
}

fn read_pem(file: Option<&Path>, setting: &str) -> Result<Option<String>> {
    let read = |file: &Path| std::fs::read_to_string(file).with_context(|| format!("cannot read {} ({setting})", file.display()));
    file.map(read).transpose().or_usage()
}

/// The DNS servers that a worker asks.
pub(crate) fn resolver(worker: &Worker) -> ResolverConfig {
    if worker.resolver.is_empty() { ResolverConfig::System } else { ResolverConfig::Servers(worker.resolver.clone()) }
}

/// `/healthz`: the process lives. `/readyz`: its votes reach somebody, or why not.
fn router(told: watch::Receiver<WorkerStatus>, metrics: Metrics) -> Router {
    let ready = move || {
        let (code, text) = readiness(&told.borrow());
        async move { (code, text) }
    };
    let scrape = move || {
        let text = metrics.render();
        async move { ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text) }
    };
    Router::new().route("/healthz", get(|| async { "ok\n" })).route("/readyz", get(ready)).route("/metrics", get(scrape))
}

fn readiness(status: &WorkerStatus) -> (StatusCode, String) {
    match (&status.fenced, status.is_ready()) {
        (Some(why), _) => (StatusCode::SERVICE_UNAVAILABLE, format!("fenced: {why}\n")),
        (None, false) => (StatusCode::SERVICE_UNAVAILABLE, "no session with any control plane; probing goes on\n".to_owned()),
        (None, true) => (StatusCode::OK, format!("ready: {} checks, sessions with {}\n", status.checks, status.connected.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_ready_while_its_votes_reach_somebody() {
        let mut status = WorkerStatus::default();
        assert_eq!(readiness(&status).0, StatusCode::SERVICE_UNAVAILABLE);
        status.connected = vec!["https://127.0.0.1:8081".to_owned()];
        assert_eq!(readiness(&status).0, StatusCode::OK);
        status.fenced = Some("another process speaks for lhr".to_owned());
        let (code, text) = readiness(&status);
        assert_eq!(code, StatusCode::SERVICE_UNAVAILABLE);
        assert!(text.contains("another process"), "{text}");
    }
}
