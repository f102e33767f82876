//! The verdict, explained: who voted what, from where, why, and what would flip it.
//!
//! One JSON for the API, the event, the webhook and the CLI. [`Ballot`]s come from the register of
//! the bucket's owner, either directly (an event) or through a packed row (the quorum view).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::electorate::{Electorate, RegionSeats};
use crate::failure::{self, FailureReason};
use crate::pop::{Pop, PopNo};
use crate::quorum::{self, Ballots, RegionTally};
use crate::vote::{Published, Verdict, VoteState};

mod monitors;
mod packed;
mod summary;

pub use monitors::{MemberBallots, MonitorResult, MonitorVote, monitor_results};
pub use packed::{Damaged, PackedVotes};

/// Region of the one list of all PoPs, which `check_regions: null` means.
pub const ALL_POPS: &str = "ALL";
/// Note of a region without registered PoPs.
pub const NO_WORKERS: &str = "no workers";
/// `detail` of a vote whose state has arrived and whose detail has not.
pub const PENDING: &str = "pending";

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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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
    /// What the members of the pool's monitor group said, by id; absent without a group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub monitors: Vec<MonitorVote>,
}

/// Explains a published verdict from the votes as they stand.
///
/// `ballots` holds one a seat, in the electorate's order; a seat beyond its end is missing. `pop`
/// finds a registered PoP; a seat whose PoP is no longer registered is shown by its number.
#[must_use]
pub fn explain<'a>(published: Published, electorate: &Electorate, ballots: &[Ballot], pop: impl Fn(PopNo) -> Option<&'a Pop>) -> Evidence {
    let seated: Vec<Ballot> = (0..electorate.seats()).map(|seat| ballots.get(seat).copied().unwrap_or(Ballot::Missing)).collect();
    let tally = quorum::tally(electorate, &self::ballots(&seated));
    let flip = tally.flip(published);
    let (reason, _) = failure_of(published, &seated);
    let mut from = 0;
    let regions = electorate
        .regions()
        .iter()
        .zip(&tally.regions)
        .map(|(seats, counted)| {
            let cast = &seated[from..from + seats.seats().len()];
            from += cast.len();
            region_evidence(seats, *counted, cast, &pop)
        })
        .collect();
    Evidence {
        verdict: published,
        majority: tally.verdict,
        failure_reason: failure::text_of(reason).to_owned(),
        failure_code: failure::code_of(reason).to_owned(),
        votes_to_flip: flip.map(|flip| flip.votes),
        regions_to_flip: flip.map(|flip| flip.regions),
        quorum_lost: tally.quorum_lost(),
        summary: summary::sentence(published, electorate, &tally),
        regions,
    }
}

impl Evidence {
    /// Tells of a Down verdict the reason that it was published with, where its voters have gone and
    /// the votes do not tell one any more.
    #[must_use]
    pub fn remembering(self, published_with: Option<FailureReason>) -> Self {
        let forgotten = self.verdict == Published::Down && self.failure_code == FailureReason::OtherFailure.code();
        let nobody_says =
            !self.regions.iter().flat_map(|region| &region.votes).any(|vote| vote.vote == "down" && vote.failure_code.is_some());
        match published_with.filter(|_| forgotten && nobody_says) {
            Some(reason) => Self { failure_reason: reason.text().to_owned(), failure_code: reason.code().to_owned(), ..self },
            None => self,
        }
    }
}

/// The votes that count, as the tally takes them.
#[must_use]
pub fn ballots(seats: &[Ballot]) -> Ballots {
    let mut ballots = Ballots::missing(seats.len());
    for (seat, ballot) in seats.iter().enumerate() {
        if let Ballot::Cast { state, .. } = ballot {
            ballots.set(seat, *state);
        }
    }
    ballots
}

/// The one reason, with its response code, that stands for all Down votes: the most frequent, ties
/// in the order of [`FailureReason`]; of its response codes likewise, ties to the lowest. `None`
/// where nobody votes Down, or the detail of those who do has not arrived.
#[must_use]
pub fn representative(ballots: &[Ballot]) -> (Option<FailureReason>, Option<u16>) {
    let down = || {
        ballots.iter().filter_map(|ballot| match ballot {
            Ballot::Cast { state: VoteState::Down, detail: Some(detail), .. } => Some(*detail),
            Ballot::Cast { .. } | Ballot::Missing => None,
        })
    };
    let Some(reason) = most_frequent(down().filter_map(|detail| detail.reason)) else { return (None, None) };
    let code = most_frequent(down().filter(|detail| detail.reason == Some(reason)).filter_map(|detail| detail.response_code));
    (Some(reason), code)
}

/// The reason told with a verdict, and its response code. Up: none. Down: the
/// [`representative`] one, `OtherFailure` while none is known. Before the first majority: what the
/// Down votes say, else a config error if that is why nobody votes, else none.
#[must_use]
pub fn failure_of(published: Published, ballots: &[Ballot]) -> (Option<FailureReason>, Option<u16>) {
    let config_error = || ballots.iter().any(|ballot| matches!(ballot, Ballot::Cast { state: VoteState::ConfigError, .. }));
    match (published, representative(ballots)) {
        (Published::Up, _) => (None, None),
        (Published::Down, (None, _)) => (Some(FailureReason::OtherFailure), None),
        (Published::Unknown, (None, _)) if config_error() => (Some(FailureReason::MonitorConfigError), None),
        (Published::Down | Published::Unknown, known) => known,
    }
}

/// A round trip as Go writes durations, which is how clients of the API know it: `850µs`, `12.1ms`,
/// `66ms`, `1.25s`. Rounded to a tenth of a millisecond below a second, to ten milliseconds from there.
#[must_use]
pub fn rtt_text(rtt_us: u32) -> String {
    let decimals = |whole: u32, fraction: u32, width: usize, unit: &str| {
        let fraction = format!("{fraction:0width$}");
        match fraction.trim_end_matches('0') {
            "" => format!("{whole}{unit}"),
            digits => format!("{whole}.{digits}{unit}"),
        }
    };
    match rtt_us {
        0 => "0s".to_owned(),
        1..1_000 => format!("{rtt_us}µs"),
        1_000..999_950 => {
            let tenths = (rtt_us + 50) / 100;
            decimals(tenths / 10, tenths % 10, 1, "ms")
        }
        _ => {
            let hundredths = rtt_us / 10_000 + u32::from(rtt_us % 10_000 >= 5_000);
            decimals(hundredths / 100, hundredths % 100, 2, "s")
        }
    }
}

fn region_evidence<'a>(
    seats: &RegionSeats,
    counted: RegionTally,
    cast: &[Ballot],
    pop: &impl Fn(PopNo) -> Option<&'a Pop>,
) -> RegionEvidence {
    RegionEvidence {
        region: seats.region().map_or(ALL_POPS, crate::region::Region::code).to_owned(),
        verdict: counted.verdict,
        assigned: counted.assigned,
        up: counted.up,
        down: counted.down,
        missing: counted.missing(),
        note: (counted.assigned == 0).then(|| NO_WORKERS.to_owned()),
        votes: seats.seats().iter().zip(cast).map(|(no, ballot)| vote_evidence(*no, *ballot, pop(*no))).collect(),
    }
}

fn vote_evidence(no: PopNo, ballot: Ballot, pop: Option<&Pop>) -> VoteEvidence {
    // '#' is in no PoP code, so a number never looks like another PoP.
    let (place, code) = match pop {
        Some(pop) => (pop.place(), pop.code.to_string()),
        None => (format!("unregistered PoP #{}", no.0), format!("#{}", no.0)),
    };
    let told = told(ballot);
    VoteEvidence {
        pop: place,
        pop_code: code,
        vote: told.vote.to_owned(),
        failure_reason: told.failure_reason.map(str::to_owned),
        failure_code: told.failure_code.map(str::to_owned),
        response_code: told.response_code,
        rtt: told.rtt,
        age_ms: told.age_ms,
        detail: told.pending.then(|| PENDING.to_owned()),
        monitors: Vec::new(),
    }
}

/// A ballot as evidence says it.
#[derive(Debug, Default)]
struct Told {
    vote: &'static str,
    /// Says in words that there was none; `None`: nobody says.
    failure_reason: Option<&'static str>,
    failure_code: Option<&'static str>,
    response_code: Option<u16>,
    rtt: Option<String>,
    age_ms: Option<u32>,
    pending: bool,
}

fn told(ballot: Ballot) -> Told {
    let Ballot::Cast { state, detail, age_ms } = ballot else { return Told { vote: "missing", ..Told::default() } };
    // A config error is its own reason. A passing vote with its detail says so in words.
    let reason = detail.and_then(|detail| detail.reason).or((state == VoteState::ConfigError).then_some(FailureReason::MonitorConfigError));
    let told = reason.is_some() || (state == VoteState::Up && detail.is_some());
    Told {
        vote: match state {
            VoteState::Up => "up",
            VoteState::Down => "down",
            VoteState::Unknown | VoteState::ConfigError => "abstained",
        },
        failure_reason: told.then(|| failure::text_of(reason)),
        failure_code: told.then(|| failure::code_of(reason)),
        response_code: detail.and_then(|detail| detail.response_code),
        rtt: detail.and_then(|detail| detail.rtt_us).map(rtt_text),
        age_ms: Some(age_ms),
        pending: detail.is_none() && matches!(state, VoteState::Up | VoteState::Down),
    }
}

/// The value that occurs most often; of several, the lowest.
pub(crate) fn most_frequent<T: Ord + Copy>(values: impl Iterator<Item = T>) -> Option<T> {
    let mut counts = std::collections::BTreeMap::new();
    for value in values {
        *counts.entry(value).or_insert(0_u32) += 1;
    }
    // `max_by_key` keeps the last of equals, so the values run from the highest down.
    counts.into_iter().rev().max_by_key(|(_, count)| *count).map(|(value, _)| value)
}

#[cfg(test)]
mod tests;
