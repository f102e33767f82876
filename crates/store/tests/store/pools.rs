//! Pools, and what a change of one does to its checks.

use std::time::Duration;

use quorate_core::bucket::Bucket;
use quorate_core::ids::{MonitorId, PoolId};
use quorate_core::pool::{CheckRegionsSetting, OriginSettings, PoolSettings, PoolState, Weight};
use quorate_core::vote::Published;
use quorate_store::verdicts::{PgVerdicts, PoolConfig, VerdictStore};
use quorate_store::{Db, Error, health, listen, load_balancers, pools};
use serde_json::json;

use crate::support::{self, Database};

async fn published(db: &Db, id: PoolId) -> (u64, Option<PoolConfig>) {
    let bucket = PgVerdicts::new(db.clone()).load(&[Bucket::of(id)]).await.unwrap().remove(0);
    (bucket.config_seq, bucket.pools.into_iter().find(|config| config.pool.id == id))
}

fn unusual(monitor: Option<MonitorId>) -> PoolSettings {
    PoolSettings {
        description: "über".to_owned(),
        enabled: false,
        minimum_origins: 0,
        monitor_group: None,
        check_regions: CheckRegionsSetting(None),
        origins: vec![
            OriginSettings {
                enabled: false,
                weight: Weight(7),
                host: Some("shop.example.com".to_owned()),
                port: 65_535,
                flatten_cname: Some(true),
                virtual_network_id: Some("a5624d4e-044a-4ff0-b3e1-e2465353d4b4".to_owned()),
                ..support::origin("z", "2001:db8::1")
            },
            support::origin("a", "shop.example.com"),
        ],
        latitude: Some(51.507_351_1),
        longitude: Some(-0.127_758_3),
        notification_email: "ops@example.com".to_owned(),
        origin_steering: Some(json!({"policy": "random"})),
        load_shedding: Some(json!({"default_percent": 12.5, "session_percent": 0})),
        notification_filter: Some(json!(null)),
        health_sources: None,
        ..support::pool_settings("unusual", monitor, 0)
    }
}

#[tokio::test]
async fn a_pool_is_read_back_as_written_absent_and_null_apart() {
    let world = Database::new().await;
    let account = support::account(&world.db).await.id;
    let monitor = support::monitor(&world.db, account).await;
    let created = support::create_pool(&world.db, account, &unusual(Some(monitor))).await;
    let second = support::create_pool(&world.db, account, &support::pool_settings("plain", None, 1)).await;
    let mut tenant = world.db.tenant(&[account]).await.unwrap();
    let found = pools::find(&mut tenant, account, created.id).await.unwrap().expect("it exists");
    assert_eq!(found, created);
    assert_eq!(found.settings.notification_filter, Some(serde_json::Value::Null));
    assert_eq!(found.disabled_at, Some(found.created_on));
    assert_eq!(found.origins[0].disabled_at, Some(found.created_on));
    assert_eq!(pools::list(&mut tenant, account, None).await.unwrap(), [created.clone(), second.clone()]);
    assert_eq!(pools::list(&mut tenant, account, Some(monitor)).await.unwrap(), std::slice::from_ref(&created));
    let absent = PoolId::from_bytes([7; 16]);
    assert_eq!(pools::missing(&mut tenant, account, &[second.id, absent, created.id]).await.unwrap(), [absent]);
}

#[tokio::test]
async fn a_new_pool_starts_unknown_and_its_bucket_knows_of_it() {
    let world = Database::new().await;
    let account = support::account(&world.db).await.id;
    let pool = support::pool(&world.db, account, "eu", 2).await;
    let (config_seq, config) = published(&world.db, pool.id).await;
    let config = config.expect("it is in its bucket");
    assert_eq!(config_seq, 2);
    assert_eq!((config.state, config.state_seq), (PoolState::Unknown, 0));
    assert_eq!(config.pool, pool);
    assert!(config.monitoring.judges());
    for (check, origin) in config.checks.iter().zip(&pool.origins) {
        assert_eq!((check.check_id, check.config_gen, check.verdict, check.verdict_seq), (origin.check_id, 1, Published::Unknown, 0));
    }
    let disabled = support::create_pool(&world.db, account, &unusual(None)).await;
    assert_eq!(published(&world.db, disabled.id).await.1.expect("it is there").state, PoolState::Disabled);
}

#[tokio::test]
async fn an_equal_replacement_changes_nothing_not_even_modified_on() {
    let world = Database::new().await;
    let account = support::account(&world.db).await.id;
    let pool = support::create_pool(&world.db, account, &unusual(None)).await;
    let before = published(&world.db, pool.id).await;
    let same = support::replace_pool(&world.db, account, pool.id, &pool.settings).await;
    assert_eq!(same, pool);
    assert_eq!(published(&world.db, pool.id).await, before);
}

/// What changes, and the generation of the changed and of the untouched check afterwards.
type Case = (&'static str, fn(&mut PoolSettings), u64, u64);

#[tokio::test]
async fn what_a_change_does_to_a_check() {
    let world = Database::new().await;
    let account = support::account(&world.db).await.id;
    let monitor = support::monitor(&world.db, account).await;
    let other_monitor = support::monitor(&world.db, account).await;
    let cases: [Case; 10] = [
        ("address", |pool| pool.origins[0].address = "192.0.2.99".to_owned(), 2, 1),
        ("port", |pool| pool.origins[0].port = 8080, 2, 1),
        ("host", |pool| pool.origins[0].host = Some("shop.example.com".to_owned()), 2, 1),
        ("network", |pool| pool.origins[0].virtual_network_id = Some("n".to_owned()), 2, 1),
        ("weight", |pool| pool.origins[0].weight = Weight(1), 1, 1),
        ("disabled", |pool| pool.origins[0].enabled = false, 1, 1),
        ("pool disabled", |pool| pool.enabled = false, 1, 1),
        ("description", |pool| pool.description = "new".to_owned(), 1, 1),
        ("regions", |pool| pool.check_regions = CheckRegionsSetting(Some(vec!["ENAM".to_owned()])), 1, 1),
        ("no monitor", |pool| pool.monitor = None, 2, 2),
    ];
    for (name, change, changed, untouched) in cases {
        let pool = support::create_pool(&world.db, account, &support::pool_settings(name, Some(monitor), 2)).await;
        let (config_seq, _) = published(&world.db, pool.id).await;
        let mut settings = pool.settings.clone();
        change(&mut settings);
        let replaced = support::replace_pool(&world.db, account, pool.id, &settings).await;
        let generations: Vec<u64> = replaced.origins.iter().map(|origin| origin.config_gen).collect();
        assert_eq!(generations, [changed, untouched], "{name}");
        assert!(replaced.origins.iter().zip(&pool.origins).all(|(new, old)| new.check_id == old.check_id), "{name}: the checks stay");
        assert!(replaced.modified_on > pool.modified_on, "{name}");
        let (bumped, config) = published(&world.db, pool.id).await;
        assert_eq!(bumped, config_seq + 1, "{name}");
        let published: Vec<u64> = config.expect("it is there").checks.iter().map(|check| check.config_gen).collect();
        assert_eq!(published, generations, "{name}");

        // And back: what was disabled is probed again, under votes of its own.
        let back = support::replace_pool(&world.db, account, pool.id, &pool.settings).await;
        let generations: Vec<u64> = back.origins.iter().map(|origin| origin.config_gen).collect();
        let expected = match name {
            "disabled" => [2, 1],
            "pool disabled" => [2, 2],
            _ => [2 * changed - 1, 2 * untouched - 1],
        };
        assert_eq!(generations, expected, "{name}, and back");
    }
    let pool = support::create_pool(&world.db, account, &support::pool_settings("monitored", Some(monitor), 1)).await;
    let settings = PoolSettings { monitor: Some(other_monitor), ..pool.settings.clone() };
    assert_eq!(support::replace_pool(&world.db, account, pool.id, &settings).await.origins[0].config_gen, 2);
}

#[tokio::test]
async fn origins_are_matched_by_name_and_keep_the_given_order() {
    let world = Database::new().await;
    let account = support::account(&world.db).await.id;
    let pool = support::pool(&world.db, account, "eu", 3).await;
    let mut settings = pool.settings.clone();
    settings.origins.remove(1);
    settings.origins.reverse();
    settings.origins.insert(1, support::origin("new", "192.0.2.50"));
    let replaced = support::replace_pool(&world.db, account, pool.id, &settings).await;
    let [third, new, first] = replaced.origins.as_slice() else { panic!("three origins") };
    assert_eq!((third.check_id, first.check_id), (pool.origins[2].check_id, pool.origins[0].check_id));
    assert!(pool.origins.iter().all(|old| old.check_id != new.check_id));
    let mut tenant = world.db.tenant(&[account]).await.unwrap();
    assert_eq!(pools::find(&mut tenant, account, pool.id).await.unwrap(), Some(replaced.clone()));
    drop(tenant);

    // Removed and added again is a new check.
    let again = support::replace_pool(&world.db, account, pool.id, &pool.settings).await;
    assert_ne!(again.origins[1].check_id, pool.origins[1].check_id);
    assert_eq!(again.origins[1].config_gen, 1);
    assert_eq!(world.number("select count(*) from check_state").await, 3, "removed checks leave nothing behind");
}

#[tokio::test]
async fn names_are_unique_in_an_account_and_a_foreign_monitor_is_missing() {
    let world = Database::new().await;
    let (one, two) = (support::account(&world.db).await.id, support::account(&world.db).await.id);
    let pool = support::pool(&world.db, one, "eu", 1).await;
    support::pool(&world.db, two, "eu", 1).await;
    let refused = async |settings: PoolSettings| {
        let mut tenant = world.db.tenant(&[one]).await.unwrap();
        pools::create(&mut tenant, one, &settings).await.unwrap_err()
    };
    assert!(matches!(refused(support::pool_settings("eu", None, 1)).await, Error::NotUnique { field: "name" }));
    let foreign = support::monitor(&world.db, two).await;
    let answer = refused(support::pool_settings("us", Some(foreign), 1)).await;
    assert!(matches!(&answer, Error::MissingReference { resource: "monitor", id } if *id == foreign.to_string()), "{answer:?}");
    let mut twice = support::pool_settings("us", None, 2);
    twice.origins[1].name = twice.origins[0].name.clone();
    assert!(matches!(refused(twice).await, Error::NotUnique { field: "origins.name" }));
    let other = support::create_pool(&world.db, one, &support::pool_settings("us", None, 1)).await;
    let mut tenant = world.db.tenant(&[one]).await.unwrap();
    let renamed = pools::replace(&mut tenant, one, other.id, &pool.settings).await;
    assert!(matches!(renamed, Err(Error::NotUnique { field: "name" })), "{renamed:?}");
}

#[tokio::test]
async fn a_pool_in_use_is_not_deleted_and_tells_every_place() {
    let world = Database::new().await;
    let account = support::account(&world.db).await.id;
    let zone = support::zone(&world.db, account, "example.com").await.id;
    let pool = support::pool(&world.db, account, "eu", 1).await;
    let fallback = support::pool(&world.db, account, "fallback", 1).await;
    let mut settings = support::load_balancer_settings("www.example.com", fallback.id);
    settings.region_pools = Some([("WNAM".to_owned(), vec![pool.id])].into());
    settings.rules = Some(json!([{"overrides": {"default_pools": [pool.id]}}]));
    let mut tenant = world.db.tenant(&[account]).await.unwrap();
    let load_balancer = load_balancers::create(&mut tenant, account, Some(zone), &settings).await.unwrap();
    tenant.commit().await.unwrap();

    let mut tenant = world.db.tenant(&[account]).await.unwrap();
    let Err(Error::Referenced { referrers }) = pools::delete(&mut tenant, account, pool.id).await else { panic!("the pool is in use") };
    let places: Vec<&str> = referrers.iter().map(|referrer| referrer.place.as_str()).collect();
    assert_eq!(places, ["region_pools.WNAM", "rules[0].overrides.default_pools"]);
    assert!(referrers.iter().all(|referrer| referrer.id == load_balancer.id.to_string() && referrer.name == "www.example.com"));
    settings.region_pools = None;
    settings.rules = None;
    load_balancers::replace(&mut tenant, account, Some(zone), load_balancer.id, &settings).await.unwrap();
    assert!(pools::delete(&mut tenant, account, pool.id).await.unwrap());
    assert!(!pools::delete(&mut tenant, account, pool.id).await.unwrap());
    tenant.commit().await.unwrap();
    let (config_seq, config) = published(&world.db, pool.id).await;
    assert!(config.is_none() && config_seq >= 3);
    let mut tenant = world.db.tenant(&[account]).await.unwrap();
    assert_eq!(health::of_pool(&mut tenant, account, pool.id).await.unwrap(), None);
    assert!(health::of_pool(&mut tenant, account, fallback.id).await.unwrap().is_some());
}

#[tokio::test]
async fn a_committed_change_wakes_the_listeners() {
    let world = Database::new().await;
    let account = support::account(&world.db).await.id;
    let mut changes = listen::changes(&world.db).await.unwrap();
    support::pool(&world.db, account, "eu", 1).await;
    let woken = tokio::time::timeout(Duration::from_secs(10), changes.changed()).await.expect("a wake-up").unwrap();
    assert_eq!(woken, listen::Wake::Config);
}
