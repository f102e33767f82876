//! What the API tells of objects: verdicts, previews, references, places, people.

use std::time::Duration;

use quorate_testkit::until::until;
use quorate_testkit::world::World;
use reqwest::Method;
use serde_json::json;

use super::client::Client;
use super::rooms::least_pool;
use super::walk::{ABSENT, holds};

/// Verdicts: health, quorum and events of an origin that is up.
pub(crate) async fn verdicts(client: &Client<'_>, world: &World) {
    let monitor = client.operator.creates_monitor(&json!({"interval": 1, "timeout": 1, "retries": 0})).await;
    let origin = world.origin().await;
    let pool = world.healthy_pool(&world.pool_of("seen", &monitor, &[&origin])).await;
    let path = client.operator.pool_path(&pool);
    let health = client.done(Method::GET, &format!("{path}/health"), None).await;
    assert!(!health["pop_health"].as_object().expect("places").is_empty(), "{health:#}");
    let quorum = client.done(Method::GET, &format!("{path}/quorum"), None).await;
    assert_eq!(quorum["origins"][0]["verdict"], "up");
    let account = account_of(client);
    for events in ["/user/load_balancing_analytics/events".to_owned(), format!("{account}/load_balancing_analytics/events")] {
        let found =
            client.done(Method::GET, &format!("{events}?pool_id={pool}&origin_healthy=true&since=2020-01-01T00:00:00Z"), None).await;
        assert_eq!(found.as_array().expect("a list").len(), 1, "{found:#}");
        assert_eq!(client.done(Method::GET, &format!("{events}?pool_id={pool}&origin_healthy=false"), None).await, json!([]));
        client.refused(Method::GET, &format!("{events}?since=yesterday"), None, 400, 1002).await;
    }
}

fn account_of(client: &Client<'_>) -> String {
    let path = client.operator.pools_path();
    path.strip_suffix("/load_balancers/pools").expect("below the account").to_owned()
}

/// One-off probes, of a pool and of a monitor, until they have their answers.
pub(crate) async fn previews(client: &Client<'_>, world: &World) {
    let base = format!("{}/load_balancers", account_of(client));
    let monitor = client.operator.creates_monitor(&json!({"interval": 1, "timeout": 1, "retries": 0})).await;
    let origin = world.origin().await;
    let pool = client.operator.creates_pool(&world.pool_of("previewed", &monitor, &[&origin])).await;
    for probed in [format!("monitors/{monitor}"), format!("pools/{pool}")] {
        let path = format!("{base}/{probed}/preview");
        let begun = client.done(Method::POST, &path, Some(&json!({"timeout": 2, "description": "as a preview"}))).await;
        assert_eq!(begun["pools"], json!({&pool: "previewed"}), "{path}");
        let result = format!("{base}/preview/{}", begun["preview_id"].as_str().expect("an id"));
        until("the preview has its answers", Duration::from_secs(20), async || {
            let seen = client.done(Method::GET, &result, None).await;
            if seen[&pool]["healthy"] == true { Ok(()) } else { Err(format!("{seen:#}")) }
        })
        .await;
        client.refused(Method::POST, &path, Some(&json!({"timeout": 61})), 400, 1002).await;
    }
    client.refused(Method::GET, &format!("{base}/preview/{ABSENT}"), None, 404, 1001).await;
}

/// Who names whom, and what is found by name.
pub(crate) async fn references_and_search(client: &Client<'_>) {
    let base = format!("{}/load_balancers", account_of(client));
    let monitor = client.operator.creates_monitor(&json!({"description": "looked for"})).await;
    let pool = client.operator.creates_pool(&least_pool("looked-for", Some(&monitor))).await;
    let of_pool = client.done(Method::GET, &format!("{base}/pools/{pool}/references"), None).await;
    holds(&of_pool[0], &json!({"reference_type": "referral", "resource_id": monitor, "resource_type": "monitor"}));
    let of_monitor = client.done(Method::GET, &format!("{base}/monitors/{monitor}/references"), None).await;
    holds(
        &of_monitor[0],
        &json!({"reference_type": "referrer", "resource_id": pool, "resource_name": "looked-for", "resource_type": "pool"}),
    );
    let found = client.done(Method::GET, &format!("{base}/search?query=LOOKED-for&references=*&page=1&per_page=10"), None).await;
    holds(&found["resources"][0], &json!({"resource_id": pool, "resource_type": "pool"}));
    client.refused(Method::GET, &format!("{base}/search?references=both"), None, 400, 1002).await;
    let regions = client.done(Method::GET, &format!("{base}/regions?country_code_a2=CA&subdivision_code=BC"), None).await;
    let region = client.done(Method::GET, &format!("{base}/regions/WNAM"), None).await;
    assert_eq!((&regions["regions"][0]["region_code"], &region["regions"][0]["region_code"]), (&json!("WNAM"), &json!("WNAM")));
}

/// Accounts, zones, the user, and who changed what.
pub(crate) async fn places_and_people(client: &Client<'_>) {
    let account = account_of(client);
    let one = client.done(Method::GET, &account, None).await;
    assert_eq!(client.done(Method::GET, "/accounts?direction=desc", None).await, json!([one]));
    let usage = client.done(Method::GET, &format!("{account}/load_balancers/usage"), None).await;
    assert!(usage["pools"].as_u64() > Some(0), "{usage:#}");
    let zones = client.done(Method::GET, "/zones?name=example.com&status=active", None).await;
    let zone = zones[0]["id"].as_str().expect("a zone");
    assert_eq!(client.done(Method::GET, &format!("/zones/{zone}"), None).await, zones[0]);
    let account_id = account.trim_start_matches("/accounts/");
    let made =
        client.done(Method::POST, "/zones", Some(&json!({"name": "made.example", "account": {"id": account_id}, "type": "full"}))).await;
    holds(&made, &json!({"name": "made.example", "status": "active", "type": "full"}));
    client.refused(Method::POST, "/zones", Some(&json!({"name": "no host name", "account": {"id": account_id}})), 400, 1002).await;
    client.done(Method::DELETE, &format!("/zones/{}", made["id"].as_str().expect("an id")), None).await;
    client.done(Method::GET, "/user", None).await;
    holds(&client.done(Method::GET, "/user/tokens/verify", None).await, &json!({"status": "active"}));
    let changes = client.done(Method::GET, &format!("{account}/audit_logs?action=create&resource.type=pool&per_page=5"), None).await;
    assert!(!changes.as_array().expect("a list").is_empty());
    let workers = client.done(Method::GET, &format!("{account}/workers"), None).await;
    holds(&workers[0], &json!({"connected": true, "is_current": true}));
}
