//! What workers are asked to probe, and how little is sent for a change.

use std::time::Duration;

use quorate_core::monitor::MonitorSettings;
use quorate_core::vote::VoteState;
use quorate_proto::v1;
use quorate_proto::v1::worker_message::Body as ToControl;
use quorate_store::worker_tokens::Manifests;

use crate::worker::{Script, Worker};
use crate::world::{World, check_id, holds, monitor_id, nine_say_up, pool, until};

#[tokio::test]
async fn a_change_is_a_difference_and_its_version_moves_the_votes_along() {
    let (world, control, mut workers) = nine_say_up().await;
    let mut grown = pool(1, 3);
    grown.origins[0].config_gen = 2;
    world.store.put_pool(grown);
    let worker = &mut workers[0];
    worker.holds_checks(3).await;
    let step = worker.look(|heard| heard.steps.last().cloned()).unwrap();
    assert_ne!(step.from_version, 0, "not the whole again");
    assert_eq!((step.add.len(), step.remove.len()), (3, 0), "one of another generation, and two new ones");
    world.store.put_pool(pool(1, 2));
    worker.holds_checks(2).await;
    let step = worker.look(|heard| heard.steps.last().cloned()).unwrap();
    assert_eq!((step.add.len(), step.remove.len()), (1, 1));
    for worker in &mut workers {
        worker.holds_checks(2).await;
        worker.says(|_| VoteState::Up).await;
    }
    world.until_votes(check_id(1, 2), "UUU UUU UUU").await;
    world.store.remove_pool(pool(1, 2).id);
    workers[0].until("it is told that nothing is left", |heard| heard.drops.len() == 1 && heard.held.is_empty()).await;
    control.stop().await;
}

#[tokio::test]
async fn a_worker_that_comes_back_with_what_it_held_is_sent_nothing() {
    let (world, control, mut workers) = nine_say_up().await;
    let remembered = workers[0].remembers();
    let held = workers[0].held();
    drop(workers.remove(0));
    let mut script = Script::of(world.pop(1));
    script.hello.held.clone_from(&remembered);
    let mut worker = Worker::dials(control.address(), script.clone()).await;
    worker.until("it is let in", |heard| heard.map.is_some()).await;
    worker.says_of(held.clone(), |_| VoteState::Down).await;
    world.until_votes(check_id(1, 1), "UUU DUU UUU").await;
    assert!(worker.look(|heard| heard.steps.is_empty()));

    // Another content under the same version: the whole.
    script.hello.held[0].hash += 1;
    let worker = Worker::dials(control.address(), script.clone()).await;
    worker.holds_checks(1).await;
    assert_eq!(worker.look(|heard| heard.steps[0].from_version), 0);
    // The same content under another version: a step without content.
    script.hello.held[0].hash = remembered[0].hash;
    script.hello.held[0].version -= 1;
    let worker = Worker::dials(control.address(), script).await;
    worker.until("it is moved along", |heard| !heard.steps.is_empty()).await;
    let step = worker.look(|heard| heard.steps[0].clone());
    assert_eq!((step.from_version + 1, step.to_version, step.add.len()), (remembered[0].version, remembered[0].version, 0));
    control.stop().await;
}

#[tokio::test]
async fn a_worker_that_asks_for_the_whole_or_votes_under_an_unknown_version_gets_it() {
    let (world, control, mut workers) = nine_say_up().await;
    let worker = &mut workers[0];
    let (bucket, held) = worker.held().into_iter().next().unwrap();
    let wholes = |heard: &crate::worker::Heard| heard.steps.iter().filter(|step| step.from_version == 0).count();
    let before = worker.look(|heard| wholes(heard));
    worker
        .sends(ToControl::ManifestAck(v1::ManifestAck { bucket: bucket.number().into(), version: 0, nonce: 0, rejected: Vec::new() }))
        .await;
    worker.until("the whole comes", |heard| wholes(heard) == before + 1).await;

    // Long after everybody forgot it.
    let mut ancient = held.clone();
    ancient.version = 1;
    worker.says_of([(bucket, ancient)].into(), |_| VoteState::Down).await;
    worker.until("the whole comes", |heard| wholes(heard) == before + 2).await;
    world.until_votes(check_id(1, 1), "UUU UUU UUU").await;
    control.stop().await;
}

#[tokio::test]
async fn who_lists_the_workers_sees_which_of_them_lags_behind_the_configuration() {
    let (world, control, mut workers) = nine_say_up().await;
    let pop = world.pop(1).no;
    let sees = async |claim: &str, wanted: u32, behind: u32, checks: u32| {
        until(claim, async || {
            let seen = world.registry.seen(pop);
            let expected = (Manifests { wanted, behind }, checks);
            holds(seen.as_ref().is_some_and(|seen| (seen.manifests, seen.checks) == expected), seen)
        })
        .await;
    };
    sees("it has what it is asked", 1, 0, 1).await;
    workers[0].look(|heard| heard.stubborn = true);
    world.store.put_pool(pool(1, 2));
    workers[0].until("the change was sent", |heard| heard.steps.len() == 2).await;
    sees("it has not acknowledged it", 1, 1, 2).await;
    drop(workers.remove(0));
    let mut worker = Worker::dials(control.address(), Script::of(world.pop(1))).await;
    worker.holds_checks(2).await;
    worker.says(|_| VoteState::Up).await;
    sees("it has it", 1, 0, 2).await;
    control.stop().await;
}

#[tokio::test]
async fn a_change_reaches_every_worker_within_three_seconds() {
    let mut world = World::new();
    // The product's own poll; nothing pokes it here.
    world.timings.poll_ms = 1_000;
    world.store.put_monitor(monitor_id(), MonitorSettings::default());
    let control = world.ready_control().await;
    let workers = world.workers(&control, 0).await;
    let begun = std::time::Instant::now();
    for number in 1..=20 {
        world.store.put_pool(pool(number, 5));
    }
    for worker in &workers {
        worker.holds_checks(100).await;
    }
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    control.stop().await;
}
