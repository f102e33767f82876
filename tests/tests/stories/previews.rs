//! Previews: what a monitor would see, from every region, without any change of health.

use std::collections::BTreeSet;
use std::time::Duration;

use quorate_testkit::operator::{Operator, every_second};
use quorate_testkit::origins::Behaviour;
use quorate_testkit::postgres::scalar;
use quorate_testkit::until::until;
use quorate_testkit::world::{Plan, VERDICT_MAX};
use serde_json::{Value, json};

/// The result of a preview for one pool, once it is finished.
async fn finished(operator: &Operator, preview: &str, pool: &str, limit: Duration) -> Value {
    let path = format!("/accounts/{}/load_balancers/preview/{preview}", operator.account);
    until("the preview is finished", limit, async || {
        let answer = operator.try_send(reqwest::Method::GET, &path, None).await?;
        let result = answer.result()[pool].clone();
        if result["status"] == "finished" { Ok(result) } else { Err(format!("{result:#}")) }
    })
    .await
}

#[tokio::test]
async fn a_preview_really_probes_once_from_each_region_and_changes_no_health() {
    let world = Plan::nine().build().await;
    let (shop, broken) = (world.origin().await, world.origin().await);
    let monitor = world.operator.creates_monitor(&every_second()).await;
    let mut body = world.pool_of("shop", &monitor, &[&shop, &broken]);
    body["check_regions"].as_array_mut().unwrap().push(json!("OC"));
    let pool = world.operator.creates_pool(&body).await;
    world.until_evidence("it is up", &pool, "origin-1", |evidence| evidence["verdict"] == "up").await;
    world.until_evidence("it is up", &pool, "origin-2", |evidence| evidence["verdict"] == "up").await;
    let events = world.until_events(&pool, 2).await;

    // Another path, another code: the stored monitor stays as it is.
    let trial = json!({ "type": "http", "path": "/trial", "timeout": 1, "retries": 0, "expected_codes": "204" });
    let begun = world.operator.post(&format!("{}/{monitor}/preview", world.operator.monitors_path()), &trial).await;
    assert_eq!(begun.result()["pools"], json!({ &pool: "shop" }));
    let preview = begun.result()["preview_id"].as_str().unwrap();
    let result = finished(&world.operator, preview, &pool, VERDICT_MAX).await;
    assert_eq!(result["healthy"], false);
    for (index, origin) in [&shop, &broken].into_iter().enumerate() {
        let seen = &result["origins"][index][origin.address().to_string()];
        assert_eq!(
            (&seen["healthy"], &seen["failure_code"], &seen["response_code"]),
            (&json!(false), &json!("response_code_mismatch"), &json!(200))
        );
        assert_eq!(seen["regions"]["OC"], json!({ "status": "no_workers", "healthy": null }));
        for region in ["WEU", "ENAM", "SEAS"] {
            assert_eq!(
                (&seen["regions"][region]["status"], &seen["regions"][region]["healthy"]),
                (&json!("answered"), &json!(false)),
                "{seen:#}"
            );
        }
        let probes: Vec<_> = origin
            .contacts()
            .into_iter()
            .filter(|contact| contact.request.as_ref().is_some_and(|request| request.path == "/trial"))
            .collect();
        assert_eq!(probes.len(), 3, "one a region: {probes:#?}");
        let places: BTreeSet<_> = probes.iter().map(|probe| probe.from).collect();
        for region in ["WEU", "ENAM", "SEAS"] {
            assert_eq!(world.sources_in(region).iter().filter(|source| places.contains(source)).count(), 1, "{region}");
        }
    }
    world.until_all_up(&pool).await;
    assert_eq!(world.operator.events_of(&pool).await, events, "nothing has happened to the pool");

    // And one that would pass, of a pool that has no monitor at all.
    broken.closes().await;
    let mut body = world.pool_of("trial", &monitor, &[&shop, &broken]);
    body.as_object_mut().unwrap().remove("monitor");
    let unmonitored = world.operator.creates_pool(&body).await;
    let begun = world.operator.post(&format!("{}/preview", world.operator.pool_path(&unmonitored)), &every_second()).await;
    let result = finished(&world.operator, begun.result()["preview_id"].as_str().unwrap(), &unmonitored, VERDICT_MAX).await;
    assert_eq!(result["healthy"], true);
    let code = |index: usize, address: String| result["origins"][index][address]["failure_code"].clone();
    assert_eq!(
        (code(0, shop.address().to_string()), code(1, broken.address().to_string())),
        (json!("none"), json!("tcp_connection_failed"))
    );
}

#[tokio::test]
async fn a_preview_tells_where_the_time_went_and_how_long_the_certificate_is_good() {
    let world = Plan::nine().build().await;
    let (secured, plain) = (world.https_origin().await, world.origin().await);
    let monitor = world.operator.creates_monitor(&every_second()).await;
    let mut body = world.pool_of("shop", &monitor, &[&secured, &plain]);
    body.as_object_mut().unwrap().remove("monitor");
    let pool = world.operator.creates_pool(&body).await;
    let trial = json!({ "type": "https", "allow_insecure": true, "timeout": 1, "retries": 0 });
    let begun = world.operator.post(&format!("{}/preview", world.operator.pool_path(&pool)), &trial).await;
    let result = finished(&world.operator, begun.result()["preview_id"].as_str().unwrap(), &pool, VERDICT_MAX).await;
    let seen = |index: usize, address: String| result["origins"][index][address].clone();
    let reached = |region: &Value| region["phases"].as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>().join(" ");

    let good = seen(0, secured.address().to_string());
    let days_left = good["certificate_days_left"].as_i64().unwrap();
    assert!(days_left > 0, "{good:#}");
    for region in ["WEU", "ENAM", "SEAS"] {
        let told = &good["regions"][region];
        assert_eq!((&told["healthy"], &told["certificate_days_left"]), (&json!(true), &json!(days_left)), "{told:#}");
        assert_eq!(reached(told), "connect first_byte request tls");
    }
    let no_tls = seen(1, plain.address().to_string());
    assert_eq!(no_tls["certificate_days_left"], Value::Null);
    assert_eq!(reached(&no_tls["regions"]["WEU"]), "connect tls", "it came no further: {no_tls:#}");
}

#[tokio::test]
async fn an_owner_that_dies_leaves_its_previews_to_the_next_one() {
    let mut world = Plan::small().replicas(2).build().await;
    let shop = world.origin().await;
    shop.behaves(Behaviour::Silent);
    let monitor = world.operator.creates_monitor(&every_second()).await;
    let mut body = world.pool_of("shop", &monitor, &[&shop]);
    body.as_object_mut().unwrap().remove("monitor");
    let pool = world.operator.creates_pool(&body).await;
    let patient = json!({ "type": "http", "path": "/trial", "timeout": 3, "retries": 1 });
    let begun = world.operator.post(&format!("{}/preview", world.operator.pool_path(&pool)), &patient).await;
    let preview = begun.result()["preview_id"].as_str().unwrap().to_owned();
    until("every region is being asked", VERDICT_MAX, async || {
        let count = shop.contact_count();
        if count >= 3 { Ok(()) } else { Err(count.to_string()) }
    })
    .await;

    let mut admin = world.database.admin().await;
    let owner: String = scalar(
        &mut admin,
        "select m.url from pool as p join bucket_owner as b on b.bucket = p.bucket join replica_member as m on m.replica_id = b.owner",
    )
    .await;
    let index = world.controls.iter().position(|control| control.grpc_url() == owner).expect("one of the two");
    world.controls[index].process.kill().await;
    shop.behaves(Behaviour::Healthy);
    let survivor = world.operator.at(&world.controls[1 - index].api_url());
    let result = finished(&survivor, &preview, &pool, Duration::from_secs(30)).await;
    assert_eq!(result["healthy"], true, "{result:#}");
}
