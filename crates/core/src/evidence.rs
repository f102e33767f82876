//! The verdict, explained: who voted what, from where, why, and what would flip it.
//!
//! One JSON for the API, the event, the webhook and the CLI. [`Ballot`]s come from the register of
//! the bucket's owner, either directly (an event) or through a packed row (the quorum view).

use serde::{Deserialize, Serialize};

use crate::electorate::Electorate;
use crate::failure::FailureReason;
use crate::vote::{Published, Verdict, VoteState};

/// What one seat says, with its detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ballot {
    /// Nobody with this seat has a live session, or its vote is of another configuration.
    Missing,
    /// A state and, where it has arrived, its detail.
    Cast { state: VoteState, detail: Option<BallotDetail>, age_ms: u32 },
}

/// Detail of a cast ballot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BallotDetail {
    pub reason: Option<FailureReason>,
    pub response_code: Option<u16>,
    pub rtt_us: Option<u32>,
}

/// The evidence of one check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The verdict as published.
    pub verdict: Published,
    /// What the present votes say: `up`, `down`, or null where a tie or missing votes decide nothing.
    pub majority: Option<Verdict>,
    pub failure_reason: String,
    pub failure_code: String,
    /// Fewest PoPs that would have to change to the opposite vote; null where no change of votes could do it.
    pub votes_to_flip: Option<u32>,
    pub regions_to_flip: Option<u32>,
    /// Missing votes make a majority impossible either way.
    pub quorum_lost: bool,
    /// The same, as one sentence.
    pub summary: String,
    pub regions: Vec<RegionEvidence>,
}

/// The evidence of one region. `region` is `ALL` for the one list of all PoPs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegionEvidence {
    pub region: String,
    /// `up`, `down`, or null: a tie, missing votes, or no workers.
    pub verdict: Option<Verdict>,
    pub assigned: u32,
    pub up: u32,
    pub down: u32,
    pub missing: u32,
    /// `no workers` for a region without registered PoPs; it still counts among the regions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    pub votes: Vec<VoteEvidence>,
}

/// The vote of one PoP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VoteEvidence {
    /// `London, GB`.
    pub pop: String,
    /// `lhr`.
    pub pop_code: String,
    /// `up`, `down`, `abstained` or `missing`.
    pub vote: String,
    pub failure_reason: Option<String>,
    pub failure_code: Option<String>,
    pub response_code: Option<u16>,
    /// `12.1ms`.
    pub rtt: Option<String>,
    /// Milliseconds since the owner last heard it.
    pub age_ms: Option<u32>,
    /// `pending` while the state has arrived and its detail has not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// A packed row: the electorate of a check with each seat's ballot, as stored for the quorum view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedVotes {
    pub electorate: Electorate,
    /// One a seat, in the electorate's order.
    pub ballots: Vec<Ballot>,
}

/// Why bytes are no packed row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a packed row of votes is damaged or of an unknown version")]
pub struct Damaged;
