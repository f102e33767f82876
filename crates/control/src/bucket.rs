//! One bucket in memory: its role here, its plan, and the votes of every PoP that speaks to us.
//! The owner decides by it; the standby keeps it warm.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quorate_core::bucket::{BUCKETS, Bucket};
use quorate_core::evidence::BallotDetail;
use quorate_core::ids::PoolId;
use quorate_core::pop::{Pop, PopNo};
use quorate_core::register::Stamp;
use quorate_core::spacing::Spacing;
use quorate_core::vote::VoteState;
use quorate_store::verdicts::Tick;
use tokio::time::Instant;

use crate::manifests::{Manifest, Versions};
use crate::plan::{Plan, PoolPlan, Seats};

/// What this replica is to a bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Role {
    /// Votes are not for us.
    #[default]
    Absent,
    /// Takes votes, and decides nothing.
    Standby,
    /// Decides, under this epoch.
    Owner { epoch: u64 },
}

/// The vote of one PoP on one check.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Vote {
    /// Generation of the check that it was cast under.
    pub(crate) cast_under: u64,
    pub(crate) state: VoteState,
    /// Milliseconds of [`Board::uptime_ms`] when it was last heard; wraps.
    pub(crate) heard_ms: u32,
    /// `None` until the detail of this very state has arrived.
    pub(crate) detail: Option<BallotDetail>,
}

/// What one PoP says of the bucket.
#[derive(Debug, Default)]
pub(crate) struct PopVotes {
    /// Of the last message that was taken: the register's order.
    pub(crate) stamp: Option<Stamp>,
    pub(crate) manifests: Versions,
    /// By index in [`Plan::checks`].
    pub(crate) votes: Vec<Option<Vote>>,
}

/// How far the stored votes of a check are behind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Behind {
    /// A vote changed since they were written.
    pub(crate) changed: bool,
    pub(crate) written: Option<Instant>,
}

/// See the module.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is one condition that comes and goes alone")]
pub(crate) struct Slot {
    pub(crate) role: Role,
    pub(crate) plan: Option<Plan>,
    /// What is published may differ from what the plan says: nothing is decided before it is loaded again.
    pub(crate) stale: bool,
    /// Its configuration could not be loaded when that was last tried.
    pub(crate) unloadable: bool,
    pub(crate) pops: HashMap<PopNo, PopVotes>,
    /// In the queue of the evaluator.
    pub(crate) queued: bool,
    /// Who should sit was compared with who sits, for the plan in force.
    pub(crate) seats_checked: bool,
    /// A commit is under way.
    pub(crate) committing: bool,
    /// No decision before this: the spacing, or the pause after a refusal.
    pub(crate) not_before: Option<Instant>,
    /// Of decisions that turn something; `None` before the first.
    pub(crate) spacing: Option<Spacing<Instant>>,
    /// When the vote was heard that a decision is asked for.
    pub(crate) heard_at: Option<Instant>,
    /// When a change that nobody waits for is published on its own.
    pub(crate) calm_due: Option<Instant>,
    /// When the evaluator comes back to it by itself.
    pub(crate) later: Option<Instant>,
    /// Commits refused in a row.
    pub(crate) refusals: u32,
    /// By index in [`Plan::checks`].
    pub(crate) behind: Vec<Behind>,
    /// Pools whose quorum is not as published, and since when.
    pub(crate) quorum_turned: HashMap<PoolId, Instant>,
}

/// All buckets.
#[derive(Debug)]
pub(crate) struct Board {
    slots: Vec<Mutex<Slot>>,
    started: Instant,
}

impl Board {
    pub(crate) fn new() -> Self {
        Self { slots: Bucket::all().map(|_| Mutex::new(Slot::new())).collect(), started: Instant::now() }
    }

    pub(crate) fn lock(&self, bucket: Bucket) -> MutexGuard<'_, Slot> {
        debug_assert_eq!(self.slots.len(), usize::from(BUCKETS));
        // A panic stops the process; until then the others go on with what is there.
        self.slots[usize::from(bucket.number())].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Milliseconds since the start, wrapping after 49 days: only for the ages that are shown.
    #[expect(clippy::cast_possible_truncation, reason = "wraps on purpose")]
    pub(crate) fn uptime_ms(&self) -> u32 {
        self.started.elapsed().as_millis() as u32
    }
}

impl Slot {
    fn new() -> Self {
        Self {
            role: Role::Absent,
            plan: None,
            stale: false,
            unloadable: false,
            pops: HashMap::new(),
            queued: false,
            seats_checked: false,
            committing: false,
            not_before: None,
            spacing: None,
            heard_at: None,
            calm_due: None,
            later: None,
            refusals: 0,
            behind: Vec::new(),
            quorum_turned: HashMap::new(),
        }
    }

    /// Takes on a role. Who becomes the owner loads what was published meanwhile before it decides.
    pub(crate) fn take_role(&mut self, role: Role) {
        if role == self.role {
            return;
        }
        match role {
            Role::Absent => *self = Self { queued: self.queued, committing: self.committing, later: self.later, ..Self::new() },
            Role::Standby => {}
            Role::Owner { .. } => self.stale = true,
        }
        self.role = role;
        self.quorum_turned.clear();
    }

    /// Whether this replica should decide the bucket and cannot, for want of its configuration.
    pub(crate) const fn is_unserved(&self) -> bool {
        matches!(self.role, Role::Owner { .. }) && (self.plan.is_none() || self.unloadable)
    }

    /// The epoch under which this replica decides, if it may now.
    pub(crate) const fn deciding(&self) -> Option<u64> {
        match self.role {
            Role::Owner { epoch } if !self.stale && !self.committing => Some(epoch),
            Role::Owner { .. } | Role::Standby | Role::Absent => None,
        }
    }

    /// Puts a plan in force. Votes stay where check, generation and seat are the same.
    pub(crate) fn install(&mut self, plan: Plan) {
        let old = self.plan.take();
        // A restored database counts again from where it was: its numbers now mean something else.
        let restored = old.as_ref().is_some_and(|old| !plan.follows(old));
        for (pop, held) in &mut self.pops {
            if restored {
                held.votes.clear();
                held.manifests = Versions::default();
            }
            let mut votes = vec![None; plan.checks.len()];
            for (index, vote) in votes.iter_mut().enumerate() {
                let check = &plan.checks[index].check;
                let before = old.as_ref().and_then(|old| old.find(check.id)).and_then(|place| held.votes.get(place).copied().flatten());
                // A PoP without a seat does not probe: what it said before says nothing when it sits again.
                *vote = before.filter(|vote| vote.cast_under == check.config_gen && plan.asks(*pop, index));
            }
            held.votes = votes;
        }
        self.behind = vec![Behind { changed: true, written: None }; plan.checks.len()];
        let is_there = |id: &PoolId| plan.pools.iter().any(|pool| pool.config.pool.id == *id);
        self.quorum_turned.retain(|id, _| is_there(id));
        self.plan = Some(plan);
        self.stale = false;
        self.unloadable = false;
        self.seats_checked = false;
    }

    /// Other seats, as of another `config_seq`.
    pub(crate) fn seat(&mut self, seats: Seats, config_seq: u64, registered: &[Pop]) {
        if let Some(mut plan) = self.plan.take() {
            let stale = self.stale;
            plan.seat(seats, config_seq, registered);
            self.install_same_checks(plan);
            self.stale = stale;
        }
    }

    fn install_same_checks(&mut self, plan: Plan) {
        for (pop, held) in &mut self.pops {
            for (index, vote) in held.votes.iter_mut().enumerate() {
                if !plan.asks(*pop, index) {
                    *vote = None;
                }
            }
        }
        self.behind.iter_mut().for_each(|behind| behind.changed = true);
        self.plan = Some(plan);
    }

    /// The registry changed: who votes where all PoPs vote.
    pub(crate) fn elect(&mut self, registered: &[Pop]) {
        self.seats_checked = false;
        if let Some(plan) = &mut self.plan {
            plan.elect(registered);
            self.behind.iter_mut().for_each(|behind| behind.changed = true);
        }
    }

    /// What a connected PoP is to probe, if this replica has a say. From now on votes under it are understood.
    pub(crate) fn manifest(&mut self, pop: PopNo) -> Option<Arc<Manifest>> {
        if self.role == Role::Absent {
            return None;
        }
        let plan = self.plan.as_mut()?;
        let manifest = plan.manifest(pop);
        let checks = plan.checks.len();
        // Nobody asks it anything, and it never was: no need to remember it.
        if manifest.checks.is_empty() && !self.pops.contains_key(&pop) {
            return Some(manifest);
        }
        let held = self.pops.entry(pop).or_default();
        held.votes.resize(checks, None);
        held.manifests.push(Arc::clone(&manifest));
        Some(manifest)
    }

    /// Everything that a PoP said is missing until it says it again. The order of its messages stays.
    pub(crate) fn forget_votes(&mut self, pop: PopNo) {
        if let Some(held) = self.pops.get_mut(&pop) {
            held.votes.fill(None);
            self.behind.iter_mut().for_each(|behind| behind.changed = true);
        }
    }

    /// What a tick published is what the next one builds on.
    pub(crate) fn published(&mut self, tick: &Tick) {
        let Some(plan) = &mut self.plan else { return };
        let changes: HashMap<_, _> = tick.checks.iter().map(|change| (change.check_id, change)).collect();
        for pool in &mut plan.pools {
            for check in &mut pool.config.checks {
                let change = changes.get(&check.check_id).filter(|change| change.expected_seq == check.verdict_seq);
                if let Some(change) = change {
                    check.verdict = change.verdict.into();
                    check.verdict_seq += 1;
                    check.reason = change.reason;
                    check.response_code = change.response_code;
                }
            }
            let change =
                tick.pools.iter().find(|change| change.pool_id == pool.config.pool.id && change.expected_seq == pool.config.state_seq);
            if let Some(change) = change {
                pool.config.state = change.state;
                pool.config.state_seq += 1;
            }
        }
    }

    /// What the seats of a pool say, in the electorate's order; `None` for a seat whose PoP has no live session.
    pub(crate) fn seated(&self, pool: &PoolPlan, live: impl Fn(PopNo, u64) -> bool) -> Vec<Option<&PopVotes>> {
        let seats = pool.electorate.regions().iter().flat_map(quorate_core::electorate::RegionSeats::seats);
        seats.map(|pop| self.pops.get(pop).filter(|held| held.stamp.is_some_and(|stamp| live(*pop, stamp.epoch)))).collect()
    }
}
