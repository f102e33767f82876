//! Load balancers: names, pools in order, the fallback, and the state that follows.

mod references;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::{AccountId, LoadBalancerId, PoolId, ZoneId};
use crate::pool::PoolState;

pub use references::PoolReference;

/// Seconds that a DNS answer may be kept.
pub const TTL_S: RangeInclusive<u32> = 1..=604_800;
/// Seconds, where no `ttl` is given.
pub const TTL_DEFAULT_S: u32 = 30;
pub const STEERING_POLICIES: [&str; 8] =
    ["off", "geo", "random", "dynamic_latency", "proximity", "least_outstanding_requests", "least_connections", ""];
pub const SESSION_AFFINITIES: [&str; 4] = ["none", "cookie", "ip_cookie", "header"];

/// Seconds that a session may last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AffinityTtl {
    pub legal: RangeInclusive<u32>,
    pub default: u32,
}

/// Header names that sessions may be told by.
pub const AFFINITY_HEADERS_MAX: usize = 5;

/// How long sessions of one kind of affinity last; `None` where there are no sessions.
pub fn affinity_ttl(session_affinity: &str) -> Option<AffinityTtl> {
    match session_affinity {
        "cookie" | "ip_cookie" => Some(AffinityTtl { legal: 1800..=604_800, default: 82_800 }),
        "header" => Some(AffinityTtl { legal: 30..=3600, default: 1800 }),
        _ => None,
    }
}

/// The settings of a load balancer, valid. What is not executed is kept as the JSON that was sent
/// (`None`: absent) and given back.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LoadBalancerSettings {
    /// Host name, in the zone where there is one.
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

/// The zone of a load balancer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneOf {
    pub id: ZoneId,
    /// Lower case, no trailing dot: `example.com`.
    pub name: String,
}

/// A load balancer as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadBalancer {
    pub id: LoadBalancerId,
    pub account_id: AccountId,
    /// `None`: it is of the account itself.
    pub zone: Option<ZoneOf>,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_balancer_stands_as_its_table_of_states_says() {
        use LoadBalancerState as State;
        // H healthy, g degraded, C critical, ? unknown, x disabled.
        let pools = |script: &str| -> Vec<PoolState> {
            let state = |letter| match letter {
                'H' => PoolState::Healthy,
                'g' => PoolState::Degraded,
                'C' => PoolState::Critical,
                'x' => PoolState::Disabled,
                _ => PoolState::Unknown,
            };
            script.chars().map(state).collect()
        };
        let rows = [
            ("H", State::Healthy),
            ("HH", State::Healthy),
            ("Hg", State::Healthy),
            ("gg", State::Healthy),
            ("Hx", State::Healthy),
            ("HC", State::Degraded),
            ("gC", State::Degraded),
            ("H?", State::Degraded),
            ("C", State::Critical),
            ("CC", State::Critical),
            ("Cx", State::Critical),
            ("C?", State::Critical),
            ("?", State::Unknown),
            ("??", State::Unknown),
            ("?x", State::Unknown),
            // Nothing that steering could select: the fallback pool answers.
            ("x", State::Critical),
            ("", State::Critical),
        ];
        for (script, state) in rows {
            assert_eq!(load_balancer_state(true, &pools(script)), state, "{script:?}");
            assert_eq!(load_balancer_state(false, &pools(script)), State::Disabled, "{script:?}");
        }
    }
}
