//! A load balancer as answers give it and as bodies ask for it.

use std::collections::BTreeMap;

use quorate_core::ids::{LoadBalancerId, PoolId};
use quorate_core::load_balancer::{
    LoadBalancer, LoadBalancerSettings, SESSION_AFFINITIES, STEERING_POLICIES, TTL_DEFAULT_S, TTL_S, affinity_ttl,
};
use quorate_core::validate::DESCRIPTION_CHARS_MAX;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::shapes;
use crate::body::{self, Bad, Fields, Object, Told, flag, id, integer, list_of, map_of, one_of, shape_of, text};
use crate::envelope::Time;
use crate::error::ApiError;

type Places = BTreeMap<String, Vec<PoolId>>;

/// A load balancer.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct LoadBalancerBody {
    id: LoadBalancerId,
    created_on: Time,
    modified_on: Time,
    /// Absent for a load balancer of the account itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    zone_name: Option<String>,
    /// Host name, in the zone where there is one; lower case.
    name: String,
    /// At most 1,024 characters; absent where there is none.
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    enabled: bool,
    /// Stored, not executed.
    proxied: bool,
    /// Seconds; 0 where proxied.
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<u32>,
    /// In order of failover.
    default_pools: Vec<PoolId>,
    /// Answers when nothing else does, whatever its health.
    fallback_pool: PoolId,
    /// Region code to pools.
    #[serde(skip_serializing_if = "Option::is_none")]
    region_pools: Option<Places>,
    /// Country code to pools.
    #[serde(skip_serializing_if = "Option::is_none")]
    country_pools: Option<Places>,
    /// PoP code to pools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pop_pools: Option<Places>,
    /// Empty: `geo` where there is a map of places, else `off`.
    steering_policy: String,
    /// `none`, `cookie`, `ip_cookie` or `header`. Stored, not executed; so is what follows.
    #[schemars(extend("enum" = SESSION_AFFINITIES))]
    session_affinity: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_affinity_ttl: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_affinity_attributes: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    random_steering: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location_strategy: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    adaptive_routing: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rules: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pool_sets: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    networks: Option<Value>,
}

impl From<LoadBalancer> for LoadBalancerBody {
    fn from(found: LoadBalancer) -> Self {
        let LoadBalancer { id, account_id: _, zone, settings, created_on, modified_on } = found;
        Self {
            id,
            created_on: Time(created_on),
            modified_on: Time(modified_on),
            zone_name: zone.map(|zone| zone.name),
            name: settings.name,
            description: settings.description,
            enabled: settings.enabled,
            proxied: settings.proxied,
            ttl: settings.ttl,
            default_pools: settings.default_pools,
            fallback_pool: settings.fallback_pool,
            region_pools: settings.region_pools,
            country_pools: settings.country_pools,
            pop_pools: settings.pop_pools,
            steering_policy: settings.steering_policy,
            session_affinity: settings.session_affinity,
            session_affinity_ttl: settings.session_affinity_ttl,
            session_affinity_attributes: settings.session_affinity_attributes,
            random_steering: settings.random_steering,
            location_strategy: settings.location_strategy,
            adaptive_routing: settings.adaptive_routing,
            rules: settings.rules,
            pool_sets: settings.pool_sets,
            networks: settings.networks,
        }
    }
}

/// Host names have no case.
fn host_name(label: &str, value: &Value) -> Result<String, Bad> {
    text(label, value).map(|name| name.to_ascii_lowercase())
}

/// `""` is `none`.
fn session_affinity(label: &str, value: &Value) -> Result<String, Bad> {
    if body::is_absent(value) { Ok("none".to_owned()) } else { one_of(&SESSION_AFFINITIES)(label, value) }
}

/// What a proxied load balancer, and one without a `ttl`, has.
fn effective_ttl(proxied: bool, asked: Option<u32>) -> Option<u32> {
    if proxied { Some(0) } else { asked.filter(|ttl| *ttl != 0).or(Some(TTL_DEFAULT_S)) }
}

/// The defaults that clients expect to find beside what they sent.
fn with_defaults(attributes: Option<Value>, session_affinity: &str) -> Option<Value> {
    let attributes = attributes.or_else(|| (session_affinity != "none").then(|| json!({})))?;
    let Value::Object(mut attributes) = attributes else { return Some(attributes) };
    let defaults =
        [("samesite", json!("Auto")), ("secure", json!("Auto")), ("drain_duration", json!(0)), ("zero_downtime_failover", json!("none"))];
    for (name, default) in defaults {
        attributes.entry(name).or_insert(default);
    }
    Some(Value::Object(attributes))
}

/// The settings that a body asks for; `stored` under a PATCH. Whether its pools exist is asked later.
///
/// # Errors
/// One entry a bad field.
pub(super) fn read(object: Object, stored: Option<&LoadBalancerSettings>, zone: Option<&str>) -> Result<LoadBalancerSettings, ApiError> {
    body::read(object, reader(stored), |settings| settings.problems(zone))
}

/// The fields of a load balancer.
fn reader(stored: Option<&LoadBalancerSettings>) -> impl FnOnce(&mut Fields<'_>) -> LoadBalancerSettings {
    let base = move |pick: fn(&LoadBalancerSettings) -> &Option<Value>| stored.and_then(|stored| pick(stored).clone());
    let places = move |pick: fn(&LoadBalancerSettings) -> &Option<Places>| stored.and_then(|stored| pick(stored).clone());
    move |fields| {
        let proxied = fields.read("proxied", stored.is_some_and(|stored| stored.proxied), flag);
        let affinity = fields.read(
            "session_affinity",
            stored.map_or_else(|| "none".to_owned(), |stored| stored.session_affinity.clone()),
            session_affinity,
        );
        // The lifetime of another kind of session says nothing about this one.
        let same_kind = stored.filter(|stored| affinity_ttl(&stored.session_affinity) == affinity_ttl(&affinity));
        let lifetime =
            fields.optional("session_affinity_ttl", same_kind.and_then(|stored| stored.session_affinity_ttl), integer(0..=604_800));
        let attributes =
            fields.optional("session_affinity_attributes", base(|s| &s.session_affinity_attributes), shapes::affinity_attributes);
        let settings = LoadBalancerSettings {
            name: fields.required("name", stored.map(|stored| stored.name.clone()), host_name).unwrap_or_default(),
            description: fields
                .optional("description", Some(stored.map_or_else(String::new, |stored| stored.description.clone())), text)
                .unwrap_or_default(),
            enabled: fields.read("enabled", stored.is_none_or(|stored| stored.enabled), flag),
            proxied,
            ttl: effective_ttl(proxied, fields.optional("ttl", stored.and_then(|stored| stored.ttl), integer(0..=*TTL_S.end()))),
            default_pools: fields
                .required("default_pools", stored.map(|stored| stored.default_pools.clone()), list_of(id))
                .unwrap_or_default(),
            // The placeholder is never stored: without the field the read fails.
            fallback_pool: fields
                .required("fallback_pool", stored.map(|stored| stored.fallback_pool), id)
                .unwrap_or_else(|| PoolId::from_bytes([0; 16])),
            region_pools: fields.optional("region_pools", places(|s| &s.region_pools), map_of(list_of(id))),
            country_pools: fields.optional("country_pools", places(|s| &s.country_pools), map_of(list_of(id))),
            pop_pools: fields.optional("pop_pools", places(|s| &s.pop_pools), map_of(list_of(id))),
            steering_policy: fields.read(
                "steering_policy",
                stored.map_or_else(String::new, |stored| stored.steering_policy.clone()),
                one_of(&STEERING_POLICIES),
            ),
            session_affinity_ttl: lifetime.or_else(|| affinity_ttl(&affinity).map(|ttl| ttl.default)),
            session_affinity_attributes: with_defaults(attributes, &affinity),
            session_affinity: affinity,
            random_steering: fields.optional("random_steering", base(|s| &s.random_steering), shapes::random_steering),
            location_strategy: fields.optional("location_strategy", base(|s| &s.location_strategy), shapes::location_strategy),
            adaptive_routing: fields.optional("adaptive_routing", base(|s| &s.adaptive_routing), shapes::adaptive_routing),
            rules: fields.optional("rules", base(|s| &s.rules), shapes::rules),
            pool_sets: fields.unless_null("pool_sets", base(|s| &s.pool_sets), shapes::pool_sets),
            networks: fields.optional("networks", base(|s| &s.networks), shape_of(list_of(text))),
        };
        fields.read_only(&["id", "created_on", "modified_on", "zone_name"]);
        settings
    }
}

/// What a body may hold.
pub(super) fn told() -> Told {
    let affinities: Vec<&str> = SESSION_AFFINITIES.into_iter().chain([""]).collect();
    body::told("LoadBalancer", reader(None))
        .with("/name", json!({"minLength": 1, "maxLength": 253}))
        .with("/description", json!({"maxLength": DESCRIPTION_CHARS_MAX, "default": ""}))
        .with("/enabled", json!({"default": true}))
        .with("/proxied", json!({"default": false}))
        .with("/default_pools", json!({"minItems": 1}))
        .with("/steering_policy", json!({"default": ""}))
        .with("/session_affinity", json!({"enum": affinities, "default": "none"}))
}

#[cfg(test)]
mod tests {
    use super::*;

    const POOL: &str = "17b5962d775c646f3f9725cbc7a53df4";

    fn body(change: Value) -> Object {
        let mut body = json!({"name": "WWW.example.com", "default_pools": [POOL], "fallback_pool": POOL});
        let Value::Object(body) = &mut body else { panic!("an object") };
        let Value::Object(change) = change else { panic!("an object") };
        body.extend(change);
        body.clone()
    }

    fn legal(change: Value, stored: Option<&LoadBalancerSettings>) -> LoadBalancerSettings {
        read(body(change), stored, Some("example.com")).expect("legal")
    }

    #[test]
    fn what_is_omitted_gets_the_defaults_that_clients_expect() {
        let plain = legal(json!({}), None);
        assert_eq!((plain.name.as_str(), plain.ttl, plain.session_affinity.as_str()), ("www.example.com", Some(30), "none"));
        assert_eq!((plain.session_affinity_ttl, plain.session_affinity_attributes.clone()), (None, None));
        let sticky = legal(json!({"session_affinity": "ip_cookie", "proxied": true, "ttl": 120}), None);
        assert_eq!((sticky.session_affinity_ttl, sticky.ttl), (Some(82_800), Some(0)));
        let defaults = json!({"samesite": "Auto", "secure": "Auto", "drain_duration": 0, "zero_downtime_failover": "none"});
        assert_eq!(sticky.session_affinity_attributes, Some(defaults));
        assert_eq!(
            legal(json!({"session_affinity": "header", "session_affinity_attributes": {"headers": ["x"]}}), None).session_affinity_ttl,
            Some(1800)
        );
        assert_eq!(legal(json!({"session_affinity": ""}), None).session_affinity, "none");
    }

    #[test]
    fn a_patch_keeps_what_it_does_not_name_and_null_clears_what_may_be_absent() {
        let stored = legal(
            json!({"region_pools": {"WEU": [POOL]}, "country_pools": {}, "pool_sets": [], "description": "x", "session_affinity": "cookie"}),
            None,
        );
        let kept = read(Object::new(), Some(&stored), Some("example.com")).expect("legal");
        assert_eq!(kept, stored);
        let Value::Object(change) = json!({"region_pools": null, "pool_sets": null, "description": null, "session_affinity": "header",
            "session_affinity_attributes": {"headers": ["x"]}})
        else {
            panic!("an object")
        };
        let changed = read(change, Some(&stored), Some("example.com")).expect("legal");
        assert_eq!((changed.region_pools, changed.country_pools), (None, Some(BTreeMap::new())));
        assert_eq!(changed.pool_sets, Some(json!([])), "null changes nothing here");
        assert_eq!((changed.description.as_str(), changed.session_affinity_ttl), ("", Some(1800)));
    }
}
