//! Monitors, with the exact body of every refusal.

use serde_json::{Value, json};

use crate::world::{LIMITS, Tenant, World, errors_1002, id_of, pool_body, with};

/// Creates with `body` and expects exactly these errors: pointer, and message before its suffix.
async fn refused(world: &World, tenant: &Tenant, body: Value, errors: &[(&str, &str)]) {
    let found = world.ask(tenant, "POST", &tenant.lb("monitors"), Some(body)).await.refused();
    assert_eq!(found, (400, errors_1002(errors)));
}

#[tokio::test]
async fn a_monitor_of_no_words_gets_every_default() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let made = world.make(&tenant, &tenant.lb("monitors"), json!({})).await;
    let expected = json!({
        "id": made["id"], "created_on": made["created_on"], "modified_on": made["created_on"],
        "type": "http", "description": "", "method": "GET", "path": "/", "port": 0, "timeout": 5, "retries": 2, "interval": 60,
        "consecutive_up": 0, "consecutive_down": 0, "expected_codes": "200", "expected_body": "", "follow_redirects": false,
        "allow_insecure": false, "probe_zone": "",
    });
    assert_eq!(made, expected);
    let created = made["created_on"].as_str().expect("a time");
    assert!(created.len() == "2026-01-01T00:00:00.000000Z".len() && created.ends_with('Z'), "{created}");
    let tcp = world.make(&tenant, &tenant.lb("monitors"), json!({"type": "tcp", "port": 25})).await;
    assert_eq!((&tcp["method"], &tcp["expected_codes"]), (&json!("connection_established"), &json!("")));
    world.end().await;
}

#[tokio::test]
async fn each_bad_field_is_refused_with_its_pointer_its_value_and_what_is_legal() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let cases = [
        (json!({"type": "ftp"}), "/type", "type \"ftp\" is not one of http, https, tcp, udp_icmp, icmp_ping, smtp"),
        (json!({"type": 1}), "/type", "type 1 is not a string"),
        (json!({"interval": 9}), "/interval", "interval is not in range [10, 3600]"),
        (json!({"interval": 3601}), "/interval", "interval is not in range [10, 3600]"),
        (json!({"interval": null}), "/interval", "interval is not in range [10, 3600]"),
        (json!({"timeout": 0}), "/timeout", "timeout 0 is not in range [1, 60]"),
        (json!({"timeout": "5"}), "/timeout", "timeout \"5\" is not an integer in range [1, 60]"),
        (json!({"retries": 6}), "/retries", "retries 6 is not in range [0, 5]"),
        (json!({"consecutive_up": 101}), "/consecutive_up", "consecutive_up 101 is not in range [0, 100]"),
        (json!({"consecutive_down": -1}), "/consecutive_down", "consecutive_down -1 is not in range [0, 100]"),
        (json!({"port": 65536}), "/port", "port 65536 is not in range [0, 65535]"),
        (json!({"type": "tcp"}), "/port", "port 0 is not in range [1, 65535], and type tcp has no port of its own"),
        (json!({"method": "DELETE"}), "/method", "method \"DELETE\" is not one of GET, HEAD, OPTIONS, POST for type http"),
        (json!({"path": "health"}), "/path", "path \"health\" must begin with \"/\" and hold 1 to 1024 visible ASCII characters"),
        (
            json!({"expected_codes": "2x"}),
            "/expected_codes",
            "expected_codes \"2x\" is not a comma-separated list of codes (200), classes (2xx) or ranges (200-299) within 100 to 599",
        ),
        (json!({"expected_body": "x".repeat(10_241)}), "/expected_body", "expected_body has 10241 bytes and may have at most 10240"),
        (json!({"description": "x".repeat(1025)}), "/description", "description has 1025 characters and may have at most 1024"),
        (json!({"description": 3}), "/description", "description 3 is not a string"),
        (json!({"follow_redirects": "yes"}), "/follow_redirects", "follow_redirects \"yes\" is not true or false"),
        (json!({"allow_insecure": 1}), "/allow_insecure", "allow_insecure 1 is not true or false"),
        (json!({"probe_zone": "a b"}), "/probe_zone", "probe_zone \"a b\" is not the name of a zone"),
        (json!({"header": []}), "/header", "header [] is not an object"),
        (json!({"header": {"Host": "a.example"}}), "/header/Host", "header.Host \"a.example\" is not an array"),
        (json!({"secret_headers": ["a b"]}), "/secret_headers/0", "secret_headers \"a b\" is not an HTTP header name"),
        (json!({"secret_headers": "X-Key"}), "/secret_headers", "secret_headers \"X-Key\" is not an array"),
        (json!({"header": {"User-Agent": ["x"]}}), "/header/User-Agent", "header \"User-Agent\" cannot be set"),
        (
            json!({"header": {"X-A": ["a\r\nb"]}}),
            "/header/X-A",
            "a value of header \"X-A\" holds characters other than visible ASCII, spaces and tabs inside it",
        ),
        (json!({"expected_code": "200"}), "/expected_code", "unknown field \"expected_code\"; did you mean \"expected_codes\"?"),
        (json!({"follow_redirect": true}), "/follow_redirect", "unknown field \"follow_redirect\"; did you mean \"follow_redirects\"?"),
    ];
    for (body, pointer, detail) in cases {
        refused(&world, &tenant, body, &[(pointer, detail)]).await;
    }
    refused(
        &world,
        &tenant,
        json!({"timeout": 61, "path": "x", "nonsense": 1}),
        &[
            ("/timeout", "timeout 61 is not in range [1, 60]"),
            ("/nonsense", "unknown field \"nonsense\""),
            ("/path", "path \"x\" must begin with \"/\" and hold 1 to 1024 visible ASCII characters"),
        ],
    )
    .await;
    assert_eq!(world.ask(&tenant, "GET", &tenant.lb("monitors"), None).await.result(), json!([]), "nothing of it was stored");
    world.end().await;
}

#[tokio::test]
async fn the_shortest_interval_is_the_accounts() {
    let world = World::start().await;
    let fast = world.tenant_with("fast.example", quorate_store::accounts::Limits { minimum_monitor_interval: 1, ..LIMITS }).await;
    let made = world.make(&fast, &fast.lb("monitors"), json!({"interval": 1})).await;
    assert_eq!(made["interval"], 1);
    refused(&world, &fast, json!({"interval": 0}), &[("/interval", "interval is not in range [1, 3600]")]).await;
    world.end().await;
}

#[tokio::test]
async fn put_replaces_patch_merges_and_each_answers_the_whole_object() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let body = json!({"path": "/health", "timeout": 9, "header": {"Host": ["a.example"]}, "method": "HEAD", "expected_codes": "2xx", "port": 8080, "description": "x",
        "consecutive_up": 2, "consecutive_down": 3});
    let made = world.make(&tenant, &tenant.lb("monitors"), body).await;
    let path = tenant.lb(&format!("monitors/{}", id_of(&made)));
    let nulls = json!({
        "timeout": 3, "header": null, "port": null, "description": null, "consecutive_up": null, "consecutive_down": null,
    });
    let patched = world.ask(&tenant, "PATCH", &path, Some(nulls)).await.result();
    assert_eq!((&patched["timeout"], &patched["path"], &patched["port"]), (&json!(3), &json!("/health"), &json!(0)));
    assert_eq!((patched.get("header"), &patched["description"]), (None, &json!("")), "null clears");
    assert_eq!((&patched["consecutive_up"], &patched["consecutive_down"]), (&json!(0), &json!(0)), "null clears");
    assert_ne!(patched["modified_on"], made["modified_on"]);
    let to_https = world.ask(&tenant, "PATCH", &path, Some(json!({"type": "https"}))).await.result();
    assert_eq!((&to_https["method"], &to_https["expected_codes"]), (&json!("HEAD"), &json!("2xx")), "of one family");
    let to_tcp = world.ask(&tenant, "PATCH", &path, Some(json!({"type": "tcp", "port": 25}))).await.result();
    assert_eq!((&to_tcp["method"], &to_tcp["expected_codes"]), (&json!("connection_established"), &json!("")));
    let put = world.ask(&tenant, "PUT", &path, Some(json!({"timeout": 7}))).await.result();
    let fresh = with(
        world.make(&tenant, &tenant.lb("monitors"), json!({"timeout": 7})).await,
        json!({"id": made["id"], "created_on": made["created_on"], "modified_on": put["modified_on"]}),
    );
    assert_eq!(put, fresh, "what is omitted returns to its default");
    world.end().await;
}

#[tokio::test]
async fn putting_back_what_was_got_changes_nothing_byte_for_byte() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let terraform = json!({
        "type": "http", "port": 0, "expected_codes": "", "expected_body": "", "description": "", "probe_zone": "", "path": "/", "method": "GET",
        "timeout": 5, "retries": 2, "interval": 60, "consecutive_up": 0, "consecutive_down": 0, "follow_redirects": false, "allow_insecure": false,
    });
    let rich = json!({"type": "https", "header": {"X-B": ["1", "2"], "Host": ["a.example"]}, "expected_codes": "200, 302", "description": "é\"\\"});
    for body in [terraform.clone(), rich, json!({"type": "icmp_ping"}), json!({"type": "smtp", "port": 25, "path": "", "method": ""})] {
        let made = world.make(&tenant, &tenant.lb("monitors"), body.clone()).await;
        let path = tenant.lb(&format!("monitors/{}", id_of(&made)));
        let first = world.ask(&tenant, "GET", &path, None).await;
        for method in ["PUT", "PATCH"] {
            let again = world.ask(&tenant, method, &path, Some(first.body["result"].clone())).await;
            assert_eq!(again.text, first.text, "{method} {body}");
        }
        assert_eq!(world.ask(&tenant, "GET", &path, None).await.text, first.text);
        for (name, value) in
            body.as_object().expect("an object").iter().filter(|(name, _)| terraform.get(*name).is_some() && **name != "method")
        {
            assert_eq!(&made[name], value, "{name} is echoed");
        }
    }
    world.end().await;
}

#[tokio::test]
async fn a_list_is_whole_in_creation_order_and_pages_on_request() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let mut ids = Vec::new();
    for number in 0..25 {
        ids.push(id_of(&world.make(&tenant, &tenant.lb("monitors"), json!({"description": number.to_string()})).await));
    }
    let all = world.ask(&tenant, "GET", &tenant.lb("monitors"), None).await;
    assert_eq!(all.body["result_info"], json!({"page": 1, "per_page": 25, "count": 25, "total_count": 25, "total_pages": 1}));
    let found: Vec<String> = all.result().as_array().expect("a list").iter().map(id_of).collect();
    assert_eq!(found, ids);
    let page = world.ask(&tenant, "GET", &tenant.lb("monitors?page=3&per_page=10"), None).await;
    assert_eq!(page.body["result_info"], json!({"page": 3, "per_page": 10, "count": 5, "total_count": 25, "total_pages": 3}));
    assert_eq!(id_of(&page.result()[0]), ids[20]);
    for (query, message) in [
        ("per_page=0", "per_page 0 is not in range [1, 1000]"),
        ("per_page=1001", "per_page 1001 is not in range [1, 1000]"),
        ("page=x", "page \"x\" is not an integer in range [1, 1000000000]"),
    ] {
        let refused = world.ask(&tenant, "GET", &tenant.lb(&format!("monitors?{query}")), None).await.refused();
        assert_eq!(refused, (400, json!([{"code": 1002, "message": format!("{message}: validation failed")}])));
    }
    world.end().await;
}

#[tokio::test]
async fn a_monitor_in_use_cannot_be_deleted_and_its_pools_are_named() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let monitor = id_of(&world.make(&tenant, &tenant.lb("monitors"), json!({})).await);
    let path = tenant.lb(&format!("monitors/{monitor}"));
    let pool = id_of(&world.make(&tenant, &tenant.lb("pools"), pool_body("eu", json!({"monitor": monitor}))).await);
    let message = format!("This object is referenced by other objects, delete them first. pool \"eu\" ({pool}) in monitor");
    let guarded = world.ask(&tenant, "DELETE", &path, None).await.refused();
    assert_eq!(guarded, (412, json!([{"code": 1005, "message": message}])));
    world.ask(&tenant, "PATCH", &tenant.lb(&format!("pools/{pool}")), Some(json!({"monitor": null}))).await.result();
    assert_eq!(world.ask(&tenant, "DELETE", &path, None).await.result(), json!({"id": monitor}));
    let gone = (404, json!([{"code": 1001, "message": "monitor not found"}]));
    for (method, body) in [("GET", None), ("DELETE", None), ("PUT", Some(json!({}))), ("PATCH", Some(json!({})))] {
        assert_eq!(world.ask(&tenant, method, &path, body).await.refused(), gone, "{method}");
    }
    world.end().await;
}

#[tokio::test]
async fn an_account_has_as_many_monitors_as_it_may() {
    let world = World::start().await;
    let tenant = world.tenant_with("example.com", quorate_store::accounts::Limits { monitors: 2, ..LIMITS }).await;
    for _ in 0..2 {
        world.make(&tenant, &tenant.lb("monitors"), json!({})).await;
    }
    let refused = world.ask(&tenant, "POST", &tenant.lb("monitors"), Some(json!({}))).await.refused();
    let message = "Exceeded quota: this account may have at most 2 monitors, and has 2";
    assert_eq!(refused, (403, json!([{"code": 1004, "message": message}])));
    world.end().await;
}

#[tokio::test]
async fn without_load_balancing_nothing_is_created_and_that_is_said_first() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let monitor = id_of(&world.make(&tenant, &tenant.lb("monitors"), json!({})).await);
    world.load_balancing(tenant.account, tenant.zone, false, true).await;
    let message = "load balancing not enabled for account: validation failed";
    for path in [tenant.lb("monitors"), tenant.lb("pools"), tenant.in_zone("load_balancers")] {
        for body in [&b"{}"[..], b"no JSON"] {
            let bearer = format!("Bearer {}", tenant.secret);
            let refused = world.send("POST", &path, &[("authorization", &bearer)], body.to_vec()).await.refused();
            assert_eq!(refused, (400, json!([{"code": 1002, "message": message}])), "{path}");
        }
    }
    let kept = world.ask(&tenant, "PATCH", &tenant.lb(&format!("monitors/{monitor}")), Some(json!({"timeout": 6}))).await.result();
    assert_eq!(kept["timeout"], 6, "what exists can still be changed");
    world.end().await;
}
