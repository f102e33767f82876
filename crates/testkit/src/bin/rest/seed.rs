//! What is in the database: the account that is asked for, with 20 pools and a million events, among a thousand others.

use jiff::{SignedDuration, Timestamp};
use quorate_core::time::{Clock as _, SystemClock};
use quorate_store::Db;
use quorate_store::events;
use quorate_testkit::postgres::scalar;
use quorate_testkit::world::World;
use serde_json::{Value, json};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Executor};

use crate::spent;

const POOLS: usize = 20;
const ORIGINS: usize = 5;
const OTHER_ACCOUNTS: u32 = 999;
/// Over which the events lie, as many as are kept by default.
const DAYS: i64 = 90;
/// Regions with the codes of their PoPs, in the evidence of every event.
const REGIONS: [(&str, [&str; 3]); 3] = [("WEU", ["lhr", "fra", "cdg"]), ("ENAM", ["ewr", "iad", "yyz"]), ("SEAS", ["sin", "cgk", "bkk"])];

/// What can be asked for.
#[derive(Debug)]
pub(crate) struct Seeded {
    pub(crate) pools: Vec<String>,
    pub(crate) postmaster: i32,
    events: i64,
    size: String,
    now: Timestamp,
}

impl Seeded {
    /// An instant for a query string.
    pub(crate) fn days_ago(&self, days: i64) -> String {
        (self.now - SignedDuration::from_hours(24 * days)).to_string()
    }

    pub(crate) fn told(&self) -> String {
        let Self { events, size, .. } = self;
        format!("{events} events of one account in {size}; {} accounts of {POOLS} pools", OTHER_ACCOUNTS + 1)
    }
}

pub(crate) async fn seed(world: &World, events: u32) -> Seeded {
    let account = &world.operator.account;
    world.runs(&["account", "set", account, "--pools", "10000", "--origins", "100000"]).await.succeeded();
    let mut pools = Vec::new();
    for pool in 0..POOLS {
        let origins: Vec<Value> =
            (0..ORIGINS).map(|origin| json!({"name": format!("origin-{origin}"), "address": format!("192.0.2.{}", origin + 1)})).collect();
        let regions: Vec<&str> = REGIONS.iter().map(|(region, _)| *region).collect();
        pools.push(
            world.operator.creates_pool(&json!({"name": format!("pool-{pool}"), "check_regions": regions, "origins": origins})).await,
        );
    }
    let mut admin = world.database.admin().await;
    others(&mut admin, account).await;
    past_days(&mut admin).await;
    bodies(&mut admin, &pools).await;
    write_events(&mut admin, account, events).await;
    housekeeping(world).await;
    admin.execute("vacuum (analyze)").await.expect("the administrator may");
    let backend: i32 = scalar(&mut admin, "select pg_backend_pid()").await;
    Seeded {
        pools,
        postmaster: spent::parent_of(backend),
        events: scalar(&mut admin, "select count(*) from health_event").await,
        size: scalar(
            &mut admin,
            "select pg_size_pretty(sum(pg_total_relation_size(inhrelid))) from pg_inherits where inhparent = 'health_event'::regclass",
        )
        .await,
        now: SystemClock.now(),
    }
}

/// Copies of the account, so that no index is of one page.
async fn others(admin: &mut PgConnection, account: &str) {
    let copies = format!(
        r"
        create function pg_temp.other(id bytea, number integer) returns bytea language sql immutable
            return decode(md5(id::text || number), 'hex');
        insert into account
        select (a).* from (
            select jsonb_populate_record(a, jsonb_build_object('account_id', pg_temp.other(a.account_id, n), 'name', 'other-' || n)) as a
            from account as a, generate_series(1, {OTHER_ACCOUNTS}) as n where a.account_id = '\x{account}'
        ) as copy;
        insert into pool
        select (p).* from (
            select jsonb_populate_record(p, jsonb_build_object(
                'account_id', pg_temp.other(p.account_id, n), 'pool_id', pg_temp.other(p.pool_id, n)
            )) as p
            from pool as p, generate_series(1, {OTHER_ACCOUNTS}) as n where p.account_id = '\x{account}'
        ) as copy;
        insert into origin
        select (o).* from (
            select jsonb_populate_record(o, jsonb_build_object(
                'account_id', pg_temp.other(o.account_id, n), 'pool_id', pg_temp.other(o.pool_id, n), 'check_id', pg_temp.other(o.check_id, n)
            )) as o
            from origin as o, generate_series(1, {OTHER_ACCOUNTS}) as n where o.account_id = '\x{account}'
        ) as copy;
        "
    );
    admin.execute(AssertSqlSafe(copies)).await.expect("an account can be copied");
}

/// The days before today, as the housekeeping of those days would have made them.
async fn past_days(admin: &mut PgConnection) {
    let days = format!(
        r"
        do $$
        declare
            day date;
            name text;
        begin
            for day in select (now() at time zone 'UTC')::date - n from generate_series(1, {DAYS}) as n loop
                name := format('health_event_%s', to_char(day, 'YYYYMMDD'));
                execute format('create table %I (like health_event including all)', name);
                execute format(
                    'alter table health_event attach partition %I for values from (%L) to (%L)',
                    name, day::timestamp at time zone 'UTC', (day + 1)::timestamp at time zone 'UTC'
                );
                execute format('alter table %I owner to quorate_owner', name);
            end loop;
        end
        $$
        "
    );
    admin.execute(AssertSqlSafe(days)).await.expect("days can be made");
}

/// The body of each event that there can be, once: of each origin of each pool, up and down.
async fn bodies(admin: &mut PgConnection, pools: &[String]) {
    admin
        .execute("create temp table possible (pool integer, origin integer, up boolean, pool_id bytea, body json)")
        .await
        .expect("temporary tables are everybody's");
    for (number, pool) in pools.iter().enumerate() {
        for origin in 0..ORIGINS {
            for up in [true, false] {
                let body = body(pool, number, origin, up).to_string().replace('\'', "''");
                let insert = format!("insert into possible values ({number}, {origin}, {up}, '\\x{pool}', '{body}')");
                admin.execute(AssertSqlSafe(insert)).await.expect("the table is ours");
            }
        }
    }
}

/// As the product writes it when nine PoPs in three regions agree.
fn body(pool: &str, number: usize, changed: usize, up: bool) -> Value {
    let (reason, code) = if up { ("No failures", "none") } else { ("HTTP timeout occurred", "http_timeout") };
    let vote = if up { "up" } else { "down" };
    let said = |pop: &str| {
        let failed = |text: &str| if up { Value::Null } else { json!(text) };
        json!({
            "pop": "Singapore, SG", "pop_code": pop, "vote": vote, "failure_reason": failed(reason), "failure_code": failed(code),
            "response_code": if up { json!(200) } else { Value::Null }, "rtt": "12.1ms", "age_ms": 170
        })
    };
    let region = |(region, pops): &(&str, [&str; 3])| {
        let (ups, downs) = if up { (3, 0) } else { (0, 3) };
        json!({
            "region": region, "verdict": vote, "assigned": 3, "up": ups, "down": downs, "missing": 0,
            "votes": pops.iter().map(|pop| said(pop)).collect::<Vec<_>>()
        })
    };
    let evidence = json!({
        "verdict": vote, "majority": vote, "failure_reason": reason, "failure_code": code, "votes_to_flip": 4, "regions_to_flip": 2,
        "quorum_lost": false, "summary": format!("{vote}: all 3 regions; 4 votes in 2 regions would flip it"),
        "regions": REGIONS.iter().map(region).collect::<Vec<_>>()
    });
    let origin = |index: usize| {
        let address = format!("192.0.2.{}", index + 1);
        let this = index == changed;
        let mut origin = json!({
            "name": format!("origin-{index}"), "address": address, "ip": address, "enabled": true, "healthy": !this || up,
            "failure_reason": if this { reason } else { "No failures" }, "failure_code": if this { code } else { "none" }, "changed": this
        });
        if this {
            origin["evidence"] = evidence.clone();
        }
        origin
    };
    json!({
        "pool": {"id": pool, "name": format!("pool-{number}"), "healthy": true, "changed": false, "minimum_origins": 1},
        "origins": (0..ORIGINS).map(origin).collect::<Vec<_>>()
    })
}

/// Each origin in turn goes down and up again; in one of fifty events the pool is unhealthy. Straight into the table, in
/// one statement: the way of a restored backup, whose rows went through the verdict path once.
async fn write_events(admin: &mut PgConnection, account: &str, events: u32) {
    let checks = POOLS * ORIGINS;
    let write = format!(
        r"
        insert into health_event (
            bucket, event_id, occurred_at, account_id, pool_id, pool_name, pool_healthy, check_id, verdict_seq, origin_name,
            origin_healthy, body, subject
        )
        select p.pool, nextval('health_event_id_seq'), now() - interval '{DAYS} days' * (1 - (i + 1.0) / {events}), '\x{account}', p.pool_id,
            'pool-' || p.pool, (i / 7) % 50 <> 0, decode(md5(p.pool || '-' || p.origin), 'hex'), i / {checks} + 1, 'origin-' || p.origin, p.up, p.body, 'pool'
        from generate_series(0, {events} - 1) as i
        join possible as p on p.pool = i % {checks} / {ORIGINS} and p.origin = i % {ORIGINS} and p.up = ((i / {checks}) % 2 = 1)
        order by i
        "
    );
    admin.execute(AssertSqlSafe(write)).await.expect("events can be written");
}

/// What a control process does each hour.
async fn housekeeping(world: &World) {
    let db = Db::connect(&world.database.service_url).await.expect("the database is there");
    let mut op = db.operator().await.expect("the database is there");
    events::keep_partitions(&mut op, 3, u16::try_from(DAYS).expect("a few")).await.expect("the housekeeping works");
    op.commit().await.expect("the housekeeping works");
    loop {
        let mut op = db.operator().await.expect("the database is there");
        let counted = events::tally(&mut op).await.expect("the housekeeping works");
        op.commit().await.expect("the housekeeping works");
        if counted == 0 {
            break;
        }
    }
    db.close().await;
}
