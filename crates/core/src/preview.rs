//! Previews: what one round of probes, made once and outside of any schedule, says of some pools. No
//! vote comes of it, and no health changes by it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::electorate::{CheckRegions, Electorate, RegionSeats};
use crate::evidence::{Ballot, BallotDetail, ballots, failure_of};
use crate::failure::FailureReason;
use crate::ids::PoolId;
use crate::phase::Phases;
use crate::pool::{OriginHealth, OriginSettings, Pool, pool_state};
use crate::pop::{Pop, PopNo};
use crate::quorum::{Guards, decide};
use crate::region::Region;
use crate::vote::{Detail, Published, VoteState};

/// Previews of one account that wait for answers.
pub const OPEN_MAX: u32 = 10;
/// Previews of one account that are kept, finished ones included.
pub const KEPT_MAX: u32 = 100;
/// Probes of one preview: origins, each times the regions that it is asked from.
pub const PROBES_MAX: usize = 1_000;
/// How long a preview is kept, from its beginning.
pub const KEPT_FOR: Duration = Duration::from_hours(1);

/// A pool as it stood when the preview began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PreviewPool {
    pub id: PoolId,
    pub name: String,
    pub minimum_origins: u32,
    /// The enabled ones, in order. A disabled origin is out of service on purpose, and is not asked.
    pub origins: Vec<OriginSettings>,
    /// From where they are asked.
    pub regions: Vec<Region>,
}

/// What a region says of a pool.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Nothing yet.
    Pending,
    /// One worker has asked all origins, in the pool's order.
    Seen { pop: PopNo, origins: Vec<Seen> },
    /// No worker is registered there.
    NoWorkers,
    /// Workers are registered there, and none answered in time.
    Unanswered,
}

/// What a worker saw of an origin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub detail: Detail,
    /// Of the last attempt.
    pub phases: Phases,
    /// Whole days until the origin's certificate ends, negative once it has; over redirects the fewest.
    pub certificate_days_left: Option<i32>,
    /// Why the check cannot be run, where that is so.
    pub error: Option<String>,
}

/// What the regions together say of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Every region has answered or will not.
    pub finished: bool,
    /// Whether enough origins pass; `None` until it is finished, and where nothing is known of any origin.
    pub healthy: Option<bool>,
    pub origins: Vec<OriginOutcome>,
}

/// What the regions together say of an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OriginOutcome {
    /// A majority of the regions says so; `None`: there is none, or not yet.
    pub healthy: Option<bool>,
    pub reason: Option<FailureReason>,
    pub response_code: Option<u16>,
    /// The median over the regions that say the same.
    pub rtt_us: Option<u32>,
    /// The fewest of all regions: they may have seen several certificates.
    pub certificate_days_left: Option<i32>,
}

impl PreviewPool {
    /// `registered`: where `check_regions` is null, each region that has a PoP is asked.
    pub fn of(pool: &Pool, registered: &[Pop]) -> Self {
        let mut regions = match pool.settings.check_regions.meaning() {
            CheckRegions::Regions(regions) => regions,
            CheckRegions::AllPops => registered.iter().map(|pop| pop.region).collect(),
        };
        regions.sort_unstable();
        regions.dedup();
        Self {
            id: pool.id,
            name: pool.settings.name.clone(),
            minimum_origins: pool.settings.minimum_origins,
            origins: pool.settings.origins.iter().filter(|origin| origin.enabled).cloned().collect(),
            regions,
        }
    }

    pub fn probes(&self) -> usize {
        self.origins.len() * self.regions.len()
    }

    /// Counts what the regions say, by the same rule as verdicts: a majority of the regions, those
    /// without an answer included. `answer` tells of one region.
    pub fn outcome<'a>(&self, answer: impl Fn(Region) -> Option<&'a Answer>) -> Outcome {
        let answers: Vec<Option<&Answer>> = self.regions.iter().map(|region| answer(*region)).collect();
        // One seat a region; who sits there does not matter to the count.
        let seat = |region: &Region| RegionSeats::new(Some(*region), vec![PopNo(region.number().into())]);
        let electorate = Electorate::new(self.regions.iter().map(seat).collect());
        let finished = !answers.iter().any(|answer| matches!(answer, None | Some(Answer::Pending)));
        let origins: Vec<OriginOutcome> = (0..self.origins.len()).map(|index| origin_outcome(&electorate, &answers, index)).collect();
        let health: Vec<OriginHealth> = origins
            .iter()
            .map(|origin| OriginHealth { enabled: true, verdict: published(origin.healthy), down_in_a_region: false })
            .collect();
        let healthy = pool_state(true, true, self.minimum_origins, &health).healthy().filter(|_| finished);
        Outcome { finished, healthy, origins }
    }
}

const fn published(healthy: Option<bool>) -> Published {
    match healthy {
        None => Published::Unknown,
        Some(true) => Published::Up,
        Some(false) => Published::Down,
    }
}

fn origin_outcome(electorate: &Electorate, answers: &[Option<&Answer>], index: usize) -> OriginOutcome {
    let seen = || {
        answers.iter().map(|answer| match answer {
            Some(Answer::Seen { origins, .. }) => origins.get(index),
            Some(Answer::Pending | Answer::NoWorkers | Answer::Unanswered) | None => None,
        })
    };
    let details: Vec<Option<Detail>> = seen().map(|seen| seen.map(|seen| seen.detail)).collect();
    let cast: Vec<Ballot> = details.iter().map(|detail| detail.map_or(Ballot::Missing, ballot)).collect();
    let verdict = decide(Guards::ALL, electorate, &ballots(&cast)).map_or(Published::Unknown, Published::from);
    let (reason, failed_with) = failure_of(verdict, &cast);
    let state = match verdict {
        Published::Up => VoteState::Up,
        Published::Down => VoteState::Down,
        Published::Unknown => VoteState::Unknown,
    };
    let agreeing = || details.iter().flatten().filter(|detail| detail.state == state);
    let mut rtts: Vec<u32> = agreeing().filter_map(|detail| detail.rtt_us).collect();
    rtts.sort_unstable();
    OriginOutcome {
        healthy: verdict.healthy(),
        reason,
        response_code: failed_with.or_else(|| agreeing().find_map(|detail| detail.response_code)),
        rtt_us: rtts.get(rtts.len() / 2).copied(),
        certificate_days_left: seen().flatten().filter_map(|seen| seen.certificate_days_left).min(),
    }
}

const fn ballot(detail: Detail) -> Ballot {
    let told = BallotDetail { reason: detail.reason, response_code: detail.response_code, rtt_us: detail.rtt_us };
    Ballot::Cast { state: detail.state, detail: Some(told), age_ms: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::Weight;

    const REGIONS: [Region; 3] = [Region::Weu, Region::Enam, Region::Seas];

    fn origin(number: u8) -> OriginSettings {
        OriginSettings {
            name: format!("origin-{number}"),
            address: format!("192.0.2.{number}"),
            enabled: true,
            weight: Weight::default(),
            host: None,
            port: 0,
            flatten_cname: None,
            virtual_network_id: None,
        }
    }

    fn pool(minimum_origins: u32, origins: u8) -> PreviewPool {
        let id = PoolId::from_bytes([1; 16]);
        PreviewPool {
            id,
            name: "shop".to_owned(),
            minimum_origins,
            origins: (1..=origins).map(origin).collect(),
            regions: REGIONS.to_vec(),
        }
    }

    /// One answer of a script, a letter an origin: `U` up, `D` down, `E` config error, `?` abstained; `.` pending,
    /// `-` no workers, `x` unanswered.
    fn answer(script: &str) -> Answer {
        match script {
            "." => return Answer::Pending,
            "-" => return Answer::NoWorkers,
            "x" => return Answer::Unanswered,
            _ => {}
        }
        let seen = |letter| {
            let (state, reason, response_code) = match letter {
                'U' => (VoteState::Up, None, Some(200)),
                'D' => (VoteState::Down, Some(FailureReason::ResponseCodeMismatch), Some(503)),
                'E' => (VoteState::ConfigError, Some(FailureReason::MonitorConfigError), None),
                _ => (VoteState::Unknown, Some(FailureReason::OtherFailure), None),
            };
            let rtt_us = response_code.map(|_| 1_000);
            Seen { detail: Detail { state, reason, response_code, rtt_us }, ..Seen::default() }
        };
        Answer::Seen { pop: PopNo(1), origins: script.chars().map(seen).collect() }
    }

    /// What three regions make of a pool: `f` where it is finished, the pool's health, and each origin's.
    fn check(pool: &PreviewPool, regions: [&str; 3], expected: &str) {
        let answers = regions.map(answer);
        let of = |region| REGIONS.iter().position(|known| *known == region).map(|index| &answers[index]);
        let outcome = pool.outcome(of);
        let letter = |healthy| match healthy {
            Some(true) => 'U',
            Some(false) => 'D',
            None => '?',
        };
        let finished = if outcome.finished { "f" } else { "" };
        let origins: String = outcome.origins.iter().map(|origin| letter(origin.healthy)).collect();
        assert_eq!(format!("{finished}{} {origins}", letter(outcome.healthy)), expected, "{regions:?}");
    }

    #[test]
    fn a_majority_of_the_regions_decides_an_origin_and_enough_origins_the_pool() {
        let two = pool(1, 2);
        check(&two, ["UU", "UU", "UU"], "fU UU");
        check(&two, ["UD", "DD", "UD"], "fU UD");
        check(&two, ["DD", "DD", "UU"], "fD DD");
        check(&pool(2, 2), ["UD", "UD", "UD"], "fD UD");
        // So far, and never a word about the pool before it is finished.
        check(&two, [".", ".", "."], "? ??");
        check(&two, ["UU", ".", "."], "? ??");
        check(&two, ["UU", "UU", "."], "? UU");
        // A region that says nothing still counts among the regions.
        check(&two, ["UU", "UU", "-"], "fU UU");
        check(&two, ["UU", "-", "x"], "f? ??");
        check(&two, ["UD", "UE", "?E"], "fU U?");
        check(&pool(1, 0), ["x", "x", "x"], "fD ");
    }

    #[test]
    fn an_origin_is_told_with_the_reason_code_and_time_of_those_who_decide() {
        let answers = [answer("D"), answer("D"), answer("U")];
        let told = pool(1, 1).outcome(|region| REGIONS.iter().position(|known| *known == region).map(|index| &answers[index]));
        let failed = OriginOutcome {
            healthy: Some(false),
            reason: Some(FailureReason::ResponseCodeMismatch),
            response_code: Some(503),
            rtt_us: Some(1_000),
            certificate_days_left: None,
        };
        assert_eq!(told.origins, [failed]);
        let passed = pool(1, 1).outcome(|_| Some(&answers[2]));
        assert_eq!((passed.origins[0].reason, passed.origins[0].response_code), (None, Some(200)));
        let broken = answer("E");
        assert_eq!(pool(1, 1).outcome(|_| Some(&broken)).origins[0].reason, Some(FailureReason::MonitorConfigError));
    }

    #[test]
    fn of_the_certificates_that_regions_see_the_one_is_told_that_ends_first() {
        let ends_in = |days| Answer::Seen { pop: PopNo(1), origins: vec![Seen { certificate_days_left: days, ..Seen::default() }] };
        let answers = [ends_in(Some(90)), ends_in(None), ends_in(Some(-3))];
        let told = pool(1, 1).outcome(|region| REGIONS.iter().position(|known| *known == region).map(|index| &answers[index]));
        assert_eq!(told.origins[0].certificate_days_left, Some(-3));
    }
}
