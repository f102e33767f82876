//! A whole installation: a database, replicas of the control plane and workers in their regions, each
//! a process of its own, and the operator of an account in it.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::net::Net;
use crate::operator::{Answer, Operator};
use crate::origins::{Certificate, Origin};
use crate::places::{Place, places_in};
use crate::postgres::Database;
use crate::process::{Finished, Launch, Process};
use crate::until::until;

/// Ports of every replica and worker; each has an address of its own.
const REST_PORT: u16 = 18_080;
const GRPC_PORT: u16 = 18_081;
const WORKER_PORT: u16 = 18_082;
/// A process that starts is ready within this, on a busy machine.
pub const START_MAX: Duration = Duration::from_secs(20);
/// A verdict follows a change of an origin within this at the smallest interval: an interval, a time-out, and
/// slack for a busy machine.
pub const VERDICT_MAX: Duration = Duration::from_secs(15);

/// The product's timings at a tenth, and the hysteresis of a lost quorum shorter still. Named here and not computed, so that a story shows what it runs with.
const TENTH: [(&str, u32); 16] = [
    ("ROUND_MS", 1_000),
    ("DELTA_MS", 20),
    ("TICK_MS", 25),
    ("SESSION_LEASE_MS", 3_500),
    ("REPLICA_HEARTBEAT_MS", 200),
    ("REPLICA_DEAD_MS", 800),
    ("CLAIM_JITTER_MS", 100),
    ("POLL_MS", 100),
    ("KEEPALIVE_MS", 1_000),
    ("KEEPALIVE_TIMEOUT_MS", 500),
    ("RECONNECT_MIN_MS", 50),
    ("RECONNECT_MAX_MS", 3_000),
    ("POP_DEAD_MS", 6_000),
    ("FENCE_RETRY_MS", 6_000),
    ("QUORUM_HYSTERESIS_MS", 1_000),
    ("VOTES_BEHIND_MS", 100),
];

/// What to build.
#[derive(Clone, Debug)]
pub struct Plan {
    regions: Vec<(&'static str, usize)>,
    replicas: u8,
    timings: Vec<(&'static str, u32)>,
    settings: Vec<(&'static str, String)>,
}

/// See the module.
#[derive(Debug)]
pub struct World {
    pub net: Net,
    pub database: Database,
    pub operator: Operator,
    pub controls: Vec<Control>,
    pub workers: Vec<Worker>,
    dir: TempDir,
    common: Vec<(String, String)>,
    origins: AtomicU8,
}

/// A replica of the control plane.
#[derive(Debug)]
pub struct Control {
    pub process: Process,
    launch: Launch,
    address: IpAddr,
}

/// A worker of a PoP.
#[derive(Debug)]
pub struct Worker {
    pub place: Place,
    /// The address from which it probes.
    pub source: IpAddr,
    /// `qwt_…`
    pub token: String,
    pub process: Process,
    launch: Launch,
}

impl Plan {
    /// Three regions of one PoP each, one replica, timings at a tenth.
    pub fn small() -> Self {
        Self { regions: vec![("WEU", 1), ("ENAM", 1), ("SEAS", 1)], replicas: 1, timings: TENTH.to_vec(), settings: Vec::new() }
    }

    /// Three regions of three PoPs.
    pub fn nine() -> Self {
        Self { regions: vec![("WEU", 3), ("ENAM", 3), ("SEAS", 3)], ..Self::small() }
    }

    /// One replica and no worker: nothing is probed.
    pub fn control_only() -> Self {
        Self { regions: Vec::new(), ..Self::small() }
    }

    #[must_use]
    pub fn replicas(self, replicas: u8) -> Self {
        Self { replicas, ..self }
    }

    /// The product's own timings.
    #[must_use]
    pub fn default_timings(self) -> Self {
        Self { timings: Vec::new(), ..self }
    }

    /// A setting of every process: `QUORATE_LOG`.
    #[must_use]
    pub fn setting(mut self, variable: &'static str, value: &str) -> Self {
        self.settings.push((variable, value.to_owned()));
        self
    }

    /// Starts it all; everything is ready when this returns.
    pub async fn build(self) -> World {
        let net = Net::claim();
        let database = Database::create().await;
        let dir = tempfile::Builder::new().prefix("quorate-story-").tempdir().expect("the temporary folder is writable");
        let mut common = vec![
            ("QUORATE_DATABASE_URL".to_owned(), database.service_url.clone()),
            ("QUORATE_DATA_DIR".to_owned(), path_text(&dir.path().join("data"))),
            ("QUORATE_SECRETS__DIR".to_owned(), path_text(&dir.path().join("secrets"))),
        ];
        common.extend(self.timings.iter().map(|(name, value)| (format!("QUORATE_TIMINGS__{name}"), value.to_string())));
        common.extend(self.settings.iter().map(|(variable, value)| ((*variable).to_owned(), value.clone())));

        let mut controls = Vec::new();
        for index in 0..self.replicas {
            // One after another: the first makes the secrets that the others read.
            controls.push(Control::start(index, &net, dir.path(), &common).await);
        }
        let places: Vec<_> = self.regions.iter().flat_map(|(region, count)| places_in(region, *count)).collect();
        let (operator, tokens) = tokio::join!(
            new_operator(&controls[0], "stories", "example.com", dir.path(), &common),
            worker_tokens(&places, dir.path(), &common)
        );
        let mut world = World { net, database, operator, controls, workers: Vec::new(), dir, common, origins: AtomicU8::new(0) };
        for (place, token) in places.into_iter().zip(tokens) {
            let worker = world.launches_worker(place, &token);
            world.workers.push(worker);
        }
        for worker in &mut world.workers {
            worker.is_ready().await;
        }
        world
    }
}

impl World {
    /// A folder for what a story keeps.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Runs an admin command of the program in this installation.
    pub async fn runs(&self, args: &[&str]) -> Finished {
        Launch::new("admin", args, self.dir()).envs(&self.common).run().await
    }

    /// What every process of this installation is configured with.
    pub fn environment(&self) -> &[(String, String)] {
        &self.common
    }

    /// Another account with a zone and an operator of its own.
    pub async fn another_operator(&self, account: &str, zone: &str) -> Operator {
        new_operator(&self.controls[0], account, zone, self.dir(), &self.common).await
    }

    /// A healthy HTTP origin at an address of its own.
    pub async fn origin(&self) -> Origin {
        Origin::http(self.next_origin_address()).await
    }

    /// A healthy HTTPS origin whose self-signed certificate is for its address.
    pub async fn https_origin(&self) -> Origin {
        let address = self.next_origin_address();
        Origin::https(address, Certificate::self_signed(&address.to_string())).await
    }

    /// A healthy TCP origin.
    pub async fn tcp_origin(&self) -> Origin {
        Origin::tcp(self.next_origin_address()).await
    }

    pub fn next_origin_address(&self) -> IpAddr {
        self.net.origin(self.origins.fetch_add(1, Ordering::Relaxed))
    }

    /// The regions that have workers, in the plan's order.
    pub fn regions(&self) -> Vec<&'static str> {
        let mut regions: Vec<_> = self.workers.iter().map(|worker| worker.place.region).collect();
        regions.dedup();
        regions
    }

    /// Where the workers of a region probe from.
    pub fn sources_in(&self, region: &str) -> Vec<IpAddr> {
        self.workers.iter().filter(|worker| worker.place.region == region).map(|worker| worker.source).collect()
    }

    /// The body of a pool over the world's regions; its origins are named `origin-1`, `origin-2` and so on.
    pub fn pool_of(&self, name: &str, monitor: &str, origins: &[&Origin]) -> Value {
        let origins: Vec<_> = origins
            .iter()
            .enumerate()
            .map(|(index, origin)| {
                json!({ "name": format!("origin-{}", index + 1), "address": origin.address().to_string(), "port": origin.port() })
            })
            .collect();
        json!({ "name": name, "monitor": monitor, "check_regions": self.regions(), "origins": origins })
    }

    /// Starts a worker process for a PoP; a second one of the same PoP is another process.
    pub fn launches_worker(&self, place: Place, token: &str) -> Worker {
        let index = u8::try_from(self.workers.len()).expect("a story has few workers");
        let source = self.net.worker(index);
        let urls: Vec<_> = self.controls.iter().map(Control::grpc_url).collect();
        let launch = Launch::new(&format!("worker-{}-{index}", place.code), &["worker"], self.dir())
            .envs(&self.common)
            .env("QUORATE_DATABASE_URL", "")
            .env("QUORATE_CONTROL_URLS", urls.join(","))
            .env("QUORATE_WORKER_TOKEN", token)
            .env("QUORATE_WORKER_ALLOW_CIDRS", self.net.origins())
            .env("QUORATE_WORKER__SOURCE_ADDRESS", source)
            .env("QUORATE_WORKER__LISTEN", format!("{source}:{WORKER_PORT}"))
            .env("QUORATE_WORKER__DATA_DIR", path_text(&self.dir().join(format!("worker-{}-{index}", place.code))));
        Worker { place, source, token: token.to_owned(), process: launch.start(), launch }
    }

    /// Creates a pool and waits until every origin of it is up with no vote missing.
    pub async fn healthy_pool(&self, body: &Value) -> String {
        let pool = self.operator.creates_pool(body).await;
        self.until_all_up(&pool).await;
        pool
    }

    /// Waits until every origin of a pool is up and every seat has voted so.
    pub async fn until_all_up(&self, pool: &str) {
        until("every seat says up", VERDICT_MAX, async || {
            let view = self.operator.quorum_of(pool).await;
            let origins = view["origins"].as_array().cloned().unwrap_or_default();
            let spotless = |origin: &Value| {
                let evidence = &origin["evidence"];
                let regions = evidence["regions"].as_array().cloned().unwrap_or_default();
                evidence["verdict"] == "up" && regions.iter().all(|region| region["up"] == region["assigned"])
            };
            if !origins.is_empty() && origins.iter().all(spotless) { Ok(()) } else { Err(format!("{view:#}")) }
        })
        .await;
    }

    /// Waits until a pool has `count` events, and gives them, oldest first.
    ///
    /// # Panics
    /// When it has more, or has not as many in time.
    pub async fn until_events(&self, pool: &str, count: usize) -> Vec<Value> {
        let events = until("the pool has its events", VERDICT_MAX, async || {
            let events = self.operator.events_of(pool).await;
            if events.len() >= count { Ok(events) } else { Err(format!("{} events: {events:#?}", events.len())) }
        })
        .await;
        assert_eq!(events.len(), count, "more events than changes: {events:#?}");
        events
    }

    /// The evidence of one origin in the quorum view, once `found` says so.
    pub async fn until_evidence(&self, claim: &str, pool: &str, origin: &str, found: impl Fn(&Value) -> bool) -> Value {
        self.until_origin(claim, pool, origin, |entry| found(&entry["evidence"])).await["evidence"].clone()
    }

    /// One origin in the quorum view, once `found` says so.
    pub async fn until_origin(&self, claim: &str, pool: &str, origin: &str, found: impl Fn(&Value) -> bool) -> Value {
        until(claim, VERDICT_MAX, async || {
            let view = self.operator.quorum_of(pool).await;
            let of_origin = view["origins"].as_array().and_then(|origins| origins.iter().find(|entry| entry["name"] == origin));
            let entry = of_origin.cloned().unwrap_or(Value::Null);
            if found(&entry) { Ok(entry) } else { Err(format!("{entry:#}")) }
        })
        .await
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for process in self.controls.iter().map(|control| &control.process).chain(self.workers.iter().map(|worker| &worker.process)) {
                eprintln!("{}", process.log_tail());
            }
        }
    }
}

impl Control {
    async fn start(index: u8, net: &Net, dir: &Path, common: &[(String, String)]) -> Self {
        let address = net.control(index);
        let launch = Launch::new(&format!("control-{index}"), &["control"], dir)
            .envs(common)
            .env("QUORATE_CONTROL__LISTEN", format!("{address}:{REST_PORT}"))
            .env("QUORATE_CONTROL__GRPC_LISTEN", format!("{address}:{GRPC_PORT}"));
        let mut control = Self { process: launch.start(), launch, address };
        control.is_ready().await;
        control
    }

    pub fn url(&self) -> String {
        format!("http://{}:{REST_PORT}", self.address)
    }

    /// Base of the REST API.
    pub fn api_url(&self) -> String {
        format!("{}/client/v4", self.url())
    }

    pub fn grpc_url(&self) -> String {
        format!("https://{}:{GRPC_PORT}", self.address)
    }

    pub async fn is_ready(&mut self) {
        let url = format!("{}/readyz", self.url());
        self.process.ready(&url, START_MAX).await;
    }

    /// Starts it again, with the same configuration, after it was killed or stopped.
    pub async fn starts_again(&mut self) {
        self.process = self.launch.start();
        self.is_ready().await;
    }
}

impl Worker {
    fn health_url(&self, path: &str) -> String {
        format!("http://{}:{WORKER_PORT}{path}", self.source)
    }

    pub async fn is_ready(&mut self) {
        let url = self.health_url("/readyz");
        self.process.ready(&url, START_MAX).await;
    }

    /// Status and text of its `/readyz`; the error where it does not answer.
    pub async fn readiness(&self) -> Result<(u16, String), String> {
        let answer = crate::operator::http_client().get(self.health_url("/readyz")).send().await.map_err(|error| format!("{error:?}"))?;
        let status = answer.status().as_u16();
        Ok((status, answer.text().await.map_err(|error| format!("{error:?}"))?))
    }

    pub async fn starts_again(&mut self) {
        self.process = self.launch.start();
        self.is_ready().await;
    }
}

async fn new_operator(control: &Control, account: &str, zone: &str, dir: &Path, common: &[(String, String)]) -> Operator {
    let admin = async |args: &[&str]| printed_value(&Launch::new("admin", args, dir).envs(common).run().await.succeeded());
    let account = admin(&["account", "create", account, "--minimum-monitor-interval", "1"]).await;
    let zone = admin(&["zone", "create", zone, "--account", &account]).await;
    let token = admin(&["token", "create", "operator", "--account", &account, "--scope", "admin"]).await;
    Operator::new(&control.api_url(), &token, &account, &zone)
}

async fn worker_tokens(places: &[Place], dir: &Path, common: &[(String, String)]) -> Vec<String> {
    let mut runs = JoinSet::new();
    for (index, place) in places.iter().enumerate() {
        let args = ["worker-token", "create", place.code, "--region", place.region, "--city", place.city, "--country", place.country];
        let launch = Launch::new("admin", &args, dir).envs(common);
        runs.spawn(async move { (index, printed_value(&launch.run().await.succeeded())) });
    }
    let mut tokens = runs.join_all().await;
    tokens.sort_by_key(|(index, _)| *index);
    tokens.into_iter().map(|(_, token)| token).collect()
}

/// The last word of what a create command printed: the id or the secret.
fn printed_value(text: &str) -> String {
    text.split_whitespace().last().unwrap_or_else(|| panic!("nothing printed")).to_owned()
}

fn path_text(path: &Path) -> String {
    PathBuf::from(path).into_os_string().into_string().expect("temporary folders have names in UTF-8")
}

/// Counts answers by what they should be: for stories about many requests.
pub fn statuses(answers: &[Answer]) -> Vec<u16> {
    answers.iter().map(|answer| answer.status).collect()
}
