//! Load balancers of a zone, with the exact body of every refusal.

use quorate_store::accounts::Limits;
use serde_json::{Value, json};

use crate::world::{LIMITS, Tenant, World, errors_1002, id_of, pool_body, with};

const NOBODY: &str = "0123456789abcdef0123456789abcdef";

/// A tenant with one pool.
async fn tenant_with_pool(world: &World) -> (Tenant, String) {
    let tenant = world.tenant("example.com").await;
    let pool = id_of(&world.make(&tenant, &tenant.lb("pools"), pool_body("eu", json!({}))).await);
    (tenant, pool)
}

fn body(pool: &str, change: Value) -> Value {
    with(json!({"name": "www.example.com", "default_pools": [pool], "fallback_pool": pool}), change)
}

#[tokio::test]
async fn a_load_balancer_gets_the_defaults_that_clients_expect() {
    let world = World::start().await;
    let (tenant, pool) = tenant_with_pool(&world).await;
    let made = world.make(&tenant, &tenant.in_zone("load_balancers"), body(&pool, json!({}))).await;
    let expected = json!({
        "id": made["id"], "created_on": made["created_on"], "modified_on": made["created_on"], "zone_name": "example.com",
        "name": "www.example.com", "enabled": true, "proxied": false, "ttl": 30, "default_pools": [pool], "fallback_pool": pool,
        "steering_policy": "", "session_affinity": "none",
    });
    assert_eq!(made, expected);
    let sticky = json!({"name": "a.example.com", "proxied": true, "session_affinity": "ip_cookie"});
    let sticky = world.make(&tenant, &tenant.in_zone("load_balancers"), body(&pool, sticky)).await;
    assert_eq!((&sticky["ttl"], &sticky["session_affinity_ttl"]), (&json!(0), &json!(82800)));
    let attributes = json!({"samesite": "Auto", "secure": "Auto", "drain_duration": 0, "zero_downtime_failover": "none"});
    assert_eq!(sticky["session_affinity_attributes"], attributes);
    world.end().await;
}

#[tokio::test]
async fn each_bad_field_is_refused_with_its_pointer_its_value_and_what_is_legal() {
    let world = World::start().await;
    let (tenant, pool) = tenant_with_pool(&world).await;
    let id = "is not an identifier of 32 lower-case hexadecimal characters";
    let cases = [
        (json!({"name": "subdomain here"}), "/name", "invalid hostname: subdomain here".to_owned()),
        (json!({"name": "www.example.org"}), "/name", "name \"www.example.org\" is not in zone \"example.com\"".to_owned()),
        (json!({"default_pools": []}), "/default_pools", "default_pools must name at least 1 pool".to_owned()),
        (json!({"default_pools": ["x"]}), "/default_pools/0", format!("default_pools[0] \"x\" {id}")),
        (json!({"default_pools": [NOBODY]}), "/default_pools", format!("default_pools names pool {NOBODY}, which does not exist")),
        (json!({"fallback_pool": null}), "/fallback_pool", format!("fallback_pool null {id}")),
        (json!({"fallback_pool": NOBODY}), "/fallback_pool", format!("fallback_pool names pool {NOBODY}, which does not exist")),
        (json!({"region_pools": {"EU": [pool]}}), "/region_pools/EU", "region_pools \"EU\" is not a region code".to_owned()),
        (json!({"region_pools": {"WEU": [NOBODY]}}), "/region_pools/WEU", format!("region_pools.WEU names pool {NOBODY}, which does not exist")),
        (json!({"country_pools": {"de": [pool]}}), "/country_pools/de", "country_pools \"de\" is not two upper-case letters".to_owned()),
        (json!({"pop_pools": {"LAX": []}}), "/pop_pools/LAX", "pop_pools \"LAX\" must name at least 1 pool".to_owned()),
        (
            json!({"steering_policy": "random_steering"}),
            "/steering_policy",
            "steering_policy \"random_steering\" is not one of off, geo, random, dynamic_latency, proximity, least_outstanding_requests, least_connections, \"\"".to_owned(),
        ),
        (json!({"ttl": -1}), "/ttl", "ttl -1 is not in range [0, 604800]".to_owned()),
        (json!({"session_affinity": "sticky"}), "/session_affinity", "session_affinity \"sticky\" is not one of none, cookie, ip_cookie, header".to_owned()),
        (
            json!({"session_affinity": "cookie", "session_affinity_ttl": 60}),
            "/session_affinity_ttl",
            "session_affinity_ttl 60 is not in range [1800, 604800] of session_affinity \"cookie\"".to_owned(),
        ),
        (
            json!({"session_affinity_attributes": {"samesite": "None", "secure": "Never"}}),
            "/session_affinity_attributes",
            "session_affinity_attributes.samesite None excludes session_affinity_attributes.secure Never".to_owned(),
        ),
        (json!({"random_steering": {"default_weight": 2}}), "/random_steering/default_weight", "random_steering.default_weight 2 is not in range [0, 1]".to_owned()),
        (json!({"location_strategy": {"mode": "dns"}}), "/location_strategy/mode", "location_strategy.mode \"dns\" is not one of pop, resolver_ip".to_owned()),
        (json!({"adaptive_routing": {"failover": true}}), "/adaptive_routing/failover", "unknown field \"adaptive_routing.failover\"".to_owned()),
        (json!({"rules": [{"overides": {}}]}), "/rules/0/overides", "unknown field \"rules[0].overides\"; did you mean \"rules[0].overrides\"?".to_owned()),
        (
            json!({"rules": [{"overrides": {"fallback_pool": NOBODY}}]}),
            "/rules/0/overrides/fallback_pool",
            format!("rules[0].overrides.fallback_pool names pool {NOBODY}, which does not exist"),
        ),
        (json!({"pool_sets": [{"name": "s"}]}), "/pool_sets/0", "POOL_SET_NO_INTENT: pool_sets[0] must have overrides.pools or fixed_response".to_owned()),
        (json!({"defaultpools": []}), "/defaultpools", "unknown field \"defaultpools\"; did you mean \"default_pools\"?".to_owned()),
        (json!({"description": "x".repeat(1025)}), "/description", "description has 1025 characters and may have at most 1024".to_owned()),
    ];
    let path = tenant.in_zone("load_balancers");
    for (change, pointer, detail) in cases {
        let found = world.ask(&tenant, "POST", &path, Some(body(&pool, change))).await.refused();
        assert_eq!(found, (400, errors_1002(&[(pointer, &detail)])));
    }
    let empty = world.ask(&tenant, "POST", &path, Some(json!({}))).await.refused();
    let required =
        [("/name", "name is required"), ("/default_pools", "default_pools is required"), ("/fallback_pool", "fallback_pool is required")];
    assert_eq!(empty, (400, errors_1002(&required)));
    assert_eq!(world.ask(&tenant, "GET", &path, None).await.result(), json!([]), "nothing of it was stored");
    world.end().await;
}

#[tokio::test]
async fn putting_back_what_was_got_changes_nothing_byte_for_byte() {
    let world = World::start().await;
    let (tenant, pool) = tenant_with_pool(&world).await;
    let terraform = json!({
        "name": "a.example.com", "enabled": true, "proxied": false, "ttl": 30, "steering_policy": "", "session_affinity": "none",
        "country_pools": {}, "region_pools": {"WNAM": [pool]}, "pop_pools": {},
        "rules": [{"name": "r", "condition": "dns.qry.type == 28", "disabled": false, "priority": 0, "terminates": false,
            "overrides": {"steering_policy": "off", "session_affinity": ""}}],
        "random_steering": {"default_weight": 0.3, "pool_weights": {&*pool: 0.25}},
        "adaptive_routing": {"failover_across_pools": false}, "location_strategy": {"mode": "pop", "prefer_ecs": "proximity"},
    });
    let proxied = json!({"name": "*.example.com", "proxied": true, "session_affinity": "header", "session_affinity_attributes": {"headers": ["x-a"], "drain_duration": 60}});
    let sets = json!({"name": "example.com", "pool_sets": [{"name": "s", "match": {"default": true}, "overrides": {"pools": [pool]}}], "networks": ["cloudflare"], "description": "x"});
    for change in [terraform.clone(), proxied, sets] {
        let made = world.make(&tenant, &tenant.in_zone("load_balancers"), body(&pool, change.clone())).await;
        let path = tenant.in_zone(&format!("load_balancers/{}", id_of(&made)));
        let first = world.ask(&tenant, "GET", &path, None).await;
        for method in ["PUT", "PATCH"] {
            let again = world.ask(&tenant, method, &path, Some(first.body["result"].clone())).await;
            assert_eq!(again.body["result"], first.body["result"], "{method}");
        }
        assert_eq!(world.ask(&tenant, "GET", &path, None).await.text, first.text);
        if change == terraform {
            for (name, value) in terraform.as_object().expect("an object") {
                assert_eq!(&made[name], value, "{name} is echoed");
            }
        }
    }
    world.end().await;
}

#[tokio::test]
async fn put_replaces_patch_merges_and_names_are_unique_in_the_zone() {
    let world = World::start().await;
    let (tenant, pool) = tenant_with_pool(&world).await;
    let made = world
        .make(
            &tenant,
            &tenant.in_zone("load_balancers"),
            body(&pool, json!({"description": "x", "ttl": 60, "region_pools": {"WEU": [pool]}, "pool_sets": []})),
        )
        .await;
    let path = tenant.in_zone(&format!("load_balancers/{}", id_of(&made)));
    let patched =
        world.ask(&tenant, "PATCH", &path, Some(json!({"proxied": true, "region_pools": null, "pool_sets": null}))).await.result();
    assert_eq!((&patched["ttl"], &patched["description"], &patched["pool_sets"]), (&json!(0), &json!("x"), &json!([])));
    assert_eq!(patched.get("region_pools"), None);
    let put = world.ask(&tenant, "PUT", &path, Some(body(&pool, json!({})))).await.result();
    let expected = json!({
        "id": made["id"], "created_on": made["created_on"], "modified_on": put["modified_on"], "zone_name": "example.com", "name": "www.example.com",
        "enabled": true, "proxied": false, "ttl": 30, "default_pools": [pool], "fallback_pool": pool, "steering_policy": "", "session_affinity": "none",
    });
    assert_eq!(put, expected);
    let not_unique = (400, json!([{"code": 1003, "message": "value not unique: name", "source": {"pointer": "/name"}}]));
    let again = world.ask(&tenant, "POST", &tenant.in_zone("load_balancers"), Some(body(&pool, json!({"name": "WWW.Example.com"})))).await;
    assert_eq!(again.refused(), not_unique);
    assert_eq!(world.ask(&tenant, "DELETE", &path, None).await.result(), json!({"id": made["id"]}));
    let gone = (404, json!([{"code": 1001, "message": "load balancer not found"}]));
    assert_eq!(world.ask(&tenant, "DELETE", &path, None).await.refused(), gone);
    world.end().await;
}

#[tokio::test]
async fn a_zone_needs_load_balancing_before_anything_else_is_looked_at() {
    let world = World::start().await;
    let (tenant, pool) = tenant_with_pool(&world).await;
    world.load_balancing(tenant.account, tenant.zone, true, false).await;
    let refused = world.ask(&tenant, "POST", &tenant.in_zone("load_balancers"), Some(json!({"name": 1}))).await.refused();
    let message = "load balancing not enabled for zone: validation failed";
    assert_eq!(refused, (400, json!([{"code": 1002, "message": message}])));
    world.load_balancing(tenant.account, tenant.zone, true, true).await;
    world.make(&tenant, &tenant.in_zone("load_balancers"), body(&pool, json!({}))).await;
    world.end().await;
}

#[tokio::test]
async fn an_account_has_as_many_load_balancers_as_it_may() {
    let world = World::start().await;
    let tenant = world.tenant_with("example.com", Limits { load_balancers: 1, ..LIMITS }).await;
    let pool = id_of(&world.make(&tenant, &tenant.lb("pools"), pool_body("eu", json!({}))).await);
    world.make(&tenant, &tenant.in_zone("load_balancers"), body(&pool, json!({}))).await;
    let refused =
        world.ask(&tenant, "POST", &tenant.in_zone("load_balancers"), Some(body(&pool, json!({"name": "a.example.com"})))).await.refused();
    let message = "Exceeded quota: this account may have at most 1 load balancers, and has 1";
    assert_eq!(refused, (403, json!([{"code": 1004, "message": message}])));
    world.end().await;
}
