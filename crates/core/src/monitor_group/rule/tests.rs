use proptest::prelude::*;

use super::*;
use crate::ids::MonitorId;
use VoteState::{ConfigError, Down, Unknown, Up};

const STATES: [VoteState; 4] = [Unknown, Up, Down, ConfigError];
/// `monitoring_only`, `must_be_healthy`.
const PARTS: [(bool, bool); 4] = [(false, false), (false, true), (true, false), (true, true)];

fn voice(part: usize) -> Voice {
    let (monitoring_only, must_be_healthy) = PARTS[part];
    Voice { monitor: MonitorId::from_bytes([1; 16]), monitoring_only, must_be_healthy }
}

/// The rule as it is documented, for members that all have a result: whether the origin is unhealthy.
fn documented(members: &[(Voice, bool)]) -> bool {
    let voting: Vec<_> = members.iter().filter(|(voice, _)| !voice.monitoring_only).collect();
    let failing = voting.iter().filter(|(_, fails)| *fails).count();
    voting.iter().any(|(voice, fails)| *fails && voice.must_be_healthy) || failing * 100 > voting.len() * 50
}

/// Every way in which the members that say nothing could still say something.
fn completions(members: &[(Voice, VoteState)]) -> Vec<Vec<(Voice, bool)>> {
    members.iter().fold(vec![Vec::new()], |told, (voice, state)| {
        let possible: &[bool] = match state {
            Up => &[false],
            Down => &[true],
            Unknown | ConfigError => &[false, true],
        };
        told.iter().flat_map(|so_far| possible.iter().map(|fails| [so_far.as_slice(), &[(*voice, *fails)]].concat())).collect()
    })
}

/// Every group of up to four members, with every state of each: the vote is what the documented rule says
/// whatever the silent members would say, and no vote where it depends on them.
#[test]
fn the_vote_is_the_documented_rule_wherever_silent_members_make_no_difference() {
    let kinds = PARTS.len() * STATES.len();
    let mut seen = [0; 4];
    for size in 0..=4_u32 {
        for number in 0..kinds.pow(size) {
            let member = |at| number / kinds.pow(at) % kinds;
            let members: Vec<_> = (0..size).map(|at| (voice(member(at) / STATES.len()), STATES[member(at) % STATES.len()])).collect();
            let judged = members.iter().any(|(voice, _)| voice.votes());
            let outcomes: Vec<bool> = completions(&members).iter().map(|told| documented(told)).collect();
            let expected = match (outcomes.contains(&true), outcomes.contains(&false)) {
                (true, false) => Down,
                (false, true) if judged => Up,
                _ if members.iter().any(|(voice, state)| voice.votes() && *state == ConfigError) => ConfigError,
                _ => Unknown,
            };
            assert_eq!(vote(members.iter().copied()), expected, "{members:?}");
            seen[expected as usize] += 1;
        }
    }
    assert!(seen.iter().all(|count| *count > 1_000), "every outcome is met often: {seen:?}");
}

/// `script`: `.` passes, `x` fails, `?` has no result, `!` config error; each with `m` before it: must be
/// healthy, with `o` before it: only watches.
fn members(script: &str) -> Vec<(Voice, VoteState)> {
    let (mut part, mut told) = (0, Vec::new());
    for letter in script.chars() {
        let state = match letter {
            'm' | 'o' => {
                part = if letter == 'm' { 1 } else { 2 };
                continue;
            }
            '.' => Up,
            'x' => Down,
            '!' => ConfigError,
            _ => Unknown,
        };
        told.push((voice(std::mem::take(&mut part)), state));
    }
    told
}

#[test]
fn more_than_half_of_the_voting_members_or_one_that_must_be_healthy() {
    for (script, expected) in [
        ("..x", Up),
        (".xx", Down),
        (".x", Up),
        ("x", Down),
        ("..xx", Up),
        (".xxx", Down),
        ("..mx", Down),
        ("....mx", Down),
        ("m.xx", Down),
        ("m..x", Up),
        // Who only watches changes neither the count nor what it is out of.
        ("..oxox", Up),
        (".xoxox", Up),
        (".xo.o.o.", Up),
        ("xo.o.", Down),
        // Decided, whatever the third says.
        ("..?", Up),
        ("xx?", Down),
        ("mx??", Down),
        // Open.
        (".x?", Unknown),
        (".??", Unknown),
        ("..m?", Unknown),
        ("", Unknown),
        ("o.ox", Unknown),
        (".x!", ConfigError),
        ("..!", Up),
        ("..m!", ConfigError),
    ] {
        assert_eq!(vote(members(script)), expected, "{script}");
    }
}

fn any_members() -> impl Strategy<Value = Vec<(Voice, VoteState)>> {
    proptest::collection::vec((0..PARTS.len(), 0..STATES.len()), 0..=10)
        .prop_map(|members| members.into_iter().map(|(part, state)| (voice(part), STATES[state])).collect())
}

proptest! {
    /// The order of the members, and what watching members say, make no difference.
    #[test]
    fn order_and_onlookers_make_no_difference(mut told in any_members(), turn in 0..10_usize, says in 0..STATES.len()) {
        let before = vote(told.iter().copied());
        if !told.is_empty() {
            let by = turn % told.len();
            told.rotate_left(by);
        }
        for (voice, state) in &mut told {
            if voice.monitoring_only {
                *state = STATES[says];
            }
        }
        prop_assert_eq!(vote(told), before);
    }

    /// A member that gets worse never makes a better vote, and one that falls silent never turns a vote round.
    #[test]
    fn worse_is_never_better_and_silence_turns_nothing(told in any_members(), at in 0..10_usize) {
        prop_assume!(!told.is_empty());
        let at = at % told.len();
        let with = |state| {
            let mut told = told.clone();
            told[at].1 = state;
            vote(told)
        };
        let rank = |state| match state {
            Down => 0,
            Unknown | ConfigError => 1,
            Up => 2,
        };
        prop_assert!(rank(with(Down)) <= rank(with(Unknown)) && rank(with(Unknown)) <= rank(with(Up)));
        for said in [Up, Down] {
            prop_assert_ne!((with(said), with(Unknown)), (Up, Down));
            prop_assert_ne!((with(said), with(Unknown)), (Down, Up));
        }
    }
}

fn cast(state: VoteState, reason: Option<FailureReason>, response_code: Option<u16>, rtt_us: u32, age_ms: u32) -> Ballot {
    Ballot::Cast { state, detail: Some(BallotDetail { reason, response_code, rtt_us: Some(rtt_us) }), age_ms }
}

#[test]
fn the_detail_is_of_the_members_that_made_the_vote() {
    use FailureReason::{HttpTimeout, ResponseCodeMismatch, TcpTimeout};
    let (plain, must, only) = (voice(0), voice(1), voice(2));
    let passed = cast(Up, None, Some(200), 10, 5);
    let slow = cast(Down, Some(HttpTimeout), None, 90, 7);
    let wrong = cast(Down, Some(ResponseCodeMismatch), Some(503), 30, 9);
    let dead = cast(Down, Some(TcpTimeout), None, 1_000, 99);

    assert_eq!(
        ballot(&[(plain, passed), (plain, slow), (plain, wrong), (plain, wrong)]),
        cast(Down, Some(ResponseCodeMismatch), Some(503), 50, 9)
    );
    assert_eq!(ballot(&[(must, slow), (plain, wrong), (plain, wrong)]), cast(Down, Some(HttpTimeout), None, 90, 9));
    assert_eq!(ballot(&[(plain, passed), (plain, passed), (plain, dead)]), cast(Up, None, Some(200), 10, 99));
    assert_eq!(ballot(&[(plain, passed), (only, dead)]), passed, "who only watches is no part of it");
}

#[test]
fn a_pop_that_says_nothing_of_any_member_is_missing() {
    let plain = voice(0);
    assert_eq!(ballot(&[(plain, Ballot::Missing), (plain, Ballot::Missing)]), Ballot::Missing);
    let untold = Ballot::Cast { state: Down, detail: None, age_ms: 4 };
    assert_eq!(ballot(&[(plain, untold), (plain, Ballot::Missing)]), Ballot::Cast { state: Unknown, detail: None, age_ms: 4 });
    assert_eq!(ballot(&[(plain, untold), (plain, untold)]), untold, "the states have arrived, their detail has not");
}
