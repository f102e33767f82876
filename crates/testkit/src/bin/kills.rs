//! Kills origins and measures how long the committed event takes: `cargo xtask bench kills`.
//!
//! Workers in three regions, one or three in each, one replica and its database, each a process of its
//! own. Pools of one origin each live and die in parallel, each at its own random moments. A killed origin
//! resets every connection, so that it knows when it gave each failing answer; the answer that
//! completed a majority of the majorities is the deciding one. From there to the event is our own part;
//! what is before it is the interval, and chance.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use quorate_testkit::operator::every_second;
use quorate_testkit::origins::{Behaviour, Contact, Origin};
use quorate_testkit::postgres::scalar;
use quorate_testkit::until::until;
use quorate_testkit::world::{Plan, VERDICT_MAX, World};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sqlx::postgres::PgConnection;
use sqlx::{Row, raw_sql};
use tokio::sync::watch;
use tokio::task::JoinSet;

const KILLS_DEFAULT: usize = 300;
const POOLS_DEFAULT: usize = 5;
const WORKERS_DEFAULT: usize = 9;
/// How often the committed events are looked for; the error of each measurement.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// Event ids that may be in flight at once; far more than there are pools.
const LOOK_BACK: i64 = 100;

/// One kill.
struct Kill {
    /// From the kill to the first sight of the committed event.
    whole: Duration,
    /// From the deciding answer to the first sight of the committed event.
    own: Duration,
}

/// When a pool's events were first seen committed, oldest first.
type Seen = HashMap<String, Vec<Instant>>;

#[tokio::main]
async fn main() {
    let argument = |index: usize, default: usize| {
        std::env::args()
            .nth(index)
            .map_or(default, |text| text.parse().expect("the arguments are numbers: of kills, of pools, and of workers"))
    };
    let (kills, pools) = (argument(1, KILLS_DEFAULT), argument(2, POOLS_DEFAULT).max(1));
    let plan = if argument(3, WORKERS_DEFAULT) == 3 { Plan::small() } else { Plan::nine() };
    let world = plan.default_timings().build().await;
    let monitor = world.operator.creates_monitor(&every_second()).await;

    let (tell, seen) = watch::channel(Seen::new());
    let mut watching = JoinSet::new();
    watching.spawn(watch_events(world.database.admin().await, tell));

    let mut lanes = Vec::new();
    for lane in 0..pools {
        let origin = world.origin().await;
        let pool = world.healthy_pool(&world.pool_of(&format!("lane-{lane}"), &monitor, &[&origin])).await;
        let count = kills / pools + usize::from(lane < kills % pools);
        lanes.push(run_lane(&world, pool, origin, seen.clone(), lane, count));
    }
    let results: Vec<Kill> = join_all(lanes).await.into_iter().flatten().collect();
    watching.abort_all();

    println!("{}", report(&results, pools, world.workers.len()));
    println!("{}", spent(&world).await);
    println!("{}", memory(&world));
    let mut admin = world.database.admin().await;
    let doubled: i64 = scalar(&mut admin, "select count(*) - count(distinct (check_id, verdict_seq)) from health_event").await;
    println!("events told twice: {doubled}");
}

async fn run_lane(world: &World, pool: String, origin: Origin, seen: watch::Receiver<Seen>, lane: usize, kills: usize) -> Vec<Kill> {
    let mut random = StdRng::seed_from_u64(lane as u64);
    let mut results = Vec::with_capacity(kills);
    let mut events = 1;
    nth_event(&seen, &pool, events).await;
    for _ in 0..kills {
        // So that a kill falls anywhere between two probes.
        tokio::time::sleep(Duration::from_millis(random.random_range(0..1_000))).await;
        let before = origin.contact_count();
        let killed = Instant::now();
        origin.behaves(Behaviour::Reset);
        events += 1;
        let committed = nth_event(&seen, &pool, events).await;
        let decided = deciding(world, &origin.contacts_after(before)).expect("an event follows from a majority of failing answers");
        results.push(Kill { whole: committed - killed, own: committed.saturating_duration_since(decided) });
        origin.behaves(Behaviour::Healthy);
        events += 1;
        nth_event(&seen, &pool, events).await;
        world.until_all_up(&pool).await;
    }
    results
}

/// When the `count`th event of a pool was first seen.
async fn nth_event(seen: &watch::Receiver<Seen>, pool: &str, count: usize) -> Instant {
    until(&format!("pool {pool} has {count} events"), VERDICT_MAX, async || {
        let seen = seen.borrow();
        let of_pool = seen.get(pool).map_or(&[][..], Vec::as_slice);
        of_pool.get(count - 1).copied().ok_or_else(|| format!("{} events", of_pool.len()))
    })
    .await
}

/// The instant of the answer with which a majority of a majority of the regions had failed.
fn deciding(world: &World, contacts: &[Contact]) -> Option<Instant> {
    let regions = world.regions();
    let a_majority_of = |region: &str| world.workers.iter().filter(|worker| worker.place.region == region).count() / 2 + 1;
    let mut failed: HashMap<&str, Vec<_>> = HashMap::new();
    for contact in contacts.iter().filter(|contact| contact.behaviour.fails_a_plain_check()) {
        let worker = world.workers.iter().find(|worker| worker.source == contact.from)?;
        let of_region = failed.entry(worker.place.region).or_default();
        if !of_region.contains(&contact.from) {
            of_region.push(contact.from);
        }
        if failed.iter().filter(|(region, workers)| workers.len() >= a_majority_of(region)).count() > regions.len() / 2 {
            return Some(contact.at);
        }
    }
    None
}

/// Looks for events as they become visible to others, which is when they are committed.
async fn watch_events(mut session: PgConnection, tell: watch::Sender<Seen>) {
    let mut told = HashSet::new();
    let mut last: i64 = 0;
    let mut looks = tokio::time::interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        // Ids are given before the commit, so one that is committed late may be lower: look back a little.
        let from = last - LOOK_BACK;
        let statement = format!("select event_id, encode(pool_id, 'hex') from health_event where event_id > {from} order by event_id");
        let rows = sqlx::Executor::fetch_all(&mut session, raw_sql(sqlx::AssertSqlSafe(statement))).await.expect("the database answers");
        let now = Instant::now();
        let found = rows.iter().map(|row| (row.get::<i64, _>(0), row.get::<String, _>(1)));
        let new: Vec<_> = found.filter(|(id, _)| told.insert(*id)).collect();
        last = new.iter().map(|(id, _)| *id).fold(last, i64::max);
        if !new.is_empty() {
            tell.send_modify(|seen| new.into_iter().for_each(|(_, pool)| seen.entry(pool).or_default().push(now)));
        }
    }
}

fn report(results: &[Kill], pools: usize, workers: usize) -> String {
    let mut text = format!("{} kills of {pools} origins in parallel, {workers} workers\n", results.len());
    for (name, part) in [("kill to event", (|kill| kill.whole) as fn(&Kill) -> Duration), ("own part", |kill| kill.own)] {
        let mut times: Vec<_> = results.iter().map(part).collect();
        times.sort_unstable();
        let at = |percent: usize| times[(times.len() * percent).div_ceil(100).clamp(1, times.len()) - 1];
        writeln!(text, "{name:>14}: p50 {:.1?}  p90 {:.1?}  p99 {:.1?}  max {:.1?}", at(50), at(90), at(99), at(100))
            .expect("a string takes text");
    }
    text
}

/// What control's own histograms say of the way from a vote to its verdict: the bound below which half of them, and nearly all, were.
async fn spent(world: &World) -> String {
    let url = format!("{}/metrics", world.controls[0].url());
    let metrics = reqwest::get(&url).await.and_then(reqwest::Response::error_for_status).expect("control answers");
    let metrics = metrics.text().await.expect("metrics are text");
    let mut text = String::from("in control, by its histograms\n");
    for (name, metric) in [("vote to verdict", "quorate_verdict_seconds"), ("commit", "quorate_commit_seconds")] {
        let prefix = format!("{metric}_bucket{{le=\"");
        let bounds: Vec<(&str, f64)> = metrics
            .lines()
            .filter_map(|line| line.strip_prefix(&prefix)?.split_once("\"} "))
            .map(|(bound, count)| (bound, count.parse().expect("a count")))
            .collect();
        let total = bounds.last().expect("it was measured").1;
        let within = |share: f64| bounds.iter().find(|(_, count)| *count >= share * total).expect("the last holds all").0;
        writeln!(text, "{name:>16}: p50 within {} s, p90 within {} s, p99 within {} s", within(0.5), within(0.9), within(0.99))
            .expect("a string takes text");
    }
    text
}

fn memory(world: &World) -> String {
    let mut text = String::from("resident memory\n");
    let controls = world.controls.iter().map(|control| &control.process);
    for process in controls.chain(world.workers.iter().map(|worker| &worker.process)) {
        let kib = process.resident_kib();
        writeln!(text, "{:>16}: {}.{} MiB", process.name(), kib / 1024, kib % 1024 * 10 / 1024).expect("a string takes text");
    }
    text
}
