use proptest::prelude::*;

use super::*;
use crate::electorate::RegionSeats;
use crate::pop::PopNo;
use crate::region::Region;

const VOTES: [VoteState; 3] = [VoteState::Unknown, VoteState::Up, VoteState::Down];

/// Seats of each region; small enough to try every assignment of votes.
const SHAPES: [&[usize]; 12] = [&[], &[0], &[1], &[3], &[5], &[2, 2], &[1, 3], &[3, 3], &[3, 0], &[1, 0, 3], &[1, 2, 3], &[2, 2, 2]];

fn electorate(shape: &[usize]) -> Electorate {
    let mut next = 0..;
    let regions = shape.iter().zip(Region::ALL);
    Electorate::new(
        regions.map(|(seats, region)| RegionSeats::new(Some(region), next.by_ref().take(*seats).map(PopNo).collect())).collect(),
    )
}

fn ballots(votes: &[VoteState]) -> Ballots {
    let mut ballots = Ballots::missing(votes.len());
    for (seat, vote) in votes.iter().enumerate() {
        ballots.set(seat, *vote);
    }
    ballots
}

/// Every assignment of `choices` to `seats` seats.
fn every(choices: &[VoteState], seats: usize) -> impl Iterator<Item = Vec<VoteState>> {
    let base = choices.len();
    (0..base.pow(u32::try_from(seats).expect("a few seats"))).map(move |mut number| {
        (0..seats)
            .map(|_| {
                let vote = choices[number % base];
                number /= base;
                vote
            })
            .collect()
    })
}

/// The rule of the design, said once more in the plainest words.
fn plainly(shape: &[usize], votes: &[VoteState]) -> Option<Verdict> {
    let mut from = 0;
    let verdicts: Vec<Option<Verdict>> = shape
        .iter()
        .map(|seats| {
            let region = &votes[from..from + seats];
            from += seats;
            more_than_half(region.iter().map(|vote| match vote {
                VoteState::Up => Some(Verdict::Up),
                VoteState::Down => Some(Verdict::Down),
                VoteState::Unknown | VoteState::ConfigError => None,
            }))
        })
        .collect();
    more_than_half(verdicts.into_iter())
}

fn more_than_half(votes: impl ExactSizeIterator<Item = Option<Verdict>>) -> Option<Verdict> {
    let all = votes.len();
    let votes: Vec<Verdict> = votes.flatten().collect();
    [Verdict::Up, Verdict::Down].into_iter().find(|side| votes.iter().filter(|vote| *vote == side).count() * 2 > all)
}

#[test]
fn the_verdict_is_the_majority_of_the_majorities() {
    for shape in SHAPES {
        let electorate = electorate(shape);
        for votes in every(&VOTES, electorate.seats()) {
            let ballots = ballots(&votes);
            let expected = plainly(shape, &votes);
            assert_eq!(decide(Guards::ALL, &electorate, &ballots), expected, "{shape:?} {votes:?}");
            assert_eq!(decide_one_by_one(Guards::ALL, &electorate, &ballots), expected, "{shape:?} {votes:?}");
            assert_eq!(tally(&electorate, &ballots).verdict, expected, "{shape:?} {votes:?}");
        }
    }
}

#[test]
fn quorum_is_lost_when_nothing_that_the_present_could_say_would_decide() {
    for shape in SHAPES {
        let electorate = electorate(shape);
        for votes in every(&VOTES, electorate.seats()) {
            let present: Vec<usize> = (0..votes.len()).filter(|seat| votes[*seat] != VoteState::Unknown).collect();
            let could_decide = every(&VOTES[1..], present.len()).any(|said| {
                let mut other = votes.clone();
                for (seat, vote) in present.iter().zip(said) {
                    other[*seat] = vote;
                }
                plainly(shape, &other).is_some()
            });
            assert_eq!(tally(&electorate, &ballots(&votes)).quorum_lost(), !could_decide, "{shape:?} {votes:?}");
        }
    }
}

/// Fewest seats that must change to `to`, and fewest regions, by trying every set of seats.
fn cheapest(shape: &[usize], votes: &[VoteState], to: Verdict) -> Option<(u32, u32)> {
    let turned = VoteState::from(to);
    let region_of: Vec<usize> = shape.iter().enumerate().flat_map(|(region, seats)| std::iter::repeat_n(region, *seats)).collect();
    let stay_or_turn = [VoteState::Unknown, turned];
    let sets = every(&stay_or_turn, votes.len()).filter_map(|change| {
        let turns = |seat: &usize| change[*seat] == turned && votes[*seat] != turned;
        let changed: Vec<usize> = (0..votes.len()).filter(turns).collect();
        let mut after = votes.to_vec();
        for seat in &changed {
            after[*seat] = turned;
        }
        let mut regions: Vec<usize> = changed.iter().map(|seat| region_of[*seat]).collect();
        regions.dedup();
        (plainly(shape, &after) == Some(to)).then_some((changed.len(), regions.len()))
    });
    let sets: Vec<(usize, usize)> = sets.collect();
    let least = |numbers: Vec<usize>| numbers.into_iter().min().map(|least| u32::try_from(least).expect("a few seats"));
    Some((least(sets.iter().map(|set| set.0).collect())?, least(sets.iter().map(|set| set.1).collect())?))
}

#[test]
fn no_smaller_set_of_votes_or_regions_than_told_turns_the_verdict() {
    for shape in SHAPES {
        let electorate = electorate(shape);
        for votes in every(&VOTES, electorate.seats()) {
            let tally = tally(&electorate, &ballots(&votes));
            let told = |published| tally.flip(published).map(|flip| (flip.to, flip.votes, flip.regions));
            let found = |to| cheapest(shape, &votes, to).map(|(votes, regions)| (to, votes, regions));
            let (up, down) = (found(Verdict::Up), found(Verdict::Down));
            assert_eq!(told(Published::Up), down, "{shape:?} {votes:?}");
            assert_eq!(told(Published::Down), up, "{shape:?} {votes:?}");
            let either = [up, down].into_iter().flatten().min_by_key(|(_, votes, _)| *votes);
            assert_eq!(told(Published::Unknown), either, "{shape:?} {votes:?}");
        }
    }
}

#[test]
fn figures_that_the_documentation_quotes_hold() {
    let check = |shape: &[usize], votes_to_flip, regions| {
        let electorate = electorate(shape);
        let all_up = ballots(&vec![VoteState::Up; electorate.seats()]);
        let flip = tally(&electorate, &all_up).flip(Published::Up).expect("every region has workers");
        assert_eq!((flip.votes, flip.regions), (votes_to_flip, regions), "{shape:?}");
    };
    check(&[3; 13], 14, 7);
    check(&[3; 3], 4, 2);
    check(&[23; 13], 84, 7);
    check(&[3; 2], 4, 2);
    check(&[39], 20, 1);
}

#[test]
fn a_received_majority_decides_only_without_the_guard() {
    let electorate = electorate(&[3]);
    let one_down = ballots(&[VoteState::Down, VoteState::Unknown, VoteState::Unknown]);
    assert_eq!(decide(Guards::ALL, &electorate, &one_down), None);
    let of_received = Guards { majority_of_assigned: false, ..Guards::ALL };
    assert_eq!(decide(of_received, &electorate, &one_down), Some(Verdict::Down));
}

#[test]
fn a_verdict_is_published_by_the_owner_under_its_configuration_and_only_as_a_change() {
    let mine = Fence { epoch: 4, config_seq: 9 };
    let check = |stored, published, verdict, may| {
        assert_eq!(may_commit(Guards::ALL, mine, stored, published, verdict), may, "{stored:?} {published:?} {verdict:?}");
    };
    for verdict in [Verdict::Up, Verdict::Down] {
        let same = Published::from(verdict);
        for published in [Published::Unknown, Published::Up, Published::Down] {
            check(mine, published, verdict, published != same);
            for stored in [
                Fence { epoch: 5, ..mine },
                Fence { epoch: 3, ..mine },
                Fence { config_seq: 10, ..mine },
                Fence { config_seq: 8, ..mine },
                Fence { epoch: 5, config_seq: 10 },
            ] {
                check(stored, published, verdict, false);
            }
        }
    }
    let stale = Fence { epoch: 5, config_seq: 10 };
    let without = |guards| may_commit(guards, mine, stale, Published::Up, Verdict::Up);
    assert!(!without(Guards { fence_epoch: false, fence_config: false, ..Guards::ALL }));
    assert!(!without(Guards { fence_epoch: false, only_changes: false, ..Guards::ALL }));
    assert!(!without(Guards { fence_config: false, only_changes: false, ..Guards::ALL }));
    assert!(without(Guards { fence_epoch: false, fence_config: false, only_changes: false, ..Guards::ALL }));
}

proptest! {
    /// Seats past the first word of bits, and regions that straddle two words.
    #[test]
    fn large_electorates_are_counted_seat_by_seat(
        shape in proptest::collection::vec(0..80_usize, 1..6),
        seed in proptest::collection::vec(0..4_u8, 400),
    ) {
        let electorate = electorate(&shape);
        let votes: Vec<VoteState> = seed[..electorate.seats()].iter().map(|bits| VoteState::from_bits(*bits)).collect();
        let ballots = ballots(&votes);
        let tally = tally(&electorate, &ballots);
        let mut from = 0;
        for (seats, counted) in shape.iter().zip(&tally.regions) {
            let of = |state| u32::try_from(votes[from..from + seats].iter().filter(|vote| **vote == state).count()).expect("a few seats");
            let (up, down) = (of(VoteState::Up), of(VoteState::Down));
            prop_assert_eq!((counted.assigned as usize, counted.up, counted.down), (*seats, up, down));
            prop_assert_eq!(counted.missing(), of(VoteState::Unknown) + of(VoteState::ConfigError));
            from += seats;
        }
        prop_assert_eq!(tally.verdict, plainly(&shape, &votes));
        prop_assert_eq!(decide(Guards::ALL, &electorate, &ballots), tally.verdict);
    }

    /// The shapes of production, in which all regions are counted at once, up to the last of 64 seats.
    #[test]
    fn regions_of_none_one_and_three_are_counted_at_once(
        kinds in proptest::collection::vec(0..3_usize, 1..30),
        seed in proptest::collection::vec(0..4_u8, 90),
    ) {
        let shape: Vec<usize> = kinds.iter().map(|kind| [0, 1, 3][*kind]).collect();
        let electorate = Electorate::new(shape.iter().map(|seats| RegionSeats::new(None, vec![PopNo(0); *seats])).collect());
        prop_assert_eq!(electorate.small_regions().is_some(), electorate.seats() <= 64);
        let votes: Vec<VoteState> = seed[..electorate.seats()].iter().map(|bits| VoteState::from_bits(*bits)).collect();
        let ballots = ballots(&votes);
        let verdict = decide(Guards::ALL, &electorate, &ballots);
        prop_assert_eq!(verdict, plainly(&shape, &votes));
        prop_assert_eq!(verdict, decide_one_by_one(Guards::ALL, &electorate, &ballots));
    }

    #[test]
    fn the_last_word_of_a_seat_is_its_vote(writes in proptest::collection::vec((0..130_usize, 0..4_u8), 0..200)) {
        let mut ballots = Ballots::missing(130);
        let mut last = [VoteState::Unknown; 130];
        for (seat, bits) in writes {
            ballots.set(seat, VoteState::from_bits(bits));
            last[seat] = VoteState::from_bits(bits);
        }
        let expected = self::ballots(&last);
        prop_assert_eq!(ballots, expected);
    }
}
