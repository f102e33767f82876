use quorate_core::check::Probe;
use quorate_core::ids::PoolId;

use super::*;
use crate::manifest::tests::whole;
use crate::probe::tests::checks::tcp_check;
use crate::probe::{Finding, Phases};

pub(crate) const BUCKET: Bucket = Bucket::new(3).expect("below 1024");

pub(crate) fn board(now: Instant) -> Board {
    Board::new(&"lhr".parse().expect("a code"), Capabilities::NONE, caps(), now)
}

/// None that a test would meet.
pub(crate) fn caps() -> Caps {
    Caps::new(u32::MAX)
}

/// A TCP check of its own on port `number`.
pub(crate) fn check(number: u16) -> Check {
    let mut id = [0; 16];
    id[..2].copy_from_slice(&number.to_be_bytes());
    Check { id: CheckId::from_bytes(id), pool_id: PoolId::from_bytes(id), ..tcp_check("192.0.2.1", number) }
}

pub(crate) fn hold(board: &mut Board, version: u64, checks: &[Check], now: Instant) {
    board.adopt(BUCKET, Manifest::apply(None, &whole(3, version, checks)).expect("whole"), now);
}

pub(crate) fn outcome(finding: Finding) -> Outcome {
    let response_code = match finding {
        Finding::Failed(FailureReason::ResponseCodeMismatch) => Some(503),
        Finding::Passed => Some(200),
        Finding::Failed(_) | Finding::Abstained(_) => None,
    };
    Outcome {
        finding,
        response_code,
        rtt: Some(Duration::from_millis(12)),
        phases: Phases::default(),
        certificate_days_left: None,
        attempts: 1,
    }
}

/// That asks what the check asks.
fn job(board: &Board, check: &Check) -> EntryId {
    board.jobs.of(JobKey::of(check))
}

/// A probe of the check ends.
pub(crate) fn finish(board: &mut Board, check: &Check, outcome: &Outcome, started: Instant, now: Instant) -> bool {
    board.finished(job(board, check), outcome, started, now)
}

const DOWN: Finding = Finding::Failed(FailureReason::TcpConnectionFailed);

fn states(board: &Board, now: Instant) -> Vec<VoteState> {
    let count = board.held(BUCKET).expect("held").1;
    board.chunk(BUCKET, now).expect("held").states(count).expect("the same count").collect()
}

#[test]
fn a_vote_is_unknown_until_probed_and_again_when_probes_stop() {
    let now = Instant::now();
    let mut board = board(now);
    let check = check(80);
    hold(&mut board, 1, std::slice::from_ref(&check), now);
    assert_eq!(states(&board, now), [VoteState::Unknown]);
    assert!(finish(&mut board, &check, &outcome(Finding::Passed), now, now));
    assert_eq!(states(&board, now + check.stale_after()), [VoteState::Up]);
    let late = now + check.stale_after() + Duration::from_millis(1);
    assert_eq!(states(&board, late), [VoteState::Unknown]);
    assert!(finish(&mut board, &check, &outcome(Finding::Passed), late, late), "back is a change");
}

#[test]
fn after_probes_stopped_the_next_result_votes_at_once() {
    let now = Instant::now();
    let mut board = board(now);
    let check = Check { consecutive_down: 3, ..check(80) };
    hold(&mut board, 1, std::slice::from_ref(&check), now);
    finish(&mut board, &check, &outcome(Finding::Passed), now, now);
    let late = now + check.stale_after() + Duration::from_millis(1);
    assert!(finish(&mut board, &check, &outcome(DOWN), late, late));
    assert_eq!(states(&board, late), [VoteState::Down]);
}

#[test]
fn an_abstention_hides_the_vote_and_its_reason_and_spares_no_failure() {
    let now = Instant::now();
    let mut board = board(now);
    let check = Check { consecutive_down: 3, ..check(80) };
    hold(&mut board, 1, std::slice::from_ref(&check), now);
    let silent = Finding::Abstained(FailureReason::OtherFailure);
    let told: Vec<(VoteState, Option<FailureReason>)> = [Finding::Passed, silent, DOWN, DOWN, DOWN]
        .into_iter()
        .map(|finding| {
            finish(&mut board, &check, &outcome(finding), now, now);
            let detail = board.window(BUCKET, 0, 1, now).expect("held").details[0];
            (detail.state, detail.reason)
        })
        .collect();
    let up = (VoteState::Up, None);
    let down = (VoteState::Down, Some(FailureReason::TcpConnectionFailed));
    assert_eq!(told, [up, (VoteState::Unknown, silent.reason()), up, up, down]);
}

#[test]
fn a_probe_of_an_old_generation_says_nothing_under_the_new_one() {
    let now = Instant::now();
    let mut board = board(now);
    let old = check(80);
    hold(&mut board, 1, std::slice::from_ref(&old), now);
    let both = job(&board, &old);
    let started = now + Duration::from_secs(1);
    assert_eq!(board.take_due(started, 9).len(), 1);
    let changed = started + Duration::from_millis(5);
    let new = Check { config_gen: 2, consecutive_down: 3, ..old };
    hold(&mut board, 2, std::slice::from_ref(&new), changed);
    assert_eq!(job(&board, &new), both, "one probe serves both");
    let ended = changed + Duration::from_millis(5);
    assert!(!board.finished(both, &outcome(DOWN), started, ended));
    assert_eq!(states(&board, ended), [VoteState::Unknown]);
    let soon = ended + Duration::from_millis(50);
    assert_eq!(board.take_due(soon, 9).len(), 1, "a run of its own, not an interval later");
    assert!(board.finished(both, &outcome(Finding::Passed), soon, soon));
}

#[test]
fn what_an_account_wants_beyond_its_share_votes_config_error_until_there_is_room() {
    let now = Instant::now();
    let mut board = Board::new(&"lhr".parse().expect("a code"), Capabilities::NONE, Caps::new(2), now);
    let checks = [80, 81, 82].map(|port| Check { interval: Duration::from_secs(1), ..check(port) });
    hold(&mut board, 1, &checks, now);
    for check in &checks[..2] {
        finish(&mut board, check, &outcome(Finding::Passed), now, now);
    }
    assert_eq!(states(&board, now), [VoteState::Up, VoteState::Up, VoteState::ConfigError]);
    let rejected = board.rejected(BUCKET);
    assert_eq!(rejected.len(), 1, "{rejected:?}");
    assert_eq!(rejected[0].error, "this worker makes at most 2 probes a second for one account");

    hold(&mut board, 2, &checks[1..], now);
    assert_eq!(states(&board, now), [VoteState::Up, VoteState::Unknown], "the first has left its room");
    assert!(finish(&mut board, &checks[2], &outcome(Finding::Passed), now, now));
    assert_eq!((states(&board, now), board.rejected_count(BUCKET)), (vec![VoteState::Up, VoteState::Up], 0));

    let other = Bucket::new(4).expect("below 1024");
    board.adopt(other, Manifest::apply(None, &whole(4, 1, &checks[..1])).expect("whole"), now);
    assert_eq!(board.rejected_count(other), 1, "in whatever bucket");
    hold(&mut board, 3, &checks[1..], now);
    assert_eq!(board.rejected_count(other), 1, "nobody has left");
    hold(&mut board, 4, &checks[2..], now);
    assert_eq!(board.rejected_count(other), 0, "the room of another bucket's is as good");
    hold(&mut board, 5, &checks[1..], now);
    assert_eq!((states(&board, now)[0], board.rejected_count(BUCKET)), (VoteState::ConfigError, 1));
    assert!(board.drop_bucket(other, now));
    assert_eq!((states(&board, now), board.rejected_count(BUCKET)), (vec![VoteState::Unknown, VoteState::Up], 0));
}

#[test]
fn thresholds_are_each_checks_own_where_a_probe_is_shared() {
    let now = Instant::now();
    let mut board = board(now);
    let quick = check(80);
    let slow = Check { id: CheckId::from_bytes([0xff; 16]), consecutive_down: 3, ..check(80) };
    hold(&mut board, 1, &[quick.clone(), slow], now);
    let quick = job(&board, &quick);
    let told: Vec<Vec<VoteState>> = [Finding::Passed, DOWN, DOWN, DOWN]
        .into_iter()
        .map(|finding| {
            board.finished(quick, &outcome(finding), now, now);
            states(&board, now)
        })
        .collect();
    let (up, down) = (VoteState::Up, VoteState::Down);
    assert_eq!(told, [[up, up], [down, up], [down, up], [down, down]]);
}

#[test]
fn the_detail_is_of_the_probe_that_agrees_with_the_vote() {
    let now = Instant::now();
    let mut board = board(now);
    let check = Check { consecutive_down: 2, ..check(80) };
    hold(&mut board, 1, std::slice::from_ref(&check), now);
    let job = job(&board, &check);
    let detail = |board: &Board| board.window(BUCKET, 0, 9, now).expect("held").details[0];
    board.finished(job, &outcome(Finding::Passed), now, now);
    assert!(!board.finished(job, &outcome(DOWN), now, now), "one failure of two changes nothing");
    assert_eq!((detail(&board).state, detail(&board).reason), (VoteState::Up, None));
    assert!(board.finished(job, &outcome(DOWN), now, now));
    assert_eq!((detail(&board).state, detail(&board).reason), (VoteState::Down, Some(FailureReason::TcpConnectionFailed)));
    let other = outcome(Finding::Failed(FailureReason::ResponseCodeMismatch));
    assert!(board.finished(job, &other, now, now), "another reason is told");
    assert!(!board.finished(job, &other, now, now));
    assert_eq!(detail(&board).response_code, Some(503));
    board.finished(job, &outcome(Finding::Abstained(FailureReason::OtherFailure)), now, now);
    assert_eq!((detail(&board).state, detail(&board).reason), (VoteState::Unknown, Some(FailureReason::OtherFailure)));
}

#[test]
fn a_new_generation_starts_unknown_and_the_others_keep_their_votes() {
    let now = Instant::now();
    let mut board = board(now);
    let (one, two) = (check(80), check(81));
    hold(&mut board, 1, &[one.clone(), two.clone()], now);
    let jobs = [&one, &two].map(|check| job(&board, check));
    for job in jobs {
        board.finished(job, &outcome(Finding::Passed), now, now);
    }
    let started = now + Duration::from_millis(250);
    assert_eq!(board.take_due(started, 9).len(), 2);
    let changed = Check { config_gen: 2, port: 8080, ..one.clone() };
    hold(&mut board, 2, &[changed.clone(), two.clone()], now);
    assert_eq!(states(&board, now), [VoteState::Unknown, VoteState::Up]);
    assert!(!board.finished(jobs[0], &outcome(DOWN), started, started), "a probe of the old generation says nothing of the new");
    assert!(board.finished(job(&board, &changed), &outcome(DOWN), now, now));
    assert_eq!(states(&board, now), [VoteState::Down, VoteState::Up]);
    assert_eq!(board.checks(), 2);
    assert!(!board.finished(jobs[1], &outcome(Finding::Passed), started, started));
    assert!(board.drop_bucket(BUCKET, now) && !board.drop_bucket(BUCKET, now));
    assert_eq!((board.checks(), board.running, board.take_due(now + Duration::from_mins(1), 9).len()), (0, 0, 0));
}

#[test]
fn a_bucket_that_goes_takes_nothing_from_another_that_has_the_same_check() {
    let now = Instant::now();
    let mut board = board(now);
    let check = check(80);
    hold(&mut board, 1, std::slice::from_ref(&check), now);
    let other = Bucket::new(4).expect("below 1024");
    board.adopt(other, Manifest::apply(None, &whole(4, 1, std::slice::from_ref(&check))).expect("whole"), now);
    assert!(board.drop_bucket(BUCKET, now));
    let started = now + Duration::from_millis(250);
    let starts = board.take_due(started, 9);
    assert_eq!((starts.len(), board.running), (1, 1));
    assert!(board.finished(starts[0].job, &outcome(Finding::Passed), started, started), "the other's vote");
}

#[test]
fn a_check_that_cannot_be_run_votes_config_error_and_the_rest_goes_on() {
    let now = Instant::now();
    let mut board = board(now);
    let ping = Check { probe: Probe::IcmpPing, port: 0, ..check(1) };
    hold(&mut board, 1, &[ping.clone(), check(2)], now);
    assert_eq!(states(&board, now), [VoteState::ConfigError, VoteState::Unknown]);
    let rejected = board.rejected(BUCKET);
    assert_eq!(rejected.len(), 1);
    assert_eq!(&rejected[0].check_id[..], ping.id.as_bytes());
    assert!(rejected[0].error.starts_with("this worker cannot probe icmp_ping: it takes CAP_NET_RAW"), "{}", rejected[0].error);
    assert_eq!(board.window(BUCKET, 0, 1, now).expect("held").details[0].reason, Some(FailureReason::MonitorConfigError));

    board.allow(1, now);
    hold(&mut board, 2, &[ping, check(2), check(3)], now);
    assert_eq!(board.rejected(BUCKET)[1].error, "this worker runs at most 1 checks");
    board.allow(2, now);
    assert_eq!(board.rejected_count(BUCKET), 1, "the ping alone");
}

#[test]
fn changes_are_told_once_a_session_as_they_stand_when_told() {
    let now = Instant::now();
    let mut board = board(now);
    let (one, two) = (check(80), check(81));
    hold(&mut board, 4, &[one.clone(), two.clone()], now);
    let session = board.outboxes.open();
    for finding in [Finding::Passed, DOWN] {
        finish(&mut board, &one, &outcome(finding), now, now);
    }
    finish(&mut board, &two, &outcome(Finding::Passed), now, now);
    let first = board.changes(session, |_| true, 1, now);
    assert_eq!((first.len(), first[0].manifest_version, first[0].position, first[0].detail.state), (1, 4, 0, VoteState::Down));
    let second = board.changes(session, |_| true, 9, now);
    assert_eq!((second.len(), second[0].position), (1, 1));
    assert!(board.changes(session, |_| true, 9, now).is_empty());
    finish(&mut board, &two, &outcome(DOWN), now, now);
    assert!(board.changes(session, |_| false, 9, now).is_empty(), "not this replica's bucket");
    assert!(!board.outboxes.is_waiting(session));
}
