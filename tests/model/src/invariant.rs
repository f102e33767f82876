//! What must hold in every state, said in the plainest words and without the code that it checks.

use quorate_core::vote::{Published, Verdict, VoteState};

use crate::state::{Event, POPS, State};

/// Events are gapless and alternate: each takes the next number, starts at what the one before ended
/// with, and changes something; the verdict is what the last one ended with.
pub const I1: &str = "I1 an event if and only if the verdict changed";
/// Epochs, configurations and verdict numbers never decrease.
pub const I2: &str = "I2 epoch, configuration and verdict number never decrease";
/// At each commit the fresh votes under the database's configuration, counted against everyone
/// assigned, yield exactly the new verdict, and the committer's epoch is the database's.
pub const I3: &str = "I3 a commit is what the votes of the moment say, by the owner of the moment";
/// Between two takeovers only one replica commits.
pub const I4: &str = "I4 between two takeovers only one replica commits";
/// A held vote is never replaced by an older one.
pub const I5: &str = "I5 a held vote is never replaced by an older one";
/// A verdict under a configuration was really observed under it by a majority of those assigned.
pub const I6: &str = "I6 a verdict was really observed by a majority";
/// From here, one round without faults makes the verdict what a majority would find.
pub const L1: &str = "L1 one round without faults heals";

/// Which invariants a step has broken on the way here. L1 is asked of each state instead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::struct_excessive_bools, reason = "each is one invariant")]
pub struct Broken {
    pub i1: bool,
    pub i2: bool,
    pub i3: bool,
    pub i4: bool,
    pub i5: bool,
    pub i6: bool,
}

impl Broken {
    pub const fn any(self) -> bool {
        self.i1 || self.i2 || self.i3 || self.i4 || self.i5 || self.i6
    }
}

/// A majority of everyone assigned.
pub const fn is_majority(count: usize) -> bool {
    2 * count > POPS
}

/// What a majority of the PoPs finds; their number is odd.
pub fn majority_of(found: [Verdict; POPS]) -> Verdict {
    let up = found.into_iter().filter(|found| *found == Verdict::Up).count();
    if is_majority(up) { Verdict::Up } else { Verdict::Down }
}

/// Looks at a commit of `verdict` by `replica`, as it happens: `before` is the state it happens in.
pub fn judge_commit(before: &State, broken: &mut Broken, replica: usize, verdict: Verdict, event: Event) {
    let database = &before.database;
    let last = database.last_event.map_or((0, Published::Unknown), |last| (last.seq, last.new));
    broken.i1 |= (event.seq, event.old) != (last.0 + 1, last.1) || event.old == event.new;

    let says = VoteState::from(verdict);
    let counted = before.pops.iter().filter_map(|pop| pop.held[replica]);
    let counted = counted.filter(|held| held.fresh && held.message.config_gen == database.config && held.message.vote == says);
    broken.i3 |= !is_majority(counted.count()) || before.replicas[replica].epoch != database.epoch;
    broken.i4 |= database.committer.is_some_and(|other| other != replica);

    let observed = before.pops.iter().filter(|pop| match verdict {
        Verdict::Up => pop.observed_up,
        Verdict::Down => pop.observed_down,
    });
    broken.i6 |= !is_majority(observed.count());
}

/// Looks at a step: nothing that only grows may have shrunk.
pub fn judge_step(before: &State, after: &mut State) {
    let (old, new) = (&before.database, &after.database);
    let shrunk = new.epoch < old.epoch || new.config < old.config || new.verdict_seq < old.verdict_seq;
    after.broken.i2 |= shrunk || before.pops.iter().zip(&after.pops).any(|(old, new)| new.worker.config_gen < old.worker.config_gen);
    after.broken.i1 |= new.last_event.map_or(Published::Unknown, |event| event.new) != new.verdict;
}
