//! What a token may do, from when, until when and from where; and the pairs of old clients, which are tokens in all else.

use quorate_api::{Access, RateLimits};
use quorate_store::tokens::{self, NewToken, Permission, Permissions, Scope};
use serde_json::{Value, json};

use crate::world::{PEPPER, Tenant, World, id_of, pool_body};

async fn holder(world: &World, tenant: &Tenant, change: impl FnOnce(NewToken) -> NewToken) -> Tenant {
    let mut op = world.db.operator().await.expect("a transaction");
    let new = change(NewToken::new("bound", Scope::Edit, vec![tenant.account]));
    let (_, secret) = tokens::create(&mut op, &PEPPER, new).await.expect("a token");
    op.commit().await.expect("commits");
    Tenant { secret, ..tenant.clone() }
}

fn refused(code: u32, message: &str) -> (u16, Value) {
    (403, json!([{"code": code, "message": message}]))
}

#[tokio::test]
async fn each_permission_opens_its_own_routes_and_no_others() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let monitor = id_of(&world.make(&tenant, &tenant.lb("monitors"), json!({})).await);
    let pool = id_of(&world.make(&tenant, &tenant.lb("pools"), pool_body("eu", json!({}))).await);
    let balancer = json!({"name": "www.example.com", "default_pools": [pool], "fallback_pool": pool});
    let balancer = id_of(&world.make(&tenant, &tenant.in_zone("load_balancers"), balancer).await);
    let of_account = |rest: &str| format!("/accounts/{}/{rest}", tenant.account);
    let routes = [
        ("GET", tenant.lb("monitors")),
        ("PATCH", tenant.lb(&format!("monitors/{monitor}"))),
        ("GET", tenant.lb(&format!("pools/{pool}/quorum"))),
        ("PATCH", tenant.lb(&format!("pools/{pool}"))),
        ("GET", tenant.lb("usage")),
        ("GET", tenant.in_zone("load_balancers")),
        ("PATCH", tenant.in_zone(&format!("load_balancers/{balancer}"))),
        ("GET", "/user/load_balancing_analytics/events".to_owned()),
        ("GET", of_account("load_balancing_analytics/events")),
        ("GET", of_account("audit_logs")),
        ("GET", of_account("workers")),
        ("GET", "/user".to_owned()),
        ("GET", "/zones".to_owned()),
        ("GET", "/accounts".to_owned()),
    ];
    // Expected: a letter for each route, in order, where it opens.
    for (permission, expected) in [
        (Permission::MonitorsAndPoolsRead, "m.p.u..ee..UZA"),
        (Permission::MonitorsAndPoolsEdit, "mMpPu..ee..UZA"),
        (Permission::LoadBalancersRead, ".....l.....UZA"),
        (Permission::LoadBalancersEdit, ".....lL....UZA"),
        (Permission::AnalyticsRead, ".......ee..UZA"),
        (Permission::Admin, "mMpPulLeexwUZA"),
    ] {
        let who = holder(&world, &tenant, |new| NewToken { permissions: [permission].into(), ..new }).await;
        for ((method, path), letter) in routes.iter().zip(expected.chars()) {
            let answer = world.ask(&who, method, path, (*method == "PATCH").then(|| json!({}))).await;
            if letter == '.' {
                assert_eq!(answer.refused(), refused(10_000, "Authentication error"), "{permission}: {method} {path}");
            } else {
                assert_eq!(answer.status, 200, "{permission}: {method} {path}: {}", answer.text);
            }
        }
    }
    let nothing = holder(&world, &tenant, |new| NewToken { permissions: Permissions::default(), ..new }).await;
    assert_eq!(world.ask(&nothing, "GET", &tenant.lb("monitors"), None).await.status, 403);
    world.end().await;
}

#[tokio::test]
async fn a_token_is_refused_before_its_time_and_verify_says_that_it_is_disabled() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let begin = Some("2999-01-01T00:00:00Z".parse().expect("a time"));
    let early = holder(&world, &tenant, |new| NewToken { not_before: begin, ..new }).await;
    let answer = world.ask(&early, "GET", &tenant.lb("pools"), None).await.refused();
    assert_eq!(answer, refused(9109, "Invalid access token: it is not valid yet"));
    let told = world.ask(&early, "GET", "/user/tokens/verify", None).await;
    assert_eq!(told.body["messages"][0]["message"], "This API Token is not valid yet");
    let told = told.result();
    assert_eq!((&told["status"], &told["not_before"]), (&json!("disabled"), &json!("2999-01-01T00:00:00.000000Z")));
    world.end().await;
}

#[tokio::test]
async fn a_token_is_of_use_from_its_ranges_only() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let range = |text: &str| vec![text.parse().expect("a range")];
    let here = holder(&world, &tenant, |new| NewToken { allowed_addresses: range("127.0.0.0/8"), ..new }).await;
    let elsewhere = holder(&world, &tenant, |new| NewToken { allowed_addresses: range("192.0.2.0/24"), ..new }).await;
    world.ask(&here, "GET", &tenant.lb("pools"), None).await.result();
    let answer = world.ask(&elsewhere, "GET", &tenant.lb("pools"), None).await.refused();
    assert_eq!(answer, refused(9109, "Cannot use the access token from location: 127.0.0.1"));
    // Nobody is a proxy unless the operator says so.
    let bearer = format!("Bearer {}", elsewhere.secret);
    let forwarded = [("authorization", bearer.as_str()), ("x-forwarded-for", "192.0.2.1")];
    assert_eq!(world.send("GET", &tenant.lb("pools"), &forwarded, "").await.status, 403);
    world.end().await;
}

#[tokio::test]
async fn behind_a_trusted_proxy_the_client_is_who_the_proxy_heard() {
    let trusted_proxies = vec!["127.0.0.0/8".parse().expect("a range")];
    let world = World::start_with(Access { trusted_proxies, limits: RateLimits::default() }).await;
    let tenant = world.tenant("example.com").await;
    let bound = holder(&world, &tenant, |new| NewToken { allowed_addresses: vec!["192.0.2.0/24".parse().expect("a range")], ..new }).await;
    let bearer = format!("Bearer {}", bound.secret);
    for (forwarded, status) in [("192.0.2.1", 200), ("203.0.113.1, 192.0.2.1", 200), ("192.0.2.1, 203.0.113.1", 403)] {
        let headers = [("authorization", bearer.as_str()), ("x-forwarded-for", forwarded)];
        assert_eq!(world.send("GET", &tenant.lb("pools"), &headers, "").await.status, status, "{forwarded}");
    }
    let headers = [("authorization", bearer.as_str()), ("x-forwarded-for", "192.0.2.7"), ("content-type", "application/json")];
    world.send("POST", &tenant.lb("monitors"), &headers, "{}").await.result();
    let rows = world.ask(&tenant, "GET", &format!("/accounts/{}/audit_logs?resource.type=monitor", tenant.account), None).await;
    assert_eq!(rows.status, 200, "the tenant itself comes from everywhere");
    assert_eq!(rows.result()[0]["actor"]["ip"], "192.0.2.7");
    world.end().await;
}

#[tokio::test]
async fn an_old_client_with_address_and_key_does_what_a_token_does() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let mut op = world.db.operator().await.expect("a transaction");
    let new = NewToken::new("old terraform", Scope::Edit, vec![tenant.account]);
    let (made, key) = tokens::create_key(&mut op, &PEPPER, "ops@example.com", new).await.expect("a key");
    op.commit().await.expect("commits");
    let pair = [("x-auth-email", "Ops@example.com"), ("x-auth-key", key.as_str()), ("content-type", "application/json")];
    let monitor = world.send("POST", &tenant.lb("monitors"), &pair, "{}").await.result();
    assert_eq!(world.send("GET", "/user", &pair, "").await.result()["email"], "ops@example.com");
    let rows = world.ask(&tenant, "GET", &format!("/accounts/{}/audit_logs?resource.id={}", tenant.account, id_of(&monitor)), None).await;
    assert_eq!(rows.result()[0]["actor"], json!({"type": "token", "id": made.id, "name": "old terraform", "ip": "127.0.0.1"}));

    let wrong = [("x-auth-email", "other@example.com"), ("x-auth-key", key.as_str())];
    let answer = world.send("GET", &tenant.lb("monitors"), &wrong, "").await.refused();
    assert_eq!(answer, refused(9103, "Unknown X-Auth-Key or X-Auth-Email"));
    let verify = world.send("GET", "/user/tokens/verify", &pair, "").await.refused();
    assert_eq!(verify, (405, json!([{"code": 10_405, "message": "Method not allowed for this authentication scheme"}])));
    world.end().await;
}
