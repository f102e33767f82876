//! When to probe: every key has a fixed phase of its interval, and keys start together on shared
//! ticks, so that one wake-up starts many probes and an idle key costs neither task nor timer.
//!
//! Pure: time comes in as an argument. A key never runs twice at once, and what was missed is not
//! caught up: the next start is the next tick of its phase, or the end of the last run if that is later.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

/// A new key starts within its interval, and within this.
const FIRST_WITHIN_MAX_MS: u64 = 5_000;
/// The least stretch over which new keys are spread, so that PoPs do not ask together.
const FIRST_WITHIN_MIN_MS: u64 = 250;
/// New keys started per millisecond, beyond which the stretch grows.
const FIRSTS_PER_MS: u64 = 1;
/// Starts are moved onto ticks of a hundredth of the interval, at most this.
const SLACK_MAX_MS: u64 = 50;

#[derive(Debug)]
pub(crate) struct Schedule<K> {
    base: Instant,
    entries: HashMap<K, Entry>,
    /// Milliseconds since `base`; may hold keys that have moved on.
    due: BTreeMap<u64, Vec<K>>,
    /// Keys that wait for their first run.
    firsts: u64,
}

#[derive(Debug)]
struct Entry {
    interval_ms: u64,
    phase_ms: u64,
    slack_ms: u64,
    /// Uniform over all keys.
    seed: u64,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Waiting {
        at_ms: u64,
        first: bool,
    },
    /// `again`: somebody wants a result that starts after now. `retired`: nobody wants any.
    Running {
        due_ms: u64,
        again: bool,
        retired: bool,
    },
}

/// A key whose time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due<K> {
    pub(crate) key: K,
    /// How much after its time.
    pub(crate) late: Duration,
}

impl<K: Copy + Eq + Hash> Schedule<K> {
    pub(crate) fn new(base: Instant) -> Self {
        Self { base, entries: HashMap::new(), due: BTreeMap::new(), firsts: 0 }
    }

    /// Adds a key; `seed` gives it its phase. A key that is there is hastened.
    pub(crate) fn add(&mut self, key: K, interval: Duration, seed: u64, now: Instant) {
        if self.entries.contains_key(&key) {
            return self.hasten(key, now);
        }
        let interval_ms = ms(interval).max(1);
        let slack_ms = (interval_ms / 100).clamp(1, SLACK_MAX_MS);
        let phase_ms = seed % interval_ms / slack_ms * slack_ms;
        let at_ms = self.soon(interval_ms, seed, now);
        self.firsts += 1;
        self.entries.insert(key, Entry { interval_ms, phase_ms, slack_ms, seed, state: State::Waiting { at_ms, first: true } });
        self.due.entry(at_ms).or_default().push(key);
    }

    /// Runs a key soon, whatever its phase.
    pub(crate) fn hasten(&mut self, key: K, now: Instant) {
        let Some(entry) = self.entries.get(&key) else { return };
        let soon = self.soon(entry.interval_ms, entry.seed, now);
        let Some(entry) = self.entries.get_mut(&key) else { return };
        match &mut entry.state {
            State::Waiting { at_ms, .. } if soon < *at_ms => {
                *at_ms = soon;
                self.due.entry(soon).or_default().push(key);
            }
            State::Waiting { .. } => {}
            State::Running { again, retired, .. } => (*again, *retired) = (true, false),
        }
    }

    pub(crate) fn remove(&mut self, key: K) {
        match self.entries.get_mut(&key).map(|entry| &mut entry.state) {
            Some(State::Running { retired, .. }) => *retired = true,
            Some(State::Waiting { first, .. }) => {
                self.firsts -= u64::from(*first);
                self.entries.remove(&key);
            }
            None => {}
        }
    }

    /// When there is something to take; may be too early, never too late.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.due.first_key_value().map(|(at_ms, _)| self.base + Duration::from_millis(*at_ms))
    }

    /// At most `room` keys whose time has come, the longest due first. They run until [`finished`](Self::finished).
    pub(crate) fn take_due(&mut self, now: Instant, room: usize) -> Vec<Due<K>> {
        let now_ms = self.ms_of(now);
        let mut taken = Vec::new();
        while let Some(mut first) = self.due.first_entry().filter(|first| *first.key() <= now_ms) {
            if taken.len() == room {
                break;
            }
            let tick = *first.key();
            let Some(key) = first.get_mut().pop() else {
                first.remove();
                continue;
            };
            match self.entries.get_mut(&key).map(|entry| &mut entry.state) {
                Some(state @ State::Waiting { .. }) => {
                    let State::Waiting { at_ms, first } = *state else { continue };
                    if at_ms == tick {
                        self.firsts -= u64::from(first);
                        *state = State::Running { due_ms: tick, again: false, retired: false };
                        taken.push(Due { key, late: Duration::from_millis(now_ms - tick) });
                    }
                }
                Some(State::Running { .. }) | None => {}
            }
        }
        taken
    }

    /// A run has ended: the key waits for its next time.
    pub(crate) fn finished(&mut self, key: K, now: Instant) {
        let now_ms = self.ms_of(now);
        let Some(entry) = self.entries.get_mut(&key) else { return };
        let State::Running { due_ms, again, retired } = entry.state else { return };
        if retired {
            self.entries.remove(&key);
            return;
        }
        // Half an interval of distance, for the first run and hastened ones are off the phase.
        let after = due_ms + entry.interval_ms / 2 + 1;
        let of_phase = after + (entry.interval_ms + entry.phase_ms - after % entry.interval_ms) % entry.interval_ms;
        let at_ms = if again || of_phase < now_ms { now_ms.next_multiple_of(entry.slack_ms) } else { of_phase };
        entry.state = State::Waiting { at_ms, first: false };
        self.due.entry(at_ms).or_default().push(key);
    }

    fn soon(&self, interval_ms: u64, seed: u64, now: Instant) -> u64 {
        let stretch = (self.firsts / FIRSTS_PER_MS).clamp(FIRST_WITHIN_MIN_MS, FIRST_WITHIN_MAX_MS).min(interval_ms);
        // Other bits of the seed than the phase uses.
        self.ms_of(now) + seed.rotate_left(32) % stretch
    }

    fn ms_of(&self, now: Instant) -> u64 {
        ms(now.saturating_duration_since(self.base))
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct World {
        base: Instant,
        schedule: Schedule<u32>,
    }

    impl World {
        fn new() -> Self {
            let base = Instant::now();
            Self { base, schedule: Schedule::new(base) }
        }

        fn at(&self, ms: u64) -> Instant {
            self.base + Duration::from_millis(ms)
        }

        fn add(&mut self, key: u32, interval_ms: u64, seed: u64, at: u64) {
            self.schedule.add(key, Duration::from_millis(interval_ms), seed, self.at(at));
        }

        fn take(&mut self, at: u64) -> Vec<u32> {
            self.schedule.take_due(self.at(at), usize::MAX).into_iter().map(|due| due.key).collect()
        }

        /// Runs to `until`, each run taking `takes` milliseconds; the starts of `key`.
        fn starts(&mut self, key: u32, takes: u64, until: u64) -> Vec<u64> {
            let mut starts = Vec::new();
            let mut now = 0;
            while now < until {
                for due in self.take(now) {
                    if due == key {
                        starts.push(now);
                    }
                    self.schedule.finished(due, self.at(now + takes));
                }
                now += 1;
            }
            starts
        }
    }

    #[test]
    fn a_key_starts_soon_and_then_keeps_its_phase() {
        let mut world = World::new();
        world.add(1, 1_000, 437, 0);
        let starts = world.starts(1, 5, 5_000);
        assert!(starts[0] < 250, "{starts:?}");
        assert_eq!(starts[1..], [1_430, 2_430, 3_430, 4_430], "the phase 437, on a tick of 10 ms");
    }

    #[test]
    fn keys_of_one_tick_start_in_one_go() {
        let mut world = World::new();
        for key in 0..1_000 {
            world.add(key, 5_000, u64::from(key).wrapping_mul(0x9E37_79B9_7F4A_7C15), 0);
        }
        let mut wakes = 0;
        for now in 0..15_000 {
            let due = world.take(now);
            wakes += usize::from(now >= 10_000 && !due.is_empty());
            for key in due {
                world.schedule.finished(key, world.at(now));
            }
        }
        assert!(wakes <= 100, "1,000 starts in an interval of 100 ticks took {wakes} wake-ups");
    }

    #[test]
    fn a_run_longer_than_the_interval_neither_overlaps_nor_is_caught_up() {
        let mut world = World::new();
        world.add(1, 100, 0, 0);
        let starts = world.starts(1, 350, 2_000);
        for pair in starts.windows(2) {
            assert!(pair[1] - pair[0] >= 350 && pair[1] - pair[0] <= 352, "{starts:?}");
        }
    }

    #[test]
    fn what_does_not_fit_waits_its_turn_and_the_longest_due_goes_first() {
        let mut world = World::new();
        for key in 0..3 {
            world.add(key, 1_000, 0, u64::from(key) * 10);
        }
        let first = world.schedule.take_due(world.at(500), 1);
        assert_eq!(first, [Due { key: 0, late: Duration::from_millis(500) }]);
        assert_eq!(world.take(500), [1, 2]);
        assert_eq!(world.take(10_000), [0_u32; 0], "all of them run");
    }

    #[test]
    fn a_removed_key_is_gone_and_one_that_runs_is_never_run_twice() {
        let mut world = World::new();
        world.add(1, 1_000, 0, 0);
        world.schedule.remove(1);
        assert_eq!(world.take(5_000), [0_u32; 0]);

        world.add(2, 1_000, 0, 5_000);
        assert_eq!(world.take(5_000), [2]);
        world.schedule.remove(2);
        world.add(2, 1_000, 0, 5_010);
        assert_eq!(world.take(5_090), [0_u32; 0], "the first run has not ended");
        world.schedule.finished(2, world.at(5_091));
        assert_eq!(world.take(5_100), [2], "who came while it ran gets a run of its own, before the next phase");
        world.schedule.remove(2);
        world.schedule.finished(2, world.at(5_120));
        assert_eq!(world.take(20_000), [0_u32; 0]);
    }

    #[test]
    fn many_new_keys_are_spread_and_a_few_are_not_kept_waiting() {
        let mut world = World::new();
        for key in 0..10_000 {
            world.add(key, 60_000, u64::from(key).wrapping_mul(0x9E37_79B9_7F4A_7C15), 0);
        }
        let at_once = world.take(100).len();
        assert!(at_once < 1_000, "{at_once} of 10,000 in the first 100 ms");
        assert_eq!(at_once + world.take(5_000).len(), 10_000);
    }

    proptest! {
        #[test]
        fn two_starts_are_an_interval_apart_but_for_the_first(interval_ms in 10_u64..3_000, seed: u64, takes in 0_u64..9) {
            let mut world = World::new();
            world.add(1, interval_ms, seed, 0);
            let starts = world.starts(1, takes, 10 * interval_ms);
            prop_assert!(starts[0] <= interval_ms.min(FIRST_WITHIN_MAX_MS));
            prop_assert!(starts[1] - starts[0] <= interval_ms + interval_ms / 2 + 2, "{:?}", starts);
            for pair in starts[1..].windows(2) {
                prop_assert_eq!(pair[1] - pair[0], interval_ms);
            }
        }
    }
}
