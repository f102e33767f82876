//! The control plane is killed, restarted and shared. Verdicts change for what origins do, and for nothing else.

use std::time::Duration;

use quorate_testkit::operator::every_second;
use quorate_testkit::origins::Behaviour;
use quorate_testkit::postgres::scalar;
use quorate_testkit::until::{holds, until};
use quorate_testkit::world::Plan;
use serde_json::json;

use crate::evidence::changed_origin;

#[tokio::test]
async fn a_control_plane_that_is_killed_loses_no_event_and_tells_none_twice() {
    let mut world = Plan::small().build().await;
    let shop = world.origin().await;
    let monitor = world.operator.creates_monitor(&every_second()).await;
    let pool = world.healthy_pool(&world.pool_of("shop", &monitor, &[&shop])).await;
    world.until_events(&pool, 1).await;

    // Killed right after a verdict: the new process must not tell it again.
    shop.behaves(Behaviour::Code(500));
    world.until_events(&pool, 2).await;
    world.controls[0].process.kill().await;
    world.controls[0].starts_again().await;
    world.until_evidence("the votes are back", &pool, "origin-1", |evidence| evidence["majority"] == "down").await;
    world.until_events(&pool, 2).await;

    // Healed while it is away: told once when it is back.
    world.controls[0].process.kill().await;
    shop.behaves(Behaviour::Healthy);
    world.controls[0].starts_again().await;
    let events = world.until_events(&pool, 3).await;
    assert_eq!(changed_origin(&events[2])["healthy"], true);

    // Died and healed while it is away: nothing has changed.
    world.controls[0].process.kill().await;
    let before = shop.contact_count();
    shop.behaves(Behaviour::Code(500));
    let workers = world.workers.len();
    until("each worker has seen it fail", Duration::from_secs(10), async || {
        let mut seen: Vec<_> = shop
            .contacts_after(before)
            .into_iter()
            .filter(|contact| contact.behaviour.fails_a_plain_check())
            .map(|contact| contact.from)
            .collect();
        seen.sort_unstable();
        seen.dedup();
        holds(seen.len() == workers, seen)
    })
    .await;
    let before = shop.contact_count();
    shop.behaves(Behaviour::Healthy);
    until("each worker has seen it healed", Duration::from_secs(10), async || {
        let mut seen: Vec<_> = shop
            .contacts_after(before)
            .into_iter()
            .filter(|contact| contact.behaviour == Behaviour::Healthy)
            .map(|contact| contact.from)
            .collect();
        seen.sort_unstable();
        seen.dedup();
        holds(seen.len() == workers, seen)
    })
    .await;
    world.controls[0].starts_again().await;
    world.until_all_up(&pool).await;
    world.until_events(&pool, 3).await;
}

#[tokio::test]
async fn two_replicas_share_the_work_and_the_death_of_one_causes_no_event() {
    let mut world = Plan::small().replicas(2).build().await;
    let monitor = world.operator.creates_monitor(&every_second()).await;
    let mut pools = Vec::new();
    for index in 0..6 {
        let origin = world.origin().await;
        let pool = world.operator.creates_pool(&world.pool_of(&format!("pool-{index}"), &monitor, &[&origin])).await;
        pools.push((pool, origin));
    }
    for (pool, _) in &pools {
        world.until_all_up(pool).await;
        world.until_events(pool, 1).await;
    }
    // Both own a part of the buckets.
    let mut admin = world.database.admin().await;
    until("both replicas own buckets", Duration::from_secs(20), async || {
        let owners: i64 = scalar(&mut admin, "select count(distinct owner) from bucket_owner where owner is not null").await;
        holds(owners == 2, owners)
    })
    .await;

    world.controls[0].process.kill().await;
    let survivor = world.operator.at(&world.controls[1].api_url());
    world.operator = survivor;
    until("the other replica owns everything", Duration::from_secs(20), async || {
        let owners: i64 = scalar(&mut admin, "select count(distinct owner) from bucket_owner").await;
        let orphans: i64 = scalar(&mut admin, "select count(*) from bucket_owner where owner is null").await;
        holds(owners == 1 && orphans == 0, (owners, orphans))
    })
    .await;
    for (pool, _) in &pools {
        world.until_all_up(pool).await;
        world.until_events(pool, 1).await;
    }
    // And it decides.
    for (_, origin) in &pools {
        origin.behaves(Behaviour::Code(500));
    }
    for (pool, _) in &pools {
        let events = world.until_events(pool, 2).await;
        assert_eq!(changed_origin(&events[1])["healthy"], json!(false));
    }
}
