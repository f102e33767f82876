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

/// Whether a round, and with it the first message of a session, carries the state of a check:
/// always, whether or not it changed since it was last sent. Whoever listens now may never have
/// heard what was sent before.
#[must_use]
pub fn round_carries(guards: Guards, changed: bool) -> bool {
    guards.resend_unchanged || changed
}

/// Above this no epoch is taken: no clock tells it (it is the year 10889 in Unix milliseconds), and who
/// came after would have nowhere to go.
pub const EPOCH_MAX: u64 = 1 << 48;

/// The epoch of a worker that starts: above the stored one, whatever the clock says.
#[must_use]
pub fn next_epoch(guards: Guards, stored: u64, unix_ms: u64) -> u64 {
    if guards.raise_epoch { unix_ms.max(stored.saturating_add(1)) } else { stored }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stamp(epoch: u64, seq: u64) -> Stamp {
        Stamp { epoch, seq }
    }

    #[test]
    fn only_a_newer_message_replaces_what_is_held() {
        let held = Some(stamp(5, 10));
        let rows = [
            (None, stamp(0, 0), true),
            (held, stamp(5, 11), true),
            (held, stamp(5, 10), false),
            (held, stamp(5, 9), false),
            (held, stamp(6, 0), true),
            (held, stamp(4, 99), false),
        ];
        for (held, incoming, accepted) in rows {
            assert_eq!(accepts(Guards::ALL, held, incoming), accepted, "{held:?} {incoming:?}");
            assert!(accepts(Guards { compare_sequence: false, ..Guards::ALL }, held, incoming));
        }
    }

    #[test]
    fn a_vote_counts_while_its_session_lives_and_under_its_own_configuration() {
        for (fresh, cast_under, config_gen, counted) in [(true, 3, 3, true), (true, 2, 3, false), (true, 4, 3, false), (false, 3, 3, false)]
        {
            assert_eq!(counts(Guards::ALL, fresh, cast_under, config_gen), counted, "{fresh} {cast_under} {config_gen}");
            assert_eq!(counts(Guards { compare_generation: false, ..Guards::ALL }, fresh, cast_under, config_gen), fresh);
        }
    }

    #[test]
    fn a_round_carries_what_did_not_change() {
        assert!(round_carries(Guards::ALL, false) && round_carries(Guards::ALL, true));
        let sparing = Guards { resend_unchanged: false, ..Guards::ALL };
        assert!(!round_carries(sparing, false) && round_carries(sparing, true));
    }

    #[test]
    fn an_epoch_grows_even_where_the_clock_went_back() {
        assert_eq!(next_epoch(Guards::ALL, 1_000, 5_000), 5_000);
        assert_eq!(next_epoch(Guards::ALL, 5_000, 1_000), 5_001);
        assert_eq!(next_epoch(Guards::ALL, 5_000, 5_000), 5_001);
        assert_eq!(next_epoch(Guards { raise_epoch: false, ..Guards::ALL }, 5_000, 9_000), 5_000);
    }

    proptest! {
        /// Whatever the network duplicates and reorders, the register ends with the newest message.
        #[test]
        fn duplicates_and_reordering_are_harmless(messages in proptest::collection::vec((0..4_u64, 0..4_u64), 1..40)) {
            let mut held = None;
            for (epoch, seq) in &messages {
                let incoming = stamp(*epoch, *seq);
                if accepts(Guards::ALL, held, incoming) {
                    prop_assert!(held < Some(incoming), "never an older one");
                    held = Some(incoming);
                }
            }
            prop_assert_eq!(held, messages.iter().map(|(epoch, seq)| stamp(*epoch, *seq)).max());
        }

        #[test]
        fn an_epoch_is_above_the_stored_one_for_every_clock(stored in 0..u64::MAX, unix_ms: u64) {
            prop_assert!(next_epoch(Guards::ALL, stored, unix_ms) > stored);
        }
    }
}
