use quorate_core::bucket::Bucket;
use quorate_core::evidence::Ballot;
use quorate_core::failure::FailureReason;
use quorate_core::region::Region;

use super::*;
use crate::bucket::Board;
use crate::plan::Plan;
use crate::probed::{Probed, said};
use crate::sample::{bucket_config, pool, pop, with_origins};
use VoteState::{Down, Unknown, Up};

const LHR: PopNo = PopNo(1);
const OWNER: Role = Role::Owner { epoch: 1 };

fn bucket() -> Bucket {
    Bucket::new(7).unwrap()
}

fn at(seq: u64) -> Stamp {
    Stamp { epoch: 5, seq }
}

fn plan(config_seq: u64, gens: &[u64], old: Option<&Plan>) -> Plan {
    let mut config = bucket_config(config_seq, vec![pool(1, &["WEU"], &with_origins(gens.len()))]);
    config.seats = vec![(Region::Weu, vec![LHR])];
    for (origin, generation) in config.pools[0].pool.origins.iter_mut().zip(gens) {
        origin.config_gen = *generation;
    }
    Plan::new(config, &[pop(1, Region::Weu)], old)
}

/// A slot of three checks under version 4, whose manifest the PoP has.
fn slot(board: &Board) -> std::sync::MutexGuard<'_, Slot> {
    let mut slot = board.lock(bucket());
    slot.take_role(OWNER);
    slot.install(plan(4, &[1, 1, 1], None));
    slot.manifest(LHR).expect("served");
    slot
}

fn chunk(version: u64, states: &[VoteState]) -> Chunk {
    Chunk::pack(bucket(), version, states.iter().copied())
}

fn change(version: u64, position: u32, state: VoteState) -> Change {
    let reason = (state == VoteState::Down).then_some(FailureReason::TcpTimeout);
    Change { bucket: bucket(), manifest_version: version, position, detail: Detail { state, reason, response_code: None, rtt_us: Some(9) } }
}

/// `u`, `d`, `?` by check; `-` where there is no vote. Upper case: with its detail.
fn held(slot: &Slot) -> String {
    let letter = |vote: &Option<Vote>| match vote {
        None => '-',
        Some(vote) => {
            let letter = match vote.state {
                VoteState::Up => 'u',
                VoteState::Down => 'd',
                VoteState::Unknown => '?',
                VoteState::ConfigError => 'c',
            };
            if vote.detail.is_some() { letter.to_ascii_uppercase() } else { letter }
        }
    };
    slot.pops[&LHR].votes.iter().map(letter).collect()
}

#[test]
fn a_round_is_the_whole_state_and_a_delta_one_change_with_its_detail() {
    let board = Board::new();
    let mut slot = slot(&board);
    assert_eq!(slot.take_chunk(LHR, at(1), &chunk(4, &[Up, Down, Unknown]), 0), Taken::Kept { changed: true });
    assert_eq!(held(&slot), "ud?");
    assert_eq!(slot.take_delta(LHR, at(2), &[change(4, 0, Down)], 0), Taken::Kept { changed: true });
    assert_eq!(held(&slot), "Dd?");
    // The next round says the same: nothing changed, and the detail of that state is still good.
    assert_eq!(slot.take_chunk(LHR, at(3), &chunk(4, &[Down, Down, Unknown]), 0), Taken::Kept { changed: false });
    assert_eq!(held(&slot), "Dd?");
    // A new state has no detail yet.
    assert_eq!(slot.take_chunk(LHR, at(4), &chunk(4, &[Up, Down, Unknown]), 0), Taken::Kept { changed: true });
    assert_eq!(held(&slot), "ud?");
}

#[test]
fn what_is_older_than_what_is_held_is_refused() {
    let board = Board::new();
    let mut slot = slot(&board);
    slot.take_chunk(LHR, at(5), &chunk(4, &[Up, Up, Up]), 0);
    assert_eq!(slot.take_chunk(LHR, at(4), &chunk(4, &[Down, Down, Down]), 0), Taken::Old);
    assert_eq!(slot.take_chunk(LHR, at(5), &chunk(4, &[Down, Down, Down]), 0), Taken::Old, "a duplicate");
    assert_eq!(slot.take_delta(LHR, Stamp { epoch: 4, seq: 99 }, &[change(4, 0, Down)], 0), Taken::Old, "an older session");
    assert_eq!(held(&slot), "uuu");
    assert_eq!(slot.take_chunk(LHR, Stamp { epoch: 6, seq: 1 }, &chunk(4, &[Down, Up, Up]), 0), Taken::Kept { changed: true });
    assert_eq!(held(&slot), "duu");
}

#[test]
fn a_window_adds_detail_and_changes_no_vote() {
    let board = Board::new();
    let mut slot = slot(&board);
    let window = |from, states: &[VoteState]| Window {
        bucket: bucket(),
        manifest_version: 4,
        from,
        details: states.iter().map(|state| change(4, 0, *state).detail).collect(),
    };
    assert_eq!(slot.take_window(LHR, at(1), &window(0, &[Up])), Taken::Old, "of no known state");
    slot.take_chunk(LHR, at(1), &chunk(4, &[Up, Down, Down]), 0);
    assert_eq!(slot.take_window(LHR, at(1), &window(1, &[Down, Up])), Taken::Kept { changed: false });
    assert_eq!(held(&slot), "uDd");
    assert_eq!(slot.take_window(LHR, at(1), &window(2, &[Down, Down])), Taken::Malformed, "beyond the manifest");
}

#[test]
fn votes_of_an_older_version_are_translated_and_those_of_an_older_generation_do_not_count() {
    let board = Board::new();
    let mut slot = slot(&board);
    slot.take_chunk(LHR, at(1), &chunk(4, &[Up, Up, Up]), 0);
    // Check 0 is removed, check 1 gets a new generation.
    let mut next = bucket_config(5, vec![pool(1, &["WEU"], &with_origins(3))]);
    next.seats = vec![(Region::Weu, vec![LHR])];
    next.pools[0].pool.origins[1].config_gen = 2;
    next.pools[0].pool.origins.remove(0);
    next.pools[0].checks.remove(0);
    let next = Plan::new(next, &[pop(1, Region::Weu)], slot.plan.as_ref());
    slot.install(next);
    assert_eq!(held(&slot), "-u", "the vote under the old generation is missing, the other stays");
    assert_eq!(slot.take_chunk(LHR, at(2), &chunk(5, &[Up, Up]), 0), Taken::UnknownVersion, "not given to it by us yet");
    slot.manifest(LHR).expect("served");
    // The worker has not learned of version 5 yet.
    assert_eq!(slot.take_chunk(LHR, at(3), &chunk(4, &[Down, Down, Down]), 0), Taken::Kept { changed: true });
    let votes = &slot.pops[&LHR].votes;
    assert_eq!(votes[1].map(|vote| (vote.state, vote.cast_under)), Some((Down, 1)));
    assert_eq!(votes[0].map(|vote| (vote.state, vote.cast_under)), Some((Down, 1)), "kept as what it is: cast under generation 1");
    let plan = slot.plan.as_ref().unwrap();
    let seated = slot.seated(&plan.pools[0], |_, _| true);
    let cast = |place| said(plan, &seated, &Probed::Alone(place), 0).ballots[0] != Ballot::Missing;
    assert_eq!([0, 1].map(|place| plan.checks[place].check.config_gen), [2, 1]);
    assert!(cast(1) && !cast(0), "and so it counts only where the generation is the same");
}

#[test]
fn what_cannot_be_understood_changes_nothing() {
    let board = Board::new();
    let mut slot = slot(&board);
    assert_eq!(slot.take_chunk(LHR, at(1), &chunk(3, &[Up]), 0), Taken::UnknownVersion);
    assert_eq!(slot.take_chunk(LHR, at(1), &chunk(9, &[Up]), 0), Taken::Ahead);
    assert_eq!(slot.take_chunk(LHR, at(1), &chunk(4, &[Up; 9]), 0), Taken::Malformed, "of another size");
    assert_eq!(slot.take_delta(LHR, at(1), &[change(4, 0, Up), change(4, 3, Up)], 0), Taken::Malformed);
    assert_eq!(slot.take_chunk(PopNo(2), at(1), &chunk(4, &[Up, Up, Up]), 0), Taken::UnknownVersion, "it was given no manifest");
    assert_eq!(held(&slot), "---");
    slot.take_role(Role::Absent);
    assert_eq!(slot.take_chunk(LHR, at(1), &chunk(4, &[Up, Up, Up]), 0), Taken::NotServed);
}

#[test]
fn a_pop_that_loses_its_seat_comes_back_without_its_old_votes() {
    let board = Board::new();
    let mut slot = slot(&board);
    slot.take_chunk(LHR, at(1), &chunk(4, &[Up, Up, Up]), 0);
    let pops = [pop(1, Region::Weu), pop(2, Region::Weu)];
    slot.seat(vec![(Region::Weu, vec![PopNo(2)])], 5, &pops);
    assert_eq!(held(&slot), "---");
    assert_eq!(slot.take_chunk(LHR, at(2), &chunk(4, &[Up, Up, Up]), 0), Taken::Kept { changed: false }, "not asked any more");
    slot.seat(vec![(Region::Weu, vec![LHR])], 6, &pops);
    assert_eq!(held(&slot), "---");
    slot.manifest(LHR);
    slot.take_chunk(LHR, at(3), &chunk(6, &[Up, Up, Up]), 0);
    assert_eq!(held(&slot), "uuu");
    // The same by a configuration that does not ask its region any more, and then asks it again.
    for (config_seq, region, votes) in [(7, "OC", "---"), (8, "WEU", "---")] {
        let mut config = bucket_config(config_seq, vec![pool(1, &[region], &with_origins(3))]);
        config.seats = vec![(Region::Weu, vec![LHR])];
        let plan = Plan::new(config, &pops, slot.plan.as_ref());
        slot.install(plan);
        assert_eq!(held(&slot), votes, "{region}");
    }
}

#[test]
fn who_becomes_the_owner_loads_before_it_decides() {
    let board = Board::new();
    let mut slot = board.lock(bucket());
    slot.take_role(Role::Standby);
    slot.install(plan(4, &[1], None));
    assert_eq!(slot.deciding(), None);
    slot.take_role(OWNER);
    assert_eq!(slot.deciding(), None, "others published meanwhile");
    let again = plan(4, &[1], slot.plan.as_ref());
    slot.install(again);
    assert_eq!(slot.deciding(), Some(1));
    slot.take_role(Role::Owner { epoch: 3 });
    assert_eq!(slot.deciding(), None, "another epoch: somebody else was in between");
}
