//! Builds the control plane from its configuration: the one place that knows how the crates fit together.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use quorate_api::{Access, Api, RateLimits, ServeLimits};
use quorate_control::{Control, ControlConfig, ServerTls};
use quorate_core::time::SystemClock;
use quorate_store::Db;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::failure::{Failure, OrUsage as _, Result};
use crate::secrets::Secrets;
use crate::telemetry::Metrics;

/// Requests that have begun get this long after the stop; the whole process has five seconds.
pub(crate) const REST_DRAIN: Duration = Duration::from_secs(2);

const READY_LOOK_EVERY: Duration = Duration::from_millis(20);

/// Both sockets of a control plane, taken before anything that takes time.
#[derive(Debug)]
pub(crate) struct Listeners {
    rest: TcpListener,
    grpc: TcpListener,
    rest_address: SocketAddr,
}

impl Listeners {
    /// # Errors
    /// A usage error that names the flag, where an address is taken or not this machine's.
    pub(crate) async fn bind(config: &Config) -> Result<Self> {
        if config.control.advertise_url.is_none() && config.control.grpc_listen.ip().is_unspecified() {
            return Err(Failure::usage(format!(
                "gRPC listens on {}, which no worker can dial: set --advertise-url (control.advertise_url) to https:// and a name or address of this machine",
                config.control.grpc_listen
            )));
        }
        let rest = bind(config.control.listen, "--listen").await?;
        let grpc = bind(config.control.grpc_listen, "--grpc-listen").await?;
        let rest_address = rest.local_addr().context("a socket has no address")?;
        Ok(Self { rest, grpc, rest_address })
    }
}

/// Listens, or says which flag names another address.
pub(crate) async fn bind(address: SocketAddr, flag: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}; {flag} takes another address")).or_usage()
}

/// Whether a control plane can do its work, or why not.
pub(crate) type Readiness = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// Returns when it can.
pub(crate) async fn until_ready(ready: &Readiness) {
    while ready().is_err() {
        tokio::time::sleep(READY_LOOK_EVERY).await;
    }
}

/// A running control plane: the loops, the gRPC server and the REST surface.
#[derive(Debug)]
pub(crate) struct ControlPlane {
    control: Arc<Control>,
    rest: JoinSet<()>,
    rest_stop: CancellationToken,
    db: Db,
    /// Base of the REST API.
    pub(crate) rest_url: String,
}

impl ControlPlane {
    /// Starts everything; it can do its work once [`readiness`](Self::readiness) says so.
    pub(crate) fn start(config: &Config, listeners: Listeners, db: Db, secrets: Secrets, metrics: &Metrics) -> Result<Self> {
        let settings = ControlConfig {
            timings: config.timings,
            listener: listeners.grpc,
            tls: Some(ServerTls { cert_chain_pem: secrets.tls.chain_pem, key_pem: secrets.tls.key_pem }),
            advertise_url: config.control.advertise_url.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            retain_days: config.control.retain_days,
        };
        let control = Control::start(settings, db.clone(), secrets.pepper.clone()).context("cannot start the control plane").or_usage()?;
        let control = Arc::new(control);
        let rendered = metrics.clone();
        let api = Api {
            db: db.clone(),
            pepper: secrets.pepper,
            clock: Arc::new(SystemClock),
            access: Access {
                trusted_proxies: config.control.trusted_proxies.clone(),
                limits: RateLimits {
                    requests: config.control.rate_limit_requests,
                    window: Duration::from_secs(config.control.rate_limit_window_s.into()),
                    strangers_per_second: config.control.rate_limit_strangers,
                },
            },
            ready: readiness(&control),
            metrics: Arc::new(move || rendered.render()),
        };
        let limits = ServeLimits {
            connections_per_address_max: config.control.connections_per_address_max,
            unlimited_addresses: config.control.trusted_proxies.clone(),
            drain: REST_DRAIN,
            ..ServeLimits::default()
        };
        let rest_stop = CancellationToken::new();
        let mut rest = JoinSet::new();
        rest.spawn(quorate_api::serve(listeners.rest, quorate_api::router(api), limits, rest_stop.clone()));
        rest.spawn(metrics.clone().upkeep(rest_stop.clone()));
        let rest_url = format!("http://{}/client/v4", listeners.rest_address);
        tracing::info!(rest.url = rest_url, "the REST API is served");
        Ok(Self { control, rest, rest_stop, db, rest_url })
    }

    /// Where workers reach it.
    pub(crate) fn grpc_url(&self) -> &str {
        self.control.url()
    }

    /// Tells whether it can do its work.
    pub(crate) fn readiness(&self) -> Readiness {
        readiness(&self.control)
    }

    /// Returns when a part ended that should run until the stop.
    pub(crate) async fn failed(&mut self) -> Failure {
        tokio::select! {
            task = self.control.failed() => Failure::Failed(anyhow!("the control plane's task {task:?} ended badly; the log says why")),
            Some(ended) = self.rest.join_next() => {
                let why = ended.err().map_or_else(|| anyhow!("it ended before the stop"), anyhow::Error::new);
                Failure::Failed(why.context("the REST server ended"))
            }
        }
    }

    /// Drains REST, says goodbye to the workers, leaves the buckets to others, and closes the database.
    pub(crate) async fn stop(self) {
        let Self { control, mut rest, rest_stop, db, rest_url: _ } = self;
        rest_stop.cancel();
        let drained = async {
            while let Some(ended) = rest.join_next().await {
                if let Err(panic) = ended {
                    tracing::error!(error = %panic, "a part of the REST server did not end well");
                }
            }
        };
        let left = async {
            let mut shared = control;
            // A readiness that is being told holds it for a moment.
            let control = loop {
                match Arc::try_unwrap(shared) {
                    Ok(control) => break control,
                    Err(held) => shared = held,
                }
                tokio::task::yield_now().await;
            };
            control.stop().await;
        };
        tokio::join!(drained, left);
        db.close().await;
    }
}

fn readiness(control: &Arc<Control>) -> Readiness {
    let control = Arc::downgrade(control);
    Arc::new(move || match control.upgrade() {
        Some(control) => control.ready(),
        None => Err("the control plane stops".to_owned()),
    })
}
