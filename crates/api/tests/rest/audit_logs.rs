//! Who changed what, as it can be read again.

use quorate_core::ids::AccountId;
use quorate_store::audit::{self, Verified};
use quorate_store::tokens::Scope;
use quorate_store::{tokens, zones};
use serde_json::{Value, json};

use crate::world::{Tenant, World, id_of, pool_body};

fn logs(account: AccountId) -> String {
    format!("/accounts/{account}/audit_logs")
}

/// The log as lines of action, kind, name and changed fields, newest first.
async fn told(world: &World, tenant: &Tenant, query: &str) -> Vec<String> {
    let rows = world.ask(tenant, "GET", &format!("{}?{query}", logs(tenant.account)), None).await.result();
    let line = |row: &Value| {
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let changed: Vec<String> = row["metadata"]["changed"].as_array().expect("names").iter().map(text).collect();
        let (action, kind, name) = (text(&row["action"]["type"]), text(&row["resource"]["type"]), text(&row["resource"]["name"]));
        let changed = if action == "update" { format!(": {}", changed.join(", ")) } else { String::new() };
        format!("{} {action} {kind} {name}{changed}", text(&row["actor"]["type"]))
    };
    rows.as_array().expect("a list").iter().map(line).collect()
}

#[tokio::test]
async fn every_change_is_written_down_with_who_made_it_and_nothing_else_is() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let monitor = world.make(&tenant, &tenant.lb("monitors"), json!({"description": "web"})).await;
    let pool = world.make(&tenant, &tenant.lb("pools"), pool_body("eu", json!({"monitor": monitor["id"]}))).await;
    let balancer = json!({"name": "www.example.com", "default_pools": [pool["id"]], "fallback_pool": pool["id"]});
    let balancer = world.make(&tenant, &tenant.in_zone("load_balancers"), balancer).await;
    let one = |place: String, object: &Value| format!("{place}/{}", id_of(object));
    let (monitor, pool) = (one(tenant.lb("monitors"), &monitor), one(tenant.lb("pools"), &pool));
    let balancer = one(tenant.in_zone("load_balancers"), &balancer);

    world.ask(&tenant, "PATCH", &monitor, Some(json!({"timeout": 9, "interval": 90}))).await.result();
    // What changes nothing, what is refused and what only reads leaves no row.
    let as_it_is = world.ask(&tenant, "GET", &monitor, None).await.result();
    world.ask(&tenant, "PUT", &monitor, Some(as_it_is)).await.result();
    world.ask(&tenant, "PATCH", &pool, Some(json!({"minimum_origins": -1}))).await.refused();
    world.ask(&tenant, "DELETE", &pool, None).await.refused();
    world.ask(&tenant, "PATCH", &pool, Some(json!({"enabled": false}))).await.result();
    world.ask(&tenant, "PATCH", &balancer, Some(json!({"ttl": 60}))).await.result();
    world.ask(&tenant, "DELETE", &balancer, None).await.result();
    world.ask(&tenant, "DELETE", &pool, None).await.result();
    world.ask(&tenant, "DELETE", &monitor, None).await.result();

    let all = told(&world, &tenant, "").await;
    assert_eq!(
        all,
        [
            "token delete monitor web",
            "token delete pool eu",
            "token delete load_balancer www.example.com",
            "token update load_balancer www.example.com: ttl",
            "token update pool eu: enabled",
            "token update monitor web: interval, timeout",
            "token create load_balancer www.example.com",
            "token create pool eu",
            "token create monitor web",
            "operator create token test",
            "operator create zone example.com",
            "operator create account account of example.com",
        ]
    );
    world.end().await;
}

#[tokio::test]
async fn a_row_names_token_address_object_and_digests() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let token = world.ask(&tenant, "GET", "/user/tokens/verify", None).await.result()["id"].clone();
    let monitor = world.make(&tenant, &tenant.lb("monitors"), json!({"description": "web"})).await;
    let path = tenant.lb(&format!("monitors/{}", id_of(&monitor)));
    world.ask(&tenant, "PATCH", &path, Some(json!({"description": "shop"}))).await.result();
    let rows = world.ask(&tenant, "GET", &format!("{}?resource.type=monitor", logs(tenant.account)), None).await.result();
    let [newest, oldest] = rows.as_array().expect("a list").as_slice() else { panic!("{rows}") };
    assert_eq!(newest["actor"], json!({"type": "token", "id": token, "name": "test", "ip": "127.0.0.1"}));
    assert_eq!(newest["action"], json!({"type": "update", "result": true}));
    assert_eq!(newest["resource"], json!({"type": "monitor", "id": monitor["id"], "name": "shop"}));
    assert_eq!((&newest["owner"], &newest["interface"]), (&json!({"id": tenant.account}), &json!("API")));
    let (before, after) = (&newest["metadata"]["before_sha256"], &newest["metadata"]["after_sha256"]);
    assert_eq!((before, &oldest["metadata"]["before_sha256"]), (&oldest["metadata"]["after_sha256"], &Value::Null));
    assert_ne!(before, after);
    assert_eq!(newest["metadata"]["previous_hash"], oldest["metadata"]["hash"]);
    assert_eq!(newest["id"].as_str(), newest["metadata"]["hash"].as_str().map(|hash| &hash[..32]));
    world.end().await;
}

#[tokio::test]
async fn the_log_is_filtered_and_paged_and_bad_filters_are_named() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    for name in ["a", "b", "c"] {
        world.make(&tenant, &tenant.lb("monitors"), json!({"description": name})).await;
    }
    let all = world.ask(&tenant, "GET", &logs(tenant.account), None).await.result();
    let when = |place: usize| all[place]["when"].as_str().expect("a time").to_owned();
    assert_eq!(told(&world, &tenant, "per_page=2&page=1").await, ["token create monitor c", "token create monitor b"]);
    assert_eq!(told(&world, &tenant, &format!("since={}", when(1))).await.len(), 2, "since is inclusive");
    assert_eq!(told(&world, &tenant, &format!("since={}&until={}", when(2), when(0))).await.len(), 2, "until is exclusive");
    assert_eq!(told(&world, &tenant, "action=delete").await, Vec::<String>::new());
    assert_eq!(told(&world, &tenant, "action.type=create&resource.type=zone").await, ["operator create zone example.com"]);
    let paged = world.ask(&tenant, "GET", &format!("{}?per_page=2&page=2", logs(tenant.account)), None).await;
    assert_eq!(paged.body["result_info"], json!({"page": 2, "per_page": 2, "count": 2, "total_count": 6, "total_pages": 3}));
    for (query, message) in [
        ("action=rename", "action \"rename\" is not one of create, update, delete: validation failed"),
        ("since=yesterday", "since \"yesterday\" is not an RFC 3339 time such as 2026-01-01T00:00:00Z: validation failed"),
    ] {
        let refused = world.ask(&tenant, "GET", &format!("{}?{query}", logs(tenant.account)), None).await.refused();
        assert_eq!(refused, (400, json!([{"code": 1002, "message": message}])));
    }
    world.end().await;
}

#[tokio::test]
async fn the_log_of_an_account_is_for_those_who_may_administer_it() {
    let world = World::start().await;
    let (mine, theirs) = (world.tenant("mine.example").await, world.tenant("theirs.example").await);
    let reader = Tenant { secret: world.token(Scope::Read, &[mine.account], None).await.1, ..mine.clone() };
    let refused = world.ask(&reader, "GET", &logs(mine.account), None).await.refused();
    assert_eq!(refused, (403, json!([{"code": 10_000, "message": "Authentication error"}])));
    let refused = world.ask(&theirs, "GET", &logs(mine.account), None).await.refused();
    assert_eq!(refused, (403, json!([{"code": 9109, "message": "Unauthorized to access requested resource"}])));
    // Not even of the installation: an account of zeros is nobody's.
    let refused = world.ask(&mine, "GET", &logs(audit::INSTALLATION), None).await.refused();
    assert_eq!(refused.0, 403);
    world.end().await;
}

#[tokio::test]
async fn a_token_of_two_accounts_is_written_down_in_both_and_the_chains_hold() {
    let world = World::start().await;
    let (one, two) = (world.tenant("one.example").await, world.tenant("two.example").await);
    let (token, _) = world.token(Scope::Edit, &[two.account, one.account], None).await;
    let mut op = world.db.operator().await.expect("a transaction");
    assert!(tokens::revoke(&mut op, token.id).await.expect("revokes"));
    assert!(!tokens::revoke(&mut op, token.id).await.expect("asks"));
    zones::set_load_balancing(&mut op, one.zone, false).await.expect("switches");
    zones::set_load_balancing(&mut op, one.zone, false).await.expect("switches");
    op.commit().await.expect("commits");
    let revoked = "operator update token test: revoked_on";
    assert_eq!(told(&world, &two, "action=update").await, [revoked]);
    assert_eq!(told(&world, &one, "action=update").await, ["operator update zone one.example: load_balancing_enabled", revoked]);
    let mut op = world.db.operator().await.expect("a transaction");
    for (tenant, rows) in [(&one, 6), (&two, 5)] {
        let found = audit::verify(&mut op, tenant.account).await.expect("reads");
        assert!(matches!(found, Verified::Whole(head) if head.seq == rows), "{found:?}");
    }
    drop(op);
    world.end().await;
}
