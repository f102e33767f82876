//! Monitors and their groups.

use serde_json::{Value, json};

use super::resources::{monitor, monitor_group};
use super::{is_listed, world};

/// Another than this, so that an update has something to change.
fn described(mut config: Value) -> Value {
    config["description"] = json!("another description");
    config
}

#[tokio::test]
async fn a_monitor_of_the_provider_stays_as_it_was_configured() {
    let world = world().await;
    let (operator, resource) = (&world.operator, monitor());
    let collection = operator.monitors_path();
    let configs = [
        json!({"expected_body": "alive", "expected_codes": "2xx"}),
        json!({"expected_body": "", "expected_codes": "2xx", "description": "any body"}),
        json!({
            "expected_body": "dead", "expected_codes": "5xx", "method": "HEAD", "timeout": 9, "path": "/custom", "interval": 60, "retries": 5,
            "consecutive_up": 2, "consecutive_down": 2, "port": 8080, "description": "all of it", "probe_zone": "example.com",
            "header": {"Host": ["example.com"], "Values": ["one", "two"]}, "follow_redirects": true, "allow_insecure": true, "type": "https",
        }),
        json!({"type": "tcp", "timeout": 9, "interval": 60, "retries": 5, "port": 8080}),
        json!({"type": "udp_icmp", "timeout": 2, "retries": 5, "port": 8080}),
        json!({"type": "icmp_ping", "timeout": 2, "retries": 5}),
        json!({"type": "smtp", "timeout": 2, "retries": 5, "port": 8080}),
        json!({"type": "http", "method": "GET", "path": "/", "expected_codes": "200", "consecutive_up": 0, "consecutive_down": 0, "port": 0}),
    ];
    for config in &configs {
        let mut managed = resource.create(operator, &collection, config).await;
        is_listed(operator, &resource, &collection, &with_read_zeros(&managed.state)).await;
        managed.is_found_by_import(&["consecutive_up", "consecutive_down", "port"]).await;
        managed.update(&described(config.clone())).await;
        managed.destroy().await;
    }
    // The least, made into each of the others and back.
    let mut managed = resource.create(operator, &collection, &configs[0]).await;
    for config in &configs[2..] {
        managed.update(config).await;
        managed.update(&configs[0]).await;
    }
    managed.has(&json!({"type": "http", "method": "GET", "path": "/", "expected_codes": "2xx", "header": null, "port": null}));
}

/// What the provider leaves as it was configured, as a list of the API has it.
fn with_read_zeros(state: &Value) -> Value {
    let mut state = state.clone();
    for name in ["consecutive_up", "consecutive_down", "port"] {
        if state[name].is_null() {
            state[name] = json!(0);
        }
    }
    state
}

#[tokio::test]
async fn a_monitor_group_of_the_provider_stays_as_it_was_configured() {
    let world = world().await;
    let (operator, resource) = (&world.operator, monitor_group());
    let collection = operator.monitor_groups_path();
    let (first, second) = (operator.creates_monitor(&json!({})).await, operator.creates_monitor(&json!({})).await);
    let member = |monitor: &str, only: bool, must: bool| json!({"monitor_id": monitor, "enabled": true, "monitoring_only": only, "must_be_healthy": must});
    let config = json!({"description": "one", "members": [member(&first, false, true)]});
    let mut managed = resource.create(operator, &collection, &config).await;
    is_listed(operator, &resource, &collection, &managed.state).await;
    managed.is_found_by_import(&[]).await;
    managed.update(&json!({"description": "two", "members": [member(&first, false, true), member(&second, true, false)]})).await;
    managed.update(&json!({"description": "two", "members": [member(&second, false, false)]})).await;
    managed.destroy().await;
}
