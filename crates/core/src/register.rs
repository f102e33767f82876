//! Which vote counts: a last-writer-wins register ordered by (session epoch, sequence).

use crate::quorum::Guards;

/// Order of two messages of one PoP. Duplicates and reordering are harmless by construction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Stamp {
    /// Session epoch: grows with every start of the worker.
    pub epoch: u64,
    /// Sequence within the session.
    pub seq: u64,
}

/// Whether a message replaces what the register holds.
#[must_use]
pub fn accepts(guards: Guards, held: Option<Stamp>, incoming: Stamp) -> bool {
    !guards.compare_sequence || held.is_none_or(|held| incoming > held)
}

/// Whether a held vote counts towards the tally: its session lives and it was cast under the
/// configuration that is being decided.
#[must_use]
pub fn counts(guards: Guards, fresh: bool, cast_under: u64, config_gen: u64) -> bool {
    fresh && (!guards.compare_generation || cast_under == config_gen)
}

/// The epoch of a worker that starts: above the stored one, whatever the clock says.
#[must_use]
pub fn next_epoch(guards: Guards, stored: u64, unix_ms: u64) -> u64 {
    if guards.raise_epoch { unix_ms.max(stored.saturating_add(1)) } else { stored }
}
