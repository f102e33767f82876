//! Bad requests of every kind: each leaves as the envelope, and nothing falls over.

use serde_json::json;

use crate::world::{Answer, Tenant, World, id_of, pool_body};

/// The routes that read a body, on objects that exist.
async fn writing_routes(world: &World, tenant: &Tenant) -> Vec<(&'static str, String)> {
    let monitor = id_of(&world.make(tenant, &tenant.lb("monitors"), json!({})).await);
    let pool = id_of(&world.make(tenant, &tenant.lb("pools"), pool_body("eu", json!({}))).await);
    let body = json!({"name": "www.example.com", "default_pools": [pool], "fallback_pool": pool});
    let balancer = id_of(&world.make(tenant, &tenant.in_zone("load_balancers"), body).await);
    let (monitors, pools, balancers) = (tenant.lb("monitors"), tenant.lb("pools"), tenant.in_zone("load_balancers"));
    let mut routes = Vec::new();
    for (list, id) in [(monitors, monitor), (pools, pool), (balancers, balancer)] {
        routes.push(("PUT", format!("{list}/{id}")));
        routes.push(("PATCH", format!("{list}/{id}")));
        routes.push(("POST", list));
    }
    routes
}

async fn send(world: &World, tenant: &Tenant, method: &str, path: &str, kind: Option<&str>, body: impl Into<bytes::Bytes>) -> Answer {
    let bearer = format!("Bearer {}", tenant.secret);
    let mut headers = vec![("authorization", bearer.as_str())];
    headers.extend(kind.map(|kind| ("content-type", kind)));
    world.send(method, path, &headers, body).await
}

#[tokio::test]
async fn what_is_no_json_object_is_refused_on_every_route_that_reads_one() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(40), "]".repeat(40));
    let deeper = "[".repeat(100_000);
    let not_object = |kind: &str| (1002, format!("the body must be a JSON object, not {kind}: validation failed"));
    let malformed = |why: &str| (6007, format!("Malformed JSON in request body: {why}"));
    let cases: Vec<(Vec<u8>, (u32, String))> = vec![
        (b"".to_vec(), malformed("EOF while parsing a value at line 1 column 0")),
        (b"{".to_vec(), malformed("EOF while parsing an object at line 1 column 1")),
        (b"{} x".to_vec(), malformed("trailing characters at line 1 column 4")),
        (b"{'a': 1}".to_vec(), malformed("key must be a string at line 1 column 2")),
        (b"\xff\xfe".to_vec(), malformed("expected value at line 1 column 1")),
        (b"{\"description\": \"\xff\"}".to_vec(), malformed("invalid unicode code point at line 1 column 18")),
        (deep.into_bytes(), malformed("nested deeper than 32 levels")),
        (deeper.into_bytes(), malformed("recursion limit exceeded at line 1 column 128")),
        (b"{\"description\": \"a\\u0000b\"}".to_vec(), malformed("a text holds the character U+0000")),
        (b"{\"region_pools\": {\"\\u0000\": []}}".to_vec(), malformed("a text holds the character U+0000")),
        (b"[]".to_vec(), not_object("an array")),
        (b"null".to_vec(), not_object("null")),
        (b"\"x\"".to_vec(), not_object("a string")),
        (b"1".to_vec(), not_object("a number")),
    ];
    for (method, path) in writing_routes(&world, &tenant).await {
        for (body, (code, message)) in &cases {
            let (status, errors) = send(&world, &tenant, method, &path, Some("application/json"), body.clone()).await.refused();
            assert_eq!(status, 400, "{method} {path}");
            assert_eq!((&errors[0]["code"], &errors[0]["message"]), (&json!(code), &json!(message)), "{method} {path}");
        }
    }
    world.end().await;
}

#[tokio::test]
async fn size_and_media_type_are_refused_in_the_envelope() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    for (method, path) in writing_routes(&world, &tenant).await {
        let large = format!("{{\"description\": \"{}\"}}", "x".repeat(1024 * 1024));
        let refused = send(&world, &tenant, method, &path, Some("application/json"), large).await.refused();
        let message = "The request body is larger than 1048576 bytes";
        assert_eq!(refused, (413, json!([{"code": 10_413, "message": message}])), "{method} {path}");
        for kind in ["text/plain", "application/x-www-form-urlencoded"] {
            let refused = send(&world, &tenant, method, &path, Some(kind), "{}").await.refused();
            let message = format!("The request body is {kind}, and must be application/json without encoding");
            assert_eq!(refused, (415, json!([{"code": 10_415, "message": message}])), "{method} {path}");
        }
    }
    let bearer = format!("Bearer {}", tenant.secret);
    let gzip = world.send("POST", &tenant.lb("monitors"), &[("authorization", &bearer), ("content-encoding", "gzip")], "{}").await;
    assert_eq!(gzip.refused().0, 415);
    // A media type with parameters, and none at all, are JSON.
    for kind in [Some("application/json; charset=utf-8"), None] {
        send(&world, &tenant, "POST", &tenant.lb("monitors"), kind, "{}").await.result();
    }
    world.end().await;
}

#[tokio::test]
async fn no_route_no_method_and_no_identifier_answer_in_the_envelope() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let no_route = |path: &str| {
        let message = format!("Could not route to /client/v4{path}, perhaps your object identifier is invalid?");
        (404, json!([{"code": 7003, "message": message}, {"code": 7000, "message": "No route for that URI"}]))
    };
    for path in [
        "/nonsense".to_owned(),
        "/".to_owned(),
        tenant.lb("monitors/"),
        tenant.lb("monitors/x"),
        tenant.lb("monitors/0123456789ABCDEF0123456789ABCDEF"),
        tenant.lb("pools/01234567-89ab-cdef-0123-456789abcdef"),
        tenant.lb("pools/%00/health"),
        "/accounts/x/load_balancers/pools".to_owned(),
        "/zones/x/load_balancers".to_owned(),
        tenant.in_zone("load_balancers/x"),
    ] {
        assert_eq!(world.ask(&tenant, "GET", &path, None).await.refused(), no_route(&path), "{path}");
    }
    let not_allowed = (405, json!([{"code": 10_405, "message": "Method not allowed for this route"}]));
    for (method, path) in
        [("PUT", tenant.lb("pools")), ("DELETE", tenant.lb("monitors")), ("PUT", "/zones".to_owned()), ("TRACE", "/user".to_owned())]
    {
        let answer = world.ask(&tenant, method, &path, None).await;
        assert!(answer.headers.contains_key("allow"), "{method} {path}");
        assert_eq!(answer.refused(), not_allowed, "{method} {path}");
    }
    world.end().await;
}

#[tokio::test]
async fn what_clients_send_without_need_does_no_harm() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let bearer = format!("Bearer {}", tenant.secret);
    let headers =
        [("authorization", bearer.as_str()), ("content-type", "application/json"), ("api-version", "2026-01-01"), ("accept", "*/*")];
    let monitor = id_of(&world.make(&tenant, &tenant.lb("monitors"), json!({})).await);
    // An empty body with a JSON media type, on GET and DELETE.
    world.send("GET", &tenant.lb("monitors?nonsense=1"), &headers, "").await.result();
    let deleted = world.send("DELETE", &tenant.lb(&format!("monitors/{monitor}")), &headers, "").await.result();
    assert_eq!(deleted, json!({"id": monitor}));
    // Read-only fields, whatever they hold.
    let body = json!({"id": "", "created_on": null, "modified_on": 7});
    let made = world.make(&tenant, &tenant.lb("monitors"), body).await;
    assert!(made["created_on"].is_string() && made["id"] != "");
    let pool = pool_body("eu", json!({"id": "x", "created_on": "", "disabled_at": "yesterday", "networks": ["x"], "healthy": true}));
    world.make(&tenant, &tenant.lb("pools"), pool).await;
    world.end().await;
}

#[tokio::test]
async fn bad_parameters_of_the_query_are_named() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let id = "is not an identifier of 32 lower-case hexadecimal characters";
    for (query, message) in [
        ("since=yesterday", "since \"yesterday\" is not an RFC 3339 time such as 2026-01-01T00:00:00Z".to_owned()),
        ("until=2026-01-01", "until \"2026-01-01\" is not an RFC 3339 time such as 2026-01-01T00:00:00Z".to_owned()),
        ("pool_id=x", format!("pool_id \"x\" {id}")),
        ("pool_healthy=1", "pool_healthy \"1\" is not true or false".to_owned()),
        ("origin_healthy=no", "origin_healthy \"no\" is not true or false".to_owned()),
        ("pool_name=%00", "the query string is not legal".to_owned()),
        ("per_page=2000", "per_page 2000 is not in range [1, 1000]".to_owned()),
    ] {
        let refused = world.ask(&tenant, "GET", &format!("/user/load_balancing_analytics/events?{query}"), None).await.refused();
        assert_eq!(refused, (400, json!([{"code": 1002, "message": format!("{message}: validation failed")}])), "{query}");
    }
    let ancient = "/user/load_balancing_analytics/events?since=-009998-01-01T00:00:00Z&until=9999-01-01T00:00:00Z&pool_name=";
    assert_eq!(world.ask(&tenant, "GET", ancient, None).await.result(), json!([]));
    world.end().await;
}
