//! Spacing with a reserve: what happens seldom happens at once, also a few times in a row, and what
//! happens often keeps its distance.

use std::ops::{Add, Sub};
use std::time::Duration;

/// `burst` times at once, and one more each `step` from then on: in any time T at most
/// `burst` + T / `step`. `T` is an instant of whichever clock.
#[derive(Clone, Copy, Debug)]
pub struct Spacing<T> {
    step: Duration,
    burst: u32,
    left: u32,
    /// Since when the next one grows; of no meaning while all are there.
    since: T,
}

impl<T: Copy + Ord + Add<Duration, Output = T> + Sub<T, Output = Duration>> Spacing<T> {
    /// With the whole reserve. `burst` is 1 and up: with 1 it is plain spacing.
    pub fn new(step: Duration, burst: u32, now: T) -> Self {
        Self { step, burst: burst.max(1), left: burst.max(1), since: now }
    }

    /// When it may happen at the earliest: `now`, or later.
    pub fn next(&mut self, now: T) -> T {
        self.grow(now);
        if self.left > 0 { now } else { self.since + self.step }
    }

    /// It happens now.
    pub fn spend(&mut self, now: T) {
        self.grow(now);
        self.left = self.left.saturating_sub(1);
    }

    fn grow(&mut self, now: T) {
        let missing = self.burst - self.left;
        let passed = if now > self.since { now - self.since } else { Duration::ZERO };
        let grown = if self.step.is_zero() { u128::MAX } else { passed.as_nanos() / self.step.as_nanos() };
        match u32::try_from(grown) {
            Ok(grown) if grown < missing => (self.left, self.since) = (self.left + grown, self.since + self.step * grown),
            _ => (self.left, self.since) = (self.burst, now.max(self.since)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use proptest::prelude::*;

    use super::*;

    const STEP: Duration = Duration::from_millis(200);

    /// When each of those that would go at `wishes` goes, in milliseconds: as soon as it may, one after another.
    fn times(burst: u32, wishes: &[u64]) -> Vec<u64> {
        let start = Instant::now();
        let mut spacing = Spacing::new(STEP, burst, start);
        let mut now = start;
        let go = |wish: &u64| {
            now = spacing.next(now.max(start + Duration::from_millis(*wish)));
            spacing.spend(now);
            u64::try_from((now - start).as_millis()).expect("small")
        };
        wishes.iter().map(go).collect()
    }

    #[test]
    fn a_few_go_at_once_and_a_flood_keeps_its_distance() {
        assert_eq!(times(3, &[0, 10, 20]), [0, 10, 20]);
        assert_eq!(times(3, &[0, 0, 0, 0, 0]), [0, 0, 0, 200, 400]);
        assert_eq!(times(3, &[0, 0, 0, 150, 250, 1_500, 1_500, 1_500, 1_500]), [0, 0, 0, 200, 400, 1_500, 1_500, 1_500, 1_700]);
        assert_eq!(times(1, &[0, 10, 500]), [0, 200, 500], "without a reserve: plain spacing");
    }

    #[test]
    fn a_step_of_nothing_holds_nothing_up() {
        let now = Instant::now();
        let mut spacing = Spacing::new(Duration::ZERO, 1, now);
        for _ in 0..3 {
            assert_eq!(spacing.next(now), now);
            spacing.spend(now);
        }
    }

    proptest! {
        #[test]
        fn no_stretch_of_time_sees_more_than_the_burst_and_one_a_step(burst in 1_u32..6, waits in prop::collection::vec(0_u64..700, 1..60)) {
            let wishes: Vec<u64> = waits.iter().scan(0, |at, wait| { *at += wait; Some(*at) }).collect();
            let times = times(burst, &wishes);
            for (place, from) in times.iter().enumerate() {
                for (count, until) in (1_u64..).zip(&times[place..]) {
                    prop_assert!(count <= u64::from(burst) + (until - from) / 200, "{count} from {from} to {until} of {times:?}");
                }
            }
        }
    }
}
