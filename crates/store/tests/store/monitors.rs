//! Monitors, and what a change of one does to the checks under it.

use std::collections::BTreeMap;

use quorate_core::bucket::Bucket;
use quorate_core::monitor::{MonitorKind, MonitorSettings};
use quorate_store::verdicts::{PgVerdicts, VerdictStore};
use quorate_store::{Error, monitors};

use crate::support::{self, Database};

fn unusual() -> MonitorSettings {
    MonitorSettings {
        kind: MonitorKind::Https,
        description: "shop".to_owned(),
        method: "HEAD".to_owned(),
        path: "/health?deep=1".to_owned(),
        header: BTreeMap::from([
            ("Host".to_owned(), vec!["shop.example.com".to_owned()]),
            ("X-Probe".to_owned(), vec!["b".to_owned(), "a".to_owned()]),
        ]),
        secret_headers: vec!["X-Later".to_owned()],
        port: 65_535,
        timeout: 60,
        retries: 0,
        interval: 3_600,
        consecutive_up: 100,
        consecutive_down: 3,
        expected_codes: "2xx,302".to_owned(),
        expected_body: "all \"fine\"".to_owned(),
        follow_redirects: true,
        allow_insecure: true,
        probe_zone: "example.com".to_owned(),
    }
}

#[tokio::test]
async fn a_monitor_is_read_back_as_written_and_listed_in_creation_order() {
    let world = Database::new().await;
    let account = support::account(&world.db).await.id;
    let mut tenant = world.db.tenant(&[account]).await.unwrap();
    let mut created = Vec::new();
    for settings in [unusual(), MonitorSettings::default(), unusual()] {
        created.push(monitors::create(&mut tenant, account, &settings).await.unwrap());
    }
    tenant.commit().await.unwrap();
    let mut tenant = world.db.tenant(&[account]).await.unwrap();
    assert_eq!(monitors::list(&mut tenant, account).await.unwrap(), created);
    assert_eq!(monitors::find(&mut tenant, account, created[0].id).await.unwrap().as_ref(), Some(&created[0]));
}

#[tokio::test]
async fn an_equal_replacement_changes_nothing_not_even_modified_on() {
    let world = Database::new().await;
    let account = support::account(&world.db).await.id;
    let mut tenant = world.db.tenant(&[account]).await.unwrap();
    let created = monitors::create(&mut tenant, account, &unusual()).await.unwrap();
    let same = monitors::replace(&mut tenant, account, created.id, &unusual()).await.unwrap();
    assert_eq!(same.as_ref(), Some(&created));
    let other = monitors::replace(&mut tenant, account, created.id, &MonitorSettings::default()).await.unwrap().expect("it exists");
    assert!(other.modified_on > created.modified_on && other.created_on == created.created_on);
    assert_eq!(monitors::find(&mut tenant, account, created.id).await.unwrap(), Some(other));
}

#[tokio::test]
async fn a_new_probe_renews_every_check_under_the_monitor_and_a_new_description_none() {
    let world = Database::new().await;
    let account = support::account(&world.db).await.id;
    let monitor = support::monitor(&world.db, account).await;
    let mut under = Vec::new();
    for name in ["a", "b", "c"] {
        under.push(support::create_pool(&world.db, account, &support::pool_settings(name, Some(monitor), 2)).await);
    }
    let other = support::pool(&world.db, account, "other", 1).await;
    let store = PgVerdicts::new(world.db.clone());
    let generations = async || {
        let mut found = Vec::new();
        for pool in under.iter().chain([&other]) {
            let bucket = store.load(&[Bucket::of(pool.id)]).await.unwrap().remove(0);
            let config = bucket.pools.into_iter().find(|config| config.pool.id == pool.id).expect("it is in its bucket");
            let configured: Vec<u64> = config.pool.origins.iter().map(|origin| origin.config_gen).collect();
            let published: Vec<u64> = config.checks.iter().map(|check| check.config_gen).collect();
            assert_eq!(configured, published, "both key groups tell the same generation");
            found.push((bucket.config_seq, published));
        }
        found
    };
    let before = generations().await;
    let described = MonitorSettings { description: "new".to_owned(), ..MonitorSettings::default() };
    let mut tenant = world.db.tenant(&[account]).await.unwrap();
    monitors::replace(&mut tenant, account, monitor, &described).await.unwrap();
    tenant.commit().await.unwrap();
    assert_eq!(generations().await, before);

    let mut tenant = world.db.tenant(&[account]).await.unwrap();
    monitors::replace(&mut tenant, account, monitor, &MonitorSettings { path: "/new".to_owned(), ..described }).await.unwrap();
    tenant.commit().await.unwrap();
    let after = generations().await;
    for (before, after) in before[..3].iter().zip(&after) {
        assert!(after.0 > before.0);
        assert_eq!(after.1, [2, 2]);
    }
    assert_eq!(after[3].1, [1], "a check under another monitor keeps its votes");
}

#[tokio::test]
async fn a_monitor_in_use_is_not_deleted_and_tells_by_whom() {
    let world = Database::new().await;
    let account = support::account(&world.db).await.id;
    let pool = support::pool(&world.db, account, "eu", 1).await;
    let monitor = pool.settings.monitor.expect("it has one");
    let mut tenant = world.db.tenant(&[account]).await.unwrap();
    let Err(Error::Referenced { referrers }) = monitors::delete(&mut tenant, account, monitor).await else {
        panic!("the monitor is in use")
    };
    assert_eq!(referrers.iter().map(ToString::to_string).collect::<Vec<_>>(), [format!(r#"pool "eu" ({}) in monitor"#, pool.id)]);
    drop(tenant);
    let mut settings = pool.settings.clone();
    settings.monitor = None;
    support::replace_pool(&world.db, account, pool.id, &settings).await;
    let mut tenant = world.db.tenant(&[account]).await.unwrap();
    assert!(monitors::delete(&mut tenant, account, monitor).await.unwrap());
    assert!(!monitors::delete(&mut tenant, account, monitor).await.unwrap());
    assert_eq!(monitors::replace(&mut tenant, account, monitor, &unusual()).await.unwrap(), None);
}
