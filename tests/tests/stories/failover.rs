//! An origin dies and heals.

use quorate_testkit::operator::every_second;
use quorate_testkit::origins::Behaviour;
use quorate_testkit::world::Plan;
use serde_json::{Value, json};

use crate::evidence::{changed_origin, votes};

#[tokio::test]
async fn an_origin_dies_and_heals_with_one_event_each_way_that_says_who_voted_what_and_why() {
    let world = Plan::nine().build().await;
    let (shop, spare) = (world.origin().await, world.origin().await);
    let monitor = world.operator.creates_monitor(&every_second()).await;
    let pool = world.healthy_pool(&world.pool_of("shop", &monitor, &[&shop, &spare])).await;
    // Each origin's first verdict, from unknown to up, is an event too.
    world.until_events(&pool, 2).await;

    shop.closes().await;
    let all_down = |evidence: &Value| votes(evidence).iter().all(|vote| vote["vote"] == "down");
    world.until_evidence("every seat says down", &pool, "origin-1", all_down).await;
    let events = world.until_events(&pool, 3).await;
    let event = &events[2];
    let origin = changed_origin(event);
    assert_eq!(origin["name"], "origin-1");
    assert_eq!(origin["address"], shop.address().to_string());
    assert_eq!(origin["healthy"], false);
    assert_eq!(origin["failure_reason"], "TCP connection failed");
    assert_eq!(origin["failure_code"], "tcp_connection_failed");
    // The other origin carries the pool.
    assert_eq!(event["pool"]["healthy"], true);
    assert_eq!(event["pool"]["changed"], false);
    let other = event["origins"].as_array().unwrap().iter().find(|origin| origin["name"] == "origin-2").unwrap();
    assert_eq!((&other["healthy"], &other["changed"]), (&json!(true), &json!(false)));

    // The evidence is of that very instant: a bare majority of a majority suffices, and each who said down says why.
    let evidence = &origin["evidence"];
    assert_eq!(evidence["majority"], "down");
    let regions = evidence["regions"].as_array().unwrap();
    assert!(regions.iter().filter(|region| region["verdict"] == "down").count() >= 2, "{evidence:#}");
    let down: Vec<_> = votes(evidence).into_iter().filter(|vote| vote["vote"] == "down").collect();
    assert!(down.len() >= 4, "{evidence:#}");
    for vote in down {
        assert_eq!(vote["failure_code"], "tcp_connection_failed", "{vote:#}");
    }
    let places: Vec<_> = votes(evidence).iter().map(|vote| vote["pop"].as_str().unwrap().to_owned()).collect();
    assert_eq!(places.len(), 9, "{places:?}");
    assert!(places.contains(&"London, GB".to_owned()), "{places:?}");

    shop.opens().await;
    world.until_all_up(&pool).await;
    let events = world.until_events(&pool, 4).await;
    let origin = changed_origin(&events[3]);
    assert_eq!((&origin["name"], &origin["healthy"]), (&json!("origin-1"), &json!(true)));
    assert_eq!((&origin["failure_reason"], &origin["failure_code"]), (&json!("No failures"), &json!("none")));
}

#[tokio::test]
async fn the_last_origin_of_a_pool_takes_the_pool_with_it_and_brings_it_back() {
    let world = Plan::small().build().await;
    let shop = world.origin().await;
    let monitor = world.operator.creates_monitor(&every_second()).await;
    let pool = world.healthy_pool(&world.pool_of("shop", &monitor, &[&shop])).await;
    world.until_events(&pool, 1).await;

    shop.behaves(Behaviour::Code(503));
    let events = world.until_events(&pool, 2).await;
    assert_eq!((&events[1]["pool"]["healthy"], &events[1]["pool"]["changed"]), (&json!(false), &json!(true)));
    let origin = changed_origin(&events[1]);
    assert_eq!((&origin["failure_code"], &origin["response_code"]), (&json!("response_code_mismatch"), &json!(503)));

    shop.behaves(Behaviour::Healthy);
    let events = world.until_events(&pool, 3).await;
    assert_eq!((&events[2]["pool"]["healthy"], &events[2]["pool"]["changed"]), (&json!(true), &json!(true)));
}

#[tokio::test]
async fn every_way_to_fail_has_its_reason() {
    let world = Plan::small().build().await;
    let monitor = world.operator.creates_monitor(&every_second()).await;
    let mut wants_body = every_second();
    wants_body["expected_body"] = json!("welcome");
    let body_monitor = world.operator.creates_monitor(&wants_body).await;
    let mut over_tls = every_second();
    over_tls["type"] = json!("https");
    let tls_monitor = world.operator.creates_monitor(&over_tls).await;
    over_tls["allow_insecure"] = json!(true);
    let insecure_monitor = world.operator.creates_monitor(&over_tls).await;
    let tcp_monitor = {
        let port = world.tcp_origin().await.port();
        world.operator.creates_monitor(&json!({ "type": "tcp", "port": port, "interval": 1, "timeout": 1, "retries": 0 })).await
    };

    let reset = world.origin().await;
    reset.behaves(Behaviour::Reset);
    let silent = world.origin().await;
    silent.behaves(Behaviour::Silent);
    let garbage = world.origin().await;
    garbage.behaves(Behaviour::Garbage);
    let wrong_code = world.origin().await;
    wrong_code.behaves(Behaviour::Code(404));
    let closed = world.origin().await;
    closed.closes().await;
    let plain = world.pool_of("plain", &monitor, &[&reset, &silent, &garbage, &wrong_code, &closed]);
    let body = world.origin().await;
    let untrusted = world.https_origin().await;
    let no_tls = world.origin().await;

    let plain = world.operator.creates_pool(&plain).await;
    let body = world.operator.creates_pool(&world.pool_of("body", &body_monitor, &[&body])).await;
    let tls = world.operator.creates_pool(&world.pool_of("tls", &tls_monitor, &[&untrusted, &no_tls])).await;
    let insecure = world.operator.creates_pool(&world.pool_of("insecure", &insecure_monitor, &[&untrusted])).await;
    // Nobody listens at this address: the monitor's port wins over the origin's.
    let tcp = world.operator.creates_pool(&world.pool_of("tcp", &tcp_monitor, &[&closed])).await;

    let expected = [
        (&plain, "origin-1", "connection_reset"),
        (&plain, "origin-2", "http_timeout"),
        (&plain, "origin-3", "http_invalid_response"),
        (&plain, "origin-4", "response_code_mismatch"),
        (&plain, "origin-5", "tcp_connection_failed"),
        (&body, "origin-1", "response_body_mismatch"),
        (&tls, "origin-1", "tls_untrusted_certificate"),
        (&tls, "origin-2", "tls_protocol_error"),
        (&insecure, "origin-1", "none"),
        (&tcp, "origin-1", "tcp_connection_failed"),
    ];
    for (pool, origin, code) in expected {
        let verdict = if code == "none" { "up" } else { "down" };
        let decided = |evidence: &Value| evidence["verdict"] == verdict && evidence["failure_code"] == code;
        world.until_evidence(&format!("{code} is told"), pool, origin, decided).await;
    }
}
