//! L1: convergence after faults, as a property of every single state.

use quorate_core::vote::{Published, Verdict};

use crate::VotePath;
use crate::invariant;
use crate::state::{POPS, REPLICAS, State};
use crate::step::{learn, observe, take_over};

impl VotePath {
    /// One round without faults: the configuration reaches everyone, every worker probes and sends
    /// its state to the owner, and the owner may commit once. The verdict must then be what a
    /// majority finds, whatever each of them finds and whatever had happened before. Where nobody
    /// owns the bucket, it must be so whoever takes it.
    pub(crate) fn heals(&self, state: &State) -> bool {
        let owner = state.owner();
        let owners = owner.map_or(0..REPLICAS, |owner| owner..owner + 1);
        owners.into_iter().all(|replica| {
            let mut state = *state;
            if owner.is_none() {
                take_over(&mut state, replica);
            }
            state.replicas[replica].known = state.database.config;
            every_truth().all(|truth| self.round(state, replica, truth) == Published::from(invariant::majority_of(truth)))
        })
    }

    /// The verdict after the round, where each PoP finds what `truth` says.
    fn round(&self, mut state: State, owner: usize, truth: [Verdict; POPS]) -> Published {
        for (pop, finds) in truth.into_iter().enumerate() {
            learn(&mut state, pop);
            observe(&mut state, pop, finds);
            if let Some(message) = self.send(&mut state, pop, finds.into()) {
                self.deliver(&mut state, pop, owner, message);
            }
        }
        self.commits(&state, owner).map_or(state.database.verdict, Published::from)
    }
}

/// Everything that the PoPs could find.
fn every_truth() -> impl Iterator<Item = [Verdict; POPS]> {
    (0..1_u32 << POPS).map(|bits| std::array::from_fn(|pop| if bits >> pop & 1 == 0 { Verdict::Up } else { Verdict::Down }))
}
