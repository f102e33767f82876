use serde_json::json;

use super::*;
use crate::electorate::RegionSeats;
use crate::evidence::{BallotDetail, explain};
use crate::failure::FailureReason;
use crate::pop::PopNo;
use crate::region::Region;
use crate::vote::VoteState;

/// Three regions of one PoP.
fn electorate() -> Electorate {
    let regions = [Region::Weu, Region::Enam, Region::Seas];
    Electorate::new((1..).zip(regions).map(|(no, region)| RegionSeats::new(Some(region), vec![PopNo(no)])).collect())
}

/// `U` up, `D` down, `.` missing; one letter a seat.
fn member(id: u8, script: &str) -> MemberBallots {
    let cast = |state, reason, response_code| Ballot::Cast {
        state,
        detail: Some(BallotDetail { reason, response_code, rtt_us: Some(12_134) }),
        age_ms: 9,
    };
    let ballots = script.chars().map(|letter| match letter {
        'U' => cast(VoteState::Up, None, Some(200)),
        'D' => cast(VoteState::Down, Some(FailureReason::ResponseCodeMismatch), Some(503)),
        _ => Ballot::Missing,
    });
    let voice = Voice { monitor: MonitorId::from_bytes([id; 16]), monitoring_only: id == 3, must_be_healthy: id == 2 };
    MemberBallots { voice, ballots: ballots.collect() }
}

#[test]
fn each_member_is_told_as_if_it_decided_alone() {
    let told = monitor_results(&electorate(), &[member(1, "UUD"), member(2, "DD."), member(3, "UD"), member(4, "")]);
    let brief: Vec<_> = told.iter().map(|told| (told.healthy, told.failure_code.as_str(), told.response_code)).collect();
    assert_eq!(
        brief,
        [
            (Some(true), "none", None),
            (Some(false), "response_code_mismatch", Some(503)),
            (None, "response_code_mismatch", Some(503)),
            (None, "none", None)
        ]
    );
    assert_eq!(
        serde_json::to_value(&told[1]).expect("serializes"),
        json!({
            "id": "02".repeat(16), "healthy": false, "failure_reason": "Response code mismatch error",
            "failure_code": "response_code_mismatch", "response_code": 503, "must_be_healthy": true, "monitoring_only": false,
        })
    );
}

#[test]
fn each_vote_tells_what_its_members_said() {
    let members = [member(1, "UUD"), member(2, "D.")];
    let evidence = explain(Published::Up, &electorate(), &members[0].ballots, |_| None).with_monitors(&members);
    let told: Vec<Vec<&str>> = evidence
        .regions
        .iter()
        .flat_map(|region| &region.votes)
        .map(|vote| vote.monitors.iter().map(|monitor| monitor.vote.as_str()).collect())
        .collect();
    assert_eq!(told, [["up", "down"], ["up", "missing"], ["down", "missing"]]);
    let first = serde_json::to_value(&evidence.regions[0].votes[0].monitors[1]).expect("serializes");
    let expected = json!({
        "id": "02".repeat(16), "vote": "down", "failure_reason": "Response code mismatch error",
        "failure_code": "response_code_mismatch", "response_code": 503, "rtt": "12.1ms",
    });
    assert_eq!(first, expected);
    let alone = explain(Published::Up, &electorate(), &[], |_| None);
    let vote = serde_json::to_value(&alone.regions[0].votes[0]).expect("serializes");
    assert!(vote.get("monitors").is_none(), "without a group there are none");
}

#[test]
fn where_all_members_only_watch_no_quorum_is_lost() {
    let watching = [member(3, "UDU")];
    let evidence = explain(Published::Unknown, &electorate(), &[], |_| None).with_monitors(&watching);
    assert_eq!((evidence.quorum_lost, evidence.votes_to_flip), (false, None));
    assert_eq!(evidence.summary, "Unknown: no monitor of the group votes.");
    let one_votes = [member(1, "..."), member(3, "UDU")];
    assert!(explain(Published::Unknown, &electorate(), &[], |_| None).with_monitors(&one_votes).quorum_lost);
}
