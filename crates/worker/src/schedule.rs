//! When to probe: every entry has a fixed phase of its interval, and entries start together on shared
//! ticks, so that one wake-up starts many probes and an idle one costs neither task nor timer. The
//! fewer probes a second, the wider the ticks: a wake-up costs several probes' work.
//!
//! Pure: time comes in as an argument. An entry never runs twice at once, and what was missed is not
//! caught up: the next start is the next tick of its phase, or the end of the last run if that is later.
//! After a stall of the whole process what is due is spread again, so that no burst follows.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use slab::Slab;
use smallvec::SmallVec;
use tokio::time::Instant;

/// A new entry starts within so much of its interval, so that the first round is whole, and told, within one.
const FIRST_WITHIN_PERCENT: u64 = 80;
/// And within this.
const FIRST_WITHIN_MAX_MS: u64 = 5_000;
/// The least stretch over which new entries are spread, so that PoPs do not ask together.
const FIRST_WITHIN_MIN_MS: u64 = 250;
/// New entries started per millisecond, beyond which the stretch grows.
const FIRSTS_PER_MS: u64 = 1;
/// Starts that a tick should hold: beyond some twenty one wake-up more is not felt.
const STARTS_PER_TICK: usize = 20;
/// Widths of ticks, in milliseconds. One that divides the interval, as all of these do whole seconds,
/// moves every start of an entry by the same time and leaves the interval as it is.
const TICKS_MS: [u64; 8] = [50, 25, 20, 10, 5, 4, 2, 1];
/// A tick is at most this part of the interval.
const TICKS_PER_INTERVAL_MIN: u64 = 20;
/// Milliseconds that entries may be late, for another reason than that there was no room, before it is a
/// stall: the machine slept, or had no time for us.
const STALL_MS: u64 = 250;

/// What is to be done again and again.
#[derive(Debug)]
pub(crate) struct Schedule<V> {
    base: Instant,
    entries: Slab<Entry<V>>,
    /// Milliseconds since `base`; may name entries that have moved on, and others in the place of those that are gone.
    due: BTreeMap<u64, Tick>,
    /// Entries that wait for their first run.
    firsts: u64,
    /// Starts in a thousand seconds, all entries together.
    rate: u64,
    /// Whether more may have been due than there was room for.
    waits_for_room: bool,
}

/// Entries that start together. A few stand in the room that the address of many would take.
type Tick = SmallVec<[EntryId; 4]>;

/// Names an entry for as long as it is there; once it is gone, maybe another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct EntryId(u32);

#[derive(Debug)]
struct Entry<V> {
    value: V,
    timing: Timing,
    state: State,
}

#[derive(Clone, Copy, Debug)]
struct Timing {
    interval_ms: u64,
    /// Uniform over all entries. Its remainder by the interval is the phase.
    seed: u64,
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

/// An entry whose time has come.
#[derive(Debug)]
pub(crate) struct Due<'a, V> {
    pub(crate) id: EntryId,
    pub(crate) value: &'a V,
    /// How much after its time.
    pub(crate) late: Duration,
}

/// What becomes of an entry whose run has ended.
#[derive(Debug)]
pub(crate) enum Ended<'a, V> {
    Waits(&'a V),
    /// It was removed while it ran.
    Gone(V),
}

impl EntryId {
    fn new(place: usize) -> Self {
        Self(u32::try_from(place).expect("fewer entries than a worker runs checks"))
    }

    const fn place(self) -> usize {
        self.0 as usize
    }
}

impl<V> Schedule<V> {
    pub(crate) const fn new(base: Instant) -> Self {
        Self { base, entries: Slab::new(), due: BTreeMap::new(), firsts: 0, rate: 0, waits_for_room: false }
    }

    /// What an entry stands for, also where it is removed and still runs.
    pub(crate) fn get_mut(&mut self, id: EntryId) -> Option<&mut V> {
        self.entries.get_mut(id.place()).map(|entry| &mut entry.value)
    }

    /// `seed` gives the new entry its phase.
    pub(crate) fn add(&mut self, value: V, interval: Duration, seed: u64, now: Instant) -> EntryId {
        let timing = Timing { interval_ms: ms(interval).max(1), seed };
        let at_ms = self.soon(timing, now);
        self.firsts += 1;
        self.rate += timing.rate();
        let id = EntryId::new(self.entries.insert(Entry { value, timing, state: State::Waiting { at_ms, first: true } }));
        put(&mut self.due, at_ms, id);
        id
    }

    /// Runs an entry soon, whatever its phase; one that is removed and still runs is there again.
    pub(crate) fn hasten(&mut self, id: EntryId, now: Instant) {
        let Some(timing) = self.entries.get(id.place()).map(|entry| entry.timing) else { return };
        let soon = self.soon(timing, now);
        let Some(entry) = self.entries.get_mut(id.place()) else { return };
        match &mut entry.state {
            State::Waiting { at_ms, .. } if soon < *at_ms => {
                *at_ms = soon;
                put(&mut self.due, soon, id);
            }
            State::Waiting { .. } => {}
            State::Running { again, retired, .. } => (*again, *retired) = (true, false),
        }
    }

    /// An entry that runs is kept until its run has ended. Whether it is gone.
    pub(crate) fn remove(&mut self, id: EntryId) -> bool {
        match self.entries.get_mut(id.place()).map(|entry| &mut entry.state) {
            Some(State::Running { retired, .. }) => {
                *retired = true;
                false
            }
            Some(State::Waiting { first, .. }) => {
                self.firsts -= u64::from(*first);
                self.rate -= self.entries.remove(id.place()).timing.rate();
                true
            }
            None => true,
        }
    }

    /// When there is something to take; may be too early, never too late.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.due.first_key_value().map(|(at_ms, _)| self.base + Duration::from_millis(*at_ms))
    }

    /// What `taken` makes of at most `room` entries whose time has come, the longest due first. They run until
    /// [`finished`](Self::finished).
    pub(crate) fn take_due<T>(&mut self, now: Instant, room: usize, taken: impl Fn(Due<'_, V>) -> T) -> Vec<T> {
        let now_ms = self.ms_of(now);
        if !self.waits_for_room {
            self.spread_after_stall(now_ms);
        }
        let mut all = Vec::new();
        while let Some(mut first) = self.due.first_entry().filter(|first| *first.key() <= now_ms) {
            if all.len() == room {
                break;
            }
            let tick = *first.key();
            let Some(id) = first.get_mut().pop() else {
                first.remove();
                continue;
            };
            let Some(Entry { value, state, .. }) = self.entries.get_mut(id.place()) else { continue };
            let State::Waiting { at_ms, first } = *state else { continue };
            if at_ms == tick {
                self.firsts -= u64::from(first);
                *state = State::Running { due_ms: tick, again: false, retired: false };
                let late = now.saturating_duration_since(self.base + Duration::from_millis(tick));
                all.push(taken(Due { id, value, late }));
            }
        }
        // Also where nothing more is due now: it may be that nobody looks again before there is room.
        self.waits_for_room = all.len() == room;
        all
    }

    /// Where entries are late by a stall, those that have missed half their interval wait for their next
    /// time, and the others start twice as fast as they should have, from now on.
    fn spread_after_stall(&mut self, now_ms: u64) {
        let Some(stalled_ms) = self.due.first_key_value().map(|(tick, _)| *tick).filter(|tick| tick + STALL_MS < now_ms) else { return };
        let on_time = self.due.split_off(&now_ms);
        let late = std::mem::replace(&mut self.due, on_time).into_iter();
        for (tick, id) in late.flat_map(|(tick, ids)| ids.into_iter().map(move |id| (tick, id))) {
            let Some(Entry { timing, state: State::Waiting { at_ms, first }, .. }) = self.entries.get_mut(id.place()) else { continue };
            if *at_ms != tick {
                continue;
            }
            let is_missed = !*first && 2 * (now_ms - tick) >= timing.interval_ms;
            *at_ms = if is_missed { timing.next_of_phase(now_ms) } else { now_ms + (tick - stalled_ms) / 2 };
            put(&mut self.due, *at_ms, id);
        }
    }

    /// A run has ended: the entry waits for its next time, unless it was removed.
    pub(crate) fn finished(&mut self, id: EntryId, now: Instant) -> Option<Ended<'_, V>> {
        let (now_ms, rate) = (self.ms_of(now), self.rate);
        if let Some(Entry { state: State::Running { retired: true, .. }, .. }) = self.entries.get(id.place()) {
            let Entry { value, timing, .. } = self.entries.remove(id.place());
            self.rate -= timing.rate();
            return Some(Ended::Gone(value));
        }
        let entry = self.entries.get_mut(id.place())?;
        let State::Running { due_ms, again, .. } = entry.state else { return Some(Ended::Waits(&entry.value)) };
        let timing = entry.timing;
        // Half an interval of distance, for the first run and hastened ones are off the phase.
        let of_phase = timing.next_of_phase(due_ms + timing.interval_ms / 2 + 1);
        let at_ms = if again { now_ms } else { of_phase.max(now_ms) }.next_multiple_of(timing.tick_ms(rate));
        entry.state = State::Waiting { at_ms, first: false };
        put(&mut self.due, at_ms, id);
        Some(Ended::Waits(&entry.value))
    }

    fn soon(&self, timing: Timing, now: Instant) -> u64 {
        let stretch = (self.firsts / FIRSTS_PER_MS).clamp(FIRST_WITHIN_MIN_MS, FIRST_WITHIN_MAX_MS);
        let stretch = stretch.min(timing.interval_ms * FIRST_WITHIN_PERCENT / 100).max(1);
        // Other bits of the seed than the phase uses.
        self.ms_of(now) + timing.seed.rotate_left(32) % stretch
    }

    fn ms_of(&self, now: Instant) -> u64 {
        ms(now.saturating_duration_since(self.base))
    }
}

impl Timing {
    /// The first time of its phase at `from_ms` or later.
    const fn next_of_phase(self, from_ms: u64) -> u64 {
        let (interval_ms, phase_ms) = (self.interval_ms, self.seed % self.interval_ms);
        from_ms + (interval_ms + phase_ms - from_ms % interval_ms) % interval_ms
    }

    /// Starts in a thousand seconds.
    const fn rate(self) -> u64 {
        1_000_000 / self.interval_ms
    }

    /// The width of its ticks, in milliseconds, where all entries start at this rate.
    fn tick_ms(self, rate: u64) -> u64 {
        let wanted = (STARTS_PER_TICK as u64 * 1_000_000 / rate.max(1)).min(self.interval_ms / TICKS_PER_INTERVAL_MIN);
        TICKS_MS.into_iter().find(|tick| *tick <= wanted && self.interval_ms.is_multiple_of(*tick)).unwrap_or(1)
    }
}

fn put(due: &mut BTreeMap<u64, Tick>, at_ms: u64, id: EntryId) {
    let tick = due.entry(at_ms).or_default();
    if tick.len() == tick.inline_size() {
        // Where there are many, there will be some twenty.
        tick.reserve(STARTS_PER_TICK);
    }
    tick.push(id);
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
