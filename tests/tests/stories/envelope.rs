//! Whatever is sent, the envelope comes back.

use quorate_testkit::operator::Answer;
use quorate_testkit::world::Plan;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

async fn answer(request: RequestBuilder) -> Answer {
    let response = request.send().await.expect("an answer");
    let status = response.status().as_u16();
    let kind = response.headers().get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let text = response.text().await.expect("a body");
    assert!(kind.starts_with("application/json"), "{status} {kind}: {text}");
    Answer { status, body: serde_json::from_str(&text).unwrap_or_else(|error| panic!("{status} {error}: {text:?}")) }
}

#[tokio::test]
async fn bad_bodies_and_bad_requests_of_every_kind_get_the_envelope() {
    let world = Plan::small().build().await;
    let operator = &world.operator;
    let monitors = operator.monitors_path();
    let pools = operator.pools_path();
    let post = |path: &str| operator.raw(Method::POST, path).bearer_auth(operator.token()).header("content-type", "application/json");
    let get = |path: &str| operator.raw(Method::GET, path).bearer_auth(operator.token());

    // Bodies that are no JSON, or not of the right shape.
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let bodies: [&[u8]; 12] = [
        b"",
        b"{",
        b"null",
        b"[]",
        b"42",
        b"\"text\"",
        b"{\"type\": 7}",
        b"{\"interval\": -1}",
        b"{\"interval\": 1e99}",
        b"{\"type\": \"http\"} trailing",
        b"\xff\xfe\x00",
        deep.as_bytes(),
    ];
    for body in bodies {
        let got = answer(post(&monitors).body(body.to_vec())).await;
        let (status, _) = got.refusal();
        assert_eq!(status, 400, "{:?}: {got:#?}", String::from_utf8_lossy(&body[..body.len().min(40)]));
    }

    // One error a bad field, each with its pointer.
    let got = answer(
        post(&monitors).json(&json!({ "interval": 0, "timeout": 99, "retries": 9, "expected_codes": "6xx", "expected_code": "200" })),
    )
    .await;
    assert_eq!(got.refusal(), (400, 1002));
    let mut pointers: Vec<_> =
        got.body["errors"].as_array().unwrap().iter().map(|error| error["source"]["pointer"].as_str().unwrap_or("").to_owned()).collect();
    pointers.sort();
    assert_eq!(pointers, ["/expected_code", "/expected_codes", "/interval", "/retries", "/timeout"], "{got:#?}");
    for error in got.body["errors"].as_array().unwrap() {
        assert!(error["message"].as_str().unwrap().ends_with(": validation failed"), "{error}");
    }
    let got = answer(post(&pools).json(&json!({ "name": "bad name", "origins": [{ "name": "a", "address": "not an address" }] }))).await;
    assert_eq!(got.refusal(), (400, 1002));

    // Too large, of the wrong kind, to nowhere, by the wrong method.
    let got = answer(post(&monitors).body(format!("{{\"description\": \"{}\"}}", "x".repeat(4 * 1024 * 1024)))).await;
    assert_eq!(got.refusal().0, 413);
    let got =
        answer(operator.raw(Method::POST, &monitors).bearer_auth(operator.token()).header("content-type", "text/html").body("<html>"))
            .await;
    assert_eq!(got.refusal().0, 415);
    assert_eq!(answer(get("/nowhere")).await.refusal(), (404, 7003));
    assert_eq!(answer(get(&format!("{pools}/not-an-id"))).await.refusal(), (404, 7003));
    assert_eq!(answer(get(&format!("{pools}/{}", "0".repeat(32)))).await.refusal(), (404, 1001));
    let got = answer(operator.raw(Method::PUT, &pools).bearer_auth(operator.token())).await;
    assert_eq!(got.refusal(), (405, 10405));

    // Without credentials, and with wrong ones.
    assert_eq!(answer(operator.raw(Method::GET, &pools)).await.refusal(), (400, 9106));
    assert_eq!(answer(operator.raw(Method::GET, &pools).header("authorization", "Basic eDp5")).await.refusal(), (400, 6003));
    assert_eq!(answer(operator.raw(Method::GET, &pools).bearer_auth("qrt_unknown")).await.refusal(), (403, 9109));

    // Bad filters of the events.
    for query in ["since=yesterday", "until=1e9", "pool_id=xyz", "pool_healthy=perhaps", "per_page=0", "per_page=1001", "page=0"] {
        let got = answer(get(&format!("/user/load_balancing_analytics/events?{query}"))).await;
        assert_eq!(got.refusal().0, 400, "{query}: {got:#?}");
    }

    // And nothing of it was stored.
    assert_eq!(operator.get(&monitors).await.result(), &Value::Array(vec![]));
    assert_eq!(operator.get(&pools).await.result(), &Value::Array(vec![]));
}

#[tokio::test]
async fn objects_round_trip_and_are_guarded_while_others_name_them() {
    let world = Plan::small().build().await;
    let operator = &world.operator;
    let origin = world.origin().await;
    let monitor = operator.creates_monitor(&json!({ "type": "http", "description": "shop", "interval": 60 })).await;
    let monitor_path = format!("{}/{monitor}", operator.monitors_path());
    let pool = operator.creates_pool(&world.pool_of("shop", &monitor, &[&origin])).await;
    let body = json!({ "name": "www.example.com", "default_pools": [pool], "fallback_pool": pool, "region_pools": { "WEU": [pool] } });
    let balancer = quorate_testkit::operator::id_of(operator.post(&operator.load_balancers_path(), &body).await.result());
    let balancer_path = format!("{}/{balancer}", operator.load_balancers_path());

    // A PUT of what a GET gave changes nothing.
    for path in [&monitor_path, &operator.pool_path(&pool), &balancer_path] {
        let before = operator.get(path).await.result().clone();
        let put = operator.put(path, &before).await;
        assert_eq!(put.result(), &before, "{path}");
        assert_eq!(operator.get(path).await.result(), &before, "{path}");
    }

    // What is named elsewhere stays, and the answer says where.
    let got = operator.delete(&operator.pool_path(&pool)).await;
    assert_eq!(got.refusal(), (412, 1005));
    let text = got.body["errors"][0]["message"].as_str().unwrap();
    assert!(text.contains("default_pools") && text.contains("fallback_pool") && text.contains("region_pools.WEU"), "{text}");
    assert_eq!(operator.delete(&monitor_path).await.refusal(), (412, 1005));

    for (path, id) in [(&balancer_path, &balancer), (&operator.pool_path(&pool), &pool), (&monitor_path, &monitor)] {
        assert_eq!(operator.delete(path).await.result()["id"], **id);
        assert_eq!(operator.get(path).await.refusal(), (404, 1001));
    }
}
