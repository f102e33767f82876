//! One-off probes: what is asked, and what a worker answers.

use std::time::Duration;

use quorate_core::check::Check;
use quorate_core::phase::Phases;
use quorate_core::preview::Seen;
use quorate_core::vote::VoteState;

use super::{Malformed, detail};
use crate::v1;

/// Characters of an error that are told.
const ERROR_CHARS_MAX: usize = 200;

/// Asks a worker for one probe.
pub fn probe_request(request_id: u64, check: &Check, deadline: Duration) -> v1::ProbeRequest {
    let deadline_ms = u32::try_from(deadline.as_millis()).unwrap_or(u32::MAX);
    v1::ProbeRequest { request_id, check: Some(check.into()), deadline_ms }
}

/// What a worker answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeAnswer {
    pub request_id: u64,
    /// Its error: see [`was_asked`](Self::was_asked) and the message's description; short.
    pub seen: Seen,
}

impl ProbeAnswer {
    /// Whether the origin was asked, or the check cannot be: not where the worker passes the request on.
    pub fn was_asked(&self) -> bool {
        self.seen.detail.state != VoteState::Unknown || self.seen.error.is_none()
    }
}

impl From<&ProbeAnswer> for v1::ProbeAnswer {
    fn from(answer: &ProbeAnswer) -> Self {
        let Seen { detail, phases, certificate_days_left, error } = &answer.seen;
        Self {
            request_id: answer.request_id,
            detail: detail.pack(),
            error: error.iter().flat_map(|error| error.chars()).take(ERROR_CHARS_MAX).collect(),
            certificate_days_left: *certificate_days_left,
            phases_us: phases.us().to_vec(),
        }
    }
}

impl TryFrom<v1::ProbeAnswer> for ProbeAnswer {
    type Error = Malformed;

    fn try_from(answer: v1::ProbeAnswer) -> Result<Self, Malformed> {
        let error: String = answer.error.chars().filter(|letter| !letter.is_control()).take(ERROR_CHARS_MAX).collect();
        let seen = Seen {
            detail: detail(answer.detail)?,
            phases: Phases::from_us(answer.phases_us),
            certificate_days_left: answer.certificate_days_left,
            error: Some(error).filter(|error| !error.is_empty()),
        };
        Ok(Self { request_id: answer.request_id, seen })
    }
}

#[cfg(test)]
mod tests {
    use quorate_core::failure::FailureReason;
    use quorate_core::phase::Phase;
    use quorate_core::vote::Detail;

    use super::*;

    #[test]
    fn an_answer_reads_back_and_a_long_or_strange_error_is_cut() {
        let seen = Detail { state: VoteState::Down, reason: Some(FailureReason::TcpTimeout), response_code: None, rtt_us: None };
        let mut phases = Phases::default();
        phases.add(Phase::Connect, Duration::from_millis(3));
        let seen = Seen { detail: seen, phases, certificate_days_left: Some(-2), error: None };
        let answer = ProbeAnswer { request_id: 7, seen };
        assert_eq!(ProbeAnswer::try_from(v1::ProbeAnswer::from(&answer)), Ok(answer.clone()));
        let wordy = v1::ProbeAnswer { error: format!("\u{0}{}", "é".repeat(300)), ..(&answer).into() };
        assert_eq!(ProbeAnswer::try_from(wordy).map(|answer| answer.seen.error), Ok(Some("é".repeat(200))));
        let nonsense = v1::ProbeAnswer { detail: 19, ..(&answer).into() };
        assert_eq!(ProbeAnswer::try_from(nonsense), Err(Malformed::Detail { packed: 19 }));
    }

    #[test]
    fn an_unknown_state_with_an_error_is_a_request_passed_on() {
        let answer = |state, error: Option<&str>| ProbeAnswer {
            request_id: 1,
            seen: Seen { detail: Detail { state, ..Detail::default() }, error: error.map(str::to_owned), ..Seen::default() },
        };
        assert!(answer(VoteState::Unknown, None).was_asked(), "it abstains");
        assert!(answer(VoteState::ConfigError, Some("port 0 cannot be probed")).was_asked());
        assert!(!answer(VoteState::Unknown, Some("busy")).was_asked());
    }
}
