//! Configuration changes while votes are on their way.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use quorate_core::time::{Clock, SystemClock};
use quorate_testkit::operator::every_second;
use quorate_testkit::origins::Behaviour;
use quorate_testkit::until::{holds, until};
use quorate_testkit::world::{Plan, VERDICT_MAX};
use serde_json::{Value, json};

use crate::evidence::{changed_origin, region};

const ROUNDS: usize = 5;

#[tokio::test]
async fn no_vote_of_the_old_configuration_decides_after_a_monitor_was_changed() {
    let world = Plan::small().build().await;
    let shop = world.origin().await;
    let monitor = world.operator.creates_monitor(&every_second()).await;
    let monitor_path = format!("{}/{monitor}", world.operator.monitors_path());
    let pool = world.healthy_pool(&world.pool_of("shop", &monitor, &[&shop])).await;

    // In each round the origin changes its answer and the monitor what it expects. What fails under the old
    // expectation is on its way while the new one is answered; from then on the origin is healthy.
    let (mut answers, mut next) = (200, 204);
    for _ in 0..ROUNDS {
        let before = shop.contact_count();
        shop.behaves(Behaviour::Code(next));
        until("one worker has seen the new answer", VERDICT_MAX, async || {
            let seen = shop.contacts_after(before);
            holds(seen.iter().any(|contact| contact.behaviour == Behaviour::Code(next)), seen)
        })
        .await;
        world.operator.patch(&monitor_path, &json!({ "expected_codes": next.to_string() })).await.result();
        let answered = SystemClock.now();
        world.until_all_up(&pool).await;
        for event in world.operator.events_of(&pool).await {
            let occurred: Timestamp = event["timestamp"].as_str().unwrap().parse().unwrap();
            let went_down = changed_origin(&event)["healthy"] == false;
            assert!(!(went_down && occurred > answered), "an old vote decided after {answered}: {event:#}");
        }
        (answers, next) = (next, answers);
    }

    // The votes of the present configuration do decide.
    shop.behaves(Behaviour::Code(next));
    world.until_evidence("the last configuration is in force", &pool, "origin-1", |evidence| evidence["verdict"] == "down").await;
    assert_ne!(answers, next);
}

#[tokio::test]
async fn a_vote_of_the_old_configuration_is_missing_under_the_new_one() {
    let world = Plan::small().build().await;
    let shop = world.origin().await;
    let mut patient = every_second();
    patient["timeout"] = json!(10);
    let monitor = world.operator.creates_monitor(&patient).await;
    let pool = world.healthy_pool(&world.pool_of("shop", &monitor, &[&shop])).await;
    world.until_events(&pool, 1).await;
    let (old, new) = (&world.workers[0], &world.workers[1]);

    // One says down under the old configuration, and takes its time under the new one.
    shop.behaves_towards(&[old.source], &Behaviour::Code(500));
    let old_says_down = |evidence: &Value| region(evidence, old.place.region)["down"] == 1;
    world.until_evidence("one says down", &pool, "origin-1", old_says_down).await;
    shop.behaves_towards(&[old.source], &Behaviour::Slow(Duration::from_secs(5)));
    let path = format!("{}/{monitor}", world.operator.monitors_path());
    world.operator.patch(&path, &json!({ "path": "/ready" })).await.result();

    let old_is_missing = |evidence: &Value| region(evidence, old.place.region)["missing"] == 1;
    world.until_evidence("its vote is missing", &pool, "origin-1", old_is_missing).await;

    // Another says down under the new one. Together they would be a majority.
    shop.behaves_towards(&[new.source], &Behaviour::Code(500));
    let new_says_down = |evidence: &Value| region(evidence, new.place.region)["down"] == 1;
    let evidence = world.until_evidence("another says down", &pool, "origin-1", new_says_down).await;
    assert!(old_is_missing(&evidence), "{evidence:#}");
    assert_eq!(evidence["verdict"], "up");

    let old_is_back = |evidence: &Value| region(evidence, old.place.region)["up"] == 1;
    world.until_evidence("the slow one has answered", &pool, "origin-1", old_is_back).await;
    world.until_events(&pool, 1).await;
}

#[tokio::test]
async fn a_changed_monitor_is_probed_with_by_every_worker_within_three_seconds() {
    let world = Plan::nine().build().await;
    let shop = world.origin().await;
    let monitor = world.operator.creates_monitor(&every_second()).await;
    let monitor_path = format!("{}/{monitor}", world.operator.monitors_path());
    let pool = world.healthy_pool(&world.pool_of("shop", &monitor, &[&shop])).await;

    world.operator.patch(&monitor_path, &json!({ "path": "/ready" })).await.result();
    let changed = Instant::now();
    let limit = Duration::from_secs(3);
    until("every worker asks for /ready", limit, async || {
        let asks_anew = |source: &_| {
            let asked =
                |contact: &quorate_testkit::origins::Contact| contact.request.as_ref().is_some_and(|request| request.path == "/ready");
            shop.contacts().iter().any(|contact| contact.from == *source && asked(contact))
        };
        let missing: Vec<_> = world.workers.iter().map(|worker| worker.source).filter(|source| !asks_anew(source)).collect();
        holds(missing.is_empty(), missing)
    })
    .await;
    println!("every worker probed under the new configuration after {:?}", changed.elapsed());

    // A change that does not concern the probe keeps the votes: none is missing until each worker has probed again.
    world.until_all_up(&pool).await;
    world.operator.patch(&monitor_path, &json!({ "description": "the shop" })).await.result();
    let before = shop.contact_count();
    until("every worker probes on", VERDICT_MAX, async || {
        let view = world.operator.quorum_of(&pool).await;
        for region in view["origins"][0]["evidence"]["regions"].as_array().expect("the view is there") {
            assert_eq!(region["missing"], 0, "{view:#}");
        }
        let seen = shop.contacts_after(before);
        let missing: Vec<_> =
            world.workers.iter().map(|worker| worker.source).filter(|source| !seen.iter().any(|contact| contact.from == *source)).collect();
        holds(missing.is_empty(), missing)
    })
    .await;
    world.until_events(&pool, 1).await;
}

#[tokio::test]
async fn an_origin_is_added_moved_disabled_and_removed_and_only_what_it_concerns_is_asked_again() {
    let world = Plan::small().build().await;
    let (first, second) = (world.origin().await, world.origin().await);
    let monitor = world.operator.creates_monitor(&every_second()).await;
    let pool = world.healthy_pool(&world.pool_of("shop", &monitor, &[&first])).await;
    let path = world.operator.pool_path(&pool);

    // Added: its first verdict is an event of its own.
    world.operator.put(&path, &world.pool_of("shop", &monitor, &[&first, &second])).await.result();
    world.until_all_up(&pool).await;
    let events = world.until_events(&pool, 2).await;
    assert_eq!(changed_origin(&events[1])["name"], "origin-2");

    // Moved to a dead address: the verdict stands until a majority has seen it there.
    let mut moved = world.pool_of("shop", &monitor, &[&first, &second]);
    second.closes().await;
    let third = world.origin().await;
    third.behaves(Behaviour::Code(500));
    moved["origins"][1]["address"] = json!(third.address().to_string());
    moved["origins"][1]["port"] = json!(third.port());
    world.operator.put(&path, &moved).await.result();
    world.until_evidence("the moved origin is down", &pool, "origin-2", |evidence| evidence["verdict"] == "down").await;

    // Disabled: no longer probed.
    let mut disabled = moved.clone();
    disabled["origins"][1]["enabled"] = json!(false);
    world.operator.put(&path, &disabled).await.result();
    let is_left_alone = async || {
        let before = third.contact_count();
        let beside = first.contact_count();
        // Two more rounds of probes of the other origin by every worker are the clock here.
        until("the other origin is probed on", VERDICT_MAX, async || {
            let probed = first.contact_count() - beside;
            holds(probed >= 3 * world.workers.len(), probed)
        })
        .await;
        third.contact_count() == before
    };
    until("nobody probes the disabled origin", VERDICT_MAX, async || holds(is_left_alone().await, third.contact_count())).await;

    // Removed.
    let removed = world.pool_of("shop", &monitor, &[&first]);
    let result = world.operator.put(&path, &removed).await;
    assert_eq!(result.result()["origins"].as_array().map(Vec::len), Some(1));
    let view = world.operator.quorum_of(&pool).await;
    assert_eq!(view["origins"].as_array().map_or(0, Vec::len), 1, "{view:#}");
    let names: Vec<&Value> = view["origins"].as_array().unwrap().iter().map(|origin| &origin["name"]).collect();
    assert_eq!(names, ["origin-1"]);
}
