//! Load balancers of the account itself: like a zone's, in a place of their own.

use serde_json::{Value, json};

use super::{body, tenant_with_pool};
use crate::world::{World, errors_1002, id_of};

#[tokio::test]
async fn an_account_has_load_balancers_that_need_no_zone() {
    let world = World::start().await;
    let (tenant, pool) = tenant_with_pool(&world).await;
    let path = tenant.of_account("load_balancers");
    assert_eq!(world.ask(&tenant, "GET", &path, None).await.result(), json!([]));
    // What the Terraform provider sends for one: a name that is no domain.
    let asked = json!({
        "name": "Inner-1", "proxied": true, "steering_policy": "geo", "region_pools": {"WNAM": [pool], "SSAM": [pool]},
        "pop_pools": {"LHR": [pool]}, "random_steering": {"default_weight": 1.0},
    });
    let made = world.make(&tenant, &path, body(&pool, asked)).await;
    let expected = json!({
        "id": made["id"], "created_on": made["created_on"], "modified_on": made["created_on"], "name": "inner-1", "enabled": true,
        "proxied": true, "ttl": 0, "default_pools": [pool], "fallback_pool": pool, "region_pools": {"WNAM": [pool], "SSAM": [pool]},
        "pop_pools": {"LHR": [pool]}, "steering_policy": "geo", "session_affinity": "none", "random_steering": {"default_weight": 1.0},
    });
    assert_eq!(made, expected, "and no zone_name");
    let one = tenant.of_account(&format!("load_balancers/{}", id_of(&made)));
    let first = world.ask(&tenant, "GET", &one, None).await;
    assert_eq!(first.body["result"], made);
    for method in ["PUT", "PATCH"] {
        let again = world.ask(&tenant, method, &one, Some(made.clone())).await.result();
        assert_eq!(again, made, "{method}");
    }
    assert_eq!(world.ask(&tenant, "GET", &one, None).await.text, first.text);
    let patched = world.ask(&tenant, "PATCH", &one, Some(json!({"enabled": false, "region_pools": null}))).await.result();
    assert_eq!((&patched["enabled"], patched.get("region_pools")), (&json!(false), None));
    let listed = world.ask(&tenant, "GET", &path, None).await;
    assert_eq!(listed.body["result_info"], json!({"page": 1, "per_page": 1, "count": 1, "total_count": 1, "total_pages": 1}));
    assert_eq!(listed.result(), json!([patched]));
    assert_eq!(world.ask(&tenant, "DELETE", &one, None).await.result(), json!({"id": made["id"]}));
    let gone = (404, json!([{"code": 1001, "message": "load balancer not found"}]));
    assert_eq!(world.ask(&tenant, "GET", &one, None).await.refused(), gone);
    world.end().await;
}

#[tokio::test]
async fn the_account_and_its_zones_do_not_mix() {
    let world = World::start().await;
    let (tenant, pool) = tenant_with_pool(&world).await;
    let (of_account, in_zone) = (tenant.of_account("load_balancers"), tenant.in_zone("load_balancers"));
    let inner = world.make(&tenant, &of_account, body(&pool, json!({}))).await;
    let outer = world.make(&tenant, &in_zone, body(&pool, json!({}))).await;
    assert_eq!((&inner["name"], inner.get("zone_name")), (&outer["name"], None), "one name in two places");
    for (list, own, foreign) in [(&of_account, &inner, &outer), (&in_zone, &outer, &inner)] {
        assert_eq!(world.ask(&tenant, "GET", list, None).await.result(), json!([own]));
        let gone = (404, json!([{"code": 1001, "message": "load balancer not found"}]));
        for method in ["GET", "PATCH", "PUT", "DELETE"] {
            let answer = world.ask(&tenant, method, &format!("{list}/{}", id_of(foreign)), Some(body(&pool, json!({})))).await;
            assert_eq!(answer.refused(), gone, "{method} {list}");
        }
        let again = world.ask(&tenant, "POST", list, Some(body(&pool, json!({})))).await.refused();
        assert_eq!(again, (400, json!([{"code": 1003, "message": "value not unique: name", "source": {"pointer": "/name"}}])));
    }
    world.end().await;
}

#[tokio::test]
async fn what_is_refused_in_a_zone_is_refused_in_the_account() {
    let world = World::start().await;
    let (tenant, pool) = tenant_with_pool(&world).await;
    let path = tenant.of_account("load_balancers");
    for (change, pointer, detail) in [
        (json!({"name": "a b"}), "/name", "invalid hostname: a b"),
        (json!({"name": "*.example.com"}), "/name", "invalid hostname: *.example.com"),
        (json!({"rules": [{}]}), "/rules/0", "rules[0] must have overrides or fixed_response"),
        (json!({"zone": "x"}), "/zone", "unknown field \"zone\""),
    ] {
        let found = world.ask(&tenant, "POST", &path, Some(body(&pool, change))).await.refused();
        assert_eq!(found, (400, errors_1002(&[(pointer, detail)])));
    }
    // The zone's switch is not asked; the account's is, before anything else.
    world.load_balancing(tenant.account, tenant.zone, true, false).await;
    world.make(&tenant, &path, body(&pool, json!({}))).await;
    world.load_balancing(tenant.account, tenant.zone, false, false).await;
    let refused = world.ask(&tenant, "POST", &path, Some(json!({"name": 1}))).await.refused();
    let message = "load balancing not enabled for account: validation failed";
    assert_eq!(refused, (400, json!([{"code": 1002, "message": message}])));
    world.end().await;
}

#[tokio::test]
async fn routes_beside_load_balancers_keep_their_names() {
    let world = World::start().await;
    let (tenant, pool) = tenant_with_pool(&world).await;
    let pools = world.ask(&tenant, "GET", &tenant.lb("pools"), None).await.result();
    assert_eq!(pools.as_array().map(|pools| pools.iter().map(id_of).collect::<Vec<_>>()), Some(vec![pool]));
    assert!(world.ask(&tenant, "GET", &tenant.lb("usage"), None).await.result()["pools"].is_number());
    for (method, below) in [("GET", "poolz"), ("DELETE", "x"), ("GET", "0123")] {
        let (status, errors) = world.ask(&tenant, method, &tenant.lb(below), None).await.refused();
        assert_eq!((status, &errors[0]["code"]), (404, &Value::from(7003)), "{method} {below}");
    }
    assert_eq!(world.ask(&tenant, "DELETE", &tenant.lb("monitors"), None).await.refused().0, 405);
    world.end().await;
}
