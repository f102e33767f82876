//! One story with the product's own timings, which the others run at a tenth of.

use std::time::{Duration, Instant};

use quorate_testkit::operator::every_second;
use quorate_testkit::origins::Behaviour;
use quorate_testkit::until::{holds, until};
use quorate_testkit::world::Plan;
use serde_json::json;

use crate::evidence::changed_origin;

#[tokio::test]
async fn with_default_timings_an_origin_dies_in_seconds_and_a_change_is_probed_within_three() {
    let world = Plan::small().default_timings().build().await;
    let shop = world.origin().await;
    let monitor = world.operator.creates_monitor(&every_second()).await;
    let pool = world.healthy_pool(&world.pool_of("shop", &monitor, &[&shop])).await;
    world.until_events(&pool, 1).await;

    let died = Instant::now();
    shop.behaves(Behaviour::Code(500));
    let events = world.until_events(&pool, 2).await;
    let took = died.elapsed();
    assert_eq!(changed_origin(&events[1])["healthy"], false);
    // An interval of 1 s, and our own part of at most 1.5 s.
    assert!(took < Duration::from_millis(2_500), "{took:?}");

    shop.behaves(Behaviour::Healthy);
    world.until_events(&pool, 3).await;

    let path = format!("{}/{monitor}", world.operator.monitors_path());
    world.operator.patch(&path, &json!({ "path": "/ready" })).await.result();
    until("every worker asks for /ready", Duration::from_secs(3), async || {
        let contacts = shop.contacts();
        let asked = |source| {
            contacts
                .iter()
                .any(|contact| contact.from == source && contact.request.as_ref().is_some_and(|request| request.path == "/ready"))
        };
        let missing: Vec<_> = world.workers.iter().map(|worker| worker.source).filter(|source| !asked(*source)).collect();
        holds(missing.is_empty(), missing)
    })
    .await;
}
