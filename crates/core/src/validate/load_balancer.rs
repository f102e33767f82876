//! What a legal load balancer is, beyond the ranges of its numbers.

mod affinity;

use std::collections::BTreeMap;

use super::{FieldError, description, is_host_name};
use crate::country;
use crate::ids::PoolId;
use crate::load_balancer::LoadBalancerSettings;
use crate::region::Region;

impl LoadBalancerSettings {
    /// What is not legal beyond the ranges of the numbers, one entry a field. `zone`: the name of the load
    /// balancer's zone, lower case; `None` for one of the account itself, whose name need not be a domain's.
    /// Whether the pools exist is the caller's to ask.
    pub fn problems(&self, zone: Option<&str>) -> Vec<FieldError> {
        let mut problems: Vec<FieldError> = Vec::new();
        if let Some(detail) = name_problem(&self.name, zone) {
            problems.push(FieldError::new("/name", detail));
        }
        if self.default_pools.is_empty() {
            problems.push(FieldError::new("/default_pools", "default_pools must name at least 1 pool"));
        }
        problems.extend(description(&self.description));
        problems.extend(geo_problem("region_pools", self.region_pools.as_ref(), PlaceKind::Region));
        problems.extend(geo_problem("country_pools", self.country_pools.as_ref(), PlaceKind::Country));
        problems.extend(geo_problem("pop_pools", self.pop_pools.as_ref(), PlaceKind::Pop));
        problems.extend(affinity::problems(self));
        problems
    }
}

fn name_problem(name: &str, zone: Option<&str>) -> Option<String> {
    let Some(zone) = zone else { return (!is_host_name(name)).then(|| format!("invalid hostname: {name}")) };
    if !is_host_name(name.strip_prefix("*.").unwrap_or(name)) {
        Some(format!("invalid hostname: {name}"))
    } else if name != zone && !name.strip_suffix(zone).is_some_and(|label| label.ends_with('.')) {
        Some(format!("name {name:?} is not in zone {zone:?}"))
    } else {
        None
    }
}

/// What a map from places to pools has for keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceKind {
    Region,
    Country,
    Pop,
}

impl PlaceKind {
    /// What is wrong with a place of the map `label` and its number of pools.
    pub fn problem(self, label: &str, place: &str, pools: usize) -> Option<String> {
        let (is_legal, legal) = match self {
            Self::Region => (place.parse::<Region>().is_ok(), "a region code"),
            Self::Country => (country::find(place).is_some(), "a country code of ISO 3166-1, two upper-case letters"),
            Self::Pop => (is_pop(place), "1 to 32 letters, digits and \"-\""),
        };
        if !is_legal {
            Some(format!("{label} {place:?} is not {legal}"))
        } else if pools == 0 {
            Some(format!("{label} {place:?} must name at least 1 pool"))
        } else {
            None
        }
    }
}

/// The first problem of a map from a place to its pools.
fn geo_problem(field: &str, map: Option<&BTreeMap<String, Vec<PoolId>>>, kind: PlaceKind) -> Option<FieldError> {
    map?.iter().find_map(|(place, pools)| {
        let detail = kind.problem(field, place, pools.len())?;
        Some(FieldError::new(format!("/{field}/{}", super::pointer_token(place)), detail))
    })
}

/// The codes of another installation's PoPs are legal too: here nobody answers from there.
pub fn is_pop(code: &str) -> bool {
    (1..=32).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// A legal load balancer in the zone `example.com`.
#[cfg(test)]
fn sample() -> LoadBalancerSettings {
    let pool = PoolId::from_bytes([1; 16]);
    LoadBalancerSettings {
        name: "www.example.com".to_owned(),
        description: String::new(),
        enabled: true,
        proxied: false,
        ttl: None,
        default_pools: vec![pool],
        fallback_pool: pool,
        region_pools: None,
        country_pools: None,
        pop_pools: None,
        steering_policy: String::new(),
        session_affinity: "none".to_owned(),
        session_affinity_ttl: None,
        session_affinity_attributes: None,
        random_steering: None,
        location_strategy: None,
        adaptive_routing: None,
        rules: None,
        pool_sets: None,
        networks: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut LoadBalancerSettings), expected: &[(&str, &str)]) {
        let mut settings = sample();
        assert_eq!(settings.problems(Some("example.com")), []);
        change(&mut settings);
        let found = settings.problems(Some("example.com"));
        let found: Vec<(&str, &str)> = found.iter().map(|problem| (problem.pointer.as_str(), problem.detail.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_load_balancer_is_a_name_in_its_zone() {
        for good in ["example.com", "a.b.example.com", "*.example.com", "_x.example.com"] {
            check(|lb| lb.name = good.to_owned(), &[]);
        }
        for bad in ["subdomain here", "", "a.*.example.com", "www.example.com.", "*."] {
            check(|lb| lb.name = bad.to_owned(), &[("/name", &format!("invalid hostname: {bad}"))]);
        }
        for bad in ["www.example.org", "badexample.com", "com"] {
            check(|lb| lb.name = bad.to_owned(), &[("/name", &format!("name {bad:?} is not in zone \"example.com\""))]);
        }
    }

    #[test]
    fn pools_and_places_are_checked() {
        let map = |place: &str, pools: usize| Some(BTreeMap::from([(place.to_owned(), vec![PoolId::from_bytes([1; 16]); pools])]));
        check(|lb| lb.default_pools.clear(), &[("/default_pools", "default_pools must name at least 1 pool")]);
        check(|lb| lb.region_pools = map("WEU", 1), &[]);
        check(|lb| lb.region_pools = map("EUROPE", 1), &[("/region_pools/EUROPE", "region_pools \"EUROPE\" is not a region code")]);
        check(|lb| lb.region_pools = map("WEU", 0), &[("/region_pools/WEU", "region_pools \"WEU\" must name at least 1 pool")]);
        check(
            |lb| lb.country_pools = map("de", 1),
            &[("/country_pools/de", "country_pools \"de\" is not a country code of ISO 3166-1, two upper-case letters")],
        );
        check(|lb| lb.pop_pools = map("a/b", 1), &[("/pop_pools/a~1b", "pop_pools \"a/b\" is not 1 to 32 letters, digits and \"-\"")]);
    }

    #[test]
    fn a_load_balancer_of_an_account_needs_no_domain() {
        let named = |name: &str| {
            let mut settings = sample();
            settings.name = name.to_owned();
            settings.problems(None).into_iter().map(|problem| problem.detail).collect::<Vec<_>>()
        };
        for good in ["inner", "www.example.org", "tf-testacc-lb-account-x"] {
            assert_eq!(named(good), [""; 0], "{good}");
        }
        for bad in ["", "a b", "*.example.org", "192.0.2.1"] {
            assert_eq!(named(bad), [format!("invalid hostname: {bad}")]);
        }
    }
}
