//! Standalone health checks.

use serde_json::{Value, json};

use super::resources::health_check;
use super::{is_listed, world};

fn check(kind: &str, more: Value) -> Value {
    let mut config = json!({"name": "check", "address": "example.com", "type": kind, "check_regions": ["WNAM"]});
    let Value::Object(more) = more else { panic!("attributes are an object") };
    config.as_object_mut().expect("an object").extend(more);
    config
}

#[tokio::test]
async fn a_health_check_of_the_provider_stays_as_it_was_configured() {
    let world = world().await;
    let (operator, resource) = (&world.operator, health_check());
    let collection = format!("/zones/{}/healthchecks", operator.zone);
    let http = |port: u16, path: &str| {
        json!({
            "allow_insecure": false, "expected_body": "OK", "expected_codes": ["200"], "follow_redirects": false,
            "header": {"Host": ["example.com"]}, "method": "GET", "path": path, "port": port,
        })
    };
    let other_http = |port: u16| {
        json!({
            "allow_insecure": true, "expected_body": "HEALTHY", "expected_codes": ["200", "201"], "follow_redirects": true,
            "header": {"Host": ["example.com"], "X-Custom-Header": ["value"]}, "method": "HEAD", "path": "/ping", "port": port,
        })
    };
    let tcp = |port: u16| json!({"method": "connection_established", "port": port});
    let counts =
        json!({"consecutive_fails": 2, "consecutive_successes": 2, "interval": 60, "retries": 2, "timeout": 10, "suspended": false});
    let other_counts = json!({
        "consecutive_fails": 3, "consecutive_successes": 3, "interval": 120, "retries": 3, "timeout": 15, "suspended": true,
        "check_regions": ["WNAM", "ENAM"], "name": "check-updated", "description": "another description",
    });
    let stories = [
        ("TCP", json!({"tcp_config": tcp(80)}), json!({"tcp_config": tcp(8080)})),
        ("HTTP", json!({"http_config": http(80, "/health")}), json!({"http_config": other_http(8080)})),
        ("HTTPS", json!({"http_config": http(443, "/health")}), json!({"http_config": other_http(8443)})),
    ];
    for (kind, before, after) in stories {
        let config = merged(&check(kind, counts.clone()), &before);
        let mut managed = resource.create(operator, &collection, &config).await;
        managed.is_found_by_import(&["status", "failure_reason"]).await;
        let updated = merged(&merged(&config, &other_counts), &after);
        managed.update(&updated).await;
        // Nobody probes it now, so that a list cannot differ.
        managed.is_settled(&updated).await;
        managed.has(&json!({"status": "suspended"}));
        is_listed(operator, &resource, &collection, &managed.state).await;
        managed.update(&merged(&check(kind, json!({})), &before)).await;
        managed.destroy().await;
    }
}

#[tokio::test]
async fn a_health_check_of_the_provider_needs_no_more_than_a_name_and_an_address() {
    let world = world().await;
    let (operator, resource) = (&world.operator, health_check());
    let collection = format!("/zones/{}/healthchecks", operator.zone);
    let http = json!({"method": "GET", "path": "/", "port": 80, "expected_codes": ["200"]});
    let managed = resource.create(operator, &collection, &check("HTTP", json!({"http_config": http}))).await;
    assert_eq!(managed.state["http_config"]["expected_body"], "");
    managed.destroy().await;
    let managed = resource.create(operator, &collection, &json!({"name": "least", "address": "example.com"})).await;
    managed.has(&json!({"type": "HTTP", "interval": 60, "check_regions": null}));
    managed.destroy().await;
}

fn merged(left: &Value, right: &Value) -> Value {
    let mut merged = left.clone();
    merged.as_object_mut().expect("an object").extend(right.as_object().expect("an object").clone());
    merged
}
