//! The exact body of every refusal.

use serde_json::{Value, json};

use super::{body, tenant_with_pool};
use crate::world::{World, errors_1002};

const NOBODY: &str = "0123456789abcdef0123456789abcdef";
const NOT_AN_ID: &str = "is not an identifier of 32 lower-case hexadecimal characters";

/// A change of a legal body, the pointer to what is wrong with it, and what the answer says of that.
type Case = (Value, String, String);

/// Each case is refused with one error, and nothing is stored.
async fn check(cases: impl FnOnce(&str) -> Vec<Case>) {
    let world = World::start().await;
    let (tenant, pool) = tenant_with_pool(&world).await;
    let path = tenant.in_zone("load_balancers");
    for (change, pointer, detail) in cases(&pool) {
        let found = world.ask(&tenant, "POST", &path, Some(body(&pool, change.clone()))).await.refused();
        assert_eq!(found, (400, errors_1002(&[(&pointer, &detail)])), "{change}");
    }
    assert_eq!(world.ask(&tenant, "GET", &path, None).await.result(), json!([]), "nothing of it was stored");
    world.end().await;
}

fn case(change: Value, pointer: impl Into<String>, detail: impl Into<String>) -> Case {
    (change, pointer.into(), detail.into())
}

#[tokio::test]
async fn names_and_plain_fields() {
    check(|_| {
        vec![
            case(json!({"name": "subdomain here"}), "/name", "invalid hostname: subdomain here"),
            case(json!({"name": "www.example.org"}), "/name", "name \"www.example.org\" is not in zone \"example.com\""),
            case(json!({"name": null}), "/name", "name null is not a string"),
            case(json!({"description": "x".repeat(1025)}), "/description", "description has 1025 characters and may have at most 1024"),
            case(json!({"enabled": "yes"}), "/enabled", "enabled \"yes\" is not true or false"),
            case(json!({"proxied": 1}), "/proxied", "proxied 1 is not true or false"),
            case(json!({"ttl": -1}), "/ttl", "ttl -1 is not in range [0, 604800]"),
            case(json!({"ttl": 30.5}), "/ttl", "ttl 30.5 is not an integer in range [0, 604800]"),
            case(json!({"networks": "cloudflare"}), "/networks", "networks \"cloudflare\" is not an array"),
            case(json!({"defaultpools": []}), "/defaultpools", "unknown field \"defaultpools\"; did you mean \"default_pools\"?"),
        ]
    })
    .await;
}

#[tokio::test]
async fn what_is_required() {
    let world = World::start().await;
    let (tenant, _) = tenant_with_pool(&world).await;
    let empty = world.ask(&tenant, "POST", &tenant.in_zone("load_balancers"), Some(json!({}))).await.refused();
    let required =
        [("/name", "name is required"), ("/default_pools", "default_pools is required"), ("/fallback_pool", "fallback_pool is required")];
    assert_eq!(empty, (400, errors_1002(&required)));
    world.end().await;
}

#[tokio::test]
async fn pools_and_the_places_that_they_answer_for() {
    let missing = |place: &str| format!("{place} names pool {NOBODY}, which does not exist");
    check(|pool| {
        vec![
            case(json!({"default_pools": []}), "/default_pools", "default_pools must name at least 1 pool"),
            case(json!({"default_pools": ["x"]}), "/default_pools/0", format!("default_pools[0] \"x\" {NOT_AN_ID}")),
            case(json!({"default_pools": [NOBODY]}), "/default_pools", missing("default_pools")),
            case(json!({"fallback_pool": null}), "/fallback_pool", format!("fallback_pool null {NOT_AN_ID}")),
            case(json!({"fallback_pool": NOBODY}), "/fallback_pool", missing("fallback_pool")),
            case(json!({"region_pools": {"EU": [pool]}}), "/region_pools/EU", "region_pools \"EU\" is not a region code"),
            case(
                json!({"region_pools": {"ALL_REGIONS": [pool]}}),
                "/region_pools/ALL_REGIONS",
                "region_pools \"ALL_REGIONS\" is not a region code",
            ),
            case(json!({"region_pools": {"WEU": [NOBODY]}}), "/region_pools/WEU", missing("region_pools.WEU")),
            case(json!({"region_pools": {"WEU": pool}}), "/region_pools/WEU", format!("region_pools.WEU \"{pool}\" is not an array")),
            case(
                json!({"country_pools": {"de": [pool]}}),
                "/country_pools/de",
                "country_pools \"de\" is not a country code of ISO 3166-1, two upper-case letters",
            ),
            case(
                json!({"country_pools": {"UK": [pool]}}),
                "/country_pools/UK",
                "country_pools \"UK\" is not a country code of ISO 3166-1, two upper-case letters",
            ),
            case(json!({"country_pools": {"GB": [NOBODY]}}), "/country_pools/GB", missing("country_pools.GB")),
            case(json!({"pop_pools": {"LAX": []}}), "/pop_pools/LAX", "pop_pools \"LAX\" must name at least 1 pool"),
            case(json!({"pop_pools": {"a b": [pool]}}), "/pop_pools/a b", "pop_pools \"a b\" is not 1 to 32 letters, digits and \"-\""),
        ]
    })
    .await;
}

#[tokio::test]
async fn steering() {
    let policies = "off, geo, random, dynamic_latency, proximity, least_outstanding_requests, least_connections, \"\"";
    check(|pool| {
        vec![
            case(
                json!({"steering_policy": "random_steering"}),
                "/steering_policy",
                format!("steering_policy \"random_steering\" is not one of {policies}"),
            ),
            case(
                json!({"random_steering": {"default_weight": 2}}),
                "/random_steering/default_weight",
                "random_steering.default_weight 2 is not in range [0, 1]",
            ),
            case(
                json!({"random_steering": {"default_weight": 0.25}}),
                "/random_steering/default_weight",
                "random_steering.default_weight 0.25 is not in range [0, 1] in steps of 0.1",
            ),
            case(
                json!({"random_steering": {"pool_weights": {pool: "0.5"}}}),
                format!("/random_steering/pool_weights/{pool}"),
                format!("random_steering.pool_weights.{pool} \"0.5\" is not a number in range [0, 1]"),
            ),
            case(
                json!({"random_steering": {"pool_weights": {"eu": 0.5}}}),
                "/random_steering/pool_weights",
                format!("random_steering.pool_weights \"eu\" {NOT_AN_ID}"),
            ),
            case(
                json!({"random_steering": {"pool_weights": {NOBODY: 0.5}}}),
                "/random_steering/pool_weights",
                format!("random_steering.pool_weights names pool {NOBODY}, which does not exist"),
            ),
            case(
                json!({"location_strategy": {"mode": "dns"}}),
                "/location_strategy/mode",
                "location_strategy.mode \"dns\" is not one of pop, resolver_ip",
            ),
            case(
                json!({"location_strategy": {"prefer_ecs": true}}),
                "/location_strategy/prefer_ecs",
                "location_strategy.prefer_ecs true is not one of always, never, proximity, geo",
            ),
            case(
                json!({"adaptive_routing": {"failover": true}}),
                "/adaptive_routing/failover",
                "unknown field \"adaptive_routing.failover\"",
            ),
        ]
    })
    .await;
}

#[tokio::test]
async fn sessions() {
    let attributes = "session_affinity_attributes";
    check(|_| {
        vec![
            case(
                json!({"session_affinity": "sticky"}),
                "/session_affinity",
                "session_affinity \"sticky\" is not one of none, cookie, ip_cookie, header",
            ),
            case(
                json!({"session_affinity": "cookie", "session_affinity_ttl": 60}),
                "/session_affinity_ttl",
                "session_affinity_ttl 60 is not in range [1800, 604800] of session_affinity \"cookie\"",
            ),
            case(
                json!({"session_affinity": "header", "session_affinity_ttl": 3601, attributes: {"headers": ["x"]}}),
                "/session_affinity_ttl",
                "session_affinity_ttl 3601 is not in range [30, 3600] of session_affinity \"header\"",
            ),
            case(
                json!({"session_affinity": "header"}),
                "/session_affinity_attributes/headers",
                "session_affinity_attributes.headers must name at least 1 header where session_affinity is \"header\"",
            ),
            case(
                json!({"session_affinity": "header", attributes: {"headers": ["x"], "zero_downtime_failover": "sticky"}}),
                "/session_affinity_attributes/zero_downtime_failover",
                "session_affinity_attributes.zero_downtime_failover sticky excludes session_affinity header",
            ),
            case(
                json!({attributes: {"samesite": "None", "secure": "Never"}}),
                "/session_affinity_attributes",
                "session_affinity_attributes.samesite None excludes session_affinity_attributes.secure Never",
            ),
            case(
                json!({attributes: {"samesite": "none"}}),
                "/session_affinity_attributes/samesite",
                "session_affinity_attributes.samesite \"none\" is not one of Auto, Lax, None, Strict",
            ),
            case(
                json!({attributes: {"drain_duration": -1}}),
                "/session_affinity_attributes/drain_duration",
                "session_affinity_attributes.drain_duration -1 is not in range [0, 604800]",
            ),
            case(
                json!({attributes: {"headers": ["a", "b", "c", "d", "e", "f"]}}),
                "/session_affinity_attributes/headers",
                "session_affinity_attributes.headers has 6 entries and may have at most 5",
            ),
            case(
                json!({attributes: {"headers": ["X-User", "x-user"]}}),
                "/session_affinity_attributes/headers",
                "session_affinity_attributes.headers names \"x-user\" twice",
            ),
            case(
                json!({attributes: {"headers": ["a b"]}}),
                "/session_affinity_attributes/headers/0",
                "session_affinity_attributes.headers[0] \"a b\" is not 1 to 100 letters, digits, \"-\" and \"_\"",
            ),
        ]
    })
    .await;
}

#[tokio::test]
async fn rules() {
    check(|pool| {
        vec![
            case(json!({"rules": {}}), "/rules", "rules {} is not an array"),
            case(
                json!({"rules": [{"overides": {}}]}),
                "/rules/0/overides",
                "unknown field \"rules[0].overides\"; did you mean \"rules[0].overrides\"?",
            ),
            case(json!({"rules": [{"condition": "true"}]}), "/rules/0", "rules[0] must have overrides or fixed_response"),
            case(
                json!({"rules": [{"priority": -1, "overrides": {}}]}),
                "/rules/0/priority",
                "rules[0].priority -1 is not in range [0, 2147483647]",
            ),
            case(
                json!({"rules": [{"name": "x".repeat(201), "overrides": {}}]}),
                "/rules/0/name",
                "rules[0].name has 201 characters and may have at most 200",
            ),
            case(
                json!({"rules": [{"overrides": {"fallback_pool": NOBODY}}]}),
                "/rules/0/overrides/fallback_pool",
                format!("rules[0].overrides.fallback_pool names pool {NOBODY}, which does not exist"),
            ),
            case(
                json!({"rules": [{"overrides": {}}, {"overrides": {"random_steering": {"pool_weights": {NOBODY: 0}}}}]}),
                "/rules/1/overrides/random_steering/pool_weights",
                format!("rules[1].overrides.random_steering.pool_weights names pool {NOBODY}, which does not exist"),
            ),
            case(
                json!({"rules": [{"overrides": {"pools": [pool]}, "fixed_response": {"status_code": 503}}]}),
                "/rules/0",
                "rules[0].overrides.pools excludes fixed_response",
            ),
            case(
                json!({"rules": [{"overrides": {"pool_weights": {pool: 1}, "random_steering": {}}}]}),
                "/rules/0",
                "rules[0].overrides.pool_weights excludes random_steering",
            ),
            case(
                json!({"rules": [{"overrides": {"session_affinity": "cookie", "session_affinity_ttl": 30}}]}),
                "/rules/0/overrides/session_affinity_ttl",
                "rules[0].overrides.session_affinity_ttl 30 is not in range [1800, 604800] of session_affinity \"cookie\"",
            ),
            case(
                json!({"rules": [{"fixed_response": {"status_code": 99}}]}),
                "/rules/0/fixed_response/status_code",
                "rules[0].fixed_response.status_code 99 is not in range [100, 599]",
            ),
            case(
                json!({"rules": [{"fixed_response": {"content_type": "x".repeat(33)}}]}),
                "/rules/0/fixed_response/content_type",
                "rules[0].fixed_response.content_type has 33 characters and may have at most 32",
            ),
            case(
                json!({"rules": [{"fixed_response": {"location": "x".repeat(2049)}}]}),
                "/rules/0/fixed_response/location",
                "rules[0].fixed_response.location has 2049 characters and may have at most 2048",
            ),
            case(
                json!({"rules": [{"fixed_response": {"message_body": "x".repeat(1025)}}]}),
                "/rules/0/fixed_response/message_body",
                "rules[0].fixed_response.message_body has 1025 characters and may have at most 1024",
            ),
            case(
                json!({"rules": [{"overrides": {}, "terminates": "yes"}]}),
                "/rules/0/terminates",
                "rules[0].terminates \"yes\" is not true or false",
            ),
        ]
    })
    .await;
}

#[tokio::test]
async fn pool_sets() {
    let set = |pool: &str, matches: Value| json!({"pool_sets": [{"name": "s", "match": matches, "overrides": {"pools": [pool]}}]});
    check(|pool| {
        vec![
            case(
                json!({"pool_sets": vec![json!({}); 1001]}),
                "/pool_sets",
                "POOL_SETS_TOO_LARGE: pool_sets has 1001 entries and may have at most 1000",
            ),
            case(
                json!({"pool_sets": [{"name": "s"}]}),
                "/pool_sets/0",
                "POOL_SET_NO_INTENT: pool_sets[0] must have overrides.pools or fixed_response",
            ),
            case(
                json!({"pool_sets": [{"name": "x".repeat(201), "overrides": {"pools": [pool]}}]}),
                "/pool_sets/0/name",
                "pool_sets[0].name has 201 characters and may have at most 200",
            ),
            case(set(pool, json!({})), "/pool_sets/0/match", "POOL_SET_EMPTY_MATCH: pool_sets[0].match must have default true or a topology"),
            case(
                set(pool, json!({"default": true, "topology": {"pops": ["LHR"]}})),
                "/pool_sets/0/match",
                "POOL_SET_DEFAULT_WITH_MATCH: pool_sets[0].match has both default and topology",
            ),
            case(
                set(pool, json!({"topology": {"pops": []}})),
                "/pool_sets/0/match/topology",
                "POOL_SET_EMPTY_TOPOLOGY: pool_sets[0].match.topology must name a PoP, a country or a region",
            ),
            case(
                set(pool, json!({"topology": {"countries": vec!["GB"; 1001]}})),
                "/pool_sets/0/match/topology/countries",
                "POOL_SET_TOPOLOGY_TOO_LARGE: pool_sets[0].match.topology.countries has 1001 entries and may have at most 1000",
            ),
            case(
                set(pool, json!({"topology": {"regions": ["WEU", "WEU"]}})),
                "/pool_sets/0/match/topology/regions",
                "pool_sets[0].match.topology.regions names \"WEU\" twice",
            ),
            case(
                set(pool, json!({"topology": {"regions": ["EU"]}})),
                "/pool_sets/0/match/topology/regions/0",
                "pool_sets[0].match.topology.regions[0] \"EU\" is not a region code",
            ),
            case(
                json!({"pool_sets": [{"overrides": {"pools": [pool], "pool_weights": {NOBODY: 0.5}}}]}),
                "/pool_sets/0/overrides/pool_weights",
                format!("pool_sets[0].overrides.pool_weights names pool {NOBODY}, which does not exist"),
            ),
            case(
                json!({"pool_sets": [{"overrides": {"pools": [pool], "steering_policy": "geo"}}]}),
                "/pool_sets/0/overrides/steering_policy",
                "pool_sets[0].overrides.steering_policy \"geo\" is not one of off, random, dynamic_latency, proximity, least_outstanding_requests, least_connections, \"\"",
            ),
        ]
    })
    .await;
}
