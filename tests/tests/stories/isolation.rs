//! Two tenants see nothing of each other.

use quorate_testkit::operator::every_second;
use quorate_testkit::postgres::scalar;
use quorate_testkit::world::Plan;
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn two_tenants_see_nothing_of_each_other_on_any_route() {
    let world = Plan::small().build().await;
    let ours = &world.operator;
    let theirs = world.another_operator("rivals", "example.org").await;
    let origin = world.origin().await;
    let monitor = ours.creates_monitor(&every_second()).await;
    let pool = world.healthy_pool(&world.pool_of("shop", &monitor, &[&origin])).await;
    let body = json!({ "name": "www.example.com", "default_pools": [pool], "fallback_pool": pool });
    let balancer = quorate_testkit::operator::id_of(ours.post(&ours.load_balancers_path(), &body).await.result());
    world.until_events(&pool, 1).await;

    // By our own paths: closed, and the same whether the account exists or not.
    let absent = "0".repeat(32);
    let routes = |account: &str, zone: &str| {
        let account_root = format!("/accounts/{account}");
        let monitors = format!("{account_root}/load_balancers/monitors");
        let pools = format!("{account_root}/load_balancers/pools");
        let balancers = format!("/zones/{zone}/load_balancers");
        let mut routes = vec![
            (Method::GET, account_root.clone()),
            (Method::GET, format!("{account_root}/load_balancing_analytics/events")),
            (Method::GET, format!("{pools}/{pool}/health")),
            (Method::GET, format!("{pools}/{pool}/quorum")),
        ];
        for (collection, id) in [(&monitors, &monitor), (&pools, &pool), (&balancers, &balancer)] {
            routes.push((Method::GET, collection.clone()));
            routes.push((Method::POST, collection.clone()));
            for method in [Method::GET, Method::PUT, Method::PATCH, Method::DELETE] {
                routes.push((method, format!("{collection}/{id}")));
            }
        }
        routes
    };
    for ((method, path), (_, nowhere)) in routes(&ours.account, &ours.zone).into_iter().zip(routes(&absent, &absent)) {
        let body = matches!(method, Method::POST | Method::PUT | Method::PATCH).then(|| json!({}));
        let got = theirs.send(method.clone(), &path, body.as_ref()).await;
        assert!(got.status == 403 || (got.status == 404 && path.starts_with("/zones/")), "{method} {path}: {got:#?}");
        let absent = theirs.send(method.clone(), &nowhere, body.as_ref()).await;
        assert_eq!((got.status, &got.body), (absent.status, &absent.body), "{method} {path} tells that it exists");
    }

    // By their own paths with our ids: not there.
    for (method, path) in routes(&theirs.account, &theirs.zone) {
        if !path.ends_with(&monitor) && !path.ends_with(&balancer) && !path.contains(&pool) {
            continue;
        }
        let body = match method {
            Method::PUT if path.ends_with(&pool) => Some(json!({ "name": "theirs", "origins": [{ "name": "a", "address": "192.0.2.1" }] })),
            Method::PUT if path.ends_with(&balancer) => {
                Some(json!({ "name": "www.example.org", "default_pools": [pool], "fallback_pool": pool }))
            }
            Method::PUT | Method::PATCH => Some(json!({})),
            _ => None,
        };
        let got = theirs.send(method.clone(), &path, body.as_ref()).await;
        let names_our_pool = method == Method::PUT && path.ends_with(&balancer);
        assert!(got.refusal() == (404, 1001) || (names_our_pool && got.refusal().1 == 1002), "{method} {path}: {got:#?}");
    }

    // In their lists: nothing. Naming our objects in theirs: refused.
    for path in
        [theirs.monitors_path(), theirs.pools_path(), theirs.load_balancers_path(), "/user/load_balancing_analytics/events".to_owned()]
    {
        assert_eq!(theirs.get(&path).await.result(), &Value::Array(vec![]), "{path}");
    }
    for (path, own) in [("/accounts", &theirs.account), ("/zones", &theirs.zone)] {
        let list = theirs.get(path).await.result().clone();
        let ids: Vec<_> = list.as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap()).collect();
        assert_eq!(ids, [own.as_str()], "{path}");
    }
    assert_eq!(theirs.get(&format!("/user/load_balancing_analytics/events?pool_id={pool}")).await.result(), &Value::Array(vec![]));
    let got = theirs.post(&theirs.pools_path(), &json!({ "name": "theirs", "monitor": monitor, "origins": [] })).await;
    assert!(got.status == 400, "{got:#?}");

    // And ours are as they were.
    assert_eq!(ours.get(&ours.pool_path(&pool)).await.result()["name"], "shop");
    assert_eq!(ours.get(&ours.pools_path()).await.result().as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn the_product_is_no_superuser_of_its_database_and_sees_nothing_until_it_says_for_whom() {
    let world = Plan::small().build().await;
    let origin = world.origin().await;
    let monitor = world.operator.creates_monitor(&every_second()).await;
    world.operator.creates_pool(&world.pool_of("shop", &monitor, &[&origin])).await;

    let mut admin = world.database.admin().await;
    let there: i64 = scalar(&mut admin, "select count(*) from pool").await;
    assert_eq!(there, 1);

    let mut service = world.database.service().await;
    let trusted: bool =
        scalar(&mut service, "select rolsuper or rolbypassrls or rolcreaterole or rolcreatedb from pg_roles where rolname = current_user")
            .await;
    assert!(!trusted, "the stories would prove nothing as a superuser");
    let owned: i64 =
        scalar(&mut service, "select count(*) from pg_class where relowner = (select oid from pg_roles where rolname = current_user)")
            .await;
    assert_eq!(owned, 0);
    sqlx::Executor::execute(&mut service, "set role quorate_app").await.expect("the login role may become the application's");
    let seen: i64 = scalar(&mut service, "select count(*) from pool").await;
    assert_eq!(seen, 0, "row-level security hides every row from whom no account is set for");
}
