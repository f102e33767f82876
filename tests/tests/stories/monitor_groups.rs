//! Several monitors of one origin, which together make each worker's vote.

use quorate_testkit::operator::{every_second, id_of};
use quorate_testkit::origins::{Behaviour, Origin};
use quorate_testkit::until::until;
use quorate_testkit::world::{Plan, VERDICT_MAX, World};
use serde_json::{Value, json};

use crate::evidence::{changed_origin, votes};
use crate::quorum::each_has_probed_twice;

/// A host with services on ports of their own, each with a monitor, and a pool under the group of them.
struct Host {
    services: Vec<Origin>,
    /// The monitor of each service.
    monitors: Vec<String>,
    group: String,
    pool: String,
}

/// What a member is beside enabled.
type Part = (&'static str, bool);

const VOTES: Part = ("must_be_healthy", false);
const MUST_BE_HEALTHY: Part = ("must_be_healthy", true);
const MONITORING_ONLY: Part = ("monitoring_only", true);

fn member(monitor: &str, (field, value): Part) -> Value {
    let mut member = json!({"monitor_id": monitor, "enabled": true, "monitoring_only": false, "must_be_healthy": false});
    member[field] = json!(value);
    member
}

/// What an origin, or a vote, tells of a monitor in its `monitors`; null where it tells nothing.
fn of_monitor<'a>(told: &'a Value, id: &str) -> &'a Value {
    told["monitors"].as_array().and_then(|monitors| monitors.iter().find(|monitor| monitor["id"] == id)).unwrap_or(&Value::Null)
}

impl Host {
    /// All workers say up when this returns, and the first verdict has its event.
    async fn start(world: &World, parts: &[Part]) -> Self {
        let address = world.next_origin_address();
        let (mut services, mut monitors) = (Vec::new(), Vec::new());
        for _ in parts {
            let service = Origin::http(address).await;
            let mut settings = every_second();
            settings["port"] = json!(service.port());
            monitors.push(world.operator.creates_monitor(&settings).await);
            services.push(service);
        }
        let members: Vec<Value> = monitors.iter().zip(parts).map(|(monitor, part)| member(monitor, *part)).collect();
        let group = json!({"description": "all of the host", "members": members});
        let group = id_of(world.operator.post(&world.operator.monitor_groups_path(), &group).await.result());
        let origins = [json!({"name": "origin-1", "address": address.to_string()})];
        let pool = json!({"name": "shop", "monitor_group": group, "check_regions": world.regions(), "origins": origins});
        let pool = world.healthy_pool(&pool).await;
        world.until_events(&pool, 1).await;
        Self { services, monitors, group, pool }
    }

    /// Of each service, in their order, out of `monitors` of an origin: whether it is healthy.
    fn health(&self, origin: &Value) -> Vec<Value> {
        self.monitors.iter().map(|id| of_monitor(origin, id)["healthy"].clone()).collect()
    }

    /// Waits until the quorum view tells that every worker sees the first services so, and gives its origin.
    async fn until_seen(&self, world: &World, claim: &str, healthy: &[bool]) -> Value {
        let expected: Vec<Value> = healthy.iter().map(|healthy| json!(healthy)).collect();
        let by_vote: Vec<&str> = healthy.iter().map(|healthy| if *healthy { "up" } else { "down" }).collect();
        let says_so = |vote: &Value| self.monitors.iter().zip(&by_vote).all(|(id, said)| of_monitor(vote, id)["vote"] == *said);
        let seen = |origin: &Value| self.health(origin).starts_with(&expected) && votes(&origin["evidence"]).iter().all(says_so);
        world.until_origin(claim, &self.pool, "origin-1", seen).await
    }

    /// Waits until every worker has seen a service as it is now, twice over, and nothing has come of it.
    async fn stays_as_it_is(&self, world: &World, service: usize, events: usize) {
        let everywhere: Vec<_> = world.workers.iter().map(|worker| worker.source).collect();
        each_has_probed_twice(&self.services[service], &everywhere).await;
        world.until_events(&self.pool, events).await;
    }
}

#[tokio::test]
async fn one_of_three_members_may_fail_and_two_take_the_origin_down_with_one_event_that_names_them() {
    let world = Plan::small().build().await;
    let host = Host::start(&world, &[VOTES, VOTES, VOTES]).await;

    host.services[0].behaves(Behaviour::Code(503));
    let origin = host.until_seen(&world, "one member fails everywhere", &[false, true, true]).await;
    assert_eq!((&origin["verdict"], &origin["evidence"]["majority"]), (&json!("up"), &json!("up")));
    for vote in votes(&origin["evidence"]) {
        let failing: Vec<&Value> = vote["monitors"].as_array().unwrap().iter().filter(|monitor| monitor["vote"] == "down").collect();
        assert_eq!(vote["vote"], "up", "{vote:#}");
        assert_eq!(
            (failing.len(), &failing[0]["id"], &failing[0]["response_code"]),
            (1, &json!(host.monitors[0]), &json!(503)),
            "{vote:#}"
        );
    }
    host.stays_as_it_is(&world, 0, 1).await;

    host.services[1].behaves(Behaviour::Code(500));
    let events = world.until_events(&host.pool, 2).await;
    let origin = changed_origin(&events[1]);
    assert_eq!((&origin["healthy"], &origin["failure_code"]), (&json!(false), &json!("response_code_mismatch")));
    assert_eq!(host.health(origin), [json!(false), json!(false), json!(true)]);
    let told = of_monitor(origin, &host.monitors[1]);
    let expected = json!({
        "id": host.monitors[1], "healthy": false, "failure_reason": "Response code mismatch error",
        "failure_code": "response_code_mismatch", "response_code": 500, "must_be_healthy": false, "monitoring_only": false,
    });
    assert_eq!(*told, expected);

    // Where a worker has not seen the second failure yet, healing the first would turn the verdict to and fro.
    host.until_seen(&world, "two members fail everywhere", &[false, false, true]).await;
    host.services[0].behaves(Behaviour::Healthy);
    let events = world.until_events(&host.pool, 3).await;
    assert_eq!(changed_origin(&events[2])["healthy"], true);
}

#[tokio::test]
async fn a_member_that_must_be_healthy_decides_alone_and_one_that_only_watches_is_only_shown() {
    let world = Plan::small().build().await;
    let host = Host::start(&world, &[VOTES, VOTES, MUST_BE_HEALTHY, MONITORING_ONLY]).await;

    host.services[3].closes().await;
    let origin = host.until_seen(&world, "the onlooker fails everywhere", &[true, true, true, false]).await;
    assert_eq!((&origin["verdict"], &origin["evidence"]["majority"]), (&json!("up"), &json!("up")));
    let told = of_monitor(&origin, &host.monitors[3]);
    assert_eq!((&told["failure_code"], &told["monitoring_only"]), (&json!("tcp_connection_failed"), &json!(true)));
    world.until_events(&host.pool, 1).await;

    host.services[2].behaves(Behaviour::Code(500));
    let events = world.until_events(&host.pool, 2).await;
    let origin = changed_origin(&events[1]);
    assert_eq!((&origin["healthy"], &origin["failure_code"]), (&json!(false), &json!("response_code_mismatch")));
    assert_eq!(host.health(origin), [json!(true), json!(true), json!(false), json!(false)]);
    // Two of the three were enough for the verdict; the third one's next probe follows.
    until("each place goes by the same rule", VERDICT_MAX, async || {
        let health = world.operator.health_of(&host.pool).await;
        let places = health["pop_health"].as_object().unwrap();
        if places.len() == 3 && places.values().all(|place| place["healthy"] == false) { Ok(()) } else { Err(format!("{health:#}")) }
    })
    .await;
}

#[tokio::test]
async fn a_change_of_the_group_is_decided_by_votes_under_the_new_rule() {
    let world = Plan::small().build().await;
    let host = Host::start(&world, &[VOTES, VOTES, VOTES]).await;
    host.services[0].behaves(Behaviour::Code(500));
    host.until_seen(&world, "one member fails everywhere", &[false, true, true]).await;
    host.stays_as_it_is(&world, 0, 1).await;

    let path = format!("{}/{}", world.operator.monitor_groups_path(), host.group);
    let members = [member(&host.monitors[0], MUST_BE_HEALTHY), member(&host.monitors[1], VOTES)];
    world.operator.patch(&path, &json!({ "members": members })).await.result();
    let events = world.until_events(&host.pool, 2).await;
    assert_eq!(changed_origin(&events[1])["healthy"], false);
    assert_eq!(of_monitor(changed_origin(&events[1]), &host.monitors[0])["must_be_healthy"], true);
    let origin = host.until_seen(&world, "every worker votes under the new rule", &[false, true]).await;
    assert_eq!(*of_monitor(&origin, &host.monitors[2]), Value::Null, "who left the group is not told of");

    let before = host.services[2].contact_count();
    host.stays_as_it_is(&world, 0, 2).await;
    assert_eq!(host.services[2].contacts_after(before).len(), 0, "nor probed");

    let guarded = world.operator.delete(&path).await.refusal();
    assert_eq!(guarded, (412, 1005));
    let back = json!({"monitor": host.monitors[1], "monitor_group": null});
    world.operator.patch(&world.operator.pool_path(&host.pool), &back).await.result();
    let events = world.until_events(&host.pool, 3).await;
    assert_eq!((&changed_origin(&events[2])["healthy"], changed_origin(&events[2]).get("monitors")), (&json!(true), None));
    assert_eq!(world.operator.delete(&path).await.result()["description"], "all of the host");
}
