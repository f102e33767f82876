//! Outcomes of probes → the vote of one worker. The thresholds live here and nowhere else.

use std::num::NonZeroU8;

use crate::vote::{Verdict, VoteState};

/// How many probes in a row flip a worker's vote. The API's 0 and 1 both mean 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Thresholds {
    pub up: NonZeroU8,
    pub down: NonZeroU8,
}

impl Thresholds {
    /// From the API's `consecutive_up` and `consecutive_down`.
    pub fn new(consecutive_up: u8, consecutive_down: u8) -> Self {
        let at_least_one = |count: u8| NonZeroU8::new(count).unwrap_or(NonZeroU8::MIN);
        Self { up: at_least_one(consecutive_up), down: at_least_one(consecutive_down) }
    }
}

/// What one finished probe says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Observation {
    Passed,
    Failed,
    /// The probe says nothing of the origin: the resolver fails for all names.
    Abstained,
    /// The worker cannot run the check.
    ConfigError,
}

/// A worker's vote on one check under one configuration, with the run of contrary results so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Voter {
    /// What was decided last; unknown before the first result.
    decided: VoteState,
    /// Results in a row that contradict `decided`; always below the threshold.
    streak: u8,
    /// The last probe said nothing.
    abstains: bool,
}

impl Voter {
    /// The vote as it is told: unknown while the last probe said nothing.
    pub const fn state(self) -> VoteState {
        if self.abstains { VoteState::Unknown } else { self.decided }
    }

    /// Folds one finished probe in. The Nth result in a row against the vote flips it; the first
    /// result under a new configuration votes at once. An abstention makes the vote unknown until
    /// the next result and counts neither way: what was decided stands, and so does the run against
    /// it, so an abstention in between spares nobody a single one of the N.
    ///
    /// A vote whose probes stopped for too long is for the caller to forget: a default voter votes
    /// at once.
    #[must_use]
    pub fn observe(self, observation: Observation, thresholds: Thresholds) -> Self {
        let (says, needed) = match observation {
            Observation::Passed => (VoteState::Up, thresholds.up),
            Observation::Failed => (VoteState::Down, thresholds.down),
            Observation::Abstained => return Self { abstains: true, ..self },
            Observation::ConfigError => return Self::decided(VoteState::ConfigError),
        };
        if self.decided == says {
            return Self::decided(says);
        }
        let streak = self.streak.saturating_add(1);
        let is_decided = matches!(self.decided, VoteState::Up | VoteState::Down);
        if !is_decided || streak >= needed.get() { Self::decided(says) } else { Self { streak, abstains: false, ..self } }
    }

    const fn decided(decided: VoteState) -> Self {
        Self { decided, streak: 0, abstains: false }
    }
}

impl From<Verdict> for VoteState {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Up => Self::Up,
            Verdict::Down => Self::Down,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `script`: `.` passed, `x` failed, `?` abstained, `!` config error; `expected`: U up, D down, ? unknown, ! config error.
    fn check(up: u8, down: u8, script: &str, expected: &str) {
        let thresholds = Thresholds::new(up, down);
        let mut voter = Voter::default();
        let told: String = script
            .chars()
            .map(|result| {
                voter = voter.observe(
                    match result {
                        '.' => Observation::Passed,
                        'x' => Observation::Failed,
                        '?' => Observation::Abstained,
                        _ => Observation::ConfigError,
                    },
                    thresholds,
                );
                match voter.state() {
                    VoteState::Up => 'U',
                    VoteState::Down => 'D',
                    VoteState::Unknown => '?',
                    VoteState::ConfigError => '!',
                }
            })
            .collect();
        assert_eq!(told, expected, "up {up}, down {down}, {script}");
    }

    #[test]
    fn the_nth_result_in_a_row_flips_the_vote() {
        check(1, 1, ".x.x", "UDUD");
        check(0, 0, ".x.x", "UDUD");
        check(1, 3, ".xx.xxx", "UUUUUUD");
        check(2, 1, "x..", "DDU");
        check(2, 2, ".x.x.xx", "UUUUUUD");
    }

    #[test]
    fn the_first_result_under_a_configuration_votes_at_once() {
        check(5, 5, "x", "D");
        check(5, 5, ".", "U");
    }

    #[test]
    fn an_abstention_is_no_vote_and_spares_nobody_a_result() {
        check(3, 3, ".?x", "U?U");
        check(3, 3, ".?xxx", "U?UUD");
        check(3, 3, ".x?xx", "UU?UD");
        check(3, 3, ".xx?.xx", "UUU?UUU");
        check(3, 3, "x??..?.", "D??DD?U");
        check(3, 3, "?x", "?D");
    }

    #[test]
    fn after_a_config_error_the_first_result_votes_at_once() {
        check(3, 3, "x!.", "D!U");
        check(3, 3, "!?.", "!?U");
    }
}
