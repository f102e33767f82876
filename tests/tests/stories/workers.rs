//! Who may vote.

use std::time::{Duration, Instant};

use quorate_testkit::operator::every_second;
use quorate_testkit::origins::Behaviour;
use quorate_testkit::process::Launch;
use quorate_testkit::until::{holds, until};
use quorate_testkit::world::{Plan, VERDICT_MAX};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::evidence::{region, votes};

#[tokio::test]
async fn a_worker_with_an_unknown_or_revoked_token_has_no_vote() {
    let mut world = Plan::small().build().await;
    let shop = world.origin().await;
    let monitor = world.operator.creates_monitor(&every_second()).await;
    let pool = world.healthy_pool(&world.pool_of("shop", &monitor, &[&shop])).await;

    // A token of another installation: well formed, and not ours.
    let elsewhere = Plan::small().build().await;
    let stranger = world.launches_worker(world.workers[0].place, &elsewhere.workers[0].token);
    drop(elsewhere);
    until("the stranger is not ready and says why", VERDICT_MAX, async || {
        let (status, text) = stranger.readiness().await?;
        holds(status == 503 && !text.is_empty(), (status, text))
    })
    .await;

    // A revoked one: its session ends, and its PoP has no seat any more.
    let revoked = world.workers[0].place;
    world.runs(&["worker-token", "revoke", revoked.code]).await.succeeded();
    let gone = |evidence: &Value| votes(evidence).iter().all(|vote| vote["pop_code"] != revoked.code || vote["vote"] == "missing");
    world.until_evidence("its vote is gone", &pool, "origin-1", gone).await;
    world.workers[0].process.kill().await;
    let again = world.launches_worker(revoked, &world.workers[0].token);
    until("a revoked worker is not ready", VERDICT_MAX, async || {
        let (status, text) = again.readiness().await?;
        holds(status == 503 && !text.is_empty(), (status, text))
    })
    .await;
    let evidence = world.until_evidence("its vote stays away", &pool, "origin-1", gone).await;
    assert_eq!(region(&evidence, revoked.region)["up"], 0, "{evidence:#}");
    assert_eq!(evidence["verdict"], "up");

    // A region without workers still counts among the three, so both of the others have to agree.
    shop.behaves_towards(&[world.workers[1].source], &Behaviour::Code(500));
    let one_down = |evidence: &Value| region(evidence, world.workers[1].place.region)["down"] == 1;
    let evidence = world.until_evidence("one of two says down", &pool, "origin-1", one_down).await;
    assert_eq!((&evidence["verdict"], &evidence["majority"]), (&json!("up"), &Value::Null));
    world.until_events(&pool, 1).await;
}

#[tokio::test]
async fn a_malformed_token_is_told_at_once() {
    let world = Plan::small().build().await;
    let worker = |token: &str| {
        Launch::new("wrong", &["worker"], world.dir())
            .envs(world.environment())
            .env("QUORATE_CONTROL_URLS", world.controls[0].grpc_url())
            .env("QUORATE_WORKER_TOKEN", token)
            .env("QUORATE_WORKER__LISTEN", format!("{}:18082", world.net.worker(50)))
    };
    for token in ["", "qwt_", "qwt_bm90IGpzb24", "hello"] {
        let ended = worker(token).run().await;
        assert_eq!(ended.code, Some(2), "{token:?}: {ended:#?}");
        assert!(ended.stderr.contains("token"), "{token:?}: {ended:#?}");
    }
}

#[tokio::test]
async fn a_plaintext_dial_beyond_loopback_is_refused() {
    let world = Plan::small().build().await;
    let ended = Launch::new("plain", &["worker"], world.dir())
        .envs(world.environment())
        .env("QUORATE_CONTROL_URLS", "http://192.0.2.1:8081")
        .env("QUORATE_WORKER_TOKEN", &world.workers[0].token)
        .env("QUORATE_WORKER__LISTEN", format!("{}:18082", world.net.worker(50)))
        .run()
        .await;
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    assert!(ended.stderr.contains("192.0.2.1") && ended.stderr.contains("TLS"), "{ended:#?}");
}

#[tokio::test]
async fn of_two_processes_with_one_identity_the_later_votes_and_the_earlier_says_that_it_is_fenced() {
    let mut world = Plan::small().build().await;
    let shop = world.origin().await;
    let monitor = world.operator.creates_monitor(&every_second()).await;
    let pool = world.healthy_pool(&world.pool_of("shop", &monitor, &[&shop])).await;

    let mut second = world.launches_worker(world.workers[0].place, &world.workers[0].token);
    second.is_ready().await;
    until("the earlier process is fenced", VERDICT_MAX, async || {
        let (status, text) = world.workers[0].readiness().await?;
        holds(status == 503 && text.contains("fence"), (status, text))
    })
    .await;

    // The vote of the PoP is the later one's: what the earlier sees does not count.
    shop.behaves_towards(&[second.source], &Behaviour::Code(500));
    let place = world.workers[0].place;
    let says_down = |evidence: &Value| region(evidence, place.region)["down"] == 1;
    world.until_evidence("the later process votes", &pool, "origin-1", says_down).await;
    world.until_events(&pool, 1).await;
    assert!(world.workers[0].process.is_running(), "a fenced process probes on and waits");
}

#[tokio::test]
async fn a_worker_that_is_stopped_says_goodbye_and_its_vote_is_missing_at_once() {
    let mut world = Plan::small().default_timings().build().await;
    let shop = world.origin().await;
    let monitor = world.operator.creates_monitor(&every_second()).await;
    let pool = world.healthy_pool(&world.pool_of("shop", &monitor, &[&shop])).await;

    // The session lease is 35 s here, and a round 10 s: only a goodbye makes it so quick.
    let status = world.workers[0].process.stop(Duration::from_secs(5)).await;
    assert!(status.success(), "{status}");
    let gone = Instant::now();
    let place = world.workers[0].place;
    world.until_evidence("its vote is missing", &pool, "origin-1", |evidence| region(evidence, place.region)["missing"] == 1).await;
    assert!(gone.elapsed() < Duration::from_secs(3), "{:?}", gone.elapsed());
    world.until_events(&pool, 1).await;
}

#[tokio::test]
async fn workers_that_stood_still_blame_no_origin_for_what_they_have_missed() {
    // Their sessions outlast it, so that they are heard as soon as they go on.
    let world = Plan::small().default_timings().build().await;
    let shop = world.origin().await;
    let timeout = Duration::from_secs(4);
    let monitor = world.operator.creates_monitor(&json!({ "type": "http", "interval": 10, "timeout": 4, "retries": 0 })).await;
    let pool = world.healthy_pool(&world.pool_of("shop", &monitor, &[&shop])).await;

    // Each worker is stopped while it waits for an answer.
    shop.behaves(Behaviour::Silent);
    let mut waiting: Vec<_> = world.workers.iter().collect();
    let before = shop.contact_count();
    until("every worker waits for the origin, and is stopped", VERDICT_MAX, async || {
        let asked = shop.contacts_after(before);
        waiting.retain(|worker| {
            let is_asking = asked.iter().any(|contact| contact.from == worker.source && contact.request.is_some());
            if is_asking {
                worker.process.signal(Signal::STOP);
            }
            !is_asking
        });
        holds(waiting.is_empty(), &waiting)
    })
    .await;
    // All that they had is over when they go on, and the origin was never away for those who ask.
    tokio::time::sleep(timeout + Duration::from_millis(500)).await;
    shop.behaves(Behaviour::Healthy);
    let before = shop.contact_count();
    for worker in &world.workers {
        worker.process.signal(Signal::CONT);
    }
    until("every worker has asked again", VERDICT_MAX, async || {
        let asked = shop.contacts_after(before);
        holds(world.workers.iter().all(|worker| asked.iter().any(|contact| contact.from == worker.source)), asked)
    })
    .await;
    let all_up = |evidence: &Value| votes(evidence).iter().filter(|vote| vote["vote"] == "up").count() == 3;
    world.until_evidence("all vote for the origin", &pool, "origin-1", all_up).await;
    world.until_events(&pool, 1).await;
}
