//! How sessions stick, where two fields together say what is not legal: in the load balancer itself, and in the
//! overrides of its rules, where what a rule does not say is the load balancer's.

use serde_json::Value;

use super::FieldError;
use crate::load_balancer::{AFFINITY_HEADERS_MAX, LoadBalancerSettings, affinity_ttl};

const NULL: Value = Value::Null;

pub(super) fn problems(settings: &LoadBalancerSettings) -> Vec<FieldError> {
    let own = Affinity {
        label: String::new(),
        kind: &settings.session_affinity,
        ttl: settings.session_affinity_ttl.map(u64::from),
        attributes: settings.session_affinity_attributes.as_ref().unwrap_or(&NULL),
    };
    let mut problems: Vec<FieldError> = own.problem().into_iter().collect();
    if own.kind == "header" && own.headers().next().is_none() {
        let detail = "session_affinity_attributes.headers must name at least 1 header where session_affinity is \"header\"";
        problems.push(FieldError::new("/session_affinity_attributes/headers", detail));
    }
    let rules = settings.rules.as_ref().and_then(Value::as_array);
    for (index, rule) in rules.into_iter().flatten().enumerate() {
        let Some(overrides) = rule.get("overrides") else { continue };
        // Clients write an empty text for what they leave alone.
        let kind = overrides.get("session_affinity").and_then(Value::as_str).filter(|kind| !kind.is_empty());
        let overridden = Affinity {
            label: format!("rules[{index}].overrides."),
            kind: kind.unwrap_or(own.kind),
            ttl: overrides.get("session_affinity_ttl").and_then(Value::as_f64).and_then(whole),
            attributes: overrides.get("session_affinity_attributes").unwrap_or(&NULL),
        };
        problems.extend(overridden.problem());
    }
    problems
}

struct Affinity<'a> {
    /// Before a field's name in messages.
    label: String,
    kind: &'a str,
    /// Seconds.
    ttl: Option<u64>,
    attributes: &'a Value,
}

impl Affinity<'_> {
    fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    fn headers(&self) -> impl Iterator<Item = &str> {
        self.attributes.get("headers").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    }

    /// The first problem.
    fn problem(&self) -> Option<FieldError> {
        let Self { label, kind, .. } = self;
        let refuse = |field: &str, detail: String| {
            let pointer = format!("/{label}{field}").replace(['.', '['], "/").replace(']', "");
            Some(FieldError::new(pointer, detail))
        };
        if let (Some(ttl), Some(range)) = (self.ttl, affinity_ttl(kind))
            && !u32::try_from(ttl).is_ok_and(|ttl| range.legal.contains(&ttl))
        {
            let (low, high) = (range.legal.start(), range.legal.end());
            let detail = format!("{label}session_affinity_ttl {ttl} is not in range [{low}, {high}] of session_affinity {kind:?}");
            return refuse("session_affinity_ttl", detail);
        }
        let attributes = format!("{label}session_affinity_attributes");
        if self.attribute("samesite") == "None" && self.attribute("secure") == "Never" {
            return refuse("session_affinity_attributes", format!("{attributes}.samesite None excludes {attributes}.secure Never"));
        }
        if *kind == "header" && self.attribute("zero_downtime_failover") == "sticky" {
            let detail = format!("{attributes}.zero_downtime_failover sticky excludes session_affinity header");
            return refuse("session_affinity_attributes.zero_downtime_failover", detail);
        }
        let names: Vec<String> = self.headers().map(str::to_ascii_lowercase).collect();
        if names.len() > AFFINITY_HEADERS_MAX {
            let detail = format!("{attributes}.headers has {} entries and may have at most {AFFINITY_HEADERS_MAX}", names.len());
            return refuse("session_affinity_attributes.headers", detail);
        }
        let twice = names.iter().enumerate().find(|(index, name)| names[..*index].contains(name));
        twice.and_then(|(_, name)| refuse("session_affinity_attributes.headers", format!("{attributes}.headers names {name:?} twice")))
    }
}

/// A whole number of seconds, which some clients write as `1800.0`.
fn whole(number: f64) -> Option<u64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, not negative, and small")]
    (number.fract() == 0.0 && (0.0..=1e9).contains(&number)).then_some(number as u64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::sample;
    use super::*;

    fn check(kind: &str, ttl: Option<u32>, attributes: Value, rules: Value, expected: &[(&str, &str)]) {
        let mut settings = sample();
        settings.session_affinity = kind.to_owned();
        settings.session_affinity_ttl = ttl;
        settings.session_affinity_attributes = Some(attributes);
        settings.rules = Some(rules);
        let found = problems(&settings);
        let found: Vec<(&str, &str)> = found.iter().map(|problem| (problem.pointer.as_str(), problem.detail.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_session_lasts_as_long_as_its_kind_may() {
        let none = || json!([]);
        check("none", Some(5), json!({}), none(), &[]);
        check("cookie", Some(1800), json!({}), none(), &[]);
        check("ip_cookie", Some(604_800), json!({}), none(), &[]);
        let headers = || json!({"headers": ["x"]});
        check("header", Some(30), headers(), none(), &[]);
        let refused = "session_affinity_ttl 3601 is not in range [30, 3600] of session_affinity \"header\"";
        check("header", Some(3601), headers(), none(), &[("/session_affinity_ttl", refused)]);
        let rule = |overrides: Value| json!([{"overrides": overrides}]);
        check("cookie", None, json!({}), rule(json!({"session_affinity": "header", "session_affinity_ttl": 30.0})), &[]);
        let refused = "rules[0].overrides.session_affinity_ttl 30 is not in range [1800, 604800] of session_affinity \"cookie\"";
        let pointer = "/rules/0/overrides/session_affinity_ttl";
        check("cookie", None, json!({}), rule(json!({"session_affinity": "", "session_affinity_ttl": 30})), &[(pointer, refused)]);
    }

    #[test]
    fn attributes_that_exclude_each_other_are_refused() {
        let place = "/session_affinity_attributes";
        let never = "session_affinity_attributes.samesite None excludes session_affinity_attributes.secure Never";
        check("none", None, json!({"samesite": "None", "secure": "Never"}), json!([]), &[(place, never)]);
        check("none", None, json!({"samesite": "None", "secure": "Auto"}), json!([]), &[]);
        let sticky = json!({"zero_downtime_failover": "sticky", "headers": ["x"]});
        let excluded = "session_affinity_attributes.zero_downtime_failover sticky excludes session_affinity header";
        check("header", None, sticky.clone(), json!([]), &[("/session_affinity_attributes/zero_downtime_failover", excluded)]);
        check("cookie", None, sticky.clone(), json!([]), &[]);
        let rules = json!([{}, {"overrides": {"session_affinity": "header", "session_affinity_attributes": sticky}}]);
        let pointer = "/rules/1/overrides/session_affinity_attributes/zero_downtime_failover";
        check("none", None, json!({}), rules, &[(pointer, &format!("rules[1].overrides.{excluded}"))]);
    }

    #[test]
    fn header_sessions_are_told_by_one_to_five_headers() {
        let pointer = "/session_affinity_attributes/headers";
        let missing = "session_affinity_attributes.headers must name at least 1 header where session_affinity is \"header\"";
        check("header", None, json!({}), json!([]), &[(pointer, missing)]);
        check("header", None, json!({"headers": ["a", "b", "c", "d", "cookie:x,y"]}), json!([]), &[]);
        let many = "session_affinity_attributes.headers has 6 entries and may have at most 5";
        check("none", None, json!({"headers": ["a", "b", "c", "d", "e", "f"]}), json!([]), &[(pointer, many)]);
        let twice = "session_affinity_attributes.headers names \"x-a\" twice";
        check("none", None, json!({"headers": ["x-a", "X-A"]}), json!([]), &[(pointer, twice)]);
    }
}
