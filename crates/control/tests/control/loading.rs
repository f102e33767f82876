//! What cannot be loaded keeps nothing else from being decided, and much to do at once stalls nothing.

use std::collections::BTreeSet;

use quorate_core::bucket::Bucket;
use quorate_core::ids::{CheckId, PoolId};
use quorate_core::monitor::MonitorSettings;
use quorate_core::pool::Pool;
use quorate_core::vote::VoteState;

use crate::worker::{Heard, Script, Worker};
use crate::world::{World, check_id, holds, monitor_id, nine_say_up, pool, until};

/// A pool of one origin whose id and check id are of a number, if its bucket `is_fit`.
fn numbered(number: u32, is_fit: impl Fn(Bucket) -> bool) -> Option<Pool> {
    let mut id = [7; 16];
    id[..4].copy_from_slice(&number.to_be_bytes());
    let mut numbered = pool(1, 1);
    numbered.id = PoolId::from_bytes(id);
    numbered.origins[0].check_id = CheckId::from_bytes(id);
    numbered.settings.name = format!("pool-{number}");
    is_fit(Bucket::of(numbered.id)).then_some(numbered)
}

/// A world with a pool, and another one whose bucket fits.
fn two_pools(is_fit: impl Fn(Bucket) -> bool) -> (World, Pool) {
    let world = World::new();
    world.store.put_monitor(monitor_id(), MonitorSettings::default());
    world.store.put_pool(pool(1, 1));
    let other = (1..).find_map(|number| numbered(number, &is_fit)).unwrap();
    world.store.put_pool(other.clone());
    (world, other)
}

#[tokio::test]
async fn a_pool_that_cannot_be_read_is_left_out_of_its_bucket_and_the_others_are_decided() {
    let bucket = Bucket::of(pool(1, 1).id);
    let (world, other) = two_pools(|other| other == bucket);
    world.store.spoil_pool(other.id, true);
    let control = world.ready_control().await;
    let mut workers = world.workers(&control, 1).await;
    for worker in &mut workers {
        worker.says(|_| VoteState::Up).await;
    }
    world.until_events(1).await;
    assert_eq!(world.events()[0].pool_id, pool(1, 1).id);

    world.store.spoil_pool(other.id, false);
    for worker in &mut workers {
        worker.holds_checks(2).await;
        worker.says(|_| VoteState::Up).await;
    }
    assert_eq!(world.until_events(2).await[1].pool_id, other.id);
    control.stop().await;
}

#[tokio::test]
async fn a_bucket_that_cannot_be_loaded_is_told_by_readiness_and_the_others_are_decided() {
    let bucket = Bucket::of(pool(1, 1).id);
    let (world, other) = two_pools(|other| other > bucket && other.number() / 128 == bucket.number() / 128);
    world.store.refuse_loads(bucket, true);
    let control = world.control().await;
    let mut workers = world.workers(&control, 1).await;
    for worker in &mut workers {
        worker.says(|_| VoteState::Up).await;
    }
    assert_eq!(world.until_events(1).await[0].pool_id, other.id);
    let told = control.ready().unwrap_err();
    assert!(told.starts_with("1 of the buckets") && told.contains(&format!("bucket {}", bucket.number())), "{told}");

    world.store.refuse_loads(bucket, false);
    until("it is served", async || control.ready()).await;
    for worker in &mut workers {
        worker.holds_checks(2).await;
        worker.says(|_| VoteState::Up).await;
    }
    assert_eq!(world.until_events(2).await[1].pool_id, pool(1, 1).id);
    control.stop().await;
}

#[tokio::test]
async fn workers_are_told_where_to_vote_once_their_votes_can_be_taken() {
    let (world, _) = two_pools(|_| true);
    world.store.hold_loads(true);
    let control = world.control().await;
    let mut workers = Vec::new();
    for pop in &world.pops {
        workers.push(Worker::dials(control.address(), Script::of(pop)).await);
    }
    until("the buckets are being loaded", async || holds(world.store.loads_held() > 0, "no load")).await;
    let knows_nothing = |heard: &Heard| heard.welcomes.is_empty() && heard.map.is_none();
    assert!(workers.iter().all(|worker| worker.look(|heard| knows_nothing(heard))));
    assert!(control.ready().is_err());

    world.store.hold_loads(false);
    for worker in &mut workers {
        worker.until("it is welcome and knows the map", |heard| !heard.welcomes.is_empty() && heard.map.is_some()).await;
        worker.holds_checks(2).await;
        worker.says(|_| VoteState::Up).await;
    }
    world.until_events(2).await;
    control.stop().await;
}

#[tokio::test]
async fn a_database_that_was_restored_under_a_running_control_plane_is_followed_back() {
    let (world, control, mut workers) = nine_say_up().await;
    let backup = world.store.backup();
    let before = workers[0].held();
    world.store.put_pool(pool(1, 2));
    for worker in &mut workers {
        worker.holds_checks(2).await;
        worker.says(|_| VoteState::Up).await;
    }
    world.until_events(2).await;

    world.store.restore(backup);
    for worker in &mut workers {
        worker.holds_checks(1).await;
        assert_eq!(worker.held(), before, "the version that the database has now");
        worker.says(|_| VoteState::Down).await;
    }
    let events = world.until_events(2).await;
    assert_eq!((events[1].check_id, events[1].body.origins[0].healthy), (Some(check_id(1, 1)), Some(false)));
    world.until_votes(check_id(1, 1), "DDD DDD DDD").await;

    // The next number was another configuration's before.
    world.store.put_pool(pool(1, 3));
    for worker in &mut workers {
        worker.holds_checks(3).await;
        worker.says(|_| VoteState::Up).await;
    }
    world.until_votes(check_id(1, 3), "UUU UUU UUU").await;
    control.stop().await;
}

#[tokio::test]
async fn seats_of_many_buckets_are_written_sixty_four_a_pass() {
    let world = World::new();
    world.store.put_monitor(monitor_id(), MonitorSettings::default());
    let pools: Vec<Pool> = (1..=300).filter_map(|number| numbered(number, |_| true)).collect();
    let buckets: BTreeSet<Bucket> = pools.iter().map(|pool| Bucket::of(pool.id)).collect();
    assert!(buckets.len() > 192);
    for pool in pools {
        world.store.put_pool(pool);
    }
    let control = world.ready_control().await;
    until("all are seated", async || {
        let seated: usize = world.store.seatings().iter().sum();
        holds(seated >= buckets.len(), seated)
    })
    .await;
    let passes: Vec<usize> = world.store.seatings().into_iter().filter(|seated| *seated > 0).collect();
    assert!(passes.iter().all(|seated| *seated <= 64), "{passes:?}");
    assert_eq!(passes.iter().sum::<usize>(), buckets.len(), "each once: {passes:?}");
    control.stop().await;
}
