//! Two replicas over one store: the other takes over with warm votes, and nothing is told twice.

use std::time::Duration;

use quorate_core::bucket::Bucket;
use quorate_core::ids::ReplicaId;
use quorate_core::monitor::MonitorSettings;
use quorate_core::vote::VoteState;
use quorate_proto::v1;
use quorate_store::verdicts::VerdictStore as _;
use tokio::runtime::Runtime;

use crate::worker::{Script, Worker};
use crate::world::{Replica, World, check_id, monitor_id, pool, until};

async fn owner(world: &World) -> Option<ReplicaId> {
    let bucket = Bucket::of(pool(1, 1).id);
    world.store.ownerships().await.unwrap()[usize::from(bucket.number())].owner
}

async fn until_owned_by(world: &World, control: &Replica) {
    until("the bucket has its owner", async || match owner(world).await {
        Some(owner) if owner == control.replica() => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
}

async fn all_say(workers: &mut [Worker], state: VoteState) {
    for worker in workers {
        worker.says(|_| state).await;
    }
}

/// A first replica in a runtime of its own, so that it can be killed, and a second one that stands by;
/// nine workers at both.
struct Pair {
    world: World,
    runtime: Runtime,
    first: Replica,
    second: Replica,
    at_first: Vec<Worker>,
    at_second: Vec<Worker>,
}

impl Pair {
    async fn new() -> Self {
        let world = World::new();
        world.store.put_monitor(monitor_id(), MonitorSettings::default());
        world.store.put_pool(pool(1, 1));
        let runtime = Runtime::new().unwrap();
        let elsewhere = World { store: world.store.clone(), registry: world.registry.clone(), pops: Vec::new(), timings: world.timings };
        let first = runtime.spawn(async move { elsewhere.control().await }).await.unwrap();
        until_owned_by(&world, &first).await;
        let second = world.ready_control().await;
        let mut at_first = world.workers(&first, 1).await;
        let mut at_second = world.workers(&second, 1).await;
        all_say(&mut at_first, VoteState::Up).await;
        all_say(&mut at_second, VoteState::Up).await;
        world.until_events(1).await;
        Self { world, runtime, first, second, at_first, at_second }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_owner_is_killed_the_standby_decides_with_its_warm_votes_and_repeats_nothing() {
    let Pair { world, runtime, first, second, at_first, mut at_second } = Pair::new().await;
    let killed = first.replica();
    drop((first, at_first));
    runtime.shutdown_background();
    // While nobody decides, the origin dies.
    let died = std::time::Instant::now();
    all_say(&mut at_second, VoteState::Down).await;
    let events = world.until_events(2).await;
    assert_eq!(events[1].body.origins[0].healthy, Some(false));
    assert!(died.elapsed() >= Duration::from_millis(u64::from(world.timings.replica_dead_ms) / 2), "it was not thought dead at once");
    assert_eq!(owner(&world).await, Some(second.replica()));
    assert_ne!(Some(killed), owner(&world).await);
    all_say(&mut at_second, VoteState::Up).await;
    assert_eq!(world.until_events(3).await[2].verdict_seq, Some(3));
    world.until_votes(check_id(1, 1), "UUU UUU UUU").await;
    assert_eq!(world.events().len(), 3, "and the takeover itself is no event");
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_that_stops_leaves_its_buckets_at_once_and_ends_its_streams() {
    let Pair { world, runtime, first, second, at_first, mut at_second } = Pair::new().await;
    let begun = std::time::Instant::now();
    first.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    for worker in &at_first {
        worker.ends().await;
        assert!(worker.look(|heard| heard.fence.is_none()));
    }
    until_owned_by(&world, &second).await;
    all_say(&mut at_second, VoteState::Down).await;
    assert_eq!(world.until_events(2).await.len(), 2);
    second.stop().await;
    assert_eq!(owner(&world).await, None);
    runtime.shutdown_background();
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_learn_who_owns_and_who_stands_by() {
    let Pair { world, runtime, first, second, at_first, at_second } = Pair::new().await;
    let bucket = usize::from(Bucket::of(pool(1, 1).id).number());
    let both_know = |heard: &crate::worker::Heard| {
        heard.map.as_ref().is_some_and(|map| {
            let name = |index: u32| index.checked_sub(1).map(|index| map.replicas[index as usize].url.clone());
            map.owner.len() == 1024
                && name(map.owner[bucket]).as_deref() == Some(first.url())
                && name(map.standby[bucket]).as_deref() == Some(second.url())
        })
    };
    at_first[0].until("the first tells it", both_know).await;
    at_second[0].until("the second tells it", both_know).await;
    let version = |worker: &Worker| worker.look(|heard| heard.map.as_ref().map(|map: &v1::BucketMap| map.version)).unwrap();
    let before = version(&at_second[0]);
    first.stop().await;
    at_second[0]
        .until("the map is newer, and has one replica", |heard| {
            heard.map.as_ref().is_some_and(|map| map.replicas.len() == 1 && map.version > before)
        })
        .await;
    let late = Worker::dials(second.address(), Script::of(world.pop(1))).await;
    late.until("who comes later gets it at once", |heard| heard.map.is_some()).await;
    second.stop().await;
    runtime.shutdown_background();
}
