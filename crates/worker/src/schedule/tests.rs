//! The schedule, by a clock of the tests.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

struct World {
    base: Instant,
    schedule: Schedule<u32>,
    ids: HashMap<u32, EntryId>,
}

impl World {
    fn new() -> Self {
        let base = Instant::now();
        Self { base, schedule: Schedule::new(base), ids: HashMap::new() }
    }

    fn at(&self, ms: u64) -> Instant {
        self.base + Duration::from_millis(ms)
    }

    fn add(&mut self, key: u32, interval_ms: u64, seed: u64, at: u64) {
        let at = self.at(at);
        if let Some(id) = self.ids.get(&key) {
            self.schedule.hasten(*id, at);
        } else {
            self.ids.insert(key, self.schedule.add(key, Duration::from_millis(interval_ms), seed, at));
        }
    }

    fn remove(&mut self, key: u32) {
        if self.schedule.remove(self.ids[&key]) {
            self.ids.remove(&key);
        }
    }

    fn take(&mut self, at: u64) -> Vec<u32> {
        self.schedule.take_due(self.at(at), usize::MAX, |due| *due.value)
    }

    fn finished(&mut self, key: u32, at: u64) {
        match self.schedule.finished(self.ids[&key], self.at(at)) {
            Some(Ended::Gone(gone)) => assert_eq!(self.ids.remove(&gone).map(|_id| gone), Some(key)),
            Some(Ended::Waits(waits)) => assert_eq!(*waits, key),
            None => panic!("{key} was there"),
        }
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
                self.finished(due, now + takes);
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
    assert_eq!(starts[1..], [1_450, 2_450, 3_450, 4_450], "the phase 437, on a tick of 50 ms");
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
            world.finished(key, now);
        }
    }
    assert!(wakes <= 100, "1,000 starts in an interval of 100 ticks took {wakes} wake-ups");
}

#[test]
fn the_more_keys_start_the_narrower_are_their_ticks_and_the_interval_stays() {
    for (keys, tick_ms) in [(1, 50), (200, 50), (1_000, 20), (2_000, 10), (10_000, 2), (40_000, 1)] {
        let mut world = World::new();
        for key in 0..keys {
            world.add(key, 1_000, u64::from(key).wrapping_mul(0x9E37_79B9_7F4A_7C15), 0);
        }
        let mut starts: HashMap<u32, Vec<u64>> = HashMap::new();
        for now in 0..4_000 {
            for key in world.take(now) {
                starts.entry(key).or_default().push(now);
                world.finished(key, now);
            }
        }
        for starts in starts.values() {
            assert!(starts[1..].iter().all(|start| start.is_multiple_of(tick_ms)), "{keys} keys: {starts:?}");
            assert!(starts[1..].windows(2).all(|pair| pair[1] - pair[0] == 1_000), "{keys} keys: {starts:?}");
        }
        let wider = 2 * tick_ms;
        assert!(tick_ms == 50 || starts.values().any(|starts| !starts[1].is_multiple_of(wider)), "{keys} keys");
    }
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
    let mut take_one = |at| world.schedule.take_due(world.base + Duration::from_millis(at), 1, |due| (*due.value, due.late));
    assert_eq!(take_one(20), [(0, Duration::from_millis(20))]);
    assert_eq!(take_one(500), [(1, Duration::from_millis(490))], "no stall: there was no room");
    assert_eq!(world.take(500), [2]);
    assert_eq!(world.take(10_000), [0_u32; 0], "all of them run");
}

#[test]
fn what_becomes_due_while_there_is_no_room_is_late_and_not_missed() {
    let mut world = World::new();
    for (key, phase) in [(0, 0), (1, 10)] {
        world.add(key, 1_000, phase, 0);
        assert_eq!(world.take(FIRST_WITHIN_MIN_MS), [key]);
        world.finished(key, FIRST_WITHIN_MIN_MS);
    }
    let mut take_one = |at| world.schedule.take_due(world.base + Duration::from_millis(at), 1, |due| (*due.value, due.late));
    assert_eq!(take_one(1_020), [(0, Duration::from_millis(20))], "which leaves no room");
    assert_eq!(take_one(1_650), [(1, Duration::from_millis(600))], "ticks are 50 ms wide");
}

#[test]
fn no_burst_follows_a_stall_and_every_key_starts_once() {
    for (interval_ms, stall_ms) in [(1_000, 5_000), (10_000, 400), (60_000, 5_000)] {
        let mut world = World::new();
        for key in 0..6_000 {
            world.add(key, interval_ms, u64::from(key).wrapping_mul(0x9E37_79B9_7F4A_7C15), 0);
        }
        let (stalled, resumed) = (3 * interval_ms, 3 * interval_ms + stall_ms);
        let mut starts: HashMap<u32, u32> = HashMap::new();
        let mut at_once = Vec::new();
        for now in (0..stalled).chain(resumed..resumed + interval_ms + interval_ms / 20) {
            let due = world.take(now);
            for key in due.iter().filter(|_| now >= resumed) {
                *starts.entry(*key).or_default() += 1;
            }
            at_once.extend((now >= resumed).then_some(due.len()));
            for key in due {
                world.finished(key, now);
            }
        }
        // Those of the stall come twice as fast, beside those whose time it is.
        let per_100_ms = 6_000 * 100 / usize::try_from(interval_ms).expect("small");
        let most = at_once.chunks(100).map(|chunk| chunk.iter().sum::<usize>()).max().expect("some");
        assert!(most <= 4 * per_100_ms + 20, "interval {interval_ms}, stall {stall_ms}: {most} in 100 ms, {per_100_ms} on average");
        assert_eq!(starts.len(), 6_000, "interval {interval_ms}, stall {stall_ms}: each within an interval");
        assert!(starts.values().all(|count| *count <= 2), "interval {interval_ms}, stall {stall_ms}");
    }
}

#[test]
fn a_removed_key_is_gone_and_one_that_runs_is_never_run_twice() {
    let mut world = World::new();
    world.add(1, 1_000, 0, 0);
    world.remove(1);
    assert_eq!(world.take(5_000), [0_u32; 0]);

    world.add(2, 1_000, 0, 5_000);
    assert_eq!(world.take(5_000), [2]);
    world.remove(2);
    world.add(2, 1_000, 0, 5_010);
    assert_eq!(world.take(5_090), [0_u32; 0], "the first run has not ended");
    world.finished(2, 5_091);
    assert_eq!(world.take(5_100), [2], "who came while it ran gets a run of its own, before the next phase");
    world.remove(2);
    world.finished(2, 5_120);
    assert_eq!(world.take(20_000), [0_u32; 0]);
}

#[test]
fn many_new_keys_are_spread_and_a_few_are_not_kept_waiting() {
    let mut world = World::new();
    for key in 0..10_000 {
        world.add(key, 60_000, u64::from(key).wrapping_mul(0x9E37_79B9_7F4A_7C15), 0);
    }
    let at_once: usize = (0..=100).map(|now| world.take(now).len()).sum();
    assert!(at_once < 1_000, "{at_once} of 10,000 in the first 100 ms");
    assert_eq!(at_once + (101..=5_000).map(|now| world.take(now).len()).sum::<usize>(), 10_000);
}

proptest! {
    #[test]
    fn two_starts_are_an_interval_apart_but_for_the_first(interval_ms in 10_u64..3_000, seed: u64, takes in 0_u64..9) {
        let mut world = World::new();
        world.add(1, interval_ms, seed, 0);
        let starts = world.starts(1, takes, 10 * interval_ms);
        prop_assert!(starts[0] <= (interval_ms * FIRST_WITHIN_PERCENT / 100).min(FIRST_WITHIN_MAX_MS));
        let tick_ms_max = interval_ms / TICKS_PER_INTERVAL_MIN;
        prop_assert!(starts[1] - starts[0] <= interval_ms + interval_ms / 2 + 2 + tick_ms_max, "{:?}", starts);
        for pair in starts[1..].windows(2) {
            prop_assert_eq!(pair[1] - pair[0], interval_ms);
        }
    }
}
