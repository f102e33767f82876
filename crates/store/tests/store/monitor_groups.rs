//! Monitor groups, and what a change of one, or of a member's monitor, does to the checks under it.

use quorate_core::bucket::Bucket;
use quorate_core::ids::{AccountId, MonitorGroupId, MonitorId};
use quorate_core::monitor::MonitorSettings;
use quorate_core::monitor_group::{MemberSettings, MonitorGroup, MonitorGroupSettings, Monitoring};
use quorate_core::pool::{Pool, PoolSettings, PoolState};
use quorate_store::verdicts::{PgVerdicts, PoolConfig, VerdictStore};
use quorate_store::{Db, Error, monitor_groups, monitors};

use crate::support::{self, Database};

fn member(monitor: MonitorId) -> MemberSettings {
    MemberSettings { monitor, enabled: true, monitoring_only: false, must_be_healthy: false }
}

fn group(description: &str, members: &[MemberSettings]) -> MonitorGroupSettings {
    MonitorGroupSettings { description: description.to_owned(), members: members.to_vec() }
}

async fn create(db: &Db, account: AccountId, settings: &MonitorGroupSettings) -> MonitorGroup {
    let mut tenant = db.tenant(&[account]).await.unwrap();
    let group = monitor_groups::create(&mut tenant, account, settings).await.unwrap();
    tenant.commit().await.unwrap();
    group
}

async fn replace(db: &Db, account: AccountId, id: MonitorGroupId, settings: &MonitorGroupSettings) -> MonitorGroup {
    let mut tenant = db.tenant(&[account]).await.unwrap();
    let group = monitor_groups::replace(&mut tenant, account, id, settings).await.unwrap().expect("the group exists");
    tenant.commit().await.unwrap();
    group
}

async fn pool_under(db: &Db, account: AccountId, name: &str, group: MonitorGroupId) -> Pool {
    let settings = PoolSettings { monitor_group: Some(group), ..support::pool_settings(name, None, 2) };
    support::create_pool(db, account, &settings).await
}

async fn published(db: &Db, pool: &Pool) -> (u64, PoolConfig) {
    let bucket = PgVerdicts::new(db.clone()).load(&[Bucket::of(pool.id)]).await.unwrap().remove(0);
    let config = bucket.pools.into_iter().find(|config| config.pool.id == pool.id).expect("it is in its bucket");
    (bucket.config_seq, config)
}

#[tokio::test]
async fn a_group_is_read_back_as_written_and_its_owner_knows_the_enabled_members() {
    let world = Database::new().await;
    let account = support::account(&world.db).await.id;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(support::monitor(&world.db, account).await);
    }
    let members = [
        MemberSettings { must_be_healthy: true, ..member(ids[2]) },
        MemberSettings { enabled: false, ..member(ids[0]) },
        MemberSettings { monitoring_only: true, ..member(ids[1]) },
    ];
    let settings = group("shop", &members);
    let created = create(&world.db, account, &settings).await;
    let mut tenant = world.db.tenant(&[account]).await.unwrap();
    assert_eq!(monitor_groups::find(&mut tenant, account, created.id).await.unwrap().as_ref(), Some(&created));
    assert_eq!(created.settings(), settings);
    let same = monitor_groups::replace(&mut tenant, account, created.id, &settings).await.unwrap();
    assert_eq!(same.as_ref(), Some(&created), "an equal replacement changes nothing");
    drop(tenant);

    let pool = pool_under(&world.db, account, "eu", created.id).await;
    let (_, config) = published(&world.db, &pool).await;
    assert_eq!((&config.pool, config.state), (&pool, PoolState::Unknown));
    let expected = settings.voices().into_iter().map(|voice| (voice, MonitorSettings::default())).collect();
    assert_eq!(config.monitoring, Monitoring::Group(expected));
}

/// What changes, and whether the votes start anew.
type Case = (&'static str, fn(&mut MonitorGroupSettings), bool);

#[tokio::test]
async fn what_a_change_of_a_group_does_to_the_checks_under_it() {
    let world = Database::new().await;
    let account = support::account(&world.db).await.id;
    let (one, two) = (support::monitor(&world.db, account).await, support::monitor(&world.db, account).await);
    let cases: [Case; 7] = [
        ("description", |group| group.description = "new".to_owned(), false),
        ("order", |group| group.members.reverse(), false),
        ("a disabled member that is gone", |group| group.members.truncate(1), false),
        ("a disabled member's part", |group| group.members[1].must_be_healthy = true, false),
        ("an enabled member's part", |group| group.members[0].must_be_healthy = true, true),
        ("only watching", |group| group.members[0].monitoring_only = true, true),
        ("a member that is enabled", |group| group.members[1].enabled = true, true),
    ];
    for (name, change, renewed) in cases {
        let mut settings = group("shop", &[member(one), MemberSettings { enabled: false, ..member(two) }]);
        let made = create(&world.db, account, &settings).await;
        let pool = pool_under(&world.db, account, &name.replace([' ', '\''], "-"), made.id).await;
        let (before, _) = published(&world.db, &pool).await;
        change(&mut settings);
        let changed = replace(&world.db, account, made.id, &settings).await;
        assert!(changed.modified_on > made.modified_on && changed.settings() == settings, "{name}");
        let (after, config) = published(&world.db, &pool).await;
        let generations: Vec<(u64, u64)> =
            config.pool.origins.iter().zip(&config.checks).map(|(origin, check)| (origin.config_gen, check.config_gen)).collect();
        let expected = 1 + u64::from(renewed);
        assert_eq!(generations, [(expected, expected); 2], "{name}");
        assert_eq!(after > before, renewed, "{name}");
    }
}

#[tokio::test]
async fn a_monitor_renews_the_checks_of_the_groups_in_which_it_is_enabled() {
    let world = Database::new().await;
    let account = support::account(&world.db).await.id;
    let (one, two) = (support::monitor(&world.db, account).await, support::monitor(&world.db, account).await);
    let enabled = create(&world.db, account, &group("a", &[member(two), member(one)])).await;
    let disabled = create(&world.db, account, &group("b", &[member(two), MemberSettings { enabled: false, ..member(one) }])).await;
    let pools = [pool_under(&world.db, account, "a", enabled.id).await, pool_under(&world.db, account, "b", disabled.id).await];
    let mut tenant = world.db.tenant(&[account]).await.unwrap();
    let changed = MonitorSettings { path: "/new".to_owned(), ..MonitorSettings::default() };
    monitors::replace(&mut tenant, account, one, &changed).await.unwrap();
    tenant.commit().await.unwrap();
    for (pool, generation) in pools.iter().zip([2, 1]) {
        let (_, config) = published(&world.db, pool).await;
        let found: Vec<u64> = config.checks.iter().map(|check| check.config_gen).collect();
        assert_eq!(found, [generation; 2], "{}", pool.settings.name);
    }
}

#[tokio::test]
async fn a_pool_that_changes_to_a_group_or_to_another_one_starts_anew() {
    let world = Database::new().await;
    let account = support::account(&world.db).await.id;
    let monitor = support::monitor(&world.db, account).await;
    let groups = [
        create(&world.db, account, &group("a", &[member(monitor)])).await,
        create(&world.db, account, &group("b", &[member(monitor)])).await,
    ];
    let pool = support::create_pool(&world.db, account, &support::pool_settings("eu", Some(monitor), 1)).await;
    let mut settings = pool.settings;
    for (step, group) in (2..).zip([Some(groups[0].id), Some(groups[1].id), None]) {
        (settings.monitor, settings.monitor_group) = (None, group);
        let replaced = support::replace_pool(&world.db, account, pool.id, &settings).await;
        assert_eq!(replaced.origins[0].config_gen, step);
    }
}

#[tokio::test]
async fn members_and_groups_that_are_not_there_or_in_use_are_told() {
    let world = Database::new().await;
    let account = support::account(&world.db).await.id;
    let monitor = support::monitor(&world.db, account).await;
    let absent = MonitorId::from_bytes([9; 16]);
    let mut tenant = world.db.tenant(&[account]).await.unwrap();
    let missing = monitor_groups::create(&mut tenant, account, &group("", &[member(monitor), member(absent)])).await;
    assert!(matches!(missing, Err(Error::MissingMembers { missing }) if missing == [(1, absent)]));
    drop(tenant);

    let made = create(&world.db, account, &group("shop", &[member(monitor)])).await;
    let pool = pool_under(&world.db, account, "eu", made.id).await;
    let mut tenant = world.db.tenant(&[account]).await.unwrap();
    let told = |error: Error| match error {
        Error::Referenced { referrers } => referrers.iter().map(ToString::to_string).collect::<Vec<_>>(),
        other => panic!("{other}"),
    };
    let in_use = monitor_groups::delete(&mut tenant, account, made.id).await.map(drop).map_err(told);
    assert_eq!(in_use, Err(vec![format!(r#"pool "eu" ({}) in monitor_group"#, pool.id)]));
    let in_use = monitors::delete(&mut tenant, account, monitor).await.map(drop).map_err(told);
    assert_eq!(in_use, Err(vec![format!(r#"monitor_group "shop" ({}) in members"#, made.id)]));
    let absent = MonitorGroupId::from_bytes([9; 16]);
    assert_eq!(monitor_groups::delete(&mut tenant, account, absent).await.unwrap(), None);
    let nowhere = PoolSettings { monitor_group: Some(absent), ..support::pool_settings("us", None, 1) };
    let refused = quorate_store::pools::create(&mut tenant, account, &nowhere).await;
    assert!(matches!(refused, Err(Error::MissingReference { resource: "monitor_group", .. })));
}

#[tokio::test]
async fn a_pool_of_onlookers_is_judged_by_nobody() {
    let world = Database::new().await;
    let account = support::account(&world.db).await.id;
    let monitor = support::monitor(&world.db, account).await;
    let watching = create(&world.db, account, &group("", &[MemberSettings { monitoring_only: true, ..member(monitor) }])).await;
    let settings = PoolSettings { monitor_group: Some(watching.id), ..support::pool_settings("eu", None, 0) };
    let pool = support::create_pool(&world.db, account, &settings).await;
    // Judged, a pool without origins would be critical.
    assert_eq!(published(&world.db, &pool).await.1.state, PoolState::Unknown);
}
