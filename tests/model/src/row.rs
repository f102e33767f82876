//! The worlds that are exhausted: each a row of faults that may meet in any order.

use std::fmt;
use std::time::{Duration, Instant};

use stateright::{Checker, Model};

use crate::VotePath;
use crate::state::Budget;

/// A named world.
#[derive(Clone, Debug)]
pub struct Row {
    pub name: &'static str,
    pub model: VotePath,
}

/// What was seen when a world was exhausted.
#[derive(Clone, Debug)]
pub struct Exhausted {
    pub name: &'static str,
    /// States reached, each as often as it was.
    pub states: usize,
    pub distinct: usize,
    pub took: Duration,
}

impl Row {
    /// Visits every state of the world.
    ///
    /// # Panics
    /// Where a state breaks an invariant: with the steps that lead there.
    pub fn exhaust(&self) -> Exhausted {
        let started = Instant::now();
        let checker = self.model.clone().checker().spawn_bfs().join();
        checker.assert_properties();
        Exhausted { name: self.name, states: checker.state_count(), distinct: checker.unique_state_count(), took: started.elapsed() }
    }
}

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, states, distinct, took } = self;
        write!(f, "{name}: {states} states, {distinct} distinct, no invariant broken, {:.1} s", took.as_secs_f64())
    }
}

/// Five worlds. The fourth is exhausted by hand, with
/// `cargo run --package quorate-model --example exhaust -- 4`; the others with every change of the code.
pub fn rows() -> [Row; 5] {
    let row = |name, budget| Row { name, model: VotePath::new(budget) };
    let two_flips = Budget { messages: 5, flips: 2, ..Budget::default() };
    [
        row("5 messages, 2 flips, 2 takeovers, 1 crash", Budget { takeovers: 2, crashes: 1, ..two_flips }),
        row("5 messages, 2 flips, 1 takeover, 1 worker restart", Budget { takeovers: 1, restarts: 1, ..two_flips }),
        row("6 messages, 2 flips, 1 config change", Budget { messages: 6, config_changes: 1, ..two_flips }),
        row("4 messages, 2 flips, 1 config change, 1 takeover", Budget { messages: 4, config_changes: 1, takeovers: 1, ..two_flips }),
        row("6 messages, 3 flips, 2 expiries", Budget { messages: 6, flips: 3, expiries: 2, ..two_flips }),
    ]
}
