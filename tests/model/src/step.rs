//! What can happen next, and what the world is like afterwards.

use quorate_core::quorum::{self, Ballots, Fence};
use quorate_core::register;
use quorate_core::vote::{Published, Verdict, VoteState};

use crate::VotePath;
use crate::invariant;
use crate::state::{Event, Held, Message, POPS, REPLICAS, Replica, State, Worker};

/// One step of the world. PoPs and replicas by their number, messages by their place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The worker sends its state to both replicas, before it has probed.
    Send {
        pop: usize,
    },
    /// The worker probes and sends what it found. Sending it later would be the same as a message that is late.
    Report {
        pop: usize,
        finds: Verdict,
    },
    /// A message arrives, maybe not for the first time.
    Deliver {
        pop: usize,
        place: usize,
        replica: usize,
    },
    /// The session of a PoP ends at a replica.
    Expire {
        pop: usize,
        replica: usize,
    },
    ConfigChange,
    WorkerLearns {
        pop: usize,
    },
    ReplicaLearns {
        replica: usize,
    },
    Takeover {
        replica: usize,
    },
    Crash {
        replica: usize,
    },
    Restart {
        pop: usize,
    },
    Commit {
        replica: usize,
    },
}

impl VotePath {
    /// Every step that changes something, in a fixed order.
    pub(crate) fn steps(&self, state: &State, steps: &mut Vec<Step>) {
        for (pop, it) in state.pops.iter().enumerate() {
            if state.left.messages > 0 {
                steps.push(Step::Report { pop, finds: it.found });
                if state.left.flips > 0 {
                    steps.push(Step::Report { pop, finds: it.found.opposite() });
                }
                if !it.worker.probed {
                    steps.push(Step::Send { pop });
                }
            }
            if it.worker.config_gen < state.database.config {
                steps.push(Step::WorkerLearns { pop });
            }
            if state.left.restarts > 0 {
                steps.push(Step::Restart { pop });
            }
            for (place, message) in it.under_way.iter().enumerate() {
                let Some(message) = message else { break };
                for replica in 0..REPLICAS {
                    if self.would_accept(state, pop, replica, *message) {
                        steps.push(Step::Deliver { pop, place, replica });
                    }
                }
            }
            for replica in 0..REPLICAS {
                if state.left.expiries > 0 && it.held[replica].is_some_and(|held| held.fresh) {
                    steps.push(Step::Expire { pop, replica });
                }
            }
        }
        if state.left.config_changes > 0 {
            steps.push(Step::ConfigChange);
        }
        for (replica, it) in state.replicas.iter().enumerate() {
            if it.epoch != 0 && it.known < state.database.config {
                steps.push(Step::ReplicaLearns { replica });
            }
            if state.left.takeovers > 0 && it.epoch != state.database.epoch {
                steps.push(Step::Takeover { replica });
            }
            if state.left.crashes > 0 {
                steps.push(Step::Crash { replica });
            }
            if self.commits(state, replica).is_some() && state.database.verdict_seq < self.commits_max {
                steps.push(Step::Commit { replica });
            }
        }
    }

    /// The world after a step. `None` where the step is not possible after all.
    pub(crate) fn after(&self, before: &State, step: Step) -> Option<State> {
        let mut state = *before;
        match step {
            Step::Send { pop } => self.launch(&mut state, pop, VoteState::Unknown)?,
            Step::Report { pop, finds } => {
                state.left.flips -= u8::from(state.pops[pop].found != finds);
                observe(&mut state, pop, finds);
                self.launch(&mut state, pop, finds.into())?;
            }
            Step::Deliver { pop, place, replica } => {
                let message = state.pops[pop].under_way[place]?;
                self.deliver(&mut state, pop, replica, message);
            }
            Step::Expire { pop, replica } => {
                state.left.expiries -= 1;
                state.pops[pop].held[replica].as_mut()?.fresh = false;
            }
            Step::ConfigChange => {
                state.left.config_changes -= 1;
                state.database.config += 1;
                for pop in &mut state.pops {
                    // Nobody has observed anything under the new configuration.
                    (pop.observed_up, pop.observed_down) = (false, false);
                }
            }
            Step::WorkerLearns { pop } => learn(&mut state, pop),
            Step::ReplicaLearns { replica } => state.replicas[replica].known = state.database.config,
            Step::Takeover { replica } => {
                state.left.takeovers -= 1;
                take_over(&mut state, replica);
            }
            Step::Crash { replica } => {
                state.left.crashes -= 1;
                state.replicas[replica] = Replica { epoch: 0, known: 0 };
                for pop in &mut state.pops {
                    pop.held[replica] = None;
                }
            }
            Step::Restart { pop } => {
                state.left.restarts -= 1;
                let it = &mut state.pops[pop];
                // A clock at zero is the worst that a clock can be.
                let epoch = register::next_epoch(self.guards, it.worker.epoch.into(), 0);
                it.worker = Worker { epoch: u8::try_from(epoch).ok()?, seq: 0, probed: false, ..it.worker };
                it.told = None;
            }
            Step::Commit { replica } => {
                let verdict = self.commits(&state, replica)?;
                commit(before, &mut state, replica, verdict);
            }
        }
        invariant::judge_step(before, &mut state);
        self.forget_what_is_over(&mut state);
        Some(state)
    }

    fn launch(&self, state: &mut State, pop: usize, vote: VoteState) -> Option<()> {
        state.left.messages -= 1;
        let message = self.send(state, pop, vote)?;
        state.pops[pop].launch(message)
    }

    /// The worker's state as it goes out, if it does.
    pub(crate) fn send(&self, state: &mut State, pop: usize, vote: VoteState) -> Option<Message> {
        let it = &mut state.pops[pop];
        let config_gen = it.worker.config_gen;
        if !register::round_carries(self.guards, it.told != Some((config_gen, vote))) {
            return None;
        }
        if !self.guards.resend_unchanged {
            it.told = Some((config_gen, vote));
        }
        it.worker.seq += 1;
        Some(Message { epoch: it.worker.epoch, seq: it.worker.seq, config_gen, vote })
    }

    pub(crate) fn deliver(&self, state: &mut State, pop: usize, replica: usize, message: Message) {
        let held = &mut state.pops[pop].held[replica];
        let before = held.map(|held| held.message.stamp());
        if register::accepts(self.guards, before, message.stamp()) {
            *held = Some(Held { message, fresh: true });
            state.broken.i5 |= before.is_some_and(|before| before > message.stamp());
        }
    }

    /// The verdict that a replica would commit now, if it believes to own the bucket and the rules let it.
    pub(crate) fn commits(&self, state: &State, replica: usize) -> Option<Verdict> {
        let Replica { epoch, known } = state.replicas[replica];
        if epoch == 0 {
            return None;
        }
        let mut ballots = Ballots::missing(POPS);
        for (seat, pop) in state.pops.iter().enumerate() {
            if let Some(Held { message, fresh }) = pop.held[replica]
                && register::counts(self.guards, fresh, message.config_gen.into(), known.into())
            {
                ballots.set(seat, message.vote);
            }
        }
        let verdict = quorum::decide(self.guards, &self.electorate, &ballots)?;
        let mine = Fence { epoch: epoch.into(), config_seq: known.into() };
        let stored = Fence { epoch: state.database.epoch.into(), config_seq: state.database.config.into() };
        quorum::may_commit(self.guards, mine, stored, state.database.verdict, verdict).then_some(verdict)
    }

    /// Takes out of the state what can never matter again, so that states that differ only in it are one:
    /// messages that no replica will ever accept, and votes under configurations that are over.
    /// What is accepted and what counts is asked of the rules themselves, so a broken rule hides nothing.
    fn forget_what_is_over(&self, state: &mut State) {
        let last_config = state.database.config + state.left.config_changes;
        let silenced = |message: Message, replica: usize| {
            let Replica { epoch, known } = state.replicas[replica];
            let from = if epoch == 0 { state.database.config } else { known };
            !(from..=last_config).any(|config| register::counts(self.guards, true, message.config_gen.into(), config.into()))
        };
        let mut pops = state.pops;
        for (pop, it) in pops.iter_mut().enumerate() {
            for (replica, held) in it.held.iter_mut().enumerate() {
                if let Some(held) = held
                    && (held.message.vote == VoteState::Unknown || silenced(held.message, replica))
                {
                    held.message = held.message.without_vote();
                }
            }
            it.sift(|message| {
                // A replica that may still crash forgets what it held, and then may accept anything.
                let late = state.left.crashes == 0 && (0..REPLICAS).all(|replica| !self.would_accept(state, pop, replica, message));
                let silent = message.vote == VoteState::Unknown || (0..REPLICAS).all(|replica| silenced(message, replica));
                (!late).then(|| if silent { message.without_vote() } else { message })
            });
        }
        state.pops = pops;
    }

    /// Whether a message that arrives now changes the register of a replica, and that may ever matter.
    fn would_accept(&self, state: &State, pop: usize, replica: usize, message: Message) -> bool {
        let held = state.pops[pop].held[replica].map(|held| held.message.stamp());
        let may_ever_own =
            state.replicas[replica].epoch != 0 || state.left.takeovers > 0 || state.left.crashes > 0 || state.owner().is_none();
        may_ever_own && register::accepts(self.guards, held, message.stamp())
    }
}

/// The worker probes, and finds this.
pub(crate) fn observe(state: &mut State, pop: usize, finds: Verdict) {
    let config = state.database.config;
    let it = &mut state.pops[pop];
    (it.found, it.worker.probed) = (finds, true);
    if it.worker.config_gen == config {
        match finds {
            Verdict::Up => it.observed_up = true,
            Verdict::Down => it.observed_down = true,
        }
    }
}

/// The worker gets the newest configuration; what it observed dies with the old one.
pub(crate) fn learn(state: &mut State, pop: usize) {
    let config = state.database.config;
    let worker = &mut state.pops[pop].worker;
    if worker.config_gen < config {
        (worker.config_gen, worker.probed) = (config, false);
    }
}

pub(crate) fn take_over(state: &mut State, replica: usize) {
    state.database.epoch += 1;
    state.database.committer = None;
    state.replicas[replica] = Replica { epoch: state.database.epoch, known: state.database.config };
}

/// The one transaction: verdict, its number and its event.
fn commit(before: &State, state: &mut State, replica: usize, verdict: Verdict) {
    let database = &mut state.database;
    database.verdict_seq += 1;
    let event = Event { seq: database.verdict_seq, old: database.verdict, new: Published::from(verdict) };
    invariant::judge_commit(before, &mut state.broken, replica, verdict, event);
    database.verdict = event.new;
    database.last_event = Some(event);
    database.committer = Some(replica);
}
