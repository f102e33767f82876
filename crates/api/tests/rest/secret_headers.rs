//! Headers of monitors that open something: sealed in the database, told only to who may edit.

use quorate_store::tokens::Scope;
use serde_json::{Value, json};
use sqlx::{Executor, Row};

use crate::world::{Tenant, World, errors_1002, id_of, pool_body};

const CANARY: &str = "Bearer canary-5ecaf1";

fn secret_header() -> Value {
    json!({"Authorization": [CANARY], "x-api-key": ["canary-one", "canary-two"], "Accept": ["text/plain"]})
}

async fn stored_header(world: &World) -> Value {
    let mut admin = world.admin_session().await;
    admin.fetch_one("select header from monitor").await.expect("one monitor").get(0)
}

#[tokio::test]
async fn a_secret_is_sealed_in_the_database_and_told_to_who_may_edit() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let made = world.make(&tenant, &tenant.lb("monitors"), json!({"header": secret_header()})).await;
    assert_eq!(made["header"], secret_header());
    let stored = stored_header(&world).await;
    assert!(!stored.to_string().contains("canary"), "{stored}");
    assert_eq!(stored["Accept"], json!(["text/plain"]), "what is not secret stays legible");

    let reader = Tenant { secret: world.token(Scope::Read, &[tenant.account], None).await.1, ..tenant.clone() };
    let redacted = json!({"Authorization": ["[redacted]"], "x-api-key": ["[redacted]", "[redacted]"], "Accept": ["text/plain"]});
    let one = tenant.lb(&format!("monitors/{}", id_of(&made)));
    for (who, expected) in [(&tenant, secret_header()), (&reader, redacted)] {
        assert_eq!(world.ask(who, "GET", &one, None).await.result()["header"], expected);
        assert_eq!(world.ask(who, "GET", &tenant.lb("monitors"), None).await.result()[0]["header"], expected);
    }
    world.end().await;
}

#[tokio::test]
async fn what_an_editor_reads_can_be_sent_back_and_what_a_reader_reads_cannot() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let made = world.make(&tenant, &tenant.lb("monitors"), json!({"header": secret_header()})).await;
    let one = tenant.lb(&format!("monitors/{}", id_of(&made)));
    let before = stored_header(&world).await;
    assert_eq!(world.ask(&tenant, "PUT", &one, Some(made.clone())).await.result(), made, "modified_on included");
    assert_eq!(stored_header(&world).await, before, "equal settings write nothing");

    let mut redacted = made.clone();
    redacted["header"]["Authorization"] = json!(["[redacted]"]);
    let refused = world.ask(&tenant, "PUT", &one, Some(redacted)).await.refused();
    let message = "header \"Authorization\" is \"[redacted]\", which stands for a value that the reader may not see";
    assert_eq!(refused, (400, errors_1002(&[("/header/Authorization", message)])));
    world.end().await;
}

#[tokio::test]
async fn the_audit_log_tells_that_a_secret_changed_and_holds_none() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let made = world.make(&tenant, &tenant.lb("monitors"), json!({"header": secret_header()})).await;
    let one = tenant.lb(&format!("monitors/{}", id_of(&made)));
    world.ask(&tenant, "PATCH", &one, Some(json!({"header": {"Authorization": ["Bearer canary-other"]}}))).await.result();
    let path = format!("/accounts/{}/audit_logs?resource.type=monitor", tenant.account);
    let rows = world.ask(&tenant, "GET", &path, None).await;
    assert_eq!(rows.body["result"][0]["metadata"]["changed"], json!(["header"]));
    assert_ne!(rows.body["result"][0]["metadata"]["before_sha256"], rows.body["result"][0]["metadata"]["after_sha256"]);
    assert!(!rows.text.contains("canary"), "{}", rows.text);
    world.end().await;
}

#[tokio::test]
async fn a_header_whose_key_is_lost_reads_as_no_value_and_has_to_be_given_anew() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let made = world.make(&tenant, &tenant.lb("monitors"), json!({"header": secret_header()})).await;
    let one = tenant.lb(&format!("monitors/{}", id_of(&made)));
    let mut admin = world.admin_session().await;
    admin.execute(r#"update monitor set header = jsonb_set(header, '{Authorization,key}', '"00000000"')"#).await.expect("the key is lost");

    let read = world.ask(&tenant, "GET", &one, None).await.result();
    assert_eq!((&read["header"]["Authorization"], &read["header"]["Accept"]), (&json!([]), &json!(["text/plain"])));
    let refused = world.ask(&tenant, "PATCH", &one, Some(json!({"timeout": 9}))).await.refused();
    assert_eq!(refused, (400, errors_1002(&[("/header/Authorization", "header \"Authorization\" must have at least 1 value")])));
    let given = world.ask(&tenant, "PATCH", &one, Some(json!({"header": secret_header()}))).await.result();
    assert_eq!(given["header"], secret_header());
    world.end().await;
}

#[tokio::test]
async fn a_monitor_can_call_any_header_secret() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let header = json!({"X-Shop-Key": ["canary-shop"], "Accept": ["text/plain"]});
    let made = world.make(&tenant, &tenant.lb("monitors"), json!({"header": header, "secret_headers": ["x-shop-key", "X-Later"]})).await;
    assert_eq!((&made["header"], &made["secret_headers"]), (&header, &json!(["x-shop-key", "X-Later"])));
    assert!(!stored_header(&world).await.to_string().contains("canary"));

    let reader = Tenant { secret: world.token(Scope::Read, &[tenant.account], None).await.1, ..tenant.clone() };
    let one = tenant.lb(&format!("monitors/{}", id_of(&made)));
    let redacted = json!({"X-Shop-Key": ["[redacted]"], "Accept": ["text/plain"]});
    assert_eq!(world.ask(&reader, "GET", &one, None).await.result()["header"], redacted);
    let message = "header \"X-Shop-Key\" is \"[redacted]\", which stands for a value that the reader may not see";
    let refused = world.ask(&tenant, "PATCH", &one, Some(json!({"header": redacted}))).await.refused();
    assert_eq!(refused, (400, errors_1002(&[("/header/X-Shop-Key", message)])));

    // Put back it is the same, and another header keeps the mark.
    assert_eq!(world.ask(&tenant, "PUT", &one, Some(made.clone())).await.result(), made);
    let other = json!({"header": {"X-Later": ["canary-later"]}});
    assert_eq!(world.ask(&tenant, "PATCH", &one, Some(other)).await.result()["secret_headers"], made["secret_headers"]);
    assert!(!stored_header(&world).await.to_string().contains("canary"));
    assert_eq!(world.ask(&reader, "GET", &one, None).await.result()["header"], json!({"X-Later": ["[redacted]"]}));

    // A PUT that leaves it out takes the mark away, as it does with every field, and so does null.
    for (method, body) in [("PUT", json!({"header": header})), ("PATCH", json!({"secret_headers": null}))] {
        world.ask(&tenant, "PATCH", &one, Some(json!({"secret_headers": ["X-Shop-Key"]}))).await.result();
        let told = world.ask(&tenant, method, &one, Some(body)).await.result();
        assert_eq!(told.get("secret_headers"), None, "{method}");
        assert_eq!(world.ask(&reader, "GET", &one, None).await.result()["header"], header, "{method}");
    }
    world.end().await;
}

#[tokio::test]
async fn a_health_check_and_a_preview_can_call_a_header_secret_too() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let reader = Tenant { secret: world.token(Scope::Read, &[tenant.account], None).await.1, ..tenant.clone() };
    let header = json!({"X-Shop-Key": ["canary-shop"]});
    let config = json!({"header": header, "secret_headers": ["X-Shop-Key"]});
    let body = json!({"name": "shop", "address": "192.0.2.1", "http_config": config});
    for list in ["healthchecks", "healthchecks/preview"] {
        let made = world.make(&tenant, &tenant.in_zone(list), body.clone()).await;
        assert_eq!((&made["http_config"]["header"], &made["http_config"]["secret_headers"]), (&header, &json!(["X-Shop-Key"])));
        let one = tenant.in_zone(&format!("{list}/{}", id_of(&made)));
        let read = world.ask(&reader, "GET", &one, None).await.result();
        assert_eq!(read["http_config"]["header"], json!({"X-Shop-Key": ["[redacted]"]}), "{list}");
    }
    let pool = id_of(&world.make(&tenant, &tenant.lb("pools"), pool_body("eu", json!({}))).await);
    world.make(&tenant, &tenant.lb(&format!("pools/{pool}/preview")), config).await;

    let mut admin = world.admin_session().await;
    let rows = admin.fetch_all("select to_jsonb(h)::text from healthcheck as h union all select to_jsonb(p)::text from preview as p").await;
    let rows = rows.expect("one health check and two previews");
    assert_eq!(rows.len(), 3);
    for row in rows {
        let text: String = row.get(0);
        assert!(text.contains("X-Shop-Key") && !text.contains("canary"), "{text}");
    }
    let twice_marked = json!({"name": "shop", "address": "192.0.2.1", "http_config": {"secret_headers": ["X", "x", "Host"]}});
    let refused = world.ask(&tenant, "POST", &tenant.in_zone("healthchecks"), Some(twice_marked)).await.refused();
    let twice = ("/http_config/secret_headers/1", "secret_headers names \"x\" twice");
    assert_eq!(refused, (400, errors_1002(&[twice])));
    world.end().await;
}
