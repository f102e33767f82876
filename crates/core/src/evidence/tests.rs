use proptest::prelude::*;

use super::*;
use crate::ids::MonitorId;
use crate::monitor_group::Voice;
use crate::region::Region;

const WEU: Option<Region> = Some(Region::Weu);
const ENAM: Option<Region> = Some(Region::Enam);
const SEAS: Option<Region> = Some(Region::Seas);

/// `U` up, `D` down, `?` unknown, `!` config error, `.` missing; capitals with detail, `u` and `d` without.
fn ballot(letter: char) -> Ballot {
    let cast = |state, detail| Ballot::Cast { state, detail, age_ms: 1_500 };
    let detail = |reason, response_code| Some(BallotDetail { reason, response_code, rtt_us: Some(12_134) });
    match letter {
        'U' => cast(VoteState::Up, detail(None, Some(200))),
        'u' => cast(VoteState::Up, None),
        'D' => cast(VoteState::Down, detail(Some(FailureReason::ResponseCodeMismatch), Some(503))),
        'T' => cast(VoteState::Down, detail(Some(FailureReason::TcpTimeout), None)),
        'd' => cast(VoteState::Down, None),
        '?' => cast(VoteState::Unknown, None),
        '!' => cast(VoteState::ConfigError, None),
        '.' => Ballot::Missing,
        other => panic!("no ballot is written {other}"),
    }
}

fn ballots_of(script: &str) -> Vec<Ballot> {
    script.chars().filter(|letter| *letter != ' ').map(ballot).collect()
}

/// Regions in the order of the words of `script`, one seat a letter, PoPs numbered from 0; `-` is a region without workers.
fn electorate_of(regions: &[Option<Region>], script: &str) -> Electorate {
    let mut next = 0..;
    let seats = |word: &str| word.chars().filter(|letter| *letter != '-').zip(&mut next).map(|(_, no)| PopNo(no)).collect();
    Electorate::new(
        regions.iter().copied().zip(script.split(' ').map(seats)).map(|(region, seats)| RegionSeats::new(region, seats)).collect(),
    )
}

fn explained(published: Published, regions: &[Option<Region>], script: &str) -> Evidence {
    let cities = [("lhr", "London"), ("ams", "Amsterdam"), ("cdg", "Paris")];
    let pops: Vec<Pop> = (0..)
        .zip(cities)
        .map(|(no, (code, city))| Pop {
            no: PopNo(no),
            code: code.parse().expect("a code"),
            region: Region::Weu,
            city: city.to_owned(),
            country: "GB".to_owned(),
        })
        .collect();
    let ballots: Vec<Ballot> = script.chars().filter(|letter| !" -".contains(*letter)).map(ballot).collect();
    explain(published, &electorate_of(regions, script), &ballots, |no| pops.iter().find(|pop| pop.no == no))
}

#[test]
fn the_summary_tells_who_says_what_and_what_would_turn_it() {
    let check = |published, regions: &[Option<Region>], script, summary| {
        assert_eq!(explained(published, regions, script).summary, summary, "{published:?} {script}");
    };
    let three = [WEU, ENAM, SEAS];
    check(Published::Up, &three, "UUU UUU UUU", "Up: 3 of 3 regions say up; 4 votes in 2 regions would turn it down.");
    check(Published::Up, &three, "UUU DDD UUU", "Up: 2 of 3 regions say up, 1 says down; 2 votes in 1 region would turn it down.");
    check(Published::Up, &three, "UUD DDD UUU", "Up: 2 of 3 regions say up, 1 says down; 1 vote in 1 region would turn it down.");
    check(Published::Down, &three, "DDD DDD UUU", "Down: 2 of 3 regions say down, 1 says up; 2 votes in 1 region would turn it up.");
    check(Published::Up, &three, "DDD DDD UUU", "Up: 1 of 3 regions says up, 2 say down; the majority now says down.");
    check(Published::Up, &three, "UUU ... UUU", "Up: 2 of 3 regions say up, 1 is undecided; 4 votes in 2 regions would turn it down.");
    check(
        Published::Up,
        &three,
        "UUU ... DDD",
        "Up: 1 of 3 regions says up, 1 says down, 1 is undecided; no majority, so the verdict stays; 2 votes in 1 region would turn it down.",
    );
    check(
        Published::Up,
        &three,
        "UUU ... ...",
        "Up: 1 of 3 regions says up, 2 are undecided; quorum is lost, 6 of 9 votes missing, so the verdict stays.",
    );
    check(
        Published::Unknown,
        &three,
        "UUU ... ...",
        "Unknown: 1 of 3 regions says up, 2 are undecided; quorum is lost, 6 of 9 votes missing, so there is no verdict yet.",
    );
    check(
        Published::Unknown,
        &three,
        "UUU DDD U.D",
        "Unknown: 1 of 3 regions says up, 1 says down, 1 is undecided; no majority, so there is no verdict yet; 1 vote in 1 region would turn it up.",
    );
    check(Published::Up, &three, "UUU UUU -", "Up: 2 of 3 regions say up, 1 has no workers; 4 votes in 2 regions would turn it down.");
    check(
        Published::Up,
        &three,
        "UUU - -",
        "Up: 1 of 3 regions says up, 2 have no workers; quorum is lost for want of workers, so the verdict stays.",
    );
    check(
        Published::Up,
        &[WEU, ENAM],
        "UUU DDD",
        "Up: 1 of 2 regions says up, 1 says down; no majority, so the verdict stays; 2 votes in 1 region would turn it down.",
    );
    check(Published::Up, &[WEU], "UU.", "Up: 1 of 1 region says up; 2 votes in 1 region would turn it down.");
    check(Published::Up, &[None], "UUU.", "Up: 3 of 4 PoPs say up, 1 has no vote; 3 votes would turn it down.");
    check(Published::Unknown, &[None], "-", "Unknown: no PoP votes; quorum is lost for want of workers, so there is no verdict yet.");
}

#[test]
fn three_regions_of_three_with_one_down_flip_by_two_votes_in_one_region() {
    let evidence = explained(Published::Up, &[WEU, ENAM, SEAS], "UUU DDD UUU");
    assert_eq!((evidence.votes_to_flip, evidence.regions_to_flip), (Some(2), Some(1)));
    assert_eq!((evidence.majority, evidence.quorum_lost), (Some(Verdict::Up), false));
    let row = &evidence.regions[1];
    assert_eq!((row.region.as_str(), row.verdict, row.assigned, row.up, row.down, row.missing), ("ENAM", Some(Verdict::Down), 3, 0, 3, 0));
}

#[test]
fn each_ballot_is_shown_as_it_stands() {
    let evidence = explained(Published::Up, &[None], "UDd!?.");
    let shown = serde_json::to_value(&evidence.regions).expect("plain data");
    let vote = |pop: &str, code: &str, vote: &str| {
        serde_json::json!({
            "pop": pop, "pop_code": code, "vote": vote, "failure_reason": null, "failure_code": null,
            "response_code": null, "rtt": null, "age_ms": 1500,
        })
    };
    let with = |mut base: serde_json::Value, more: serde_json::Value| {
        base.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        base
    };
    let detail = |reason: &str, code: &str, response: u16| serde_json::json!({"failure_reason": reason, "failure_code": code, "response_code": response, "rtt": "12.1ms"});
    assert_eq!(
        shown,
        serde_json::json!([{
            "region": "ALL", "verdict": null, "assigned": 6, "up": 1, "down": 2, "missing": 3,
            "votes": [
                with(vote("London, GB", "lhr", "up"), detail("No failures", "none", 200)),
                with(vote("Amsterdam, GB", "ams", "down"), detail("Response code mismatch error", "response_code_mismatch", 503)),
                with(vote("Paris, GB", "cdg", "down"), serde_json::json!({"detail": "pending"})),
                with(
                    vote("unregistered PoP #3", "#3", "abstained"),
                    serde_json::json!({"failure_reason": "Monitor Config Error", "failure_code": "monitor_config_error"}),
                ),
                vote("unregistered PoP #4", "#4", "abstained"),
                with(vote("unregistered PoP #5", "#5", "missing"), serde_json::json!({"age_ms": null})),
            ],
        }])
    );
}

#[test]
fn a_region_without_workers_says_so_and_still_counts() {
    let evidence = explained(Published::Up, &[WEU, ENAM], "UUU -");
    assert_eq!(evidence.majority, None, "one of two regions is no majority");
    assert_eq!(evidence.regions[1].note.as_deref(), Some("no workers"));
    assert_eq!(evidence.regions[0].note, None);
}

#[test]
fn a_seat_beyond_the_ballots_is_missing() {
    let evidence = explain(Published::Unknown, &electorate_of(&[WEU], "UUU"), &ballots_of("U"), |_| None);
    assert_eq!((evidence.regions[0].up, evidence.regions[0].missing), (1, 2));
}

#[test]
fn the_reason_told_is_the_most_frequent_among_down_votes() {
    use FailureReason::{MonitorConfigError, OtherFailure, ResponseCodeMismatch, TcpTimeout};
    let check =
        |published, script: &str, failure| assert_eq!(failure_of(published, &ballots_of(script)), failure, "{published:?} {script}");
    check(Published::Down, "TTD", (Some(TcpTimeout), None));
    check(Published::Down, "DDT", (Some(ResponseCodeMismatch), Some(503)));
    // Of two that are as frequent, the first of the list of reasons.
    check(Published::Down, "TD.", (Some(ResponseCodeMismatch), Some(503)));
    check(Published::Down, "ddT", (Some(TcpTimeout), None));
    check(Published::Down, "dd.", (Some(OtherFailure), None));
    check(Published::Down, "UU!", (Some(OtherFailure), None));
    check(Published::Up, "UUD", (None, None));
    check(Published::Unknown, "D..", (Some(ResponseCodeMismatch), Some(503)));
    check(Published::Unknown, "!!.", (Some(MonitorConfigError), None));
    check(Published::Unknown, "U..", (None, None));
    assert_eq!(explained(Published::Up, &[WEU], "UUD").failure_reason, "No failures");
    assert_eq!(explained(Published::Down, &[WEU], "TTU").failure_code, "tcp_timeout");
}

#[test]
fn a_round_trip_reads_as_go_writes_it() {
    let rows = [
        (0, "0s"),
        (7, "7µs"),
        (999, "999µs"),
        (1_000, "1ms"),
        (12_134, "12.1ms"),
        (12_150, "12.2ms"),
        (66_000, "66ms"),
        (999_949, "999.9ms"),
        (999_950, "1s"),
        (1_204_999, "1.2s"),
        (1_250_000, "1.25s"),
        (2_050_000, "2.05s"),
        (75_000_000, "75s"),
        (u32::MAX, "4294.97s"),
    ];
    for (rtt_us, text) in rows {
        assert_eq!(rtt_text(rtt_us), text, "{rtt_us} µs");
    }
}

fn any_ballot() -> impl Strategy<Value = Ballot> {
    let detail = (0..=18_u8, any::<Option<u16>>(), any::<Option<u32>>()).prop_map(|(reason, response_code, rtt_us)| BallotDetail {
        reason: FailureReason::from_wire(reason),
        response_code,
        rtt_us,
    });
    let cast = (0..4_u8, proptest::option::of(detail), any::<u32>()).prop_map(|(state, detail, age_ms)| Ballot::Cast {
        state: VoteState::from_bits(state),
        detail,
        age_ms,
    });
    prop_oneof![Just(Ballot::Missing), cast]
}

/// A PoP, its ballot, and those of the members of a group.
type Seat = (u16, Ballot, Vec<Ballot>);

fn any_row() -> impl Strategy<Value = PackedVotes> {
    let seat = (any::<u16>(), any_ballot(), proptest::collection::vec(any_ballot(), 3));
    let region = (0..=13_u8, proptest::collection::vec(seat, 0..5));
    let voice = (any::<[u8; 16]>(), any::<bool>(), any::<bool>()).prop_map(|(id, monitoring_only, must_be_healthy)| Voice {
        monitor: MonitorId::from_bytes(id),
        monitoring_only,
        must_be_healthy,
    });
    (proptest::collection::vec(region, 0..5), proptest::collection::vec(voice, 0..=3)).prop_map(|(regions, voices)| {
        let seats = || regions.iter().flat_map(|(_, seats)| seats);
        let of_member = |(at, voice)| MemberBallots { voice, ballots: seats().map(|(_, _, of_members)| of_members[at]).collect() };
        let region = |(number, seats): &(u8, Vec<Seat>)| {
            RegionSeats::new(Region::from_number(*number), seats.iter().map(|(no, _, _)| PopNo(*no)).collect())
        };
        PackedVotes {
            electorate: Electorate::new(regions.iter().map(region).collect()),
            ballots: seats().map(|(_, ballot, _)| *ballot).collect(),
            members: voices.into_iter().enumerate().map(of_member).collect(),
        }
    })
}

proptest! {
    #[test]
    fn a_packed_row_reads_back(row in any_row()) {
        prop_assert_eq!(PackedVotes::decode(&row.encode()), Ok(row));
    }

    #[test]
    fn a_truncated_or_longer_row_is_refused_or_is_another_row(row in any_row(), cut in any::<prop::sample::Index>()) {
        let bytes = row.encode();
        let cut = cut.index(bytes.len());
        prop_assert_ne!(PackedVotes::decode(&bytes[..cut]), Ok(row.clone()));
        let longer = [bytes.as_slice(), &[0]].concat();
        prop_assert_eq!(PackedVotes::decode(&longer), Err(Damaged));
    }

    #[test]
    fn bytes_that_read_as_a_row_are_what_that_row_is_written_as(mut bytes in proptest::collection::vec(any::<u8>(), 0..64), row in any_row()) {
        // A random body under the right version, and a true row with one byte changed.
        if let Some(version) = bytes.first_mut() {
            *version = 1 + *version % 2;
        }
        let mut bent = row.encode();
        let at = bytes.len() % bent.len();
        bent[at] ^= bytes.last().copied().unwrap_or(1);
        for bytes in [bytes, bent] {
            if let Ok(row) = PackedVotes::decode(&bytes) {
                prop_assert_eq!(row.encode().len(), bytes.len());
                prop_assert_eq!(PackedVotes::decode(&row.encode()), Ok(row));
            }
        }
    }
}

#[test]
fn a_row_has_one_size_whatever_the_votes_say() {
    let size = |script: &str, members: &[&str]| {
        let voice = Voice { monitor: MonitorId::from_bytes([7; 16]), monitoring_only: false, must_be_healthy: true };
        let members = members.iter().map(|script| MemberBallots { voice, ballots: ballots_of(script) }).collect();
        PackedVotes { electorate: electorate_of(&[WEU, ENAM], script), ballots: ballots_of(script), members }.encode().len()
    };
    assert_eq!(size("UUU UUU", &[]), size("DdT .!?", &[]));
    assert_eq!(size("UUU UUU", &[]), 1 + 2 * 5 + 6 * 14);
    assert_eq!(size("UUU UUU", &["UUU UUU", "UUU UUU"]), size("DdT .!?", &["U", "... ..."]));
    assert_eq!(size("UUU UUU", &["UUU UUU", "UUU UUU"]), 2 + 2 * 17 + 2 * 5 + 6 * (14 + 2 * 12));
}

#[test]
fn a_down_verdict_keeps_its_reason_when_its_voters_have_gone() {
    let told = |script, published_with| explained(Published::Down, &[WEU], script).remembering(published_with).failure_code;
    let refused = Some(FailureReason::TcpConnectionFailed);
    assert_eq!(told("...", refused), "tcp_connection_failed");
    assert_eq!(told("...", None), "other_failure", "nothing to remember");
    assert_eq!(told("DD.", refused), "response_code_mismatch", "those who vote say better");
    assert_eq!(explained(Published::Up, &[WEU], "...").remembering(refused).failure_code, "none", "an Up verdict has none");
}
