//! How fast: the rhythm of rounds, the budget of deltas, and the waits between attempts to connect.

use std::time::Duration;

use quorate_core::timings::{Timings, ms};
use rand::{Rng, RngExt as _};
use tokio::time::Instant;

/// Entries of deltas a second, where control names no other bound.
pub(super) const DELTA_ENTRIES_PER_SECOND: u32 = 2_000;
/// Deltas that may go at once, however soon one after another; of more, those that follow wait for
/// their spacing and take along what comes meanwhile.
pub(super) const NEWS_BURST: u32 = 10;

/// A second's worth of entries at most, refilled as time goes.
#[derive(Debug)]
pub(super) struct Budget {
    per_second: u32,
    left: f64,
    at: Instant,
}

impl Budget {
    pub(super) fn new(per_second: u32, now: Instant) -> Self {
        Self { per_second, left: per_second.into(), at: now }
    }

    /// From now on this many; 0 stops.
    pub(super) fn throttle(&mut self, per_second: u32, now: Instant) {
        self.refill(now);
        self.per_second = per_second;
        self.left = self.left.min(per_second.into());
    }

    /// How many may go now.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and a u32")]
    pub(super) fn available(&mut self, now: Instant) -> usize {
        self.refill(now);
        self.left as usize
    }

    pub(super) fn spend(&mut self, entries: usize) {
        self.left -= f64::from(u32::try_from(entries).unwrap_or(u32::MAX));
    }

    /// How long until one may go; `None`: not before the next throttle.
    pub(super) fn wait(&self) -> Option<Duration> {
        let missing = 1.0 - self.left;
        if missing <= 0.0 {
            return Some(Duration::ZERO);
        }
        (self.per_second > 0).then(|| Duration::from_secs_f64(missing / f64::from(self.per_second)) + Duration::from_millis(1))
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        self.left = f64::from(self.per_second).mul_add(passed, self.left).min(self.per_second.into());
    }
}

/// When the next regular round goes: a period after the last one began, whatever else is sent and
/// acknowledged meanwhile.
#[derive(Debug)]
pub(super) struct Rhythm {
    period: Duration,
    last: Instant,
    /// The last message of the last regular round.
    seq: Option<u64>,
}

impl Rhythm {
    pub(super) const fn new(period: Duration, now: Instant) -> Self {
        Self { period, last: now, seq: None }
    }

    pub(super) fn next(&self) -> Instant {
        self.last + self.period
    }

    /// A regular round goes, with `seq` on its last message.
    pub(super) const fn sent(&mut self, seq: Option<u64>, now: Instant) {
        (self.last, self.seq) = (now, seq);
    }

    /// Takes the period, where the last regular round is what is acknowledged; zero changes nothing.
    pub(super) fn acked(&mut self, seq: u64, period: Duration) {
        if self.seq == Some(seq) && !period.is_zero() {
            self.period = period;
        }
    }
}

/// Full jitter: anything between the least wait and a bound that doubles.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    pub(super) fn next(&mut self, timings: &Timings, rng: &mut impl Rng) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let bound = timings.reconnect_min_ms.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX));
        let bound = bound.clamp(timings.reconnect_min_ms, timings.reconnect_max_ms.max(timings.reconnect_min_ms));
        ms(rng.random_range(timings.reconnect_min_ms..=bound))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn only_the_ack_of_a_regular_round_sets_the_period_and_it_counts_from_that_round() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut rhythm = Rhythm::new(10 * second, start);
        rhythm.acked(1, 99 * second);
        assert_eq!(rhythm.next(), start + 10 * second, "no regular round was sent");
        let sent = start + 10 * second;
        rhythm.sent(Some(5), sent);
        for seq in [4, 6] {
            rhythm.acked(seq, 99 * second);
        }
        rhythm.acked(5, Duration::ZERO);
        assert_eq!(rhythm.next(), sent + 10 * second);
        rhythm.acked(5, 20 * second);
        assert_eq!(rhythm.next(), sent + 20 * second);
        rhythm.sent(Some(9), rhythm.next());
        assert_eq!(rhythm.next(), sent + 40 * second);
    }

    #[test]
    fn a_budget_is_a_second_deep_and_refills() {
        let start = Instant::now();
        let mut budget = Budget::new(100, start);
        assert_eq!(budget.available(start), 100);
        budget.spend(100);
        assert_eq!(budget.available(start), 0);
        assert_eq!(budget.wait(), Some(Duration::from_millis(11)));
        assert_eq!(budget.available(start + Duration::from_millis(500)), 50);
        assert_eq!(budget.available(start + Duration::from_mins(1)), 100);
        budget.throttle(0, start + Duration::from_mins(1));
        assert_eq!((budget.available(start + Duration::from_hours(1)), budget.wait()), (0, None));
    }

    #[test]
    fn waits_grow_to_their_bound_and_are_never_all_the_same() {
        let timings = Timings::default();
        let mut rng = StdRng::seed_from_u64(7);
        let mut backoff = Backoff::default();
        let first = backoff.next(&timings, &mut rng);
        assert!((500..=1_000).contains(&first.as_millis()), "{first:?}");
        let later: Vec<u128> = (0..200).map(|_| backoff.next(&timings, &mut rng).as_millis()).collect();
        assert!(later.iter().all(|wait| (500..=30_000).contains(wait)));
        assert!(later.iter().any(|wait| *wait < 3_000) && later.iter().any(|wait| *wait > 27_000), "full jitter");
        backoff.reset();
        assert!(backoff.next(&timings, &mut rng).as_millis() <= 1_000);
    }
}
