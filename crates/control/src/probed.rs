//! What is probed for one origin, and what is said of it: by its pool's monitor alone, or by the members
//! of its pool's monitor group, whose votes on one PoP make that PoP's vote.

use quorate_core::evidence::{Ballot, MemberBallots};
use quorate_core::monitor_group::{self, Voice};
use quorate_core::quorum::{Ballots, Guards};
use quorate_core::register::counts;
use quorate_core::vote::VoteState;

use crate::bucket::{PopVotes, Vote};
use crate::plan::Plan;

/// Places are indices of [`Plan::checks`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Probed {
    #[default]
    Not,
    Alone(usize),
    /// The enabled members, by id of their monitors.
    Group(Vec<(Voice, usize)>),
}

/// What the seats say of one origin, in the electorate's order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    pub(crate) ballots: Vec<Ballot>,
    /// Under a group.
    pub(crate) members: Vec<MemberBallots>,
}

impl Probed {
    /// Adds a probe, of a member or of the monitor.
    pub(crate) fn add(&mut self, voice: Option<Voice>, place: usize) {
        match (voice, self) {
            (None, probed) => *probed = Self::Alone(place),
            (Some(voice), Self::Group(members)) => {
                let at = members.partition_point(|(known, _)| *known < voice);
                members.insert(at, (voice, place));
            }
            (Some(voice), probed) => *probed = Self::Group(vec![(voice, place)]),
        }
    }

    pub(crate) fn places(&self) -> impl Iterator<Item = usize> + '_ {
        let (alone, members) = match self {
            Self::Not => (None, &[][..]),
            Self::Alone(place) => (Some(*place), &[][..]),
            Self::Group(members) => (None, members.as_slice()),
        };
        alone.into_iter().chain(members.iter().map(|(_, place)| *place))
    }

    /// Whether what is said decides anything: not where all members of a group only watch.
    pub(crate) fn is_judged(&self) -> bool {
        match self {
            Self::Not => false,
            Self::Alone(_) => true,
            Self::Group(members) => members.iter().any(|(voice, _)| voice.votes()),
        }
    }
}

/// The votes that count on one origin, as the tally takes them, and whether every seat says Up.
pub(crate) fn count(plan: &Plan, seated: &[Option<&PopVotes>], probed: &Probed) -> (Ballots, bool) {
    let mut ballots = Ballots::missing(seated.len());
    let mut up = 0;
    for (seat, held) in seated.iter().enumerate() {
        let at = |place: usize| counted(plan, *held, place).map_or(VoteState::Unknown, |vote| vote.state);
        let state = match probed {
            Probed::Not => VoteState::Unknown,
            Probed::Alone(place) => at(*place),
            Probed::Group(members) => monitor_group::vote(members.iter().map(|(voice, place)| (*voice, at(*place)))),
        };
        ballots.set(seat, state);
        up += usize::from(state == VoteState::Up);
    }
    (ballots, up == seated.len())
}

/// The same with what stands behind the votes, for the evidence.
pub(crate) fn said(plan: &Plan, seated: &[Option<&PopVotes>], probed: &Probed, now_ms: u32) -> Said {
    let at = |held: Option<&PopVotes>, place: usize| match counted(plan, held, place) {
        Some(vote) => Ballot::Cast { state: vote.state, detail: vote.detail, age_ms: now_ms.wrapping_sub(vote.heard_ms) },
        None => Ballot::Missing,
    };
    let all = |place: usize| -> Vec<Ballot> { seated.iter().map(|held| at(*held, place)).collect() };
    match probed {
        Probed::Not => Said::default(),
        Probed::Alone(place) => Said { ballots: all(*place), members: Vec::new() },
        Probed::Group(members) => {
            let members: Vec<_> = members.iter().map(|(voice, place)| MemberBallots { voice: *voice, ballots: all(*place) }).collect();
            let of_seat = |seat: usize| -> Vec<_> { members.iter().map(|member| (member.voice, member.ballots[seat])).collect() };
            let ballots = (0..seated.len()).map(|seat| monitor_group::ballot(&of_seat(seat))).collect();
            Said { ballots, members }
        }
    }
}

fn counted<'a>(plan: &Plan, held: Option<&'a PopVotes>, place: usize) -> Option<&'a Vote> {
    let vote = held?.votes.get(place)?.as_ref()?;
    // A seat is in the list only while its session lives.
    counts(Guards::ALL, true, vote.cast_under, plan.checks[place].check.config_gen).then_some(vote)
}
