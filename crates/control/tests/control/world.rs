//! An installation in one process: a store in memory, a registry of nine PoPs, and replicas.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quorate_control::{Control, ControlConfig, Registry};
use quorate_core::evidence::{Ballot, PackedVotes};
use quorate_core::ids::{AccountId, CheckId, MonitorId, PoolId, ReplicaId};
use quorate_core::monitor::MonitorSettings;
use quorate_core::pool::{CheckRegionsSetting, Origin, OriginSettings, Pool, PoolSettings, Weight};
use quorate_core::pop::{Pop, PopNo};
use quorate_core::region::Region;
use quorate_core::timings::Timings;
use quorate_core::vote::VoteState;
use quorate_store::verdicts::{MemoryVerdicts, RecordedEvent};
use quorate_store::worker_tokens::Sighting;
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::worker::{Script, Worker, secret_of};

/// Long enough for a busy machine; what is waited for takes milliseconds.
const LIMIT: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(5);

pub(crate) async fn until<T>(claim: &str, mut look: impl AsyncFnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        let seen = match look().await {
            Ok(found) => return found,
            Err(seen) => seen,
        };
        assert!(Instant::now() < deadline, "not within {LIMIT:?}: {claim}\nlast seen: {seen}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

pub(crate) fn holds(holds: bool, seen: impl Debug) -> Result<(), String> {
    if holds { Ok(()) } else { Err(format!("{seen:#?}")) }
}

/// Everything at a twentieth or less of the product's, but what a test waits for not to happen.
pub(crate) fn timings() -> Timings {
    Timings {
        round_ms: 500,
        delta_ms: 10,
        tick_ms: 20,
        session_lease_ms: 30_000,
        replica_heartbeat_ms: 50,
        replica_dead_ms: 400,
        claim_jitter_ms: 50,
        poll_ms: 25,
        fence_retry_ms: 1_234,
        pop_dead_ms: 60_000,
        quorum_hysteresis_ms: 400,
        votes_behind_ms: 20,
        ..Timings::default()
    }
}

/// Secrets by PoP, in memory; knows what was seen.
#[derive(Clone, Default)]
pub(crate) struct MemoryRegistry(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    by_secret: HashMap<String, Pop>,
    seen: BTreeMap<PopNo, Sighting>,
}

impl MemoryRegistry {
    pub(crate) fn forget(&self, pop: PopNo) {
        self.0.lock().unwrap().by_secret.retain(|_, known| known.no != pop);
    }

    pub(crate) fn seen(&self, pop: PopNo) -> Option<Sighting> {
        self.0.lock().unwrap().seen.get(&pop).cloned()
    }
}

impl Registry for MemoryRegistry {
    async fn authenticate(&self, secret: &str) -> Result<Option<Pop>, quorate_store::Error> {
        Ok(self.0.lock().unwrap().by_secret.get(secret).cloned())
    }

    async fn saw(&self, _: ReplicaId, sighting: &Sighting) -> Result<(), quorate_store::Error> {
        self.0.lock().unwrap().seen.insert(sighting.pop, sighting.clone());
        Ok(())
    }
}

pub(crate) type Replica = Control<MemoryVerdicts, MemoryRegistry>;

pub(crate) struct World {
    pub(crate) store: MemoryVerdicts,
    pub(crate) registry: MemoryRegistry,
    /// WEU 1–3, ENAM 4–6, SEAS 7–9.
    pub(crate) pops: Vec<Pop>,
    pub(crate) timings: Timings,
}

impl World {
    pub(crate) fn new() -> Self {
        let world = Self { store: MemoryVerdicts::default(), registry: MemoryRegistry::default(), pops: Vec::new(), timings: timings() };
        let regions = [Region::Weu, Region::Enam, Region::Seas];
        (1..=9_u16).fold(world, |world, no| world.with_pop(pop(no, regions[usize::from((no - 1) / 3)])))
    }

    pub(crate) fn with_pop(mut self, pop: Pop) -> Self {
        self.store.register_pop(pop.clone());
        self.registry.0.lock().unwrap().by_secret.insert(secret_of(&pop), pop.clone());
        self.pops.push(pop);
        self
    }

    pub(crate) fn pop(&self, no: u16) -> &Pop {
        self.pops.iter().find(|pop| pop.no.0 == no).unwrap()
    }

    pub(crate) async fn control(&self) -> Replica {
        let config = ControlConfig {
            timings: self.timings,
            listener: TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap(),
            tls: None,
            advertise_url: None,
            version: "0.0.0".to_owned(),
            retain_days: 90,
        };
        Control::start_over(config, self.store.clone(), self.registry.clone()).unwrap()
    }

    pub(crate) async fn ready_control(&self) -> Replica {
        let control = self.control().await;
        until("control is ready", async || control.ready()).await;
        control
    }

    /// All nine workers, each with so many checks.
    pub(crate) async fn workers(&self, control: &Replica, checks: usize) -> Vec<Worker> {
        let mut workers = Vec::new();
        for pop in &self.pops {
            let worker = Worker::dials(control.address(), Script::of(pop)).await;
            worker.holds_checks(checks).await;
            workers.push(worker);
        }
        workers
    }

    pub(crate) fn events(&self) -> Vec<RecordedEvent> {
        self.store.events()
    }

    pub(crate) async fn until_events(&self, count: usize) -> Vec<RecordedEvent> {
        until("the events are recorded", async || {
            let events = self.events();
            if events.len() >= count { Ok(events) } else { Err(format!("{events:#?}")) }
        })
        .await
    }

    /// Waits until the stored votes of a check, in the order of its seats, are as scripted: `U`, `D`, `?`, `.` for missing.
    pub(crate) async fn until_votes(&self, check: CheckId, script: &str) {
        until("the votes are stored", async || {
            let votes = self.store.votes_of(check).as_ref().map(word).unwrap_or_default();
            holds(votes == script, votes)
        })
        .await;
    }
}

fn word(votes: &PackedVotes) -> String {
    let mut from = 0;
    let mut words = Vec::new();
    for region in votes.electorate.regions() {
        let seats = region.seats().len();
        let letter = |ballot: &Ballot| match ballot {
            Ballot::Missing => '.',
            Ballot::Cast { state: VoteState::Up, .. } => 'U',
            Ballot::Cast { state: VoteState::Down, .. } => 'D',
            Ballot::Cast { .. } => '?',
        };
        words.push(votes.ballots[from..from + seats].iter().map(letter).collect::<String>());
        from += seats;
    }
    words.join(" ")
}

pub(crate) fn pop(no: u16, region: Region) -> Pop {
    Pop { no: PopNo(no), code: format!("pop-{no}").parse().unwrap(), region, city: format!("City {no}"), country: "GB".to_owned() }
}

pub(crate) fn check_id(pool: u8, origin: u8) -> CheckId {
    let mut id = [pool; 16];
    id[15] = origin;
    CheckId::from_bytes(id)
}

/// A pool over the three regions. Its seats are sorted by number, and so are the regions: ENAM, WEU, SEAS.
pub(crate) fn pool(number: u8, origins: u8) -> Pool {
    let settings = |origin: u8| OriginSettings {
        name: format!("origin-{origin}"),
        address: format!("192.0.2.{origin}"),
        enabled: true,
        weight: Weight::default(),
        host: None,
        port: 80,
        flatten_cname: None,
        virtual_network_id: None,
    };
    let settings: Vec<OriginSettings> = (1..=origins).map(settings).collect();
    Pool {
        id: PoolId::from_bytes([number; 16]),
        account_id: AccountId::from_bytes([1; 16]),
        origins: settings
            .iter()
            .zip(1..)
            .map(|(settings, origin)| Origin {
                check_id: check_id(number, origin),
                config_gen: 1,
                settings: settings.clone(),
                disabled_at: None,
            })
            .collect(),
        settings: PoolSettings {
            name: format!("pool-{number}"),
            description: String::new(),
            enabled: true,
            minimum_origins: 1,
            monitor: Some(monitor_id()),
            monitor_group: None,
            check_regions: CheckRegionsSetting(Some(["WEU", "ENAM", "SEAS"].map(str::to_owned).to_vec())),
            origins: settings,
            latitude: None,
            longitude: None,
            notification_email: String::new(),
            origin_steering: None,
            load_shedding: None,
            notification_filter: None,
            health_sources: None,
        },
        disabled_at: None,
        created_on: jiff::Timestamp::UNIX_EPOCH,
        modified_on: jiff::Timestamp::UNIX_EPOCH,
    }
}

pub(crate) fn monitor_id() -> MonitorId {
    MonitorId::from_bytes([9; 16])
}

/// A world with one pool of one origin, control and nine workers that say up.
pub(crate) async fn nine_say_up() -> (World, Replica, Vec<Worker>) {
    let world = World::new();
    world.store.put_monitor(monitor_id(), MonitorSettings::default());
    world.store.put_pool(pool(1, 1));
    let control = world.ready_control().await;
    let mut workers = world.workers(&control, 1).await;
    for worker in &mut workers {
        worker.says(|_| VoteState::Up).await;
    }
    world.until_events(1).await;
    world.until_votes(check_id(1, 1), "UUU UUU UUU").await;
    (world, control, workers)
}
