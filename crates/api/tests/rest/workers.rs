//! The workers of the installation, as who administers an account may know them.

use std::time::Duration;

use quorate_core::ids::ReplicaId;
use quorate_core::region::Region;
use quorate_store::tokens::Scope;
use quorate_store::verdicts::{PgVerdicts, Replica, VerdictStore};
use quorate_store::worker_tokens::{self, Manifests, Sighting};
use serde_json::json;

use crate::world::{Tenant, World};

#[tokio::test]
async fn an_administrator_is_told_how_the_workers_do_and_not_how_much() {
    let world = World::start().await;
    let (tenant, other) = (world.tenant("example.com").await, world.tenant("example.org").await);
    let replica = Replica { id: ReplicaId::from_bytes([9; 16]), url: String::new(), version: String::new() };
    PgVerdicts::new(world.db.clone()).heartbeat(&replica, 9, Duration::from_mins(10)).await.expect("a heartbeat");
    let saw = async |code: &str, connected, behind| {
        let pop = world.pop(code, Region::Weu, "London", "GB").await.no;
        let manifests = Manifests { wanted: 4_712, behind };
        let seen = Sighting { pop, connected, version: "0.1.0".to_owned(), checks: 4_711, manifests };
        worker_tokens::saw(&world.db, replica.id, &seen).await.expect("writes");
    };
    saw("current", true, 0).await;
    saw("behind", true, 1).await;
    saw("away", false, 0).await;
    world.pop("new", Region::Seas, "Singapore", "SG").await;
    saw("gone", true, 0).await;
    let mut op = world.db.operator().await.expect("a transaction");
    assert!(worker_tokens::revoke(&mut op, &"gone".parse().expect("a code")).await.expect("revokes"));
    op.commit().await.expect("commits");

    let answer = world.ask(&tenant, "GET", &tenant.of_account("workers"), None).await;
    assert!(!answer.text.contains("471"), "what other accounts ask is not told: {}", answer.text);
    let info = answer.body["result_info"].clone();
    let found = answer.result();
    let london = |code: &str, connected: bool, is_current| {
        json!({
            "pop": code, "region": "WEU", "city": "London", "country": "GB", "connected": connected, "last_round_at": null,
            "version": "0.1.0", "is_current": is_current,
        })
    };
    let mut expected = json!([
        london("current", true, json!(true)),
        london("behind", true, json!(false)),
        london("away", false, json!(null)),
        {
            "pop": "new", "region": "SEAS", "city": "Singapore", "country": "SG", "connected": null, "last_round_at": null,
            "version": null, "is_current": null,
        },
    ]);
    for index in [0, 1] {
        expected[index]["last_round_at"] = found[index]["last_round_at"].clone();
        assert!(expected[index]["last_round_at"].is_string());
    }
    assert_eq!(found, expected);
    assert_eq!(info["total_count"], 4);
    assert_eq!(world.ask(&other, "GET", &other.of_account("workers"), None).await.result(), found, "the same for every account");
    let page = world.ask(&tenant, "GET", &tenant.of_account("workers?page=2&per_page=3"), None).await.result();
    assert_eq!(page, json!([found[3]]));

    let (_, secret) = world.token(Scope::Edit, &[tenant.account], None).await;
    let editor = Tenant { secret, ..tenant.clone() };
    let refused = world.ask(&editor, "GET", &tenant.of_account("workers"), None).await.refused();
    assert_eq!(refused, (403, json!([{"code": 10_000, "message": "Authentication error"}])));
    world.end().await;
}
