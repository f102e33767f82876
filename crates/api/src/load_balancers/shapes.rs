//! The nested parts of a load balancer that are stored and given back as they were sent: checked
//! field by field all the same, so that a misspelt one is never silently dropped.

mod pool_sets;
mod rules;

use quorate_core::ids::PoolId;
use quorate_core::validate::PlaceKind;
use serde_json::Value;

use crate::body::{
    Bad, Fields, at_most, flag, id, in_steps, integer, is_absent, list_of, map_of, number, object_of, one_of, shape_of, text,
};

pub(super) use pool_sets::pool_sets;
pub(super) use rules::rules;

type Checked = Result<Value, Bad>;

/// Characters of the name of a rule or a pool set.
const NAME_CHARS_MAX: usize = 200;
/// Characters of a header name, or of `cookie:` with names of cookies.
const AFFINITY_HEADER_CHARS_MAX: usize = 100;

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
        fields.optional("default_weight", None, default_weight);
        fields.optional("pool_weights", None, pool_weights);
    };
    shape_of(object_of(read))(label, value)
}

/// Of the pools that have no weight of their own.
fn default_weight(label: &str, value: &Value) -> Result<f64, Bad> {
    in_steps(0.0..=1.0, 1)(label, value)
}

/// Pool id to weight.
fn pool_weights(label: &str, value: &Value) -> Checked {
    let weights = map_of(number(0.0..=1.0))(label, value)?;
    match weights.keys().find(|key| key.parse::<PoolId>().is_err()) {
        Some(key) => Err(Bad::new(format!("{label} {key:?} is not an identifier of 32 lower-case hexadecimal characters"))),
        None => Ok(value.clone()),
    }
}

/// Which of them exclude each other is the domain's to say.
pub(super) fn affinity_attributes(label: &str, value: &Value) -> Checked {
    let read = |fields: &mut Fields<'_>| {
        fields.optional("samesite", None, one_of(&["Auto", "Lax", "None", "Strict"]));
        fields.optional("secure", None, one_of(&["Auto", "Always", "Never"]));
        fields.optional("drain_duration", None, integer(0..=604_800_u32));
        fields.optional("zero_downtime_failover", None, one_of(&["none", "temporary", "sticky"]));
        fields.optional("headers", None, list_of(affinity_header));
        fields.optional("require_all_headers", None, flag);
    };
    shape_of(object_of(read))(label, value)
}

/// A header name, or `cookie:` with the names of cookies.
fn affinity_header(label: &str, value: &Value) -> Checked {
    let name = text(label, value)?;
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    let well_formed = |part: &str| !part.is_empty() && part.bytes().all(legal);
    let all = match name.strip_prefix("cookie:") {
        Some(cookies) => cookies.split(',').all(well_formed),
        None => well_formed(&name),
    };
    if all && name.len() <= AFFINITY_HEADER_CHARS_MAX {
        Ok(value.clone())
    } else {
        Err(Bad::new(format!("{label} {name:?} is not 1 to {AFFINITY_HEADER_CHARS_MAX} letters, digits, \"-\" and \"_\"")))
    }
}

fn fixed_response(fields: &mut Fields<'_>) {
    fields.optional("status_code", None, integer(100..=599_u16));
    fields.optional("content_type", None, at_most(32));
    fields.optional("location", None, at_most(2048));
    fields.optional("message_body", None, at_most(1024));
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
    fields.optional("fallback_pool", None, pool_or_none);
    fields.optional("pools", None, list_of(id::<PoolId>));
    fields.optional("pool_weights", None, pool_weights);
    fields.optional("pool_default_weight", None, default_weight);
}

/// The identifier of a pool; clients send an empty text for none.
fn pool_or_none(label: &str, value: &Value) -> Checked {
    if is_absent(value) { Ok(value.clone()) } else { shape_of(id::<PoolId>)(label, value) }
}

/// Whether the object has that field, and not as null.
fn has(object: &Value, pointer: &str) -> bool {
    object.pointer(pointer).is_some_and(|found| !found.is_null())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    pub(super) const POOL: &str = "17b5962d775c646f3f9725cbc7a53df4";

    /// Expected: what the refusal says, or nothing where the value is kept as sent.
    pub(super) fn check(shape: fn(&str, &Value) -> Checked, value: Value, expected: &str) {
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
        check(affinity_attributes, json!({"samesite": "Lax", "headers": ["x-a", "cookie", "cookie:a,b"], "drain_duration": 60}), "");
        for bad in ["a b", "", "cookie:", "cookie:a,,b", "x:y", &"x".repeat(101)] {
            check(affinity_attributes, json!({"headers": [bad]}), "x.headers[0]");
        }
    }

    #[test]
    fn weights_go_from_nothing_to_one_and_the_default_in_tenths() {
        for weight in [json!(0), json!(1), json!(1.0), json!(0.1), json!(0.3), json!(0.7)] {
            check(random_steering, json!({"default_weight": weight, "pool_weights": {POOL: weight}}), "");
        }
        // In binary none of these is a multiple of a hundredth.
        for weight in [0.56, 0.07, 0.29] {
            check(random_steering, json!({"pool_weights": {POOL: weight}}), "");
            check(random_steering, json!({"default_weight": weight}), "is not in range [0, 1] in steps of 0.1");
        }
        check(random_steering, json!({"pool_weights": {"a": 0.5}}), "not an identifier");
        check(random_steering, json!({"pool_weights": {POOL: 1.01}}), "not in range [0, 1]");
        check(random_steering, json!({"default_weight": 1.5}), "not in range [0, 1]");
        check(random_steering, json!({"default_weight": -0.1}), "not in range [0, 1]");
    }
}
