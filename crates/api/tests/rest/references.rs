//! References, the guards of deletion, and the search, over one set of objects.

use serde_json::{Value, json};

use crate::world::{Tenant, World, id_of, pool_body};

async fn named_monitor(world: &World, tenant: &Tenant, description: &str) -> String {
    id_of(&world.make(tenant, &tenant.lb("monitors"), json!({"description": description})).await)
}

async fn named_pool(world: &World, tenant: &Tenant, name: &str, change: Value) -> String {
    id_of(&world.make(tenant, &tenant.lb("pools"), pool_body(name, change)).await)
}

fn reference(kind: &str, resource_type: &str, id: &str, name: &str) -> Value {
    json!({"reference_type": kind, "resource_id": id, "resource_name": name, "resource_type": resource_type})
}

/// Status and errors of the guard, for referrers as the message names them.
fn referenced(by: &[String]) -> (u16, Value) {
    let message = format!("This object is referenced by other objects, delete them first. {}", by.join(", "));
    (412, json!([{"code": 1005, "message": message}]))
}

#[tokio::test]
async fn a_monitor_tells_its_pools_and_cannot_go_before_them() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let monitor = named_monitor(&world, &tenant, "login page").await;
    let lonely = named_monitor(&world, &tenant, "").await;
    let pool = named_pool(&world, &tenant, "eu", json!({"monitor": monitor})).await;
    let disabled = named_pool(&world, &tenant, "us", json!({"monitor": monitor, "enabled": false})).await;
    let expected = json!([reference("referrer", "pool", &pool, "eu"), reference("referrer", "pool", &disabled, "us")]);
    for below in [tenant.lb(""), "/user/load_balancers/".to_owned()] {
        let found = world.ask(&tenant, "GET", &format!("{below}monitors/{monitor}/references"), None).await;
        assert_eq!(found.body["result_info"], json!({"page": 1, "per_page": 2, "count": 2, "total_count": 2, "total_pages": 1}));
        assert_eq!(found.result(), expected);
        let none = world.ask(&tenant, "GET", &format!("{below}monitors/{lonely}/references"), None).await.result();
        assert_eq!(none, json!([]));
    }
    let second = world.ask(&tenant, "GET", &tenant.lb(&format!("monitors/{monitor}/references?page=2&per_page=1")), None).await.result();
    assert_eq!(second, json!([expected[1]]));
    let guard = referenced(&[format!("pool \"eu\" ({pool}) in monitor"), format!("pool \"us\" ({disabled}) in monitor")]);
    assert_eq!(world.ask(&tenant, "DELETE", &tenant.lb(&format!("monitors/{monitor}")), None).await.refused(), guard);
    for pool in [&pool, &disabled] {
        world.ask(&tenant, "DELETE", &tenant.lb(&format!("pools/{pool}")), None).await.result();
    }
    assert_eq!(world.ask(&tenant, "DELETE", &tenant.lb(&format!("monitors/{monitor}")), None).await.result(), json!({"id": monitor}));
    world.end().await;
}

#[tokio::test]
async fn a_pool_tells_its_load_balancers_and_its_monitor() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let monitor = named_monitor(&world, &tenant, "login page").await;
    let pool = named_pool(&world, &tenant, "eu", json!({"monitor": monitor})).await;
    let body = |name: &str| json!({"name": name, "default_pools": [pool], "fallback_pool": pool, "region_pools": {"WEU": [pool]}});
    let outer = id_of(&world.make(&tenant, &tenant.in_zone("load_balancers"), body("www.example.com")).await);
    let inner = id_of(&world.make(&tenant, &tenant.of_account("load_balancers"), body("inner")).await);
    let found = world.ask(&tenant, "GET", &tenant.lb(&format!("pools/{pool}/references")), None).await.result();
    let expected = json!([
        reference("referrer", "load_balancer", &outer, "www.example.com"),
        reference("referrer", "load_balancer", &inner, "inner"),
        reference("referral", "monitor", &monitor, "login page"),
    ]);
    assert_eq!(found, expected, "each once, in however many places it names the pool");
    world.end().await;
}

/// What is put into a load balancer to name the pool in one place, and what the guard calls that place.
type Place = (fn(&str) -> Value, &'static str);

/// Every place that can name a pool, policies that are not in force and what is disabled included.
const PLACES: [Place; 17] = [
    (|pool| json!({"default_pools": [pool]}), "default_pools"),
    (|pool| json!({"fallback_pool": pool}), "fallback_pool"),
    (|pool| json!({"steering_policy": "off", "region_pools": {"WNAM": [pool]}}), "region_pools.WNAM"),
    (|pool| json!({"steering_policy": "off", "country_pools": {"GB": [pool]}}), "country_pools.GB"),
    (|pool| json!({"steering_policy": "off", "pop_pools": {"LHR": [pool]}}), "pop_pools.LHR"),
    (|pool| json!({"random_steering": {"pool_weights": {pool: 0.5}}}), "random_steering.pool_weights"),
    (|pool| json!({"rules": [{"overrides": {"default_pools": [pool]}}]}), "rules[0].overrides.default_pools"),
    (|pool| json!({"rules": [{"overrides": {"fallback_pool": pool}}]}), "rules[0].overrides.fallback_pool"),
    (|pool| json!({"rules": [{"overrides": {}}, {"overrides": {"region_pools": {"WEU": [pool]}}}]}), "rules[1].overrides.region_pools.WEU"),
    (|pool| json!({"rules": [{"overrides": {"country_pools": {"DE": [pool]}}}]}), "rules[0].overrides.country_pools.DE"),
    (|pool| json!({"rules": [{"disabled": true, "overrides": {"pop_pools": {"FRA": [pool]}}}]}), "rules[0].overrides.pop_pools.FRA"),
    (|pool| json!({"rules": [{"overrides": {"pools": [pool]}}]}), "rules[0].overrides.pools"),
    (|pool| json!({"rules": [{"overrides": {"pool_weights": {pool: 1}}}]}), "rules[0].overrides.pool_weights"),
    (
        |pool| json!({"rules": [{"overrides": {"random_steering": {"pool_weights": {pool: 1}}}}]}),
        "rules[0].overrides.random_steering.pool_weights",
    ),
    (|pool| json!({"pool_sets": [{"disabled": true, "overrides": {"pools": [pool]}}]}), "pool_sets[0].overrides.pools"),
    (
        |pool| json!({"pool_sets": [{"overrides": {"fallback_pool": pool}, "fixed_response": {"status_code": 503}}]}),
        "pool_sets[0].overrides.fallback_pool",
    ),
    (
        |pool| json!({"pool_sets": [{"overrides": {"pool_weights": {pool: 1}}, "fixed_response": {"status_code": 503}}]}),
        "pool_sets[0].overrides.pool_weights",
    ),
];

#[tokio::test]
async fn a_pool_cannot_go_while_any_place_names_it() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let other = named_pool(&world, &tenant, "other", json!({})).await;
    let pool = named_pool(&world, &tenant, "guarded", json!({})).await;
    let path = tenant.lb(&format!("pools/{pool}"));
    let plain = json!({"name": "www.example.com", "default_pools": [other], "fallback_pool": other});
    for list in [tenant.in_zone("load_balancers"), tenant.of_account("load_balancers")] {
        for (change, place) in PLACES {
            let balancer = id_of(&world.make(&tenant, &list, crate::world::with(plain.clone(), change(&pool))).await);
            let guard = referenced(&[format!("load_balancer \"www.example.com\" ({balancer}) in {place}")]);
            assert_eq!(world.ask(&tenant, "DELETE", &path, None).await.refused(), guard);
            let references = world.ask(&tenant, "GET", &format!("{path}/references"), None).await.result();
            assert_eq!(references, json!([reference("referrer", "load_balancer", &balancer, "www.example.com")]), "{place}");
            // What is replaced names it no more; then nothing holds the pool.
            world.ask(&tenant, "PUT", &format!("{list}/{balancer}"), Some(plain.clone())).await.result();
            let references = world.ask(&tenant, "GET", &format!("{path}/references"), None).await.result();
            assert_eq!(references, json!([]), "{place}");
            world.ask(&tenant, "DELETE", &format!("{list}/{balancer}"), None).await.result();
        }
    }
    assert_eq!(world.ask(&tenant, "DELETE", &path, None).await.result(), json!({"id": pool}));
    world.end().await;
}

#[tokio::test]
async fn every_referrer_is_named_with_all_its_places() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let pool = named_pool(&world, &tenant, "eu", json!({})).await;
    let body = |name: &str| json!({"name": name, "default_pools": [pool], "fallback_pool": pool});
    let first = id_of(&world.make(&tenant, &tenant.in_zone("load_balancers"), body("a.example.com")).await);
    let second = id_of(&world.make(&tenant, &tenant.of_account("load_balancers"), body("b")).await);
    let place = |name: &str, id: &str, place: &str| format!("load_balancer {name:?} ({id}) in {place}");
    let guard = referenced(&[
        place("a.example.com", &first, "default_pools"),
        place("a.example.com", &first, "fallback_pool"),
        place("b", &second, "default_pools"),
        place("b", &second, "fallback_pool"),
    ]);
    assert_eq!(world.ask(&tenant, "DELETE", &tenant.lb(&format!("pools/{pool}")), None).await.refused(), guard);
    world.end().await;
}

#[tokio::test]
async fn a_search_finds_by_part_of_a_name_or_by_id() {
    let world = World::start().await;
    let (tenant, other) = (world.tenant("example.com").await, world.tenant("example.org").await);
    named_pool(&world, &other, "primary-of-another", json!({})).await;
    let monitor = named_monitor(&world, &tenant, "Primary login").await;
    let pool = named_pool(&world, &tenant, "primary-dc-1", json!({"monitor": monitor})).await;
    let spare = named_pool(&world, &tenant, "spare_100", json!({})).await;
    let body = json!({"name": "primary.example.com", "default_pools": [pool], "fallback_pool": spare});
    let balancer = id_of(&world.make(&tenant, &tenant.in_zone("load_balancers"), body).await);
    let found = |query: &str| {
        let (world, tenant, path) = (&world, &tenant, tenant.lb(&format!("search{query}")));
        async move {
            let answer = world.ask(tenant, "GET", &path, None).await;
            let info = answer.body["result_info"].clone();
            (answer.result()["resources"].clone(), info)
        }
    };
    let ids = |resources: &Value| -> Vec<String> {
        resources.as_array().expect("a list").iter().map(|found| found["resource_id"].as_str().expect("an id").to_owned()).collect()
    };
    let (all, info) = found("").await;
    assert_eq!(ids(&all), [&*balancer, &pool, &spare, &monitor], "by kind, then in creation order");
    assert_eq!(info, json!({"page": 1, "per_page": 4, "count": 4, "total_count": 4, "total_pages": 1}));
    let (primary, _) = found("?query=PRIMARY").await;
    let resource = |kind: &str, id: &str, name: &str| json!({"resource_id": id, "resource_name": name, "resource_type": kind});
    let expected = json!([
        resource("load_balancer", &balancer, "primary.example.com"),
        resource("pool", &pool, "primary-dc-1"),
        resource("monitor", &monitor, "Primary login"),
    ]);
    assert_eq!(primary, expected);
    assert_eq!(ids(&found(&format!("?query={spare}")).await.0), [&*spare], "by its whole id");
    assert_eq!(ids(&found("?query=e_1").await.0), [&*spare], "no letter stands for another");
    assert_eq!(found("?query=nothing").await.0, json!([]));
    let (second, info) = found("?query=primary&page=2&per_page=1").await;
    assert_eq!(ids(&second), [&*pool]);
    assert_eq!(info, json!({"page": 2, "per_page": 1, "count": 1, "total_count": 3, "total_pages": 3}));
    world.end().await;
}

#[tokio::test]
async fn a_search_tells_references_as_far_as_they_are_asked_for() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let monitor = named_monitor(&world, &tenant, "login").await;
    let pool = named_pool(&world, &tenant, "eu", json!({"monitor": monitor})).await;
    let body = json!({"name": "www.example.com", "default_pools": [pool], "fallback_pool": pool});
    let balancer = id_of(&world.make(&tenant, &tenant.in_zone("load_balancers"), body).await);
    let by = reference("referrer", "load_balancer", &balancer, "www.example.com");
    let of = reference("referral", "monitor", &monitor, "login");
    for (asked, expected) in [("*", json!([by, of])), ("referrer", json!([by])), ("referral", json!([of]))] {
        let path = tenant.lb(&format!("search?query=eu&references={asked}"));
        let found = world.ask(&tenant, "GET", &path, None).await.result();
        assert_eq!(found["resources"][0]["references"], expected, "{asked}");
    }
    let lonely = world.ask(&tenant, "GET", &tenant.lb("search?query=www&references=referrer"), None).await.result();
    assert_eq!(lonely["resources"][0]["references"], json!([]));
    let refused = world.ask(&tenant, "GET", &tenant.lb("search?references=all"), None).await.refused();
    let message = "references \"all\" is not one of \"\", *, referral, referrer: validation failed";
    assert_eq!(refused, (400, json!([{"code": 1002, "message": message}])));
    world.end().await;
}
