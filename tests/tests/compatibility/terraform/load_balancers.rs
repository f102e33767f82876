//! Load balancers.

use serde_json::{Value, json};

use super::resources::load_balancer;
use super::{a_pool, is_listed, world};

/// The least of a load balancer, and these attributes.
fn config(name: &str, pool: &str, more: Value) -> Value {
    let mut config = json!({"name": format!("{name}.example.com"), "fallback_pool": pool, "default_pools": [pool]});
    let Value::Object(more) = more else { panic!("attributes are an object") };
    config.as_object_mut().expect("an object").extend(more);
    config
}

#[tokio::test]
async fn a_load_balancer_of_the_provider_stays_as_it_was_configured() {
    let world = world().await;
    let (operator, resource) = (&world.operator, load_balancer());
    let collection = operator.load_balancers_path();
    let pool = a_pool(operator, "balanced").await;
    let automatic = json!({"samesite": "Auto", "secure": "Auto", "drain_duration": 0, "zero_downtime_failover": "none"});
    let configs = [
        config("basic", &pool, json!({"steering_policy": "off", "session_affinity": "none"})),
        config(
            "sessions",
            &pool,
            json!({"session_affinity": "cookie", "session_affinity_ttl": 1800, "session_affinity_attributes": {
                "samesite": "Auto", "secure": "Auto", "drain_duration": 60, "zero_downtime_failover": "sticky",
            }}),
        ),
        config("addresses", &pool, json!({"session_affinity": "ip_cookie"})),
        config(
            "headers",
            &pool,
            json!({"session_affinity": "header", "session_affinity_ttl": 1800, "session_affinity_attributes": {
                "samesite": "Auto", "secure": "Auto", "drain_duration": 60, "zero_downtime_failover": "temporary", "headers": ["x-custom"],
                "require_all_headers": true,
            }}),
        ),
        config(
            "attributes",
            &pool,
            json!({"steering_policy": "off", "proxied": true, "session_affinity_attributes": {
                "samesite": "Lax", "secure": "Always", "drain_duration": 60, "zero_downtime_failover": "temporary",
            }}),
        ),
        config("routing", &pool, json!({"session_affinity": "cookie", "adaptive_routing": {"failover_across_pools": true}})),
        config(
            "unrouted",
            &pool,
            json!({
                "description": "described", "ttl": 30, "proxied": false, "steering_policy": "off", "adaptive_routing": {"failover_across_pools": false},
            }),
        ),
        config("near", &pool, json!({"session_affinity": "cookie", "location_strategy": {"prefer_ecs": "proximity", "mode": "pop"}})),
        config("resolver", &pool, json!({"steering_policy": "off", "location_strategy": {"prefer_ecs": "always", "mode": "resolver_ip"}})),
        config("never", &pool, json!({"ttl": 30, "steering_policy": "off", "location_strategy": {"prefer_ecs": "never"}})),
        config("random", &pool, json!({"random_steering": {"pool_weights": {&pool: 0.3}, "default_weight": 0.9}})),
        config(
            "weights",
            &pool,
            json!({"random_steering": {"default_weight": 1.0}, "session_affinity": "cookie", "steering_policy": "geo"}),
        ),
        config(
            "places",
            &pool,
            json!({
                "description": "everywhere", "proxied": true, "steering_policy": "geo", "session_affinity": "cookie", "session_affinity_ttl": 5000,
                "pop_pools": {"LHR": [pool]}, "country_pools": {"IN": [pool]}, "region_pools": {"WNAM": [pool], "SAS": [pool]},
                "session_affinity_attributes": automatic, "random_steering": {"default_weight": 1.0},
            }),
        ),
        config("proximity", &pool, json!({"proxied": true, "steering_policy": "proximity", "description": "near"})),
        config(
            "requests",
            &pool,
            json!({"proxied": true, "steering_policy": "least_outstanding_requests", "session_affinity": "cookie", "rules": [
                {"name": "one", "condition": "dns.qry.type == 28", "overrides": {"steering_policy": "least_outstanding_requests"}},
            ]}),
        ),
        config(
            "connections",
            &pool,
            json!({"proxied": true, "steering_policy": "least_connections", "session_affinity": "cookie", "rules": [
                {"name": "one", "condition": "dns.qry.type == 28", "overrides": {"steering_policy": "least_connections"}},
            ]}),
        ),
        config(
            "rules",
            &pool,
            json!({"steering_policy": "", "description": "rules", "session_affinity": "none", "rules": [
                {"name": "one", "condition": "dns.qry.type == 28", "overrides": {
                    "steering_policy": "geo", "adaptive_routing": {"failover_across_pools": true},
                    "session_affinity_attributes": {"samesite": "Auto", "secure": "Auto", "zero_downtime_failover": "sticky"},
                    "location_strategy": {"prefer_ecs": "always", "mode": "resolver_ip"},
                    "random_steering": {"pool_weights": {&pool: 0.4}, "default_weight": 0.2},
                }},
                {"name": "two", "condition": "dns.qry.type == 28", "fixed_response": {
                    "message_body": "hello", "status_code": 200, "content_type": "html", "location": "www.example.com",
                }},
                {"name": "three", "condition": "dns.qry.type == 28", "overrides": {"region_pools": {"ENAM": [pool]}}},
            ]}),
        ),
    ];
    for config in &configs {
        let mut managed = resource.create(operator, &collection, config).await;
        is_listed(operator, &resource, &collection, &managed.state).await;
        managed.is_found_by_import(&[]).await;
        let mut changed = config.clone();
        changed["description"] = json!("another description");
        managed.update(&changed).await;
        managed.destroy().await;
    }
}

#[tokio::test]
async fn a_load_balancer_of_the_provider_has_the_defaults_it_expects() {
    let world = world().await;
    let (operator, resource) = (&world.operator, load_balancer());
    let collection = operator.load_balancers_path();
    let pool = a_pool(operator, "balanced").await;
    let least = resource.create(operator, &collection, &config("least", &pool, json!({}))).await;
    least.has(&json!({
        "enabled": true, "proxied": false, "ttl": 30.0, "steering_policy": "", "session_affinity": "none", "description": null,
        "pop_pools": null, "country_pools": null, "region_pools": null, "rules": null, "zone_name": "example.com",
    }));
    let sessions = resource.create(operator, &collection, &config("sessions", &pool, json!({"session_affinity": "ip_cookie"}))).await;
    sessions.has(&json!({"session_affinity_ttl": 82800.0, "session_affinity_attributes": {
        "samesite": "Auto", "secure": "Auto", "drain_duration": 0.0, "zero_downtime_failover": "none", "headers": null,
        "require_all_headers": sessions.state["session_affinity_attributes"]["require_all_headers"],
    }}));
}

#[tokio::test]
async fn a_load_balancer_of_the_provider_changes_as_its_configuration_does() {
    let world = world().await;
    let (operator, resource) = (&world.operator, load_balancer());
    let collection = operator.load_balancers_path();
    let pool = a_pool(operator, "balanced").await;
    let geo = |more: Value| {
        let mut geo = config("lb", &pool, more);
        for (name, value) in [("proxied", json!(true)), ("steering_policy", json!("geo"))] {
            geo[name] = value;
        }
        geo
    };
    let basic = config("lb", &pool, json!({"steering_policy": "off", "session_affinity": "none"}));
    let mut managed = resource.create(operator, &collection, &basic).await;
    let everywhere = json!({"pop_pools": {"LAX": [pool]}, "country_pools": {"US": [pool]}, "region_pools": {"WNAM": [pool]}});
    managed.update(&geo(everywhere)).await;
    managed.update(&geo(json!({"pop_pools": {"LAX": [pool]}, "country_pools": {"US": [pool]}, "session_affinity": "cookie"}))).await;
    managed.update(&geo(json!({"region_pools": {"WNAM": [pool]}, "session_affinity": "cookie"}))).await;
    let weights = |weight: f64, default: f64| json!({"random_steering": {"pool_weights": {&pool: weight}, "default_weight": default}});
    managed.update(&config("lb", &pool, weights(0.3, 0.9))).await;
    managed.update(&config("lb", &pool, weights(0.4, 0.8))).await;
    managed.has(&json!({"random_steering": {"pool_weights": {&pool: 0.4}, "default_weight": 0.8}}));
    managed.update(&config("lb", &pool, json!({"rules": [{"name": "one", "fixed_response": {"status_code": 503}}]}))).await;
    managed
        .update(&config("lb", &pool, json!({"rules": [{"name": "one", "overrides": {"ttl": 60}}, {"name": "two", "terminates": true, "overrides": {"steering_policy": "geo"}}]})))
        .await;
    managed.update(&basic).await;
    managed.destroy().await;
}
