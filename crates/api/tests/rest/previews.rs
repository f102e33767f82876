//! Previews as the API takes and tells them; the owner's part is done by hand.

use quorate_core::bucket::Bucket;
use quorate_core::failure::FailureReason;
use quorate_core::phase::Phases;
use quorate_core::pop::PopNo;
use quorate_core::preview::{Answer, KEPT_MAX, OPEN_MAX, Seen};
use quorate_core::region::Region;
use quorate_core::vote::{Detail, VoteState};
use quorate_store::accounts::Limits;
use quorate_store::previews::{self, OpenAnswer};
use quorate_store::tokens::Scope;
use serde_json::{Value, json};
use sqlx::{Executor, Row};

use crate::world::{LIMITS, Tenant, World, errors_1002, id_of, pool_body, with};

async fn open(world: &World) -> Vec<OpenAnswer> {
    let all: Vec<Bucket> = Bucket::all().collect();
    previews::open(&world.db, &all, 1_000, 1_000).await.expect("reads")
}

/// One worker's word on every origin.
fn seen(pop: PopNo, details: &[(VoteState, Option<FailureReason>, Option<u16>)]) -> Answer {
    let origins = details.iter().map(|(state, reason, response_code)| Seen {
        detail: Detail { state: *state, reason: *reason, response_code: *response_code, rtt_us: Some(12_100) },
        phases: Phases::from_us([0, 850, 0, 90, 11_160]),
        certificate_days_left: (*state == VoteState::Up).then_some(42),
        error: (*state == VoteState::ConfigError).then(|| "this worker cannot probe smtp".to_owned()),
    });
    Answer::Seen { pop, origins: origins.collect() }
}

/// A tenant with a monitor and a pool under it, of two origins and a disabled one, over two regions; one has a PoP.
async fn scene(world: &World) -> (Tenant, String, String, PopNo) {
    let tenant = world.tenant("example.com").await;
    let monitor = id_of(&world.make(&tenant, &tenant.lb("monitors"), json!({})).await);
    let origins = json!([
        {"name": "a", "address": "192.0.2.1"}, {"name": "off", "address": "192.0.2.9", "enabled": false}, {"name": "b", "address": "2001:db8::5"},
    ]);
    let body = pool_body("eu", json!({"monitor": monitor, "check_regions": ["WEU", "OC"], "origins": origins}));
    let pool = id_of(&world.make(&tenant, &tenant.lb("pools"), body).await);
    let pop = world.pop("lhr", Region::Weu, "London", "GB").await.no;
    (tenant, monitor, pool, pop)
}

#[tokio::test]
async fn a_preview_of_a_monitor_begins_at_once_and_tells_what_is_seen_as_it_comes() {
    let world = World::start().await;
    let (tenant, monitor, pool, pop) = scene(&world).await;
    let other = id_of(&world.make(&tenant, &tenant.lb("pools"), pool_body("unmonitored", json!({}))).await);
    let member = json!({"monitor_id": monitor, "enabled": true, "monitoring_only": false, "must_be_healthy": false});
    let group = id_of(&world.make(&tenant, &tenant.lb("monitor_groups"), json!({"description": "g", "members": [member]})).await);
    let grouped = id_of(
        &world.make(&tenant, &tenant.lb("pools"), pool_body("grouped", json!({"monitor_group": group, "check_regions": ["OC"]}))).await,
    );
    let body = json!({"type": "https", "path": "/new", "timeout": 2, "retries": 1, "header": {"Authorization": ["Bearer canary"]}});
    let begun = world.make(&tenant, &tenant.lb(&format!("monitors/{monitor}/preview")), body).await;
    assert_eq!(begun["pools"], json!({&pool: "eu", &grouped: "grouped"}), "by itself, or through its group");
    let path = tenant.lb(&format!("preview/{}", begun["preview_id"].as_str().expect("an id")));
    let show = async || {
        let mut shown = world.ask(&tenant, "GET", &path, None).await.result();
        shown.as_object_mut().expect("a map").remove(&grouped).expect("the grouped one is told too");
        shown
    };
    let pending = json!({"healthy": null, "regions": {"OC": {"status": "no_workers", "healthy": null}, "WEU": {"status": "pending", "healthy": null}}});
    let expected = json!({&pool: {"status": "pending", "healthy": null, "origins": [{"192.0.2.1": pending}, {"2001:db8::5": pending}]}});
    assert_eq!(show().await, expected);

    let asked = open(&world).await;
    assert_eq!(asked.len(), 1, "a region without workers is not asked");
    assert_eq!(asked[0].monitor.header["Authorization"], ["Bearer canary"]);
    let stored: String = world.admin_session().await.fetch_one("select monitor::text from preview").await.expect("one").get(0);
    assert!(stored.contains("Authorization") && !stored.contains("canary"), "{stored}");
    assert_eq!((asked[0].monitor.path.as_str(), asked[0].monitor.timeout, asked[0].key.region), ("/new", 2, Region::Weu));
    assert_eq!(asked[0].pool.origins.iter().map(|origin| origin.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    let down = (VoteState::Down, Some(FailureReason::ResponseCodeMismatch), Some(503));
    assert!(previews::answered(&world.db, asked[0].key, &seen(pop, &[(VoteState::Up, None, Some(200)), down])).await.expect("writes"));
    assert!(!previews::answered(&world.db, asked[0].key, &Answer::Unanswered).await.expect("writes"), "the first answer stands");
    assert!(open(&world).await.is_empty());

    let phases = json!({"connect": "850µs", "request": "90µs", "first_byte": "11.2ms"});
    let region = |told: Value| with(json!({"status": "answered", "pop": "London, GB", "rtt": "12.1ms", "phases": phases}), told);
    let origin = |region: Value| json!({"healthy": null, "regions": {"OC": {"status": "no_workers", "healthy": null}, "WEU": region}});
    let passed = json!({"healthy": true, "failure_reason": "No failures", "failure_code": "none", "response_code": 200});
    let days_left = json!({"certificate_days_left": 42});
    let passed = with(origin(region(with(passed, days_left.clone()))), days_left);
    let failing = json!({"failure_reason": "Response code mismatch error", "failure_code": "response_code_mismatch", "response_code": 503});
    let failed = with(origin(region(with(failing.clone(), json!({"healthy": false})))), failing);
    // One region of two is no majority, so the regions' words stand alone; the reason is told all the same.
    let expected = json!({&pool: {"status": "finished", "healthy": null, "origins": [{"192.0.2.1": passed}, {"2001:db8::5": failed}]}});
    assert_eq!(show().await, expected);
    let health = world.ask(&tenant, "GET", &tenant.lb(&format!("pools/{pool}/health")), None).await.result();
    assert_eq!(health["pop_health"], json!({}), "no health came of it");

    let begun = world.make(&tenant, &tenant.lb(&format!("pools/{other}/preview")), json!({})).await;
    assert_eq!(begun["pools"], json!({other: "unmonitored"}), "a pool needs no monitor");
    world.end().await;
}

#[tokio::test]
async fn a_majority_of_the_regions_tells_of_an_origin_and_enough_origins_of_the_pool() {
    let world = World::start().await;
    let (tenant, _, pool, pop) = scene(&world).await;
    let path = format!("/user/load_balancers/pools/{pool}");
    world.ask(&tenant, "PATCH", &path, Some(json!({"check_regions": null}))).await.result();
    let begun = world.make(&tenant, &format!("{path}/preview"), json!({"type": "smtp", "port": 25})).await;
    let asked = open(&world).await;
    assert_eq!(
        asked.iter().map(|open| open.key.region).collect::<Vec<_>>(),
        [Region::Weu],
        "where all PoPs are asked, each region of theirs is"
    );
    let up = (VoteState::Up, None, Some(220));
    let cannot = (VoteState::ConfigError, Some(FailureReason::MonitorConfigError), None);
    previews::answered(&world.db, asked[0].key, &seen(pop, &[up, cannot])).await.expect("writes");
    let shown = world
        .ask(&tenant, "GET", &format!("/user/load_balancers/preview/{}", begun["preview_id"].as_str().expect("an id")), None)
        .await
        .result();
    let pool = &shown[&pool];
    assert_eq!((&pool["status"], &pool["healthy"]), (&json!("finished"), &json!(true)));
    let first = &pool["origins"][0]["192.0.2.1"];
    assert_eq!(
        (&first["healthy"], &first["failure_code"], &first["response_code"], &first["rtt"]),
        (&json!(true), &json!("none"), &json!(220), &json!("12.1ms"))
    );
    let second = &pool["origins"][1]["2001:db8::5"];
    assert_eq!((&second["healthy"], &second["failure_code"]), (&Value::Null, &json!("monitor_config_error")));
    assert_eq!(second["regions"]["WEU"]["error"], "this worker cannot probe smtp");
    world.end().await;
}

#[tokio::test]
async fn the_body_is_judged_like_a_monitor_and_what_is_not_there_is_not_found() {
    let world = World::start().await;
    let (tenant, monitor, pool, _) = scene(&world).await;
    let stranger = world.tenant("example.org").await;
    let none = "17b5962d775c646f3f9725cbc7a53df4";
    for path in [format!("monitors/{monitor}/preview"), format!("pools/{pool}/preview")] {
        let refused = world.ask(&tenant, "POST", &tenant.lb(&path), Some(json!({"timeout": 61, "expected_code": "200"}))).await.refused();
        let errors = errors_1002(&[
            ("/timeout", "timeout 61 is not in range [1, 60]"),
            ("/expected_code", "unknown field \"expected_code\"; did you mean \"expected_codes\"?"),
        ]);
        assert_eq!(refused, (400, errors));
        let foreign = world.ask(&stranger, "POST", &stranger.lb(&path), Some(json!({}))).await.refused();
        assert_eq!((foreign.0, &foreign.1[0]["code"]), (404, &json!(1001)), "{path}");
    }
    for (path, resource) in [(format!("monitors/{none}/preview"), "monitor"), (format!("pools/{none}/preview"), "pool")] {
        let missing = world.ask(&tenant, "POST", &tenant.lb(&path), Some(json!({}))).await.refused();
        assert_eq!(missing, (404, json!([{"code": 1001, "message": format!("{resource} not found")}])));
    }
    let begun = world.make(&tenant, &tenant.lb(&format!("pools/{pool}/preview")), json!({})).await;
    let path = format!("preview/{}", begun["preview_id"].as_str().expect("an id"));
    let not_found = (404, json!([{"code": 1001, "message": "preview not found"}]));
    assert_eq!(world.ask(&stranger, "GET", &stranger.lb(&path), None).await.refused(), not_found);
    let malformed = world.ask(&tenant, "GET", &tenant.lb("preview/p"), None).await.refused();
    assert_eq!((malformed.0, &malformed.1[0]["code"]), (404, &json!(7003)));

    let (_, secret) = world.token(Scope::Read, &[tenant.account], None).await;
    let reader = Tenant { secret, ..tenant.clone() };
    let refused = world.ask(&reader, "POST", &tenant.lb(&format!("pools/{pool}/preview")), Some(json!({}))).await.refused();
    assert_eq!(refused, (403, json!([{"code": 10_000, "message": "Authentication error"}])));
    assert_eq!(world.ask(&reader, "GET", &tenant.lb(&path), None).await.status, 200);

    world.an_hour_passes("preview", "created_on").await;
    assert_eq!(world.ask(&tenant, "GET", &tenant.lb(&path), None).await.refused(), not_found, "it is kept for an hour");
    assert!(open(&world).await.is_empty(), "and nobody asks any more");
    let mut op = world.db.operator().await.expect("a transaction");
    assert_eq!(previews::forget_old(&mut op).await.expect("deletes"), 1);
    op.commit().await.expect("commits");
    world.end().await;
}

#[tokio::test]
async fn an_account_has_so_many_open_previews_and_a_preview_so_many_probes() {
    let world = World::start().await;
    let (tenant, _, pool, pop) = scene(&world).await;
    let path = tenant.lb(&format!("pools/{pool}/preview"));
    for _ in 0..OPEN_MAX {
        world.make(&tenant, &path, json!({})).await;
    }
    let refused = world.ask(&tenant, "POST", &path, Some(json!({}))).await.refused();
    let message = format!("Exceeded quota: this account may have at most {OPEN_MAX} open previews, and has {OPEN_MAX}");
    assert_eq!(refused, (403, json!([{"code": 1004, "message": message}])));
    let up = (VoteState::Up, None, Some(200));
    let first = open(&world).await.remove(0);
    previews::answered(&world.db, first.key, &seen(pop, &[up, up])).await.expect("writes");
    world.make(&tenant, &path, json!({})).await;
    assert_eq!(open(&world).await.len(), OPEN_MAX as usize);
    let fair = previews::open(&world.db, &Bucket::all().collect::<Vec<_>>(), 3, 1_000).await.expect("reads");
    assert_eq!(fair.len(), 3, "an account gets its turns, and no more");

    for _ in OPEN_MAX + 1..KEPT_MAX {
        let open = open(&world).await.remove(0);
        previews::answered(&world.db, open.key, &Answer::Unanswered).await.expect("writes");
        world.make(&tenant, &path, json!({})).await;
    }
    let open = open(&world).await.remove(0);
    previews::answered(&world.db, open.key, &Answer::Unanswered).await.expect("writes");
    let refused = world.ask(&tenant, "POST", &path, Some(json!({}))).await.refused();
    let message = format!("Exceeded quota: this account may have at most {KEPT_MAX} previews an hour, and has {KEPT_MAX}");
    assert_eq!(refused, (403, json!([{"code": 1004, "message": message}])));

    let many = world.tenant_with("many.example", Limits { max_origins_per_pool: 80, origins: 80, ..LIMITS }).await;
    let origins: Vec<Value> = (1..=80).map(|number| json!({"name": number.to_string(), "address": format!("192.0.2.{number}")})).collect();
    let body = json!({"name": "wide", "origins": origins, "check_regions": ["ALL_REGIONS"]});
    let wide = id_of(&world.make(&many, &many.lb("pools"), body).await);
    let refused = world.ask(&many, "POST", &many.lb(&format!("pools/{wide}/preview")), Some(json!({}))).await.refused();
    let detail = "the preview asks for 1040 probes, origins times regions, and may ask for at most 1000";
    assert_eq!(refused, (400, errors_1002(&[("", detail)])));
    world.end().await;
}

#[tokio::test]
async fn without_load_balancing_nothing_is_previewed() {
    let world = World::start().await;
    let (tenant, monitor, pool, _) = scene(&world).await;
    world.load_balancing(tenant.account, tenant.zone, false, true).await;
    for path in [format!("monitors/{monitor}/preview"), format!("pools/{pool}/preview")] {
        let refused = world.ask(&tenant, "POST", &tenant.lb(&path), Some(json!({}))).await.refused();
        assert_eq!(refused, (400, json!([{"code": 1002, "message": "load balancing not enabled for account: validation failed"}])));
    }
    world.end().await;
}
