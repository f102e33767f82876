//! Zones and accounts, as clients look them up.

use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn zones_are_found_by_name_account_and_id() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let by_name = world.ask(&tenant, "GET", "/zones?name=example.com", None).await;
    assert_eq!(by_name.body["result_info"], json!({"page": 1, "per_page": 1, "count": 1, "total_count": 1, "total_pages": 1}));
    let zone = by_name.result()[0].clone();
    let account = json!({"id": tenant.account.to_string(), "name": "account of example.com"});
    assert_eq!((&zone["name"], &zone["status"], &zone["account"]), (&json!("example.com"), &json!("active"), &account));
    assert_eq!(world.ask(&tenant, "GET", &format!("/zones/{}", tenant.zone), None).await.result(), zone);
    for (query, found) in [
        ("name=example.org".to_owned(), 0),
        ("status=pending".to_owned(), 0),
        ("status=active&direction=desc".to_owned(), 1),
        (format!("account.id={}", tenant.account), 1),
        ("account.id=0123456789abcdef0123456789abcdef".to_owned(), 0),
        ("account.name=account%20of%20example.com".to_owned(), 1),
        ("page=2".to_owned(), 0),
    ] {
        let zones = world.ask(&tenant, "GET", &format!("/zones?{query}"), None).await.result();
        assert_eq!(zones.as_array().map(Vec::len), Some(found), "{query}");
    }
    world.end().await;
}

#[tokio::test]
async fn accounts_are_listed_and_found() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let accounts = world.ask(&tenant, "GET", "/accounts", None).await.result();
    let one = world.ask(&tenant, "GET", &format!("/accounts/{}", tenant.account), None).await.result();
    assert_eq!(accounts, json!([one]));
    assert_eq!((&one["id"], &one["name"]), (&json!(tenant.account.to_string()), &json!("account of example.com")));
    assert_eq!(world.ask(&tenant, "GET", "/accounts?name=another", None).await.result(), json!([]));
    world.end().await;
}
