//! The worker's state: every check that it holds, with its vote and the detail behind it.
//!
//! Pure: no socket, no clock. What is read from here is what is true now; nothing waits to be sent.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
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

use crate::caps::Caps;
use crate::jobs::{JobKey, Jobs, Member, Start};
use crate::manifest::{Entry, Manifest};
use crate::outbox::{Outboxes, SessionId};
use crate::probe::{Capabilities, Outcome, Target};

/// Checks of a bucket whose rejection is told; the others only vote config error.
pub(crate) const REJECTED_TOLD_MAX: usize = 100;
/// Characters of a rejection that are told.
const REJECTION_CHARS_MAX: usize = 200;
/// Checks that a worker runs, where control names no lower number.
pub(crate) const CHECKS_MAX: usize = 1_000_000;

#[derive(Debug)]
pub(crate) struct Board {
    buckets: BTreeMap<Bucket, Held>,
    pub(crate) jobs: Jobs,
    pub(crate) outboxes: Outboxes,
    checks: usize,
    /// Checks that can be run.
    running: usize,
    pub(crate) checks_max: usize,
    capabilities: Capabilities,
}

/// The checks of a bucket, in order of position.
#[derive(Debug)]
struct Held {
    version: u64,
    hash: u64,
    slots: Vec<Slot>,
}

#[derive(Debug)]
struct Slot {
    id: CheckId,
    wire: Bytes,
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

#[derive(Debug)]
enum Run {
    Probed {
        key: JobKey,
        member: Member,
        thresholds: Thresholds,
        stale_after: Duration,
    },
    /// Cannot be run here: votes config error.
    Rejected(Box<str>),
}

impl Board {
    pub(crate) fn new(pop: &PopCode, capabilities: Capabilities, caps: Caps, now: Instant) -> Self {
        Self {
            buckets: BTreeMap::new(),
            jobs: Jobs::new(pop, caps, now),
            outboxes: Outboxes::default(),
            checks: 0,
            running: 0,
            checks_max: CHECKS_MAX,
            capabilities,
        }
    }

    pub(crate) fn buckets(&self) -> impl Iterator<Item = Bucket> + '_ {
        self.buckets.keys().copied()
    }

    pub(crate) const fn checks(&self) -> usize {
        self.checks
    }

    /// What is held of a bucket: version, hash, number of checks.
    pub(crate) fn held(&self, bucket: Bucket) -> Option<(HeldManifest, usize)> {
        let held = self.buckets.get(&bucket)?;
        Some((HeldManifest { bucket, version: held.version, hash: held.hash }, held.slots.len()))
    }

    pub(crate) fn manifest(&self, bucket: Bucket) -> Option<Manifest> {
        let held = self.buckets.get(&bucket)?;
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
        self.buckets.get(&bucket).into_iter().flat_map(|held| &held.slots).filter_map(|slot| match &slot.run {
            Run::Rejected(error) => Some((slot.id, &**error)),
            Run::Probed { .. } => None,
        })
    }

    /// Holds a manifest instead of what was held. A check whose generation stays keeps its vote.
    pub(crate) fn adopt(&mut self, bucket: Bucket, manifest: Manifest, now: Instant) {
        let mut old: BTreeMap<CheckId, Slot> = self.release(bucket).into_iter().map(|slot| (slot.id, slot)).collect();
        let mut slots = Vec::with_capacity(manifest.entries.len());
        for Entry { id, wire } in manifest.entries {
            let slot = match old.remove(&id) {
                // What was not taken up before may have room now.
                Some(slot) if slot.wire == wire && matches!(slot.run, Run::Probed { .. }) => slot,
                before => {
                    if let Some(slot) = &before {
                        self.stop(slot);
                    }
                    self.start(bucket, id, wire, before.as_ref(), now)
                }
            };
            slots.push(slot);
        }
        for gone in old.values() {
            self.stop(gone);
        }
        self.checks += slots.len();
        self.buckets.insert(bucket, Held { version: manifest.version, hash: manifest.hash, slots });
    }

    /// Holds nothing of a bucket any more. Whether something was held.
    pub(crate) fn drop_bucket(&mut self, bucket: Bucket) -> bool {
        let was_held = self.buckets.contains_key(&bucket);
        for gone in self.release(bucket) {
            self.stop(&gone);
        }
        was_held
    }

    pub(crate) fn take_due(&mut self, now: Instant, room: usize) -> Vec<Start> {
        self.jobs.take_due(now, room)
    }

    /// A probe that began at `started` has ended: folds its outcome into the vote of every check that
    /// it served; one that came later gets a run of its own soon. Whether a vote, its reason or its
    /// response code changed.
    pub(crate) fn finished(&mut self, key: JobKey, outcome: &Outcome, started: Instant, now: Instant) -> bool {
        let members: Vec<Member> = self.jobs.members(key).collect();
        let mut changed = false;
        for member in members {
            if let Some(slot) = self.buckets.get_mut(&member.bucket).and_then(|held| held.find(member.check)).map(|(_, slot)| slot)
                && slot.joined <= started
                && slot.observe(outcome, now)
            {
                self.outboxes.put(member.bucket, member.check);
                changed = true;
            }
        }
        self.jobs.finished(key, now);
        changed
    }

    /// Every state of a bucket as it stands.
    pub(crate) fn chunk(&self, bucket: Bucket, now: Instant) -> Option<Chunk> {
        let held = self.buckets.get(&bucket)?;
        Some(Chunk::pack(bucket, held.version, held.slots.iter().map(|slot| slot.told(now).state)))
    }

    /// The detail of at most `count` positions from `from` on.
    pub(crate) fn window(&self, bucket: Bucket, from: usize, count: usize, now: Instant) -> Option<Window> {
        let held = self.buckets.get(&bucket)?;
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
            let Some(held) = self.buckets.get_mut(&bucket) else { continue };
            let manifest_version = held.version;
            if let Some((position, slot)) = held.find(check)
                && let Ok(position) = u32::try_from(position)
            {
                changes.push(Change { bucket, manifest_version, position, detail: slot.told(now) });
            }
        }
        changes
    }

    fn release(&mut self, bucket: Bucket) -> Vec<Slot> {
        let slots = self.buckets.remove(&bucket).map(|held| held.slots).unwrap_or_default();
        self.checks -= slots.len();
        slots
    }

    fn start(&mut self, bucket: Bucket, id: CheckId, wire: Bytes, before: Option<&Slot>, now: Instant) -> Slot {
        let spec = CheckSpec::decode(wire.clone()).unwrap_or_default();
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
        let runnable = Check::try_from(&spec).map_err(|error| error.to_string()).and_then(|check| {
            let target = Target::new(&check).and_then(|target| self.capabilities.allow(&target).map(|()| target));
            let target = target.map_err(|error| error.to_string())?;
            if self.running >= self.checks_max {
                return Err(format!("this worker runs at most {} checks", self.checks_max));
            }
            let (key, member) = (JobKey::of(&check), Member { pool: check.pool_id, bucket, check: id });
            self.jobs.join(key, member, &check, target, now).map_err(|error| error.to_string())?;
            Ok((check, key, member))
        });
        match runnable {
            Ok((check, key, member)) => {
                self.running += 1;
                if slot.voter.state() == VoteState::ConfigError {
                    (slot.voter, slot.detail) = Default::default();
                }
                slot.run = Run::Probed { key, member, thresholds: check.thresholds(), stale_after: check.stale_after() };
            }
            Err(error) => {
                slot.voter = Voter::default().observe(Observation::ConfigError, Thresholds::new(0, 0));
                slot.detail = Detail { reason: Some(FailureReason::MonitorConfigError), ..Detail::default() };
                slot.run = Run::Rejected(error.into());
            }
        }
        slot
    }

    fn stop(&mut self, slot: &Slot) {
        if let Run::Probed { key, member, .. } = slot.run {
            self.jobs.leave(key, member);
            self.running -= 1;
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

#[cfg(test)]
pub(crate) mod tests {
    use quorate_core::address_policy::AddressPolicy;
    use quorate_core::check::Probe;
    use quorate_core::ids::PoolId;

    use super::*;
    use crate::manifest::tests::whole;
    use crate::probe::tests::checks::tcp_check;
    use crate::probe::{Finding, Phases};

    pub(crate) const BUCKET: Bucket = Bucket::new(3).expect("below 1024");

    pub(crate) fn board(now: Instant) -> Board {
        Board::new(&"lhr".parse().expect("a code"), Capabilities::NONE, caps(), now)
    }

    /// None that a test would meet.
    pub(crate) fn caps() -> Caps {
        Caps::new(u32::MAX, u32::MAX, AddressPolicy::default())
    }

    /// A TCP check of its own on port `number`.
    pub(crate) fn check(number: u16) -> Check {
        let mut id = [0; 16];
        id[..2].copy_from_slice(&number.to_be_bytes());
        Check { id: CheckId::from_bytes(id), pool_id: PoolId::from_bytes(id), ..tcp_check("192.0.2.1", number) }
    }

    pub(crate) fn hold(board: &mut Board, version: u64, checks: &[Check], now: Instant) {
        board.adopt(BUCKET, Manifest::apply(None, &whole(3, version, checks)).expect("whole"), now);
    }

    pub(crate) fn outcome(finding: Finding) -> Outcome {
        let response_code = match finding {
            Finding::Failed(FailureReason::ResponseCodeMismatch) => Some(503),
            Finding::Passed => Some(200),
            Finding::Failed(_) | Finding::Abstained(_) => None,
        };
        Outcome {
            finding,
            response_code,
            rtt: Some(Duration::from_millis(12)),
            phases: Phases::default(),
            certificate_days_left: None,
            attempts: 1,
        }
    }

    const DOWN: Finding = Finding::Failed(FailureReason::TcpConnectionFailed);

    fn states(board: &Board, now: Instant) -> Vec<VoteState> {
        let count = board.held(BUCKET).expect("held").1;
        board.chunk(BUCKET, now).expect("held").states(count).expect("the same count").collect()
    }

    #[test]
    fn a_vote_is_unknown_until_probed_and_again_when_probes_stop() {
        let now = Instant::now();
        let mut board = board(now);
        let check = check(80);
        hold(&mut board, 1, std::slice::from_ref(&check), now);
        assert_eq!(states(&board, now), [VoteState::Unknown]);
        assert!(board.finished(JobKey::of(&check), &outcome(Finding::Passed), now, now));
        assert_eq!(states(&board, now + check.stale_after()), [VoteState::Up]);
        let late = now + check.stale_after() + Duration::from_millis(1);
        assert_eq!(states(&board, late), [VoteState::Unknown]);
        assert!(board.finished(JobKey::of(&check), &outcome(Finding::Passed), late, late), "back is a change");
    }

    #[test]
    fn after_probes_stopped_the_next_result_votes_at_once() {
        let now = Instant::now();
        let mut board = board(now);
        let check = Check { consecutive_down: 3, ..check(80) };
        hold(&mut board, 1, std::slice::from_ref(&check), now);
        board.finished(JobKey::of(&check), &outcome(Finding::Passed), now, now);
        let late = now + check.stale_after() + Duration::from_millis(1);
        assert!(board.finished(JobKey::of(&check), &outcome(DOWN), late, late));
        assert_eq!(states(&board, late), [VoteState::Down]);
    }

    #[test]
    fn an_abstention_hides_the_vote_and_its_reason_and_spares_no_failure() {
        let now = Instant::now();
        let mut board = board(now);
        let check = Check { consecutive_down: 3, ..check(80) };
        hold(&mut board, 1, std::slice::from_ref(&check), now);
        let silent = Finding::Abstained(FailureReason::OtherFailure);
        let told: Vec<(VoteState, Option<FailureReason>)> = [Finding::Passed, silent, DOWN, DOWN, DOWN]
            .into_iter()
            .map(|finding| {
                board.finished(JobKey::of(&check), &outcome(finding), now, now);
                let detail = board.window(BUCKET, 0, 1, now).expect("held").details[0];
                (detail.state, detail.reason)
            })
            .collect();
        let up = (VoteState::Up, None);
        let down = (VoteState::Down, Some(FailureReason::TcpConnectionFailed));
        assert_eq!(told, [up, (VoteState::Unknown, silent.reason()), up, up, down]);
    }

    #[test]
    fn a_probe_of_an_old_generation_says_nothing_under_the_new_one() {
        let now = Instant::now();
        let mut board = board(now);
        let old = check(80);
        let key = JobKey::of(&old);
        hold(&mut board, 1, std::slice::from_ref(&old), now);
        let started = now + Duration::from_secs(1);
        assert_eq!(board.take_due(started, 9).len(), 1);
        let changed = started + Duration::from_millis(5);
        let new = Check { config_gen: 2, consecutive_down: 3, ..old };
        assert_eq!(JobKey::of(&new), key, "one probe serves both");
        hold(&mut board, 2, std::slice::from_ref(&new), changed);
        let ended = changed + Duration::from_millis(5);
        assert!(!board.finished(key, &outcome(DOWN), started, ended));
        assert_eq!(states(&board, ended), [VoteState::Unknown]);
        let soon = ended + Duration::from_millis(50);
        assert_eq!(board.take_due(soon, 9).len(), 1, "a run of its own, not an interval later");
        assert!(board.finished(key, &outcome(Finding::Passed), soon, soon));
    }

    #[test]
    fn thresholds_are_each_checks_own_where_a_probe_is_shared() {
        let now = Instant::now();
        let mut board = board(now);
        let quick = check(80);
        let slow = Check { id: CheckId::from_bytes([0xff; 16]), consecutive_down: 3, ..check(80) };
        hold(&mut board, 1, &[quick.clone(), slow], now);
        let key = JobKey::of(&quick);
        let told: Vec<Vec<VoteState>> = [Finding::Passed, DOWN, DOWN, DOWN]
            .into_iter()
            .map(|finding| {
                board.finished(key, &outcome(finding), now, now);
                states(&board, now)
            })
            .collect();
        let (up, down) = (VoteState::Up, VoteState::Down);
        assert_eq!(told, [[up, up], [down, up], [down, up], [down, down]]);
    }

    #[test]
    fn the_detail_is_of_the_probe_that_agrees_with_the_vote() {
        let now = Instant::now();
        let mut board = board(now);
        let check = Check { consecutive_down: 2, ..check(80) };
        hold(&mut board, 1, std::slice::from_ref(&check), now);
        let key = JobKey::of(&check);
        let detail = |board: &Board| board.window(BUCKET, 0, 9, now).expect("held").details[0];
        board.finished(key, &outcome(Finding::Passed), now, now);
        assert!(!board.finished(key, &outcome(DOWN), now, now), "one failure of two changes nothing");
        assert_eq!((detail(&board).state, detail(&board).reason), (VoteState::Up, None));
        assert!(board.finished(key, &outcome(DOWN), now, now));
        assert_eq!((detail(&board).state, detail(&board).reason), (VoteState::Down, Some(FailureReason::TcpConnectionFailed)));
        let other = outcome(Finding::Failed(FailureReason::ResponseCodeMismatch));
        assert!(board.finished(key, &other, now, now), "another reason is told");
        assert!(!board.finished(key, &other, now, now));
        assert_eq!(detail(&board).response_code, Some(503));
        board.finished(key, &outcome(Finding::Abstained(FailureReason::OtherFailure)), now, now);
        assert_eq!((detail(&board).state, detail(&board).reason), (VoteState::Unknown, Some(FailureReason::OtherFailure)));
    }

    #[test]
    fn a_new_generation_starts_unknown_and_the_others_keep_their_votes() {
        let now = Instant::now();
        let mut board = board(now);
        let (one, two) = (check(80), check(81));
        hold(&mut board, 1, &[one.clone(), two.clone()], now);
        for check in [&one, &two] {
            board.finished(JobKey::of(check), &outcome(Finding::Passed), now, now);
        }
        let changed = Check { config_gen: 2, port: 8080, ..one.clone() };
        hold(&mut board, 2, &[changed.clone(), two.clone()], now);
        assert_eq!(states(&board, now), [VoteState::Unknown, VoteState::Up]);
        assert!(!board.finished(JobKey::of(&one), &outcome(DOWN), now, now), "a probe of the old generation says nothing of the new");
        assert!(board.finished(JobKey::of(&changed), &outcome(DOWN), now, now));
        assert_eq!(states(&board, now), [VoteState::Down, VoteState::Up]);
        assert_eq!(board.checks(), 2);
        assert!(board.drop_bucket(BUCKET) && !board.drop_bucket(BUCKET));
        assert_eq!((board.checks(), board.running, board.take_due(now + Duration::from_mins(1), 9).len()), (0, 0, 0));
    }

    #[test]
    fn a_check_that_cannot_be_run_votes_config_error_and_the_rest_goes_on() {
        let now = Instant::now();
        let mut board = board(now);
        let ping = Check { probe: Probe::IcmpPing, port: 0, ..check(1) };
        hold(&mut board, 1, &[ping.clone(), check(2)], now);
        assert_eq!(states(&board, now), [VoteState::ConfigError, VoteState::Unknown]);
        let rejected = board.rejected(BUCKET);
        assert_eq!(rejected.len(), 1);
        assert_eq!(&rejected[0].check_id[..], ping.id.as_bytes());
        assert!(rejected[0].error.starts_with("this worker cannot probe icmp_ping: it takes CAP_NET_RAW"), "{}", rejected[0].error);
        assert_eq!(board.window(BUCKET, 0, 1, now).expect("held").details[0].reason, Some(FailureReason::MonitorConfigError));

        board.checks_max = 1;
        hold(&mut board, 2, &[ping, check(2), check(3)], now);
        assert_eq!(board.rejected(BUCKET)[1].error, "this worker runs at most 1 checks");
    }

    #[test]
    fn changes_are_told_once_a_session_as_they_stand_when_told() {
        let now = Instant::now();
        let mut board = board(now);
        let (one, two) = (check(80), check(81));
        hold(&mut board, 4, &[one.clone(), two.clone()], now);
        let session = board.outboxes.open();
        for finding in [Finding::Passed, DOWN] {
            board.finished(JobKey::of(&one), &outcome(finding), now, now);
        }
        board.finished(JobKey::of(&two), &outcome(Finding::Passed), now, now);
        let first = board.changes(session, |_| true, 1, now);
        assert_eq!((first.len(), first[0].manifest_version, first[0].position, first[0].detail.state), (1, 4, 0, VoteState::Down));
        let second = board.changes(session, |_| true, 9, now);
        assert_eq!((second.len(), second[0].position), (1, 1));
        assert!(board.changes(session, |_| true, 9, now).is_empty());
        board.finished(JobKey::of(&two), &outcome(DOWN), now, now);
        assert!(board.changes(session, |_| false, 9, now).is_empty(), "not this replica's bucket");
        assert!(!board.outboxes.is_waiting(session));
    }
}
