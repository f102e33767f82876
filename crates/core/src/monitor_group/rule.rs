//! The rule of a group: from what its members say to how their PoP votes.
//!
//! Source: the vendor's docs, "Monitor groups": a failing `must_be_healthy` member is a failing origin;
//! otherwise more than half of the voting members have to fail, so an exact half is healthy. What a member
//! without a result does is our own rule, the one of votes everywhere: nothing. A PoP votes as soon as, and
//! only while, the members that have spoken leave no choice to those that have not.

use super::Voice;
use crate::evidence::{Ballot, BallotDetail, most_frequent};
use crate::failure::FailureReason;
use crate::vote::VoteState;

/// How a PoP votes whose members say so. Members that abstain say neither; where the vote then depends on
/// them, it abstains too, with a config error if one of them has that.
#[must_use]
pub fn vote(members: impl IntoIterator<Item = (Voice, VoteState)>) -> VoteState {
    let (mut voting, mut down, mut open) = (0, 0, 0);
    let (mut fatal, mut open_decisive, mut config_error) = (false, false, false);
    for (voice, state) in members {
        if !voice.votes() {
            continue;
        }
        voting += 1;
        match state {
            VoteState::Up => {}
            VoteState::Down => {
                down += 1;
                fatal |= voice.is_decisive();
            }
            VoteState::Unknown | VoteState::ConfigError => {
                open += 1;
                open_decisive |= voice.is_decisive();
                config_error |= state == VoteState::ConfigError;
            }
        }
    }
    if fatal || 2 * down > voting {
        VoteState::Down
    } else if voting > 0 && !open_decisive && 2 * (down + open) <= voting {
        VoteState::Up
    } else if config_error {
        VoteState::ConfigError
    } else {
        VoteState::Unknown
    }
}

/// The ballot of a PoP from those of its members, in the same order. The detail is of the members that made
/// it so: the most frequent reason and code among them, the mean of their round trips; the age is the oldest's.
#[must_use]
pub fn ballot(members: &[(Voice, Ballot)]) -> Ballot {
    let state = vote(members.iter().map(|(voice, ballot)| (*voice, state_of(*ballot))));
    let cast = || {
        members.iter().filter_map(|(voice, ballot)| match ballot {
            Ballot::Cast { state, detail, age_ms } if voice.votes() => Some((*voice, *state, *detail, *age_ms)),
            Ballot::Cast { .. } | Ballot::Missing => None,
        })
    };
    let Some(age_ms) = cast().map(|(_, _, _, age_ms)| age_ms).max() else { return Ballot::Missing };
    let is_fatal = |voice: Voice, said: VoteState| said == VoteState::Down && voice.is_decisive();
    let fatal = cast().any(|(voice, said, _, _)| is_fatal(voice, said));
    let made_so = |voice: Voice, said: VoteState| if fatal { is_fatal(voice, said) } else { said == state };
    let details: Vec<BallotDetail> =
        cast().filter(|(voice, said, _, _)| made_so(*voice, *said)).filter_map(|(_, _, detail, _)| detail).collect();
    let reason = match state {
        VoteState::ConfigError => Some(FailureReason::MonitorConfigError),
        VoteState::Up | VoteState::Down | VoteState::Unknown => most_frequent(details.iter().filter_map(|detail| detail.reason)),
    };
    let detail = (!details.is_empty()).then(|| BallotDetail {
        reason,
        response_code: most_frequent(details.iter().filter(|detail| detail.reason == reason).filter_map(|detail| detail.response_code)),
        rtt_us: mean(details.iter().filter_map(|detail| detail.rtt_us)),
    });
    Ballot::Cast { state, detail, age_ms }
}

/// What a ballot says; a missing one says nothing.
const fn state_of(ballot: Ballot) -> VoteState {
    match ballot {
        Ballot::Missing => VoteState::Unknown,
        Ballot::Cast { state, .. } => state,
    }
}

fn mean(values: impl Iterator<Item = u32>) -> Option<u32> {
    let (sum, count) = values.fold((0_u64, 0_u64), |(sum, count), value| (sum + u64::from(value), count + 1));
    u32::try_from(sum.checked_div(count)?).ok()
}

#[cfg(test)]
mod tests;
