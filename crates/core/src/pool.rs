//! Pools and their origins, and the state that follows from the origins' verdicts.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::electorate::CheckRegions;
use crate::ids::{AccountId, CheckId, MonitorId, PoolId};
use crate::region::Region;
use crate::vote::Published;

/// Disabled things remember since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Enablement {
    Enabled,
    Disabled { since: Timestamp },
}

impl Enablement {
    pub const fn is_enabled(self) -> bool {
        matches!(self, Self::Enabled)
    }
}

/// Weight of an origin in hundredths, 0 to 100; the wire says 0 to 1 in steps of 0.01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Weight(pub u8);

impl Default for Weight {
    fn default() -> Self {
        Self(100)
    }
}

/// An origin as the operator wrote it, valid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OriginSettings {
    /// Required, unique in the pool.
    pub name: String,
    /// IPv4, IPv6 or host name.
    pub address: String,
    pub enabled: bool,
    pub weight: Weight,
    /// The origin's Host header; it wins over the monitor's.
    pub host: Option<String>,
    /// 0: the protocol's.
    pub port: u16,
    pub flatten_cname: Option<bool>,
    /// UUID, stored and returned, not executed.
    pub virtual_network_id: Option<String>,
}

/// An origin as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    /// The check (pool, origin name), from its insertion to its removal.
    pub check_id: CheckId,
    /// Moves only when a field that changes the probe changes.
    pub config_gen: u64,
    pub settings: OriginSettings,
    /// `Some` while disabled.
    pub disabled_at: Option<Timestamp>,
}

/// Which regions `check_regions` named, kept as written so that it is given back as written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CheckRegionsSetting(pub Option<Vec<String>>);

impl CheckRegionsSetting {
    /// What the setting means. The texts are valid: region codes or `ALL_REGIONS`.
    pub fn meaning(&self) -> CheckRegions {
        let Some(codes) = &self.0 else { return CheckRegions::AllPops };
        if codes.iter().any(|code| code == "ALL_REGIONS") {
            return CheckRegions::Regions(Region::ALL.to_vec());
        }
        let mut regions: Vec<Region> = codes.iter().filter_map(|code| code.parse().ok()).collect();
        regions.sort_unstable();
        regions.dedup();
        CheckRegions::Regions(regions)
    }
}

/// The settings of a pool, valid. What the vendor's schema knows and we do not execute is kept as
/// the JSON that was sent (`None`: absent) and given back.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolSettings {
    pub name: String,
    pub description: String,
    pub enabled: bool,
    /// Fewer healthy origins than this: the pool is critical. 0: never by health.
    pub minimum_origins: u32,
    pub monitor: Option<MonitorId>,
    /// Stored and returned; monitor groups are another issue.
    pub monitor_group: Option<String>,
    pub check_regions: CheckRegionsSetting,
    /// In the order given.
    pub origins: Vec<OriginSettings>,
    pub latitude: Option<f64>,
    pub longitude: Option<f64>,
    pub notification_email: String,
    pub origin_steering: Option<Value>,
    pub load_shedding: Option<Value>,
    pub notification_filter: Option<Value>,
    pub health_sources: Option<Value>,
}

/// A pool as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    pub id: PoolId,
    pub account_id: AccountId,
    pub settings: PoolSettings,
    /// Same length and order as `settings.origins`.
    pub origins: Vec<Origin>,
    pub disabled_at: Option<Timestamp>,
    pub created_on: Timestamp,
    pub modified_on: Timestamp,
}

/// How a pool stands. Source: the vendor's docs, "Health details", table of pool states; the order of the rows is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum PoolState {
    Unknown = 0,
    Healthy = 1,
    Degraded = 2,
    Critical = 3,
    Disabled = 4,
}

impl PoolState {
    /// The API's `healthy`: `None` while nothing is known, or nothing is probed.
    pub const fn healthy(self) -> Option<bool> {
        match self {
            Self::Healthy | Self::Degraded => Some(true),
            Self::Critical => Some(false),
            Self::Unknown | Self::Disabled => None,
        }
    }

    pub const fn number(self) -> i16 {
        self as i16
    }

    pub const fn from_number(number: i16) -> Option<Self> {
        match number {
            0 => Some(Self::Unknown),
            1 => Some(Self::Healthy),
            2 => Some(Self::Degraded),
            3 => Some(Self::Critical),
            4 => Some(Self::Disabled),
            _ => None,
        }
    }
}

/// One origin, as far as its pool's state goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OriginHealth {
    pub enabled: bool,
    pub verdict: Published,
    /// Some region of the origin says Down while the published verdict holds (decision 1: such a pool shows degraded).
    pub down_in_a_region: bool,
}

/// The state of a pool from its origins. Rows are tried in this order: disabled, unknown, critical,
/// degraded, healthy. Counted are enabled origins, weight 0 included.
#[must_use]
pub fn pool_state(enabled: bool, monitored: bool, minimum_origins: u32, origins: &[OriginHealth]) -> PoolState {
    if !enabled {
        return PoolState::Disabled;
    }
    let counted = || origins.iter().filter(|origin| origin.enabled);
    let any_verdict = counted().any(|origin| origin.verdict != Published::Unknown);
    if !monitored || (counted().next().is_some() && !any_verdict) {
        return PoolState::Unknown;
    }
    let healthy = counted().filter(|origin| origin.verdict == Published::Up).count();
    if u32::try_from(healthy).unwrap_or(u32::MAX) < minimum_origins {
        return PoolState::Critical;
    }
    let spotless = |origin: &OriginHealth| origin.verdict == Published::Up && !origin.down_in_a_region;
    if counted().all(spotless) { PoolState::Healthy } else { PoolState::Degraded }
}
