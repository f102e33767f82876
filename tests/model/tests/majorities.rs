//! I7, partition safety: taking votes away never turns a verdict, it only leaves none. And a better
//! vote never makes a worse verdict. Every assignment of votes of the small shapes, samples of large ones.

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use quorate_core::electorate::{Electorate, RegionSeats};
use quorate_core::pop::PopNo;
use quorate_core::quorum::{Ballots, Guards, decide};
use quorate_core::region::Region;
use quorate_core::vote::{Verdict, VoteState};

/// Regions × PoPs of each.
const SHAPES: [(usize, usize); 9] = [(1, 1), (1, 3), (1, 5), (2, 1), (2, 2), (2, 3), (3, 3), (4, 2), (5, 2)];
/// Votes from the worst to the best.
const VOTES: [VoteState; 3] = [VoteState::Down, VoteState::Unknown, VoteState::Up];
/// Number of the missing vote among them.
const MISSING: usize = 1;

fn electorate(seats: impl IntoIterator<Item = usize>) -> Electorate {
    let mut numbers = (0..).map(PopNo);
    let regions = Region::ALL.into_iter().zip(seats);
    Electorate::new(regions.map(|(region, seats)| RegionSeats::new(Some(region), numbers.by_ref().take(seats).collect())).collect())
}

/// Verdict on votes given by their number in [`VOTES`].
fn verdict(electorate: &Electorate, votes: impl IntoIterator<Item = usize>) -> Option<Verdict> {
    let mut ballots = Ballots::missing(electorate.seats());
    for (seat, vote) in votes.into_iter().enumerate() {
        ballots.set(seat, VOTES[vote]);
    }
    decide(Guards::ALL, electorate, &ballots)
}

/// Verdicts from the worst to the best.
const fn rank(verdict: Option<Verdict>) -> u8 {
    match verdict {
        Some(Verdict::Down) => 0,
        None => 1,
        Some(Verdict::Up) => 2,
    }
}

/// The verdict on every assignment of votes; the assignment is the index, seat by seat, in base 3.
fn every_verdict(electorate: &Electorate) -> Vec<Option<Verdict>> {
    let seats = u32::try_from(electorate.seats()).expect("ten at most");
    (0..3_usize.pow(seats)).map(|index| verdict(electorate, (0..seats).map(|seat| index / 3_usize.pow(seat) % 3))).collect()
}

#[test]
fn taking_votes_away_never_turns_a_verdict() {
    for (regions, pops) in SHAPES {
        let electorate = electorate(std::iter::repeat_n(pops, regions));
        let verdicts = every_verdict(&electorate);
        let mut pairs = 0_u64;
        for (index, before) in verdicts.iter().enumerate() {
            for_every_removal(index, electorate.seats(), &mut |fewer| {
                let after = verdicts[fewer];
                assert!(after.is_none() || after == *before, "{regions} x {pops}: {before:?} of {index} became {after:?} of {fewer}");
                pairs += 1;
            });
        }
        println!("{regions} x {pops}: {} assignments, {pairs} with votes taken away", verdicts.len());
    }
}

/// Calls `look` for every assignment that comes from this one by taking some votes of the next `seats` seats away, or none.
fn for_every_removal(index: usize, seats: usize, look: &mut impl FnMut(usize)) {
    let Some(seat) = seats.checked_sub(1) else { return look(index) };
    for_every_removal(index, seat, look);
    let place = 3_usize.pow(u32::try_from(seat).expect("ten at most"));
    let vote = index / place % 3;
    if vote != MISSING {
        for_every_removal(index - vote * place + MISSING * place, seat, look);
    }
}

#[test]
fn a_better_vote_never_makes_a_worse_verdict() {
    for (regions, pops) in SHAPES {
        let electorate = electorate(std::iter::repeat_n(pops, regions));
        let verdicts = every_verdict(&electorate);
        let places: Vec<usize> = (0..electorate.seats()).map(|seat| 3_usize.pow(u32::try_from(seat).expect("ten at most"))).collect();
        for (index, before) in verdicts.iter().enumerate() {
            // One step up the order of votes; Down to Up is two of them.
            for place in places.iter().filter(|place| index / **place % 3 < 2) {
                let after = verdicts[index + place];
                assert!(rank(after) >= rank(*before), "{regions} x {pops}: {before:?} of {index} became {after:?}");
            }
        }
        println!("{regions} x {pops}: {} assignments", verdicts.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn large_electorates_keep_both(
        shape in proptest::collection::vec(0..40_usize, 1..=13),
        votes in proptest::collection::vec(0..3_usize, 13 * 40),
        taken in proptest::collection::vec(any::<bool>(), 13 * 40),
    ) {
        let electorate = electorate(shape);
        let votes = &votes[..electorate.seats()];
        let before = verdict(&electorate, votes.iter().copied());
        let fewer = votes.iter().zip(&taken).map(|(vote, taken)| if *taken { MISSING } else { *vote });
        let after = verdict(&electorate, fewer);
        prop_assert!(after.is_none() || after == before);
        let better = votes.iter().zip(&taken).map(|(vote, raised)| (vote + usize::from(*raised)).min(2));
        prop_assert!(rank(verdict(&electorate, better)) >= rank(before));
    }
}
