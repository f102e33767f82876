//! Load balancers of a zone: made, changed, listed, and what they need.

mod of_account;
mod refusals;
mod round_trip;

use quorate_store::accounts::Limits;
use serde_json::{Value, json};

use crate::world::{LIMITS, Tenant, World, id_of, pool_body, with};

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
