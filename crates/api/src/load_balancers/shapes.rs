//! The nested parts of a load balancer that are stored and given back as they were sent: checked
//! field by field all the same, so that a misspelt one is never silently dropped.

use std::collections::BTreeSet;

use quorate_core::ids::PoolId;
use quorate_core::load_balancer::{SESSION_AFFINITIES, STEERING_POLICIES, TTL_S};
use quorate_core::region::Region;
use quorate_core::validate::PlaceKind;
use serde_json::Value;

use crate::body::{Bad, Fields, at_most, flag, id, integer, is_absent, list_of, map_of, number, object_of, one_of, shape_of, text};

type Checked = Result<Value, Bad>;

/// Characters of the name of a rule or a pool set.
const NAME_CHARS_MAX: usize = 200;
const POOL_SETS_MAX: usize = 1000;
/// Entries of one list of a topology.
const TOPOLOGY_MAX: usize = 1000;
/// Steering of a pool set: every policy but `geo`.
const POOL_SET_POLICIES: [&str; 7] =
    ["off", "random", "dynamic_latency", "proximity", "least_outstanding_requests", "least_connections", ""];

pub(super) fn adaptive_routing(label: &str, value: &Value) -> Checked {
    let read = |fields: &mut Fields<'_>| fields.optional("failover_across_pools", None, flag);
    shape_of(object_of(read))(label, value)
}

pub(super) fn location_strategy(label: &str, value: &Value) -> Checked {
    let read = |fields: &mut Fields<'_>| {
        fields.optional("mode", None, one_of(&["pop", "resolver_ip"]));
        fields.optional("prefer_ecs", None, one_of(&["always", "never", "proximity", "geo"]));
    };
    shape_of(object_of(read))(label, value)
}

pub(super) fn random_steering(label: &str, value: &Value) -> Checked {
    let read = |fields: &mut Fields<'_>| {
        fields.optional("default_weight", None, number(0.0..=1.0));
        fields.optional("pool_weights", None, pool_weights);
    };
    shape_of(object_of(read))(label, value)
}

/// Pool id to weight.
fn pool_weights(label: &str, value: &Value) -> Checked {
    let weights = map_of(number(0.0..=1.0))(label, value)?;
    match weights.keys().find(|key| key.parse::<PoolId>().is_err()) {
        Some(key) => Err(Bad::new(format!("{label} {key:?} is not an identifier of 32 lower-case hexadecimal characters"))),
        None => Ok(value.clone()),
    }
}

pub(super) fn affinity_attributes(label: &str, value: &Value) -> Checked {
    let read = |fields: &mut Fields<'_>| {
        let samesite = fields.optional("samesite", None, one_of(&["Auto", "Lax", "None", "Strict"]));
        let secure = fields.optional("secure", None, one_of(&["Auto", "Always", "Never"]));
        fields.optional("drain_duration", None, integer(0..=604_800_u32));
        fields.optional("zero_downtime_failover", None, one_of(&["none", "temporary", "sticky"]));
        fields.optional("headers", None, list_of(affinity_header));
        fields.optional("require_all_headers", None, flag);
        (samesite, secure)
    };
    let (samesite, secure) = object_of(read)(label, value)?;
    if samesite.as_deref() == Some("None") && secure.as_deref() == Some("Never") {
        return Err(Bad::new(format!("{label}.samesite None excludes {label}.secure Never")));
    }
    Ok(value.clone())
}

/// A header name, or `cookie:` with the names of cookies.
fn affinity_header(label: &str, value: &Value) -> Checked {
    let name = text(label, value)?;
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    let names = name.strip_prefix("cookie:").unwrap_or(&name);
    let cookies = name.len() != names.len();
    let well_formed = |part: &str| !part.is_empty() && part.bytes().all(legal);
    let all = if cookies { names.split(',').all(well_formed) } else { well_formed(names) };
    if all && name.len() <= 100 {
        Ok(value.clone())
    } else {
        Err(Bad::new(format!("{label} {name:?} is not 1 to 100 letters, digits, \"-\" and \"_\"")))
    }
}

fn session_affinity(label: &str, value: &Value) -> Checked {
    if is_absent(value) { Ok(value.clone()) } else { shape_of(one_of(&SESSION_AFFINITIES))(label, value) }
}

pub(super) fn rules(label: &str, value: &Value) -> Checked {
    shape_of(list_of(object_of(rule)))(label, value)
}

fn rule(fields: &mut Fields<'_>) {
    fields.optional("name", None, at_most(NAME_CHARS_MAX));
    fields.optional("condition", None, text);
    fields.optional("disabled", None, flag);
    fields.optional("priority", None, integer(0..=i64::from(i32::MAX)));
    fields.optional("terminates", None, flag);
    fields.optional("overrides", None, object_of(rule_overrides));
    fields.optional("fixed_response", None, object_of(fixed_response));
}

fn fixed_response(fields: &mut Fields<'_>) {
    fields.optional("status_code", None, integer(100..=599_u16));
    fields.optional("content_type", None, at_most(32));
    fields.optional("location", None, at_most(2048));
    fields.optional("message_body", None, at_most(1024));
}

fn rule_overrides(fields: &mut Fields<'_>) {
    fields.optional("adaptive_routing", None, adaptive_routing);
    fields.optional("location_strategy", None, location_strategy);
    fields.optional("random_steering", None, random_steering);
    fields.optional("session_affinity", None, session_affinity);
    fields.optional("session_affinity_attributes", None, affinity_attributes);
    fields.optional("session_affinity_ttl", None, integer(0..=604_800_u32));
    fields.optional("steering_policy", None, one_of(&STEERING_POLICIES));
    fields.optional("ttl", None, integer(0..=*TTL_S.end()));
    fields.optional("default_pools", None, list_of(id::<PoolId>));
    fields.optional("fallback_pool", None, pool_or_none);
    for (name, kind) in [("region_pools", PlaceKind::Region), ("country_pools", PlaceKind::Country), ("pop_pools", PlaceKind::Pop)] {
        fields.optional(name, None, places(kind));
    }
    pool_overrides(fields);
}

/// Places to pools, by the rules of the load balancer's own maps.
fn places(kind: PlaceKind) -> impl Fn(&str, &Value) -> Checked {
    move |label, value| {
        let map = map_of(list_of(id::<PoolId>))(label, value)?;
        match map.iter().find_map(|(place, pools)| kind.problem(label, place, pools.len())) {
            Some(detail) => Err(Bad::new(detail)),
            None => Ok(value.clone()),
        }
    }
}

/// What rules and pool sets have in common.
fn pool_overrides(fields: &mut Fields<'_>) {
    fields.optional("pools", None, list_of(id::<PoolId>));
    fields.optional("pool_weights", None, pool_weights);
    fields.optional("pool_default_weight", None, number(0.0..=1.0));
}

/// The identifier of a pool; clients send an empty text for none.
fn pool_or_none(label: &str, value: &Value) -> Checked {
    if is_absent(value) { Ok(value.clone()) } else { shape_of(id::<PoolId>)(label, value) }
}

pub(super) fn pool_sets(label: &str, value: &Value) -> Checked {
    let sets = list_of(pool_set)(label, value)?;
    if sets.len() > POOL_SETS_MAX {
        return Err(Bad::new(format!("POOL_SETS_TOO_LARGE: {label} has {} entries and may have at most {POOL_SETS_MAX}", sets.len())));
    }
    Ok(value.clone())
}

fn pool_set(label: &str, value: &Value) -> Result<(), Bad> {
    let read = |fields: &mut Fields<'_>| {
        fields.optional("name", None, at_most(NAME_CHARS_MAX));
        fields.optional("disabled", None, flag);
        fields.optional("match", None, pool_set_match);
        let chooses = |fields: &mut Fields<'_>| {
            fields.optional("fallback_pool", None, pool_or_none);
            fields.optional("steering_policy", None, one_of(&POOL_SET_POLICIES));
            pool_overrides(fields);
        };
        fields.optional("overrides", None, object_of(chooses));
        fields.optional("fixed_response", None, object_of(fixed_response));
    };
    object_of(read)(label, value)?;
    let has = |pointer: &str| value.pointer(pointer).is_some_and(|found| !found.is_null());
    if has("/overrides/pools") || has("/fixed_response") {
        Ok(())
    } else {
        Err(Bad::new(format!("POOL_SET_NO_INTENT: {label} must have overrides.pools or fixed_response")))
    }
}

fn pool_set_match(label: &str, value: &Value) -> Checked {
    let read = |fields: &mut Fields<'_>| (fields.optional("default", None, flag), fields.optional("topology", None, topology));
    match object_of(read)(label, value)? {
        (Some(true), Some(_)) => Err(Bad::new(format!("POOL_SET_DEFAULT_WITH_MATCH: {label} has both default and topology"))),
        (Some(true), None) | (_, Some(_)) => Ok(value.clone()),
        (Some(false) | None, None) => Err(Bad::new(format!("POOL_SET_EMPTY_MATCH: {label} must have default true or a topology"))),
    }
}

fn topology(label: &str, value: &Value) -> Checked {
    let region = |label: &str, value: &Value| {
        let code = text(label, value)?;
        if code.parse::<Region>().is_ok() { Ok(code) } else { Err(Bad::new(format!("{label} {code:?} is not a region code"))) }
    };
    let read = |fields: &mut Fields<'_>| {
        let pops = fields.optional("pops", None, list_of(text));
        let countries = fields.optional("countries", None, list_of(text));
        let regions = fields.optional("regions", None, list_of(region));
        [pops, countries, regions].map(Option::unwrap_or_default)
    };
    let lists = object_of(read)(label, value)?;
    if lists.iter().all(Vec::is_empty) {
        return Err(Bad::new(format!("POOL_SET_EMPTY_TOPOLOGY: {label} must name a PoP, a country or a region")));
    }
    if lists.iter().any(|list| list.len() > TOPOLOGY_MAX) {
        return Err(Bad::new(format!("POOL_SET_TOPOLOGY_TOO_LARGE: a list of {label} may have at most {TOPOLOGY_MAX} entries")));
    }
    match lists.iter().find(|list| list.iter().collect::<BTreeSet<_>>().len() < list.len()) {
        Some(_) => Err(Bad::new(format!("a list of {label} names an entry twice"))),
        None => Ok(value.clone()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const POOL: &str = "17b5962d775c646f3f9725cbc7a53df4";

    fn check(shape: fn(&str, &Value) -> Checked, value: Value, expected: &str) {
        match shape("x", &value) {
            Ok(kept) => assert_eq!((kept, ""), (value, expected)),
            Err(bad) => assert!(format!("{bad:?}").contains(expected) && !expected.is_empty(), "{bad:?}, not {expected}"),
        }
    }

    #[test]
    fn shapes_are_kept_as_sent_or_refused() {
        check(adaptive_routing, json!({"failover_across_pools": true}), "");
        check(adaptive_routing, json!({"failover": true}), "unknown field");
        check(location_strategy, json!({"mode": "pop", "prefer_ecs": null}), "");
        check(location_strategy, json!({"mode": "dns"}), "x.mode");
        check(random_steering, json!({"default_weight": 0.3, "pool_weights": {POOL: 0.5}}), "");
        check(random_steering, json!({"pool_weights": {"a": 0.5}}), "not an identifier");
        check(random_steering, json!({"default_weight": 1.5}), "not in range [0, 1]");
        check(affinity_attributes, json!({"samesite": "Lax", "headers": ["x-a", "cookie:a,b"], "drain_duration": 60}), "");
        check(affinity_attributes, json!({"samesite": "None", "secure": "Never"}), "excludes");
        check(affinity_attributes, json!({"headers": ["a b"]}), "x.headers[0]");
    }

    #[test]
    fn rules_are_kept_as_sent_with_the_defaults_that_clients_write() {
        let rule = json!([{
            "name": "r", "condition": "", "disabled": false, "priority": 0, "terminates": false,
            "overrides": {"default_pools": [POOL], "region_pools": {"WEU": [POOL]}, "session_affinity": "", "ttl": 30, "fallback_pool": POOL},
            "fixed_response": null,
        }]);
        check(rules, rule, "");
        check(rules, json!([{"priority": -1}]), "not in range [0");
        check(rules, json!([{"fixed_response": {"message_body": "x".repeat(1025)}}]), "at most 1024");
        check(rules, json!([{"overides": {}}]), "did you mean");
        check(rules, json!({}), "not an array");
        let places = |map: Value| json!([{"overrides": map}]);
        check(rules, places(json!({"region_pools": {"EUROPE": [POOL]}})), "\\\"EUROPE\\\" is not a region code");
        check(rules, places(json!({"country_pools": {"de": [POOL]}})), "is not two upper-case letters");
        check(rules, places(json!({"pop_pools": {"x".repeat(3000): [POOL]}})), "is not 1 to 32 letters");
        check(rules, places(json!({"pop_pools": {"LHR": []}})), "must name at least 1 pool");
        check(rules, places(json!({"pop_pools": {"LHR": [POOL]}, "country_pools": {"DE": [POOL]}})), "");
    }

    #[test]
    fn a_pool_set_says_when_and_what() {
        let set = |change: Value| {
            let mut set = json!({"name": "s", "overrides": {"pools": [POOL]}});
            set.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
            json!([set])
        };
        check(pool_sets, set(json!({})), "");
        check(pool_sets, json!([]), "");
        check(pool_sets, set(json!({"match": {"topology": {"regions": ["WEU"], "pops": ["LHR"]}}})), "");
        check(pool_sets, set(json!({"match": {"default": true}})), "");
        check(pool_sets, set(json!({"match": {}})), "POOL_SET_EMPTY_MATCH");
        check(pool_sets, set(json!({"match": {"default": true, "topology": {"pops": ["LHR"]}}})), "POOL_SET_DEFAULT_WITH_MATCH");
        check(pool_sets, set(json!({"match": {"topology": {}}})), "POOL_SET_EMPTY_TOPOLOGY");
        check(pool_sets, set(json!({"match": {"topology": {"regions": ["EU"]}}})), "is not a region code");
        check(pool_sets, set(json!({"match": {"topology": {"regions": ["WEU", "WEU"]}}})), "twice");
        check(pool_sets, set(json!({"overrides": {"steering_policy": "geo", "pools": [POOL]}})), "is not one of");
        check(pool_sets, json!([{"name": "s"}]), "POOL_SET_NO_INTENT");
    }
}
