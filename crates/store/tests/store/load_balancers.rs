//! Load balancers.

use std::collections::BTreeMap;

use quorate_core::ids::PoolId;
use quorate_store::{Error, load_balancers};
use serde_json::json;

use crate::support::{self, Database};

#[tokio::test]
async fn a_load_balancer_is_read_back_as_written_and_an_equal_replacement_changes_nothing() {
    let world = Database::new().await;
    let account = support::account(&world.db).await.id;
    let zone = support::zone(&world.db, account, "example.com").await;
    let (a, b) = (support::pool(&world.db, account, "a", 1).await.id, support::pool(&world.db, account, "b", 1).await.id);
    let mut settings = support::load_balancer_settings("www.example.com", a);
    settings.default_pools = vec![b, a];
    settings.ttl = None;
    settings.proxied = true;
    settings.region_pools = Some(BTreeMap::from([("WNAM".to_owned(), vec![b, a]), ("ENAM".to_owned(), vec![])]));
    settings.country_pools = Some(BTreeMap::new());
    settings.session_affinity_ttl = Some(82_800);
    settings.session_affinity_attributes = Some(json!({"samesite": "Auto", "drain_duration": 0, "headers": ["x"]}));
    settings.random_steering = Some(json!({"default_weight": 0.5, "pool_weights": {}}));
    settings.rules = Some(json!([]));
    settings.pool_sets = Some(json!(null));
    let mut tenant = world.db.tenant(&[account]).await.unwrap();
    let created = load_balancers::create(&mut tenant, account, Some(zone.id), &settings).await.unwrap();
    tenant.commit().await.unwrap();

    let mut tenant = world.db.tenant(&[account]).await.unwrap();
    assert_eq!(load_balancers::find(&mut tenant, account, Some(zone.id), created.id).await.unwrap().as_ref(), Some(&created));
    assert_eq!(load_balancers::list(&mut tenant, account, Some(zone.id)).await.unwrap(), std::slice::from_ref(&created));
    assert_eq!(created.zone.as_ref().map(|zone| zone.name.as_str()), Some("example.com"));
    let same = load_balancers::replace(&mut tenant, account, Some(zone.id), created.id, &settings).await.unwrap();
    assert_eq!(same.as_ref(), Some(&created));
    settings.enabled = false;
    let changed = load_balancers::replace(&mut tenant, account, Some(zone.id), created.id, &settings).await.unwrap().expect("it exists");
    assert!(changed.modified_on > created.modified_on);
    assert_eq!(load_balancers::find_for_update(&mut tenant, account, Some(zone.id), created.id).await.unwrap(), Some(changed));
    assert!(load_balancers::delete(&mut tenant, account, Some(zone.id), created.id).await.unwrap());
    assert!(!load_balancers::delete(&mut tenant, account, Some(zone.id), created.id).await.unwrap());
    assert_eq!(load_balancers::replace(&mut tenant, account, Some(zone.id), created.id, &settings).await.unwrap(), None);
}

#[tokio::test]
async fn a_name_is_unique_in_its_zone_and_every_pool_named_must_exist() {
    let world = Database::new().await;
    let account = support::account(&world.db).await.id;
    let zone = support::zone(&world.db, account, "example.com").await.id;
    let other_zone = support::zone(&world.db, account, "example.net").await.id;
    let pool = support::pool(&world.db, account, "a", 1).await.id;
    let settings = support::load_balancer_settings("www.example.com", pool);
    let mut tenant = world.db.tenant(&[account]).await.unwrap();
    load_balancers::create(&mut tenant, account, Some(zone), &settings).await.unwrap();
    load_balancers::create(&mut tenant, account, Some(other_zone), &settings).await.unwrap();
    let absent = PoolId::from_bytes([9; 16]);
    let mut broken = support::load_balancer_settings("api.example.com", pool);
    broken.pop_pools = Some(BTreeMap::from([("LHR".to_owned(), vec![absent])]));
    let answer = load_balancers::create(&mut tenant, account, Some(zone), &broken).await;
    assert!(matches!(&answer, Err(Error::MissingReference { resource: "pool", id }) if *id == absent.to_string()), "{answer:?}");
    let taken = load_balancers::create(&mut tenant, account, Some(zone), &settings).await;
    assert!(matches!(taken, Err(Error::NotUnique { field: "name" })), "{taken:?}");
}

#[tokio::test]
async fn the_account_itself_is_a_place_of_its_own() {
    let world = Database::new().await;
    let account = support::account(&world.db).await.id;
    let zone = support::zone(&world.db, account, "example.com").await.id;
    let pool = support::pool(&world.db, account, "a", 1).await.id;
    let settings = support::load_balancer_settings("www.example.com", pool);
    let mut tenant = world.db.tenant(&[account]).await.unwrap();
    let in_zone = load_balancers::create(&mut tenant, account, Some(zone), &settings).await.unwrap();
    let of_account = load_balancers::create(&mut tenant, account, None, &settings).await.unwrap();
    assert_eq!(of_account.zone, None);
    assert_eq!(load_balancers::list(&mut tenant, account, None).await.unwrap(), std::slice::from_ref(&of_account));
    assert_eq!(load_balancers::list(&mut tenant, account, Some(zone)).await.unwrap(), std::slice::from_ref(&in_zone));
    assert_eq!(load_balancers::find(&mut tenant, account, None, in_zone.id).await.unwrap(), None);
    assert_eq!(load_balancers::find(&mut tenant, account, Some(zone), of_account.id).await.unwrap(), None);
    assert!(!load_balancers::delete(&mut tenant, account, Some(zone), of_account.id).await.unwrap());
    let taken = load_balancers::create(&mut tenant, account, None, &settings).await;
    assert!(matches!(taken, Err(Error::NotUnique { field: "name" })), "{taken:?}");
}
