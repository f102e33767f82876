use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn pop(no: u16, region: Region) -> Pop {
    Pop { no: PopNo(no), code: format!("pop-{no}").parse().expect("a code"), region, city: format!("City {no}"), country: "GB".to_owned() }
}

fn weu(numbers: &[u16]) -> Vec<Pop> {
    numbers.iter().map(|no| pop(*no, Region::Weu)).collect()
}

fn bucket(number: u16) -> Bucket {
    Bucket::new(number).expect("below 1024")
}

/// Seats Western Europe: who is registered, who of them is dead, who sat there before.
fn seated(registered: &[u16], dead: &[u16], held: &[u16]) -> Vec<u16> {
    let held: Vec<PopNo> = held.iter().copied().map(PopNo).collect();
    let seats = seat_region(bucket(7), Region::Weu, &weu(registered), |no| dead.contains(&no.0), &held);
    seats.into_iter().map(|no| no.0).collect()
}

#[test]
fn three_sit_where_three_are_registered_and_one_where_fewer_are() {
    for (registered, seats) in [(0, 0), (1, 1), (2, 1), (3, 3), (4, 3), (20, 3)] {
        let registered: Vec<u16> = (1..=registered).collect();
        assert_eq!(seated(&registered, &[], &[]).len(), seats, "{registered:?}");
        assert_eq!(seated(&registered, &registered, &[]).len(), seats, "{registered:?}, all dead");
    }
}

#[test]
fn a_holder_keeps_its_seat_while_it_lives() {
    assert_eq!(seated(&[1, 2, 3, 4, 5, 6], &[], &[2, 4, 6]), [2, 4, 6]);
    assert_eq!(seated(&[1, 2, 3, 4, 5, 6], &[1, 3, 5], &[2, 4, 6]), [2, 4, 6]);
}

#[test]
fn a_seat_moves_only_from_the_dead_or_gone_to_the_living() {
    // One dead, one live spare.
    assert_eq!(seated(&[1, 2, 3, 4], &[2], &[1, 2, 3]), [1, 3, 4]);
    // One dead, but so is the spare: nothing moves.
    assert_eq!(seated(&[1, 2, 3, 4], &[2, 4], &[1, 2, 3]), [1, 2, 3]);
    // All dead: nothing moves.
    assert_eq!(seated(&[1, 2, 3, 4], &[1, 2, 3, 4], &[1, 2, 3]), [1, 2, 3]);
    // A token was revoked: the seat moves, to a dead one where there is no other.
    assert_eq!(seated(&[1, 3, 4], &[4], &[1, 2, 3]), [1, 3, 4]);
    // Two dead, one spare: which of the dead gives way does not matter, that one does.
    let seats = seated(&[1, 2, 3, 4], &[1, 2], &[1, 2, 3]);
    assert!(seats.contains(&3) && seats.contains(&4) && seats.len() == 3, "{seats:?}");
    // Two registered have one seat; it moves to the other only when its holder is dead.
    assert_eq!(seated(&[1, 2], &[], &[2]), [2]);
    assert_eq!(seated(&[1, 2], &[2], &[2]), [1]);
}

#[test]
fn a_pop_held_twice_or_of_another_region_sits_once_or_not_at_all() {
    assert_eq!(seated(&[1, 2, 3], &[], &[1, 1, 2]), [1, 2, 3]);
    let mut registered = weu(&[1, 2, 3]);
    registered.push(pop(9, Region::Enam));
    assert_eq!(seat_region(bucket(7), Region::Weu, &registered, |_| false, &[PopNo(9)]), [PopNo(1), PopNo(2), PopNo(3)]);
    assert_eq!(seat_region(bucket(7), Region::Oc, &registered, |_| false, &[]), []);
}

#[test]
fn the_hash_spreads_the_seats_and_stays_as_it_is() {
    let registered = weu(&(1..=9).collect::<Vec<_>>());
    let mut seats_of = [0; 10];
    for bucket in Bucket::all() {
        for no in seat_region(bucket, Region::Weu, &registered, |_| false, &[]) {
            seats_of[usize::from(no.0)] += 1;
        }
    }
    // 1024 × 3 seats over 9 PoPs: 341 each, give or take.
    assert!(seats_of[1..].iter().all(|seats| (290..395).contains(seats)), "{seats_of:?}");
    // Another version of this program must seat the same PoPs, or an upgrade would move every vote.
    let first: Vec<Vec<PopNo>> =
        Bucket::all().take(4).map(|bucket| seat_region(bucket, Region::Weu, &registered, |_| false, &[])).collect();
    let golden: [[u16; 3]; 4] = [[2, 5, 9], [2, 3, 6], [2, 5, 6], [2, 6, 9]];
    assert_eq!(first, golden.map(|seats| seats.map(PopNo).to_vec()));
}

#[test]
fn null_is_one_list_of_all_pops_and_regions_stay_apart() {
    let registered = [pop(3, Region::Weu), pop(1, Region::Enam), pop(2, Region::Weu)];
    let seats_of = |region| match region {
        Region::Weu => vec![PopNo(2)],
        Region::Enam => vec![PopNo(1)],
        _ => Vec::new(),
    };
    let all = electorate(&CheckRegions::AllPops, &registered, seats_of);
    assert_eq!(all.regions(), [RegionSeats::new(None, vec![PopNo(1), PopNo(2), PopNo(3)])]);
    let chosen = electorate(&CheckRegions::Regions(vec![Region::Enam, Region::Weu, Region::Oc]), &registered, seats_of);
    let seats: Vec<(Option<Region>, usize)> = chosen.regions().iter().map(|region| (region.region(), region.seats().len())).collect();
    // Oceania has no workers and still counts among the regions.
    assert_eq!(seats, [(Some(Region::Enam), 1), (Some(Region::Weu), 1), (Some(Region::Oc), 0)]);
    assert_eq!((chosen.seats(), chosen.seat_of(PopNo(1)), chosen.seat_of(PopNo(2)), chosen.seat_of(PopNo(3))), (2, Some(0), Some(1), None));
}

#[test]
fn an_electorate_reads_back_as_it_was_written() {
    let electorate =
        Electorate::new(vec![RegionSeats::new(Some(Region::Weu), vec![PopNo(1), PopNo(2), PopNo(3)]), RegionSeats::new(None, vec![])]);
    let text = r#"{"regions":[{"region":"WEU","seats":[1,2,3]},{"region":null,"seats":[]}]}"#;
    assert_eq!(serde_json::to_string(&electorate).expect("plain data"), text);
    assert_eq!(serde_json::from_str::<Electorate>(text).expect("an electorate"), electorate);
    assert_eq!(Electorate::default(), Electorate::new(Vec::new()));
}

proptest! {
    #[test]
    fn silence_never_shrinks_an_electorate_and_moves_as_few_seats_as_it_can(
        registered in proptest::collection::btree_set(0..12_u16, 0..10),
        dead in proptest::collection::btree_set(0..12_u16, 0..10),
        before in proptest::collection::btree_set(0..12_u16, 0..10),
        number in 0..crate::bucket::BUCKETS,
    ) {
        let pops = weu(&registered.iter().copied().collect::<Vec<_>>());
        let is_dead = |no: PopNo| dead.contains(&no.0);
        let earlier = weu(&before.iter().copied().collect::<Vec<_>>());
        let held = seat_region(bucket(number), Region::Weu, &earlier, |_| false, &[]);
        let seats = seat_region(bucket(number), Region::Weu, &pops, is_dead, &held);

        prop_assert_eq!(seats.len(), match registered.len() { 0 => 0, 1 | 2 => 1, _ => 3 });
        let sitting: BTreeSet<PopNo> = seats.iter().copied().collect();
        prop_assert_eq!(sitting.len(), seats.len(), "nobody sits twice");
        prop_assert!(seats.iter().all(|no| registered.contains(&no.0)));
        // No dead PoP sits while a live one stands.
        let live_outside = registered.iter().any(|no| !dead.contains(no) && !sitting.contains(&PopNo(*no)));
        prop_assert!(!live_outside || seats.iter().all(|no| !is_dead(*no)));
        // A live registered holder stands up only where there are fewer seats than such holders.
        let live_holders = held.iter().filter(|no| registered.contains(&no.0) && !is_dead(**no)).count();
        let stayed = seats.iter().filter(|no| held.contains(no) && !is_dead(**no)).count();
        prop_assert_eq!(stayed, live_holders.min(seats.len()));
        // Seating again changes nothing, whatever the order in which the PoPs are listed.
        let reversed: Vec<Pop> = pops.iter().rev().cloned().collect();
        prop_assert_eq!(&seat_region(bucket(number), Region::Weu, &reversed, is_dead, &seats), &seats);
    }
}
