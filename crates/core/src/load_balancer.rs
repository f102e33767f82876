//! Load balancers: names, pools in order, the fallback, and the state that follows.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::{AccountId, LoadBalancerId, PoolId, ZoneId};
use crate::pool::PoolState;

/// The settings of a load balancer, valid. What is not executed is kept as the JSON that was sent
/// (`None`: absent) and given back.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadBalancerSettings {
    /// Host name in the zone.
    pub name: String,
    pub description: String,
    pub enabled: bool,
    pub proxied: bool,
    /// Seconds; `None`: not set. The API stores 0 when proxied.
    pub ttl: Option<u32>,
    pub default_pools: Vec<PoolId>,
    pub fallback_pool: PoolId,
    pub region_pools: Option<BTreeMap<String, Vec<PoolId>>>,
    pub country_pools: Option<BTreeMap<String, Vec<PoolId>>>,
    pub pop_pools: Option<BTreeMap<String, Vec<PoolId>>>,
    pub steering_policy: String,
    pub session_affinity: String,
    pub session_affinity_ttl: Option<u32>,
    pub session_affinity_attributes: Option<Value>,
    pub random_steering: Option<Value>,
    pub location_strategy: Option<Value>,
    pub adaptive_routing: Option<Value>,
    pub rules: Option<Value>,
    pub pool_sets: Option<Value>,
    pub networks: Option<Value>,
}

/// Where a load balancer names a pool: `default_pools`, `region_pools.WNAM`, `rules[0].overrides.fallback_pool`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PoolReference {
    pub pool: PoolId,
    pub place: String,
}

impl LoadBalancerSettings {
    /// Every pool named, and where: geo maps of an inactive policy, rules and pool sets included.
    pub fn pool_references(&self) -> Vec<PoolReference> {
        let mut found = Vec::new();
        let mut push = |pool: PoolId, place: String| found.push(PoolReference { pool, place });
        for pool in &self.default_pools {
            push(*pool, "default_pools".to_owned());
        }
        push(self.fallback_pool, "fallback_pool".to_owned());
        let maps = [("region_pools", &self.region_pools), ("country_pools", &self.country_pools), ("pop_pools", &self.pop_pools)];
        for (name, map) in maps {
            for (place, pools) in map.iter().flatten() {
                for pool in pools {
                    push(*pool, format!("{name}.{place}"));
                }
            }
        }
        for (name, list) in [("rules", &self.rules), ("pool_sets", &self.pool_sets)] {
            for (index, entry) in list.iter().filter_map(Value::as_array).flatten().enumerate() {
                if let Some(overrides) = entry.get("overrides").and_then(Value::as_object) {
                    for (field, value) in overrides {
                        in_json(value, &format!("{name}[{index}].overrides.{field}"), &mut push);
                    }
                }
            }
        }
        found.sort();
        found.dedup();
        found
    }
}

/// Pool ids in the value of an override: a string, a list of strings, or a map of lists.
fn in_json(value: &Value, place: &str, push: &mut impl FnMut(PoolId, String)) {
    match value {
        Value::String(text) => {
            if let Ok(pool) = text.parse() {
                push(pool, place.to_owned());
            }
        }
        Value::Array(items) => items.iter().for_each(|item| in_json(item, place, push)),
        Value::Object(map) => map.iter().for_each(|(key, item)| in_json(item, &format!("{place}.{key}"), push)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A load balancer as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadBalancer {
    pub id: LoadBalancerId,
    pub account_id: AccountId,
    pub zone_id: ZoneId,
    pub zone_name: String,
    pub settings: LoadBalancerSettings,
    pub created_on: Timestamp,
    pub modified_on: Timestamp,
}

/// How a load balancer stands. Source: the vendor's docs, "Health details", table of load balancer states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LoadBalancerState {
    Healthy,
    Degraded,
    Critical,
    Unknown,
    Disabled,
}

/// The state of a load balancer from the enabled pools that steering can select; the fallback pool
/// counts only where it is also listed among them. A degraded pool does not degrade it.
/// All of them unhealthy: critical, and the fallback pool answers whatever its health. No pool has a
/// verdict: unknown.
#[must_use]
pub fn load_balancer_state(enabled: bool, pools: &[PoolState]) -> LoadBalancerState {
    if !enabled {
        return LoadBalancerState::Disabled;
    }
    let selectable: Vec<Option<bool>> = pools.iter().filter(|state| **state != PoolState::Disabled).map(|state| state.healthy()).collect();
    if selectable.is_empty() {
        return LoadBalancerState::Critical;
    }
    if selectable.iter().all(Option::is_none) {
        return LoadBalancerState::Unknown;
    }
    match selectable.iter().filter(|healthy| **healthy == Some(true)).count() {
        0 => LoadBalancerState::Critical,
        healthy if healthy == selectable.len() => LoadBalancerState::Healthy,
        _ => LoadBalancerState::Degraded,
    }
}
