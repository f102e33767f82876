//! Each resource of the API with bodies that use all it has.

use reqwest::Method;
use serde_json::{Value, json};

use super::client::Client;
use super::walk::Kind;

/// Monitors, of every type.
pub(crate) async fn monitors(client: &Client<'_>) {
    let collection = client.operator.monitors_path();
    monitors_at(client, &collection).await;
    for kind in ["tcp", "udp_icmp", "icmp_ping", "smtp"] {
        let body = json!({"type": kind, "port": 25, "timeout": 2, "retries": 0, "interval": 30});
        let most = json!({"type": kind, "port": 65535, "description": kind, "consecutive_up": 2, "consecutive_down": 3});
        let bad = json!({"type": kind, "port": 65536});
        Kind { collection: &collection, least: body, most, patch: json!({"interval": 60}), bad }.walk(client).await;
    }
}

async fn monitors_at(client: &Client<'_>, collection: &str) {
    let most = json!({
        "type": "https", "description": "all of it", "method": "HEAD", "path": "/health?deep=1", "port": 8443, "timeout": 10, "retries": 5,
        "header": {"Host": ["example.com"], "X-App": ["a", "b"]}, "secret_headers": ["x-app"], "interval": 3600, "consecutive_up": 3, "consecutive_down": 2,
        "expected_codes": "2xx, 304", "expected_body": "alive", "follow_redirects": true, "allow_insecure": true, "probe_zone": "example.com",
    });
    let patch = json!({"description": "changed", "interval": 30});
    Kind { collection, least: json!({}), most, patch, bad: json!({"timeout": 61}) }.walk(client).await;
}

/// Pools with origins.
pub(crate) async fn pools(client: &Client<'_>) {
    let monitor = client.operator.creates_monitor(&json!({})).await;
    let collection = client.operator.pools_path();
    pools_at(client, &collection, &monitor).await;
    let pool = client.done(Method::POST, &collection, Some(&least_pool("guarded", Some(&monitor)))).await;
    assert_eq!(client.done(Method::GET, &format!("{collection}?monitor={monitor}"), None).await, json!([pool]));
    client.refused(Method::DELETE, &format!("{}/{monitor}", client.operator.monitors_path()), None, 412, 1005).await;
    client.refused(Method::POST, &collection, Some(&least_pool("guarded", None)), 400, 1003).await;
    client.done(Method::DELETE, &format!("{collection}/{}", pool["id"].as_str().expect("an id")), None).await;
}

pub(crate) fn least_pool(name: &str, monitor: Option<&str>) -> Value {
    let mut body = json!({"name": name, "origins": [{"name": "a", "address": "192.0.2.1"}]});
    if let Some(monitor) = monitor {
        body["monitor"] = json!(monitor);
    }
    body
}

async fn pools_at(client: &Client<'_>, collection: &str, monitor: &str) {
    let most = json!({
        "name": "most", "description": "all of it", "enabled": false, "minimum_origins": 2, "monitor": monitor,
        "check_regions": ["WEU", "ENAM"], "latitude": 52.37, "longitude": -4.5, "notification_email": "ops@example.com",
        "origins": [
            {"name": "a", "address": "192.0.2.1", "enabled": false, "weight": 0.56, "port": 8080, "header": {"Host": ["www.example.com"]}},
            {"name": "b", "address": "2001:db8::5", "weight": 0, "flatten_cname": true},
            {"name": "c", "address": "c.example.net", "virtual_network_id": "a5624d4e-044a-4ff0-b3e1-e2465353d4b4"},
        ],
        "origin_steering": {"policy": "hash"}, "health_sources": ["regional", "global"],
        "load_shedding": {"default_percent": 12.5, "default_policy": "random", "session_percent": 0, "session_policy": "hash"},
        "notification_filter": {"pool": {"disable": false, "healthy": null}, "origin": {"disable": true, "healthy": false}},
    });
    let bad = json!({"name": "bad name", "origins": [{"name": "a", "address": "192.0.2.1"}]});
    let patch = json!({"description": "changed", "minimum_origins": 1});
    Kind { collection, least: least_pool("least", None), most, patch, bad }.walk(client).await;
}

/// Monitor groups.
pub(crate) async fn monitor_groups(client: &Client<'_>) {
    let pools = client.operator.pools_path();
    let collection = format!("{}/monitor_groups", pools.strip_suffix("/pools").expect("below load_balancers"));
    let (first, second) = (client.operator.creates_monitor(&json!({})).await, client.operator.creates_monitor(&json!({})).await);
    let member =
        |monitor: &str, must: bool| json!({"monitor_id": monitor, "enabled": true, "monitoring_only": false, "must_be_healthy": must});
    let least = json!({"description": "one", "members": [member(&first, false)]});
    let most = json!({"description": "two", "members": [member(&second, true), member(&first, false)]});
    let bad = json!({"description": "none", "members": []});
    let kind = Kind { collection: &collection, least, most, patch: json!({"description": "changed"}), bad };
    kind.walk(client).await;
    let missing = json!({"description": "missing", "members": [member("00000000000000000000000000000000", false)]});
    client.refused_with_status(Method::POST, &collection, Some(&missing), 412).await;
    let group = client.done(Method::POST, &collection, Some(&kind.most)).await;
    let one = format!("{collection}/{}", group["id"].as_str().expect("an id"));
    let pool = json!({"name": "grouped", "monitor_group": group["id"], "origins": [{"name": "a", "address": "192.0.2.1"}]});
    let pool = client.done(Method::POST, &pools, Some(&pool)).await;
    let references = client.done(Method::GET, &format!("{one}/references"), None).await;
    assert!(references.as_array().expect("a list").iter().any(|reference| reference["resource_id"] == pool["id"]), "{references:#}");
    client.refused(Method::DELETE, &one, None, 412, 1005).await;
    client.done(Method::DELETE, &format!("{pools}/{}", pool["id"].as_str().expect("an id")), None).await;
    assert_eq!(client.done(Method::DELETE, &one, None).await, group, "a deletion answers what there was");
}

/// Load balancers of a zone and of the account.
pub(crate) async fn load_balancers(client: &Client<'_>) {
    let pools = client.operator.pools_path();
    let pool = client.operator.creates_pool(&least_pool("balanced", None)).await;
    let in_zone = client.operator.load_balancers_path();
    load_balancers_at(client, &in_zone, &pool).await;
    load_balancers_at(client, pools.strip_suffix("/pools").expect("below load_balancers"), &pool).await;
    let least = json!({"name": "guard.example.com", "default_pools": [pool], "fallback_pool": pool});
    let made = client.done(Method::POST, &in_zone, Some(&least)).await;
    client.refused(Method::DELETE, &format!("{pools}/{pool}"), None, 412, 1005).await;
    client.done(Method::DELETE, &format!("{in_zone}/{}", made["id"].as_str().expect("an id")), None).await;
    client.done(Method::DELETE, &format!("{pools}/{pool}"), None).await;
}

async fn load_balancers_at(client: &Client<'_>, collection: &str, pool: &str) {
    let least = json!({"name": "least.example.com", "default_pools": [pool], "fallback_pool": pool});
    let most = json!({
        "name": "most.example.com", "description": "all of it", "enabled": false, "proxied": true, "ttl": 0,
        "default_pools": [pool], "fallback_pool": pool,
        "region_pools": {"WEU": [pool]}, "country_pools": {"DE": [pool]}, "pop_pools": {"LHR": [pool]},
        "steering_policy": "random", "random_steering": {"default_weight": 0.3, "pool_weights": {pool: 0.7}},
        "session_affinity": "cookie", "session_affinity_ttl": 1800,
        "session_affinity_attributes": {"samesite": "Lax", "secure": "Always", "drain_duration": 60, "zero_downtime_failover": "sticky"},
        "location_strategy": {"mode": "resolver_ip", "prefer_ecs": "always"}, "adaptive_routing": {"failover_across_pools": true},
        "rules": [
            {"name": "answer", "condition": "http.host eq \"x\"", "disabled": false, "priority": 0, "fixed_response": {
                "status_code": 503, "content_type": "text/plain", "location": "", "message_body": "later",
            }},
            {"name": "lead", "condition": "", "priority": 10, "terminates": true, "overrides": {
                "default_pools": [pool], "fallback_pool": pool, "region_pools": {"ENAM": [pool]}, "steering_policy": "geo", "ttl": 60,
            }},
        ],
        "pool_sets": [{"name": "europe", "match": {"topology": {"regions": ["WEU", "EEU"], "countries": ["US"]}}, "overrides": {"pools": [pool]}}],
    });
    let bad = json!({"name": "no host name", "default_pools": [pool], "fallback_pool": pool});
    let patch = json!({"description": "changed", "enabled": true});
    Kind { collection, least, most, patch, bad }.walk(client).await;
}

/// Standalone health checks of a zone.
pub(crate) async fn health_checks(client: &Client<'_>) {
    let balancers = client.operator.load_balancers_path();
    let collection = format!("{}/healthchecks", balancers.strip_suffix("/load_balancers").expect("below the zone"));
    // Suspended, since a status that changes between two looks is no difference that a PUT made.
    let least = json!({"name": "least", "address": "192.0.2.1", "suspended": true});
    let most = json!({
        "name": "most", "address": "www.example.com", "description": "all of it", "type": "HTTPS", "check_regions": ["WEU", "ENAM"],
        "interval": 3600, "retries": 0, "timeout": 10, "consecutive_fails": 2, "consecutive_successes": 3, "suspended": true,
        "http_config": {
            "method": "HEAD", "port": 8443, "path": "/health", "expected_codes": ["2xx", "302"], "expected_body": "", "follow_redirects": true,
            "allow_insecure": true, "header": {"Host": ["example.com"], "X-App": ["a"]}, "secret_headers": ["X-App"],
        },
    });
    let bad = json!({"name": "bad", "address": "not an address"});
    Kind { collection: &collection, least: least.clone(), most, patch: json!({"description": "changed"}), bad }.walk(client).await;
    let made = client.done(Method::POST, &collection, Some(&least)).await;
    let one = format!("{collection}/{}", made["id"].as_str().expect("an id"));
    client.done(Method::GET, &format!("{one}/events"), None).await;
    client.done(Method::GET, &format!("{one}/quorum"), None).await;
    client.done(Method::DELETE, &one, None).await;
    let previewed = client.done(Method::POST, &format!("{collection}/preview"), Some(&least)).await;
    let preview = format!("{collection}/preview/{}", previewed["id"].as_str().expect("an id"));
    client.done(Method::GET, &preview, None).await;
    client.done(Method::DELETE, &preview, None).await;
    client.refused(Method::GET, &preview, None, 404, 1001).await;
}

/// The older mirror of the account's routes.
pub(crate) async fn users_own(client: &Client<'_>) {
    monitors_at(client, "/user/load_balancers/monitors").await;
    let monitor = client.operator.creates_monitor(&json!({})).await;
    pools_at(client, "/user/load_balancers/pools", &monitor).await;
    let pool = client.operator.creates_pool(&least_pool("mirrored", Some(&monitor))).await;
    let of_account = client.operator.pools_path();
    let of_account = of_account.strip_suffix("/pools").expect("below load_balancers");
    for view in [format!("pools/{pool}/references"), format!("monitors/{monitor}/references")] {
        let there = client.done(Method::GET, &format!("{of_account}/{view}"), None).await;
        assert_eq!(client.done(Method::GET, &format!("/user/load_balancers/{view}"), None).await, there, "{view}");
    }
    for view in ["health", "quorum"] {
        client.done(Method::GET, &format!("/user/load_balancers/pools/{pool}/{view}"), None).await;
    }
    for probed in [format!("monitors/{monitor}"), format!("pools/{pool}")] {
        let begun = client.done(Method::POST, &format!("/user/load_balancers/{probed}/preview"), Some(&json!({}))).await;
        client.done(Method::GET, &format!("/user/load_balancers/preview/{}", begun["preview_id"].as_str().expect("an id")), None).await;
    }
    let nobody = json!({"notification_email": ""});
    client.done(Method::PATCH, "/user/load_balancers/pools", Some(&nobody)).await;
    client.done(Method::PATCH, &format!("{of_account}/pools"), Some(&nobody)).await;
}
