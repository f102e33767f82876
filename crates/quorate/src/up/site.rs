//! What runs on the private Postgres: provisioned first, then run until the stop.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use ipnet::IpNet;
use quorate_core::address_policy::AddressPolicy;
use quorate_core::ids::PoolId;
use quorate_core::vote::Published;
use quorate_store::accounts::Limits;
use quorate_store::worker_tokens::NewPop;
use quorate_store::{Db, Error, health, pools};
use quorate_worker::{WorkerConfig, WorkerStatus};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::demo_set::{DemoSet, ORIGINS_IP, Remembered, SHOP, SHOP_ORIGINS, STEADY};
use super::live::Follower;
use super::progress::{during, tell};
use super::welcome::Welcome;
use super::workers::{regions_by_source, source_addresses};
use crate::admin::worker_tokens;
use crate::assemble::{ControlPlane, Listeners, Readiness, until_ready};
use crate::config::Config;
use crate::control_role::seal_leftovers;
use crate::demo::objects::{follow_ports, make_missing};
use crate::demo::origin::serve_all;
use crate::demo::tls::DemoTls;
use crate::demo::{Switchboard, socket};
use crate::env_file::EnvFile;
use crate::failure::{Failure, Result};
use crate::pops::{default_pops, regions_of};
use crate::provision::{self, Tenancy, Wanted};
use crate::secrets::{Secrets, make_private_dir};
use crate::telemetry::Metrics;
use crate::worker_role::{extra_ca_pem, resolver, tls_policy, zones};

/// What `up` makes.
const ACCOUNT: &str = "demo";
const ZONE: &str = "example.com";
const TOKEN: &str = "up";
/// Seconds. A person who tries the product does not want to wait.
const MINIMUM_MONITOR_INTERVAL: u16 = 1;
/// The text of what to try waits so long for the first verdicts; what a killed process owned is free after 8 s.
const FIRST_VERDICTS_WITHIN: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// What the workers may probe beyond public addresses.
const LOOPBACK: [&str; 2] = ["127.0.0.0/8", "::1/128"];

/// One installation, ready to run.
#[derive(Debug)]
pub(super) struct Site<'a> {
    config: &'a Config,
    data_dir: &'a Path,
    db: Db,
    secrets: Secrets,
    tenancy: Tenancy,
    pops: Vec<NewPop>,
    /// Where the worker of each PoP probes from.
    sources: Vec<Option<IpAddr>>,
    /// `None`: an empty installation.
    demo: Option<DemoSet>,
}

impl<'a> Site<'a> {
    /// Makes what is missing: secrets, account, zone, token, and the demo's objects unless `empty`.
    pub(super) async fn prepare(config: &'a Config, data_dir: &'a Path, service_url: &str, empty: bool) -> Result<Self> {
        let db = Db::connect(service_url).await.context("cannot use the database")?;
        let secrets = Secrets::load_or_make(config)?;
        let db = db.with_header_secrets(secrets.headers.clone());
        seal_leftovers(&db).await?;
        let known = EnvFile::read(&provision::env_file(data_dir))?;
        let limits = Limits { minimum_monitor_interval: MINIMUM_MONITOR_INTERVAL, ..config.accounts.into() };
        let wanted = Wanted { account: ACCOUNT, limits, zone: ZONE, token: TOKEN };
        let tenancy = provision::tenancy(&db, &secrets.pepper, &wanted, known.as_ref()).await?;
        let pops = default_pops()?;
        let sources = source_addresses(&pops);
        let mut site = Self { config, data_dir, db, secrets, tenancy, pops, sources, demo: None };
        site.demo = site.prepare_demo(empty).await?;
        Ok(site)
    }

    /// Origins that were made once keep running under `--empty`, else the pools that name them would all go down.
    async fn prepare_demo(&self, empty: bool) -> Result<Option<DemoSet>> {
        let mut remembered = Remembered::read(self.data_dir)?;
        if empty && !remembered.made {
            return Ok(None);
        }
        let set = DemoSet::bind(&remembered.ports).await?;
        let (account, zone) = (self.tenancy.account.id, &self.tenancy.zone);
        let mut tenant = self.db.tenant(&[account]).await.context("cannot reach the database")?;
        if remembered.made {
            follow_ports(&mut tenant, zone, &set.moved).await?;
        } else {
            make_missing(&mut tenant, zone, &regions_of(&self.pops), &set.pools(), &[SHOP, STEADY]).await?;
        }
        tenant.commit().await.context("cannot commit")?;
        remembered = Remembered { ports: set.ports.clone(), made: true };
        remembered.write(self.data_dir)?;
        Ok(Some(set))
    }

    /// Until `stop`, or until a part fails, which ends the others.
    pub(super) async fn run(mut self, listeners: Listeners, stop: &CancellationToken) -> Result<()> {
        let metrics = Metrics::start("up")?;
        let follower = Follower::from_now(self.db.clone()).await.context("cannot read the events")?;
        let mut plane = ControlPlane::start(self.config, listeners, self.db.clone(), self.secrets.clone(), &metrics)?;
        // Workers and origins end before the control plane does.
        let around = stop.child_token();
        let mut tasks: JoinSet<Result<()>> = JoinSet::new();
        let ended = match self.start_around(&plane, follower, &mut tasks, &around).await {
            Ok(()) => {
                let greeting = self.greet(plane.rest_url.clone(), plane.readiness());
                tokio::select! {
                    biased;
                    () = stop.cancelled() => Ok(()),
                    failure = plane.failed() => Err(failure),
                    Some(task) = tasks.join_next() => Err(early(task)),
                    failure = greeting => Err(failure),
                }
            }
            Err(failure) => Err(failure),
        };
        around.cancel();
        let all_end = async {
            while let Some(task) = tasks.join_next().await {
                match task {
                    Ok(Ok(())) => {}
                    Ok(Err(failure)) => tracing::error!(error = %failure, "a part did not end well"),
                    Err(panic) => tracing::error!(error = %panic, "a part did not end well"),
                }
            }
            plane.stop().await;
        };
        during("stopping workers and control plane", all_end).await;
        ended
    }

    /// Starts the demo origins, the workers, and the lines about what changes.
    async fn start_around(
        &mut self,
        plane: &ControlPlane,
        follower: Follower,
        tasks: &mut JoinSet<Result<()>>,
        stop: &CancellationToken,
    ) -> Result<()> {
        tasks.spawn(infallible(follower.run(stop.clone())));
        let mut demo_ca = None;
        if let Some(set) = self.demo.as_mut() {
            let tls = Arc::new(DemoTls::new(&ORIGINS_IP.to_string())?);
            demo_ca = Some(tls.ca_pem.clone());
            let board = Arc::new(Switchboard::new(SHOP_ORIGINS.map(str::to_owned), regions_by_source(&self.pops, &self.sources)));
            tasks.spawn(infallible(serve_all(std::mem::take(&mut set.origins), &board, &tls, stop)));
            match socket::bind(self.data_dir) {
                Ok(listener) => {
                    tasks.spawn(infallible(socket::serve(listener, self.data_dir.to_owned(), board, stop.clone())));
                }
                // Everything else works without it.
                Err(error) => tell(&format!("`quorate demo` does not work on this folder: {error:#}")),
            }
        }
        for worker in self.workers(plane, demo_ca).await? {
            let stop = stop.clone();
            tasks.spawn(async move {
                let pop = worker.token.pop.clone();
                let (status, _) = watch::channel(WorkerStatus::default());
                Ok(quorate_worker::run(worker, stop, status).await.with_context(|| format!("the worker of {pop} cannot run"))?)
            });
        }
        Ok(())
    }

    async fn workers(&self, plane: &ControlPlane, demo_ca: Option<String>) -> Result<Vec<WorkerConfig>> {
        let tokens_dir = self.config.secrets_dir()?.join("workers");
        make_private_dir(&tokens_dir)?;
        let tokens = worker_tokens::find_or_make(&self.db, &self.secrets, &tokens_dir, &self.pops).await?;
        // Manifests name origins and the headers that they are asked with.
        make_private_dir(&self.data_dir.join("workers"))?;
        let worker = &self.config.worker;
        let mut allowed = LOOPBACK.iter().map(|net| net.parse::<IpNet>()).collect::<Result<Vec<_>, _>>().context("a built-in range")?;
        allowed.extend(&worker.allow_cidrs);
        let authorities: Vec<String> = demo_ca.into_iter().chain(extra_ca_pem(worker)?).collect();
        let extra_ca_pem = (!authorities.is_empty()).then(|| authorities.join("\n"));
        let zones = zones(worker)?;
        let workers = tokens.into_iter().zip(&self.sources).map(|(token, source)| WorkerConfig {
            data_dir: Some(self.worker_dir(token.pop.as_str())),
            address_policy: AddressPolicy::new(allowed.clone()),
            source_address: *source,
            resolver: resolver(worker),
            extra_ca_pem: extra_ca_pem.clone(),
            zones: zones.clone(),
            tls: tls_policy(worker),
            account_probes_per_second_max: worker.account_probes_per_second_max,
            address_probes_per_second_max: worker.address_probes_per_second_max,
            user_agent_url: worker.user_agent_url.clone(),
            ..WorkerConfig::new(vec![plane.grpc_url().to_owned()], token)
        });
        Ok(workers.collect())
    }

    fn worker_dir(&self, pop: &str) -> PathBuf {
        self.data_dir.join("workers").join(pop)
    }

    /// Says what to try once there is something to see. Ends only by a failure.
    async fn greet(&self, rest_url: String, readiness: Readiness) -> Failure {
        let greeted = async {
            during("waiting for the control plane", until_ready(&readiness)).await;
            self.env_file(&rest_url).write(&provision::env_file(self.data_dir))?;
            let shop = if self.demo.is_some() {
                let verdicts = tokio::time::timeout(FIRST_VERDICTS_WITHIN, self.first_verdicts());
                if let Ok(told) = during("waiting for the first verdicts", verdicts).await {
                    told.context("cannot read the verdicts")?;
                }
                self.shop().await.context("cannot read the pools")?
            } else {
                None
            };
            self.welcome(&rest_url, shop);
            Ok::<(), Failure>(())
        };
        match greeted.await {
            Ok(()) => std::future::pending().await,
            Err(failure) => failure,
        }
    }

    fn env_file(&self, rest_url: &str) -> EnvFile {
        EnvFile {
            url: rest_url.to_owned(),
            token: self.tenancy.token.clone(),
            account_id: self.tenancy.account.id,
            zone_id: self.tenancy.zone.id,
            zone_name: self.tenancy.zone.name.clone(),
        }
    }

    /// Returns when no origin of the account waits for its first verdict.
    async fn first_verdicts(&self) -> Result<(), Error> {
        let account = self.tenancy.account.id;
        loop {
            let mut tenant = self.db.tenant(&[account]).await?;
            let mut waiting = false;
            for pool in pools::list(&mut tenant, account, None).await? {
                let health = health::of_pool(&mut tenant, account, pool.id).await?;
                waiting |= health.is_some_and(|health| health.checks.iter().any(|check| check.verdict == Published::Unknown));
            }
            drop(tenant);
            if !waiting {
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn shop(&self) -> Result<Option<PoolId>, Error> {
        let account = self.tenancy.account.id;
        let mut tenant = self.db.tenant(&[account]).await?;
        let all = pools::list(&mut tenant, account, None).await?;
        Ok(all.iter().find(|pool| pool.settings.name == SHOP).map(|pool| pool.id))
    }

    fn welcome(&self, rest_url: &str, shop: Option<PoolId>) {
        let program = std::env::args().next().unwrap_or_else(|| "quorate".to_owned());
        let welcome = Welcome {
            program: &program,
            data_dir: self.data_dir,
            names_data_dir: self.config.data_dir.is_some(),
            url: rest_url,
            token: &self.tenancy.token,
            account: &self.tenancy.account.id.to_string(),
            shop,
            tells_regions: self.sources.iter().all(Option::is_some),
        };
        tell(&welcome.text());
    }
}

async fn infallible(work: impl Future<Output = ()>) -> Result<()> {
    work.await;
    Ok(())
}

/// A part that ends before the stop, well or not, is a failure of the whole.
fn early(task: Result<Result<()>, tokio::task::JoinError>) -> Failure {
    match task {
        Ok(Ok(())) => Failure::Failed(anyhow!("a part ended before the stop")),
        Ok(Err(failure)) => failure,
        Err(panic) => Failure::Failed(anyhow::Error::new(panic).context("a part ended before the stop")),
    }
}
