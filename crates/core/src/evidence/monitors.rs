//! The members of a monitor group in the evidence: what each says, PoP by PoP and in all.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Ballot, Evidence, ballots, failure_of};
use crate::electorate::Electorate;
use crate::failure;
use crate::ids::MonitorId;
use crate::monitor_group::Voice;
use crate::quorum::{self, Guards};
use crate::vote::Published;

/// What one member says in each seat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberBallots {
    pub voice: Voice,
    /// One a seat, in the electorate's order; a seat beyond its end is missing.
    pub ballots: Vec<Ballot>,
}

/// One member of a group over all PoPs: as if it decided alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MonitorResult {
    pub id: MonitorId,
    /// The majority of its votes; null where they decide nothing.
    pub healthy: Option<bool>,
    pub failure_reason: String,
    pub failure_code: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_code: Option<u16>,
    pub must_be_healthy: bool,
    pub monitoring_only: bool,
}

/// One member of a group as one PoP sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MonitorVote {
    pub id: MonitorId,
    /// `up`, `down`, `abstained` or `missing`.
    pub vote: String,
    pub failure_reason: Option<String>,
    pub failure_code: Option<String>,
    pub response_code: Option<u16>,
    /// `12.1ms`.
    pub rtt: Option<String>,
}

/// What each member of a group says in all.
#[must_use]
pub fn monitor_results(electorate: &Electorate, members: &[MemberBallots]) -> Vec<MonitorResult> {
    members.iter().map(|member| result(electorate, member)).collect()
}

fn result(electorate: &Electorate, member: &MemberBallots) -> MonitorResult {
    let seated: Vec<Ballot> = (0..electorate.seats()).map(|seat| member.at(seat)).collect();
    let verdict = quorum::decide(Guards::ALL, electorate, &ballots(&seated));
    let (reason, response_code) = failure_of(verdict.map_or(Published::Unknown, Published::from), &seated);
    MonitorResult {
        id: member.voice.monitor,
        healthy: verdict.map(Published::from).and_then(Published::healthy),
        failure_reason: failure::text_of(reason).to_owned(),
        failure_code: failure::code_of(reason).to_owned(),
        response_code,
        must_be_healthy: member.voice.must_be_healthy,
        monitoring_only: member.voice.monitoring_only,
    }
}

impl MemberBallots {
    fn at(&self, seat: usize) -> Ballot {
        self.ballots.get(seat).copied().unwrap_or(Ballot::Missing)
    }

    fn vote(&self, seat: usize) -> MonitorVote {
        let told = super::told(self.at(seat));
        MonitorVote {
            id: self.voice.monitor,
            vote: told.vote.to_owned(),
            failure_reason: told.failure_reason.map(str::to_owned),
            failure_code: told.failure_code.map(str::to_owned),
            response_code: told.response_code,
            rtt: told.rtt,
        }
    }
}

impl Evidence {
    /// Tells of each vote what the members of the group said. Where all of them only watch, no vote is missing:
    /// there are none.
    #[must_use]
    pub fn with_monitors(mut self, members: &[MemberBallots]) -> Self {
        if !members.is_empty() && members.iter().all(|member| !member.voice.votes()) {
            self.quorum_lost = false;
            (self.votes_to_flip, self.regions_to_flip) = (None, None);
            self.summary = format!("{}: no monitor of the group votes.", super::summary::head(self.verdict));
        }
        for (seat, vote) in self.regions.iter_mut().flat_map(|region| &mut region.votes).enumerate() {
            vote.monitors = members.iter().map(|member| member.vote(seat)).collect();
        }
        self
    }
}

#[cfg(test)]
mod tests;
