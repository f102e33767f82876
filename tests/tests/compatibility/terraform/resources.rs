//! The resources of version 5 of the provider, without what stands in the path.

use super::provider::Resource;
use super::schema::Shape::{Flag, Number, Object, Objects, Set, Text, Time, Whole};
use super::schema::{Attribute, computed, configured, defaults, list, map, settable};

pub(super) fn monitor() -> Resource {
    Resource {
        name: "load_balancer_monitor",
        attributes: vec![
            computed("id", Text).stays(),
            configured("consecutive_down", Whole),
            configured("consecutive_up", Whole),
            configured("port", Whole),
            configured("header", map(list(Text))),
            defaults("allow_insecure", Flag, false),
            defaults("description", Text, ""),
            defaults("expected_body", Text, ""),
            defaults("expected_codes", Text, ""),
            defaults("follow_redirects", Flag, false),
            defaults("interval", Whole, 60),
            settable("method", Text),
            settable("path", Text),
            defaults("probe_zone", Text, ""),
            defaults("retries", Whole, 2),
            defaults("timeout", Whole, 5),
            defaults("type", Text, "http"),
            computed("created_on", Text),
            computed("modified_on", Text),
        ],
        not_read: &["consecutive_up", "consecutive_down", "port"],
        restless: &[],
    }
}

pub(super) fn monitor_group() -> Resource {
    let members = vec![
        configured("enabled", Flag),
        configured("monitor_id", Text),
        configured("monitoring_only", Flag),
        configured("must_be_healthy", Flag),
        computed("created_at", Time),
        computed("updated_at", Time),
    ];
    Resource {
        name: "load_balancer_monitor_group",
        attributes: vec![
            computed("id", Text).stays(),
            configured("description", Text),
            configured("members", Set(members)),
            computed("created_on", Time),
            computed("modified_on", Time),
        ],
        not_read: &[],
        restless: &[],
    }
}

pub(super) fn pool() -> Resource {
    let origins = vec![
        configured("address", Text),
        computed("disabled_at", Time),
        defaults("enabled", Flag, true),
        defaults("flatten_cname", Flag, true),
        configured("header", Object(vec![configured("Host", list(Text))])),
        configured("name", Text),
        settable("port", Whole),
        configured("virtual_network_id", Text),
        defaults("weight", Number, 1),
    ];
    let load_shedding = vec![
        defaults("default_percent", Number, 0),
        defaults("default_policy", Text, "random"),
        defaults("session_percent", Number, 0),
        defaults("session_policy", Text, "hash"),
    ];
    let told = || Object(vec![configured("disable", Flag), configured("healthy", Flag)]);
    Resource {
        name: "load_balancer_pool",
        attributes: vec![
            computed("id", Text).stays(),
            configured("name", Text),
            configured("origins", Objects(origins)),
            configured("latitude", Number),
            configured("longitude", Number),
            configured("monitor", Text),
            configured("monitor_group", Text),
            configured("check_regions", list(Text)),
            defaults("description", Text, ""),
            defaults("enabled", Flag, true),
            defaults("minimum_origins", Whole, 1),
            defaults("notification_email", Text, ""),
            settable("load_shedding", Object(load_shedding)).stays(),
            settable("notification_filter", Object(vec![configured("origin", told()), configured("pool", told())])),
            settable("origin_steering", Object(vec![defaults("policy", Text, "random")])),
            computed("created_on", Text).stays(),
            computed("disabled_at", Time),
            computed("modified_on", Text),
            computed("networks", list(Text)),
        ],
        not_read: &[],
        restless: &[],
    }
}

pub(super) fn load_balancer() -> Resource {
    let pools = || map(list(Text));
    let affinity = |as_a_rule: bool| {
        let text = |name, default: &str| if as_a_rule { defaults(name, Text, default) } else { settable(name, Text) };
        let all_headers = if as_a_rule { defaults("require_all_headers", Flag, false) } else { settable("require_all_headers", Flag) };
        Object(vec![
            settable("drain_duration", Number),
            configured("headers", list(Text)),
            all_headers,
            text("samesite", "Auto"),
            text("secure", "Auto"),
            text("zero_downtime_failover", "none"),
        ])
    };
    let overrides = vec![
        settable("adaptive_routing", Object(vec![settable("failover_across_pools", Flag)])),
        settable("country_pools", pools()),
        configured("default_pools", list(Text)),
        configured("fallback_pool", Text),
        settable("location_strategy", Object(vec![settable("mode", Text), settable("prefer_ecs", Text)])),
        settable("pop_pools", pools()),
        settable("random_steering", Object(vec![settable("default_weight", Number), configured("pool_weights", map(Number))])),
        settable("region_pools", pools()),
        settable("session_affinity", Text),
        settable("session_affinity_attributes", affinity(true)),
        settable("session_affinity_ttl", Number),
        settable("steering_policy", Text),
        settable("ttl", Number),
    ];
    let strategy = vec![defaults("mode", Text, "pop"), defaults("prefer_ecs", Text, "proximity")];
    let weights = vec![defaults("default_weight", Number, 1), configured("pool_weights", map(Number))];
    Resource {
        name: "load_balancer",
        attributes: vec![
            computed("id", Text).stays(),
            configured("fallback_pool", Text),
            configured("name", Text),
            configured("default_pools", list(Text)),
            settable("description", Text),
            settable("session_affinity_ttl", Number),
            settable("ttl", Number),
            settable("country_pools", pools()),
            settable("networks", list(Text)),
            settable("pop_pools", pools()),
            settable("region_pools", pools()),
            defaults("enabled", Flag, true),
            defaults("proxied", Flag, false),
            defaults("session_affinity", Text, "none"),
            defaults("steering_policy", Text, ""),
            settable("adaptive_routing", Object(vec![defaults("failover_across_pools", Flag, false)])),
            settable("location_strategy", Object(strategy)),
            settable("random_steering", Object(weights)),
            settable("rules", Objects(rule(overrides))),
            settable("session_affinity_attributes", affinity(false)),
            computed("created_on", Text),
            computed("modified_on", Text),
            computed("zone_name", Text),
        ],
        not_read: &[],
        restless: &[],
    }
}

fn rule(overrides: Vec<Attribute>) -> Vec<Attribute> {
    let answer = vec![
        configured("content_type", Text),
        configured("location", Text),
        configured("message_body", Text),
        configured("status_code", Whole),
    ];
    vec![
        configured("condition", Text),
        defaults("disabled", Flag, false),
        configured("fixed_response", Object(answer)),
        configured("name", Text),
        settable("overrides", Object(overrides)),
        defaults("priority", Whole, 0),
        configured("terminates", Flag),
    ]
}

pub(super) fn health_check() -> Resource {
    let http = vec![
        defaults("allow_insecure", Flag, false),
        defaults("expected_body", Text, ""),
        configured("expected_codes", list(Text)),
        defaults("follow_redirects", Flag, false),
        configured("header", map(list(Text))),
        defaults("method", Text, "GET"),
        defaults("path", Text, "/"),
        defaults("port", Whole, 80),
    ];
    let tcp = vec![defaults("method", Text, "connection_established"), defaults("port", Whole, 80)];
    Resource {
        name: "healthcheck",
        attributes: vec![
            computed("id", Text).stays(),
            configured("address", Text),
            configured("name", Text),
            defaults("description", Text, ""),
            configured("check_regions", list(Text)),
            defaults("consecutive_fails", Whole, 1),
            defaults("consecutive_successes", Whole, 1),
            defaults("interval", Whole, 60),
            defaults("retries", Whole, 2),
            defaults("suspended", Flag, false),
            defaults("timeout", Whole, 5),
            defaults("type", Text, "HTTP"),
            settable("http_config", Object(http)),
            settable("tcp_config", Object(tcp)),
            computed("created_on", Time),
            computed("failure_reason", Text),
            computed("modified_on", Time),
            computed("status", Text),
        ],
        not_read: &[],
        // Workers are probing meanwhile.
        restless: &["failure_reason", "status"],
    }
}
