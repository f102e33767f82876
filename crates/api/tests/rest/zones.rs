//! Zones and accounts, as clients look them up.

use serde_json::json;

use quorate_store::tokens::Scope;

use crate::world::{Tenant, World, errors_1002, id_of, with};

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

#[tokio::test]
async fn a_zone_is_made_used_and_removed() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let account = tenant.account.to_string();
    let asked = json!({"name": "Shop.Example.ORG.", "account": {"id": account}, "type": "partial", "jump_start": false});
    let made = world.make(&tenant, "/zones", asked).await;
    let whose = json!({"id": account, "name": "account of example.com"});
    let expected = json!({
        "id": made["id"], "name": "shop.example.org", "account": whose, "owner": with(whose.clone(), json!({"type": "organization"})),
        "status": "active", "paused": false, "type": "partial", "development_mode": 0, "name_servers": [],
        "original_name_servers": null, "original_registrar": null, "original_dnshost": null,
        "meta": {
            "cdn_only": false, "custom_certificate_quota": 0, "dns_only": true, "foundation_dns": false, "page_rule_quota": 0,
            "phishing_detected": false, "step": 0,
        },
        "plan": {
            "id": "self-hosted", "name": "Self-hosted", "price": 0, "currency": "USD", "frequency": "", "can_subscribe": false,
            "externally_managed": false, "is_subscribed": false, "legacy_discount": false, "legacy_id": "self-hosted",
        },
        "created_on": made["created_on"], "modified_on": made["created_on"], "activated_on": made["created_on"],
    });
    assert_eq!(made, expected);
    let path = format!("/zones/{}", id_of(&made));
    assert_eq!(world.ask(&tenant, "GET", &path, None).await.result(), made);
    let again = world.ask(&tenant, "POST", "/zones", Some(json!({"name": "shop.example.org", "account": {"id": account}}))).await;
    assert_eq!(again.refused(), (400, json!([{"code": 1003, "message": "value not unique: name", "source": {"pointer": "/name"}}])));

    // Names in it are load balancers', and Host headers of origins, at once.
    let origins = json!([{"name": "a", "address": "192.0.2.1", "header": {"Host": ["www.shop.example.org"]}}]);
    let pool = id_of(&world.make(&tenant, &tenant.lb("pools"), json!({"name": "eu", "origins": origins})).await);
    let body = json!({"name": "www.shop.example.org", "default_pools": [pool], "fallback_pool": pool});
    let balancer = id_of(&world.make(&tenant, &format!("{path}/load_balancers"), body).await);
    let guard = world.ask(&tenant, "DELETE", &path, None).await.refused();
    let message = format!(
        "This object is referenced by other objects, delete them first. load_balancer \"www.shop.example.org\" ({balancer}) in zone"
    );
    assert_eq!(guard, (412, json!([{"code": 1005, "message": message}])));
    world.ask(&tenant, "DELETE", &format!("{path}/load_balancers/{balancer}"), None).await.result();
    assert_eq!(world.ask(&tenant, "DELETE", &path, None).await.result(), json!({"id": made["id"]}));
    let gone = (404, json!([{"code": 1001, "message": "zone not found"}]));
    assert_eq!(world.ask(&tenant, "GET", &path, None).await.refused(), gone);
    assert_eq!(world.ask(&tenant, "DELETE", &path, None).await.refused(), gone);
    world.end().await;
}

#[tokio::test]
async fn a_zone_that_cannot_be_is_refused() {
    let world = World::start().await;
    let (tenant, other) = (world.tenant("example.com").await, world.tenant("example.net").await);
    let account = json!({"id": tenant.account.to_string()});
    for (body, errors) in [
        (json!({}), vec![("/name", "name is required"), ("/account", "account is required")]),
        (json!({"name": "com", "account": account}), vec![("/name", "name \"com\" is not a domain name of two or more labels")]),
        (json!({"name": "a b.com", "account": account}), vec![("/name", "name \"a b.com\" is not a domain name of two or more labels")]),
        (json!({"name": "a.com", "account": {}}), vec![("/account/id", "account.id is required")]),
        (
            json!({"name": "a.com", "account": {"id": "x"}}),
            vec![("/account/id", "account.id \"x\" is not an identifier of 32 lower-case hexadecimal characters")],
        ),
        (
            json!({"name": "a.com", "account": account, "type": "whole"}),
            vec![("/type", "type \"whole\" is not one of full, partial, secondary, internal")],
        ),
        (json!({"name": "a.com", "account": account, "pause": true}), vec![("/pause", "unknown field \"pause\"")]),
    ] {
        let found = world.ask(&tenant, "POST", "/zones", Some(body)).await.refused();
        assert_eq!(found, (400, errors_1002(&errors)));
    }
    let out_of_reach = (403, json!([{"code": 9109, "message": "Unauthorized to access requested resource"}]));
    for foreign in [other.account.to_string(), "0123456789abcdef0123456789abcdef".to_owned()] {
        let found = world.ask(&tenant, "POST", "/zones", Some(json!({"name": "a.com", "account": {"id": foreign}}))).await.refused();
        assert_eq!(found, out_of_reach);
    }
    // A zone widens what probes may say, so who may edit load balancers may not make one.
    for scope in [Scope::Read, Scope::Edit] {
        let (_, secret) = world.token(scope, &[tenant.account], None).await;
        let who = Tenant { secret, ..tenant.clone() };
        let not_permitted = (403, json!([{"code": 10_000, "message": "Authentication error"}]));
        let asked = json!({"name": "a.com", "account": account});
        assert_eq!(world.ask(&who, "POST", "/zones", Some(asked)).await.refused(), not_permitted);
        assert_eq!(world.ask(&who, "DELETE", &format!("/zones/{}", tenant.zone), None).await.refused(), not_permitted);
    }
    for name in ["example.net", "www.example.net"] {
        let found = world.ask(&tenant, "POST", "/zones", Some(json!({"name": name, "account": account}))).await.refused();
        let message = format!("name {name:?} is, lies within or contains a zone of another account");
        assert_eq!(found, (400, errors_1002(&[("/name", &message)])));
    }
    for tenant in [&tenant, &other] {
        assert_eq!(world.ask(tenant, "GET", "/zones", None).await.body["result_info"]["total_count"], 1);
    }
    world.end().await;
}

#[tokio::test]
async fn zones_are_filtered_and_ordered() {
    let world = World::start().await;
    let (one, two) = (world.tenant("b.example").await, world.tenant("a.example").await);
    world.make(&one, "/zones", json!({"name": "shop.example.org", "account": {"id": one.account.to_string()}})).await;
    let (_, secret) = world.token(Scope::Read, &[one.account, two.account], None).await;
    let both = Tenant { secret, ..one.clone() };
    let names = |query: String| {
        let (world, both) = (&world, &both);
        async move {
            let found = world.ask(both, "GET", &format!("/zones?{query}"), None).await.result();
            let names: Vec<String> =
                found.as_array().expect("a list").iter().map(|zone| zone["name"].as_str().expect("a name").to_owned()).collect();
            names.join(" ")
        }
    };
    for (query, expected) in [
        (String::new(), "b.example a.example shop.example.org"),
        ("direction=desc".to_owned(), "shop.example.org a.example b.example"),
        ("order=name".to_owned(), "a.example b.example shop.example.org"),
        ("order=name&direction=desc".to_owned(), "shop.example.org b.example a.example"),
        ("order=status".to_owned(), "b.example a.example shop.example.org"),
        ("order=account.name".to_owned(), "a.example b.example shop.example.org"),
        ("name=A.Example".to_owned(), "a.example"),
        ("name=contains:EXAMPLE.O".to_owned(), "shop.example.org"),
        ("name=ends_with:.example".to_owned(), "b.example a.example"),
        ("name=starts_with_case_sensitive:Shop".to_owned(), ""),
        ("name=not_equal:a.example".to_owned(), "b.example shop.example.org"),
        ("account.name=ends_with:a.example".to_owned(), "a.example"),
        (format!("account.id={}&name=shop.example.org", one.account), "shop.example.org"),
        (format!("account.id={}&name=shop.example.org", two.account), ""),
        (format!("account.id={}&name=shop.example.org&match=any", two.account), "a.example shop.example.org"),
        ("status=active&match=any".to_owned(), "b.example a.example shop.example.org"),
        ("match=any".to_owned(), "b.example a.example shop.example.org"),
        ("status=moved".to_owned(), ""),
        ("per_page=2&page=2".to_owned(), "shop.example.org"),
    ] {
        assert_eq!(names(query.clone()).await, expected, "{query}");
    }
    for (query, detail) in [
        ("status=gone", "status \"gone\" is not one of initializing, pending, active, moved"),
        ("order=id", "order \"id\" is not one of name, status, account.id, account.name"),
        ("direction=up", "direction \"up\" is not one of asc, desc"),
        ("match=some", "match \"some\" is not one of all, any"),
        ("account.id=x", "account.id \"x\" is not an identifier of 32 lower-case hexadecimal characters"),
    ] {
        let refused = world.ask(&both, "GET", &format!("/zones?{query}"), None).await.refused();
        assert_eq!(refused, (400, json!([{"code": 1002, "message": format!("{detail}: validation failed")}])));
    }
    world.end().await;
}
