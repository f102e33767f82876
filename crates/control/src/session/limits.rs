//! How much nonsense, and how many changes, one worker may send.

use std::time::Duration;

use tokio::time::Instant;

/// Malformed parts in a minute that end a session.
const BAD_PARTS_MAX: u32 = 100;
const BAD_PARTS_WINDOW: Duration = Duration::from_mins(1);
/// A worker counts its seconds by another clock than ours, so it has that many times its allowance before a delta is dropped.
const DELTA_SLACK: u64 = 4;

/// Malformed parts, counted.
#[derive(Debug, Default)]
pub(super) struct BadParts {
    since: Option<Instant>,
    count: u32,
}

impl BadParts {
    /// Counts one more; `true`: that was one too many.
    pub(super) fn too_many(&mut self) -> bool {
        if self.since.is_none_or(|since| since.elapsed() >= BAD_PARTS_WINDOW) {
            *self = Self { since: Some(Instant::now()), count: 0 };
        }
        self.count += 1;
        self.count >= BAD_PARTS_MAX
    }
}

/// Entries of deltas in the current second.
#[derive(Debug, Default)]
pub(super) struct DeltaRate {
    since: Option<Instant>,
    entries: u64,
}

impl DeltaRate {
    pub(super) fn admits(&mut self, entries: usize, allowed_per_second: u32) -> bool {
        if self.since.is_none_or(|since| since.elapsed() >= Duration::from_secs(1)) {
            *self = Self { since: Some(Instant::now()), entries: 0 };
        }
        self.entries += entries as u64;
        self.entries <= DELTA_SLACK * u64::from(allowed_per_second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_hundred_malformed_parts_in_a_minute_are_too_many() {
        let mut bad = BadParts::default();
        assert!((1..BAD_PARTS_MAX).all(|_| !bad.too_many()));
        tokio::time::advance(BAD_PARTS_WINDOW).await;
        assert!((1..BAD_PARTS_MAX).all(|_| !bad.too_many()), "another minute");
        assert!(bad.too_many());
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_sends_far_more_than_its_allowance_is_not_listened_to_for_a_second() {
        let mut rate = DeltaRate::default();
        assert!(rate.admits(8_000, 2_000));
        assert!(!rate.admits(1, 2_000));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(rate.admits(8_000, 2_000));
    }
}
