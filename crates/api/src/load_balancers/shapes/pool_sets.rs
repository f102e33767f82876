//! Pool sets: the first whose match holds puts its pools in place of the load balancer's. The codes of the
//! refusals are the published ones, in front of what they say.

use std::collections::BTreeSet;

use quorate_core::country;
use quorate_core::region::Region;
use quorate_core::validate::is_pop;
use serde_json::Value;

use super::{Checked, NAME_CHARS_MAX, fixed_response, has, pool_overrides};
use crate::body::{Bad, Fields, at_most, flag, list_of, object_of, one_of, text};

const POOL_SETS_MAX: usize = 1000;
/// Entries of one list of a topology.
const TOPOLOGY_MAX: usize = 1000;
/// Every policy but `geo`: a pool set is itself the choice by place.
const POLICIES: [&str; 7] = ["off", "random", "dynamic_latency", "proximity", "least_outstanding_requests", "least_connections", ""];

pub(in crate::load_balancers) fn pool_sets(label: &str, value: &Value) -> Checked {
    let count = value.as_array().map_or(0, Vec::len);
    if count > POOL_SETS_MAX {
        return Err(Bad::new(format!("POOL_SETS_TOO_LARGE: {label} has {count} entries and may have at most {POOL_SETS_MAX}")));
    }
    list_of(pool_set)(label, value)?;
    Ok(value.clone())
}

fn pool_set(label: &str, value: &Value) -> Result<(), Bad> {
    let read = |fields: &mut Fields<'_>| {
        fields.optional("name", None, at_most(NAME_CHARS_MAX));
        fields.optional("disabled", None, flag);
        fields.optional("match", None, matches);
        let chooses = |fields: &mut Fields<'_>| {
            fields.optional("steering_policy", None, one_of(&POLICIES));
            pool_overrides(fields);
        };
        fields.optional("overrides", None, object_of(chooses));
        fields.optional("fixed_response", None, object_of(fixed_response));
    };
    object_of(read)(label, value)?;
    let names_pools = value.pointer("/overrides/pools").and_then(Value::as_array).is_some_and(|pools| !pools.is_empty());
    if names_pools || has(value, "/fixed_response") {
        Ok(())
    } else {
        Err(Bad::new(format!("POOL_SET_NO_INTENT: {label} must have overrides.pools or fixed_response")))
    }
}

fn matches(label: &str, value: &Value) -> Checked {
    let read = |fields: &mut Fields<'_>| (fields.optional("default", None, flag), fields.optional("topology", None, topology));
    match object_of(read)(label, value)? {
        (Some(true), Some(_)) => Err(Bad::new(format!("POOL_SET_DEFAULT_WITH_MATCH: {label} has both default and topology"))),
        (Some(true), None) | (_, Some(_)) => Ok(value.clone()),
        (Some(false) | None, None) => Err(Bad::new(format!("POOL_SET_EMPTY_MATCH: {label} must have default true or a topology"))),
    }
}

fn topology(label: &str, value: &Value) -> Checked {
    let read = |fields: &mut Fields<'_>| {
        let pops = fields.optional("pops", None, places(is_pop, "1 to 32 letters, digits and \"-\""));
        let countries = fields.optional("countries", None, places(|code| country::find(code).is_some(), "a country code of ISO 3166-1"));
        let regions = fields.optional("regions", None, places(|code| code.parse::<Region>().is_ok(), "a region code"));
        [pops, countries, regions]
    };
    let lists = object_of(read)(label, value)?;
    if lists.iter().flatten().all(|count| *count == 0) {
        return Err(Bad::new(format!("POOL_SET_EMPTY_TOPOLOGY: {label} must name a PoP, a country or a region")));
    }
    Ok(value.clone())
}

/// A list of different places; answers how many.
fn places(is_legal: impl Fn(&str) -> bool, legal: &'static str) -> impl Fn(&str, &Value) -> Result<usize, Bad> {
    move |label, value| {
        let count = value.as_array().map_or(0, Vec::len);
        if count > TOPOLOGY_MAX {
            return Err(Bad::new(format!("POOL_SET_TOPOLOGY_TOO_LARGE: {label} has {count} entries and may have at most {TOPOLOGY_MAX}")));
        }
        let place = |label: &str, value: &Value| {
            let code = text(label, value)?;
            if is_legal(&code) { Ok(code) } else { Err(Bad::new(format!("{label} {code:?} is not {legal}"))) }
        };
        let mut seen = BTreeSet::new();
        match list_of(place)(label, value)?.into_iter().find_map(|code| seen.replace(code)) {
            Some(code) => Err(Bad::new(format!("{label} names {code:?} twice"))),
            None => Ok(count),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{POOL, check};
    use super::*;

    fn set(change: &Value) -> Value {
        let mut set = json!({"name": "s", "overrides": {"pools": [POOL]}});
        set.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
        json!([set])
    }

    #[test]
    fn a_pool_set_says_when_and_what() {
        check(pool_sets, set(&json!({})), "");
        check(pool_sets, json!([]), "");
        check(pool_sets, set(&json!({"match": {"default": true}})), "");
        check(pool_sets, set(&json!({"match": null, "disabled": true})), "");
        check(pool_sets, set(&json!({"match": {}})), "POOL_SET_EMPTY_MATCH");
        check(pool_sets, set(&json!({"match": {"default": false}})), "POOL_SET_EMPTY_MATCH");
        check(pool_sets, set(&json!({"match": {"default": true, "topology": {"pops": ["LHR"]}}})), "POOL_SET_DEFAULT_WITH_MATCH");
        check(pool_sets, set(&json!({"overrides": {"steering_policy": "geo", "pools": [POOL]}})), "is not one of");
        check(pool_sets, set(&json!({"overrides": {"random_steering": {}, "pools": [POOL]}})), "unknown field");
        for nothing in [json!({"name": "s"}), json!({"overrides": {"fallback_pool": POOL}}), json!({"overrides": {"pools": []}})] {
            check(pool_sets, json!([nothing]), "POOL_SET_NO_INTENT");
        }
        check(pool_sets, json!([{"fixed_response": {"status_code": 503}}]), "");
        check(pool_sets, json!(vec![set(&json!({}))[0].clone(); 1000]), "");
        check(pool_sets, json!(vec![0; 1001]), "POOL_SETS_TOO_LARGE: x has 1001 entries and may have at most 1000");
    }

    #[test]
    fn a_topology_names_known_places_once() {
        let topology = |topology: Value| set(&json!({"match": {"topology": topology}}));
        check(pool_sets, topology(json!({"regions": ["WEU"], "pops": ["LHR"], "countries": ["GB", "IE"]})), "");
        for nothing in [json!({}), json!({"regions": []}), json!({"pops": null, "countries": []})] {
            check(pool_sets, topology(nothing), "POOL_SET_EMPTY_TOPOLOGY");
        }
        check(pool_sets, topology(json!({"regions": ["EU"]})), "is not a region code");
        check(pool_sets, topology(json!({"countries": ["UK"]})), "is not a country code");
        check(pool_sets, topology(json!({"pops": ["a b"]})), "is not 1 to 32 letters");
        check(pool_sets, topology(json!({"regions": ["WEU", "ENAM", "WEU"]})), "x[0].match.topology.regions names \\\"WEU\\\" twice");
        let pops = |count: usize| (0..count).map(|number| format!("P{number}")).collect::<Vec<_>>();
        check(pool_sets, topology(json!({"pops": pops(1000)})), "");
        check(pool_sets, topology(json!({"pops": pops(1001)})), "POOL_SET_TOPOLOGY_TOO_LARGE");
    }
}
