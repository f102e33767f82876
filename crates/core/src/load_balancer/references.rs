//! Where a load balancer names pools.

use serde_json::Value;

use super::LoadBalancerSettings;
use crate::ids::PoolId;

/// One place that names a pool: `default_pools`, `region_pools.WNAM`, `rules[0].overrides.fallback_pool`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PoolReference {
    pub pool: PoolId,
    pub place: String,
}

impl LoadBalancerSettings {
    /// Every pool named, and where: weights, the maps of an inactive policy, rules and pool sets included, those
    /// that are disabled too.
    pub fn pool_references(&self) -> Vec<PoolReference> {
        let mut found = Found(Vec::new());
        for pool in &self.default_pools {
            found.push(*pool, "default_pools");
        }
        found.push(self.fallback_pool, "fallback_pool");
        let maps = [("region_pools", &self.region_pools), ("country_pools", &self.country_pools), ("pop_pools", &self.pop_pools)];
        for (name, map) in maps {
            for (place, pools) in map.iter().flatten() {
                for pool in pools {
                    found.push(*pool, &format!("{name}.{place}"));
                }
            }
        }
        found.weights(self.random_steering.as_ref(), "random_steering.pool_weights", "/pool_weights");
        for (name, list) in [("rules", &self.rules), ("pool_sets", &self.pool_sets)] {
            for (index, entry) in list.iter().filter_map(Value::as_array).flatten().enumerate() {
                if let Some(overrides) = entry.get("overrides") {
                    found.overrides(overrides, &format!("{name}[{index}].overrides"));
                }
            }
        }
        found.0.sort();
        found.0.dedup();
        found.0
    }
}

struct Found(Vec<PoolReference>);

impl Found {
    fn push(&mut self, pool: PoolId, place: &str) {
        self.0.push(PoolReference { pool, place: place.to_owned() });
    }

    /// What a rule or a pool set puts in place of the load balancer's own choice.
    fn overrides(&mut self, overrides: &Value, label: &str) {
        for name in ["default_pools", "fallback_pool", "pools"] {
            self.pools(overrides.get(name), &format!("{label}.{name}"));
        }
        for name in ["region_pools", "country_pools", "pop_pools"] {
            for (place, pools) in overrides.get(name).and_then(Value::as_object).into_iter().flatten() {
                self.pools(Some(pools), &format!("{label}.{name}.{place}"));
            }
        }
        self.weights(Some(overrides), &format!("{label}.pool_weights"), "/pool_weights");
        self.weights(Some(overrides), &format!("{label}.random_steering.pool_weights"), "/random_steering/pool_weights");
    }

    /// One identifier, or a list of them.
    fn pools(&mut self, value: Option<&Value>, place: &str) {
        match value {
            Some(Value::String(text)) => {
                if let Ok(pool) = text.parse() {
                    self.push(pool, place);
                }
            }
            Some(Value::Array(items)) => items.iter().for_each(|item| self.pools(Some(item), place)),
            _ => {}
        }
    }

    /// The keys of a map from pools to weights.
    fn weights(&mut self, value: Option<&Value>, place: &str, pointer: &str) {
        let weights = value.and_then(|value| value.pointer(pointer)).and_then(Value::as_object);
        for pool in weights.into_iter().flat_map(|weights| weights.keys()).filter_map(|key| key.parse().ok()) {
            self.push(pool, place);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    #[test]
    fn every_place_that_names_a_pool_is_found() {
        let id = |digit: char| -> PoolId { digit.to_string().repeat(32).parse().expect("an id") };
        let text = |digit: char| id(digit).to_string();
        let map = |place: &str, digit| Some(BTreeMap::from([(place.to_owned(), vec![id(digit)])]));
        let settings = LoadBalancerSettings {
            name: "www.example.com".to_owned(),
            description: String::new(),
            enabled: true,
            proxied: false,
            ttl: Some(30),
            default_pools: vec![id('1'), id('2'), id('1')],
            fallback_pool: id('2'),
            region_pools: map("WNAM", '3'),
            country_pools: map("GB", '4'),
            pop_pools: map("LHR", '5'),
            // An inactive policy; the maps above still hold on to their pools.
            steering_policy: "off".to_owned(),
            session_affinity: "none".to_owned(),
            session_affinity_ttl: None,
            session_affinity_attributes: None,
            random_steering: Some(json!({"default_weight": 0.5, "pool_weights": {text('9'): 0.1}})),
            location_strategy: None,
            adaptive_routing: None,
            rules: Some(json!([
                {"name": "no overrides"},
                {"overrides": {"fallback_pool": text('6'), "region_pools": {"WEU": [text('7')]}, "ttl": 30}},
                {"disabled": true, "overrides": {"random_steering": {"pool_weights": {text('a'): 1}}, "pools": [text('b')]}},
                // A header that looks like an identifier names no pool.
                {"overrides": {"session_affinity_attributes": {"headers": [text('f')]}}},
            ])),
            pool_sets: Some(json!([{"overrides": {"pools": [text('8')], "pool_weights": {text('c'): 0.5}, "fallback_pool": text('d')}}])),
            networks: None,
        };
        let found: Vec<(char, String)> = settings
            .pool_references()
            .into_iter()
            .map(|reference| (reference.pool.to_string().chars().next().expect("32 characters"), reference.place))
            .collect();
        let expected = [
            ('1', "default_pools"),
            ('2', "default_pools"),
            ('2', "fallback_pool"),
            ('3', "region_pools.WNAM"),
            ('4', "country_pools.GB"),
            ('5', "pop_pools.LHR"),
            ('6', "rules[1].overrides.fallback_pool"),
            ('7', "rules[1].overrides.region_pools.WEU"),
            ('8', "pool_sets[0].overrides.pools"),
            ('9', "random_steering.pool_weights"),
            ('a', "rules[2].overrides.random_steering.pool_weights"),
            ('b', "rules[2].overrides.pools"),
            ('c', "pool_sets[0].overrides.pool_weights"),
            ('d', "pool_sets[0].overrides.fallback_pool"),
        ];
        assert_eq!(found, expected.map(|(digit, place)| (digit, place.to_owned())));
    }
}
