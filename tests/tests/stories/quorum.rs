//! Who has to agree before a verdict changes, and what missing votes do: nothing.

use std::net::IpAddr;

use quorate_testkit::operator::every_second;
use quorate_testkit::origins::{Behaviour, Origin};
use quorate_testkit::until::{holds, until};
use quorate_testkit::world::{Plan, VERDICT_MAX, World};
use serde_json::{Value, json};

use crate::evidence::{changed_origin, region, votes};

/// Waits until each of `sources` has probed twice more: whatever the first answer caused has happened by the second.
pub(crate) async fn each_has_probed_twice(origin: &Origin, sources: &[IpAddr]) {
    let before = origin.contact_count();
    until("each has probed twice more", VERDICT_MAX, async || {
        let contacts = origin.contacts_after(before);
        let count = |source: &IpAddr| contacts.iter().filter(|contact| contact.from == *source).count();
        let counts: Vec<_> = sources.iter().map(|source| (source, count(source))).collect();
        holds(counts.iter().all(|(_, count)| *count >= 2), counts)
    })
    .await;
}

/// A world of nine workers with a pool of one origin that all nine call up.
async fn nine_say_up() -> (World, Origin, String) {
    let world = Plan::nine().build().await;
    let shop = world.origin().await;
    let monitor = world.operator.creates_monitor(&every_second()).await;
    let pool = world.healthy_pool(&world.pool_of("shop", &monitor, &[&shop])).await;
    world.until_events(&pool, 1).await;
    (world, shop, pool)
}

#[tokio::test]
async fn one_region_of_three_loses_an_origin_and_the_verdict_holds() {
    let (world, shop, pool) = nine_say_up().await;

    shop.behaves_towards(&world.sources_in("WEU"), &Behaviour::Code(500));
    let weu_is_down = |evidence: &Value| region(evidence, "WEU")["down"] == 3;
    let evidence = world.until_evidence("all of WEU say down", &pool, "origin-1", weu_is_down).await;
    assert_eq!(region(&evidence, "WEU")["verdict"], "down");
    assert_eq!(region(&evidence, "ENAM")["verdict"], "up");
    assert_eq!((&evidence["verdict"], &evidence["majority"]), (&json!("up"), &json!("up")));
    // One more region, which takes two of its three.
    assert_eq!((&evidence["votes_to_flip"], &evidence["regions_to_flip"]), (&json!(2), &json!(1)));
    for vote in region(&evidence, "WEU")["votes"].as_array().unwrap() {
        assert_eq!((&vote["vote"], &vote["response_code"]), (&json!("down"), &json!(500)), "{vote:#}");
        assert_eq!(vote["failure_code"], "response_code_mismatch");
    }
    let view = world.operator.quorum_of(&pool).await;
    assert_eq!(view["state"], "degraded", "{view:#}");

    each_has_probed_twice(&shop, &world.sources_in("WEU")).await;
    world.until_events(&pool, 1).await;
}

#[tokio::test]
async fn two_regions_of_three_lose_an_origin_and_it_flips_with_one_event_that_holds_the_evidence() {
    let (world, shop, pool) = nine_say_up().await;

    shop.behaves_towards(&world.sources_in("WEU"), &Behaviour::Code(500));
    shop.behaves_towards(&world.sources_in("SEAS"), &Behaviour::Code(502));
    let both_are_down = |evidence: &Value| region(evidence, "WEU")["down"] == 3 && region(evidence, "SEAS")["down"] == 3;
    let now = world.until_evidence("all of WEU and SEAS say down", &pool, "origin-1", both_are_down).await;
    assert_eq!(now["verdict"], "down");
    // Back up: one of the two regions, which takes two votes.
    assert_eq!((&now["votes_to_flip"], &now["regions_to_flip"]), (&json!(2), &json!(1)));

    each_has_probed_twice(&shop, &world.sources_in("SEAS")).await;
    let events = world.until_events(&pool, 2).await;
    let origin = changed_origin(&events[1]);
    assert_eq!(origin["healthy"], false);
    let evidence = &origin["evidence"];
    assert_eq!(evidence["majority"], "down");
    assert_eq!(region(evidence, "ENAM")["up"], 3);
    for code in ["WEU", "SEAS"] {
        assert_eq!(region(evidence, code)["verdict"], "down", "{evidence:#}");
    }
}

#[tokio::test]
async fn a_killed_worker_is_a_missing_vote_and_nothing_flips() {
    let (mut world, shop, pool) = nine_say_up().await;

    let killed = world.workers[0].place;
    world.workers[0].process.kill().await;
    let is_missing = |evidence: &Value| region(evidence, killed.region)["missing"] == 1;
    let evidence = world.until_evidence("its vote is missing", &pool, "origin-1", is_missing).await;
    let vote = votes(&evidence).into_iter().find(|vote| vote["pop_code"] == killed.code).unwrap();
    assert_eq!(vote["vote"], "missing");
    assert_eq!((&evidence["verdict"], &evidence["quorum_lost"]), (&json!("up"), &json!(false)));
    assert_eq!(region(&evidence, killed.region)["verdict"], "up");

    // Two of its three seats are enough to decide, and both are needed.
    let others: Vec<_> = world.sources_in(killed.region)[1..].to_vec();
    shop.behaves_towards(&others[..1], &Behaviour::Code(500));
    each_has_probed_twice(&shop, &others).await;
    let split = |evidence: &Value| region(evidence, killed.region)["down"] == 1;
    let evidence = world.until_evidence("one up, one down, one missing", &pool, "origin-1", split).await;
    assert_eq!(region(&evidence, killed.region)["verdict"], Value::Null);
    world.until_events(&pool, 1).await;

    world.workers[0].starts_again().await;
    let is_back = |evidence: &Value| region(evidence, killed.region)["missing"] == 0;
    world.until_evidence("its vote is back", &pool, "origin-1", is_back).await;
    world.until_events(&pool, 1).await;
}

#[tokio::test]
async fn when_most_workers_are_silent_the_few_that_speak_decide_nothing() {
    let (mut world, shop, pool) = nine_say_up().await;

    // Two of three fall silent in two regions; whoever is left there sees the origin dead.
    for index in [0, 1, 3, 4] {
        world.workers[index].process.kill().await;
    }
    let silent = |evidence: &Value| ["WEU", "ENAM"].iter().all(|code| region(evidence, code)["missing"] == 2);
    world.until_evidence("two of three are silent", &pool, "origin-1", silent).await;
    let left = [world.workers[2].source, world.workers[5].source];
    shop.behaves_towards(&left, &Behaviour::Code(500));
    let all_who_speak_say_down = |evidence: &Value| ["WEU", "ENAM"].iter().all(|code| region(evidence, code)["down"] == 1);
    let evidence = world.until_evidence("all who speak there say down", &pool, "origin-1", all_who_speak_say_down).await;
    assert_eq!((&evidence["verdict"], &evidence["majority"]), (&json!("up"), &Value::Null));
    assert_eq!(evidence["quorum_lost"], true);
    for code in ["WEU", "ENAM"] {
        assert_eq!(region(&evidence, code)["verdict"], Value::Null, "{evidence:#}");
    }

    each_has_probed_twice(&shop, &left).await;
    world.until_events(&pool, 1).await;
}

#[tokio::test]
async fn all_workers_killed_flips_nothing_and_tells_the_operator_once() {
    let (mut world, shop, pool) = nine_say_up().await;
    let said =
        |world: &World| world.controls[0].process.log().lines().filter(|line| line.contains("quorum_lost") && line.contains(&pool)).count();
    let before = said(&world);

    // The origin is dead as well, and nobody is left to see it.
    for worker in &mut world.workers {
        worker.process.kill().await;
    }
    shop.closes().await;
    let all_missing = |evidence: &Value| evidence["quorum_lost"] == true && votes(evidence).iter().all(|vote| vote["vote"] == "missing");
    let evidence = world.until_evidence("the quorum is lost", &pool, "origin-1", all_missing).await;
    assert_eq!((&evidence["verdict"], &evidence["majority"]), (&json!("up"), &Value::Null));

    until("the loss is in the log", VERDICT_MAX, async || holds(said(&world) > before, world.controls[0].process.log_tail())).await;
    world.until_events(&pool, 1).await;

    for worker in &mut world.workers {
        worker.starts_again().await;
    }
    // What is true now is decided now: one event, for the origin that died meanwhile.
    world.until_evidence("the dead origin is seen", &pool, "origin-1", |evidence| evidence["verdict"] == "down").await;
    world.until_events(&pool, 2).await;
    assert_eq!(said(&world), before + 1, "told once");
}
