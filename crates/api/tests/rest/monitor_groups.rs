//! Monitor groups: their settings, who they refer to and who refers to them.

use serde_json::{Value, json};

use crate::world::{LIMITS, Tenant, World, errors_1002, id_of, pool_body, with};

const ABSENT: &str = "00000000000000000000000000000009";

fn member(monitor: &str, change: Value) -> Value {
    with(json!({"monitor_id": monitor, "enabled": true, "monitoring_only": false, "must_be_healthy": false}), change)
}

async fn monitors<const N: usize>(world: &World, tenant: &Tenant) -> [String; N] {
    let mut made = Vec::new();
    for _ in 0..N {
        made.push(id_of(&world.make(tenant, &tenant.lb("monitors"), json!({})).await));
    }
    made.try_into().expect("as many as were asked for")
}

#[tokio::test]
async fn a_group_is_answered_whole_everywhere_at_its_deletion_too() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let [one, two] = monitors(&world, &tenant).await;
    let members = json!([member(&two, json!({"must_be_healthy": true})), member(&one, json!({"enabled": false, "monitoring_only": true}))]);
    let made = world.make(&tenant, &tenant.lb("monitor_groups"), json!({"description": "shop", "members": members})).await;
    let time = &made["created_on"];
    let times = json!({"created_at": time, "updated_at": time});
    let expected = json!({
        "id": made["id"], "description": "shop", "created_on": time, "modified_on": time,
        "members": [with(members[0].clone(), times.clone()), with(members[1].clone(), times)],
    });
    assert_eq!(made, expected);

    let path = tenant.lb(&format!("monitor_groups/{}", id_of(&made)));
    assert_eq!(world.ask(&tenant, "GET", &path, None).await.result(), made);
    assert_eq!(world.ask(&tenant, "PUT", &path, Some(made.clone())).await.result(), made, "its own answer changes nothing");
    let listed = world.ask(&tenant, "GET", &tenant.lb("monitor_groups"), None).await;
    assert_eq!(listed.body["result_info"], json!({"page": 1, "per_page": 1, "count": 1, "total_count": 1, "total_pages": 1}));
    assert_eq!(listed.result(), json!([made]));

    assert_eq!(world.ask(&tenant, "DELETE", &path, None).await.result(), made);
    let gone = (404, json!([{"code": 1001, "message": "monitor group not found"}]));
    let references = format!("{path}/references");
    for (method, path) in [("GET", &path), ("PUT", &path), ("PATCH", &path), ("DELETE", &path), ("GET", &references)] {
        let body = (method == "PUT" || method == "PATCH").then(|| json!({}));
        assert_eq!(world.ask(&tenant, method, path, body).await.refused(), gone, "{method} {path}");
    }
    assert_eq!(world.ask(&tenant, "GET", &tenant.lb("monitor_groups"), None).await.result(), json!([]));
    world.end().await;
}

#[tokio::test]
async fn put_needs_everything_patch_needs_nothing_and_members_that_stay_keep_their_times() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let [one, two, three] = monitors(&world, &tenant).await;
    let body = json!({"description": "shop", "members": [member(&one, json!({})), member(&two, json!({}))]});
    let made = world.make(&tenant, &tenant.lb("monitor_groups"), body).await;
    let path = tenant.lb(&format!("monitor_groups/{}", id_of(&made)));

    let described = world.ask(&tenant, "PATCH", &path, Some(json!({"description": ""}))).await.result();
    assert_eq!((&described["description"], &described["members"]), (&json!(""), &made["members"]));
    let changed = json!({"members": [member(&three, json!({})), member(&two, json!({"must_be_healthy": true})), member(&one, json!({}))]});
    let changed = world.ask(&tenant, "PATCH", &path, Some(changed)).await.result();
    assert_eq!(changed["description"], "", "kept");
    let [new, other, same] = [0, 1, 2].map(|index| changed["members"][index].clone());
    assert_eq!(same, made["members"][0]);
    assert_eq!((&other["created_at"], &other["updated_at"]), (&made["created_on"], &changed["modified_on"]));
    assert_eq!((&new["created_at"], &new["updated_at"]), (&changed["modified_on"], &changed["modified_on"]));

    let refused = world.ask(&tenant, "PUT", &path, Some(json!({"description": "x"}))).await.refused();
    assert_eq!(refused, (400, errors_1002(&[("/members", "members is required")])));
    world.end().await;
}

#[tokio::test]
async fn each_bad_field_is_refused_with_its_pointer_and_a_missing_monitor_with_412() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let [monitor] = monitors(&world, &tenant).await;
    let refused = async |body: Value| world.ask(&tenant, "POST", &tenant.lb("monitor_groups"), Some(body)).await.refused();
    let group = |members: Value| json!({"description": "shop", "members": members});
    let twice = format!("monitor_id \"{monitor}\" is that of members[0] and must be unique in the group");
    for (body, errors) in [
        (json!({}), vec![("/description", "description is required"), ("/members", "members is required")]),
        (group(json!([])), vec![("/members", "the member list length must be in range [1, 10]")]),
        (group(json!({})), vec![("/members", "members {} is not an array")]),
        (
            group(json!([{"monitor_id": "x"}])),
            vec![
                ("/members/0/monitor_id", "members[0].monitor_id \"x\" is not an identifier of 32 lower-case hexadecimal characters"),
                ("/members/0/enabled", "members[0].enabled is required"),
                ("/members/0/monitoring_only", "members[0].monitoring_only is required"),
                ("/members/0/must_be_healthy", "members[0].must_be_healthy is required"),
            ],
        ),
        (
            group(json!([member(&monitor, json!({"enabled": 1}))])),
            vec![("/members/0/enabled", "members[0].enabled 1 is not true or false")],
        ),
        (
            group(json!([member(&monitor, json!({"must_be_helthy": true}))])),
            vec![(
                "/members/0/must_be_helthy",
                "unknown field \"members[0].must_be_helthy\"; did you mean \"members[0].must_be_healthy\"?",
            )],
        ),
        (group(json!([member(&monitor, json!({})), member(&monitor, json!({}))])), vec![("/members/1/monitor_id", twice.as_str())]),
    ] {
        assert_eq!(refused(body).await, (400, errors_1002(&errors)));
    }
    let missing = json!([{"code": 1001, "message": format!("monitor {ABSENT} not found"), "source": {"pointer": "/members/1/monitor_id"}}]);
    let with_absent = group(json!([member(&monitor, json!({})), member(ABSENT, json!({}))]));
    assert_eq!(refused(with_absent.clone()).await, (412, missing.clone()));
    assert_eq!(world.ask(&tenant, "GET", &tenant.lb("monitor_groups"), None).await.result(), json!([]), "nothing of it was stored");

    let made = world.make(&tenant, &tenant.lb("monitor_groups"), group(json!([member(&monitor, json!({}))]))).await;
    let path = tenant.lb(&format!("monitor_groups/{}", id_of(&made)));
    for method in ["PUT", "PATCH"] {
        assert_eq!(world.ask(&tenant, method, &path, Some(with_absent.clone())).await.refused(), (412, missing.clone()), "{method}");
    }
    assert_eq!(world.ask(&tenant, "GET", &path, None).await.result(), made);
    world.end().await;
}

#[tokio::test]
async fn a_pool_names_a_monitor_or_a_group_that_is_there_and_not_both() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let [monitor] = monitors(&world, &tenant).await;
    let body = json!({"description": "shop", "members": [member(&monitor, json!({}))]});
    let group = id_of(&world.make(&tenant, &tenant.lb("monitor_groups"), body).await);
    let made = world.make(&tenant, &tenant.lb("pools"), pool_body("eu", json!({"monitor_group": group}))).await;
    assert_eq!((&made["monitor_group"], made.get("monitor")), (&json!(group), None));

    let refused = async |change: Value| world.ask(&tenant, "POST", &tenant.lb("pools"), Some(pool_body("us", change))).await.refused();
    let exclude = "monitor and monitor_group exclude each other";
    assert_eq!(refused(json!({"monitor": monitor, "monitor_group": group})).await, (400, errors_1002(&[("/monitor_group", exclude)])));
    let absent = format!("monitor_group {ABSENT} does not exist");
    assert_eq!(refused(json!({"monitor_group": ABSENT})).await, (400, errors_1002(&[("/monitor_group", &absent)])));
    let no_id = "monitor_group \"x\" is not an identifier of 32 lower-case hexadecimal characters";
    assert_eq!(refused(json!({"monitor_group": "x"})).await, (400, errors_1002(&[("/monitor_group", no_id)])));

    let path = tenant.lb(&format!("pools/{}", id_of(&made)));
    let both = world.ask(&tenant, "PATCH", &path, Some(json!({"monitor": monitor}))).await.refused();
    assert_eq!(both, (400, errors_1002(&[("/monitor_group", exclude)])));
    let moved = world.ask(&tenant, "PATCH", &path, Some(json!({"monitor": monitor, "monitor_group": null}))).await.result();
    assert_eq!((&moved["monitor"], moved.get("monitor_group")), (&json!(monitor), None));
    world.end().await;
}

#[tokio::test]
async fn groups_and_monitors_in_use_cannot_be_deleted_and_who_uses_them_is_named() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let [monitor] = monitors(&world, &tenant).await;
    let body = json!({"description": "shop", "members": [member(&monitor, json!({"enabled": false}))]});
    let group = id_of(&world.make(&tenant, &tenant.lb("monitor_groups"), body).await);
    let group_path = tenant.lb(&format!("monitor_groups/{group}"));
    let references = tenant.lb(&format!("monitor_groups/{group}/references"));
    let reference = |way: &str, kind: &str, id: &str, name: &str| json!({"reference_type": way, "resource_id": id, "resource_name": name, "resource_type": kind});
    let of_monitor = reference("referral", "monitor", &monitor, "");
    assert_eq!(world.ask(&tenant, "GET", &references, None).await.result(), json!([of_monitor]));

    let pool = id_of(&world.make(&tenant, &tenant.lb("pools"), pool_body("eu", json!({"monitor_group": group}))).await);
    let by_pool = reference("referrer", "pool", &pool, "eu");
    assert_eq!(world.ask(&tenant, "GET", &references, None).await.result(), json!([of_monitor, by_pool]));
    let of_pool = world.ask(&tenant, "GET", &tenant.lb(&format!("pools/{pool}/references")), None).await.result();
    assert_eq!(of_pool, json!([reference("referral", "monitor_group", &group, "shop")]));
    let of_monitor = world.ask(&tenant, "GET", &tenant.lb(&format!("monitors/{monitor}/references")), None).await.result();
    assert_eq!(of_monitor, json!([reference("referrer", "monitor_group", &group, "shop")]));
    let found = world.ask(&tenant, "GET", &tenant.lb("search?query=&references=*"), None).await.result();
    let kinds: Vec<&Value> = found["resources"].as_array().expect("a list").iter().map(|found| &found["resource_type"]).collect();
    assert_eq!(kinds, ["pool", "monitor"], "a search knows no groups");
    assert!(found["resources"].as_array().expect("a list").iter().all(|found| found["references"] == json!([])), "{found:#}");

    let guarded = |by: String| {
        let message = format!("This object is referenced by other objects, delete them first. {by}");
        (412, json!([{"code": 1005, "message": message}]))
    };
    let by_pool = guarded(format!("pool \"eu\" ({pool}) in monitor_group"));
    assert_eq!(world.ask(&tenant, "DELETE", &group_path, None).await.refused(), by_pool);
    let monitor_path = tenant.lb(&format!("monitors/{monitor}"));
    let by_group = guarded(format!("monitor_group \"shop\" ({group}) in members"));
    assert_eq!(world.ask(&tenant, "DELETE", &monitor_path, None).await.refused(), by_group, "a disabled member too");

    world.ask(&tenant, "DELETE", &tenant.lb(&format!("pools/{pool}")), None).await.result();
    world.ask(&tenant, "DELETE", &group_path, None).await.result();
    world.ask(&tenant, "DELETE", &monitor_path, None).await.result();
    world.end().await;
}

#[tokio::test]
async fn an_account_has_as_many_groups_as_it_may_have_monitors_and_none_without_load_balancing() {
    let world = World::start().await;
    let tenant = world.tenant_with("example.com", quorate_store::accounts::Limits { monitors: 1, ..LIMITS }).await;
    let [monitor] = monitors(&world, &tenant).await;
    let body = || json!({"description": "shop", "members": [member(&monitor, json!({}))]});
    world.make(&tenant, &tenant.lb("monitor_groups"), body()).await;
    let refused = world.ask(&tenant, "POST", &tenant.lb("monitor_groups"), Some(body())).await.refused();
    let message = "Exceeded quota: this account may have at most 1 monitor groups, and has 1";
    assert_eq!(refused, (403, json!([{"code": 1004, "message": message}])));

    world.load_balancing(tenant.account, tenant.zone, false, true).await;
    let refused = world.ask(&tenant, "POST", &tenant.lb("monitor_groups"), Some(json!({}))).await.refused();
    let message = "load balancing not enabled for account: validation failed";
    assert_eq!(refused, (400, json!([{"code": 1002, "message": message}])));
    world.end().await;
}

#[tokio::test]
async fn a_group_is_nobody_elses_and_not_below_the_older_mirror() {
    let world = World::start().await;
    let (mine, other) = (world.tenant("example.com").await, world.tenant("example.org").await);
    let [monitor] = monitors(&world, &mine).await;
    let body = json!({"description": "shop", "members": [member(&monitor, json!({}))]});
    let group = id_of(&world.make(&mine, &mine.lb("monitor_groups"), body.clone()).await);

    let foreign = world.ask(&other, "GET", &other.lb(&format!("monitor_groups/{group}")), None).await.refused();
    assert_eq!(foreign, (404, json!([{"code": 1001, "message": "monitor group not found"}])));
    assert_eq!(world.ask(&other, "GET", &other.lb("monitor_groups"), None).await.result(), json!([]));
    assert_eq!(world.ask(&other, "POST", &other.lb("monitor_groups"), Some(body)).await.status, 412, "its monitor is not theirs");
    let pool = world.ask(&other, "POST", &other.lb("pools"), Some(pool_body("eu", json!({"monitor_group": group})))).await.refused();
    assert_eq!(pool.0, 400);
    assert_eq!(world.ask(&mine, "GET", "/user/load_balancers/monitor_groups", None).await.status, 404);
    world.end().await;
}
