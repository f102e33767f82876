//! Monitor groups: several monitors that together decide how one PoP votes on an origin.

mod rule;

use std::ops::RangeInclusive;

use jiff::Timestamp;
use serde::Serialize;

use crate::ids::{AccountId, MonitorGroupId, MonitorId};
use crate::monitor::MonitorSettings;

pub use rule::{ballot, vote};

/// Members of one group. Bounds what one origin costs to probe and to explain.
pub const MEMBERS: RangeInclusive<usize> = 1..=10;

/// A monitor's part in a group, as the operator wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct MemberSettings {
    pub monitor: MonitorId,
    /// A disabled member neither probes nor votes.
    pub enabled: bool,
    /// Probes and is shown, and does not vote.
    pub monitoring_only: bool,
    /// Its failure alone is the group's. Means nothing for a member that does not vote.
    pub must_be_healthy: bool,
}

/// The settings of a group, valid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MonitorGroupSettings {
    pub description: String,
    /// In the order given; each monitor once.
    pub members: Vec<MemberSettings>,
}

/// A member as stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    pub settings: MemberSettings,
    /// When its monitor joined the group.
    pub created_at: Timestamp,
    /// When its part last changed.
    pub updated_at: Timestamp,
}

/// A group as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonitorGroup {
    pub id: MonitorGroupId,
    pub account_id: AccountId,
    pub description: String,
    /// In the order given.
    pub members: Vec<Member>,
    pub created_on: Timestamp,
    pub modified_on: Timestamp,
}

/// An enabled member as the rule and the evidence know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Voice {
    pub monitor: MonitorId,
    pub monitoring_only: bool,
    pub must_be_healthy: bool,
}

/// What the origins of a pool are asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Monitoring {
    /// Nothing: nobody judges them.
    Nothing,
    Monitor(MonitorSettings),
    /// The enabled members of a group, by id of their monitors.
    Group(Vec<(Voice, MonitorSettings)>),
}

impl MemberSettings {
    /// Its part in probing and voting; `None` for a disabled member.
    pub fn voice(self) -> Option<Voice> {
        let Self { monitor, enabled, monitoring_only, must_be_healthy } = self;
        enabled.then_some(Voice { monitor, monitoring_only, must_be_healthy })
    }
}

impl Voice {
    pub const fn votes(self) -> bool {
        !self.monitoring_only
    }

    /// Whether its failure alone is the group's.
    pub const fn is_decisive(self) -> bool {
        self.must_be_healthy && self.votes()
    }
}

impl MonitorGroupSettings {
    /// The enabled members by id of their monitors: what makes the votes. Neither the order nor the
    /// description does.
    pub fn voices(&self) -> Vec<Voice> {
        let mut voices: Vec<Voice> = self.members.iter().filter_map(|member| member.voice()).collect();
        voices.sort_unstable();
        voices
    }
}

impl MonitorGroup {
    pub fn settings(&self) -> MonitorGroupSettings {
        MonitorGroupSettings { description: self.description.clone(), members: self.members.iter().map(|member| member.settings).collect() }
    }
}

impl Monitoring {
    /// Whether there is anybody to judge an origin: a group whose members all only watch judges nothing.
    pub fn judges(&self) -> bool {
        match self {
            Self::Nothing => false,
            Self::Monitor(_) => true,
            Self::Group(members) => members.iter().any(|(voice, _)| voice.votes()),
        }
    }

    /// Enabled members of a group; 0 without one.
    pub const fn members(&self) -> usize {
        match self {
            Self::Nothing | Self::Monitor(_) => 0,
            Self::Group(members) => members.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_description_and_disabled_members_make_no_votes() {
        let member = |id: u8, enabled| MemberSettings {
            monitor: MonitorId::from_bytes([id; 16]),
            enabled,
            monitoring_only: false,
            must_be_healthy: id == 2,
        };
        let group = |description: &str, members: &[MemberSettings]| {
            MonitorGroupSettings { description: description.to_owned(), members: members.to_vec() }.voices()
        };
        let voices = group("a", &[member(1, true), member(2, true), member(3, false)]);
        assert_eq!(voices, group("b", &[member(2, true), member(1, true)]));
        assert_ne!(voices, group("a", &[member(1, true), member(2, true), member(3, true)]));
        assert_ne!(voices, group("a", &[member(1, true), MemberSettings { must_be_healthy: false, ..member(2, true) }]));
    }

    #[test]
    fn a_group_of_onlookers_judges_nothing() {
        let group = |watching: &[bool]| {
            let voice = |monitoring_only| Voice { monitor: MonitorId::from_bytes([1; 16]), monitoring_only, must_be_healthy: true };
            Monitoring::Group(watching.iter().map(|only| (voice(*only), MonitorSettings::default())).collect()).judges()
        };
        assert!(group(&[true, false]) && Monitoring::Monitor(MonitorSettings::default()).judges());
        assert!(!group(&[true, true]) && !group(&[]) && !Monitoring::Nothing.judges());
    }
}
