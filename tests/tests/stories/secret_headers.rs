//! A secret header reaches the origin that it is for, and nothing else.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use quorate_testkit::operator::{Operator, every_second};
use quorate_testkit::origins::{Behaviour, Origin};
use quorate_testkit::postgres::scalar;
use quorate_testkit::until::{holds, until};
use quorate_testkit::world::{Plan, VERDICT_MAX, World};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor, Row};

/// In no other word of the program.
const CANARY: &str = "canary-c0ffee";

fn with_secrets(mut monitor: Value, number: u8) -> Value {
    let value = |name: &str| json!([format!("{name}-{CANARY}-{number}")]);
    monitor["header"] =
        json!({"Authorization": value("auth"), "Cookie": value("cookie"), "X-Shop-Key": value("key"), "X-Own": value("own")});
    monitor["secret_headers"] = json!(["x-own"]);
    monitor
}

/// Waits until the workers send the header of that number.
async fn until_sent(origin: &Origin, number: u8) {
    let expected = format!("auth-{CANARY}-{number}");
    until("the origin is sent the header", VERDICT_MAX, async || {
        let last = origin.contacts().last().and_then(|contact| contact.request.clone());
        let sent = last.as_ref().and_then(|request| request.headers.get("authorization").cloned());
        holds(sent.as_ref() == Some(&expected), last)
    })
    .await;
}

#[tokio::test]
async fn a_secret_header_is_in_no_log_event_audit_row_or_table_whatever_happens_to_its_monitor() {
    let world = Plan::small().setting("QUORATE_LOG", "debug").setting("QUORATE_SECRETS__HEADER_NAMES", "x-shop-key").build().await;
    let shop = world.origin().await;
    let monitor = world.operator.creates_monitor(&with_secrets(every_second(), 1)).await;
    let path = format!("{}/{monitor}", world.operator.monitors_path());
    let pool = world.healthy_pool(&world.pool_of("shop", &monitor, &[&shop])).await;
    until_sent(&shop, 1).await;

    // Changes, a failure with its event, and a key that is replaced while everything runs.
    world.operator.patch(&path, &with_secrets(json!({}), 2)).await.result();
    until_sent(&shop, 2).await;
    shop.behaves(Behaviour::Code(500));
    world.until_events(&pool, 2).await;
    let old = keys(&world).await.remove(0).0;
    let new = world.runs(&["header-key", "rotate"]).await.succeeded().trim().to_owned();
    assert_ne!(old, new);
    assert_eq!(keys(&world).await, [(new.clone(), 4), (old.clone(), 0)], "all four values moved under the new key");
    world.operator.patch(&path, &with_secrets(json!({}), 3)).await.result();
    until_sent(&shop, 3).await;
    world.runs(&["header-key", "forget", &new]).await.failed(1, "rotate");
    world.runs(&["header-key", "forget", &old]).await.succeeded();
    world.operator.patch(&path, &with_secrets(json!({"timeout": 2}), 4)).await.result();
    until_sent(&shop, 4).await;

    // Who may edit reads it, who may not does not.
    assert!(world.operator.get(&path).await.body.to_string().contains(CANARY), "the canary is looked for in the right form");
    let account = world.operator.account.clone();
    let token = world.runs(&["token", "create", "reader", "--account", &account, "--scope", "read"]).await.succeeded();
    let reader = Operator::new(world.operator.base(), token.trim(), &account, &world.operator.zone);
    let own = format!("/accounts/{account}");
    for path in [path, world.operator.monitors_path(), format!("{own}/load_balancers/usage")] {
        assert!(!reader.get(&path).await.body.to_string().contains(CANARY), "{path}");
    }

    let mut told = vec![
        ("the events", world.operator.events_of(&pool).await.into_iter().map(|event| event.to_string()).collect()),
        ("the quorum view", world.operator.quorum_of(&pool).await.to_string()),
        ("the audit log", world.operator.get(&format!("{own}/audit_logs")).await.body.to_string()),
        ("the audit log on the command line", world.runs(&["audit", "list", "--account", &account, "--json"]).await.succeeded()),
        ("the configuration", world.runs(&["check-config"]).await.succeeded()),
        ("the database", dump(&world).await),
        ("the log of control", world.controls[0].process.log()),
    ];
    told.extend(world.workers.iter().map(|worker| ("the log of a worker", worker.process.log())));
    for (place, text) in told {
        assert!(text.len() > 100, "{place} holds next to nothing: {text}");
        assert!(!text.contains(CANARY), "{place} holds the secret");
    }

    // A worker has to know it, also across a restart: in a folder that only its owner enters.
    for worker in &world.workers {
        let folder = worker_folder(&world, worker.place.code);
        let mode = std::fs::metadata(&folder).expect("the worker made it").permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{}", folder.display());
    }
}

/// The keys by their ids with how many values are sealed under each, the one in use first.
async fn keys(world: &World) -> Vec<(String, u64)> {
    let table = world.runs(&["header-key", "list"]).await.succeeded();
    let row = |line: &str| {
        let cells: Vec<&str> = line.split_whitespace().collect();
        (cells[0].to_owned(), cells[cells.len() - 1].parse().expect("a number"))
    };
    table.lines().skip(1).map(row).collect()
}

fn worker_folder(world: &World, code: &str) -> std::path::PathBuf {
    let folders = std::fs::read_dir(world.dir()).expect("the story's folder").map(|entry| entry.expect("an entry").path());
    let is_its = |folder: &Path| folder.is_dir() && folder.file_name().is_some_and(|name| name.to_string_lossy().contains(code));
    folders.into_iter().find(|folder| is_its(folder)).expect("each worker has a folder")
}

/// Every row of every table, as text.
async fn dump(world: &World) -> String {
    let mut admin = world.database.admin().await;
    let tables: String = scalar(
        &mut admin,
        "select string_agg(relname, ',') from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')",
    )
    .await;
    let mut text = String::new();
    for table in tables.split(',') {
        let rows = admin.fetch_all(AssertSqlSafe(format!("select t::text from {table} as t"))).await.expect("a table can be read");
        text.extend(rows.iter().map(|row| row.get::<String, _>(0) + "\n"));
    }
    text
}
