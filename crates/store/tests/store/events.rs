//! Events: the list, its filters, and the days they are kept in.

use quorate_core::bucket::Bucket;
use quorate_core::ids::{PoolId, ReplicaId};
use quorate_core::pool::Pool;
use quorate_store::events::{self, EventFilter};
use quorate_store::verdicts::{PgVerdicts, VerdictStore};
use sqlx::{AssertSqlSafe, Executor, Row};

use crate::statement_rules::statements;
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
    let mut tenant = world.db.tenant(&[eu.account_id]).await.unwrap();
    let (all, total) = events::list(&mut tenant, &EventFilter::default(), 0, 100).await.unwrap();
    let pools: Vec<PoolId> = all.iter().map(|event| event.body.pool.id).collect();
    assert_eq!(pools, [us.id, eu.id, us.id, eu.id, us.id, eu.id]);
    assert_eq!(total, 6);
    assert!(all.windows(2).all(|pair| pair[0].occurred_at > pair[1].occurred_at && pair[0].id > pair[1].id));
    let (page, total) = events::list(&mut tenant, &EventFilter::default(), 4, 3).await.unwrap();
    assert_eq!((page.as_slice(), total), (&all[4..], 6));
    let (beyond, total) = events::list(&mut tenant, &EventFilter::default(), u64::MAX, 3).await.unwrap();
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
    let mut tenant = world.db.tenant(&[eu.account_id]).await.unwrap();
    let (all, _) = events::list(&mut tenant, &EventFilter::default(), 0, 100).await.unwrap();
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
        let (found, total) = events::list(&mut tenant, &filter, 0, 100).await.unwrap();
        let expected: Vec<_> = expected.into_iter().map(|index: usize| all[index].clone()).collect();
        assert_eq!(found, expected, "{name}");
        assert_eq!(total, expected.len() as u64, "{name}");
    }
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
                    check_id, verdict_seq, origin_name, origin_healthy, body
                )
                select bucket, event_id, occurred_at, account_id, pool_id, pool_name, pool_healthy,
                    check_id, verdict_seq, origin_name, origin_healthy, body
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
    let mut tenant = world.db.tenant(&[eu.account_id]).await.unwrap();
    let (_, total) = events::list(&mut tenant, &EventFilter::default(), 0, 1).await.unwrap();
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

#[tokio::test]
async fn the_newest_page_of_an_account_is_read_from_its_index() {
    let world = Database::new().await;
    let (eu, _) = six_flips(&world).await;
    let mut admin = world.admin().await;
    admin
        .execute(
            "insert into health_event
             select e.bucket, 1000 + n, e.occurred_at - n * interval '1 millisecond', e.account_id, e.pool_id, e.pool_name, e.pool_healthy,
                e.check_id, e.verdict_seq, e.origin_name, e.origin_healthy, e.body
             from (select * from health_event limit 1) e, generate_series(1, 20000) n",
        )
        .await
        .unwrap();
    admin.execute("analyze health_event").await.unwrap();
    let mut tenant = world.db.tenant(&[eu.account_id]).await.unwrap();
    let (page, total) = events::list(&mut tenant, &EventFilter::default(), 0, 25).await.unwrap();
    assert_eq!((page.len(), total), (25, 20_006));

    // The product's own statement, as the application runs it, under the plan that fits any filter.
    let statement = statements().into_iter().find(|statement| statement.starts_with("select e.event_id as")).expect("the list is there");
    let mut app = world.service().await;
    let account = eu.account_id;
    app.execute(AssertSqlSafe(format!(
        r#"set role quorate_app; set quorate.accounts = '{{"\\x{account}"}}'; set plan_cache_mode = force_generic_plan; prepare page as {statement}"#
    )))
    .await
    .unwrap();
    let page = format!(
        r#"explain (analyze, timing off) execute page('{{"\\x{account}"}}', null, null, null, null, null, null, null, 0, 25, 'pool')"#
    );
    let plan: Vec<String> = app.fetch_all(AssertSqlSafe(page)).await.unwrap().iter().map(|row| row.get(0)).collect();
    let read = plan.iter().filter_map(|line| line.split("(actual rows=").nth(1)?.split(' ').next()?.parse::<f64>().ok());
    let most = read.fold(0.0, f64::max);
    assert!((25.0..=100.0).contains(&most), "a step read {most} rows:\n{}", plan.join("\n"));
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
