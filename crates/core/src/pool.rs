//! Pools and their origins, and the state that follows from the origins' verdicts.

use std::ops::RangeInclusive;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::electorate::CheckRegions;
use crate::ids::{AccountId, CheckId, MonitorGroupId, MonitorId, PoolId};
use crate::region::Region;
use crate::vote::Published;

/// Means every region in `check_regions`.
pub const ALL_REGIONS: &str = "ALL_REGIONS";
/// Degrees.
pub const LATITUDE: RangeInclusive<f64> = -90.0..=90.0;
/// Degrees.
pub const LONGITUDE: RangeInclusive<f64> = -180.0..=180.0;
/// Characters of the deprecated list of e-mail addresses.
pub const NOTIFICATION_EMAIL_CHARS_MAX: usize = 1024;

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
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct CheckRegionsSetting(pub Option<Vec<String>>);

impl CheckRegionsSetting {
    /// What the setting means. The texts are valid: region codes or `ALL_REGIONS`.
    pub fn meaning(&self) -> CheckRegions {
        let Some(codes) = &self.0 else { return CheckRegions::AllPops };
        if codes.iter().any(|code| code == ALL_REGIONS) {
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
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PoolSettings {
    pub name: String,
    pub description: String,
    pub enabled: bool,
    /// Fewer healthy origins than this: the pool is critical. 0: never by health.
    pub minimum_origins: u32,
    pub monitor: Option<MonitorId>,
    /// Instead of a monitor: the monitors of this group decide together.
    pub monitor_group: Option<MonitorGroupId>,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
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
    /// Some region of the origin says Down while the published verdict holds (such a pool shows degraded; docs/decisions/0002).
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Origins of a script: `U` up, `r` up but down in a region, `D` down, `?` unknown; in parentheses, disabled.
    fn origins(script: &str) -> Vec<OriginHealth> {
        let mut enabled = true;
        let mut found = Vec::new();
        for letter in script.chars() {
            let (verdict, down_in_a_region) = match letter {
                '(' | ')' => {
                    enabled = letter == ')';
                    continue;
                }
                'U' => (Published::Up, false),
                'r' => (Published::Up, true),
                'D' => (Published::Down, true),
                _ => (Published::Unknown, false),
            };
            found.push(OriginHealth { enabled, verdict, down_in_a_region });
        }
        found
    }

    #[test]
    fn a_pool_stands_as_its_table_of_states_says() {
        use PoolState::{Critical, Degraded, Disabled, Healthy, Unknown};
        let rows = [
            // minimum_origins, origins, state
            (1, "UUU", Healthy),
            (1, "UUD", Degraded),
            (1, "U??", Degraded),
            (1, "UUr", Degraded),
            (1, "DDD", Critical),
            (1, "DD?", Critical),
            (1, "D", Critical),
            (1, "U", Healthy),
            (2, "UDD", Critical),
            (2, "UUD", Degraded),
            (3, "UU", Critical),
            (0, "DDD", Degraded),
            (0, "D?", Degraded),
            (0, "UU", Healthy),
            // No origin has a verdict: unknown rather than critical, whatever the threshold.
            (0, "???", Unknown),
            (1, "???", Unknown),
            (9, "?", Unknown),
            // Disabled origins are not counted, on either side.
            (1, "U(D)", Healthy),
            (1, "?(U)", Unknown),
            (1, "D(UU)", Critical),
            (2, "U(U)", Critical),
            // Nothing enabled: none healthy.
            (1, "(UU)", Critical),
            (1, "", Critical),
            (0, "(D)", Healthy),
            (0, "", Healthy),
        ];
        for (minimum, script, state) in rows {
            assert_eq!(pool_state(true, true, minimum, &origins(script)), state, "minimum_origins {minimum}, {script:?}");
            assert_eq!(pool_state(false, true, minimum, &origins(script)), Disabled, "disabled wins: {script:?}");
            assert_eq!(pool_state(false, false, minimum, &origins(script)), Disabled, "disabled wins: {script:?}");
            assert_eq!(pool_state(true, false, minimum, &origins(script)), Unknown, "without a monitor nothing is known: {script:?}");
        }
    }

    /// Every pool of up to four origins: a better origin never makes a worse pool.
    #[test]
    fn an_origin_that_comes_up_never_worsens_its_pool() {
        const LETTERS: [char; 4] = ['U', 'r', 'D', '?'];
        let rank = |state| match state {
            PoolState::Healthy => 3,
            PoolState::Degraded => 2,
            PoolState::Unknown => 1,
            PoolState::Critical => 0,
            PoolState::Disabled => panic!("an enabled pool is not disabled"),
        };
        for length in 1..=4_u32 {
            for number in 0..4_usize.pow(length) {
                let script: String = (0..length).map(|at| LETTERS[number / 4_usize.pow(at) % 4]).collect();
                for minimum in 0..=5 {
                    let before = pool_state(true, true, minimum, &origins(&script));
                    for at in (0..script.len()).filter(|at| script.as_bytes()[*at] == b'D') {
                        let better = format!("{}U{}", &script[..at], &script[at + 1..]);
                        let after = pool_state(true, true, minimum, &origins(&better));
                        assert!(rank(after) >= rank(before), "{script} {before:?} -> {better} {after:?}, minimum_origins {minimum}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_api_sees_degraded_as_healthy_and_what_is_not_probed_as_null() {
        let told =
            [PoolState::Unknown, PoolState::Healthy, PoolState::Degraded, PoolState::Critical, PoolState::Disabled].map(PoolState::healthy);
        assert_eq!(told, [None, Some(true), Some(true), Some(false), None]);
        for number in -1..=5 {
            assert_eq!(PoolState::from_number(number).map(PoolState::number), (0..=4).contains(&number).then_some(number));
        }
    }

    #[test]
    fn check_regions_mean_all_pops_all_regions_or_the_regions_named() {
        let meaning = |codes: Option<&[&str]>| {
            CheckRegionsSetting(codes.map(|codes| codes.iter().map(|code| (*code).to_owned()).collect())).meaning()
        };
        assert_eq!(meaning(None), CheckRegions::AllPops);
        assert_eq!(meaning(Some(&["ALL_REGIONS"])), CheckRegions::Regions(Region::ALL.to_vec()));
        assert_eq!(meaning(Some(&["WEU", "ALL_REGIONS"])), CheckRegions::Regions(Region::ALL.to_vec()));
        assert_eq!(meaning(Some(&["WEU", "ENAM", "WEU"])), CheckRegions::Regions(vec![Region::Enam, Region::Weu]));
    }
}
