//! Standalone health checks as the API takes and tells them.

use quorate_core::bucket::Bucket;
use quorate_core::failure::FailureReason;
use quorate_core::preview::{Answer, Seen};
use quorate_core::region::Region;
use quorate_core::vote::{Detail, VoteState};
use quorate_store::accounts::Limits;
use quorate_store::previews;
use quorate_store::tokens::Scope;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor, Row};

use crate::world::{LIMITS, Tenant, World, errors_1002, id_of, with};

fn body(change: Value) -> Value {
    with(json!({"name": "shop", "address": "www.example.com"}), change)
}

/// Creates with `body` and expects exactly these errors: pointer, and message before its suffix.
async fn refused(world: &World, tenant: &Tenant, body: Value, errors: &[(&str, &str)]) {
    let found = world.ask(tenant, "POST", &tenant.in_zone("healthchecks"), Some(body)).await.refused();
    assert_eq!(found, (400, errors_1002(errors)));
}

#[tokio::test]
async fn a_health_check_of_two_words_gets_every_default() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    world.pop("lhr", Region::Weu, "London", "GB").await;
    let made = world.make(&tenant, &tenant.in_zone("healthchecks"), body(json!({}))).await;
    let http = json!({
        "method": "GET", "port": 80, "path": "/", "expected_codes": null, "expected_body": "", "follow_redirects": false,
        "allow_insecure": false, "header": null,
    });
    let expected = json!({
        "id": made["id"], "created_on": made["created_on"], "modified_on": made["created_on"], "name": "shop", "address": "www.example.com",
        "type": "HTTP", "description": "", "check_regions": null, "interval": 60, "retries": 2, "timeout": 5, "consecutive_fails": 1,
        "consecutive_successes": 1, "suspended": false, "http_config": http, "tcp_config": null, "status": "unknown",
    });
    assert_eq!(made, expected);
    let view = world.ask(&tenant, "GET", &tenant.in_zone(&format!("healthchecks/{}/quorum", id_of(&made))), None).await.result();
    let nothing = json!({
        "id": made["id"], "status": "unknown", "quorum_lost_since": null, "name": "shop", "address": "www.example.com", "enabled": true,
        "verdict": "unknown", "healthy": null, "since": view["since"], "verdict_seq": 0, "as_of": null, "evidence": null,
    });
    assert_eq!(view, nothing);
    let tcp = world.make(&tenant, &tenant.in_zone("healthchecks"), body(json!({"type": "TCP", "suspended": true}))).await;
    let config = json!({"method": "connection_established", "port": 80});
    assert_eq!((&tcp["http_config"], &tcp["tcp_config"], &tcp["status"]), (&Value::Null, &config, &json!("suspended")));
    let https = world.make(&tenant, &tenant.in_zone("healthchecks"), body(json!({"type": "HTTPS"}))).await;
    assert_eq!(https["http_config"]["port"], 443);
    world.end().await;
}

#[tokio::test]
async fn each_bad_field_is_refused_with_its_pointer_its_value_and_what_is_legal() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    refused(&world, &tenant, json!({}), &[("/name", "name is required"), ("/address", "address is required")]).await;
    let regions = "WNAM, ENAM, WEU, EEU, NSAM, SSAM, OC, ME, NAF, SAF, IN, SEAS, NEAS, ALL_REGIONS";
    let codes = "is not a comma-separated list of codes (200), classes (2xx) or ranges (200-299) within 100 to 599";
    let cases = [
        (json!({"type": "http"}), "/type", "type \"http\" is not one of HTTP, HTTPS, TCP".to_owned()),
        (json!({"interval": 9}), "/interval", "interval is not in range [10, 3600]".to_owned()),
        (json!({"timeout": 61}), "/timeout", "timeout 61 is not in range [1, 60]".to_owned()),
        (json!({"retries": 6}), "/retries", "retries 6 is not in range [0, 5]".to_owned()),
        (json!({"consecutive_fails": 101}), "/consecutive_fails", "consecutive_fails 101 is not in range [0, 100]".to_owned()),
        (json!({"suspended": "no"}), "/suspended", "suspended \"no\" is not true or false".to_owned()),
        (json!({"check_regions": ["SAS"]}), "/check_regions", format!("check_regions \"SAS\" is not one of {regions}")),
        (
            json!({"http_config": {"method": "POST"}}),
            "/http_config/method",
            "http_config.method \"POST\" is not one of GET, HEAD".to_owned(),
        ),
        (json!({"http_config": {"port": 0}}), "/http_config/port", "http_config.port 0 is not in range [1, 65535]".to_owned()),
        (json!({"http_config": {"expected_codes": ["2x"]}}), "/http_config/expected_codes", format!("expected_codes \"2x\" {codes}")),
        (
            json!({"http_config": {"expected_code": "200"}}),
            "/http_config/expected_code",
            "unknown field \"http_config.expected_code\"; did you mean \"http_config.expected_codes\"?".to_owned(),
        ),
        (
            json!({"tcp_config": {"method": "GET"}}),
            "/tcp_config/method",
            "tcp_config.method \"GET\" is not one of connection_established".to_owned(),
        ),
        (json!({"monitor": "x"}), "/monitor", "unknown field \"monitor\"".to_owned()),
    ];
    for (change, pointer, detail) in cases {
        refused(&world, &tenant, body(change), &[(pointer, &detail)]).await;
    }
    let fast = world.tenant_with("fast.example", Limits { minimum_monitor_interval: 1, ..LIMITS }).await;
    world.make(&fast, &fast.in_zone("healthchecks"), body(json!({"interval": 1}))).await;
    world.end().await;
}

#[tokio::test]
async fn put_replaces_patch_merges_and_putting_back_what_was_got_changes_nothing() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let rich = json!({
        "type": "HTTPS", "description": "é", "check_regions": ["IN", "WEU"], "interval": 30, "retries": 0, "timeout": 2, "consecutive_fails": 3,
        "http_config": {"method": "HEAD", "port": 8443, "path": "/health", "expected_codes": ["2xx", "302"], "header": {"Host": ["a.example"], "X": ["1", "2"]}},
    });
    for change in [
        rich.clone(),
        json!({}),
        json!({"type": "TCP", "tcp_config": {"port": 5432}}),
        json!({"http_config": {"port": 80}, "suspended": true}),
    ] {
        let made = world.make(&tenant, &tenant.in_zone("healthchecks"), body(change.clone())).await;
        let path = tenant.in_zone(&format!("healthchecks/{}", id_of(&made)));
        let first = world.ask(&tenant, "GET", &path, None).await;
        for method in ["PUT", "PATCH"] {
            let again = world.ask(&tenant, method, &path, Some(first.body["result"].clone())).await;
            // A remark on regions without workers stands beside it.
            assert_eq!(again.result().to_string(), first.body["result"].to_string(), "{method} {change}");
        }
        assert_eq!(world.ask(&tenant, "GET", &path, None).await.text, first.text);
    }
    let made = world.make(&tenant, &tenant.in_zone("healthchecks"), body(rich)).await;
    let path = tenant.in_zone(&format!("healthchecks/{}", id_of(&made)));
    let patched =
        world.ask(&tenant, "PATCH", &path, Some(json!({"interval": 60, "check_regions": null, "description": null}))).await.result();
    assert_eq!((&patched["interval"], &patched["check_regions"], &patched["description"]), (&json!(60), &Value::Null, &json!("")));
    assert_eq!(patched["http_config"], made["http_config"]);
    assert_ne!(patched["modified_on"], made["modified_on"]);
    let part = world.ask(&tenant, "PATCH", &path, Some(json!({"http_config": {"path": "/new"}}))).await.result();
    assert_eq!(
        (&part["http_config"]["path"], &part["http_config"]["method"], &part["http_config"]["port"]),
        (&json!("/new"), &json!("GET"), &json!(443))
    );
    let put = world.ask(&tenant, "PUT", &path, Some(body(json!({"retries": 1})))).await.result();
    let fresh = with(
        world.make(&tenant, &tenant.in_zone("healthchecks"), body(json!({"retries": 1}))).await,
        json!({"id": made["id"], "created_on": made["created_on"], "modified_on": put["modified_on"]}),
    );
    assert_eq!(put, fresh, "what is omitted returns to its default");
    world.end().await;
}

#[tokio::test]
async fn a_list_has_pages_of_25_and_what_is_not_there_is_not_found() {
    let world = World::start().await;
    let tenant = world.tenant_with("example.com", Limits { healthchecks: 30, ..LIMITS }).await;
    let mut ids = Vec::new();
    for number in 0..30 {
        ids.push(id_of(&world.make(&tenant, &tenant.in_zone("healthchecks"), body(json!({"name": format!("check-{number}")}))).await));
    }
    let quota = world.ask(&tenant, "POST", &tenant.in_zone("healthchecks"), Some(body(json!({})))).await.refused();
    let message = "Exceeded quota: this account may have at most 30 health checks, and has 30";
    assert_eq!(quota, (403, json!([{"code": 1004, "message": message}])));
    let first = world.ask(&tenant, "GET", &tenant.in_zone("healthchecks"), None).await;
    assert_eq!(first.body["result_info"], json!({"page": 1, "per_page": 25, "count": 25, "total_count": 30, "total_pages": 2}));
    let found: Vec<String> = first.result().as_array().expect("a list").iter().map(id_of).collect();
    assert_eq!(found, ids[..25]);
    let last = world.ask(&tenant, "GET", &tenant.in_zone("healthchecks?page=3&per_page=12"), None).await;
    assert_eq!(last.body["result_info"]["count"], 6);
    assert_eq!(id_of(&last.result()[0]), ids[24]);
    let usage = world.ask(&tenant, "GET", &tenant.lb("usage"), None).await.result();
    assert_eq!((&usage["healthchecks"], &usage["limits"]["healthchecks"]), (&json!(30), &json!(30)));

    let stranger = world.tenant("example.org").await;
    let path = tenant.in_zone(&format!("healthchecks/{}", ids[0]));
    let foreign = world.ask(&stranger, "GET", &path, None).await.refused();
    assert_eq!(foreign, (404, json!([{"code": 1001, "message": "zone not found"}])));
    let (_, secret) = world.token(Scope::Read, &[tenant.account], None).await;
    let reader = Tenant { secret, ..tenant.clone() };
    assert_eq!(world.ask(&reader, "DELETE", &path, None).await.refused().0, 403);
    assert_eq!(world.ask(&tenant, "DELETE", &path, None).await.result(), json!({"id": ids[0]}));
    let gone = (404, json!([{"code": 1001, "message": "object does not exist: health check not found"}]));
    for (method, change) in [("GET", None), ("DELETE", None), ("PUT", Some(body(json!({})))), ("PATCH", Some(json!({})))] {
        assert_eq!(world.ask(&tenant, method, &path, change).await.refused(), gone, "{method}");
    }
    for below in ["events", "quorum"] {
        assert_eq!(world.ask(&tenant, "GET", &format!("{path}/{below}"), None).await.refused(), gone, "{below}");
    }
    world.end().await;
}

#[tokio::test]
async fn a_preview_is_asked_once_told_like_a_health_check_and_forgotten() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let pop = world.pop("lhr", Region::Weu, "London", "GB").await.no;
    let path = tenant.in_zone("healthchecks/preview");
    let made = world.make(&tenant, &path, body(json!({"type": "TCP", "tcp_config": {"port": 5432}, "timeout": 1}))).await;
    assert_eq!((&made["status"], made.get("failure_reason")), (&json!("unknown"), None));
    let own = format!("{path}/{}", id_of(&made));
    assert_eq!(world.ask(&tenant, "GET", &own, None).await.result(), made);

    let all: Vec<Bucket> = Bucket::all().collect();
    let asked = previews::open(&world.db, &all, 10, 10).await.expect("reads").pop().expect("one region");
    assert_eq!((asked.monitor.port, asked.monitor.timeout, asked.key.region), (5432, 1, Region::Weu));
    let detail = Detail { state: VoteState::Down, reason: Some(FailureReason::TcpTimeout), response_code: None, rtt_us: None };
    let answer = Answer::Seen { pop, origins: vec![Seen { detail, ..Seen::default() }] };
    assert!(previews::answered(&world.db, asked.key, &answer).await.expect("writes"));
    let told = with(made.clone(), json!({"status": "unhealthy", "failure_reason": "TCP Timeout", "failure_code": "tcp_timeout"}));
    assert_eq!(world.ask(&tenant, "GET", &own, None).await.result(), told);

    assert_eq!(world.ask(&tenant, "GET", &tenant.in_zone("healthchecks"), None).await.result(), json!([]), "it is not kept");
    let as_preview = world.ask(&tenant, "GET", &tenant.lb(&format!("preview/{}", id_of(&made))), None).await.refused();
    assert_eq!(as_preview.0, 404, "and it is no preview of pools");
    refused(&world, &tenant, json!({"name": "a"}), &[("/address", "address is required")]).await;
    assert_eq!(world.ask(&tenant, "DELETE", &own, None).await.result(), json!({"id": made["id"]}));
    let gone = (404, json!([{"code": 1001, "message": "health check preview not found"}]));
    assert_eq!(world.ask(&tenant, "GET", &own, None).await.refused(), gone);
    assert_eq!(world.ask(&tenant, "DELETE", &own, None).await.refused(), gone);
    world.end().await;
}

#[tokio::test]
async fn a_region_without_workers_is_remarked() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let answer = world.ask(&tenant, "POST", &tenant.in_zone("healthchecks"), Some(body(json!({"check_regions": ["IN"]})))).await;
    let message = "No workers are registered in IN: such a region counts and cannot vote.";
    assert_eq!(answer.body["messages"], json!([{"code": 1100, "message": message}]));
    world.end().await;
}

#[tokio::test]
async fn a_secret_header_is_sealed_in_the_database_and_told_to_who_may_edit() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let header = json!({"Authorization": ["Bearer canary"], "Accept": ["text/plain"]});
    let change = json!({"http_config": {"header": header}});
    let made = world.make(&tenant, &tenant.in_zone("healthchecks"), body(change.clone())).await;
    let preview = world.make(&tenant, &tenant.in_zone("healthchecks/preview"), body(change)).await;
    let (_, secret) = world.token(Scope::Read, &[tenant.account], None).await;
    let reader = Tenant { secret, ..tenant.clone() };
    let redacted = json!({"Authorization": ["[redacted]"], "Accept": ["text/plain"]});
    let own = tenant.in_zone(&format!("healthchecks/{}", id_of(&made)));
    for path in [own.clone(), tenant.in_zone(&format!("healthchecks/preview/{}", id_of(&preview)))] {
        assert_eq!(world.ask(&tenant, "GET", &path, None).await.result()["http_config"]["header"], header);
        assert_eq!(world.ask(&reader, "GET", &path, None).await.result()["http_config"]["header"], redacted);
    }
    let back = world.ask(&tenant, "PATCH", &own, Some(json!({"http_config": {"header": redacted}}))).await.refused();
    let detail = "header \"Authorization\" is \"[redacted]\", which stands for a value that the reader may not see";
    assert_eq!(back, (400, errors_1002(&[("/http_config/header/Authorization", detail)])));
    for table in ["healthcheck", "preview"] {
        let query = format!("select row_to_json(t)::text from {table} as t");
        let stored: String = world.admin_session().await.fetch_one(AssertSqlSafe(query)).await.expect("one").get(0);
        assert!(stored.contains("Authorization") && !stored.contains("canary"), "{stored}");
    }
    world.end().await;
}
