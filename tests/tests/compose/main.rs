//! docker-compose.yml without containers: the same commands and variables, and at the end a verdict.

mod deployment;
mod file;

use std::time::Duration;

use deployment::Deployment;
use file::Compose;
use quorate_testkit::operator::Operator;
use quorate_testkit::until::{holds, until};
use serde_json::Value;

/// The product's own timings, on a busy machine.
const VERDICT_MAX: Duration = Duration::from_mins(1);

#[test]
fn three_regions_have_three_workers_each() {
    let compose = Compose::read();
    for region in ["weu", "enam", "seas"] {
        let is_worker_there = |service: &&file::Service| service.command == ["worker"] && service.attachments().keys().eq([&region]);
        assert_eq!(compose.services.values().filter(is_worker_there).count(), 3, "{region}");
    }
}

#[tokio::test]
async fn the_services_come_up_and_reach_a_verdict_on_an_origin_that_is_broken() {
    let deployment = Deployment::start(Compose::read()).await;
    let (operator, pool) = first_look(&deployment).await;

    until_origin(&deployment, &operator, &pool, "all nine say up", |evidence| {
        evidence["verdict"] == "up" && regions(evidence).iter().all(|region| region["up"] == 3)
    })
    .await;

    deployment.exec("shop-1", &["demo", "break", "shop-1", "--from", "WEU"]).await.succeeded();
    until_origin(&deployment, &operator, &pool, "one region says down and the verdict holds", |evidence| {
        evidence["verdict"] == "up" && regions(evidence).iter().any(|region| region["region"] == "WEU" && region["down"] == 3)
    })
    .await;

    deployment.exec("shop-1", &["demo", "break", "shop-1"]).await.succeeded();
    until_origin(&deployment, &operator, &pool, "the verdict flips", |evidence| evidence["verdict"] == "down").await;
    let events = operator.events_of(&pool).await;
    let last = events.last().expect("the change is an event");
    let changed = last["origins"].as_array().into_iter().flatten().find(|origin| origin["changed"] == true);
    assert_eq!(changed.expect("an event has its origin")["name"], "shop-1", "{last:#}");
}

/// What a person finds after `docker compose up`: settings for clients, and a pool.
async fn first_look(deployment: &Deployment) -> (Operator, String) {
    let env = std::fs::read_to_string(deployment.path("control", "/var/lib/quorate/env")).expect("init wrote it");
    let value = |name: &str| {
        let line = env.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.unwrap_or_else(|| panic!("{name} is missing in {env}")).to_owned()
    };
    let url = value("QUORATE_URL");
    let (host, path) = url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).expect("an http URL");
    let base = format!("http://{}/{path}", deployment.published(host));
    let operator = Operator::new(&base, &value("QUORATE_TOKEN"), &value("QUORATE_ACCOUNT_ID"), &value("QUORATE_ZONE_ID"));
    let pools = operator.get(&operator.pools_path()).await.result().clone();
    let shop = pools.as_array().into_iter().flatten().find(|pool| pool["name"] == "shop").expect("init made the pool");
    (operator, shop["id"].as_str().expect("a pool has an id").to_owned())
}

fn regions(evidence: &Value) -> &[Value] {
    evidence["regions"].as_array().map_or(&[], Vec::as_slice)
}

/// Waits until the evidence of `shop-1` is as claimed.
async fn until_origin(deployment: &Deployment, operator: &Operator, pool: &str, claim: &str, found: impl Fn(&Value) -> bool) {
    until(claim, VERDICT_MAX, async || {
        let view = operator.quorum_of(pool).await;
        let origin = view["origins"].as_array().into_iter().flatten().find(|origin| origin["name"] == "shop-1");
        let evidence = origin.map_or(&Value::Null, |origin| &origin["evidence"]);
        holds(found(evidence), format_args!("{view:#}\n{}", deployment.logs()))
    })
    .await;
}
