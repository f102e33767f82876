//! An answer as its columns hold it.

use quorate_core::phase::Phases;
use quorate_core::pop::PopNo;
use quorate_core::preview::{Answer, Seen};
use quorate_core::vote::Detail;
use serde_json::Value;

use crate::error::Error;
use crate::row::Place;

/// Bytes of one packed detail.
const DETAIL_BYTES: usize = 8;

#[derive(Debug, Default)]
pub(super) struct AnswerColumns {
    pub(super) outcome: Option<String>,
    pub(super) pop_no: Option<i16>,
    pub(super) details: Option<Vec<u8>>,
    pub(super) errors: Option<Vec<Option<String>>>,
    /// A list of [`Phases::us`].
    pub(super) phases_us: Option<Value>,
    pub(super) certificate_days_left: Option<Vec<Option<i32>>>,
}

impl AnswerColumns {
    /// `Pending` has none: the table refuses to write it.
    pub(super) fn of(answer: &Answer) -> Self {
        let named = |outcome: &str| Self { outcome: Some(outcome.to_owned()), ..Self::default() };
        match answer {
            Answer::Pending => Self::default(),
            Answer::NoWorkers => named("no_workers"),
            Answer::Unanswered => named("unanswered"),
            Answer::Seen { pop, origins } => Self {
                pop_no: Some(pop.0.cast_signed()),
                details: Some(origins.iter().flat_map(|seen| seen.detail.pack().to_le_bytes()).collect()),
                errors: Some(origins.iter().map(|seen| seen.error.clone()).collect()),
                phases_us: Some(origins.iter().map(|seen| Value::from(seen.phases.us().to_vec())).collect()),
                certificate_days_left: Some(origins.iter().map(|seen| seen.certificate_days_left).collect()),
                ..named("seen")
            },
        }
    }
}

pub(super) fn answer(place: Place<'_>, columns: AnswerColumns) -> Result<Answer, Error> {
    match columns.outcome.as_deref() {
        None => Ok(Answer::Pending),
        Some("no_workers") => Ok(Answer::NoWorkers),
        Some("unanswered") => Ok(Answer::Unanswered),
        Some("seen") => {
            let pop = columns.pop_no.ok_or_else(|| place.corrupt("seen by nobody"))?;
            let (details, errors) = (columns.details.unwrap_or_default(), columns.errors.unwrap_or_default());
            let (packed, rest) = details.as_chunks::<DETAIL_BYTES>();
            if !rest.is_empty() || packed.len() != errors.len() {
                return Err(place.corrupt(format_args!("{} bytes of details beside {} errors", details.len(), errors.len())));
            }
            let phases: Vec<Vec<u32>> = columns.phases_us.map(|us| place.json("phases_us", us)).transpose()?.unwrap_or_default();
            let mut phases = phases.into_iter().map(Phases::from_us);
            let mut days_left = columns.certificate_days_left.unwrap_or_default().into_iter();
            let seen = packed.iter().zip(errors).map(|(packed, error)| {
                let detail = Detail::unpack(u64::from_le_bytes(*packed)).ok_or_else(|| place.corrupt("a detail that cannot be"))?;
                // A replica of the version before writes neither.
                let (phases, certificate_days_left) = (phases.next().unwrap_or_default(), days_left.next().flatten());
                Ok(Seen { detail, phases, certificate_days_left, error })
            });
            Ok(Answer::Seen { pop: PopNo(place.number("pop_no", pop)?), origins: seen.collect::<Result<_, Error>>()? })
        }
        Some(other) => Err(place.corrupt(format_args!("outcome is {other:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use quorate_core::failure::FailureReason;
    use quorate_core::vote::VoteState;

    use super::*;

    #[test]
    fn every_answer_is_read_back_as_written_and_damage_is_told() {
        let place = Place { table: "preview_answer", key: &[1] };
        let down = Detail { state: VoteState::Down, reason: Some(FailureReason::HttpTimeout), response_code: None, rtt_us: Some(u32::MAX) };
        let origins = vec![
            Seen { detail: down, phases: Phases::from_us([0, 1_500, u32::MAX]), certificate_days_left: Some(-1), error: None },
            Seen {
                detail: Detail { state: VoteState::ConfigError, ..Detail::default() },
                error: Some("port 0 cannot be probed".to_owned()),
                ..Seen::default()
            },
        ];
        for written in [Answer::Pending, Answer::NoWorkers, Answer::Unanswered, Answer::Seen { pop: PopNo(7), origins: origins.clone() }] {
            assert_eq!(answer(place, AnswerColumns::of(&written)).expect("whole"), written);
        }
        let by_an_older_replica = AnswerColumns {
            phases_us: None,
            certificate_days_left: None,
            ..AnswerColumns::of(&Answer::Seen { pop: PopNo(7), origins: origins.clone() })
        };
        let without = origins.iter().map(|seen| Seen { detail: seen.detail, error: seen.error.clone(), ..Seen::default() });
        assert_eq!(answer(place, by_an_older_replica).expect("whole"), Answer::Seen { pop: PopNo(7), origins: without.collect() });
        let mut short = AnswerColumns::of(&Answer::Seen { pop: PopNo(7), origins });
        short.details.as_mut().expect("details").pop();
        assert!(matches!(answer(place, short), Err(Error::Corrupt { .. })));
    }
}
