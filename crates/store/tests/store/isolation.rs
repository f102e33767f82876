//! Accounts are kept apart by the database itself, and each role can do its own work and no more.

use std::borrow::Cow;

use quorate_core::ids::ReplicaId;
use quorate_core::monitor::MonitorSettings;
use quorate_core::monitor_group::{MemberSettings, MonitorGroupSettings};
use quorate_core::preview::PreviewPool;
use quorate_store::verdicts::{PgVerdicts, VerdictStore};
use quorate_store::zones::ZoneKind;
use quorate_store::{Error, accounts, events, health, healthchecks, load_balancers, monitor_groups, monitors, pools, previews, zones};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};

use crate::statement_rules::statements;
use crate::support::{self, Database};
use crate::verdicts::{flip_all, own};

const INSUFFICIENT_PRIVILEGE: &str = "42501";

async fn tables_with_accounts(world: &Database) -> Vec<String> {
    let rows = world
        .admin()
        .await
        .fetch_all(
            "select c.relname from pg_class c join pg_attribute a on a.attrelid = c.oid
             where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
                and a.attname = 'account_id' order by 1",
        )
        .await
        .unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

async fn as_role(world: &Database, role: &str) -> PgConnection {
    let mut conn = world.service().await;
    conn.execute(AssertSqlSafe(format!("set role {role}"))).await.unwrap();
    conn
}

/// An account with something in every table that the application can read.
async fn furnished(world: &Database) -> (quorate_core::ids::AccountId, quorate_core::pool::Pool) {
    let account = support::account(&world.db).await.id;
    let zone = support::zone(&world.db, account, "example.com").await.id;
    let pool = support::pool(&world.db, account, "eu", 1).await;
    let mut tenant = world.db.tenant(&[account]).await.unwrap();
    load_balancers::create(&mut tenant, account, Some(zone), &support::load_balancer_settings("www.example.com", pool.id)).await.unwrap();
    let member = MemberSettings {
        monitor: pool.settings.monitor.expect("it has one"),
        enabled: true,
        monitoring_only: false,
        must_be_healthy: false,
    };
    let group = MonitorGroupSettings { description: "shop".to_owned(), members: vec![member] };
    monitor_groups::create(&mut tenant, account, &group).await.unwrap();
    healthchecks::create(&mut tenant, account, zone, &crate::healthchecks::settings("shop")).await.unwrap();
    previews::create(&mut tenant, account, &MonitorSettings::default(), &[PreviewPool::of(&pool, &[])], |_| true).await.unwrap();
    tenant.commit().await.unwrap();
    let store = PgVerdicts::new(world.db.clone());
    let me = ReplicaId::random(&mut rand::rng());
    own(&store, me).await;
    flip_all(&store, me, pool.id).await;
    store.leave(me).await.unwrap();
    crate::events::tally(world).await;
    (account, pool)
}

#[tokio::test]
async fn the_application_role_without_accounts_sees_no_row_of_any_account() {
    let world = Database::new().await;
    furnished(&world).await;
    let mut app = as_role(&world, "quorate_app").await;
    let roles = app
        .fetch_one("select bool_or(rolsuper or rolbypassrls) from pg_roles where rolname in (session_user, current_user)")
        .await
        .unwrap();
    assert!(!roles.get::<bool, _>(0), "a superuser would prove nothing");
    for table in tables_with_accounts(&world).await {
        let count = format!("select count(*) from {table}");
        let all = world.number(&count).await;
        match app.fetch_one(AssertSqlSafe(count)).await {
            Ok(row) => assert_eq!(row.get::<i64, _>(0), 0, "{table}"),
            Err(problem) => {
                let code = problem.as_database_error().and_then(|problem| problem.code().map(Cow::into_owned));
                assert_eq!(code.as_deref(), Some(INSUFFICIENT_PRIVILEGE), "{table}");
                assert!(["outbox", "audit_head"].contains(&table.as_str()), "{table}");
            }
        }
        let never_filled_here = ["event_subscription", "outbox", "quorum_notice", "check_votes", "audit_head"];
        assert!(all > 0 || never_filled_here.contains(&table.as_str()), "{table} is empty, which proves nothing");
    }
    app.close().await.unwrap();
}

#[tokio::test]
async fn a_tenant_sees_and_changes_nothing_of_another_account() {
    let world = Database::new().await;
    let (_, theirs) = furnished(&world).await;
    let (mine, pool) = furnished(&world).await;
    let mut tenant = world.db.tenant(&[mine]).await.unwrap();
    assert_eq!(accounts::list(&mut tenant).await.unwrap().len(), 1);
    assert_eq!(zones::list(&mut tenant).await.unwrap().len(), 1);
    let reader = world.db.reader(&[mine]);
    let (seen, total) = events::list(&reader, &events::EventFilter::default(), 0, 100).await.unwrap();
    assert!(total > 0 && seen.iter().all(|event| event.body.pool.id == pool.id));

    let account = theirs.account_id;
    assert_eq!(accounts::find(&mut tenant, account).await.unwrap(), None);
    assert!(monitors::list(&mut tenant, account).await.unwrap().is_empty());
    assert!(monitor_groups::list(&mut tenant, account).await.unwrap().is_empty());
    assert!(pools::list(&mut tenant, account, None).await.unwrap().is_empty());
    assert_eq!(pools::find(&mut tenant, account, theirs.id).await.unwrap(), None);
    assert_eq!(pools::find(&mut tenant, mine, theirs.id).await.unwrap(), None);
    assert!(pools::read_list(&reader, account, None).await.unwrap().is_empty());
    assert_eq!(pools::read_list(&reader, mine, None).await.unwrap().len(), 1);
    for asked in [account, mine] {
        assert_eq!(pools::read(&reader, asked, theirs.id).await.unwrap(), None);
    }
    assert_eq!(pools::missing(&mut tenant, mine, &[theirs.id]).await.unwrap(), [theirs.id]);
    assert_eq!(health::of_pool(&mut tenant, account, theirs.id).await.unwrap(), None);
    for refused in [
        monitors::create(&mut tenant, account, &MonitorSettings::default()).await.map(drop),
        zones::create_in(&world.db, &mut tenant, account, "example.org", ZoneKind::Full).await.map(drop),
        pools::create(&mut tenant, account, &theirs.settings).await.map(drop),
        pools::replace(&mut tenant, account, theirs.id, &pool.settings).await.map(drop),
        pools::delete(&mut tenant, account, theirs.id).await.map(drop),
    ] {
        assert!(matches!(refused, Err(Error::MissingReference { resource: "account", .. })), "{refused:?}");
    }
    assert!(!pools::delete(&mut tenant, mine, theirs.id).await.unwrap());
    drop(tenant);

    let mut nobody = world.db.tenant(&[]).await.unwrap();
    assert!(accounts::list(&mut nobody).await.unwrap().is_empty());
    assert!(pools::list(&mut nobody, mine, None).await.unwrap().is_empty());
    let nobody = world.db.reader(&[]);
    assert!(pools::read_list(&nobody, mine, None).await.unwrap().is_empty());
    let (seen, total) = events::list(&nobody, &events::EventFilter::default(), 0, 100).await.unwrap();
    assert_eq!((seen.len(), total), (0, 0));
}

#[tokio::test]
async fn a_connection_forgets_its_accounts_with_the_transaction() {
    let world = Database::new().await;
    let account = support::account(&world.db).await.id;
    let mut app = as_role(&world, "quorate_app").await;
    // The product's own statement, not one like it.
    let statement = statements()
        .into_iter()
        .find(|statement| statement.starts_with("select set_config('quorate.accounts'"))
        .expect("every tenant runs it");
    app.execute(AssertSqlSafe(format!("prepare see as {statement}"))).await.unwrap();
    for (ending, expected) in [("select 1", 1), ("commit", 0), ("rollback", 0)] {
        app.execute(AssertSqlSafe(format!(r#"begin; execute see('{{"\\x{account}"}}', ''); {ending}"#))).await.unwrap();
        let seen: i64 = app.fetch_one("select count(*) from account").await.unwrap().get(0);
        assert_eq!(seen, expected, "after {ending}");
        app.execute("rollback").await.unwrap();
    }
}

#[tokio::test]
async fn a_read_sees_its_accounts_under_any_plan_and_leaves_nothing_behind() {
    let world = Database::new().await;
    let (_, theirs) = furnished(&world).await;
    let (mine, pool) = furnished(&world).await;
    let mut app = as_role(&world, "quorate_app").await;
    let reads: Vec<String> =
        statements().into_iter().filter(|statement| statement.contains("as accounts offset 0) as s cross join lateral")).collect();
    assert_eq!(reads.len(), 2, "a list of pools and a pool: {reads:#?}");
    let ways = ["nestloop", "hashjoin", "mergejoin", "indexscan", "bitmapscan", "seqscan", "material", "memoize", "sort"];
    for off in ways.iter().map(|way| vec![*way]).chain([
        vec![],
        vec!["nestloop", "indexscan", "bitmapscan"],
        vec!["seqscan", "hashjoin", "mergejoin"],
    ]) {
        app.execute("reset all; set role quorate_app; deallocate all; set plan_cache_mode = force_generic_plan").await.unwrap();
        for way in &off {
            app.execute(AssertSqlSafe(format!("set enable_{way} = off"))).await.unwrap();
        }
        for (number, read) in reads.iter().enumerate() {
            let by_id = read.contains("p.pool_id = $3");
            let asked = |id| if by_id { format!(r"'\x{id}'") } else { "null".to_owned() };
            app.execute(AssertSqlSafe(format!("prepare read_{number} as {read}"))).await.unwrap();
            for (reader, account, id, expected) in [
                (mine, mine, pool.id, pool.origins.len()),
                (mine, theirs.account_id, theirs.id, 0),
                (mine, mine, theirs.id, if by_id { 0 } else { pool.origins.len() }),
            ] {
                let execute = format!(r#"execute read_{number}('{{"\\x{reader}"}}', '\x{account}', {})"#, asked(id));
                let rows = app.fetch_all(AssertSqlSafe(execute)).await.unwrap();
                assert_eq!(rows.len(), expected, "{off:?} off, {read}");
                assert!(
                    rows.iter().all(|row| row.get::<Option<Vec<u8>>, _>("check_id?").is_some()),
                    "{off:?} off: a pool without its origins"
                );
            }
            let left: i64 = app.fetch_one("select count(*) from pool").await.unwrap().get(0);
            assert_eq!(left, 0, "a read left its accounts behind");
        }
    }
}

#[tokio::test]
async fn each_role_can_do_its_own_work_and_no_more() {
    let world = Database::new().await;
    let (account, _) = furnished(&world).await;
    let forbidden = [
        ("quorate_app", "select * from api_token"),
        ("quorate_app", "select secret_digest from pop"),
        ("quorate_app", "update account set monitors_max = 1000"),
        ("quorate_app", "insert into account default values"),
        ("quorate_app", "update zone set load_balancing_enabled = true"),
        ("quorate_app", "insert into zone (load_balancing_enabled) values (true)"),
        ("quorate_app", "update check_state set verdict = 1"),
        ("quorate_app", "update pool_state set state = 1"),
        ("quorate_app", "update bucket_owner set epoch = 0"),
        ("quorate_app", "delete from health_event"),
        ("quorate_app", "select * from health_event_default"),
        ("quorate_app", "select keep_event_partitions(1, 1)"),
        ("quorate_app", "update replica_member set sessions = 0"),
        ("quorate_auth", "select * from account"),
        ("quorate_auth", "update api_token set may_edit = true"),
        ("quorate_auth", "select * from pool"),
        ("quorate_control", "update health_event set body = '{}'"),
        ("quorate_control", "delete from health_event"),
        ("quorate_control", "update pool set name = 'x'"),
        ("quorate_control", "drop table health_event_default"),
        ("quorate_control", "set role quorate_owner"),
    ];
    for (role, statement) in forbidden {
        let mut conn = as_role(&world, role).await;
        conn.execute(AssertSqlSafe(format!("set quorate.accounts = '{{\"\\\\x{account}\"}}'"))).await.unwrap();
        let answer = conn.execute(statement).await;
        let code = answer.as_ref().err().and_then(|problem| problem.as_database_error()?.code().map(Cow::into_owned));
        assert!(code.as_deref() == Some(INSUFFICIENT_PRIVILEGE), "{role}: {statement}: {answer:?}");
    }
    let mut bare = world.service().await;
    for table in tables_with_accounts(&world).await {
        let answer = bare.execute(AssertSqlSafe(format!("select * from {table}"))).await;
        assert!(answer.is_err(), "the login itself has no right to {table}");
    }
}
