//! Version 4 of the provider, over the older client: it sends every field of its structures, as null or empty where nothing is
//! configured, and after each change reads back. To it absent, null, "", 0, false and an empty list are one value.

use quorate_testkit::operator::{Operator, id_of};
use serde_json::{Value, json};

use super::{a_pool, world};

/// What it makes of a resource: the body sent, and what it has to read for an empty plan, configured or not.
struct Story {
    sent: Value,
    read: Value,
}

/// Creates the first, makes it into each of the others and back, and deletes it.
async fn tell(operator: &Operator, collection: &str, stories: &[Story]) {
    let made = operator.post(collection, &stories[0].sent).await;
    let path = format!("{collection}/{}", id_of(made.result()));
    reads(operator, &path, &stories[0]).await;
    for story in stories.iter().skip(1).chain([&stories[0]]) {
        operator.put(&path, &story.sent).await.result();
        reads(operator, &path, story).await;
    }
    operator.delete(&path).await.result();
    assert_eq!(operator.get(&path).await.status, 404, "{path}");
}

async fn reads(operator: &Operator, path: &str, story: &Story) {
    let answer = operator.get(path).await;
    holds(answer.result(), &story.read, path);
}

fn holds(found: &Value, expected: &Value, place: &str) {
    match expected {
        Value::Object(fields) if !fields.is_empty() => {
            fields.iter().for_each(|(name, value)| holds(&found[name], value, &format!("{place} {name}")));
        }
        Value::Array(items) if !items.is_empty() => {
            assert_eq!(found.as_array().map(Vec::len), Some(items.len()), "{place}: {found}");
            items.iter().enumerate().for_each(|(at, item)| holds(&found[at], item, &format!("{place} {at}")));
        }
        _ => assert!(found == expected || (is_nothing(found) && is_nothing(expected)), "{place}: {found}, not {expected}"),
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

fn with(mut left: Value, right: &Value) -> Value {
    left.as_object_mut().expect("an object").extend(right.as_object().expect("an object").clone());
    left
}

#[tokio::test]
async fn monitors_of_the_older_provider_stay_as_they_were_configured() {
    let world = world().await;
    let monitor = |more: Value| {
        let sent = with(
            json!({
                "type": "http", "description": "", "method": "GET", "path": "/", "header": null, "timeout": 5, "retries": 2, "interval": 60,
                "consecutive_up": 0, "consecutive_down": 0, "expected_body": "", "expected_codes": "", "follow_redirects": false,
                "allow_insecure": false, "probe_zone": "",
            }),
            &more,
        );
        let mut read = sent.clone();
        if !["http", "https"].iter().any(|kind| sent["type"] == *kind) {
            // Of other types it reads less, and what it sent for method and path is whatever the server says.
            let unread =
                ["method", "path", "header", "expected_body", "expected_codes", "follow_redirects", "allow_insecure", "probe_zone"];
            read.as_object_mut().expect("an object").retain(|name, _| !unread.contains(&name.as_str()));
        }
        read["port"] = more["port"].clone();
        Story { sent, read }
    };
    let tcp = json!({"type": "tcp", "method": "connection_established", "path": "", "timeout": 9, "retries": 5, "port": 8080});
    let other = |kind: &str, port: Value| {
        let mut other = json!({"type": kind, "method": "", "path": "", "timeout": 2, "retries": 5, "description": kind});
        if !port.is_null() {
            other["port"] = port;
        }
        monitor(other)
    };
    let stories = [
        monitor(json!({"expected_body": "alive", "expected_codes": "2xx"})),
        monitor(json!({
            "expected_body": "dead", "expected_codes": "5xx", "method": "HEAD", "timeout": 9, "path": "/custom", "retries": 5,
            "consecutive_up": 2, "consecutive_down": 2, "port": 8080, "description": "all of it", "probe_zone": "example.com",
            "header": {"Host": ["example.com"]},
        })),
        monitor(tcp),
        other("udp_icmp", json!(8080)),
        other("icmp_ping", Value::Null),
        other("smtp", json!(8080)),
    ];
    tell(&world.operator, &world.operator.monitors_path(), &stories).await;
}

#[tokio::test]
async fn pools_of_the_older_provider_stay_as_they_were_configured() {
    let world = world().await;
    let pool = |more: Value| {
        let sent = with(json!({"description": "", "name": "pool", "enabled": true, "minimum_origins": 1, "check_regions": null}), &more);
        let unset = json!({
            "monitor": "", "notification_email": "", "latitude": null, "longitude": null, "load_shedding": null, "origin_steering": null,
        });
        Story { read: with(unset, &sent), sent }
    };
    let origin = |name: &str, address: &str, more: Value| {
        with(json!({"name": name, "address": address, "enabled": true, "weight": 1, "header": {}}), &more)
    };
    let one = || json!([origin("a", "192.0.2.1", json!({}))]);
    let at = json!({"latitude": 12.3, "longitude": 55});
    let full = json!({
        "origins": [
            origin("a", "192.0.2.1", json!({"enabled": false, "header": {"Host": ["one.example.com"]}})),
            origin("b", "192.0.2.2", json!({"weight": 0.5, "header": {"Host": ["two.example.com"]}})),
        ],
        "load_shedding": {"default_percent": 55, "default_policy": "random", "session_percent": 12, "session_policy": "hash"},
        "origin_steering": {"policy": "random"}, "check_regions": ["WEU"], "description": "all of it", "enabled": false,
        "minimum_origins": 2, "notification_email": "someone@example.com",
    });
    let network = json!([origin("a", "192.0.2.1", json!({"virtual_network_id": "a5624d4e-044a-4ff0-b3e1-e2465353d4b4"}))]);
    let stories = [
        pool(with(json!({"origins": one()}), &at)),
        pool(with(full, &at)),
        pool(json!({"origins": one(), "origin_steering": {"policy": "least_outstanding_requests"}})),
        pool(json!({"origins": one(), "origin_steering": {"policy": "least_connections"}})),
        pool(json!({"origins": network})),
    ];
    tell(&world.operator, &world.operator.pools_path(), &stories).await;
}

#[tokio::test]
async fn load_balancers_of_the_older_provider_stay_as_they_were_configured() {
    let world = world().await;
    let pool = a_pool(&world.operator, "balanced").await;
    let balancer = |more: Value| {
        let sent = with(
            json!({
                "description": "", "name": "lb.example.com", "fallback_pool": pool, "default_pools": [pool], "region_pools": null,
                "pop_pools": null, "country_pools": null, "proxied": false, "enabled": true, "session_affinity": "none",
            }),
            &more,
        );
        // What is configured is read back; the rest of what it reads is unset. The lifetime of a record is not, unless it is
        // proxied: the vendor's service fills it in too, and that version then plans to take it away.
        let mut read = with(json!({"steering_policy": "", "rules": null}), &sent);
        if sent["proxied"] == true {
            read["ttl"] = json!(0);
        }
        Story { sent, read }
    };
    let rule = |name: &str, more: Value| {
        with(json!({"overrides": {}, "name": name, "condition": "dns.qry.type == 28", "priority": 0, "disabled": false}), &more)
    };
    let geo = |more: Value| with(json!({"proxied": true, "steering_policy": "geo", "description": "somewhere"}), &more);
    let steered = |policy: &str| {
        let rules = json!([rule("one", json!({"overrides": {"steering_policy": policy}}))]);
        balancer(json!({"proxied": true, "steering_policy": policy, "description": policy, "rules": rules}))
    };
    let rules = json!([
        rule(
            "one",
            json!({"overrides": {
                "steering_policy": "geo", "session_affinity_attributes": {"samesite": "Auto", "secure": "Auto", "zero_downtime_failover": "sticky"},
                "adaptive_routing": {"failover_across_pools": true}, "location_strategy": {"prefer_ecs": "always", "mode": "resolver_ip"},
                "random_steering": {"default_weight": 0.2, "pool_weights": {&pool: 0.4}},
            }})
        ),
        rule(
            "two",
            json!({"fixed_response": {"message_body": "hello", "status_code": 200, "content_type": "html", "location": "www.example.com"}})
        ),
        rule("three", json!({"overrides": {"region_pools": {"ENAM": [pool]}}})),
    ]);
    let cookies = json!({"samesite": "Auto", "secure": "Auto", "drain_duration": 60, "zero_downtime_failover": "sticky"});
    let headers = json!({
        "samesite": "Auto", "secure": "Auto", "drain_duration": 60, "zero_downtime_failover": "temporary", "headers": ["x-custom"],
        "require_all_headers": true,
    });
    let stories = [
        balancer(json!({})),
        balancer(json!({"session_affinity": "cookie", "session_affinity_ttl": 1800, "session_affinity_attributes": cookies})),
        balancer(json!({"session_affinity": "ip_cookie"})),
        balancer(json!({"session_affinity": "header", "session_affinity_ttl": 1800, "session_affinity_attributes": headers})),
        balancer(json!({"adaptive_routing": {"failover_across_pools": true}})),
        balancer(json!({"location_strategy": {"prefer_ecs": "proximity", "mode": "pop"}})),
        balancer(json!({"random_steering": {"default_weight": 0.9, "pool_weights": {&pool: 0.3}}})),
        balancer(json!({"random_steering": {"default_weight": 0.8, "pool_weights": {&pool: 0.4}}})),
        balancer(geo(json!({"pop_pools": {"LAX": [pool]}, "country_pools": {"US": [pool]}, "region_pools": {"WNAM": [pool]}}))),
        balancer(geo(json!({"pop_pools": {"LAX": [pool]}, "country_pools": {"US": [pool]}}))),
        balancer(geo(json!({"region_pools": {"WNAM": [pool]}}))),
        balancer(json!({"proxied": true, "steering_policy": "proximity", "description": "near"})),
        steered("least_outstanding_requests"),
        steered("least_connections"),
        balancer(json!({"description": "rules", "rules": rules})),
        balancer(json!({"ttl": 60})),
    ];
    tell(&world.operator, &world.operator.load_balancers_path(), &stories).await;
}

#[tokio::test]
async fn health_checks_of_the_older_provider_stay_as_they_were_configured() {
    let world = world().await;
    let (operator, collection) = (&world.operator, format!("/zones/{}/healthchecks", world.operator.zone));
    let check = |more: Value| {
        let configured = with(
            json!({
                "name": "check", "description": "", "suspended": false, "address": "example.com", "retries": 2, "timeout": 5, "interval": 60,
                "consecutive_successes": 1, "consecutive_fails": 1,
            }),
            &more,
        );
        let sent = with(json!({"check_regions": null, "status": "", "failure_reason": ""}), &configured);
        Story { sent, read: configured }
    };
    let http = |more: Value| {
        with(
            json!({
                "method": "GET", "port": 80, "path": "/", "expected_codes": null, "expected_body": "", "follow_redirects": false,
                "allow_insecure": false, "header": null,
            }),
            &more,
        )
    };
    let headers = json!({"Host": ["example.com"]});
    let stories = [
        check(json!({"type": "HTTP", "http_config": http(json!({"expected_codes": ["200"]}))})),
        check(json!({"type": "TCP", "tcp_config": {"method": "connection_established", "port": 80}})),
        check(
            json!({"type": "TCP", "tcp_config": {"method": "connection_established", "port": 8080}, "suspended": true, "check_regions": ["WEU"]}),
        ),
        check(json!({"type": "HTTPS", "http_config": http(json!({"port": 443, "method": "HEAD", "header": headers}))})),
    ];
    tell(operator, &collection, &stories).await;
    // It knows by these words alone that a health check is gone, and makes it anew.
    let gone = operator.get(&format!("{collection}/{}", "0".repeat(32))).await;
    let message = gone.body["errors"][0]["message"].as_str().expect("a message");
    assert!(gone.status == 404 && message.contains("object does not exist"), "{:#}", gone.body);
}
