//! Rules: when a condition holds, other settings or a fixed response.

use quorate_core::ids::PoolId;
use quorate_core::load_balancer::{SESSION_AFFINITIES, STEERING_POLICIES, TTL_S};
use quorate_core::validate::PlaceKind;
use serde_json::Value;

use super::{
    Checked, NAME_CHARS_MAX, adaptive_routing, affinity_attributes, fixed_response, has, location_strategy, places, pool_overrides,
    random_steering,
};
use crate::body::{Bad, Fields, at_most, flag, id, integer, is_absent, list_of, object_of, one_of, shape_of, text};

pub(in crate::load_balancers) fn rules(label: &str, value: &Value) -> Checked {
    shape_of(list_of(rule))(label, value)
}

fn rule(label: &str, value: &Value) -> Result<(), Bad> {
    object_of(fields)(label, value)?;
    let refuse = |detail: &str| Err(Bad::new(format!("{label}{detail}")));
    if !has(value, "/overrides") && !has(value, "/fixed_response") {
        return refuse(" must have overrides or fixed_response");
    }
    if has(value, "/overrides/pools") && has(value, "/fixed_response") {
        return refuse(".overrides.pools excludes fixed_response");
    }
    for name in ["pool_weights", "pool_default_weight"] {
        if has(value, &format!("/overrides/{name}")) && has(value, "/overrides/random_steering") {
            return refuse(&format!(".overrides.{name} excludes random_steering"));
        }
    }
    Ok(())
}

fn fields(fields: &mut Fields<'_>) {
    fields.optional("name", None, at_most(NAME_CHARS_MAX));
    fields.optional("condition", None, text);
    fields.optional("disabled", None, flag);
    fields.optional("priority", None, integer(0..=i64::from(i32::MAX)));
    fields.optional("terminates", None, flag);
    fields.optional("overrides", None, object_of(overrides));
    fields.optional("fixed_response", None, object_of(fixed_response));
}

fn overrides(fields: &mut Fields<'_>) {
    fields.optional("adaptive_routing", None, adaptive_routing);
    fields.optional("location_strategy", None, location_strategy);
    fields.optional("random_steering", None, random_steering);
    fields.optional("session_affinity", None, session_affinity);
    fields.optional("session_affinity_attributes", None, affinity_attributes);
    fields.optional("session_affinity_ttl", None, integer(0..=604_800_u32));
    fields.optional("steering_policy", None, one_of(&STEERING_POLICIES));
    fields.optional("ttl", None, integer(0..=*TTL_S.end()));
    fields.optional("default_pools", None, list_of(id::<PoolId>));
    for (name, kind) in [("region_pools", PlaceKind::Region), ("country_pools", PlaceKind::Country), ("pop_pools", PlaceKind::Pop)] {
        fields.optional(name, None, places(kind));
    }
    pool_overrides(fields);
}

fn session_affinity(label: &str, value: &Value) -> Checked {
    if is_absent(value) { Ok(value.clone()) } else { shape_of(one_of(&SESSION_AFFINITIES))(label, value) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{POOL, check};
    use super::*;

    #[test]
    fn rules_are_kept_as_sent_with_the_defaults_that_clients_write() {
        let rule = json!([{
            "name": "r", "condition": "", "disabled": false, "priority": 0, "terminates": false,
            "overrides": {"default_pools": [POOL], "region_pools": {"WEU": [POOL]}, "session_affinity": "", "ttl": 30, "fallback_pool": POOL},
            "fixed_response": null,
        }]);
        check(rules, rule, "");
        check(
            rules,
            json!([{"fixed_response": {"message_body": "hello", "status_code": 200, "content_type": "html", "location": "www.example.com"}}]),
            "",
        );
        check(rules, json!([]), "");
        check(rules, json!({}), "not an array");
        check(rules, json!([{"priority": -1}]), "not in range [0");
        check(rules, json!([{"fixed_response": {"message_body": "x".repeat(1025)}}]), "at most 1024");
        check(rules, json!([{"overides": {}}]), "did you mean");
    }

    #[test]
    fn a_rule_does_something_and_not_two_things_at_once() {
        check(rules, json!([{"name": "r", "condition": ""}]), "x[0] must have overrides or fixed_response");
        check(rules, json!([{"overrides": {"pools": [POOL]}, "fixed_response": {}}]), "x[0].overrides.pools excludes fixed_response");
        check(rules, json!([{"overrides": {"default_pools": [POOL]}, "fixed_response": {}}]), "");
        let weighed = |name: &str, weight: Value| json!([{"overrides": {"random_steering": {}, name: weight}}]);
        check(rules, weighed("pool_weights", json!({})), "x[0].overrides.pool_weights excludes random_steering");
        check(rules, weighed("pool_default_weight", json!(0.5)), "x[0].overrides.pool_default_weight excludes random_steering");
        check(rules, json!([{"overrides": {"pool_weights": {POOL: 0.5}, "pool_default_weight": 0.2}}]), "");
    }

    #[test]
    fn the_places_of_overrides_are_the_load_balancers() {
        let places = |map: Value| json!([{"overrides": map}]);
        check(rules, places(json!({"region_pools": {"EUROPE": [POOL]}})), "\\\"EUROPE\\\" is not a region code");
        check(rules, places(json!({"country_pools": {"de": [POOL]}})), "is not a country code");
        check(rules, places(json!({"pop_pools": {"x".repeat(3000): [POOL]}})), "is not 1 to 32 letters");
        check(rules, places(json!({"pop_pools": {"LHR": []}})), "must name at least 1 pool");
        check(rules, places(json!({"pop_pools": {"LHR": [POOL]}, "country_pools": {"DE": [POOL]}})), "");
    }
}
