//! One story over a real Postgres: `DATABASE_URL` names a server to make a database on.

use std::str::FromStr as _;
use std::time::Duration;

use quorate_control::{Control, ControlConfig};
use quorate_core::monitor::MonitorSettings;
use quorate_core::region::Region;
use quorate_core::vote::VoteState;
use quorate_store::accounts::{self, Limits};
use quorate_store::events::{self, EventFilter};
use quorate_store::tokens::Pepper;
use quorate_store::worker_tokens::{self, NewPop};
use quorate_store::{Db, health, monitors, pools, schema};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _};
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::worker::{Script, Worker};
use crate::world::{holds, pool, timings, until};

pub(crate) const PEPPER: Pepper = Pepper([7; 32]);
pub(crate) const LIMITS: Limits = Limits {
    load_balancers: 5,
    pools: 5,
    origins: 20,
    monitors: 5,
    healthchecks: 20,
    max_origins_per_pool: 5,
    minimum_monitor_interval: 1,
};

/// A migrated database, dropped by [`Database::drop`].
pub(crate) struct Database {
    server: PgConnectOptions,
    name: String,
    pub(crate) db: Db,
}

impl Database {
    pub(crate) async fn new() -> Self {
        let url = std::env::var("DATABASE_URL").expect("DATABASE_URL names a server to make databases on; `cargo xtask test` sets it");
        let server = PgConnectOptions::from_str(&url).unwrap();
        let name = format!("quorate_control_{:032x}", rand::random::<u128>());
        let mut conn = server.connect().await.unwrap();
        conn.execute(AssertSqlSafe(format!("create database {name}"))).await.unwrap();
        conn.close().await.unwrap();
        let url = server.clone().database(&name).to_url_lossy();
        schema::migrate(url.as_str(), None).await.unwrap();
        let db = Db::connect(&schema::service_url(url.as_str(), None).unwrap()).await.unwrap();
        Self { server, name, db }
    }

    pub(crate) async fn drop(self) {
        self.db.close().await;
        let mut conn = self.server.connect().await.unwrap();
        conn.execute(AssertSqlSafe(format!("drop database {} with (force)", self.name))).await.unwrap();
        conn.close().await.unwrap();
    }
}

/// A ready replica over it.
pub(crate) async fn control_over(db: &Db, poll_ms: u32) -> Control {
    let config = ControlConfig {
        timings: quorate_core::timings::Timings { poll_ms, ..timings() },
        listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
        tls: None,
        advertise_url: None,
        version: "0.0.0".to_owned(),
        retain_days: 90,
    };
    let control = Control::start(config, db.clone(), PEPPER).unwrap();
    until("control is ready", async || control.ready()).await;
    control
}

#[tokio::test(flavor = "multi_thread")]
async fn an_origin_dies_and_heals_over_postgres_and_a_change_is_announced() {
    let database = Database::new().await;
    let db = &database.db;
    let mut op = db.operator().await.unwrap();
    let account = accounts::create(&mut op, "shop", LIMITS).await.unwrap().id;
    let mut scripts = Vec::new();
    for (number, region) in (1..).zip([Region::Weu, Region::Enam, Region::Seas]) {
        let new = NewPop { code: format!("pop-{number}").parse().unwrap(), region, city: "City".to_owned(), country: "GB".to_owned() };
        let (pop, secret) = worker_tokens::create(&mut op, &PEPPER, new).await.unwrap();
        scripts.push(Script { secret, ..Script::of(&pop) });
    }
    op.commit().await.unwrap();

    // The product's own poll, so that only the announcement can be quick.
    let control = control_over(db, 60_000).await;
    let mut workers = Vec::new();
    for script in scripts {
        workers.push(Worker::dials(control.address(), script).await);
    }

    let mut tenant = db.tenant(&[account]).await.unwrap();
    let monitor =
        monitors::create(&mut tenant, account, &MonitorSettings { interval: 1, timeout: 1, ..MonitorSettings::default() }).await.unwrap();
    let mut settings = pool(1, 1).settings;
    settings.monitor = Some(monitor.id);
    let created = pools::create(&mut tenant, account, &settings).await.unwrap();
    tenant.commit().await.unwrap();
    let check = created.origins[0].check_id;
    let announced = Instant::now();
    for worker in &mut workers {
        worker.holds_checks(1).await;
        worker.says(|_| VoteState::Up).await;
    }
    assert!(announced.elapsed() < Duration::from_secs(3), "{:?}", announced.elapsed());

    let events = async || events::list(&db.reader(&[account]), &EventFilter::default(), 0, 100).await.unwrap().0;
    let until_events =
        async |count: usize| until("the event is recorded", async || holds(events().await.len() == count, events().await)).await;
    until_events(1).await;

    let mut latencies = Vec::new();
    let mut state = VoteState::Down;
    for count in 2..22 {
        // Past the minimum spacing, so that the bucket is idle.
        tokio::time::sleep(Duration::from_millis(u64::from(timings().tick_ms) + 5)).await;
        let changed = Instant::now();
        for worker in &mut workers {
            worker.changes(check, state).await;
        }
        loop {
            let mut op = db.operator().await.unwrap();
            let found = events::after(&mut op, 0, 100).await.unwrap().len();
            if found >= count {
                break;
            }
            assert!(changed.elapsed() < Duration::from_secs(10), "{found} events of {count}");
        }
        latencies.push(changed.elapsed());
        state = if state == VoteState::Down { VoteState::Up } else { VoteState::Down };
    }
    latencies.sort_unstable();
    println!("from the changed vote to the event seen: median {:?}, maximum {:?}", latencies[10], latencies[19]);
    until_events(21).await;
    let newest = &events().await[0];
    assert_eq!((newest.body.pool.healthy, newest.body.origins[0].changed), (Some(true), true));

    until("the votes behind the verdict are stored", async || {
        let mut tenant = db.tenant(&[account]).await.unwrap();
        let found = health::of_pool(&mut tenant, account, created.id).await.unwrap().unwrap();
        holds(found.checks[0].votes.as_ref().is_some_and(|votes| votes.ballots.len() == 3), found)
    })
    .await;
    let mut op = db.operator().await.unwrap();
    let seen = worker_tokens::list(&mut op).await.unwrap();
    assert!(seen.iter().all(|pop| pop.connected == Some(true)), "{seen:?}");
    drop(op);

    control.stop().await;
    database.drop().await;
}
