//! Standalone health checks: the same engine, the same quorum, no pool.

use std::time::Duration;

use quorate_testkit::operator::id_of;
use quorate_testkit::origins::{Behaviour, Origin};
use quorate_testkit::until::{holds, until};
use quorate_testkit::world::{Plan, VERDICT_MAX, World};
use serde_json::{Value, json};

use crate::evidence::votes;

fn path(world: &World, rest: &str) -> String {
    format!("/zones/{}/healthchecks{rest}", world.operator.zone)
}

/// A health check over the regions of the world, every second.
fn body(world: &World, origin: &Origin) -> Value {
    json!({
        "name": "shop", "address": origin.address().to_string(), "check_regions": world.regions(), "interval": 1, "timeout": 1, "retries": 0,
        "http_config": { "port": origin.port(), "path": "/health" },
    })
}

async fn until_status(world: &World, id: &str, status: &str) -> Value {
    until(&format!("it is {status}"), VERDICT_MAX, async || {
        let found = world.operator.get(&path(world, &format!("/{id}"))).await.result().clone();
        if found["status"] == status { Ok(found) } else { Err(format!("{found:#}")) }
    })
    .await
}

#[tokio::test]
async fn a_health_check_turns_unhealthy_and_healthy_again_with_the_reason_and_its_own_events() {
    let world = Plan::nine().build().await;
    let shop = world.origin().await;
    let made = world.operator.post(&path(&world, ""), &body(&world, &shop)).await;
    let id = id_of(made.result());
    assert_eq!(made.result()["status"], "unknown");
    let healthy = until_status(&world, &id, "healthy").await;
    assert_eq!((&healthy["failure_reason"], &healthy["failure_code"]), (&json!("No failures"), &json!("none")));

    // One region of three is no majority.
    shop.behaves_towards(&world.sources_in("WEU"), &Behaviour::Code(503));
    let before = shop.contact_count();
    until("every worker of the region has seen it fail", VERDICT_MAX, async || {
        let failed = shop.contacts_after(before).iter().filter(|contact| contact.behaviour == Behaviour::Code(503)).count();
        holds(failed >= 6, failed)
    })
    .await;
    until_status(&world, &id, "healthy").await;
    let view = until("the view tells of the region", VERDICT_MAX, async || {
        let view = world.operator.get(&path(&world, &format!("/{id}/quorum"))).await.result().clone();
        let down = votes(&view["evidence"]).iter().filter(|vote| vote["vote"] == "down").count();
        if down == 3 { Ok(view) } else { Err(format!("{view:#}")) }
    })
    .await;
    assert_eq!((&view["id"], &view["status"], &view["verdict"]), (&json!(id), &json!("healthy"), &json!("up")), "{view:#}");
    let flip = (&view["evidence"]["votes_to_flip"], &view["evidence"]["regions_to_flip"]);
    assert_eq!(flip, (&json!(2), &json!(1)), "two more votes make a second region: {view:#}");
    assert_eq!((&view["name"], &view["address"]), (&json!("shop"), &json!(shop.address().to_string())));

    shop.behaves(Behaviour::Code(503));
    let unhealthy = until_status(&world, &id, "unhealthy").await;
    assert_eq!(
        (&unhealthy["failure_reason"], &unhealthy["failure_code"]),
        (&json!("Response code mismatch error"), &json!("response_code_mismatch"))
    );
    shop.behaves(Behaviour::Healthy);
    until_status(&world, &id, "healthy").await;

    let events = world.operator.get(&path(&world, &format!("/{id}/events"))).await;
    let statuses: Vec<&Value> = events.result().as_array().unwrap().iter().map(|event| &event["status"]).collect();
    assert_eq!(statuses, ["healthy", "unhealthy", "healthy"], "newest first: {events:#?}");
    let fall = &events.result()[1];
    assert_eq!((&fall["failure_code"], &fall["response_code"]), (&json!("response_code_mismatch"), &json!(503)));
    assert!(votes(&fall["evidence"]).iter().filter(|vote| vote["vote"] == "down").count() >= 4, "{fall:#}");
    let of_pools = world.operator.get("/user/load_balancing_analytics/events").await;
    assert_eq!(of_pools.result(), &json!([]), "they are no events of load balancing");
    let pools = world.operator.get(&world.operator.pools_path()).await;
    assert_eq!(pools.result(), &json!([]), "and no pool has come of it");
}

#[tokio::test]
async fn a_suspended_health_check_is_not_probed_and_starts_anew() {
    let world = Plan::small().build().await;
    let (shop, other) = (world.origin().await, world.origin().await);
    let id = id_of(world.operator.post(&path(&world, ""), &body(&world, &shop)).await.result());
    let witness = id_of(world.operator.post(&path(&world, ""), &body(&world, &other)).await.result());
    until_status(&world, &id, "healthy").await;
    until_status(&world, &witness, "healthy").await;

    let own = path(&world, &format!("/{id}"));
    assert_eq!(world.operator.patch(&own, &json!({ "suspended": true })).await.result()["status"], "suspended");
    // The workers have taken it up when the last probe is long past, while the other one goes on.
    until("nobody probes it any more", Duration::from_secs(20), async || {
        let (mine, others) = (shop.contact_count(), other.contact_count());
        until("the other one is probed on", Duration::from_secs(10), async || holds(other.contact_count() >= others + 9, ())).await;
        let more = shop.contact_count() - mine;
        holds(more == 0, more)
    })
    .await;
    shop.behaves(Behaviour::Code(500));
    let before = shop.contact_count();
    let others = other.contact_count();
    until("the other one is probed on", Duration::from_secs(10), async || holds(other.contact_count() >= others + 6, ())).await;
    assert_eq!(shop.contact_count(), before);
    assert_eq!(world.operator.get(&own).await.result()["status"], "suspended");

    world.operator.patch(&own, &json!({ "suspended": false })).await;
    let found = until_status(&world, &id, "unhealthy").await;
    assert_eq!(found["failure_code"], "response_code_mismatch");
    let events = world.operator.get(&format!("{own}/events")).await;
    let statuses: Vec<&Value> = events.result().as_array().unwrap().iter().map(|event| &event["status"]).collect();
    assert!(statuses.contains(&&json!("suspended")) && statuses[0] == "unhealthy", "{events:#?}");

    assert_eq!(world.operator.delete(&own).await.result()["id"], json!(id));
    let before = shop.contact_count();
    until("nobody probes what is gone", Duration::from_secs(20), async || {
        let (mine, others) = (shop.contact_count(), other.contact_count());
        until("the other one is probed on", Duration::from_secs(10), async || holds(other.contact_count() >= others + 9, ())).await;
        holds(shop.contact_count() == mine, (before, mine))
    })
    .await;
}

#[tokio::test]
async fn a_preview_of_a_health_check_tells_how_it_would_stand() {
    let world = Plan::small().build().await;
    let shop = world.origin().await;
    shop.closes().await;
    let made = world.operator.post(&path(&world, "/preview"), &body(&world, &shop)).await;
    let own = path(&world, &format!("/preview/{}", id_of(made.result())));
    let found = until("it is asked", VERDICT_MAX, async || {
        let found = world.operator.get(&own).await.result().clone();
        if found["status"] == "unknown" { Err(format!("{found:#}")) } else { Ok(found) }
    })
    .await;
    assert_eq!((&found["status"], &found["failure_code"]), (&json!("unhealthy"), &json!("tcp_connection_failed")));
    assert_eq!(world.operator.delete(&own).await.status, 200);
    assert_eq!(world.operator.get(&own).await.refusal(), (404, 1001));
}
