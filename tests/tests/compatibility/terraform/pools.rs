//! Pools.

use serde_json::{Value, json};

use super::resources::{monitor_group, pool};
use super::{is_listed, world};

fn basic(name: &str) -> Value {
    json!({"name": name, "latitude": 12.3, "longitude": 55, "origins": [{"name": "a", "address": "192.0.2.1", "enabled": true}]})
}

fn with(mut config: Value, name: &str, value: Value) -> Value {
    config[name] = value;
    config
}

#[tokio::test]
async fn a_pool_of_the_provider_stays_as_it_was_configured() {
    let world = world().await;
    let (operator, resource) = (&world.operator, pool());
    let collection = operator.pools_path();
    let full = json!({
        "name": "full", "check_regions": ["WEU"], "description": "all of it", "enabled": false, "minimum_origins": 2,
        "notification_email": "someone@example.com", "latitude": 12.3, "longitude": 55, "origin_steering": {"policy": "random"},
        "origins": [
            {"name": "a", "address": "192.0.2.1", "enabled": false, "weight": 1.0, "header": {"Host": ["one.example.com"]}},
            {"name": "b", "address": "192.0.2.2", "weight": 0.5, "header": {"Host": ["two.example.com"]}},
        ],
        "load_shedding": {"default_percent": 55, "default_policy": "random", "session_percent": 12, "session_policy": "hash"},
    });
    let network =
        json!([{"name": "a", "address": "192.0.2.1", "virtual_network_id": "a5624d4e-044a-4ff0-b3e1-e2465353d4b4", "enabled": true}]);
    let configs = [
        basic("basic"),
        full,
        with(basic("least-requests"), "origin_steering", json!({"policy": "least_outstanding_requests"})),
        with(basic("least-connections"), "origin_steering", json!({"policy": "least_connections"})),
        with(basic("network"), "origins", network),
        with(basic("told"), "notification_filter", json!({"pool": {"disable": false, "healthy": false}, "origin": {"disable": true}})),
        json!({"name": "by-name", "origins": [{"name": "a", "address": "a.example.net", "port": 8443, "flatten_cname": false}]}),
    ];
    for config in &configs {
        let mut managed = resource.create(operator, &collection, config).await;
        is_listed(operator, &resource, &collection, &managed.state).await;
        managed.is_found_by_import(&[]).await;
        managed.update(&with(config.clone(), "description", json!("another description"))).await;
        managed.destroy().await;
    }
}

#[tokio::test]
async fn a_pool_of_the_provider_changes_as_its_configuration_does() {
    let world = world().await;
    let (operator, resource) = (&world.operator, pool());
    let collection = operator.pools_path();
    let patched = json!({
        "name": "patched", "description": "another", "enabled": false, "latitude": 37.7749, "longitude": -122.4194, "minimum_origins": 2,
        "check_regions": ["WEU"], "origin_steering": {"policy": "random"},
        "load_shedding": {"default_percent": 25, "default_policy": "random", "session_percent": 10, "session_policy": "hash"},
        "origins": [
            {"name": "a", "address": "192.0.2.2", "enabled": true, "weight": 0.5},
            {"name": "b", "address": "192.0.2.3", "enabled": true, "weight": 0.5},
        ],
    });
    let mut managed = resource.create(operator, &collection, &basic("changing")).await;
    managed.has(&json!({"enabled": true, "check_regions": null, "disabled_at": null}));
    managed.update(&patched).await;
    managed.has(&json!({"name": "patched", "minimum_origins": 2, "origin_steering": {"policy": "random"}}));
    assert!(managed.state["disabled_at"].is_string(), "{:#}", managed.state);
    managed.update(&basic("changing")).await;
    managed.has(&json!({"enabled": true, "check_regions": null, "disabled_at": null}));
    // A monitor, then a group of monitors, then neither.
    let monitor = operator.creates_monitor(&json!({})).await;
    let members = json!([{"monitor_id": monitor, "enabled": true, "monitoring_only": false, "must_be_healthy": false}]);
    let groups = operator.monitor_groups_path();
    let group = monitor_group();
    let group = group.create(operator, &groups, &json!({"description": "group", "members": members})).await;
    managed.update(&with(basic("changing"), "monitor", json!(monitor))).await;
    managed.update(&with(basic("changing"), "monitor_group", json!(group.id()))).await;
    managed.update(&json!({"name": "changing", "origins": [{"name": "a", "address": "192.0.2.1"}]})).await;
    managed.has(&json!({"monitor": null, "monitor_group": null, "latitude": null, "longitude": null}));
    managed.destroy().await;
    group.destroy().await;
}
