//! Verdicts as the API tells them: pool health by place, the quorum view, and the events.

use std::time::Duration;

use quorate_core::bucket::Bucket;
use quorate_core::electorate::{Electorate, RegionSeats};
use quorate_core::event::{EventBody, EventOrigin, EventPool};
use quorate_core::evidence::{self, Ballot, BallotDetail, PackedVotes};
use quorate_core::failure::FailureReason;
use quorate_core::ids::ReplicaId;
use quorate_core::pool::PoolState;
use quorate_core::pop::Pop;
use quorate_core::region::Region;
use quorate_core::vote::{Published, Verdict, VoteState};
use quorate_store::events;
use quorate_store::verdicts::{CheckChange, NewEvent, PgVerdicts, PoolChange, PoolConfig, Replica, Tick, VerdictStore, VoteRow};
use serde_json::{Value, json};

use crate::world::{Tenant, World, id_of, pool_body};

const REPLICA: Replica = Replica { id: ReplicaId::from_bytes([9; 16]), url: String::new(), version: String::new() };

/// The owner of every bucket, by hand.
struct Owner {
    store: PgVerdicts,
}

impl Owner {
    async fn start(world: &World) -> Self {
        let mut op = world.db.operator().await.expect("a transaction");
        events::keep_partitions(&mut op, 1, 90).await.expect("partitions");
        op.commit().await.expect("commits");
        let store = PgVerdicts::new(world.db.clone());
        store.heartbeat(&REPLICA, 9, Duration::from_mins(10)).await.expect("a heartbeat");
        Self { store }
    }

    /// Makes the bucket of a pool its own and answers the pool as configured.
    async fn pool(&self, id: &str) -> (Bucket, PoolConfig) {
        let bucket = Bucket::of(id.parse().expect("an id"));
        self.store.claim(REPLICA.id, &[bucket], Duration::from_mins(10)).await.expect("claims");
        let config = self.store.load(&[bucket]).await.expect("loads").pop().expect("the bucket");
        let pool = config.pools.into_iter().find(|pool| pool.pool.id.to_string() == id).expect("the pool");
        (bucket, pool)
    }

    /// Publishes that the first origin turned, with the pool's new state, as one event.
    async fn turn(&self, id: &str, verdict: Verdict, state: PoolState, evidence: Option<evidence::Evidence>) -> u64 {
        let (bucket, config) = self.pool(id).await;
        let ownership = self.store.ownerships().await.expect("rows").into_iter().find(|row| row.bucket == bucket).expect("a row");
        let (pool, check) = (&config.pool, config.checks[0]);
        let reason = (verdict == Verdict::Down).then_some(FailureReason::TcpConnectionFailed);
        let origins = pool.origins.iter().zip(&config.checks).enumerate().map(|(index, (origin, check))| EventOrigin {
            name: origin.settings.name.clone(),
            address: origin.settings.address.clone(),
            ip: origin.settings.address.clone(),
            enabled: origin.settings.enabled,
            healthy: if index == 0 { Some(verdict == Verdict::Up) } else { check.verdict.healthy() },
            failure_reason: quorate_core::failure::text_of(reason.filter(|_| index == 0)).to_owned(),
            failure_code: quorate_core::failure::code_of(reason.filter(|_| index == 0)).to_owned(),
            response_code: None,
            changed: index == 0,
            monitors: Vec::new(),
            evidence: evidence.clone().filter(|_| index == 0),
        });
        let body = EventBody {
            subject: config.subject,
            pool: EventPool {
                id: pool.id,
                name: pool.settings.name.clone(),
                healthy: state.healthy(),
                changed: config.state.healthy() != state.healthy(),
                minimum_origins: pool.settings.minimum_origins,
            },
            origins: origins.collect(),
        };
        let account_id = pool.account_id;
        let tick = Tick {
            bucket,
            replica: REPLICA.id,
            fence: ownership.fence,
            checks: vec![CheckChange {
                account_id,
                check_id: check.check_id,
                config_gen: check.config_gen,
                expected_seq: check.verdict_seq,
                verdict,
                reason,
                response_code: None,
            }],
            pools: vec![PoolChange { account_id, pool_id: pool.id, expected_seq: config.state_seq, state }],
            events: vec![NewEvent { account_id, pool_id: pool.id, check_id: Some(check.check_id), body }],
        };
        self.store.commit(&tick).await.expect("commits").event_ids[0]
    }

    /// Writes the votes on an origin: per seat of one region.
    async fn votes(&self, id: &str, origin: usize, region: Region, pops: &[Pop], ballots: &[Ballot]) -> PackedVotes {
        let (bucket, config) = self.pool(id).await;
        let electorate = Electorate::new(vec![RegionSeats::new(Some(region), pops.iter().map(|pop| pop.no).collect())]);
        let votes = PackedVotes { electorate, ballots: ballots.to_vec(), members: Vec::new() };
        let row = VoteRow { account_id: config.pool.account_id, bucket, check_id: config.checks[origin].check_id, votes: votes.clone() };
        self.store.save_votes(&[row]).await.expect("writes");
        votes
    }
}

fn cast(state: VoteState, reason: Option<FailureReason>, response_code: Option<u16>, rtt_us: u32) -> Ballot {
    Ballot::Cast { state, detail: Some(BallotDetail { reason, response_code, rtt_us: Some(rtt_us) }), age_ms: 40 }
}

/// A tenant with a monitored pool of two origins, and three PoPs.
async fn scene(world: &World) -> (Tenant, String, Vec<Pop>) {
    let tenant = world.tenant("example.com").await;
    let monitor = id_of(&world.make(&tenant, &tenant.lb("monitors"), json!({})).await);
    let origins = json!([{"name": "a", "address": "192.0.2.1"}, {"name": "b", "address": "2001:db8::5"}]);
    let body = pool_body("eu", json!({"monitor": monitor, "check_regions": ["WEU"], "origins": origins}));
    let pool = id_of(&world.make(&tenant, &tenant.lb("pools"), body).await);
    let pops = vec![
        world.pop("lhr", Region::Weu, "London", "GB").await,
        world.pop("ams", Region::Weu, "Amsterdam", "NL").await,
        world.pop("fra", Region::Weu, "Frankfurt", "DE").await,
    ];
    (tenant, pool, pops)
}

#[tokio::test]
async fn pool_health_tells_place_by_place_what_each_pop_sees() {
    let world = World::start().await;
    let (tenant, pool, pops) = scene(&world).await;
    let path = tenant.lb(&format!("pools/{pool}/health"));
    assert_eq!(world.ask(&tenant, "GET", &path, None).await.result(), json!({"pool_id": pool, "pop_health": {}}), "nobody has voted yet");
    let owner = Owner::start(&world).await;
    let up = cast(VoteState::Up, None, Some(200), 12_100);
    let down = cast(VoteState::Down, Some(FailureReason::ResponseCodeMismatch), Some(503), 66_000);
    let pending = Ballot::Cast { state: VoteState::Down, detail: None, age_ms: 1 };
    let refuses = cast(VoteState::ConfigError, Some(FailureReason::MonitorConfigError), None, 0);
    owner.votes(&pool, 0, Region::Weu, &pops, &[up, down, Ballot::Missing]).await;
    owner.votes(&pool, 1, Region::Weu, &pops, &[refuses, pending, Ballot::Missing]).await;
    let seen = world.ask(&tenant, "GET", &path, None).await.result();
    let expected = json!({"pool_id": pool, "pop_health": {
        "London, GB": {"healthy": true, "origins": [
            {"192.0.2.1": {"healthy": true, "failure_reason": "No failures", "failure_code": "none", "response_code": 200, "rtt": "12.1ms"}},
            {"2001:db8::5": {"healthy": null, "failure_reason": "Monitor Config Error", "failure_code": "monitor_config_error", "rtt": "0s"}},
        ]},
        "Amsterdam, NL": {"healthy": false, "origins": [
            {"192.0.2.1": {"healthy": false, "failure_reason": "Response code mismatch error", "failure_code": "response_code_mismatch", "response_code": 503, "rtt": "66ms"}},
            {"2001:db8::5": {"healthy": false}},
        ]},
    }});
    assert_eq!(seen, expected);
    world.end().await;
}

#[tokio::test]
async fn the_quorum_view_explains_the_verdict_with_the_evidence_of_the_core() {
    let world = World::start().await;
    let (tenant, pool, pops) = scene(&world).await;
    let path = tenant.lb(&format!("pools/{pool}/quorum"));
    let before = world.ask(&tenant, "GET", &path, None).await.result();
    assert_eq!((&before["state"], &before["healthy"], &before["as_of"]), (&json!("unknown"), &Value::Null, &Value::Null));
    assert_eq!((&before["origins"][0]["verdict"], &before["origins"][0]["evidence"]), (&json!("unknown"), &Value::Null));
    let owner = Owner::start(&world).await;
    owner.turn(&pool, Verdict::Up, PoolState::Degraded, None).await;
    let up = cast(VoteState::Up, None, Some(200), 12_100);
    let down = cast(VoteState::Down, Some(FailureReason::TcpTimeout), None, 5_000_000);
    let votes = owner.votes(&pool, 0, Region::Weu, &pops, &[up, down, up]).await;
    let view = world.ask(&tenant, "GET", &path, None).await.result();
    assert_eq!(view["pool"], json!({"id": pool, "name": "eu"}));
    let told = ["state", "healthy", "minimum_origins", "quorum_lost_since"].map(|name| view[name].clone());
    assert_eq!(told, [json!("degraded"), json!(true), json!(1), Value::Null]);
    assert!(view["since"].is_string() && view["as_of"].is_string(), "{view}");
    let origin = &view["origins"][0];
    let told = ["name", "address", "enabled", "verdict", "healthy", "verdict_seq"].map(|name| origin[name].clone());
    assert_eq!(told, [json!("a"), json!("192.0.2.1"), json!(true), json!("up"), json!(true), json!(1)]);
    let find = |no| pops.iter().find(|pop| pop.no == no);
    let expected = evidence::explain(Published::Up, &votes.electorate, &votes.ballots, find);
    assert_eq!(origin["evidence"], serde_json::to_value(&expected).expect("serializes"), "the same JSON as everywhere");
    assert_eq!(
        (&origin["evidence"]["votes_to_flip"], &origin["evidence"]["regions"][0]["votes"][1]["pop"]),
        (&json!(1), &json!("Amsterdam, NL"))
    );
    assert_eq!(view["origins"][1]["verdict"], "unknown");
    world.end().await;
}

#[tokio::test]
async fn events_are_newest_first_filtered_by_seven_filters_and_told_with_evidence() {
    let world = World::start().await;
    let (tenant, pool, pops) = scene(&world).await;
    let owner = Owner::start(&world).await;
    let second = id_of(
        &world.make(&tenant, &tenant.lb("pools"), pool_body("us", json!({"origins": [{"name": "c", "address": "192.0.2.3"}]}))).await,
    );
    let votes =
        owner.votes(&pool, 0, Region::Weu, &pops, &[cast(VoteState::Down, Some(FailureReason::TcpConnectionFailed), None, 900); 3]).await;
    let explained = evidence::explain(Published::Down, &votes.electorate, &votes.ballots, |no| pops.iter().find(|pop| pop.no == no));
    let up = owner.turn(&pool, Verdict::Up, PoolState::Healthy, None).await;
    let down = owner.turn(&pool, Verdict::Down, PoolState::Critical, Some(explained.clone())).await;
    let other = owner.turn(&second, Verdict::Up, PoolState::Healthy, None).await;
    let all = world.ask(&tenant, "GET", "/user/load_balancing_analytics/events", None).await;
    assert_eq!(all.body["result_info"], json!({"page": 1, "per_page": 1000, "count": 3, "total_count": 3, "total_pages": 1}));
    let text = all.text.clone();
    let all = all.result();
    let ids =
        |events: &Value| events.as_array().expect("a list").iter().map(|event| event["id"].as_u64().expect("a number")).collect::<Vec<_>>();
    assert_eq!(ids(&all), [other, down, up]);
    let event = &all[1];
    assert_eq!(event["pool"], json!({"id": pool, "name": "eu", "healthy": false, "changed": true, "minimum_origins": 1}));
    let origin = &event["origins"][0];
    let told =
        ["name", "address", "ip", "enabled", "healthy", "changed", "failure_reason", "failure_code"].map(|name| origin[name].clone());
    let expected = [
        json!("a"),
        json!("192.0.2.1"),
        json!("192.0.2.1"),
        json!(true),
        json!(false),
        json!(true),
        json!("TCP connection failed"),
        json!("tcp_connection_failed"),
    ];
    assert_eq!(told, expected);
    assert_eq!(origin["evidence"], serde_json::to_value(&explained).expect("serializes"));
    assert_eq!((&event["origins"][1]["changed"], event["origins"][1].get("evidence")), (&json!(false), None));
    let time = |index: usize| all[index]["timestamp"].as_str().expect("a time").to_owned();
    for (query, expected) in [
        (format!("pool_id={pool}"), vec![down, up]),
        ("pool_name=us".to_owned(), vec![other]),
        ("pool_healthy=false".to_owned(), vec![down]),
        ("pool_healthy=true".to_owned(), vec![other, up]),
        ("origin_name=a".to_owned(), vec![down, up]),
        ("origin_name=b".to_owned(), vec![]),
        ("origin_healthy=true&pool_name=eu".to_owned(), vec![up]),
        (format!("since={}", time(1)), vec![other, down]),
        (format!("until={}", time(1)), vec![up]),
        (format!("since={}&until={}", time(1), time(0)), vec![down]),
        ("per_page=2&page=2".to_owned(), vec![up]),
        ("page=2".to_owned(), vec![]),
    ] {
        let path = format!("/user/load_balancing_analytics/events?{query}");
        assert_eq!(ids(&world.ask(&tenant, "GET", &path, None).await.result()), expected, "{query}");
    }
    let of_account = world.ask(&tenant, "GET", &format!("/accounts/{}/load_balancing_analytics/events", tenant.account), None).await;
    assert_eq!(of_account.text, text);
    let stranger = world.tenant("stranger.example").await;
    for query in [String::new(), format!("?pool_id={pool}"), "?pool_name=eu".to_owned()] {
        let path = format!("/user/load_balancing_analytics/events{query}");
        assert_eq!(world.ask(&stranger, "GET", &path, None).await.result(), json!([]), "{query}");
    }
    world.end().await;
}
