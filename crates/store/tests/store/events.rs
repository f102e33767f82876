//! Events: the list, its filters, and the days they are kept in.

use quorate_core::bucket::Bucket;
use quorate_core::ids::{PoolId, ReplicaId};
use quorate_core::pool::Pool;
use quorate_store::events::{self, EventFilter};
use quorate_store::verdicts::{PgVerdicts, VerdictStore};
use sqlx::{AssertSqlSafe, Executor, Row};

use crate::support::{self, Database};
use crate::verdicts::{flip, own};

/// Three flips of each of two pools, one after another: eu up, us up, eu down, us down, eu up, us up.
async fn six_flips(world: &Database) -> (Pool, Pool) {
    let account = support::account(&world.db).await.id;
    let (eu, us) = (support::pool(&world.db, account, "eu", 2).await, support::pool(&world.db, account, "us", 1).await);
    let store = PgVerdicts::new(world.db.clone());
    let me = ReplicaId::random(&mut rand::rng());
    own(&store, me).await;
    for _ in 0..3 {
        for pool in [&eu, &us] {
            flip(&store, me, pool.id, 0).await;
        }
    }
    (eu, us)
}

#[tokio::test]
async fn events_are_listed_newest_first_with_a_true_total() {
    let world = Database::new().await;
    let (eu, us) = six_flips(&world).await;
    let reader = world.db.reader(&[eu.account_id]);
    let (all, total) = events::list(&reader, &EventFilter::default(), 0, 100).await.unwrap();
    let pools: Vec<PoolId> = all.iter().map(|event| event.body.pool.id).collect();
    assert_eq!(pools, [us.id, eu.id, us.id, eu.id, us.id, eu.id]);
    assert_eq!(total, 6);
    assert!(all.windows(2).all(|pair| pair[0].occurred_at > pair[1].occurred_at && pair[0].id > pair[1].id));
    let (page, total) = events::list(&reader, &EventFilter::default(), 4, 3).await.unwrap();
    assert_eq!((page.as_slice(), total), (&all[4..], 6));
    let (beyond, total) = events::list(&reader, &EventFilter::default(), u64::MAX, 3).await.unwrap();
    assert_eq!((beyond.len(), total), (0, 6));

    let mut op = world.db.operator().await.unwrap();
    let after = events::after(&mut op, all[3].id, 2).await.unwrap();
    assert_eq!(after, [all[2].clone(), all[1].clone()]);
    assert_eq!(events::newest_id(&mut op).await.unwrap(), all[0].id);
}

#[tokio::test]
async fn each_filter_keeps_what_it_names_and_an_absent_one_hides_nothing() {
    let world = Database::new().await;
    let (eu, us) = six_flips(&world).await;
    let reader = world.db.reader(&[eu.account_id]);
    let (all, _) = events::list(&reader, &EventFilter::default(), 0, 100).await.unwrap();
    let cases = [
        ("pool id", EventFilter { pool_id: Some(us.id), ..EventFilter::default() }, vec![0, 2, 4]),
        ("pool name", EventFilter { pool_name: Some("eu".to_owned()), ..EventFilter::default() }, vec![1, 3, 5]),
        ("pool down", EventFilter { pool_healthy: Some(false), ..EventFilter::default() }, vec![2, 3]),
        ("pool up", EventFilter { pool_healthy: Some(true), ..EventFilter::default() }, vec![0, 1, 4, 5]),
        ("origin down", EventFilter { origin_healthy: Some(false), ..EventFilter::default() }, vec![2, 3]),
        ("the changed origin", EventFilter { origin_name: Some("origin-1".to_owned()), ..EventFilter::default() }, vec![0, 1, 2, 3, 4, 5]),
        ("not the changed origin", EventFilter { origin_name: Some("origin-2".to_owned()), ..EventFilter::default() }, vec![]),
        ("since, inclusive", EventFilter { since: Some(all[2].occurred_at), ..EventFilter::default() }, vec![0, 1, 2]),
        ("until, exclusive", EventFilter { until: Some(all[2].occurred_at), ..EventFilter::default() }, vec![3, 4, 5]),
        (
            "all at once",
            EventFilter {
                subject: quorate_core::event::Subject::Pool,
                since: Some(all[4].occurred_at),
                until: Some(all[0].occurred_at),
                pool_id: Some(us.id),
                pool_name: Some("us".to_owned()),
                pool_healthy: Some(false),
                origin_name: Some("origin-1".to_owned()),
                origin_healthy: Some(false),
            },
            vec![2],
        ),
    ];
    for (name, filter, expected) in cases {
        let (found, total) = events::list(&reader, &filter, 0, 100).await.unwrap();
        let expected: Vec<_> = expected.into_iter().map(|index: usize| all[index].clone()).collect();
        assert_eq!(found, expected, "{name}");
        assert_eq!(total, expected.len() as u64, "{name}");
    }
}

#[tokio::test]
async fn a_replica_of_the_version_before_commits_and_its_event_is_listed() {
    let world = Database::new().await;
    let (eu, _) = six_flips(&world).await;
    // The call with bodies as `jsonb`; here with one event, of the pool and of no check.
    let call = format!(
        r"select c.event_ids
          from bucket_owner as b
          cross join (select body from health_event where pool_id = '\x{pool}' order by event_id desc limit 1) as e
          cross join lateral commit_verdicts(
              b.bucket, b.owner, b.epoch, b.config_seq, '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}',
              array['\x{account}'::bytea], array['\x{pool}'::bytea], array['eu'], array[true], array[null::bytea], array[null::bigint],
              array[null::text], array[null::boolean], array[e.body::jsonb]
          ) as c
          where b.bucket = {bucket}",
        pool = eu.id,
        account = eu.account_id,
        bucket = Bucket::of(eu.id).number(),
    );
    let committed: Vec<i64> = world.admin().await.fetch_one(AssertSqlSafe(call)).await.unwrap().get(0);
    let (all, total) = events::list(&world.db.reader(&[eu.account_id]), &EventFilter::default(), 0, 100).await.unwrap();
    assert_eq!((total, all[0].id), (7, u64::try_from(committed[0]).unwrap()));
    let before = all.iter().skip(1).find(|event| event.body.pool.id == eu.id).expect("it was copied");
    assert_eq!(all[0].body, before.body);
}

#[tokio::test]
async fn days_are_made_ahead_and_old_ones_dropped_once_however_many_ask() {
    let world = Database::new().await;
    let (eu, _) = six_flips(&world).await;
    let mut admin = world.admin().await;
    // A day nobody made a partition for in time, and one that is too old.
    admin
        .execute(
            r"
            do $$
            declare
                today text := to_char(now() at time zone 'UTC', 'YYYYMMDD');
                old date := (now() at time zone 'UTC')::date - 91;
            begin
                execute format('create table caught as select * from health_event_%s', today);
                execute format('drop table health_event_%s', today);
                insert into health_event (
                    bucket, event_id, occurred_at, account_id, pool_id, pool_name, pool_healthy,
                    check_id, verdict_seq, origin_name, origin_healthy, body, subject
                )
                select bucket, event_id, occurred_at, account_id, pool_id, pool_name, pool_healthy,
                    check_id, verdict_seq, origin_name, origin_healthy, body, subject
                from caught;
                execute format(
                    'create table health_event_%s partition of health_event for values from (%L) to (%L)',
                    to_char(old, 'YYYYMMDD'), old, old + 1
                );
                execute format('alter table health_event_%s owner to quorate_owner', to_char(old, 'YYYYMMDD'));
            end
            $$",
        )
        .await
        .unwrap();
    assert_eq!(world.number("select count(*) from health_event_default").await, 6);

    let keep = async || {
        let mut op = world.db.operator().await.unwrap();
        let done = events::keep_partitions(&mut op, 5, 90).await.unwrap();
        op.commit().await.unwrap();
        done
    };
    let results = tokio::join!(keep(), keep(), keep());
    let results = [results.0, results.1, results.2];
    // Migrating made today and three days ahead; today was dropped above.
    let sum = results.iter().fold((0, 0), |sum, done| (sum.0 + done.0, sum.1 + done.1));
    assert_eq!(sum, (3, 1), "{results:?}");
    assert_eq!(keep().await, (0, 0));
    assert_eq!(world.number("select count(*) from health_event_default").await, 0, "what was caught is in its day now");
    let reader = world.db.reader(&[eu.account_id]);
    let (_, total) = events::list(&reader, &EventFilter::default(), 0, 1).await.unwrap();
    assert_eq!(total, 6);
}

#[tokio::test]
async fn what_the_default_partition_caught_goes_with_its_day() {
    let world = Database::new().await;
    six_flips(&world).await;
    let mut admin = world.admin().await;
    // Two of the six as if the clock had been wrong: one too old to be kept, one old and kept.
    let redate = "update health_event set occurred_at = now() - interval '1 day' * (case verdict_seq when 1 then 92 else 80 end)
        where event_id in (select event_id from health_event order by event_id limit 3) and verdict_seq <= 2";
    admin.execute(redate).await.unwrap();
    assert_eq!(world.number("select count(*) from health_event_default").await, 3);
    let mut op = world.db.operator().await.unwrap();
    events::keep_partitions(&mut op, 3, 90).await.unwrap();
    op.commit().await.unwrap();
    assert_eq!(world.number("select count(*) from health_event_default").await, 1);
    assert_eq!(world.number("select count(*) from health_event").await, 4);
}

/// One pass of the housekeeping; answers the days that it counted.
async fn one_tally(world: &Database) -> u32 {
    let mut op = world.db.operator().await.unwrap();
    let counted = events::tally(&mut op).await.unwrap();
    op.commit().await.unwrap();
    counted
}

/// Counts everything that has happened by now; answers the days. Transactions of others on the server can hold it back.
pub(crate) async fn tally(world: &Database) -> u32 {
    let now = world.number("select (extract(epoch from clock_timestamp()) * 1000000)::bigint").await;
    let counted_until = "select (extract(epoch from tallied_until) * 1000000)::bigint from event_tally_end";
    let mut days = 0;
    for _ in 0..2_000 {
        days += one_tally(world).await;
        if world.number(counted_until).await >= now {
            return days;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("a transaction holds the count back");
}

/// Copies an event of a pool `count` times, a minute apart, the newest `days` ago.
async fn copies(world: &Database, pool: &Pool, count: u32, days: u32) {
    let copy = format!(
        r"insert into health_event (
              bucket, event_id, occurred_at, account_id, pool_id, pool_name, pool_healthy, check_id, verdict_seq, origin_name,
              origin_healthy, body, subject
          )
          select e.bucket, nextval('health_event_id_seq'), now() - interval '{days} days' - n * interval '1 minute', e.account_id, e.pool_id,
              e.pool_name, e.pool_healthy, e.check_id, e.verdict_seq, e.origin_name, e.origin_healthy, e.body, e.subject
          from (select * from health_event where pool_id = '\x{}' limit 1) as e, generate_series(1, {count}) as n",
        pool.id
    );
    world.admin().await.execute(AssertSqlSafe(copy)).await.unwrap();
}

#[tokio::test]
async fn the_total_is_true_whatever_part_of_it_was_counted_before() {
    let world = Database::new().await;
    let (eu, us) = six_flips(&world).await;
    // Over some ten days; and into days that were counted already, as where a clock was set back.
    copies(&world, &eu, 5_000, 1).await;
    copies(&world, &us, 5_000, 3).await;
    let all = EventFilter::default;
    let at = |expression: &'static str| {
        let world = &world;
        async move {
            let micros = world.number(&format!("select (extract(epoch from {expression}) * 1000000)::bigint")).await;
            jiff::Timestamp::from_microsecond(micros).unwrap()
        }
    };
    let (midnight, week) = (at("date_trunc('day', now(), 'UTC') - interval '2 days'").await, at("now() - interval '7 days'").await);
    let (hour, tomorrow) = (at("now() - interval '1 hour'").await, at("now() + interval '1 day'").await);
    let filters = [
        all(),
        EventFilter { pool_id: Some(us.id), ..all() },
        EventFilter { pool_name: Some("eu".to_owned()), ..all() },
        EventFilter { origin_healthy: Some(false), ..all() },
        EventFilter { pool_healthy: Some(true), origin_healthy: Some(true), ..all() },
        EventFilter { origin_name: Some("origin-1".to_owned()), pool_healthy: Some(true), ..all() },
    ];
    let periods = [
        (None, None),
        (Some(week), None),
        (None, Some(week)),
        (Some(week), Some(midnight)),
        (Some(midnight), None),
        (None, Some(midnight)),
        (Some(hour), None),
        (Some(hour), Some(tomorrow)),
        (Some(week), Some(week)),
        (Some(midnight), Some(week)),
    ];
    let reader = world.db.reader(&[eu.account_id]);
    let told = async || {
        let mut told = Vec::new();
        for filter in &filters {
            for (since, until) in periods {
                let filter = EventFilter { since, until, ..filter.clone() };
                let (page, total) = events::list(&reader, &filter, 0, 1000).await.unwrap();
                assert_eq!(page.len() as u64, total.min(1000), "{filter:?}");
                let (further, _) = events::list(&reader, &filter, 300, 50).await.unwrap();
                assert!(further.iter().map(|event| event.id).eq(page.iter().skip(300).take(50).map(|event| event.id)), "{filter:?}");
                told.push(total);
            }
        }
        told
    };
    let listed = async || {
        let mut listed = Vec::new();
        for filter in &filters {
            for (since, until) in periods {
                let micros = |at: Option<jiff::Timestamp>| at.map_or_else(|| "null".to_owned(), |at| format!("'{at}'"));
                let text = |name: &Option<String>| name.as_ref().map_or_else(|| "null".to_owned(), |name| format!("'{name}'"));
                let flag = |flag: Option<bool>| flag.map_or_else(|| "null".to_owned(), |flag| flag.to_string());
                let id = filter.pool_id.map_or_else(|| "null".to_owned(), |id| format!(r"'\x{id}'"));
                let count = format!(
                    "select count(*) from health_event where occurred_at >= coalesce({}, '-infinity'::timestamptz)
                         and occurred_at < coalesce({}, 'infinity'::timestamptz) and pool_id = coalesce({id}, pool_id)
                         and pool_name = coalesce({}, pool_name) and origin_name = coalesce({}, origin_name)
                         and pool_healthy = coalesce({}, pool_healthy) and origin_healthy = coalesce({}, origin_healthy)",
                    micros(since),
                    micros(until),
                    text(&filter.pool_name),
                    text(&filter.origin_name),
                    flag(filter.pool_healthy),
                    flag(filter.origin_healthy)
                );
                listed.push(u64::try_from(world.number(&count).await).unwrap());
            }
        }
        listed
    };
    let truth = listed().await;
    assert_eq!(truth[0], 10_006);
    assert!(tally(&world).await >= 7, "the days of the past, and today");
    assert_eq!(
        world.number("select sum(events)::bigint from event_day").await,
        world.number("select sum(events)::bigint from event_tally").await
    );
    assert_eq!(told().await, truth, "all but the last moment was counted");
    copies(&world, &us, 700, 2).await;
    copies(&world, &eu, 3, 0).await;
    let truth = listed().await;
    assert_eq!(truth[0], 10_709);
    tally(&world).await;
    assert_eq!(told().await, truth, "late ones were counted anew");
}

#[tokio::test]
async fn events_are_not_counted_while_one_before_them_may_still_appear() {
    let world = Database::new().await;
    let (eu, _) = six_flips(&world).await;
    let mut verdict = world.admin().await;
    // A verdict that has taken its time and is not committed.
    verdict.execute("begin; select from bucket_owner limit 1 for share; select clock_timestamp(); select txid_current()").await.unwrap();
    for _ in 0..5 {
        one_tally(&world).await;
    }
    let counted = "select coalesce(sum(events), 0)::bigint from event_day";
    assert_eq!(world.number(counted).await, 0, "the transaction that is under way holds the count back");
    verdict.execute("rollback").await.unwrap();
    tally(&world).await;
    assert_eq!(world.number(counted).await, 6);
    let (_, total) = events::list(&world.db.reader(&[eu.account_id]), &EventFilter::default(), 0, 1).await.unwrap();
    assert_eq!(total, 6);
}

/// Rows of events that were read since the database was made, from the tables and from their indexes.
const ROWS_READ: &str = "select coalesce(sum(idx_tup_read), 0)::bigint
        + (select coalesce(sum(seq_tup_read), 0)::bigint from pg_stat_user_tables where relname like 'health_event%')
    from pg_stat_user_indexes where relname like 'health_event%'";

/// Waits until every session but the caller's is gone; what they read is told by then.
async fn alone(world: &Database) {
    let others = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";
    for _ in 0..1_000 {
        if world.number(others).await == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("a session stays");
}

#[tokio::test]
async fn a_page_and_its_total_read_what_the_page_holds_and_not_what_the_log_holds() {
    let world = Database::new().await;
    let (eu, us) = six_flips(&world).await;
    copies(&world, &eu, 20_000, 1).await;
    tally(&world).await;
    world.admin().await.execute("analyze").await.unwrap();
    world.db.close().await;
    alone(&world).await;
    let cases = [
        ("all", EventFilter::default(), 20_006),
        ("a pool", EventFilter { pool_id: Some(us.id), ..EventFilter::default() }, 3),
        ("a pool's name", EventFilter { pool_name: Some("us".to_owned()), ..EventFilter::default() }, 3),
        ("an origin", EventFilter { origin_name: Some("nobody".to_owned()), ..EventFilter::default() }, 0),
    ];
    for (name, filter, expected) in cases {
        let before = world.number(ROWS_READ).await;
        let db = quorate_store::Db::connect(&quorate_store::schema::service_url(&world.admin_url(), None).unwrap()).await.unwrap();
        let (page, total) = events::list(&db.reader(&[eu.account_id]), &filter, 0, 25).await.unwrap();
        assert_eq!((page.len() as u64, total), (expected.min(25), expected), "{name}");
        db.close().await;
        alone(&world).await;
        let read = world.number(ROWS_READ).await - before;
        assert!((i64::try_from(expected.min(25)).unwrap()..200).contains(&read), "{name}: {read} rows were read");
    }
}

#[tokio::test]
async fn an_event_is_queued_only_for_who_subscribed() {
    let world = Database::new().await;
    let account = support::account(&world.db).await.id;
    let pool = support::pool(&world.db, account, "eu", 1).await;
    let other = support::account(&world.db).await.id;
    let store = PgVerdicts::new(world.db.clone());
    let me = ReplicaId::random(&mut rand::rng());
    own(&store, me).await;
    flip(&store, me, pool.id, 0).await;
    assert_eq!(world.number("select count(*) from outbox").await, 0);
    let subscribe = format!(
        "insert into event_subscription (subscription_id, account_id) values
            ('\\x01010101010101010101010101010101', '\\x{account}'), ('\\x02020202020202020202020202020202', '\\x{other}')"
    );
    world.admin().await.execute(AssertSqlSafe(subscribe)).await.unwrap();
    flip(&store, me, pool.id, 0).await;
    assert_eq!(world.number("select count(*) from outbox").await, 1);
    let matching = "select count(*) from outbox join health_event using (bucket, event_id, account_id, check_id, verdict_seq)
        where verdict_seq = 2";
    assert_eq!(world.number(matching).await, 1);
    assert_eq!(store.load(&[Bucket::of(pool.id)]).await.unwrap()[0].pools[0].checks[0].verdict_seq, 2);
}
