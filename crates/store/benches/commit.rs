//! Verdict flips committed per second by one replica: 1,024 buckets with about 98 checks each, every check
//! of a bucket turned in one tick, with an event and its evidence for each.
//!
//! `DATABASE_URL=… cargo bench -p quorate-store --bench commit`, on a server where databases can be made.
//! What the server does to be durable (`fsync`, `synchronous_commit`) is part of the figure, so it is printed.

#![expect(clippy::unwrap_used, reason = "a step that fails ends the measurement")]

#[expect(dead_code, reason = "shared with the tests, which need more of it")]
#[path = "../tests/store/support/database.rs"]
mod database;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use database::Database;
use quorate_core::bucket::Bucket;
use quorate_core::electorate::{Electorate, RegionSeats};
use quorate_core::event::{EventBody, EventOrigin, EventPool};
use quorate_core::evidence::{Ballot, BallotDetail, explain};
use quorate_core::failure::{self, FailureReason};
use quorate_core::ids::ReplicaId;
use quorate_core::monitor::MonitorSettings;
use quorate_core::pool::{CheckRegionsSetting, OriginSettings, PoolSettings, PoolState, Weight};
use quorate_core::pop::{Pop, PopNo};
use quorate_core::quorum::Fence;
use quorate_core::region::Region;
use quorate_core::vote::{Published, Verdict, VoteState};
use quorate_store::accounts::{self, Limits};
use quorate_store::verdicts::{BucketConfig, CheckChange, NewEvent, PgVerdicts, PoolChange, PoolConfig, Replica, Tick, VerdictStore};
use quorate_store::{monitors, pools};
use sqlx::{Executor, Row};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

const ACCOUNTS: usize = 112;
const POOLS_PER_ACCOUNT: usize = 128;
const ORIGINS_PER_POOL: usize = 7;
/// Each round turns every check once.
const ROUNDS: usize = 2;
const DEAD_AFTER: Duration = Duration::from_hours(1);

fn main() {
    // Test runners list and start benches too; only `cargo bench` means it.
    if std::env::args().any(|argument| argument == "--bench") {
        tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(measure());
    }
}

async fn measure() {
    let world = Database::new().await;
    let mut admin = world.admin().await;
    for setting in ["server_version", "fsync", "synchronous_commit", "full_page_writes"] {
        let row = admin.fetch_one(sqlx::AssertSqlSafe(format!("show {setting}"))).await.unwrap();
        println!("{setting} = {}", row.get::<String, _>(0));
    }
    let started = Instant::now();
    fill(&world).await;
    println!("made {} pools in {:.1?}", ACCOUNTS * POOLS_PER_ACCOUNT, started.elapsed());
    admin.execute("vacuum analyze").await.unwrap();

    let store = PgVerdicts::new(world.db.clone());
    let me = Replica { id: ReplicaId::random(&mut rand::rng()), url: String::new(), version: String::new() };
    store.heartbeat(&me, 0, DEAD_AFTER).await.unwrap();
    let all: Vec<Bucket> = Bucket::all().collect();
    let started = Instant::now();
    let fences: HashMap<Bucket, Fence> =
        store.claim(me.id, &all, DEAD_AFTER).await.unwrap().into_iter().map(|row| (row.bucket, row.fence)).collect();
    println!("claimed {} buckets in {:.1?}", fences.len(), started.elapsed());
    let started = Instant::now();
    let buckets = store.load(&all).await.unwrap();
    let checks: usize = buckets.iter().flat_map(|bucket| &bucket.pools).map(|pool| pool.checks.len()).sum();
    println!("loaded {checks} checks in {:.1?}", started.elapsed());

    let buckets: Vec<Arc<Mutex<BucketConfig>>> = buckets.into_iter().map(|bucket| Arc::new(Mutex::new(bucket))).collect();
    for committers in [1, 4] {
        let started = Instant::now();
        let mut tasks = JoinSet::new();
        for committer in 0..committers {
            let (store, fences, id) = (store.clone(), fences.clone(), me.id);
            let mine: Vec<_> = buckets.iter().skip(committer).step_by(committers).cloned().collect();
            tasks.spawn(async move {
                let mut took = Vec::new();
                for _ in 0..ROUNDS {
                    for bucket in &mine {
                        let mut bucket = bucket.lock().await;
                        let started = Instant::now();
                        let tick = turn(id, fences[&bucket.bucket], &mut bucket);
                        store.commit(&tick).await.unwrap();
                        took.push(started.elapsed());
                    }
                }
                took
            });
        }
        let mut took: Vec<Duration> = tasks.join_all().await.into_iter().flatten().collect();
        let elapsed = started.elapsed();
        took.sort_unstable();
        let at = |share: usize| took[(took.len() - 1) * share / 100];
        let flips = f64::from(u32::try_from(checks * ROUNDS).unwrap());
        println!(
            "{committers} committers: {:.0} flips/s ({} ticks of about {} in {elapsed:.1?}; a tick: p50 {:.1?}, p99 {:.1?})",
            flips / elapsed.as_secs_f64(),
            took.len(),
            checks / buckets.len(),
            at(50),
            at(99),
        );
    }
    let row = admin.fetch_one("select count(*), pg_size_pretty(sum(pg_column_size(body))) from health_event").await.unwrap();
    println!("events recorded: {}, their bodies {}", row.get::<i64, _>(0), row.get::<String, _>(1));
}

async fn fill(world: &Database) {
    let limits = Limits {
        load_balancers: 0,
        pools: u32::MAX,
        origins: u32::MAX,
        monitors: 1,
        healthchecks: 0,
        max_origins_per_pool: u32::MAX,
        minimum_monitor_interval: 1,
    };
    for _ in 0..ACCOUNTS {
        let mut op = world.db.operator().await.unwrap();
        let account = accounts::create(&mut op, "bench", limits).await.unwrap().id;
        op.commit().await.unwrap();
        let mut tenant = world.db.tenant(&[account]).await.unwrap();
        let monitor = monitors::create(&mut tenant, account, &MonitorSettings::default()).await.unwrap().id;
        for pool in 0..POOLS_PER_ACCOUNT {
            let origin = |number: usize| OriginSettings {
                name: format!("origin-{number}"),
                address: format!("192.0.2.{number}"),
                enabled: true,
                weight: Weight::default(),
                host: None,
                port: 0,
                flatten_cname: None,
                virtual_network_id: None,
            };
            let settings = PoolSettings {
                name: format!("pool-{pool}"),
                description: String::new(),
                enabled: true,
                minimum_origins: 1,
                monitor: Some(monitor),
                monitor_group: None,
                check_regions: CheckRegionsSetting(Some(vec!["WEU".to_owned()])),
                origins: (1..=ORIGINS_PER_POOL).map(origin).collect(),
                latitude: None,
                longitude: None,
                notification_email: String::new(),
                origin_steering: None,
                load_shedding: None,
                notification_filter: None,
                health_sources: None,
            };
            pools::create(&mut tenant, account, &settings).await.unwrap();
        }
        tenant.commit().await.unwrap();
    }
}

/// The tick that turns every check of a bucket, and what the owner remembers of it.
fn turn(replica: ReplicaId, fence: Fence, bucket: &mut BucketConfig) -> Tick {
    let mut tick = Tick { bucket: bucket.bucket, replica, fence, checks: vec![], pools: vec![], events: vec![] };
    for config in &mut bucket.pools {
        turn_pool(config, &mut tick);
    }
    tick
}

fn turn_pool(config: &mut PoolConfig, tick: &mut Tick) {
    let up = config.checks[0].verdict != Published::Up;
    let (verdict, state) = if up { (Verdict::Up, PoolState::Healthy) } else { (Verdict::Down, PoolState::Critical) };
    let reason = (!up).then_some(FailureReason::HttpTimeout);
    let pool = &config.pool;
    tick.pools.push(PoolChange { account_id: pool.account_id, pool_id: pool.id, expected_seq: config.state_seq, state });
    config.state = state;
    config.state_seq += 1;
    for index in 0..config.checks.len() {
        let check = &mut config.checks[index];
        tick.checks.push(CheckChange {
            account_id: pool.account_id,
            check_id: check.check_id,
            config_gen: check.config_gen,
            expected_seq: check.verdict_seq,
            verdict,
            reason,
            response_code: None,
        });
        check.verdict = verdict.into();
        check.verdict_seq += 1;
        tick.events.push(NewEvent {
            account_id: pool.account_id,
            pool_id: pool.id,
            check_id: Some(check.check_id),
            body: body(config, index, up, reason),
        });
    }
}

fn body(config: &PoolConfig, changed: usize, up: bool, reason: Option<FailureReason>) -> EventBody {
    let pool = &config.pool;
    let origins = pool.origins.iter().enumerate().map(|(index, origin)| EventOrigin {
        name: origin.settings.name.clone(),
        address: origin.settings.address.clone(),
        ip: origin.settings.address.clone(),
        enabled: true,
        healthy: Some(up),
        failure_reason: failure::text_of(reason).to_owned(),
        failure_code: failure::code_of(reason).to_owned(),
        response_code: None,
        changed: index == changed,
        monitors: Vec::new(),
        evidence: (index == changed).then(|| evidence(up, reason)),
    });
    EventBody {
        subject: config.subject,
        pool: EventPool { id: pool.id, name: pool.settings.name.clone(), healthy: Some(up), changed: changed == 0, minimum_origins: 1 },
        origins: origins.collect(),
    }
}

/// Nine PoPs in three regions agree.
fn evidence(up: bool, reason: Option<FailureReason>) -> quorate_core::evidence::Evidence {
    let regions = [Region::Weu, Region::Enam, Region::Seas];
    let seats = |region: usize| (0..3).map(|seat| PopNo(u16::try_from(3 * region + seat).unwrap())).collect::<Vec<_>>();
    let electorate = Electorate::new((0..3).map(|region| RegionSeats::new(Some(regions[region]), seats(region))).collect());
    let state = if up { VoteState::Up } else { VoteState::Down };
    let ballot = Ballot::Cast { state, detail: Some(BallotDetail { reason, response_code: None, rtt_us: Some(12_100) }), age_ms: 170 };
    let pops: Vec<Pop> = (0..9)
        .map(|no| Pop {
            no: PopNo(no),
            code: format!("p{no}").parse().unwrap(),
            region: regions[usize::from(no / 3)],
            city: "Singapore".to_owned(),
            country: "SG".to_owned(),
        })
        .collect();
    let published = if up { Published::Up } else { Published::Down };
    explain(published, &electorate, &[ballot; 9], |no| pops.get(usize::from(no.0)))
}
