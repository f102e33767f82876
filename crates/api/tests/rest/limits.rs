//! How often one may ask.

use std::time::Duration;

use quorate_api::{Access, RateLimits};
use quorate_store::tokens::{self, NewToken, Pepper, Scope};
use serde_json::json;
use sqlx::{Executor, Row};

use crate::world::{Answer, Tenant, World};

fn limits(requests: u32, strangers_per_second: u32) -> Access {
    Access { limits: RateLimits { requests, window: Duration::from_mins(5), strangers_per_second }, ..Access::default() }
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers.get(name).map_or("", |value| value.to_str().expect("a text"))
}

#[tokio::test]
async fn a_token_over_its_quota_is_told_when_to_come_again_and_others_go_on() {
    let world = World::start_with(limits(3, 0)).await;
    let tenant = world.tenant("example.com").await;
    let other = Tenant { secret: world.token(Scope::Read, &[tenant.account], None).await.1, ..tenant.clone() };
    for (path, standing) in [(tenant.lb("pools"), "r=2;t=100"), (tenant.lb("pools/x"), "r=1;t=200"), ("/user".to_owned(), "r=0;t=300")] {
        let answer = world.ask(&tenant, "GET", &path, None).await;
        assert_eq!(header(&answer, "ratelimit"), format!("\"default\";{standing}"), "{path}: what is refused counts too");
        assert_eq!(header(&answer, "ratelimit-policy"), "\"default\";q=3;w=300");
    }
    let over = world.ask(&tenant, "GET", &tenant.lb("pools"), None).await;
    assert_eq!(header(&over, "ratelimit"), "\"default\";r=0;t=300");
    let wait: u64 = header(&over, "retry-after").parse().expect("seconds");
    assert!((95..=100).contains(&wait), "{wait}");
    assert_eq!(over.refused(), (429, json!([{"code": 971, "message": "Please wait and consider throttling your request speed"}])));
    world.ask(&other, "GET", &tenant.lb("pools"), None).await.result();
    world.end().await;
}

#[tokio::test]
async fn whoever_is_not_known_is_refused_before_the_database_is_asked() {
    let world = World::start_with(limits(0, 1)).await;
    let tenant = world.tenant("example.com").await;
    // Of the right form, and of another installation: each is another look into the database.
    let mut codes = Vec::new();
    while codes.last() != Some(&429) {
        assert!(codes.len() < 100, "never limited: {codes:?}");
        let mut op = world.db.operator().await.expect("a transaction");
        let new = NewToken::new("elsewhere", Scope::Read, vec![tenant.account]);
        let (_, secret) = tokens::create(&mut op, &Pepper([8; 32]), new).await.expect("a token");
        op.commit().await.expect("commits");
        let answer = world.ask(&Tenant { secret, ..tenant.clone() }, "GET", &tenant.lb("pools"), None).await;
        assert!(answer.status != 429 || header(&answer, "retry-after") == "1", "{:?}", answer.headers);
        codes.push(answer.status);
    }
    assert!(codes.len() > 2 && codes[..codes.len() - 1].iter().all(|code| *code == 403), "{codes:?}");

    // A storm without credentials at all, while the database is blind: no answer waits for it.
    let mut admin = world.admin_session().await;
    admin.execute("begin; lock table api_token in access exclusive mode").await.expect("locks");
    let mut refused = 0;
    for _ in 0..200 {
        let answer = tokio::time::timeout(Duration::from_secs(5), world.send("GET", &tenant.lb("pools"), &[], "")).await;
        let status = answer.expect("an answer without the database").status;
        assert!(status == 400 || status == 429, "{status}");
        refused += u32::from(status == 429);
    }
    assert!(refused > 100, "{refused}");
    let blocked: i64 = {
        let mut watch = world.admin_session().await;
        watch
            .fetch_one("select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()")
            .await
            .expect("the server tells")
            .get(0)
    };
    assert_eq!(blocked, 0, "nobody waits for the table of tokens");
    admin.execute("rollback").await.expect("unlocks");
    world.end().await;
}

#[tokio::test]
async fn a_known_token_is_not_held_up_by_a_storm_from_its_own_address() {
    let world = World::start_with(limits(0, 1)).await;
    let tenant = world.tenant("example.com").await;
    world.ask(&tenant, "GET", &tenant.lb("pools"), None).await.result();
    for _ in 0..20 {
        world.send("GET", &tenant.lb("pools"), &[("authorization", "Bearer nonsense")], "").await.refused();
    }
    world.ask(&tenant, "GET", &tenant.lb("pools"), None).await.result();
    world.end().await;
}
