//! `quorate up`: one command, everything.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use quorate_testkit::net::Net;
use quorate_testkit::operator::{Operator, id_of};
use quorate_testkit::process::{Launch, Process};
use quorate_testkit::until::{holds, until};
use rustix::process::Signal;
use serde_json::Value;

/// A first start makes a database cluster, migrates and starts ten servers.
const UP_MAX: Duration = Duration::from_mins(1);
const VERDICT_MAX: Duration = Duration::from_secs(20);

fn up(net: &Net, data: &Path, dir: &Path) -> Launch {
    let address = net.control(0);
    Launch::new("up", &["up", "--data-dir", data.to_str().expect("temporary folders have names in UTF-8")], dir)
        .env("QUORATE_CONTROL__LISTEN", format!("{address}:18080"))
        .env("QUORATE_CONTROL__GRPC_LISTEN", format!("{address}:18081"))
}

/// The variables of the env file, once `up` is there.
async fn client_of(process: &mut Process, net: &Net, data: &Path) -> (Operator, Vec<(String, String)>) {
    process.ready(&format!("http://{}:18080/readyz", net.control(0)), UP_MAX).await;
    let file = data.join("env");
    let pairs = until("the env file is written", UP_MAX, async || {
        let text = std::fs::read_to_string(&file).map_err(|error| format!("{error}\n{}", process.log_tail()))?;
        let pairs: Vec<_> =
            text.lines().filter_map(|line| line.split_once('=')).map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        if pairs.len() >= 5 { Ok(pairs) } else { Err(text) }
    })
    .await;
    let value = |name: &str| pairs.iter().find(|(key, _)| key == name).unwrap_or_else(|| panic!("{name} is not in {pairs:?}")).1.clone();
    let operator = Operator::new(&value("QUORATE_URL"), &value("QUORATE_TOKEN"), &value("QUORATE_ACCOUNT_ID"), &value("QUORATE_ZONE_ID"));
    assert!(!value("QUORATE_ZONE_NAME").is_empty());
    (operator, pairs)
}

async fn origin_verdict(operator: &Operator, name: &str) -> Result<(String, Value), String> {
    let answer = operator.try_send(reqwest::Method::GET, &operator.pools_path(), None).await?;
    let pools = answer.result().as_array().cloned().unwrap_or_default();
    let holds_origin =
        |pool: &&Value| pool["origins"].as_array().is_some_and(|origins| origins.iter().any(|origin| origin["name"] == name));
    let pool = pools.iter().find(holds_origin).ok_or_else(|| format!("no pool has {name}: {pools:#?}"))?;
    let id = id_of(pool);
    let view = operator.quorum_of(&id).await;
    let origin = view["origins"].as_array().and_then(|origins| origins.iter().find(|origin| origin["name"] == name)).cloned();
    Ok((id, origin.ok_or_else(|| format!("{view:#}"))?["evidence"].clone()))
}

async fn until_verdict(operator: &Operator, name: &str, verdict: &str) -> (String, Value) {
    until(&format!("{name} is {verdict}"), VERDICT_MAX, async || {
        let (pool, evidence) = origin_verdict(operator, name).await?;
        if evidence["verdict"] == verdict { Ok((pool, evidence)) } else { Err(format!("{evidence:#}")) }
    })
    .await
}

#[tokio::test]
async fn up_runs_everything_shows_what_is_broken_and_healed_stops_and_goes_on_where_it_was() {
    let net = Net::claim();
    // Postgres drops to an unprivileged user under root, who has to reach the folder.
    let dir = tempfile::Builder::new().prefix("quorate-up-").permissions(std::fs::Permissions::from_mode(0o755)).tempdir().unwrap();
    let data = dir.path().join("data");
    let launch = up(&net, &data, dir.path());
    let demo = |args: &[&str]| {
        let all: Vec<_> = ["demo"].iter().chain(args).chain(&["--data-dir", data.to_str().unwrap()]).copied().collect();
        Launch::new("demo", &all, dir.path())
    };

    let mut process = launch.start();
    let (operator, first) = client_of(&mut process, &net, &data).await;
    let mode = std::fs::metadata(data.join("env")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    assert_eq!(operator.get("/user/tokens/verify").await.result()["status"], "active");
    assert_eq!(operator.get(&operator.pools_path()).await.result().as_array().map(Vec::len), Some(3));

    // One region of three: the verdict holds.
    let (pool, _) = until_verdict(&operator, "shop-1", "up").await;
    demo(&["break", "shop-1", "--from", "WEU"]).run().await.succeeded();
    until("WEU says down", VERDICT_MAX, async || {
        let (_, evidence) = origin_verdict(&operator, "shop-1").await?;
        let weu = evidence["regions"].as_array().and_then(|regions| regions.iter().find(|region| region["region"] == "WEU")).cloned();
        holds(weu.is_some_and(|region| region["verdict"] == "down") && evidence["verdict"] == "up", evidence)
    })
    .await;
    let before = operator.events_of(&pool).await.len();

    // Everywhere: it flips, and `up` says so in a line.
    demo(&["break", "shop-1"]).run().await.succeeded();
    until_verdict(&operator, "shop-1", "down").await;
    assert_eq!(operator.events_of(&pool).await.len(), before + 1);
    let says =
        |process: &Process, words: [&str; 2]| process.log().lines().any(|line| words.iter().all(|word| line.to_lowercase().contains(word)));
    until("up tells the fall", VERDICT_MAX, async || holds(says(&process, ["shop-1", "down"]), process.log_tail())).await;
    demo(&["heal", "shop-1"]).run().await.succeeded();
    until_verdict(&operator, "shop-1", "up").await;
    assert_eq!(operator.events_of(&pool).await.len(), before + 2);
    until("up tells the return", VERDICT_MAX, async || holds(says(&process, ["shop-1", "up"]), process.log_tail())).await;
    assert!(demo(&["break", "no-such-origin"]).run().await.code != Some(0));

    // A second `up` on the same folder is refused.
    let second = up(&net, &data, dir.path()).run().await;
    assert!(second.code.is_some_and(|code| code != 0), "{second:#?}");

    // Ctrl-C: gone within 5 s, the data stays.
    let stopping = Instant::now();
    process.signal(Signal::INT);
    let status = process.ends(Duration::from_secs(5)).await;
    assert!(status.success(), "{status} after {:?}\n{}", stopping.elapsed(), process.log_tail());
    println!("up stopped in {:?}", stopping.elapsed());

    let mut process = launch.start();
    let (operator, again) = client_of(&mut process, &net, &data).await;
    assert_eq!(first, again, "the next up goes on with the same account, zone and token");
    assert_eq!(operator.events_of(&pool).await.len(), before + 2);
    until_verdict(&operator, "shop-1", "up").await;
    demo(&["break", "shop-1"]).run().await.succeeded();
    until_verdict(&operator, "shop-1", "down").await;
    assert_eq!(operator.events_of(&pool).await.len(), before + 3);
    process.signal(Signal::INT);
    assert!(process.ends(Duration::from_secs(5)).await.success());
}
