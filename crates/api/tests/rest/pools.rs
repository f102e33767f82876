//! Pools and their origins, with the exact body of every refusal.

use quorate_core::region::Region;
use quorate_store::accounts::Limits;
use serde_json::{Value, json};

use crate::world::{LIMITS, Tenant, World, errors_1002, id_of, pool_body, with};

const NOBODY: &str = "0123456789abcdef0123456789abcdef";

async fn refused(world: &World, tenant: &Tenant, body: Value, errors: &[(&str, &str)]) {
    let found = world.ask(tenant, "POST", &tenant.lb("pools"), Some(body)).await.refused();
    assert_eq!(found, (400, errors_1002(errors)));
}

#[tokio::test]
async fn a_pool_gets_every_default_and_keeps_its_origins_in_order() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let origins =
        json!([{"name": "z", "address": "192.0.2.9"}, {"name": "a", "address": "a.example.net", "weight": 0.56, "enabled": false}]);
    let made = world.make(&tenant, &tenant.lb("pools"), json!({"name": "eu", "origins": origins})).await;
    let disabled_at = made["origins"][1]["disabled_at"].clone();
    assert!(disabled_at.is_string());
    let expected = json!({
        "id": made["id"], "created_on": made["created_on"], "modified_on": made["created_on"],
        "name": "eu", "description": "", "enabled": true, "minimum_origins": 1, "check_regions": null,
        "origins": [
            {"name": "z", "address": "192.0.2.9", "enabled": true, "weight": 1, "port": 0},
            {"name": "a", "address": "a.example.net", "enabled": false, "disabled_at": disabled_at, "weight": 0.56, "port": 0},
        ],
        "notification_email": "",
    });
    assert_eq!(made, expected);
    world.end().await;
}

#[tokio::test]
async fn each_bad_field_is_refused_with_its_pointer_its_value_and_what_is_legal() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let origin = |change: Value| json!({"origins": [with(json!({"name": "a", "address": "192.0.2.1"}), change)]});
    let six: Vec<Value> = (0..6).map(|n| json!({"name": format!("o{n}"), "address": format!("192.0.2.{n}")})).collect();
    let name = "must be 1 to 100 of letters, digits, \"-\" and \"_\"";
    let id = "is not an identifier of 32 lower-case hexadecimal characters";
    let cases = [
        (json!({"name": "a b"}), "/name", format!("name \"a b\" {name}")),
        (json!({"name": ""}), "/name", format!("name \"\" {name}")),
        (json!({"name": 5}), "/name", "name 5 is not a string".to_owned()),
        (json!({"name": null}), "/name", "name null is not a string".to_owned()),
        (json!({"origins": []}), "/origins", "the origin list length must be in range [1, 5]".to_owned()),
        (json!({"origins": six}), "/origins", "the origin list length must be in range [1, 5]".to_owned()),
        (json!({"origins": {}}), "/origins", "origins {} is not an array".to_owned()),
        (json!({"origins": null}), "/origins", "origins null is not an array".to_owned()),
        (json!({"origins": ["a"]}), "/origins/0", "origins[0] \"a\" is not an object".to_owned()),
        (json!({"enabled": null}), "/enabled", "enabled null is not true or false".to_owned()),
        (json!({"minimum_origins": -1}), "/minimum_origins", "minimum_origins -1 is not in range [0, 1000000]".to_owned()),
        (json!({"monitor": "x"}), "/monitor", format!("monitor \"x\" {id}")),
        (json!({"monitor": NOBODY}), "/monitor", format!("monitor {NOBODY} does not exist")),
        (
            json!({"check_regions": ["EU"]}),
            "/check_regions",
            "check_regions \"EU\" is not one of WNAM, ENAM, WEU, EEU, NSAM, SSAM, OC, ME, NAF, SAF, SAS, SEAS, NEAS, ALL_REGIONS"
                .to_owned(),
        ),
        (json!({"check_regions": []}), "/check_regions", "check_regions must name at least 1 region, or be null for all PoPs".to_owned()),
        (json!({"check_regions": "WEU"}), "/check_regions", "check_regions \"WEU\" is not an array".to_owned()),
        (json!({"latitude": 91, "longitude": 0}), "/latitude", "latitude 91 is not in range [-90, 90]".to_owned()),
        (json!({"latitude": 1.5}), "/longitude", "longitude is required where latitude is given".to_owned()),
        (json!({"health_sources": ["local"]}), "/health_sources", "health_sources must be null or [\"regional\", \"global\"]".to_owned()),
        (
            json!({"load_shedding": {"default_percent": 101}}),
            "/load_shedding/default_percent",
            "load_shedding.default_percent 101 is not in range [0, 100]".to_owned(),
        ),
        (json!({"minimum_origin": 1}), "/minimum_origin", "unknown field \"minimum_origin\"; did you mean \"minimum_origins\"?".to_owned()),
        (
            origin(json!({"weight": 0.555})),
            "/origins/0/weight",
            "origins[0].weight 0.555 is not in range [0, 1] in steps of 0.01".to_owned(),
        ),
        (origin(json!({"weight": 1.5})), "/origins/0/weight", "origins[0].weight 1.5 is not in range [0, 1]".to_owned()),
        (origin(json!({"port": 70_000})), "/origins/0/port", "origins[0].port 70000 is not in range [0, 65535]".to_owned()),
        (
            origin(json!({"address": "http://a.example"})),
            "/origins/0/address",
            "origin address \"http://a.example\" is not an IPv4 address, an IPv6 address or a host name".to_owned(),
        ),
        (origin(json!({"name": null})), "/origins/0/name", "origins[0].name null is not a string".to_owned()),
        (origin(json!({"virtual_network_id": "x"})), "/origins/0/virtual_network_id", "virtual_network_id \"x\" is not a UUID".to_owned()),
        (
            origin(json!({"header": {"Host": []}})),
            "/origins/0/header/Host",
            "origins[0].header.Host has 0 values and must have exactly 1".to_owned(),
        ),
        (origin(json!({"header": {"Accept": ["x"]}})), "/origins/0/header/Accept", "unknown field \"origins[0].header.Accept\"".to_owned()),
        (
            origin(json!({"adress": "x"})),
            "/origins/0/adress",
            "unknown field \"origins[0].adress\"; did you mean \"origins[0].address\"?".to_owned(),
        ),
    ];
    for (change, pointer, detail) in cases {
        refused(&world, &tenant, pool_body("eu", change), &[(pointer, &detail)]).await;
    }
    refused(&world, &tenant, json!({}), &[("/name", "name is required"), ("/origins", "origins is required")]).await;
    assert_eq!(world.ask(&tenant, "GET", &tenant.lb("pools"), None).await.result(), json!([]), "nothing of it was stored");
    world.end().await;
}

#[tokio::test]
async fn what_is_kept_and_not_executed_is_checked_all_the_same() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let origin = |change: Value| json!({"origins": [with(json!({"name": "a", "address": "192.0.2.1"}), change)]});
    let cases = [
        (json!({"latitude": 0, "longitude": -181}), "/longitude", "longitude -181 is not in range [-180, 180]"),
        (json!({"longitude": 1.5}), "/latitude", "latitude is required where longitude is given"),
        (json!({"check_regions": ["WEU", "WEU"]}), "/check_regions", "check_regions names \"WEU\" twice"),
        (json!({"health_sources": ["regional", "global"]}), "/health_sources", "health_sources needs at least 1 region in check_regions"),
        (json!({"description": "x".repeat(1025)}), "/description", "description has 1025 characters and may have at most 1024"),
        (
            json!({"notification_email": "x".repeat(1025)}),
            "/notification_email",
            "notification_email has 1025 characters and may have at most 1024",
        ),
        (
            json!({"origin_steering": {"policy": "round_robin"}}),
            "/origin_steering/policy",
            "origin_steering.policy \"round_robin\" is not one of random, hash, least_outstanding_requests, least_connections",
        ),
        (
            json!({"load_shedding": {"session_policy": "random"}}),
            "/load_shedding/session_policy",
            "load_shedding.session_policy \"random\" is not one of hash",
        ),
        (
            json!({"notification_filter": {"pool": {"disable": "no"}}}),
            "/notification_filter/pool/disable",
            "notification_filter.pool.disable \"no\" is not true or false",
        ),
        (json!({"origins": [{"name": "a"}]}), "/origins/0/address", "origins[0].address is required"),
        (
            origin(json!({"name": "a/b"})),
            "/origins/0/name",
            "origin name \"a/b\" must be 1 to 100 of letters, digits, \"-\", \"_\", \".\" and spaces",
        ),
    ];
    for (change, pointer, detail) in cases {
        refused(&world, &tenant, pool_body("eu", change), &[(pointer, detail)]).await;
    }
    world.end().await;
}

#[tokio::test]
async fn a_host_header_belongs_to_a_zone_of_the_account_or_is_the_address() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let other = world.tenant("other.example").await;
    let pool = |name: &str, host: &str| json!({"name": name, "origins": [{"name": "a", "address": "origin.example.net", "header": {"Host": [host]}}]});
    for (number, host) in ["example.com", "www.example.com", "origin.example.net"].into_iter().enumerate() {
        let made = world.make(&tenant, &tenant.lb("pools"), pool(&format!("p{number}"), host)).await;
        assert_eq!(made["origins"][0]["header"], json!({"Host": [host]}));
    }
    for host in ["www.other.example", "a.b.example.com", "www.example.com.", "example.net"] {
        let detail = format!("Host header \"{host}\" not allowed for origin domain \"origin.example.net\"");
        refused(&world, &tenant, pool("x", host), &[("/origins/0/header/Host", &detail)]).await;
    }
    world.make(&other, &other.lb("pools"), pool("x", "www.other.example")).await;
    world.end().await;
}

#[tokio::test]
async fn names_and_addresses_may_not_repeat() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let two = |second: Value| json!({"origins": [{"name": "a", "address": "192.0.2.1"}, second]});
    refused(
        &world,
        &tenant,
        pool_body("eu", two(json!({"name": "a", "address": "192.0.2.2"}))),
        &[("/origins/1/name", "origin name \"a\" is that of origins[0] and must be unique in the pool")],
    )
    .await;
    refused(
        &world,
        &tenant,
        pool_body("eu", two(json!({"name": "b", "address": "192.0.2.1"}))),
        &[("/origins/1/address", "origin address \"192.0.2.1\" is that of origins[0]: the port or the virtual network must differ")],
    )
    .await;
    world.make(&tenant, &tenant.lb("pools"), pool_body("eu", two(json!({"name": "b", "address": "192.0.2.1", "port": 8080})))).await;
    let not_unique = (400, json!([{"code": 1003, "message": "value not unique: name", "source": {"pointer": "/name"}}]));
    assert_eq!(world.ask(&tenant, "POST", &tenant.lb("pools"), Some(pool_body("eu", json!({})))).await.refused(), not_unique);
    let second = id_of(&world.make(&tenant, &tenant.lb("pools"), pool_body("us", json!({}))).await);
    let renamed = world.ask(&tenant, "PATCH", &tenant.lb(&format!("pools/{second}")), Some(json!({"name": "eu"}))).await;
    assert_eq!(renamed.refused(), not_unique);
    let other = world.tenant("other.example").await;
    world.make(&other, &other.lb("pools"), pool_body("eu", json!({}))).await;
    world.end().await;
}

#[tokio::test]
async fn put_replaces_patch_merges_and_disabling_is_dated() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let monitor = id_of(&world.make(&tenant, &tenant.lb("monitors"), json!({})).await);
    let full = json!({
        "monitor": monitor, "check_regions": ["WEU", "ENAM"], "minimum_origins": 0, "description": "x", "latitude": 52.5, "longitude": 13,
        "origin_steering": {"policy": "random"}, "load_shedding": {"default_percent": 0, "default_policy": "random", "session_percent": 0, "session_policy": "hash"},
        "notification_filter": {"pool": {"healthy": false, "disable": false}}, "notification_email": "a@example.com", "health_sources": ["regional", "global"],
    });
    let made = world.make(&tenant, &tenant.lb("pools"), pool_body("eu", full.clone())).await;
    for (name, value) in full.as_object().expect("an object") {
        assert_eq!(&made[name], value, "{name} is echoed");
    }
    let path = tenant.lb(&format!("pools/{}", id_of(&made)));
    let off = world.ask(&tenant, "PATCH", &path, Some(json!({"enabled": false}))).await.result();
    assert!(off["disabled_at"].is_string());
    assert_eq!((&off["monitor"], &off["origins"]), (&json!(monitor), &made["origins"]));
    let on = world.ask(&tenant, "PATCH", &path, Some(json!({"enabled": true, "monitor": null, "check_regions": null, "health_sources": null, "latitude": null, "longitude": null}))).await.result();
    let absent = ["disabled_at", "monitor", "latitude", "longitude", "health_sources"];
    assert!(absent.iter().all(|name| on.get(*name).is_none()) && on["check_regions"].is_null(), "{on}");
    let put = world.ask(&tenant, "PUT", &path, Some(pool_body("eu", json!({})))).await.result();
    let expected = json!({
        "id": made["id"], "created_on": made["created_on"], "modified_on": put["modified_on"], "name": "eu", "description": "", "enabled": true,
        "minimum_origins": 1, "check_regions": null, "notification_email": "",
        "origins": [{"name": "a", "address": "192.0.2.1", "enabled": true, "weight": 1, "port": 0}],
    });
    assert_eq!(put, expected, "what is omitted returns to its default");
    let incomplete = world.ask(&tenant, "PUT", &path, Some(json!({"description": "y"}))).await.refused();
    assert_eq!(incomplete, (400, errors_1002(&[("/name", "name is required"), ("/origins", "origins is required")])));
    world.end().await;
}

#[tokio::test]
async fn putting_back_what_was_got_changes_nothing_byte_for_byte() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let terraform = json!({
        "enabled": true, "minimum_origins": 1, "notification_email": "", "description": "", "monitor": null, "check_regions": null,
        "origins": [{
            "name": "a", "address": "192.0.2.1", "enabled": true, "weight": 1, "port": 0, "flatten_cname": true,
            "virtual_network_id": "a5624d4e-044a-4ff0-b3e1-e2465353d4b4", "header": {"Host": ["www.example.com"]},
        }],
        "load_shedding": {"default_percent": 0, "default_policy": "random", "session_percent": 0.5, "session_policy": "hash"},
    });
    let disabled = json!({"enabled": false, "origins": [{"name": "a", "address": "2001:db8::1", "enabled": false, "weight": 0.29}]});
    let placed = json!({"latitude": 51.248_178_375_505_404, "longitude": -93.311_370_376_880_33, "check_regions": ["ALL_REGIONS"], "minimum_origins": 0});
    for (number, change) in [terraform.clone(), disabled, placed].into_iter().enumerate() {
        let made = world.make(&tenant, &tenant.lb("pools"), pool_body(&format!("p{number}"), change)).await;
        let path = tenant.lb(&format!("pools/{}", id_of(&made)));
        let first = world.ask(&tenant, "GET", &path, None).await;
        for method in ["PUT", "PATCH"] {
            let again = world.ask(&tenant, method, &path, Some(first.body["result"].clone())).await;
            assert_eq!(again.body["result"].to_string(), first.body["result"].to_string(), "{method}");
        }
        assert_eq!(world.ask(&tenant, "GET", &path, None).await.text, first.text);
        if number == 2 {
            assert!(
                first.text.contains("51.248178375505404") && first.text.contains("-93.31137037688033"),
                "to the last digit: {}",
                first.text
            );
        }
        if number == 0 {
            assert_eq!(made["origins"], terraform["origins"], "what the provider sends is echoed");
        }
    }
    world.end().await;
}

#[tokio::test]
async fn regions_without_workers_are_named_in_messages() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    world.pop("lhr", Region::Weu, "London", "GB").await;
    let message = |answer: &crate::world::Answer| answer.body["messages"].clone();
    let both = world.ask(&tenant, "POST", &tenant.lb("pools"), Some(pool_body("a", json!({"check_regions": ["WEU", "OC"]})))).await;
    let text = "No workers are registered in OC: such a region counts and cannot vote.";
    assert_eq!(message(&both), json!([{"code": 1100, "message": text}]));
    let path = tenant.lb(&format!("pools/{}", id_of(&both.result())));
    let covered = world.ask(&tenant, "PATCH", &path, Some(json!({"check_regions": ["WEU"]}))).await;
    assert_eq!(message(&covered), json!([]));
    let everywhere = world.ask(&tenant, "PATCH", &path, Some(json!({"check_regions": null}))).await;
    assert_eq!(message(&everywhere), json!([]));
    world.end().await;
}

#[tokio::test]
async fn pools_of_a_monitor_are_found_by_it() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let monitor = id_of(&world.make(&tenant, &tenant.lb("monitors"), json!({})).await);
    let with_it = id_of(&world.make(&tenant, &tenant.lb("pools"), pool_body("a", json!({"monitor": monitor}))).await);
    world.make(&tenant, &tenant.lb("pools"), pool_body("b", json!({"monitor": ""}))).await;
    let found = world.ask(&tenant, "GET", &tenant.lb(&format!("pools?monitor={monitor}")), None).await;
    assert_eq!(found.body["result_info"]["total_count"], 1);
    assert_eq!(id_of(&found.result()[0]), with_it);
    assert_eq!(world.ask(&tenant, "GET", &tenant.lb(&format!("pools?monitor={NOBODY}")), None).await.result(), json!([]));
    let malformed = world.ask(&tenant, "GET", &tenant.lb("pools?monitor=x"), None).await.refused();
    let message = "monitor \"x\" is not an identifier of 32 lower-case hexadecimal characters: validation failed";
    assert_eq!(malformed, (400, json!([{"code": 1002, "message": message}])));
    world.end().await;
}

#[tokio::test]
async fn a_pool_in_use_cannot_be_deleted_and_every_place_is_named() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let kept = id_of(&world.make(&tenant, &tenant.lb("pools"), pool_body("kept", json!({}))).await);
    let used = id_of(&world.make(&tenant, &tenant.lb("pools"), pool_body("used", json!({}))).await);
    let path = tenant.lb(&format!("pools/{used}"));
    let places = [
        (json!({"default_pools": [kept, used]}), "default_pools"),
        (json!({"fallback_pool": used}), "fallback_pool"),
        // Of a policy that is off all the same.
        (json!({"steering_policy": "off", "region_pools": {"WNAM": [used]}}), "region_pools.WNAM"),
        (json!({"steering_policy": "off", "country_pools": {"DE": [used]}}), "country_pools.DE"),
        (json!({"steering_policy": "off", "pop_pools": {"LAX": [used]}}), "pop_pools.LAX"),
        (json!({"rules": [{"name": "r", "overrides": {"default_pools": [used]}}]}), "rules[0].overrides.default_pools"),
        (
            json!({"rules": [{"name": "r", "disabled": true, "overrides": {"region_pools": {"WEU": [used]}}}]}),
            "rules[0].overrides.region_pools.WEU",
        ),
        (json!({"pool_sets": [{"name": "s", "overrides": {"pools": [used]}}]}), "pool_sets[0].overrides.pools"),
    ];
    for (change, place) in places {
        let body = with(json!({"name": "www.example.com", "default_pools": [kept], "fallback_pool": kept}), change);
        let balancer = id_of(&world.make(&tenant, &tenant.in_zone("load_balancers"), body).await);
        let message = format!(
            "This object is referenced by other objects, delete them first. load_balancer \"www.example.com\" ({balancer}) in {place}"
        );
        assert_eq!(world.ask(&tenant, "DELETE", &path, None).await.refused(), (412, json!([{"code": 1005, "message": message}])));
        world.ask(&tenant, "DELETE", &tenant.in_zone(&format!("load_balancers/{balancer}")), None).await.result();
    }
    assert_eq!(world.ask(&tenant, "DELETE", &path, None).await.result(), json!({"id": used}));
    let gone = (404, json!([{"code": 1001, "message": "pool not found"}]));
    assert_eq!(world.ask(&tenant, "GET", &path, None).await.refused(), gone);
    world.end().await;
}

#[tokio::test]
async fn an_account_has_as_many_pools_and_origins_as_it_may() {
    let world = World::start().await;
    let tenant = world.tenant_with("example.com", Limits { pools: 2, origins: 3, ..LIMITS }).await;
    let create = |name: &str, origins: usize| {
        let origins: Vec<Value> = (0..origins).map(|n| json!({"name": format!("o{n}"), "address": format!("192.0.2.{n}")})).collect();
        let body = pool_body(name, json!({"origins": origins}));
        let (world, tenant) = (&world, &tenant);
        async move { world.ask(tenant, "POST", &tenant.lb("pools"), Some(body)).await }
    };
    create("a", 2).await.result();
    let quota = |what: &str| (403, json!([{"code": 1004, "message": format!("Exceeded quota: this account may have at most {what}")}]));
    assert_eq!(create("b", 2).await.refused(), quota("3 origins, and has 2"));
    create("b", 1).await.result();
    assert_eq!(create("c", 1).await.refused(), quota("2 pools, and has 2"));
    let usage = world.ask(&tenant, "GET", &tenant.lb("usage"), None).await.result();
    let expected = json!({
        "load_balancers": 0, "monitors": 0, "origins": 3, "pools": 2, "max_origins_per_pool": 5, "minimum_monitor_interval": 10, "healthchecks": 0,
        "limits": {"load_balancers": 20, "monitors": 30, "origins": 3, "pools": 2, "healthchecks": 20},
    });
    assert_eq!(usage, expected);
    world.end().await;
}

#[tokio::test]
async fn of_fifty_creates_at_once_exactly_one_takes_the_last_place() {
    let world = World::start().await;
    let tenant = world.tenant_with("example.com", Limits { pools: 1, ..LIMITS }).await;
    let path = tenant.lb("pools");
    let creates = (0..50).map(|number| world.ask(&tenant, "POST", &path, Some(pool_body(&format!("p{number}"), json!({})))));
    let mut statuses: Vec<u16> = futures_util::future::join_all(creates).await.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!((statuses[0], &statuses[1..]), (200, &[403; 49][..]));
    world.end().await;
}

#[tokio::test]
async fn the_addresses_for_notices_of_all_pools_are_emptied_at_once() {
    let world = World::start().await;
    let (tenant, other) = (world.tenant("example.com").await, world.tenant("example.org").await);
    let mail = json!({"notification_email": "ops@example.com"});
    let first = world.make(&tenant, &tenant.lb("pools"), pool_body("a", mail.clone())).await;
    let quiet = world.make(&tenant, &tenant.lb("pools"), pool_body("b", json!({}))).await;
    let foreign = world.make(&other, &other.lb("pools"), pool_body("a", mail.clone())).await;
    for (body, pointer, detail) in [
        (json!({}), "/notification_email", "notification_email is required"),
        (mail, "/notification_email", "notification_email \"ops@example.com\" is not one of \"\""),
        (json!({"notification_email": "", "enabled": false}), "/enabled", "unknown field \"enabled\""),
    ] {
        let found = world.ask(&tenant, "PATCH", &tenant.lb("pools"), Some(body)).await.refused();
        assert_eq!(found, (400, errors_1002(&[(pointer, detail)])));
    }
    for path in [tenant.lb("pools"), "/user/load_balancers/pools".to_owned()] {
        let patched = world.ask(&tenant, "PATCH", &path, Some(json!({"notification_email": ""}))).await;
        assert_eq!(patched.body["result_info"]["total_count"], 2);
        let patched = patched.result();
        assert_eq!(world.ask(&tenant, "GET", &path, None).await.result(), patched);
        assert_eq!((&patched[0]["id"], &patched[0]["notification_email"]), (&first["id"], &json!("")));
        assert!(patched[0]["modified_on"].as_str() > first["modified_on"].as_str());
        assert_eq!(patched[1], quiet, "what had none is as it was");
    }
    assert_eq!(world.ask(&other, "GET", &other.lb(&format!("pools/{}", id_of(&foreign))), None).await.result(), foreign);
    world.end().await;
}
