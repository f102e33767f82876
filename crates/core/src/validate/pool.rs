//! What a legal pool is, beyond the ranges of its numbers.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use super::{FieldError, NAME_CHARS_MAX, description, is_host_name};
use crate::pool::{ALL_REGIONS, CheckRegionsSetting, NOTIFICATION_EMAIL_CHARS_MAX, OriginSettings, PoolSettings};
use crate::region::Region;

/// What an account allows of its pools.
#[derive(Clone, Copy, Debug)]
pub struct PoolRules<'a> {
    pub max_origins: u32,
    /// Names of the account's zones, lower case: a Host header must be one of them or directly below one.
    pub zones: &'a [String],
    /// Origins that the pool has already. What was legal when it was written may stay: their number where
    /// the limit was lowered since, and their Host headers where a zone is gone.
    pub stored: &'a [OriginSettings],
}

impl PoolRules<'_> {
    fn origins_max(&self) -> usize {
        self.stored.len().max(self.max_origins as usize)
    }

    fn is_host_stored(&self, origin: &OriginSettings) -> bool {
        self.stored.iter().any(|stored| (&stored.address, &stored.host) == (&origin.address, &origin.host))
    }
}

impl PoolSettings {
    /// What is not legal beyond the ranges of the numbers, one entry a field.
    pub fn problems(&self, rules: PoolRules<'_>) -> Vec<FieldError> {
        let mut problems: Vec<FieldError> = Vec::new();
        let mut refuse = |pointer: &str, detail: String| problems.push(FieldError::new(pointer, detail));
        if !is_pool_name(&self.name) {
            refuse("/name", format!("name {:?} must be 1 to {NAME_CHARS_MAX} of letters, digits, \"-\" and \"_\"", self.name));
        }
        if self.origins.is_empty() || self.origins.len() > rules.origins_max() {
            refuse("/origins", format!("the origin list length must be in range [1, {}]", rules.origins_max()));
        }
        if self.monitor.is_some() && self.monitor_group.is_some() {
            refuse("/monitor_group", "monitor and monitor_group exclude each other".to_owned());
        }
        match (self.latitude, self.longitude) {
            (Some(_), None) => refuse("/longitude", "longitude is required where latitude is given".to_owned()),
            (None, Some(_)) => refuse("/latitude", "latitude is required where longitude is given".to_owned()),
            (None, None) | (Some(_), Some(_)) => {}
        }
        let email = self.notification_email.chars().count();
        if email > NOTIFICATION_EMAIL_CHARS_MAX {
            refuse(
                "/notification_email",
                format!("notification_email has {email} characters and may have at most {NOTIFICATION_EMAIL_CHARS_MAX}"),
            );
        }
        problems.extend(description(&self.description));
        problems.extend(self.check_regions.problem());
        problems.extend(self.health_sources_problem());
        for (index, origin) in self.origins.iter().enumerate() {
            origin.problems(index, rules, &mut problems);
        }
        self.repeated_origins(&mut problems);
        problems
    }

    /// Regional sources need a region to be local to.
    fn health_sources_problem(&self) -> Option<FieldError> {
        let refuse = |detail: &str| Some(FieldError::new("/health_sources", detail));
        let sources = self.health_sources.as_ref()?;
        if *sources != serde_json::json!(["regional", "global"]) {
            return refuse("health_sources must be null or [\"regional\", \"global\"]");
        }
        self.check_regions.0.is_none().then(|| refuse("health_sources needs at least 1 region in check_regions"))?
    }

    /// A name once; an address again only with another port or virtual network.
    fn repeated_origins(&self, problems: &mut Vec<FieldError>) {
        let (mut names, mut addresses) = (BTreeMap::new(), BTreeMap::new());
        for (index, origin) in self.origins.iter().enumerate() {
            if let Some(first) = names.insert(origin.name.as_str(), index).filter(|_| !origin.name.is_empty()) {
                problems.push(FieldError::new(
                    format!("/origins/{index}/name"),
                    format!("origin name {:?} is that of origins[{first}] and must be unique in the pool", origin.name),
                ));
            }
            let place = (origin.address.to_ascii_lowercase(), origin.port, origin.virtual_network_id.as_deref());
            if let Some(first) = addresses.insert(place, index).filter(|_| !origin.address.is_empty()) {
                problems.push(FieldError::new(
                    format!("/origins/{index}/address"),
                    format!("origin address {:?} is that of origins[{first}]: the port or the virtual network must differ", origin.address),
                ));
            }
        }
    }
}

impl OriginSettings {
    fn problems(&self, index: usize, rules: PoolRules<'_>, problems: &mut Vec<FieldError>) {
        let mut refuse = |field: &str, detail: String| problems.push(FieldError::new(format!("/origins/{index}/{field}"), detail));
        if !is_origin_name(&self.name) {
            refuse(
                "name",
                format!("origin name {:?} must be 1 to {NAME_CHARS_MAX} of letters, digits, \"-\", \"_\", \".\" and spaces", self.name),
            );
        }
        if self.address.parse::<IpAddr>().is_err() && !is_host_name(&self.address) {
            refuse("address", format!("origin address {:?} is not an IPv4 address, an IPv6 address or a host name", self.address));
        }
        let is_allowed = |host: &str| is_host_allowed(host, &self.address, rules.zones) || rules.is_host_stored(self);
        if let Some(host) = self.host.as_deref().filter(|host| !is_allowed(host)) {
            refuse("header/Host", format!("Host header {host:?} not allowed for origin domain {:?}", self.address));
        }
        if let Some(network) = self.virtual_network_id.as_deref().filter(|network| !is_uuid(network)) {
            refuse("virtual_network_id", format!("virtual_network_id {network:?} is not a UUID"));
        }
    }
}

impl CheckRegionsSetting {
    fn problem(&self) -> Option<FieldError> {
        let codes = self.0.as_ref()?;
        let detail = if codes.is_empty() {
            "check_regions must name at least 1 region, or be null for all PoPs".to_owned()
        } else if let Some(unknown) = codes.iter().find(|code| *code != ALL_REGIONS && code.parse::<Region>().is_err()) {
            let legal: Vec<&str> = Region::ALL.into_iter().map(Region::code).collect();
            format!("check_regions {unknown:?} is not one of {}, {ALL_REGIONS}", legal.join(", "))
        } else {
            let repeated = codes.iter().enumerate().find(|(index, code)| codes[..*index].contains(code));
            format!("check_regions names {:?} twice", repeated?.1)
        };
        Some(FieldError::new("/check_regions", detail))
    }
}

pub(super) fn is_pool_name(name: &str) -> bool {
    (1..=NAME_CHARS_MAX).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

fn is_origin_name(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-_. ".contains(&byte);
    (1..=NAME_CHARS_MAX).contains(&name.len()) && name.bytes().all(legal) && name.trim() == name
}

/// One fully qualified name: a zone of the account or directly below one, or the origin's own address.
fn is_host_allowed(host: &str, address: &str, zones: &[String]) -> bool {
    let host = host.to_ascii_lowercase();
    let is_zone = |name: &str| zones.iter().any(|zone| zone == name);
    let below_a_zone = || host.split_once('.').is_some_and(|(label, zone)| !label.is_empty() && is_zone(zone));
    let own_address = || {
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).and_then(|host| host.parse::<Ipv6Addr>().ok());
        host == address.to_ascii_lowercase() || bracketed.is_some_and(|host| address.parse() == Ok(host))
    };
    own_address() || (is_host_name(&host) && (is_zone(&host) || below_a_zone()))
}

fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{MonitorGroupId, MonitorId};
    use crate::pool::Weight;

    fn origin(name: &str, address: &str) -> OriginSettings {
        OriginSettings {
            name: name.to_owned(),
            address: address.to_owned(),
            enabled: true,
            weight: Weight::default(),
            host: None,
            port: 0,
            flatten_cname: None,
            virtual_network_id: None,
        }
    }

    fn pool(origins: Vec<OriginSettings>) -> PoolSettings {
        PoolSettings {
            name: "eu-1".to_owned(),
            description: String::new(),
            enabled: true,
            minimum_origins: 1,
            monitor: None,
            monitor_group: None,
            check_regions: CheckRegionsSetting(None),
            origins,
            latitude: None,
            longitude: None,
            notification_email: String::new(),
            origin_steering: None,
            load_shedding: None,
            notification_filter: None,
            health_sources: None,
        }
    }

    /// Checks what `change` makes of a legal pool of two origins.
    fn check(change: impl FnOnce(&mut PoolSettings), expected: &[(&str, &str)]) {
        let zones = ["example.com".to_owned(), "example.org".to_owned()];
        let rules = PoolRules { max_origins: 3, zones: &zones, stored: &[] };
        let mut pool = pool(vec![origin("a", "192.0.2.1"), origin("b 2.x", "b.example.net")]);
        assert_eq!(pool.problems(rules), []);
        change(&mut pool);
        let found = pool.problems(rules);
        let found: Vec<(&str, &str)> = found.iter().map(|problem| (problem.pointer.as_str(), problem.detail.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn each_bad_field_is_refused_by_name_with_what_is_legal() {
        let name = |name: &str| format!("name {name:?} must be 1 to 100 of letters, digits, \"-\" and \"_\"");
        for bad in ["", "a b", "ü", "a.b", &"a".repeat(101)] {
            check(|pool| pool.name = bad.to_owned(), &[("/name", &name(bad))]);
        }
        check(|pool| pool.origins.clear(), &[("/origins", "the origin list length must be in range [1, 3]")]);
        check(
            |pool| pool.origins.extend([origin("c", "192.0.2.3"), origin("d", "192.0.2.4")]),
            &[("/origins", "the origin list length must be in range [1, 3]")],
        );
        check(|pool| pool.latitude = Some(1.0), &[("/longitude", "longitude is required where latitude is given")]);
        check(|pool| pool.longitude = Some(1.0), &[("/latitude", "latitude is required where longitude is given")]);
        check(
            |pool| pool.notification_email = "x".repeat(1025),
            &[("/notification_email", "notification_email has 1025 characters and may have at most 1024")],
        );
        check(|pool| pool.description = "x".repeat(1025), &[("/description", "description has 1025 characters and may have at most 1024")]);
        check(
            |pool| (pool.monitor, pool.monitor_group) = (Some(MonitorId::from_bytes([1; 16])), Some(MonitorGroupId::from_bytes([2; 16]))),
            &[("/monitor_group", "monitor and monitor_group exclude each other")],
        );
    }

    #[test]
    fn check_regions_are_null_or_a_list_of_regions_without_repeats() {
        let regions = |codes: &[&str]| CheckRegionsSetting(Some(codes.iter().map(|code| (*code).to_owned()).collect()));
        let check_regions = |codes: &[&str], detail: &str| {
            let expected: &[(&str, &str)] = if detail.is_empty() { &[] } else { &[("/check_regions", detail)] };
            check(|pool| pool.check_regions = regions(codes), expected);
        };
        check_regions(&["WEU", "ENAM"], "");
        check_regions(&["ALL_REGIONS"], "");
        check_regions(&[], "check_regions must name at least 1 region, or be null for all PoPs");
        check_regions(&["WEU", "WEU"], "check_regions names \"WEU\" twice");
        check_regions(
            &["weu"],
            "check_regions \"weu\" is not one of WNAM, ENAM, WEU, EEU, NSAM, SSAM, OC, ME, NAF, SAF, SAS, SEAS, NEAS, ALL_REGIONS",
        );
        let both = serde_json::json!(["regional", "global"]);
        check(
            |pool| pool.health_sources = Some(both.clone()),
            &[("/health_sources", "health_sources needs at least 1 region in check_regions")],
        );
        check(|pool| (pool.health_sources, pool.check_regions) = (Some(both.clone()), regions(&["WEU"])), &[]);
        check(
            |pool| pool.health_sources = Some(serde_json::json!(["local"])),
            &[("/health_sources", "health_sources must be null or [\"regional\", \"global\"]")],
        );
    }

    #[test]
    fn an_origin_has_a_name_and_an_address() {
        for bad in ["", " a", "a/b"] {
            let detail = format!("origin name {bad:?} must be 1 to 100 of letters, digits, \"-\", \"_\", \".\" and spaces");
            check(|pool| pool.origins[1].name = bad.to_owned(), &[("/origins/1/name", &detail)]);
        }
        for good in ["::1", "2001:db8::5", "127.0.0.1", "host", "a.example"] {
            check(|pool| pool.origins[0].address = good.to_owned(), &[]);
        }
        for bad in ["", "http://a.example", "192.0.2.1:80", "[::1]", "fe80::1%eth0", "a b", "300.1.1.1"] {
            let detail = format!("origin address {bad:?} is not an IPv4 address, an IPv6 address or a host name");
            check(|pool| pool.origins[1].address = bad.to_owned(), &[("/origins/1/address", &detail)]);
        }
        check(
            |pool| pool.origins[0].virtual_network_id = Some("x".to_owned()),
            &[("/origins/0/virtual_network_id", "virtual_network_id \"x\" is not a UUID")],
        );
        check(|pool| pool.origins[0].virtual_network_id = Some("a5624d4e-044a-4ff0-b3e1-e2465353d4b4".to_owned()), &[]);
    }

    #[test]
    fn origins_differ_in_name_and_in_address_port_or_network() {
        check(
            |pool| pool.origins[1].name = "a".to_owned(),
            &[("/origins/1/name", "origin name \"a\" is that of origins[0] and must be unique in the pool")],
        );
        check(
            |pool| pool.origins[0].address = "B.example.net".to_owned(),
            &[(
                "/origins/1/address",
                "origin address \"b.example.net\" is that of origins[0]: the port or the virtual network must differ",
            )],
        );
        check(|pool| (pool.origins[0].address, pool.origins[0].port) = ("b.example.net".to_owned(), 8080), &[]);
    }

    #[test]
    fn a_host_header_is_a_zone_a_name_directly_below_one_or_the_address() {
        for good in ["example.com", "www.example.com", "WWW.Example.ORG", "b.example.net"] {
            check(|pool| pool.origins[1].host = Some(good.to_owned()), &[]);
        }
        for bad in ["", "www.example.net", "a.b.example.com", ".example.com", "com", "www.example.com:80", "*.example.com", "192.0.2.1"] {
            let detail = format!("Host header {bad:?} not allowed for origin domain \"b.example.net\"");
            check(|pool| pool.origins[1].host = Some(bad.to_owned()), &[("/origins/1/header/Host", &detail)]);
        }
        check(|pool| pool.origins[0].host = Some("192.0.2.1".to_owned()), &[]);
    }

    #[test]
    fn what_a_pool_has_already_may_stay_and_may_not_grow() {
        let zoned = |name: &str, address: &str| OriginSettings { host: Some("www.gone.example".to_owned()), ..origin(name, address) };
        let stored = [zoned("a", "192.0.2.1"), origin("b", "192.0.2.2"), origin("c", "192.0.2.3")];
        let problems = |origins: Vec<OriginSettings>| {
            let found = pool(origins).problems(PoolRules { max_origins: 1, zones: &[], stored: &stored });
            found.into_iter().map(|problem| (problem.pointer, problem.detail)).collect::<Vec<_>>()
        };
        assert_eq!(problems(stored.to_vec()), []);
        assert_eq!(problems(stored[..2].to_vec()), []);
        assert_eq!(problems(vec![OriginSettings { enabled: false, ..stored[0].clone() }]), []);
        let range = ("/origins".to_owned(), "the origin list length must be in range [1, 3]".to_owned());
        assert_eq!(problems([&stored[..], &[origin("d", "192.0.2.4")]].concat()), [range]);
        let host = "Host header \"www.gone.example\" not allowed for origin domain \"192.0.2.2\"".to_owned();
        assert_eq!(problems(vec![zoned("b", "192.0.2.2")]), [("/origins/0/header/Host".to_owned(), host)]);
    }
}
