//! What is put back as it was got changes nothing: infrastructure as code plans a change wherever an answer differs.

use serde_json::{Value, json};

use super::{body, tenant_with_pool};
use crate::world::{Tenant, World, id_of};

/// Creates what is asked for; then PUT and PATCH of what a GET answered change no byte of the next GET.
async fn check(world: &World, tenant: &Tenant, asked: Value) -> Value {
    let made = world.make(tenant, &tenant.in_zone("load_balancers"), asked).await;
    let path = tenant.in_zone(&format!("load_balancers/{}", id_of(&made)));
    let first = world.ask(tenant, "GET", &path, None).await;
    assert_eq!(first.body["result"], made, "what is created is what is read");
    for method in ["PUT", "PATCH"] {
        let again = world.ask(tenant, method, &path, Some(first.body["result"].clone())).await;
        assert_eq!(again.body["result"], first.body["result"], "{method}");
    }
    assert_eq!(world.ask(tenant, "GET", &path, None).await.text, first.text);
    made
}

#[tokio::test]
async fn putting_back_what_was_got_changes_nothing_byte_for_byte() {
    let world = World::start().await;
    let (tenant, pool) = tenant_with_pool(&world).await;
    // What the Terraform provider sends: its defaults, written out.
    let terraform = json!({
        "name": "a.example.com", "enabled": true, "proxied": false, "ttl": 30, "steering_policy": "", "session_affinity": "none",
        "country_pools": {}, "region_pools": {"WNAM": [pool]}, "pop_pools": {},
        "rules": [{"name": "r", "condition": "dns.qry.type == 28", "disabled": false, "priority": 0, "terminates": false,
            "overrides": {"steering_policy": "off", "session_affinity": ""}}],
        "random_steering": {"default_weight": 0.3, "pool_weights": {&*pool: 0.25}},
        "adaptive_routing": {"failover_across_pools": false}, "location_strategy": {"mode": "pop", "prefer_ecs": "proximity"},
    });
    let made = check(&world, &tenant, body(&pool, terraform.clone())).await;
    for (name, value) in terraform.as_object().expect("an object") {
        assert_eq!(&made[name], value, "{name} is echoed");
    }
    let proxied = json!({"name": "*.example.com", "proxied": true, "session_affinity": "header",
        "session_affinity_attributes": {"headers": ["x-a"], "drain_duration": 60}});
    check(&world, &tenant, body(&pool, proxied)).await;
    check(&world, &tenant, body(&pool, json!({"name": "plain.example.com"}))).await;
    world.end().await;
}

#[tokio::test]
async fn every_field_comes_back_as_it_was_sent() {
    let world = World::start().await;
    let (tenant, pool) = tenant_with_pool(&world).await;
    let weights = json!({&*pool: 0.56});
    let attributes = json!({
        "samesite": "Lax", "secure": "Always", "drain_duration": 100, "zero_downtime_failover": "temporary",
        "headers": ["x-user", "cookie:a,b"], "require_all_headers": true,
    });
    let rules = json!([
        {
            "name": "to the other pools", "condition": "http.request.uri.path contains \"/testing\"", "disabled": true, "priority": 7,
            "terminates": true,
            "overrides": {
                "adaptive_routing": {"failover_across_pools": false}, "country_pools": {"DE": [pool]}, "default_pools": [pool],
                "fallback_pool": pool, "location_strategy": {"mode": "pop", "prefer_ecs": "never"}, "pop_pools": {"SJC": [pool]},
                "random_steering": {"default_weight": 0.1, "pool_weights": weights}, "region_pools": {"ENAM": [pool]},
                "session_affinity": "cookie", "session_affinity_attributes": {"samesite": "Auto"}, "session_affinity_ttl": 5000,
                "steering_policy": "proximity", "ttl": 60,
            },
        },
        {"overrides": {"pools": [pool], "pool_weights": weights, "pool_default_weight": 0.7}},
        {"fixed_response": {"status_code": 200, "content_type": "application/json", "location": "www.example.com", "message_body": "hello"}},
    ]);
    let pool_sets = json!([
        {
            "name": "wnam-primary", "disabled": false,
            "match": {"topology": {"regions": ["WNAM"], "countries": ["US", "CA"], "pops": ["SJC"]}},
            "overrides": {"pools": [pool], "fallback_pool": pool, "steering_policy": "random", "pool_weights": weights, "pool_default_weight": 0},
        },
        {"match": {"default": true}, "fixed_response": {"status_code": 503}},
    ]);
    let full = json!({
        "name": "full.example.com", "description": "d", "enabled": false, "proxied": false, "ttl": 120,
        "default_pools": [pool], "fallback_pool": pool,
        "region_pools": {"WEU": [pool], "NEAS": [pool]}, "country_pools": {"GB": [pool]}, "pop_pools": {"LHR": [pool], "SJC": [pool]},
        "steering_policy": "least_connections",
        "random_steering": {"default_weight": 1.0, "pool_weights": weights},
        "location_strategy": {"mode": "resolver_ip", "prefer_ecs": "always"},
        "adaptive_routing": {"failover_across_pools": true},
        "session_affinity": "header", "session_affinity_ttl": 1800, "session_affinity_attributes": attributes,
        "networks": ["cloudflare"],
        "rules": rules, "pool_sets": pool_sets,
    });
    let made = check(&world, &tenant, full.clone()).await;
    let read_only =
        json!({"id": made["id"], "created_on": made["created_on"], "modified_on": made["created_on"], "zone_name": "example.com"});
    assert_eq!(made, crate::world::with(full, read_only));
    world.end().await;
}
