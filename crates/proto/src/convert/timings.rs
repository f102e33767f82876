//! The part of the time constants that workers are told.

use quorate_core::timings::Timings;

use super::{Malformed, narrow};
use crate::v1;

impl From<&Timings> for v1::Timings {
    fn from(timings: &Timings) -> Self {
        Self {
            round_ms: timings.round_ms,
            delta_ms: timings.delta_ms,
            keepalive_ms: timings.keepalive_ms,
            keepalive_timeout_ms: timings.keepalive_timeout_ms,
            reconnect_min_ms: timings.reconnect_min_ms,
            reconnect_max_ms: timings.reconnect_max_ms,
            fence_retry_ms: timings.fence_retry_ms,
        }
    }
}

impl TryFrom<&v1::Timings> for Timings {
    type Error = Malformed;

    /// What is not on the wire keeps its default: no worker looks at it.
    fn try_from(timings: &v1::Timings) -> Result<Self, Malformed> {
        let some = |field, count| narrow::<u32>(field, count, 1, u32::MAX);
        Ok(Self {
            round_ms: some("round_ms", timings.round_ms)?,
            delta_ms: timings.delta_ms,
            keepalive_ms: some("keepalive_ms", timings.keepalive_ms)?,
            keepalive_timeout_ms: some("keepalive_timeout_ms", timings.keepalive_timeout_ms)?,
            reconnect_min_ms: some("reconnect_min_ms", timings.reconnect_min_ms)?,
            reconnect_max_ms: narrow("reconnect_max_ms", timings.reconnect_max_ms, timings.reconnect_min_ms, u32::MAX)?,
            fence_retry_ms: some("fence_retry_ms", timings.fence_retry_ms)?,
            ..Self::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timings_read_back_and_a_round_of_no_time_is_refused() {
        let told = Timings { round_ms: 1_000, reconnect_max_ms: 3_000, ..Timings::default() };
        let mut wire = v1::Timings::from(&told);
        assert_eq!(Timings::try_from(&wire), Ok(told));
        wire.round_ms = 0;
        assert!(Timings::try_from(&wire).is_err());
        wire.round_ms = 1;
        wire.reconnect_max_ms = 1;
        assert!(matches!(Timings::try_from(&wire), Err(Malformed::Range { field: "reconnect_max_ms", low: 500, .. })));
    }
}
