//! The model as the checker takes it.

use quorate_core::electorate::{Electorate, RegionSeats};
use quorate_core::pop::PopNo;
use quorate_core::quorum::Guards;
use quorate_core::region::Region;
use quorate_core::vote::Published;
use stateright::{Model, Property};

use crate::invariant::{I1, I2, I3, I4, I5, I6, L1};
use crate::state::{Budget, MESSAGES_MAX, POPS, State};
use crate::step::Step;

/// The vote path under some budget of faults, with all its rules or without one.
#[derive(Clone, Debug)]
pub struct VotePath {
    pub guards: Guards,
    pub budget: Budget,
    /// Commits in all. Never reached under all rules, which is checked; without them two owners could go on for ever.
    pub commits_max: u8,
    pub(crate) electorate: Electorate,
}

impl VotePath {
    /// All rules in force.
    pub fn new(budget: Budget) -> Self {
        assert!(usize::from(budget.messages) <= MESSAGES_MAX, "every message needs a place, or the model would hide what it could do");
        let seats = (0..).take(POPS).map(PopNo).collect();
        Self { guards: Guards::ALL, budget, commits_max: 8, electorate: Electorate::new(vec![RegionSeats::new(Some(Region::Weu), seats)]) }
    }
}

impl VotePath {
    /// The same world under other rules.
    #[must_use]
    pub fn under(self, guards: Guards) -> Self {
        Self { guards, ..self }
    }
}

impl Model for VotePath {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![State::initial(self.budget).canonical()]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        // What is broken stays broken; what follows teaches nothing.
        if !state.broken.any() {
            self.steps(state, steps);
        }
    }

    fn next_state(&self, state: &State, step: Step) -> Option<State> {
        self.after(state, step).map(State::canonical)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(I1, |_, state: &State| !state.broken.i1),
            Property::always(I2, |_, state: &State| !state.broken.i2),
            Property::always(I3, |_, state: &State| !state.broken.i3),
            Property::always(I4, |_, state: &State| !state.broken.i4),
            Property::always(I5, |_, state: &State| !state.broken.i5),
            Property::always(I6, |_, state: &State| !state.broken.i6),
            Property::always(L1, |model: &Self, state: &State| state.broken.any() || model.heals(state)),
            Property::always("the bound on commits hides nothing", |model: &Self, state: &State| {
                model.guards != Guards::ALL || state.database.verdict_seq < model.commits_max
            }),
            // A world in which nothing happens would keep every invariant.
            Property::sometimes("the verdict comes up", |_, state: &State| state.database.verdict == Published::Up),
            Property::sometimes("the verdict goes down", |_, state: &State| {
                state.database.verdict == Published::Down && state.database.verdict_seq > 1
            }),
        ]
    }
}
