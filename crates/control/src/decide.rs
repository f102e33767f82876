//! Votes to verdicts of one bucket at one instant: what is to be published, with its evidence. Pure.

use std::borrow::Cow;
use std::collections::HashMap;

use quorate_core::event::{EventBody, EventOrigin, EventPool};
use quorate_core::evidence::{explain, failure_of, monitor_results};
use quorate_core::failure;
use quorate_core::ids::{AccountId, ReplicaId};
use quorate_core::pool::{OriginHealth, PoolState, pool_state};
use quorate_core::pop::{Pop, PopNo};
use quorate_core::quorum::{self, Fence, Guards, may_commit};
use quorate_core::vote::{Published, Verdict};
use quorate_store::verdicts::{CheckChange, NewEvent, PoolChange, Tick};

use crate::bucket::{PopVotes, Slot};
use crate::plan::{Plan, PoolPlan};
use crate::probed::{Probed, Said, count, said};

/// Verdict changes of one account in one tick: what is beyond waits for the next one, so that a storm
/// of one account delays the others by one transaction of this size at most.
const CHANGES_PER_ACCOUNT_MAX: usize = 500;
/// Verdict changes in one tick.
const CHANGES_MAX: usize = 2_000;
/// Lines of events of one account in one tick, and of all: an event lists every origin of its pool and
/// every vote on the changed one, so that of a large pool few events are a large transaction.
const LINES_PER_ACCOUNT_MAX: usize = 10_000;
const LINES_MAX: usize = 20_000;

/// What is to be published.
#[derive(Debug)]
pub(crate) struct Decision {
    pub(crate) tick: Tick,
    /// There is more than fits in one tick.
    pub(crate) more: bool,
}

/// What a decision looks at beside the slot.
pub(crate) struct View<'a, L> {
    pub(crate) replica: ReplicaId,
    /// For the names in evidence.
    pub(crate) registered: &'a [Pop],
    /// Whether votes that a PoP cast under a session epoch still count.
    pub(crate) live: L,
    pub(crate) now_ms: u32,
}

/// How the votes on one check stand.
#[derive(Clone, Copy, Debug, Default)]
struct Standing {
    verdict: Option<Verdict>,
    /// Some region says Down.
    down_in_a_region: bool,
    /// Some region with voters says nothing, for want of votes.
    silent_region: bool,
}

/// What a tick may still hold.
#[derive(Clone, Copy, Debug)]
struct Room {
    changes: usize,
    lines: usize,
}

impl Room {
    fn min(self, other: Self) -> Self {
        Self { changes: self.changes.min(other.changes), lines: self.lines.min(other.lines) }
    }

    const fn is_left(self) -> bool {
        self.changes > 0 && self.lines > 0
    }

    /// A line too many is better than an event that never fits.
    const fn take(&mut self, changes: usize, lines: usize) {
        self.changes = self.changes.saturating_sub(changes);
        self.lines = self.lines.saturating_sub(lines);
    }
}

/// Decides a bucket; `None`: nothing changes.
pub(crate) fn decide<L: Fn(PopNo, u64) -> bool>(slot: &Slot, epoch: u64, view: &View<'_, L>) -> Option<Decision> {
    let plan = slot.plan.as_ref()?;
    let fence = Fence { epoch, config_seq: plan.config_seq };
    let tick = Tick { bucket: plan.bucket, replica: view.replica, fence, checks: Vec::new(), pools: Vec::new(), events: Vec::new() };
    let mut decision = Decision { tick, more: false };
    let mut left = Room { changes: CHANGES_MAX, lines: LINES_MAX };
    let mut left_to: HashMap<AccountId, Room> = HashMap::new();
    for pool in &plan.pools {
        let of_account = Room { changes: CHANGES_PER_ACCOUNT_MAX, lines: LINES_PER_ACCOUNT_MAX };
        let of_account = left_to.entry(pool.config.pool.account_id).or_insert(of_account);
        let seated = slot.seated(pool, &view.live);
        let deciding = PoolDecision::new(plan, pool, &seated, view);
        let before = of_account.min(left);
        let after = deciding.decide(before, &mut decision);
        let (changes, lines) = (before.changes - after.changes, before.lines - after.lines);
        of_account.take(changes, lines);
        left.take(changes, lines);
    }
    let tick = &decision.tick;
    (!tick.checks.is_empty() || !tick.pools.is_empty()).then_some(decision)
}

/// One pool on its way from what is published to what the votes say.
struct PoolDecision<'a, L> {
    pool: &'a PoolPlan,
    plan: &'a Plan,
    seated: &'a [Option<&'a PopVotes>],
    view: &'a View<'a, L>,
    /// By origin.
    standings: Vec<Standing>,
    /// By origin, as published after the changes so far.
    verdicts: Vec<Published>,
    state: PoolState,
}

impl<'a, L: Fn(PopNo, u64) -> bool> PoolDecision<'a, L> {
    fn new(plan: &'a Plan, pool: &'a PoolPlan, seated: &'a [Option<&'a PopVotes>], view: &'a View<'a, L>) -> Self {
        let standings = pool.probed.iter().map(|probed| standing(plan, pool, seated, probed));
        Self {
            standings: standings.collect(),
            verdicts: pool.config.checks.iter().map(|check| check.verdict).collect(),
            state: pool.config.state,
            plan,
            pool,
            seated,
            view,
        }
    }

    /// Adds what changes, as far as there is room; answers what is left of it.
    fn decide(mut self, mut room: Room, decision: &mut Decision) -> Room {
        let config = &self.pool.config;
        let account_id = config.pool.account_id;
        let lines = (config.pool.origins.len() + self.pool.electorate.seats()) * (1 + config.monitoring.members());
        // First what follows without a new verdict: from another configuration, or from one region alone.
        if self.settle() {
            if !room.is_left() {
                decision.more = true;
                return room;
            }
            room.take(0, lines);
            decision.tick.events.push(self.event(None));
        }
        let fence = decision.tick.fence;
        for origin in 0..self.verdicts.len() {
            let published = config.checks[origin];
            let Some(verdict) = self.standings[origin].verdict else { continue };
            if !may_commit(Guards::ALL, fence, fence, published.verdict, verdict) {
                continue;
            }
            if !room.is_left() {
                decision.more = true;
                break;
            }
            room.take(1, lines);
            let said = self.said(origin);
            self.verdicts[origin] = verdict.into();
            let tipped = self.settle();
            let (reason, response_code) = failure_of(verdict.into(), &said.ballots);
            decision.tick.checks.push(CheckChange {
                account_id,
                check_id: published.check_id,
                config_gen: published.config_gen,
                expected_seq: published.verdict_seq,
                verdict,
                reason,
                response_code,
            });
            decision.tick.events.push(self.event(Some(&Turned { origin, said, tipped })));
        }
        if self.state != config.state {
            let change = PoolChange { account_id, pool_id: config.pool.id, expected_seq: config.state_seq, state: self.state };
            decision.tick.pools.push(change);
        }
        room
    }

    /// Moves the pool to the state that follows from its origins; whether that tipped it for those who
    /// go by `healthy`.
    ///
    /// Where a region is silent, nobody knows whether it would say Down: the state stays, if it is
    /// possible either way.
    fn settle(&mut self) -> bool {
        let before = self.state;
        let (certain, possible) = (self.state_if(|standing| standing.down_in_a_region), self.state_if(Standing::may_be_down_in_a_region));
        self.state = if before == possible { possible } else { certain };
        self.state.healthy() != before.healthy()
    }

    fn state_if(&self, down_in_a_region: impl Fn(Standing) -> bool) -> PoolState {
        let config = &self.pool.config;
        let settings = &config.pool.settings;
        let origins: Vec<OriginHealth> = config
            .pool
            .origins
            .iter()
            .zip(&self.verdicts)
            .zip(&self.standings)
            .map(|((origin, verdict), standing)| OriginHealth {
                enabled: origin.settings.enabled,
                verdict: *verdict,
                down_in_a_region: down_in_a_region(*standing),
            })
            .collect();
        pool_state(settings.enabled, config.monitoring.judges(), settings.minimum_origins, &origins)
    }

    fn said(&self, origin: usize) -> Said {
        said(self.plan, self.seated, &self.pool.probed[origin], self.view.now_ms)
    }

    /// The event of a verdict, or of a pool that changed without one.
    fn event(&self, turned: Option<&Turned>) -> NewEvent {
        let config = &self.pool.config;
        let pool = &config.pool;
        NewEvent {
            account_id: pool.account_id,
            pool_id: pool.id,
            check_id: turned.map(|turned| config.checks[turned.origin].check_id),
            body: EventBody {
                subject: config.subject,
                pool: EventPool {
                    id: pool.id,
                    name: pool.settings.name.clone(),
                    healthy: self.state.healthy(),
                    changed: turned.is_none_or(|turned| turned.tipped),
                    minimum_origins: pool.settings.minimum_origins,
                },
                origins: (0..self.verdicts.len()).map(|origin| self.event_origin(origin, turned)).collect(),
            },
        }
    }

    fn event_origin(&self, origin: usize, turned: Option<&Turned>) -> EventOrigin {
        let settings = &self.pool.config.pool.origins[origin].settings;
        let published = &self.pool.config.checks[origin];
        let verdict = self.verdicts[origin];
        let turned = turned.filter(|turned| turned.origin == origin);
        let as_published = turned.is_none() && published.verdict == Published::Down;
        let is_grouped = matches!(self.pool.probed[origin], Probed::Group(_));
        let said = match turned {
            Some(turned) => Cow::Borrowed(&turned.said),
            // Asked of every origin of the pool for every event of it: not where nothing of it is told.
            None if is_grouped || verdict == Published::Unknown || (verdict == Published::Down && !as_published) => {
                Cow::Owned(self.said(origin))
            }
            None => Cow::Owned(Said::default()),
        };
        let (reason, response_code) = match verdict {
            // As it was published then.
            Published::Down if as_published => (published.reason, published.response_code),
            Published::Down | Published::Unknown => failure_of(verdict, &said.ballots),
            Published::Up => (None, None),
        };
        EventOrigin {
            name: settings.name.clone(),
            address: settings.address.clone(),
            ip: settings.address.clone(),
            enabled: settings.enabled,
            healthy: verdict.healthy(),
            failure_reason: failure::text_of(reason).to_owned(),
            failure_code: failure::code_of(reason).to_owned(),
            response_code,
            changed: turned.is_some(),
            monitors: monitor_results(&self.pool.electorate, &said.members),
            evidence: turned.map(|turned| {
                let by_number = |no: PopNo| self.view.registered.iter().find(|pop| pop.no == no);
                explain(verdict, &self.pool.electorate, &turned.said.ballots, by_number).with_monitors(&turned.said.members)
            }),
        }
    }
}

/// The verdict that an event is about.
struct Turned {
    origin: usize,
    said: Said,
    /// The pool with it.
    tipped: bool,
}

impl Standing {
    const fn may_be_down_in_a_region(self) -> bool {
        self.down_in_a_region || self.silent_region
    }
}

fn standing(plan: &Plan, pool: &PoolPlan, seated: &[Option<&PopVotes>], probed: &Probed) -> Standing {
    if !probed.is_judged() {
        return Standing::default();
    }
    let (ballots, all_up) = count(plan, seated, probed);
    let verdict = quorum::decide(Guards::ALL, &pool.electorate, &ballots);
    // As nearly always: no region says Down, and none is silent.
    if all_up {
        return Standing { verdict, ..Standing::default() };
    }
    let tally = quorum::tally(&pool.electorate, &ballots);
    Standing {
        verdict,
        down_in_a_region: tally.regions.iter().any(|region| region.verdict == Some(Verdict::Down)),
        silent_region: tally.regions.iter().any(|region| region.verdict.is_none() && region.missing() > 0),
    }
}

#[cfg(test)]
mod tests;
