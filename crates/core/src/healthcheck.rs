//! Standalone health checks: one address of a zone, asked and decided by the same rules as an origin,
//! without a pool around it.
//!
//! To the engine a health check *is* a pool of one origin under a monitor of its own: [`Healthcheck::pool`]
//! and [`HealthcheckSettings::monitor`] say which. Its id is that pool's id.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, CheckId, HealthcheckId, PoolId, ZoneId};
use crate::monitor::{MonitorKind, MonitorSettings, TCP_METHOD};
use crate::pool::{CheckRegionsSetting, Origin, OriginSettings, Pool, PoolSettings, Weight};
use crate::region::Region;
use crate::vote::Published;

/// Methods of an HTTP(S) health check.
pub const METHODS: [&str; 2] = ["GET", "HEAD"];
/// What this product calls [`Region::Sas`].
pub const SAS_CODE: &str = "IN";

/// How a health check asks. On the wire: `HTTP`, `HTTPS`, `TCP`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum HealthcheckKind {
    #[default]
    Http,
    Https,
    Tcp,
}

impl HealthcheckKind {
    pub const ALL: [Self; 3] = [Self::Http, Self::Https, Self::Tcp];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Https => "HTTPS",
            Self::Tcp => "TCP",
        }
    }

    pub const fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::Https)
    }

    /// The port where none is given.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http | Self::Tcp => 80,
            Self::Https => 443,
        }
    }

    pub const fn monitor_kind(self) -> MonitorKind {
        match self {
            Self::Http => MonitorKind::Http,
            Self::Https => MonitorKind::Https,
            Self::Tcp => MonitorKind::Tcp,
        }
    }
}

impl fmt::Display for HealthcheckKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for HealthcheckKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(|| format!("type {text:?} is not one of HTTP, HTTPS, TCP"))
    }
}

/// The settings of a health check, valid. Ranges: see `docs/compatibility.md`, "Health check".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthcheckSettings {
    pub name: String,
    /// IPv4, IPv6 or host name.
    pub address: String,
    #[serde(rename = "type")]
    pub kind: HealthcheckKind,
    pub description: String,
    /// As written: region codes with `IN` for `SAS`, or `ALL_REGIONS`. `None`: one region, see [`Healthcheck::default_region`].
    pub check_regions: Option<Vec<String>>,
    /// Seconds.
    pub interval: u16,
    /// Immediate, and for timeouts only; 0 to 5.
    pub retries: u8,
    /// Seconds, 1 to 60: one absolute deadline of one attempt.
    pub timeout: u16,
    pub consecutive_fails: u8,
    pub consecutive_successes: u8,
    /// Not asked for the time being.
    pub suspended: bool,
    /// Always there for HTTP(S).
    pub http: Option<HttpConfig>,
    /// Always there for TCP.
    pub tcp: Option<TcpConfig>,
}

/// What to ask over HTTP(S), and what to expect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpConfig {
    pub method: String,
    /// 0: the protocol's.
    pub port: u16,
    pub path: String,
    /// Each as in [`ExpectedCodes`](crate::monitor::ExpectedCodes); none: 200.
    pub expected_codes: Option<Vec<String>>,
    pub expected_body: String,
    pub follow_redirects: bool,
    pub allow_insecure: bool,
    /// Name to values, as written.
    pub header: Option<BTreeMap<String, Vec<String>>>,
    /// As of a monitor.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secret_headers: Vec<String>,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            method: METHODS[0].to_owned(),
            port: 0,
            path: "/".to_owned(),
            expected_codes: None,
            expected_body: String::new(),
            follow_redirects: false,
            allow_insecure: false,
            header: None,
            secret_headers: Vec::new(),
        }
    }
}

/// Where to connect to over TCP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TcpConfig {
    /// `connection_established`, always.
    pub method: String,
    pub port: u16,
}

impl Default for TcpConfig {
    fn default() -> Self {
        Self { method: TCP_METHOD.to_owned(), port: HealthcheckKind::Tcp.default_port() }
    }
}

impl HealthcheckSettings {
    /// The monitor that asks as these settings say.
    pub fn monitor(&self) -> MonitorSettings {
        let kind = self.kind.monitor_kind();
        let base = MonitorSettings {
            timeout: self.timeout,
            retries: self.retries,
            interval: self.interval,
            consecutive_up: self.consecutive_successes,
            consecutive_down: self.consecutive_fails,
            ..MonitorSettings::of_kind(kind)
        };
        match (self.kind, &self.http, &self.tcp) {
            (HealthcheckKind::Tcp, _, tcp) => MonitorSettings { port: tcp.clone().unwrap_or_default().port, ..base },
            (HealthcheckKind::Http | HealthcheckKind::Https, http, _) => http.clone().unwrap_or_default().monitor(base),
        }
    }

    /// The origin that is asked.
    pub fn origin(&self) -> OriginSettings {
        OriginSettings {
            name: self.name.clone(),
            address: self.address.clone(),
            enabled: true,
            weight: Weight::default(),
            host: None,
            port: 0,
            flatten_cname: None,
            virtual_network_id: None,
        }
    }

    /// Whether a change from `self` to `other` changes the probe, so that old votes say nothing any more.
    pub fn probes_differently(&self, other: &Self) -> bool {
        self.monitor().probes_differently(&other.monitor()) || self.address != other.address || (self.suspended && !other.suspended)
    }

    /// The regions as the engine knows them.
    pub fn regions(&self, default: Region) -> CheckRegionsSetting {
        let engine = |code: &String| if code == SAS_CODE { Region::Sas.code().to_owned() } else { code.clone() };
        CheckRegionsSetting(Some(match &self.check_regions {
            Some(codes) => codes.iter().map(engine).collect(),
            None => vec![default.code().to_owned()],
        }))
    }
}

impl HttpConfig {
    pub(crate) fn monitor(self, base: MonitorSettings) -> MonitorSettings {
        MonitorSettings {
            method: self.method,
            port: self.port,
            path: self.path,
            expected_codes: self.expected_codes.map_or_else(|| base.expected_codes.clone(), |codes| codes.join(",")),
            expected_body: self.expected_body,
            follow_redirects: self.follow_redirects,
            allow_insecure: self.allow_insecure,
            header: self.header.unwrap_or_default(),
            secret_headers: self.secret_headers,
            ..base
        }
    }
}

/// A health check as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Healthcheck {
    pub id: HealthcheckId,
    pub account_id: AccountId,
    pub zone_id: ZoneId,
    /// From its insertion to its removal.
    pub check_id: CheckId,
    /// Moves only when a field that changes the probe changes.
    pub config_gen: u64,
    pub settings: HealthcheckSettings,
    /// From where it is asked while `check_regions` is null: chosen when that was written.
    pub default_region: Region,
    pub created_on: Timestamp,
    pub modified_on: Timestamp,
}

impl Healthcheck {
    /// The pool as which the engine knows it.
    pub fn pool(&self) -> Pool {
        let origin = Origin { check_id: self.check_id, config_gen: self.config_gen, settings: self.settings.origin(), disabled_at: None };
        Pool {
            id: self.id.pool(),
            account_id: self.account_id,
            settings: PoolSettings {
                name: self.settings.name.clone(),
                description: String::new(),
                enabled: !self.settings.suspended,
                minimum_origins: 1,
                monitor: None,
                monitor_group: None,
                check_regions: self.settings.regions(self.default_region),
                origins: vec![origin.settings.clone()],
                latitude: None,
                longitude: None,
                notification_email: String::new(),
                origin_steering: None,
                load_shedding: None,
                notification_filter: None,
                health_sources: None,
            },
            origins: vec![origin],
            disabled_at: self.settings.suspended.then_some(self.modified_on),
            created_on: self.created_on,
            modified_on: self.modified_on,
        }
    }
}

impl HealthcheckId {
    /// The id of the pool as which the engine knows it.
    pub const fn pool(self) -> PoolId {
        PoolId::from_bytes(*self.as_bytes())
    }
}

/// How a health check stands. On the wire in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HealthcheckStatus {
    /// No majority has said anything yet.
    Unknown,
    Healthy,
    Unhealthy,
    Suspended,
}

impl HealthcheckStatus {
    pub const fn of(suspended: bool, verdict: Published) -> Self {
        match verdict {
            _ if suspended => Self::Suspended,
            Published::Unknown => Self::Unknown,
            Published::Up => Self::Healthy,
            Published::Down => Self::Unhealthy,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Check, Probe};
    use crate::electorate::CheckRegions;

    pub(crate) fn settings() -> HealthcheckSettings {
        HealthcheckSettings {
            name: "shop".to_owned(),
            address: "www.example.com".to_owned(),
            kind: HealthcheckKind::Https,
            description: String::new(),
            check_regions: None,
            interval: 60,
            retries: 2,
            timeout: 5,
            consecutive_fails: 3,
            consecutive_successes: 1,
            suspended: false,
            http: Some(HttpConfig { expected_codes: Some(vec!["2xx".to_owned(), "302".to_owned()]), ..HttpConfig::default() }),
            tcp: None,
        }
    }

    fn check(settings: &HealthcheckSettings) -> Check {
        Check::new(CheckId::from_bytes([1; 16]), 1, PoolId::from_bytes([2; 16]), [3; 16], &settings.monitor(), &settings.origin())
    }

    #[test]
    fn a_health_check_asks_like_the_monitor_of_its_kind() {
        let https = check(&settings());
        assert_eq!((https.port, https.consecutive_down, https.consecutive_up), (443, 3, 1));
        let Probe::Http(probe) = https.probe else { panic!("HTTPS") };
        assert_eq!((probe.tls, probe.expected_codes.as_str(), probe.method.as_str()), (true, "2xx,302", "GET"));
        let plain = HealthcheckSettings { kind: HealthcheckKind::Http, http: None, ..settings() };
        let Probe::Http(probe) = check(&plain).probe else { panic!("HTTP") };
        assert_eq!((check(&plain).port, probe.expected_codes.as_str()), (80, "200"));
        let tcp =
            HealthcheckSettings { kind: HealthcheckKind::Tcp, tcp: Some(TcpConfig { port: 5432, ..TcpConfig::default() }), ..settings() };
        assert_eq!((check(&tcp).port, check(&tcp).probe), (5432, Probe::Tcp));
    }

    #[test]
    fn regions_are_those_of_the_engine_and_none_is_one() {
        let regions = |codes: Option<&[&str]>| {
            let check_regions = codes.map(|codes| codes.iter().map(|code| (*code).to_owned()).collect());
            HealthcheckSettings { check_regions, ..settings() }.regions(Region::Oc).meaning()
        };
        assert_eq!(regions(Some(&["IN", "WEU"])), CheckRegions::Regions(vec![Region::Weu, Region::Sas]));
        assert_eq!(regions(Some(&["ALL_REGIONS"])), CheckRegions::Regions(Region::ALL.to_vec()));
        assert_eq!(regions(None), CheckRegions::Regions(vec![Region::Oc]));
    }

    #[test]
    fn only_a_change_of_the_probe_or_a_resumption_drops_the_votes() {
        let base = settings();
        let same = |change: fn(&mut HealthcheckSettings)| {
            let mut changed = settings();
            change(&mut changed);
            !base.probes_differently(&changed)
        };
        assert!(same(|s| s.description = "x".to_owned()) && same(|s| s.name = "other".to_owned()) && same(|s| s.suspended = true));
        assert!(same(|s| s.check_regions = Some(vec!["WEU".to_owned()])));
        assert!(same(|s| s.tcp = Some(TcpConfig::default())), "what its kind does not use");
        assert!(!same(|s| s.interval = 10) && !same(|s| s.address = "192.0.2.1".to_owned()) && !same(|s| s.kind = HealthcheckKind::Http));
        assert!(HealthcheckSettings { suspended: true, ..settings() }.probes_differently(&base));
    }
}
