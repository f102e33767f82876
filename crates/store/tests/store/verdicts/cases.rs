//! The cases of the contract.

use std::collections::BTreeSet;
use std::time::Duration;

use quorate_core::bucket::Bucket;
use quorate_core::electorate::{Electorate, RegionSeats};
use quorate_core::evidence::{Ballot, BallotDetail, PackedVotes};
use quorate_core::failure::FailureReason;
use quorate_core::ids::{CheckId, ReplicaId};
use quorate_core::pool::PoolState;
use quorate_core::pop::PopNo;
use quorate_core::quorum::Fence;
use quorate_core::region::Region;
use quorate_core::vote::{Published, Verdict, VoteState};
use quorate_store::verdicts::{CommitError, NewEvent, QuorumNotice, Tick, VerdictStore, VoteRow};

use super::{LONG, NONE, World, beat, fence, flip, load_pool, own, replica, tick};

fn all() -> Vec<Bucket> {
    Bucket::all().collect()
}

async fn owners(store: &impl VerdictStore) -> BTreeSet<Option<ReplicaId>> {
    store.ownerships().await.unwrap().into_iter().map(|row| row.owner).collect()
}

/// What is wrong with a tick, and how it comes to be.
type Break = (&'static str, fn(&mut Tick));

/// Asserts that a commit is fenced or stale, and that nothing at all was written.
async fn writes_nothing(world: &impl World, tick: &Tick) -> CommitError {
    let pool = tick.events[0].pool_id;
    let before = (load_pool(world.store(), pool).await.1, world.recorded().await);
    let problem = world.store().commit(tick).await.unwrap_err();
    assert_eq!((load_pool(world.store(), pool).await.1, world.recorded().await), before);
    problem
}

pub(crate) async fn heartbeats_tell_who_lives_and_how_many_sessions(world: &impl World) {
    let store = world.store();
    assert_eq!(beat(store, &replica(1)).await.len(), 1);
    let members = store.heartbeat(&replica(2), 17, NONE).await.unwrap();
    let told: Vec<_> = members.iter().map(|member| (member.id, member.alive, member.sessions)).collect();
    assert_eq!(told, [(replica(1).id, false, 3), (replica(2).id, true, 17)], "an instant is too long for the others, never for me");
    assert!(beat(store, &replica(1)).await.iter().all(|member| member.alive && member.url.starts_with("https://")));
}

pub(crate) async fn a_bucket_is_claimed_only_from_the_dead(world: &impl World) {
    let store = world.store();
    let (one, two) = (replica(1), replica(2));
    beat(store, &one).await;
    beat(store, &two).await;
    let bucket = Bucket::new(5).unwrap();
    let taken = store.claim(one.id, &[bucket], LONG).await.unwrap();
    assert_eq!(taken.len(), 1);
    assert_eq!((taken[0].owner, taken[0].fence.epoch), (Some(one.id), 1));
    assert!(store.claim(two.id, &[bucket], LONG).await.unwrap().is_empty(), "its owner lives");
    assert!(store.claim(one.id, &[bucket], LONG).await.unwrap().is_empty(), "it is mine already");
    let taken = store.claim(two.id, &[bucket], NONE).await.unwrap();
    assert_eq!((taken[0].owner, taken[0].fence.epoch), (Some(two.id), 2));
    assert_eq!(fence(store, bucket).await, taken[0].fence);
}

pub(crate) async fn two_replicas_that_fight_share_every_bucket_and_none_twice(world: &impl World) {
    let store = world.store();
    let (one, two) = (replica(1), replica(2));
    beat(store, &one).await;
    beat(store, &two).await;
    let all = all();
    let (first, second) = tokio::join!(store.claim(one.id, &all, LONG), store.claim(two.id, &all, LONG));
    let (first, second) = (first.unwrap(), second.unwrap());
    let taken: BTreeSet<Bucket> = first.iter().chain(&second).map(|row| row.bucket).collect();
    assert_eq!((taken.len(), first.len() + second.len()), (1_024, 1_024));
    assert!(first.iter().chain(&second).all(|row| row.fence.epoch == 1));
}

pub(crate) async fn handing_over_fences_the_old_owner(world: &impl World) {
    let store = world.store();
    let (one, two) = (replica(1).id, replica(2).id);
    let pool = world.add_pool(1).await;
    let bucket = Bucket::of(pool.id);
    own(store, one).await;
    let (_, config) = load_pool(store, pool.id).await;
    let old = fence(store, bucket).await;
    store.hand_over(two, Some(one), &[bucket]).await.unwrap();
    assert_eq!(fence(store, bucket).await, old, "only the owner hands over");
    store.hand_over(one, Some(two), &[bucket]).await.unwrap();
    assert!(matches!(writes_nothing(world, &tick(one, old, &config, 0)).await, CommitError::Fenced));
    let new = fence(store, bucket).await;
    assert_eq!(new.epoch, old.epoch + 1);
    store.commit(&tick(two, new, &config, 0)).await.unwrap();
    store.hand_over(two, None, &[bucket]).await.unwrap();
    assert_eq!(owners(store).await, BTreeSet::from([None, Some(one)]));
}

pub(crate) async fn leaving_frees_the_buckets_and_forgets_the_replica(world: &impl World) {
    let store = world.store();
    let one = replica(1).id;
    own(store, one).await;
    assert_eq!(owners(store).await, BTreeSet::from([Some(one)]));
    store.leave(one).await.unwrap();
    assert_eq!(owners(store).await, BTreeSet::from([None]));
    assert_eq!(fence(store, all()[0]).await.epoch, 2);
    assert_eq!(beat(store, &replica(2)).await.len(), 1);
}

pub(crate) async fn a_verdict_is_published_together_with_its_pool_and_event(world: &impl World) {
    let store = world.store();
    let me = replica(1).id;
    let pool = world.add_pool(2).await;
    own(store, me).await;
    let first = flip(store, me, pool.id, 1).await;
    let second = flip(store, me, pool.id, 1).await;
    assert_eq!((first.event_ids.len(), second.event_ids.len()), (1, 1));
    assert!(second.event_ids[0] > first.event_ids[0] && second.occurred_at >= first.occurred_at);
    let (_, config) = load_pool(store, pool.id).await;
    assert_eq!((config.state, config.state_seq), (PoolState::Critical, 2));
    let turned = &config.checks[1];
    assert_eq!((turned.verdict, turned.verdict_seq, turned.reason), (Published::Down, 2, Some(FailureReason::TcpTimeout)));
    assert_eq!((config.checks[0].verdict, config.checks[0].verdict_seq), (Published::Unknown, 0));
    let check = Some(turned.check_id);
    assert_eq!(world.recorded().await, [(check, Some(1), Some(true)), (check, Some(2), Some(false))]);
}

pub(crate) async fn a_commit_under_an_old_epoch_writes_nothing(world: &impl World) {
    let store = world.store();
    let (one, two) = (replica(1).id, replica(2).id);
    let pool = world.add_pool(1).await;
    own(store, one).await;
    let (_, config) = load_pool(store, pool.id).await;
    let mine = fence(store, Bucket::of(pool.id)).await;
    store.claim(two, &all(), NONE).await.unwrap();
    let stored = fence(store, Bucket::of(pool.id)).await;
    for (replica, fence) in [(one, mine), (one, stored), (two, mine), (two, Fence { epoch: stored.epoch + 1, ..stored })] {
        assert!(matches!(writes_nothing(world, &tick(replica, fence, &config, 0)).await, CommitError::Fenced), "{fence:?}");
    }
    store.commit(&tick(two, stored, &config, 0)).await.unwrap();
}

pub(crate) async fn a_commit_under_an_old_configuration_writes_nothing(world: &impl World) {
    let store = world.store();
    let me = replica(1).id;
    let pool = world.add_pool(1).await;
    own(store, me).await;
    let (config_seq, config) = load_pool(store, pool.id).await;
    let old = fence(store, Bucket::of(pool.id)).await;
    assert_eq!(old.config_seq, config_seq);
    world.describe(&pool).await;
    assert!(matches!(writes_nothing(world, &tick(me, old, &config, 0)).await, CommitError::Fenced));
    flip(store, me, pool.id, 0).await;
}

pub(crate) async fn a_commit_that_does_not_fit_is_stale_and_writes_nothing_of_the_rest_either(world: &impl World) {
    let store = world.store();
    let me = replica(1).id;
    let pool = world.add_pool(2).await;
    own(store, me).await;
    flip(store, me, pool.id, 1).await;
    let (_, config) = load_pool(store, pool.id).await;
    let fence = fence(store, Bucket::of(pool.id)).await;
    let mut good = tick(me, fence, &config, 0);
    good.checks.extend(tick(me, fence, &config, 1).checks);
    let breaks: [Break; 8] = [
        ("an older verdict", |tick| tick.checks[1].expected_seq -= 1),
        ("a later verdict", |tick| tick.checks[1].expected_seq += 1),
        ("another generation", |tick| tick.checks[1].config_gen += 1),
        ("no change", |tick| tick.checks[1].verdict = Verdict::Up),
        ("a check that is gone", |tick| tick.checks[1].check_id = CheckId::from_bytes([9; 16])),
        ("a check twice", |tick| tick.checks[1] = tick.checks[0].clone()),
        ("another account's check", |tick| tick.checks[1].account_id = quorate_core::ids::AccountId::from_bytes([9; 16])),
        ("another pool state", |tick| {
            let pool = &tick.events[0];
            let change = quorate_store::verdicts::PoolChange {
                account_id: pool.account_id,
                pool_id: pool.pool_id,
                expected_seq: 0,
                state: PoolState::Degraded,
            };
            tick.pools = vec![change];
        }),
    ];
    for (name, break_it) in breaks {
        let mut broken = good.clone();
        break_it(&mut broken);
        assert!(matches!(writes_nothing(world, &broken).await, CommitError::Stale), "{name}");
    }
    store.commit(&good).await.unwrap();
}

pub(crate) async fn an_event_of_a_check_that_does_not_change_is_refused(world: &impl World) {
    let store = world.store();
    let me = replica(1).id;
    let pool = world.add_pool(2).await;
    own(store, me).await;
    let (_, config) = load_pool(store, pool.id).await;
    let mut tick = tick(me, fence(store, Bucket::of(pool.id)).await, &config, 0);
    tick.events[0].check_id = Some(config.checks[1].check_id);
    assert!(matches!(writes_nothing(world, &tick).await, CommitError::Refused(_)));
}

pub(crate) async fn a_pool_changed_by_configuration_is_an_event_without_a_check(world: &impl World) {
    let store = world.store();
    let me = replica(1).id;
    let pool = world.add_pool(1).await;
    own(store, me).await;
    let (_, config) = load_pool(store, pool.id).await;
    let mut tick = tick(me, fence(store, Bucket::of(pool.id)).await, &config, 0);
    tick.checks.clear();
    tick.pools[0].state = PoolState::Disabled;
    let mut body = tick.events[0].body.clone();
    body.origins[0].changed = false;
    tick.events = vec![NewEvent { check_id: None, body, ..tick.events[0].clone() }];
    store.commit(&tick).await.unwrap();
    assert_eq!(world.recorded().await, [(None, None, None)]);
    let (_, config) = load_pool(store, pool.id).await;
    assert_eq!((config.state, config.state_seq, config.checks[0].verdict_seq), (PoolState::Disabled, 1, 0));
    assert!(matches!(writes_nothing(world, &tick).await, CommitError::Stale));
}

pub(crate) async fn after_a_lost_answer_reading_again_tells_and_the_change_is_not_recorded_twice(world: &impl World) {
    let store = world.store();
    let me = replica(1).id;
    let pool = world.add_pool(1).await;
    own(store, me).await;
    // The first commit over a connection has a preparation of its own; it is the second whose answer is lost.
    flip(store, me, pool.id, 0).await;
    let (_, before) = load_pool(store, pool.id).await;
    let tick = tick(me, fence(store, Bucket::of(pool.id)).await, &before, 0);
    world.lose_next_answer();
    let problem = store.commit(&tick).await.unwrap_err();
    assert!(matches!(problem, CommitError::Unknown(_)), "{problem:?}");
    let (_, after) = load_pool(store, pool.id).await;
    assert_eq!(after.checks[0].verdict_seq, 2, "it was written");
    assert!(matches!(writes_nothing(world, &tick).await, CommitError::Stale));
    assert_eq!(world.recorded().await.len(), 2);
}

pub(crate) async fn a_check_under_a_new_generation_keeps_its_verdict_and_its_count(world: &impl World) {
    let store = world.store();
    let me = replica(1).id;
    let pool = world.add_pool(2).await;
    own(store, me).await;
    flip(store, me, pool.id, 0).await;
    let pool = world.readdress(&pool).await;
    let (_, config) = load_pool(store, pool.id).await;
    let kept = &config.checks[0];
    assert_eq!((kept.config_gen, kept.verdict, kept.verdict_seq), (2, Published::Up, 1));
    assert_eq!(config.checks[1].config_gen, 1);
    flip(store, me, pool.id, 0).await;
    assert_eq!(world.recorded().await.len(), 2);
}

pub(crate) async fn seats_are_written_by_the_owner_and_bump_the_configuration(world: &impl World) {
    let store = world.store();
    let me = replica(1).id;
    own(store, me).await;
    let bucket = Bucket::new(1_023).unwrap();
    let before = fence(store, bucket).await;
    let seats = [(Region::Weu, vec![PopNo(2), PopNo(5), PopNo(7)]), (Region::Enam, vec![PopNo(1)])];
    let config_seq = store.seat(me, bucket, before, &seats).await.unwrap();
    assert_eq!(config_seq, before.config_seq + 1);
    let loaded = store.load(&[bucket]).await.unwrap().remove(0);
    assert_eq!((loaded.config_seq, loaded.bucket), (config_seq, bucket));
    assert_eq!(loaded.seats, [(Region::Enam, vec![PopNo(1)]), (Region::Weu, vec![PopNo(2), PopNo(5), PopNo(7)])]);
    assert!(matches!(store.seat(me, bucket, before, &[]).await, Err(CommitError::Fenced)), "by an old configuration");
    let now = fence(store, bucket).await;
    assert!(matches!(store.seat(replica(2).id, bucket, now, &[]).await, Err(CommitError::Fenced)), "by another replica");
    store.seat(me, bucket, now, &seats[..1]).await.unwrap();
    assert_eq!(store.load(&[bucket]).await.unwrap()[0].seats, seats[..1]);
}

pub(crate) async fn a_load_answers_each_bucket_asked_for_in_that_order(world: &impl World) {
    let pools = [world.add_pool(1).await, world.add_pool(3).await, world.add_pool(0).await];
    let mut buckets: Vec<Bucket> = all();
    buckets.reverse();
    let loaded = world.store().load(&buckets).await.unwrap();
    assert_eq!(loaded.iter().map(|config| config.bucket).collect::<Vec<_>>(), buckets);
    let mut found: Vec<_> = loaded.iter().flat_map(|config| &config.pools).map(|config| (config.pool.id, config.checks.len())).collect();
    found.sort_unstable();
    let mut expected: Vec<_> = pools.iter().map(|pool| (pool.id, pool.origins.len())).collect();
    expected.sort_unstable();
    assert_eq!(found, expected);
    for config in loaded.iter().flat_map(|config| &config.pools) {
        assert!(config.monitoring.judges());
        let states: Vec<CheckId> = config.checks.iter().map(|check| check.check_id).collect();
        let origins: Vec<CheckId> = config.pool.origins.iter().map(|origin| origin.check_id).collect();
        assert_eq!(states, origins);
    }
    assert!(world.store().load(&[]).await.unwrap().is_empty());
}

pub(crate) async fn registered_pops_are_told_in_order(world: &impl World) {
    let london = world.register_pop("lhr", Region::Weu).await;
    let paris = world.register_pop("cdg", Region::Weu).await;
    assert_eq!(world.store().registered_pops().await.unwrap(), [london, paris]);
}

pub(crate) async fn votes_are_kept_for_checks_that_are_there(world: &impl World) {
    let store = world.store();
    let pool = world.add_pool(2).await;
    let gone = world.add_pool(1).await;
    let votes = |age_ms| PackedVotes {
        electorate: Electorate::new(vec![RegionSeats::new(Some(Region::Weu), vec![PopNo(4), PopNo(9)])]),
        ballots: vec![
            Ballot::Missing,
            Ballot::Cast {
                state: VoteState::Down,
                detail: Some(BallotDetail { reason: Some(FailureReason::HttpTimeout), response_code: None, rtt_us: None }),
                age_ms,
            },
        ],
        members: Vec::new(),
    };
    let row = |pool: &quorate_core::pool::Pool, origin: usize, age_ms| VoteRow {
        account_id: pool.account_id,
        bucket: Bucket::of(pool.id),
        check_id: pool.origins[origin].check_id,
        votes: votes(age_ms),
    };
    store.save_votes(&[row(&pool, 0, 1), row(&gone, 0, 1)]).await.unwrap();
    world.remove_pool(&gone).await;
    store.save_votes(&[row(&gone, 0, 2), row(&pool, 0, 2), row(&pool, 0, 3)]).await.unwrap();
    store.save_votes(&[]).await.unwrap();
    assert_eq!(world.votes_of(&pool).await, [Some(votes(3)), None]);
}

pub(crate) async fn an_outage_of_the_quorum_is_noted_once_and_its_end_once(world: &impl World) {
    let store = world.store();
    let pool = world.add_pool(1).await;
    let notice = |lost| QuorumNotice { account_id: pool.account_id, bucket: Bucket::of(pool.id), pool_id: pool.id, lost };
    let mut noted = Vec::new();
    for lost in [false, true, true, false, false, true] {
        noted.push(store.note_quorum(notice(lost)).await.unwrap());
    }
    assert_eq!(noted, [false, true, false, true, false, true]);
    assert!(load_pool(store, pool.id).await.1.quorum_lost_since.is_some());
    assert!(world.recorded().await.is_empty(), "never a health event");
    world.remove_pool(&pool).await;
    assert!(!store.note_quorum(notice(false)).await.unwrap());
}

pub(crate) async fn a_time_in_which_nobody_could_decide_is_recorded_once(world: &impl World) {
    let store = world.store();
    assert_eq!(store.pulse(NONE).await.unwrap(), None, "before the first word there was nothing to decide");
    for longer in [LONG, Duration::MAX] {
        assert_eq!(store.pulse(longer).await.unwrap(), None, "not long enough");
    }
    let gap = store.pulse(NONE).await.unwrap().expect("longer than an instant");
    assert!(gap.began_at < gap.ended_at);
    let next = store.pulse(NONE).await.unwrap().expect("longer than an instant");
    assert_eq!(next.began_at, gap.ended_at, "each time begins with the last word");
}

/// Makes a test of each case.
macro_rules! hold {
    ($world:ty: $($case:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $case() {
                $crate::verdicts::cases::$case(&<$world as $crate::verdicts::World>::new().await).await;
            }
        )*
    };
}
pub(crate) use hold;

/// The whole contract, for one implementation.
macro_rules! contract {
    ($world:ty) => {
        $crate::verdicts::cases::hold! {
            $world:
            heartbeats_tell_who_lives_and_how_many_sessions,
            a_bucket_is_claimed_only_from_the_dead,
            two_replicas_that_fight_share_every_bucket_and_none_twice,
            handing_over_fences_the_old_owner,
            leaving_frees_the_buckets_and_forgets_the_replica,
            a_verdict_is_published_together_with_its_pool_and_event,
            a_commit_under_an_old_epoch_writes_nothing,
            a_commit_under_an_old_configuration_writes_nothing,
            a_commit_that_does_not_fit_is_stale_and_writes_nothing_of_the_rest_either,
            an_event_of_a_check_that_does_not_change_is_refused,
            a_pool_changed_by_configuration_is_an_event_without_a_check,
            after_a_lost_answer_reading_again_tells_and_the_change_is_not_recorded_twice,
            a_check_under_a_new_generation_keeps_its_verdict_and_its_count,
            seats_are_written_by_the_owner_and_bump_the_configuration,
            a_load_answers_each_bucket_asked_for_in_that_order,
            registered_pops_are_told_in_order,
            votes_are_kept_for_checks_that_are_there,
            an_outage_of_the_quorum_is_noted_once_and_its_end_once,
            a_time_in_which_nobody_could_decide_is_recorded_once,
        }
    };
}
pub(crate) use contract;
