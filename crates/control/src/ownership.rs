//! Who should own which bucket: pure decisions over what the database last said. No leader: every
//! replica comes to the same conclusion by itself, and the epoch makes a disagreement harmless.

use std::cmp::Reverse;

use quorate_core::bucket::{BUCKETS, Bucket};
use quorate_core::ids::ReplicaId;
use quorate_store::verdicts::{Member, Ownership};
use xxhash_rust::xxh3::xxh3_64;

/// Buckets that one pass of rebalancing moves: 5 %. One pass a minute.
pub(crate) const MOVED_MAX: usize = BUCKETS as usize / 20;

/// Buckets to claim.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Claims {
    /// This replica comes first for them: its votes are warm, if anybody's are.
    pub(crate) now: Vec<Bucket>,
    /// Another replica comes first; this one takes them if it has not within the jitter.
    pub(crate) later: Vec<Bucket>,
}

/// Rendezvous weight: the same on every replica and for ever.
fn weight(bucket: Bucket, replica: ReplicaId) -> u64 {
    let mut key = [0; 18];
    key[..2].copy_from_slice(&bucket.number().to_le_bytes());
    key[2..].copy_from_slice(replica.as_bytes());
    xxh3_64(&key)
}

/// The living replicas' first choice for a bucket, `except` apart.
fn first(bucket: Bucket, members: &[Member], except: Option<ReplicaId>) -> Option<ReplicaId> {
    let living = members.iter().filter(|member| member.alive && Some(member.id) != except);
    living.max_by_key(|member| (weight(bucket, member.id), Reverse(member.id))).map(|member| member.id)
}

/// Who keeps a bucket warm: the first choice beside its owner.
pub(crate) fn standby(bucket: Bucket, owner: Option<ReplicaId>, members: &[Member]) -> Option<ReplicaId> {
    first(bucket, members, owner)
}

/// Workers that a replica could have: those expected, or as many as the best connected has.
fn reachable(expected: u32, members: &[Member]) -> u64 {
    let most = members.iter().filter(|member| member.alive).map(|member| member.sessions).max().unwrap_or_default();
    u64::from(most.min(expected))
}

/// It has fewer than half of the workers that it could have: it decides nothing well.
fn is_cut_off(sessions: u32, reachable: u64) -> bool {
    2 * u64::from(sessions) < reachable
}

/// It has at least three quarters of them. Between a half and that it keeps what it has and is given
/// nothing: so that buckets do not go to and fro with every worker that comes and goes.
pub(crate) fn is_well_connected(member: &Member, expected: u32, members: &[Member]) -> bool {
    4 * u64::from(member.sessions) >= 3 * reachable(expected, members)
}

/// What `me` should claim: buckets that nobody owns, and, where `may_bury` (see
/// [`Membership::is_steady`](crate::members::Membership::is_steady)), those whose owner is dead. Who is
/// cut off from the workers comes first for none.
pub(crate) fn plan_claims(me: ReplicaId, expected: u32, members: &[Member], ownerships: &[Ownership], may_bury: bool) -> Claims {
    let mut claims = Claims::default();
    let reachable = reachable(expected, members);
    let able: Vec<Member> = members.iter().filter(|member| !is_cut_off(member.sessions, reachable)).cloned().collect();
    for ownership in ownerships {
        let free = match ownership.owner {
            None => true,
            Some(owner) => may_bury && !members.iter().any(|member| member.id == owner && member.alive),
        };
        if free {
            // The first choice beside the dead is the standby, which has the votes.
            let mine = first(ownership.bucket, &able, None) == Some(me);
            if mine { claims.now.push(ownership.bucket) } else { claims.later.push(ownership.bucket) }
        }
    }
    claims
}

/// Buckets of `me` that belong to another living replica, at most [`MOVED_MAX`], by receiver. Only
/// to those that `is_ready`: alive for long enough to have the votes, and with workers.
pub(crate) fn plan_rebalance(
    me: ReplicaId,
    members: &[Member],
    ownerships: &[Ownership],
    is_ready: impl Fn(&Member) -> bool,
) -> Vec<(ReplicaId, Vec<Bucket>)> {
    let ready: Vec<Member> = members.iter().filter(|member| member.id == me || is_ready(member)).cloned().collect();
    let mut moves: Vec<(ReplicaId, Vec<Bucket>)> = Vec::new();
    let mine = ownerships.iter().filter(|ownership| ownership.owner == Some(me));
    let away = mine.filter_map(|ownership| Some((ownership.bucket, first(ownership.bucket, &ready, None).filter(|to| *to != me)?)));
    for (bucket, to) in away.take(MOVED_MAX) {
        match moves.iter_mut().find(|(receiver, _)| *receiver == to) {
            Some((_, buckets)) => buckets.push(bucket),
            None => moves.push((to, vec![bucket])),
        }
    }
    moves
}

/// The replica to which `me` should give all its buckets: `me` is cut off from the workers, and that one
/// sees the most.
pub(crate) fn plan_release(me: ReplicaId, sessions: u32, expected: u32, members: &[Member]) -> Option<ReplicaId> {
    if !is_cut_off(sessions, reachable(expected, members)) {
        return None;
    }
    let others = members.iter().filter(|member| member.alive && member.id != me && member.sessions > sessions);
    others.max_by_key(|member| (member.sessions, Reverse(member.id))).map(|member| member.id)
}

#[cfg(test)]
mod tests {
    use quorate_core::quorum::Fence;

    use super::*;

    fn id(number: u8) -> ReplicaId {
        ReplicaId::from_bytes([number; 16])
    }

    /// Members of a script: a digit lives, in parentheses it is dead; each has ten sessions.
    fn members(script: &str) -> Vec<Member> {
        let mut alive = true;
        let mut members = Vec::new();
        for letter in script.bytes() {
            match letter {
                b'(' | b')' => alive = letter == b')',
                digit => members.push(Member { id: id(digit - b'0'), url: String::new(), alive, sessions: 10 }),
            }
        }
        members
    }

    fn owned_by(owner: impl Fn(Bucket) -> Option<u8>) -> Vec<Ownership> {
        let row = |bucket| Ownership { bucket, owner: owner(bucket).map(id), fence: Fence { epoch: 1, config_seq: 1 } };
        Bucket::all().map(row).collect()
    }

    fn counts(claims: &Claims) -> (usize, usize) {
        (claims.now.len(), claims.later.len())
    }

    #[test]
    fn buckets_are_claimed_that_nobody_owns_and_those_of_the_dead_after_the_grace_time() {
        let rows = [
            // members, owner of all, may bury, claimed now and later by 1
            ("1", None, false, (1024, 0)),
            ("1", None, true, (1024, 0)),
            ("1", Some(1), true, (0, 0)),
            ("12", Some(2), true, (0, 0)),
            ("1(2)", Some(2), false, (0, 0)),
            ("1(2)", Some(2), true, (1024, 0)),
            // Its row is gone: it left, or was never seen.
            ("1", Some(2), true, (1024, 0)),
            ("1", Some(2), false, (0, 0)),
        ];
        for (script, owner, may_bury, expected) in rows {
            let claims = plan_claims(id(1), 10, &members(script), &owned_by(|_| owner), may_bury);
            assert_eq!(counts(&claims), expected, "{script} owned by {owner:?}, may bury: {may_bury}");
        }
    }

    #[test]
    fn of_several_each_bucket_has_one_first_choice_and_it_is_the_standby_of_the_dead() {
        let (all, living) = (members("123"), members("12(3)"));
        let of_the_dead = owned_by(|_| Some(3));
        let claims = [1, 2].map(|me| plan_claims(id(me), 10, &living, &of_the_dead, true));
        assert_eq!(claims[0].now, claims[1].later);
        assert_eq!(claims[0].later, claims[1].now);
        assert!((412..=612).contains(&claims[0].now.len()), "about half each: {}", claims[0].now.len());
        let warm = |bucket| standby(bucket, Some(id(3)), &all);
        assert!(claims[0].now.iter().all(|bucket| warm(*bucket) == Some(id(1))));
        assert!(claims[1].now.iter().all(|bucket| warm(*bucket) == Some(id(2))));
        assert_eq!(standby(claims[0].now[0], Some(id(1)), &members("1")), None, "alone");
    }

    #[test]
    fn rebalancing_moves_a_twentieth_at_once_and_comes_to_rest() {
        let all = members("12");
        let mut owners: Vec<u8> = vec![1; 1024];
        let mut passes = 0;
        loop {
            let rows = owned_by(|bucket| Some(owners[usize::from(bucket.number())]));
            let moves = plan_rebalance(id(1), &all, &rows, |_| true);
            assert!(plan_rebalance(id(2), &all, &rows, |_| true).is_empty(), "what moved does not move back");
            let Some((to, buckets)) = moves.first() else { break };
            assert_eq!((*to, moves.len()), (id(2), 1));
            assert!(buckets.len() <= MOVED_MAX);
            for bucket in buckets {
                owners[usize::from(bucket.number())] = 2;
            }
            passes += 1;
        }
        assert!((8..=12).contains(&passes), "about half of the buckets: {passes} passes");
        let rows = owned_by(|_| Some(1));
        assert!(plan_rebalance(id(1), &all, &rows, |_| false).is_empty(), "nothing moves to who is not ready");
        assert!(plan_rebalance(id(1), &members("1(2)"), &rows, |member| member.alive).is_empty());
    }

    /// Replicas 1, 2, … with so many sessions each.
    fn with_sessions(sessions: &[u32]) -> Vec<Member> {
        let member = |(number, sessions): (u8, &u32)| Member { id: id(number), url: String::new(), alive: true, sessions: *sessions };
        (1..).zip(sessions).map(member).collect()
    }

    #[test]
    fn an_owner_that_sees_few_workers_gives_way_to_who_sees_more() {
        let rows: [(u32, &[u32], Option<u8>); 9] = [
            // expected, sessions of 1, 2, …; receiver of the buckets of 1
            (9, &[9, 9], None),
            (9, &[5, 9], None),
            (9, &[4, 9], Some(2)),
            (9, &[3, 5, 8], Some(3)),
            // The others see hardly more: most workers are away, and to move would gain nothing.
            (9, &[4, 5], None),
            (9, &[2, 4], None),
            (9, &[0, 0], None),
            (9, &[0], None),
            (0, &[0, 5], None),
        ];
        for (expected, sessions, receiver) in rows {
            let found = plan_release(id(1), sessions[0], expected, &with_sessions(sessions));
            assert_eq!(found, receiver.map(id), "{sessions:?} of {expected}");
        }
    }

    #[test]
    fn who_is_cut_off_claims_last() {
        let free = owned_by(|_| None);
        assert_eq!(counts(&plan_claims(id(1), 9, &with_sessions(&[4, 9]), &free, true)), (0, 1024));
        assert_eq!(counts(&plan_claims(id(2), 9, &with_sessions(&[4, 9]), &free, true)), (1024, 0));
        assert_eq!(counts(&plan_claims(id(1), 9, &with_sessions(&[0, 0]), &free, true)).0, first_choices(1, &[0, 0]), "nobody is better");
    }

    fn first_choices(replica: u8, sessions: &[u32]) -> usize {
        Bucket::all().filter(|bucket| first(*bucket, &with_sessions(sessions), None) == Some(id(replica))).count()
    }

    /// One minute: every replica gives away what it should. Answers how many buckets moved.
    fn minute(expected: u32, sessions: &[u32], owners: &mut [u8]) -> usize {
        let members = with_sessions(sessions);
        let mut moved = 0;
        for (me, sessions) in (1..).zip(sessions) {
            let rows = owned_by(|bucket| Some(owners[usize::from(bucket.number())]));
            let handed = match plan_release(id(me), *sessions, expected, &members) {
                Some(to) => vec![(to, rows.iter().filter(|row| row.owner == Some(id(me))).map(|row| row.bucket).collect())],
                None => plan_rebalance(id(me), &members, &rows, |member| is_well_connected(member, expected, &members)),
            };
            for (to, buckets) in handed {
                moved += buckets.len();
                for bucket in buckets {
                    owners[usize::from(bucket.number())] = to.as_bytes()[0];
                }
            }
        }
        moved
    }

    #[test]
    fn hand_overs_come_to_rest_however_the_workers_are_spread() {
        let counts = [0, 4, 6, 9];
        for expected in [4, 9] {
            for number in 0..64 {
                let sessions = [number % 4, number / 4 % 4, number / 16].map(|index| counts[index]);
                let mut owners: Vec<u8> = (0..1024).map(|bucket: u16| u8::try_from(bucket % 3 + 1).unwrap()).collect();
                let busy = (0..30).take_while(|_| minute(expected, &sessions, &mut owners) > 0).count();
                assert!(busy < 30, "{sessions:?} of {expected}: buckets still move after half an hour");
            }
        }
    }

    #[test]
    fn a_worker_that_comes_and_goes_moves_the_buckets_once() {
        let mut owners = vec![1; 1024];
        let moved: usize = (0..60).map(|number| minute(9, &[4 + number % 3, 9], &mut owners)).sum();
        assert_eq!(moved, 1024, "to the second, and not back");
    }
}
