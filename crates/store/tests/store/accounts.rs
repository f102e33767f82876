//! Accounts, zones, and what accounts may have.

use quorate_core::monitor::MonitorSettings;
use quorate_store::accounts::{self, Limits, Usage};
use quorate_store::zones::{ZONES_MAX, ZoneKind};
use quorate_store::{Error, load_balancers, monitors, pools, zones};
use sqlx::{AssertSqlSafe, Executor};
use tokio::task::JoinSet;

use crate::support::{self, Database, LIMITS};

#[tokio::test]
async fn an_account_is_read_back_as_created_and_changed() {
    let world = Database::new().await;
    let created = support::account(&world.db).await;
    let mut op = world.db.operator().await.unwrap();
    assert_eq!(accounts::list_all(&mut op).await.unwrap(), std::slice::from_ref(&created));
    let limits = Limits { pools: 7, minimum_monitor_interval: 1, ..LIMITS };
    let changed = accounts::update(&mut op, created.id, Some(limits), Some(false)).await.unwrap().expect("it exists");
    assert_eq!((changed.limits, changed.load_balancing_enabled), (limits, false));
    let unchanged = accounts::update(&mut op, created.id, None, None).await.unwrap().expect("it exists");
    assert_eq!(unchanged, changed);
    assert_eq!(accounts::update(&mut op, quorate_core::ids::AccountId::from_bytes([1; 16]), None, None).await.unwrap(), None);
}

#[tokio::test]
async fn fifty_creates_at_one_below_the_limit_admit_exactly_one() {
    let world = Database::new().await;
    let account = support::account_with(&world.db, Limits { monitors: 4, ..LIMITS }).await;
    for _ in 0..3 {
        support::monitor(&world.db, account.id).await;
    }
    let mut attempts = JoinSet::new();
    for _ in 0..50 {
        let (db, id) = (world.db.clone(), account.id);
        attempts.spawn(async move {
            let mut tenant = db.tenant(&[id]).await?;
            monitors::create(&mut tenant, id, &MonitorSettings::default()).await?;
            tenant.commit().await
        });
    }
    let (mut admitted, mut refused) = (0, 0);
    while let Some(attempt) = attempts.join_next().await {
        match attempt.unwrap() {
            Ok(()) => admitted += 1,
            Err(Error::QuotaExceeded { resource: "monitors", limit: 4, count: 4 }) => refused += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!((admitted, refused), (1, 49));
}

#[tokio::test]
async fn each_quota_is_told_with_its_limit_and_count() {
    let world = Database::new().await;
    let limits = Limits { load_balancers: 1, pools: 2, origins: 3, ..LIMITS };
    let account = support::account_with(&world.db, limits).await.id;
    let zone = support::zone(&world.db, account, "example.com").await.id;
    let monitor = support::monitor(&world.db, account).await;
    let settings = |name, origins| support::pool_settings(name, Some(monitor), origins);
    let first = support::create_pool(&world.db, account, &settings("a", 2)).await;

    let quota = |result: Result<(), Error>| match result.unwrap_err() {
        Error::QuotaExceeded { resource, limit, count } => (resource, limit, count),
        other => panic!("{other:?}"),
    };
    let mut tenant = world.db.tenant(&[account]).await.unwrap();
    let two_more = pools::create(&mut tenant, account, &settings("b", 2)).await.map(drop);
    assert_eq!(quota(two_more), ("origins", 3, 2));
    let longer = pools::replace(&mut tenant, account, first.id, &settings("a", 4)).await.map(drop);
    assert_eq!(quota(longer), ("origins", 3, 2));
    pools::create(&mut tenant, account, &settings("b", 1)).await.unwrap();
    let third = pools::create(&mut tenant, account, &settings("c", 0)).await.map(drop);
    assert_eq!(quota(third), ("pools", 2, 2));
    load_balancers::create(&mut tenant, account, Some(zone), &support::load_balancer_settings("www.example.com", first.id)).await.unwrap();
    let second = load_balancers::create(&mut tenant, account, Some(zone), &support::load_balancer_settings("api.example.com", first.id))
        .await
        .map(drop);
    assert_eq!(quota(second), ("load balancers", 1, 1));
    let usage = accounts::usage(&mut tenant, account).await.unwrap();
    assert_eq!(usage, Usage { load_balancers: 1, pools: 2, origins: 3, monitors: 1, healthchecks: 0 });
}

#[tokio::test]
async fn above_its_limit_a_pool_may_shrink_and_change_but_not_grow() {
    let world = Database::new().await;
    let account = support::account(&world.db).await.id;
    let pool = support::pool(&world.db, account, "a", 4).await;
    let mut op = world.db.operator().await.unwrap();
    accounts::update(&mut op, account, Some(Limits { origins: 2, ..LIMITS }), None).await.unwrap();
    op.commit().await.unwrap();
    let mut settings = pool.settings.clone();
    settings.origins.pop();
    let pool = support::replace_pool(&world.db, account, pool.id, &settings).await;
    assert_eq!(pool.origins.len(), 3);
    settings.origins.push(support::origin("new", "192.0.2.9"));
    let mut tenant = world.db.tenant(&[account]).await.unwrap();
    let grown = pools::replace(&mut tenant, account, pool.id, &settings).await;
    assert!(matches!(grown, Err(Error::QuotaExceeded { resource: "origins", limit: 2, count: 3 })), "{grown:?}");
}

#[tokio::test]
async fn a_zone_is_unique_in_its_account_and_guarded_by_its_load_balancers() {
    let world = Database::new().await;
    let (one, two) = (support::account(&world.db).await.id, support::account(&world.db).await.id);
    let zone = support::zone(&world.db, one, "example.com").await;
    support::zone(&world.db, two, "example.com").await;
    let pool = support::pool(&world.db, one, "a", 1).await;

    let mut op = world.db.operator().await.unwrap();
    assert_eq!(zones::list_all(&mut op).await.unwrap().len(), 2);
    let taken = zones::create(&mut op, one, "example.com").await;
    assert!(matches!(taken, Err(Error::NotUnique { field: "name" })), "{taken:?}");
    drop(op);

    let mut tenant = world.db.tenant(&[one]).await.unwrap();
    let settings = support::load_balancer_settings("www.example.com", pool.id);
    let load_balancer = load_balancers::create(&mut tenant, one, Some(zone.id), &settings).await.unwrap();
    tenant.commit().await.unwrap();

    let mut op = world.db.operator().await.unwrap();
    let Err(Error::Referenced { referrers }) = zones::delete(&mut op, zone.id).await else { panic!("the zone is in use") };
    assert_eq!(
        referrers.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [format!(r#"load_balancer "www.example.com" ({}) in zone"#, load_balancer.id)]
    );
    let off = zones::set_load_balancing(&mut op, zone.id, false).await.unwrap().expect("it exists");
    assert!(!off.load_balancing_enabled && off.modified_on > zone.modified_on);
    op.commit().await.unwrap();

    let mut tenant = world.db.tenant(&[one]).await.unwrap();
    assert!(load_balancers::delete(&mut tenant, one, Some(zone.id), load_balancer.id).await.unwrap());
    tenant.commit().await.unwrap();
    let mut op = world.db.operator().await.unwrap();
    assert!(zones::delete(&mut op, zone.id).await.unwrap());
    assert!(!zones::delete(&mut op, zone.id).await.unwrap());
}

#[tokio::test]
async fn requests_make_zones_up_to_a_number_and_the_operator_beyond() {
    let world = Database::new().await;
    let account = support::account(&world.db).await.id;
    let many = format!(
        r"insert into zone (account_id, zone_id, name)
          select '\x{account}', decode(md5(n::text), 'hex'), 'z' || n || '.example' from generate_series(2, {ZONES_MAX}) as n"
    );
    world.admin().await.execute(AssertSqlSafe(many)).await.unwrap();
    let mut tenant = world.db.tenant(&[account]).await.unwrap();
    let last = zones::create_in(&world.db, &mut tenant, account, "last.example", ZoneKind::Internal).await.unwrap();
    assert_eq!((last.kind, last.load_balancing_enabled), (ZoneKind::Internal, true));
    let refused = zones::create_in(&world.db, &mut tenant, account, "more.example", ZoneKind::Full).await;
    assert!(matches!(refused, Err(Error::QuotaExceeded { resource: "zones", limit: ZONES_MAX, count: ZONES_MAX })), "{refused:?}");
    assert!(zones::delete_in(&mut tenant, last.id).await.unwrap());
    zones::create_in(&world.db, &mut tenant, account, "more.example", ZoneKind::Full).await.unwrap();
    tenant.commit().await.unwrap();
    let mut op = world.db.operator().await.unwrap();
    zones::create(&mut op, account, "operators.example").await.unwrap();
}

#[tokio::test]
async fn a_request_cannot_reach_into_the_zones_of_another_account_and_the_operator_can() {
    let world = Database::new().await;
    let (mine, other) = (support::account(&world.db).await.id, support::account(&world.db).await.id);
    support::zone(&world.db, other, "shop.example.com").await;
    support::zone(&world.db, mine, "example.net").await;
    let mut tenant = world.db.tenant(&[mine]).await.unwrap();
    for name in ["shop.example.com", "www.shop.example.com", "example.com"] {
        let refused = zones::create_in(&world.db, &mut tenant, mine, name, ZoneKind::Full).await;
        assert!(matches!(&refused, Err(Error::TakenElsewhere { name: told }) if told == name), "{name}: {refused:?}");
    }
    // A name that only ends alike is another one, and within one's own zones everything goes.
    for name in ["bigshop.example.com", "op.example.com", "www.example.net"] {
        zones::create_in(&world.db, &mut tenant, mine, name, ZoneKind::Full).await.unwrap();
    }
    tenant.commit().await.unwrap();
    support::zone(&world.db, mine, "shop.example.com").await;
}

#[tokio::test]
async fn of_two_accounts_that_ask_for_one_name_at_once_one_gets_it() {
    let world = Database::new().await;
    let accounts = [support::account(&world.db).await.id, support::account(&world.db).await.id];
    let asked = (0..20).map(|number| {
        let (db, account) = (&world.db, accounts[number % 2]);
        async move {
            let mut tenant = db.tenant(&[account]).await?;
            zones::create_in(db, &mut tenant, account, "example.com", ZoneKind::Full).await?;
            tenant.commit().await
        }
    });
    let made = futures_util::future::join_all(asked).await.into_iter().flatten().count();
    assert_eq!(made, 1);
}
