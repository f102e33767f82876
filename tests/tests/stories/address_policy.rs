//! Where probes may not go, whoever asks.

use quorate_testkit::operator::every_second;
use quorate_testkit::origins::{Behaviour, Origin};
use quorate_testkit::world::Plan;
use serde_json::{Value, json};

use crate::evidence::votes;

#[tokio::test]
async fn an_address_that_no_worker_may_probe_is_never_contacted() {
    let world = Plan::small().build().await;
    let forbidden = Origin::http(world.net.out_of_bounds()).await;
    let redirecting = world.origin().await;
    redirecting.behaves(Behaviour::Redirect(format!("http://{}:{}/", forbidden.address(), forbidden.port())));
    let healthy = world.origin().await;

    let mut follows = every_second();
    follows["follow_redirects"] = json!(true);
    let monitor = world.operator.creates_monitor(&follows).await;
    let mut body = world.pool_of("shop", &monitor, &[&healthy, &redirecting]);
    let port = forbidden.port();
    let more = [
        ("loopback", forbidden.address().to_string()),
        ("mapped", format!("::ffff:{}", forbidden.address())),
        ("name", "localhost".to_owned()),
        ("private", "10.11.12.13".to_owned()),
        ("metadata", "169.254.169.254".to_owned()),
        ("unspecified", "0.0.0.0".to_owned()),
    ];
    for (name, address) in &more {
        body["origins"].as_array_mut().unwrap().push(json!({ "name": name, "address": address, "port": port }));
    }
    let answer = world.operator.post(&world.operator.pools_path(), &body).await;
    let pool = quorate_testkit::operator::id_of(answer.result());

    let names: Vec<_> = more.iter().map(|(name, _)| *name).chain(["origin-2"]).collect();
    for name in names {
        let refused = |evidence: &Value| {
            evidence["verdict"] == "down"
                && votes(evidence).iter().all(|vote| vote["vote"] == "down" && vote["failure_code"] == "dns_internal")
        };
        world.until_evidence(&format!("{name} is refused"), &pool, name, refused).await;
    }
    world.until_evidence("the allowed one is probed", &pool, "origin-1", |evidence| evidence["verdict"] == "up").await;
    assert_eq!(forbidden.contact_count(), 0);
    assert!(redirecting.contact_count() > 0);
}
