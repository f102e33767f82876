//! Limits hold when many ask at once: fifty creates beside each other, where one more is allowed.

use futures_util::future::join_all;
use quorate_core::preview::OPEN_MAX;
use quorate_core::region::Region;
use quorate_store::accounts::Limits;
use quorate_store::zones::ZONES_MAX;
use serde_json::{Value, json};

use crate::world::{LIMITS, Tenant, World, id_of, pool_body};

const AT_ONCE: usize = 50;

/// Sends the bodies at once; exactly one is made, and each other is refused as over `limit`.
async fn check(world: &World, tenant: &Tenant, path: &str, bodies: impl Iterator<Item = Value>, resource: &str, limit: u32) {
    let asked: Vec<_> = bodies.map(|body| world.ask(tenant, "POST", path, Some(body))).collect();
    assert_eq!(asked.len(), AT_ONCE);
    let (made, refused): (Vec<_>, Vec<_>) = join_all(asked).await.into_iter().partition(|answer| answer.status == 200);
    assert_eq!(made.len(), 1, "{resource}");
    let message = format!("Exceeded quota: this account may have at most {limit} {resource}, and has {limit}");
    for answer in refused {
        assert_eq!(answer.refused(), (403, json!([{"code": 1004, "message": message}])));
    }
}

#[tokio::test]
async fn of_fifty_monitors_the_last_that_fits_is_made() {
    let world = World::start().await;
    let tenant = world.tenant_with("example.com", Limits { monitors: 2, ..LIMITS }).await;
    world.make(&tenant, &tenant.lb("monitors"), json!({})).await;
    check(&world, &tenant, &tenant.lb("monitors"), (0..AT_ONCE).map(|_| json!({})), "monitors", 2).await;
    world.end().await;
}

#[tokio::test]
async fn of_fifty_pools_the_last_that_fits_is_made() {
    let world = World::start().await;
    let tenant = world.tenant_with("example.com", Limits { pools: 2, ..LIMITS }).await;
    world.make(&tenant, &tenant.lb("pools"), pool_body("first", json!({}))).await;
    let bodies = (0..AT_ONCE).map(|number| pool_body(&format!("p{number}"), json!({})));
    check(&world, &tenant, &tenant.lb("pools"), bodies, "pools", 2).await;
    world.end().await;
}

#[tokio::test]
async fn of_fifty_origins_the_last_that_fits_is_made_in_whatever_pool() {
    let world = World::start().await;
    let tenant = world.tenant_with("example.com", Limits { origins: 2, pools: 100, ..LIMITS }).await;
    world.make(&tenant, &tenant.lb("pools"), pool_body("first", json!({}))).await;
    let bodies = (0..AT_ONCE).map(|number| pool_body(&format!("p{number}"), json!({})));
    check(&world, &tenant, &tenant.lb("pools"), bodies, "origins", 2).await;
    let pools = world.ask(&tenant, "GET", &tenant.lb("pools"), None).await.result();
    assert_eq!(pools.as_array().map(Vec::len), Some(2), "a pool without its origin is not left behind");
    world.end().await;
}

#[tokio::test]
async fn of_fifty_load_balancers_of_zones_and_account_the_last_that_fits_is_made() {
    let world = World::start().await;
    for of_account in [true, false] {
        let tenant = world.tenant_with("example.com", Limits { load_balancers: 2, ..LIMITS }).await;
        let pool = id_of(&world.make(&tenant, &tenant.lb("pools"), pool_body("eu", json!({}))).await);
        let body = |name: &str| json!({"name": format!("{name}.example.com"), "default_pools": [pool], "fallback_pool": pool});
        let (here, there) = (tenant.of_account("load_balancers"), tenant.in_zone("load_balancers"));
        let (here, there) = if of_account { (here, there) } else { (there, here) };
        // Both kinds count.
        world.make(&tenant, &there, body("first")).await;
        check(&world, &tenant, &here, (0..AT_ONCE).map(|number| body(&format!("l{number}"))), "load balancers", 2).await;
    }
    world.end().await;
}

#[tokio::test]
async fn of_fifty_monitor_groups_the_last_that_fits_is_made() {
    let world = World::start().await;
    let tenant = world.tenant_with("example.com", Limits { monitors: 2, ..LIMITS }).await;
    let monitor = id_of(&world.make(&tenant, &tenant.lb("monitors"), json!({})).await);
    let member = json!({"monitor_id": monitor, "enabled": true, "monitoring_only": false, "must_be_healthy": false});
    let body = json!({"description": "", "members": [member]});
    world.make(&tenant, &tenant.lb("monitor_groups"), body.clone()).await;
    check(&world, &tenant, &tenant.lb("monitor_groups"), (0..AT_ONCE).map(|_| body.clone()), "monitor groups", 2).await;
    world.end().await;
}

#[tokio::test]
async fn of_fifty_health_checks_the_last_that_fits_is_made() {
    let world = World::start().await;
    let tenant = world.tenant_with("example.com", Limits { healthchecks: 2, ..LIMITS }).await;
    let body = |number: usize| json!({"name": format!("h{number}"), "address": "192.0.2.1"});
    world.make(&tenant, &tenant.in_zone("healthchecks"), body(AT_ONCE)).await;
    check(&world, &tenant, &tenant.in_zone("healthchecks"), (0..AT_ONCE).map(body), "health checks", 2).await;
    world.end().await;
}

#[tokio::test]
async fn of_fifty_zones_the_last_that_fits_is_made() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    // One is the tenant's own, and one more is free.
    let many = format!(
        r"insert into zone (account_id, zone_id, name)
          select '\x{}', decode(md5(n::text), 'hex'), 'z' || n || '.example' from generate_series(3, {ZONES_MAX}) as n",
        tenant.account
    );
    sqlx::Executor::execute(&mut world.admin_session().await, sqlx::AssertSqlSafe(many)).await.expect("inserts");
    let account = json!({"id": tenant.account.to_string()});
    let bodies = (0..AT_ONCE).map(|number| json!({"name": format!("m{number}.example"), "account": account}));
    check(&world, &tenant, "/zones", bodies, "zones", ZONES_MAX).await;
    // Zones that are there by no doing of the program have no trail.
    let gone = "delete from zone where name like 'z%.example'";
    sqlx::Executor::execute(&mut world.admin_session().await, gone).await.expect("deletes");
    world.end().await;
}

#[tokio::test]
async fn of_fifty_previews_the_last_that_may_be_open_begins() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    world.pop("lhr", Region::Weu, "London", "GB").await;
    let pool = id_of(&world.make(&tenant, &tenant.lb("pools"), pool_body("eu", json!({"check_regions": ["WEU"]}))).await);
    let path = tenant.lb(&format!("pools/{pool}/preview"));
    for _ in 1..OPEN_MAX {
        world.make(&tenant, &path, json!({})).await;
    }
    check(&world, &tenant, &path, (0..AT_ONCE).map(|_| json!({})), "open previews", OPEN_MAX).await;
    world.end().await;
}

#[tokio::test]
async fn usage_tells_what_there_is_and_what_there_may_be() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let pool = id_of(&world.make(&tenant, &tenant.lb("pools"), pool_body("eu", json!({}))).await);
    world.make(&tenant, &tenant.lb("monitors"), json!({})).await;
    let body = json!({"name": "www.example.com", "default_pools": [pool], "fallback_pool": pool});
    world.make(&tenant, &tenant.in_zone("load_balancers"), body.clone()).await;
    world.make(&tenant, &tenant.of_account("load_balancers"), body).await;
    let expected = json!({
        "load_balancers": 2, "monitors": 1, "origins": 1, "pools": 1, "max_origins_per_pool": 5, "minimum_monitor_interval": 10, "healthchecks": 0,
        "limits": {"load_balancers": 20, "monitors": 30, "origins": 100, "pools": 20, "healthchecks": 20},
    });
    assert_eq!(world.ask(&tenant, "GET", &tenant.lb("usage"), None).await.result(), expected);
    world.end().await;
}

#[tokio::test]
async fn without_load_balancing_nothing_is_made_and_nothing_else_is_looked_at() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let refusal = |place: &str| {
        let message = format!("load balancing not enabled for {place}: validation failed");
        (400, json!([{"code": 1002, "message": message}]))
    };
    let lists = [tenant.lb("monitors"), tenant.lb("pools"), tenant.of_account("load_balancers"), tenant.in_zone("load_balancers")];
    for (of_account, of_zone) in [(false, true), (false, false)] {
        world.load_balancing(tenant.account, tenant.zone, of_account, of_zone).await;
        for list in &lists {
            // Not even JSON.
            let bearer = format!("Bearer {}", tenant.secret);
            let answer = world.send("POST", list, &[("authorization", bearer.as_str())], "{").await;
            assert_eq!(answer.refused(), refusal("account"), "{list}");
            assert_eq!(world.ask(&tenant, "GET", list, None).await.result(), json!([]), "reading is allowed");
        }
    }
    world.load_balancing(tenant.account, tenant.zone, true, false).await;
    let answer = world.ask(&tenant, "POST", &tenant.in_zone("load_balancers"), Some(json!({"name": 1}))).await;
    assert_eq!(answer.refused(), refusal("zone"));
    world.make(&tenant, &tenant.lb("monitors"), json!({})).await;
    world.end().await;
}
