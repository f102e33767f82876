//! The worker's state: every check that it holds, with its vote and the detail behind it.
//!
//! Pure: no socket, no clock. What is read from here is what is true now; nothing waits to be sent.

#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use quorate_core::bucket::Bucket;
use quorate_core::check::Check;
use quorate_core::failure::FailureReason;
use quorate_core::health::{Observation, Thresholds, Voter};
use quorate_core::ids::CheckId;
use quorate_core::pop::PopCode;
use quorate_core::vote::{Detail, VoteState};
use quorate_proto::convert::{Change, Chunk, HeldManifest, Window};
use quorate_proto::v1::{CheckSpec, RejectedCheck};
use tokio::time::Instant;

use crate::asks::Asks;
use crate::caps::Caps;
use crate::jobs::{JobKey, Jobs, Member, Start};
use crate::manifest::{Entry, Manifest};
use crate::outbox::{Outboxes, SessionId};
use crate::probe::{Capabilities, Outcome, Target};
use crate::schedule::EntryId;

/// Checks of a bucket whose rejection is told; the others only vote config error.
pub(crate) const REJECTED_TOLD_MAX: usize = 100;
/// Characters of a rejection that are told.
const REJECTION_CHARS_MAX: usize = 200;
/// Checks that a worker runs, where control names no lower number.
pub(crate) const CHECKS_MAX: usize = 1_000_000;

#[derive(Debug)]
pub(crate) struct Board {
    /// By number.
    buckets: Vec<Option<Held>>,
    pub(crate) jobs: Jobs,
    pub(crate) outboxes: Outboxes,
    asks: Asks,
    checks: usize,
    /// Checks that can be run.
    running: usize,
    checks_max: usize,
    /// Checks that could be run, were there room.
    waiting: BTreeMap<(Bucket, CheckId), Want>,
    /// What has been given back since those who wait were last looked at.
    given_back: BTreeSet<Want>,
    capabilities: Capabilities,
}

/// What a check that could be run lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Want {
    /// Among the checks that the worker runs.
    Place,
    /// Of the probes of its account.
    Share([u8; 16]),
}

/// The checks of a bucket, in order of position.
#[derive(Debug)]
struct Held {
    version: u64,
    hash: u64,
    slots: Vec<Slot>,
}

#[derive(Clone, Debug)]
struct Slot {
    id: CheckId,
    wire: Arc<[u8]>,
    config_gen: u64,
    run: Run,
    voter: Voter,
    /// What stands behind what the voter decided; the state is the voter's.
    detail: Detail,
    /// What stands behind an abstention.
    abstention: Detail,
    /// Since when it is asked for what it is: a probe that started earlier says nothing of it.
    joined: Instant,
    /// When a probe last ended.
    finished: Option<Instant>,
}

#[derive(Clone, Debug)]
enum Run {
    Probed {
        job: EntryId,
        thresholds: Thresholds,
        stale_after: Duration,
    },
    /// Cannot be run here: votes config error.
    Rejected(Box<str>),
}

impl Board {
    pub(crate) fn new(pop: &PopCode, capabilities: Capabilities, caps: Caps, now: Instant) -> Self {
        Self {
            buckets: Bucket::all().map(|_| None).collect(),
            jobs: Jobs::new(pop, caps, now),
            outboxes: Outboxes::default(),
            asks: Asks::default(),
            checks: 0,
            running: 0,
            checks_max: CHECKS_MAX,
            waiting: BTreeMap::new(),
            given_back: BTreeSet::new(),
            capabilities,
        }
    }

    /// Runs so many checks at most. Those that run go on.
    pub(crate) fn allow(&mut self, checks_max: usize, now: Instant) {
        self.checks_max = checks_max;
        self.given_back.insert(Want::Place);
        self.take_up(now);
    }

    pub(crate) fn buckets(&self) -> impl Iterator<Item = Bucket> + '_ {
        Bucket::all().zip(&self.buckets).filter(|(_, held)| held.is_some()).map(|(bucket, _)| bucket)
    }

    pub(crate) const fn checks(&self) -> usize {
        self.checks
    }

    /// What is held of a bucket: version, hash, number of checks.
    pub(crate) fn held(&self, bucket: Bucket) -> Option<(HeldManifest, usize)> {
        let held = self.held_of(bucket)?;
        Some((HeldManifest { bucket, version: held.version, hash: held.hash }, held.slots.len()))
    }

    pub(crate) fn manifest(&self, bucket: Bucket) -> Option<Manifest> {
        let held = self.held_of(bucket)?;
        let entries = held.slots.iter().map(|slot| Entry { id: slot.id, wire: slot.wire.clone() }).collect();
        Some(Manifest { version: held.version, hash: held.hash, entries })
    }

    /// The first checks of a bucket that cannot be run, and why.
    pub(crate) fn rejected(&self, bucket: Bucket) -> Vec<RejectedCheck> {
        let told = |(id, error): (CheckId, &str)| RejectedCheck {
            check_id: id.as_bytes().to_vec().into(),
            error: error.chars().take(REJECTION_CHARS_MAX).collect(),
        };
        self.rejections(bucket).take(REJECTED_TOLD_MAX).map(told).collect()
    }

    /// How many checks of a bucket cannot be run.
    pub(crate) fn rejected_count(&self, bucket: Bucket) -> usize {
        self.rejections(bucket).count()
    }

    fn rejections(&self, bucket: Bucket) -> impl Iterator<Item = (CheckId, &str)> {
        self.held_of(bucket).into_iter().flat_map(|held| &held.slots).filter_map(|slot| match &slot.run {
            Run::Rejected(error) => Some((slot.id, &**error)),
            Run::Probed { .. } => None,
        })
    }

    /// Holds a manifest instead of what was held. A check whose generation stays keeps its vote.
    pub(crate) fn adopt(&mut self, bucket: Bucket, manifest: Manifest, now: Instant) {
        let mut old: BTreeMap<CheckId, Slot> = self.release(bucket).into_iter().map(|slot| (slot.id, slot)).collect();
        // First, so that their room is there for others.
        for slot in old.values().filter(|slot| manifest.entries.binary_search_by_key(&slot.id, |entry| entry.id).is_err()) {
            self.stop(bucket, slot);
        }
        let mut slots = Vec::with_capacity(manifest.entries.len());
        for Entry { id, wire } in manifest.entries {
            let slot = match old.remove(&id) {
                // What was not taken up before may have room now.
                Some(slot) if slot.wire == wire && matches!(slot.run, Run::Probed { .. }) => slot,
                before => {
                    if let Some(slot) = &before {
                        self.stop(bucket, slot);
                    }
                    self.start(bucket, id, wire, before.as_ref(), now)
                }
            };
            slots.push(slot);
        }
        self.checks += slots.len();
        *self.held_of_mut(bucket) = Some(Held { version: manifest.version, hash: manifest.hash, slots });
        self.take_up(now);
    }

    /// Holds nothing of a bucket any more. Whether something was held.
    pub(crate) fn drop_bucket(&mut self, bucket: Bucket, now: Instant) -> bool {
        let was_held = self.held_of(bucket).is_some();
        for gone in self.release(bucket) {
            self.stop(bucket, &gone);
        }
        self.take_up(now);
        was_held
    }

    pub(crate) fn take_due(&mut self, now: Instant, room: usize) -> Vec<Start> {
        self.jobs.take_due(now, room)
    }

    /// A probe that began at `started` has ended: folds its outcome into the vote of every check that
    /// it served; one that came later gets a run of its own soon. Whether a vote, its reason or its
    /// response code changed.
    pub(crate) fn finished(&mut self, job: EntryId, outcome: &Outcome, started: Instant, now: Instant) -> bool {
        let mut changed = false;
        for member in self.jobs.finished(job, now) {
            if let Some((_, slot)) = self.held_of_mut(member.bucket).as_mut().and_then(|held| held.find(member.check))
                && slot.joined <= started
                && slot.observe(outcome, now)
            {
                self.outboxes.put(member.bucket, member.check);
                changed = true;
            }
        }
        changed
    }

    /// Every state of a bucket as it stands.
    pub(crate) fn chunk(&self, bucket: Bucket, now: Instant) -> Option<Chunk> {
        let held = self.held_of(bucket)?;
        Some(Chunk::pack(bucket, held.version, held.slots.iter().map(|slot| slot.told(now).state)))
    }

    /// The detail of at most `count` positions from `from` on.
    pub(crate) fn window(&self, bucket: Bucket, from: usize, count: usize, now: Instant) -> Option<Window> {
        let held = self.held_of(bucket)?;
        let details: Vec<Detail> = held.slots.iter().skip(from).take(count).map(|slot| slot.told(now)).collect();
        Some(Window { bucket, manifest_version: held.version, from: u32::try_from(from).ok()?, details })
    }

    /// At most `count` votes that changed since the session last asked, of the buckets that `serves`
    /// names, as they stand now.
    pub(crate) fn changes(&mut self, session: SessionId, serves: impl Fn(Bucket) -> bool, count: usize, now: Instant) -> Vec<Change> {
        let mut changes = Vec::new();
        while changes.len() < count {
            let Some((bucket, check)) = self.outboxes.take(session) else { break };
            if !serves(bucket) {
                continue;
            }
            let Some(held) = self.held_of_mut(bucket) else { continue };
            let manifest_version = held.version;
            if let Some((position, slot)) = held.find(check)
                && let Ok(position) = u32::try_from(position)
            {
                changes.push(Change { bucket, manifest_version, position, detail: slot.told(now) });
            }
        }
        changes
    }

    fn held_of(&self, bucket: Bucket) -> Option<&Held> {
        self.buckets[usize::from(bucket.number())].as_ref()
    }

    fn held_of_mut(&mut self, bucket: Bucket) -> &mut Option<Held> {
        &mut self.buckets[usize::from(bucket.number())]
    }

    fn release(&mut self, bucket: Bucket) -> Vec<Slot> {
        let slots = self.held_of_mut(bucket).take().map(|held| held.slots).unwrap_or_default();
        self.checks -= slots.len();
        slots
    }

    fn start(&mut self, bucket: Bucket, id: CheckId, wire: Arc<[u8]>, before: Option<&Slot>, now: Instant) -> Slot {
        let spec = CheckSpec::decode(&wire[..]).unwrap_or_default();
        let config_gen = spec.config_gen;
        let mut slot = Slot {
            id,
            wire,
            config_gen,
            run: Run::Rejected(Box::default()),
            voter: Voter::default(),
            detail: Detail::default(),
            abstention: Detail::default(),
            joined: now,
            finished: None,
        };
        if let Some(before) = before.filter(|before| before.config_gen == config_gen) {
            (slot.voter, slot.detail, slot.abstention) = (before.voter, before.detail, before.abstention);
            slot.finished = before.finished;
        }
        let mut wants = None;
        let runnable = Check::try_from(&spec).map_err(|error| error.to_string()).and_then(|check| {
            let target = Target::new(&check).and_then(|target| self.capabilities.allow(&target).map(|()| target));
            let mut target = target.map_err(|error| error.to_string())?;
            if self.running >= self.checks_max {
                wants = Some(Want::Place);
                return Err(format!("this worker runs at most {} checks", self.checks_max));
            }
            self.asks.share(&mut target);
            let (key, member) = (JobKey::of(&check), Member { pool: check.pool_id, bucket, check: id });
            let joined = self.jobs.join(key, member, &check, target, now);
            wants = joined.is_err().then_some(Want::Share(check.sharing_key));
            let job = joined.map_err(|error| error.to_string())?;
            Ok((check, job))
        });
        match runnable {
            Ok((check, job)) => {
                self.running += 1;
                if slot.voter.state() == VoteState::ConfigError {
                    (slot.voter, slot.detail) = Default::default();
                }
                slot.run = Run::Probed { job, thresholds: check.thresholds(), stale_after: check.stale_after() };
            }
            Err(error) => {
                slot.voter = Voter::default().observe(Observation::ConfigError, Thresholds::new(0, 0));
                slot.detail = Detail { reason: Some(FailureReason::MonitorConfigError), ..Detail::default() };
                slot.run = Run::Rejected(error.into());
                if let Some(wants) = wants {
                    self.waiting.insert((bucket, id), wants);
                }
            }
        }
        slot
    }

    fn stop(&mut self, bucket: Bucket, slot: &Slot) {
        if let Run::Probed { job, .. } = slot.run {
            self.running -= 1;
            self.given_back.insert(Want::Place);
            self.given_back.extend(self.jobs.leave(job, bucket, slot.id).map(Want::Share));
        } else {
            self.waiting.remove(&(bucket, slot.id));
        }
    }

    /// Runs checks that have waited for what was given back, as far as that goes.
    fn take_up(&mut self, now: Instant) {
        let given_back = std::mem::take(&mut self.given_back);
        let served: Vec<(Bucket, CheckId)> =
            self.waiting.iter().filter(|(_, wants)| given_back.contains(wants)).map(|(place, _)| *place).collect();
        for (bucket, check) in served {
            self.waiting.remove(&(bucket, check));
            let Some((position, before)) = self.held_of_mut(bucket).as_mut().and_then(|held| held.find(check)) else { continue };
            let before = before.clone();
            let slot = self.start(bucket, check, before.wire.clone(), Some(&before), now);
            if matches!(slot.run, Run::Probed { .. }) {
                self.outboxes.put(bucket, check);
            }
            if let Some(held) = self.held_of_mut(bucket) {
                held.slots[position] = slot;
            }
        }
    }
}

impl Held {
    fn find(&mut self, check: CheckId) -> Option<(usize, &mut Slot)> {
        let position = self.slots.binary_search_by_key(&check, |slot| slot.id).ok()?;
        Some((position, self.slots.get_mut(position)?))
    }
}

impl Slot {
    /// Whether the vote, its reason or its response code changed.
    fn observe(&mut self, outcome: &Outcome, now: Instant) -> bool {
        let Run::Probed { thresholds, .. } = self.run else { return false };
        let before = self.told(now);
        let observation = outcome.finding.observation();
        if self.is_stale(now) {
            // What was seen so long ago decides nothing: as under a new configuration.
            (self.voter, self.detail) = Default::default();
        }
        self.voter = self.voter.observe(observation, thresholds);
        self.finished = Some(now);
        let agrees = match (self.voter.state(), observation) {
            (VoteState::Up, Observation::Passed) | (VoteState::Down, Observation::Failed) | (VoteState::Unknown, _) => true,
            // A run of contrary results that is too short to flip the vote says nothing yet.
            (VoteState::Up | VoteState::Down | VoteState::ConfigError, _) => false,
        };
        if agrees {
            let told = if self.voter.state() == VoteState::Unknown { &mut self.abstention } else { &mut self.detail };
            *told = Detail { state: VoteState::Unknown, ..outcome.detail() };
        }
        let after = self.told(now);
        (before.state, before.reason, before.response_code) != (after.state, after.reason, after.response_code)
    }

    /// The vote as it stands at `now`: unknown where the last probe ended too long ago.
    fn told(&self, now: Instant) -> Detail {
        let state = self.voter.state();
        match state {
            _ if self.is_stale(now) => Detail::default(),
            VoteState::Unknown => self.abstention,
            VoteState::Up | VoteState::Down | VoteState::ConfigError => Detail { state, ..self.detail },
        }
    }

    /// Whether the last probe ended too long ago to vote.
    fn is_stale(&self, now: Instant) -> bool {
        match (&self.run, self.finished) {
            (Run::Probed { stale_after, .. }, Some(finished)) => now.saturating_duration_since(finished) > *stale_after,
            (Run::Probed { .. } | Run::Rejected(_), _) => false,
        }
    }
}
