//! Credentials, and what they reach.

use std::time::{Duration, Instant};

use quorate_core::ids::AccountId;
use quorate_store::tokens::{self, NewToken, Pepper, Scope};
use serde_json::{Value, json};

use crate::world::{Answer, Tenant, World, id_of};

/// In the form of a key, and nobody's.
const KEY: &str = "1234567890abcdef1234567890abcdef12345";

fn error(code: u32, message: &str) -> Value {
    json!([{"code": code, "message": message}])
}

async fn get(world: &World, path: &str, headers: &[(&str, &str)]) -> Answer {
    world.send("GET", path, headers, "").await
}

#[tokio::test]
async fn every_kind_of_bad_credential_has_its_answer() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let path = tenant.lb("pools");
    let malformed = json!([{
        "code": 6003, "message": "Invalid request headers", "error_chain": [{"code": 6111, "message": "Invalid format for Authorization header"}],
    }]);
    let half = |code: u32, message: &str| json!([{"code": 6003, "message": "Invalid request headers", "error_chain": [{"code": code, "message": message}]}]);
    let unknown = {
        // A token of another installation: well formed and known to nobody.
        let mut op = world.db.operator().await.expect("a transaction");
        let new = NewToken::new("elsewhere", Scope::Edit, vec![tenant.account]);
        let (_, secret) = tokens::create(&mut op, &Pepper([8; 32]), new).await.expect("a token");
        op.commit().await.expect("commits");
        format!("Bearer {secret}")
    };
    let none: &[(&str, &str)] = &[];
    let cases = [
        (none, 400, error(9106, "Missing X-Auth-Key, X-Auth-Email or Authorization headers")),
        (&[("authorization", "Bearer ")], 400, malformed.clone()),
        (&[("authorization", "Basic YTpi")], 400, malformed.clone()),
        (&[("authorization", "Bearer a b")], 400, malformed),
        (&[("authorization", "Bearer abc")], 403, error(9109, "Invalid access token")),
        (&[("authorization", &unknown)], 403, error(9109, "Invalid access token")),
        (&[("x-auth-email", "a@example.com"), ("x-auth-key", KEY)], 403, error(9103, "Unknown X-Auth-Key or X-Auth-Email")),
        (&[("x-auth-email", "a@example.com"), ("x-auth-key", "k")], 400, half(6103, "Invalid format for X-Auth-Key header")),
        (&[("x-auth-email", "a"), ("x-auth-key", KEY)], 400, half(6102, "Invalid format for X-Auth-Email header")),
        (&[("x-auth-key", KEY)], 400, error(9106, "Missing X-Auth-Key, X-Auth-Email or Authorization headers")),
    ];
    for (headers, status, errors) in cases {
        assert_eq!(get(&world, &path, headers).await.refused(), (status, errors), "{headers:?}");
    }
    world.end().await;
}

#[tokio::test]
async fn verify_tells_whether_a_token_works() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let verify = |secret: String| {
        let world = &world;
        async move { get(world, "/user/tokens/verify", &[("authorization", &format!("Bearer {secret}"))]).await }
    };
    let active = verify(tenant.secret.clone()).await;
    assert_eq!(active.body["messages"], error(10_000, "This API Token is valid and active"));
    let id = active.body["result"]["id"].clone();
    assert_eq!(active.result(), json!({"id": id, "status": "active"}));
    let past = "2020-01-01T00:00:00Z".parse().expect("a time");
    let (_, expired) = world.token(Scope::Edit, &[tenant.account], Some(past)).await;
    let told = verify(expired.clone()).await.result();
    assert_eq!((&told["status"], &told["expires_on"]), (&json!("expired"), &json!("2020-01-01T00:00:00.000000Z")));
    assert_eq!(verify("abc".to_owned()).await.refused(), (401, error(1000, "Invalid API Token")));
    assert_eq!(get(&world, "/user/tokens/verify", &[]).await.refused().0, 400);
    let refused = get(&world, &tenant.lb("pools"), &[("authorization", &format!("Bearer {expired}"))]).await.refused();
    assert_eq!(refused, (403, error(9109, "Invalid access token: it has expired")));
    world.end().await;
}

#[tokio::test]
async fn a_read_token_reads_and_changes_nothing() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let reader = Tenant { secret: world.token(Scope::Read, &[tenant.account], None).await.1, ..tenant.clone() };
    let monitor = id_of(&world.make(&tenant, &tenant.lb("monitors"), json!({})).await);
    let one = tenant.lb(&format!("monitors/{monitor}"));
    assert_eq!(id_of(&world.ask(&reader, "GET", &one, None).await.result()), monitor);
    for (method, path) in [
        ("POST", tenant.lb("monitors")),
        ("PUT", one.clone()),
        ("PATCH", one.clone()),
        ("DELETE", one),
        ("POST", tenant.lb("pools")),
        ("POST", tenant.in_zone("load_balancers")),
        ("DELETE", tenant.in_zone(&format!("load_balancers/{monitor}"))),
        ("POST", "/user/load_balancers/pools".to_owned()),
    ] {
        let refused = world.ask(&reader, method, &path, Some(json!({}))).await.refused();
        assert_eq!(refused, (403, error(10_000, "Authentication error")), "{method} {path}");
    }
    // An account out of reach is said first, whatever the token may do elsewhere.
    let nobody = AccountId::from_bytes([1; 16]);
    let refused = world.ask(&reader, "POST", &format!("/accounts/{nobody}/load_balancers/pools"), Some(json!({}))).await.refused();
    assert_eq!(refused, (403, error(9109, "Unauthorized to access requested resource")));
    world.end().await;
}

#[tokio::test]
async fn a_revoked_token_is_refused_within_five_seconds() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let (token, secret) = world.token(Scope::Edit, &[tenant.account], None).await;
    let holder = Tenant { secret, ..tenant.clone() };
    world.ask(&holder, "GET", &tenant.lb("pools"), None).await.result();
    let mut op = world.db.operator().await.expect("a transaction");
    assert!(tokens::revoke(&mut op, token.id).await.expect("revokes"));
    op.commit().await.expect("commits");
    let revoked = Instant::now();
    let refused = loop {
        let answer = world.ask(&holder, "GET", &tenant.lb("pools"), None).await;
        if answer.status != 200 {
            break answer.refused();
        }
        assert!(revoked.elapsed() < Duration::from_secs(5), "still served five seconds after it was revoked");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(refused, (403, error(9109, "Invalid access token")));
    let verify = world.ask(&holder, "GET", "/user/tokens/verify", None).await.refused();
    assert_eq!(verify, (401, error(1000, "Invalid API Token")));
    world.end().await;
}

#[tokio::test]
async fn the_user_routes_are_those_of_the_tokens_own_account() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let made = world.make(&tenant, "/user/load_balancers/monitors", json!({"timeout": 7})).await;
    let id = id_of(&made);
    let through_account = world.ask(&tenant, "GET", &tenant.lb(&format!("monitors/{id}")), None).await;
    let through_user = world.ask(&tenant, "GET", &format!("/user/load_balancers/monitors/{id}"), None).await;
    assert_eq!(through_account.text, through_user.text);
    let user = world.ask(&tenant, "GET", "/user", None).await.result();
    assert_eq!((&user["username"], &user["email"]), (&json!("test"), &json!("")));
    world.end().await;
}
