//! What a legal health check is, beyond the ranges of its numbers.

use std::net::IpAddr;

use super::pool::is_pool_name;
use super::{FieldError, NAME_CHARS_MAX, is_host_name};
use crate::healthcheck::{HealthcheckKind, HealthcheckSettings, SAS_CODE};
use crate::monitor::MonitorSettings;
use crate::pool::ALL_REGIONS;
use crate::region::Region;

impl HealthcheckSettings {
    /// What is not legal beyond the ranges of the numbers, one entry a field.
    pub fn problems(&self) -> Vec<FieldError> {
        let mut problems: Vec<FieldError> = Vec::new();
        if !is_pool_name(&self.name) {
            let detail = format!("name {:?} must be 1 to {NAME_CHARS_MAX} of letters, digits, \"-\" and \"_\"", self.name);
            problems.push(FieldError::new("/name", detail));
        }
        if self.address.parse::<IpAddr>().is_err() && !is_host_name(&self.address) {
            let detail = format!("address {:?} is not an IPv4 address, an IPv6 address or a host name", self.address);
            problems.push(FieldError::new("/address", detail));
        }
        problems.extend(self.check_regions.as_deref().and_then(regions_problem));
        // Judged whether or not its kind uses it, so that a later change of the kind finds it legal.
        let kind = if self.kind.is_http() { self.kind } else { HealthcheckKind::Http };
        let as_monitor = MonitorSettings { description: self.description.clone(), ..MonitorSettings::of_kind(kind.monitor_kind()) };
        let http = self.http.clone().unwrap_or_default();
        problems.extend(http.monitor(as_monitor).problems().into_iter().map(|problem| match problem.pointer.as_str() {
            "/description" => problem,
            inner => FieldError::new(format!("/http_config{inner}"), problem.detail),
        }));
        problems
    }
}

fn regions_problem(codes: &[String]) -> Option<FieldError> {
    let name = |region: Region| if region == Region::Sas { SAS_CODE } else { region.code() };
    let is_legal = |code: &str| code == ALL_REGIONS || Region::ALL.into_iter().any(|region| name(region) == code);
    let detail = if codes.is_empty() {
        "check_regions must name at least 1 region, or be null for one region of our choice".to_owned()
    } else if let Some(unknown) = codes.iter().find(|code| !is_legal(code)) {
        format!("check_regions {unknown:?} is not one of {}, {ALL_REGIONS}", Region::ALL.map(name).join(", "))
    } else {
        let repeated = codes.iter().enumerate().find(|(index, code)| codes[..*index].contains(code));
        format!("check_regions names {:?} twice", repeated?.1)
    };
    Some(FieldError::new("/check_regions", detail))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::healthcheck::HttpConfig;

    /// The pointers and details that `change` makes of a legal health check.
    fn refused(change: impl FnOnce(&mut HealthcheckSettings)) -> Vec<(String, String)> {
        let mut settings = HealthcheckSettings {
            name: "shop-1".to_owned(),
            address: "192.0.2.1".to_owned(),
            kind: HealthcheckKind::Tcp,
            description: String::new(),
            check_regions: Some(vec!["WEU".to_owned(), "IN".to_owned()]),
            interval: 60,
            retries: 2,
            timeout: 5,
            consecutive_fails: 1,
            consecutive_successes: 1,
            suspended: false,
            http: Some(HttpConfig::default()),
            tcp: None,
        };
        assert_eq!(settings.problems(), []);
        change(&mut settings);
        settings.problems().into_iter().map(|problem| (problem.pointer, problem.detail)).collect()
    }

    #[test]
    fn each_bad_field_is_refused_by_name_with_what_is_legal() {
        let check = |change: fn(&mut HealthcheckSettings), pointer: &str, detail: &str| {
            assert_eq!(refused(change), [(pointer.to_owned(), detail.to_owned())]);
        };
        check(|s| s.name = "a b".to_owned(), "/name", "name \"a b\" must be 1 to 100 of letters, digits, \"-\" and \"_\"");
        check(
            |s| s.address = "http://a".to_owned(),
            "/address",
            "address \"http://a\" is not an IPv4 address, an IPv6 address or a host name",
        );
        check(|s| s.description = "x".repeat(1025), "/description", "description has 1025 characters and may have at most 1024");
        check(
            |s| s.check_regions = Some(vec!["SAS".to_owned()]),
            "/check_regions",
            "check_regions \"SAS\" is not one of WNAM, ENAM, WEU, EEU, NSAM, SSAM, OC, ME, NAF, SAF, IN, SEAS, NEAS, ALL_REGIONS",
        );
        check(
            |s| s.check_regions = Some(vec![]),
            "/check_regions",
            "check_regions must name at least 1 region, or be null for one region of our choice",
        );
        check(|s| s.check_regions = Some(vec!["WEU".to_owned(), "WEU".to_owned()]), "/check_regions", "check_regions names \"WEU\" twice");
        check(
            |s| s.http = Some(HttpConfig { path: "x".to_owned(), ..HttpConfig::default() }),
            "/http_config/path",
            "path \"x\" must begin with \"/\" and hold 1 to 1024 visible ASCII characters",
        );
        check(
            |s| s.http = Some(HttpConfig { expected_codes: Some(vec!["2x".to_owned()]), ..HttpConfig::default() }),
            "/http_config/expected_codes",
            "expected_codes \"2x\" is not a comma-separated list of codes (200), classes (2xx) or ranges (200-299) within 100 to 599",
        );
        check(
            |s| {
                let header = std::collections::BTreeMap::from([("Connection".to_owned(), vec!["close".to_owned()])]);
                s.http = Some(HttpConfig { header: Some(header), ..HttpConfig::default() });
            },
            "/http_config/header/Connection",
            "header \"Connection\" cannot be set",
        );
    }
}
