//! The audit log: rows that the program can add and not change, in chains that show who did.

use std::borrow::Cow;

use quorate_core::ids::AccountId;
use quorate_core::monitor::MonitorSettings;
use quorate_core::region::Region;
use quorate_store::audit::{self, Action, Actor, Filter, Verified};
use quorate_store::tokens::Pepper;
use quorate_store::worker_tokens::{self, NewPop};
use quorate_store::{Db, Error, monitors};
use sqlx::{AssertSqlSafe, Executor};

use crate::support::{self, Database};

const INSUFFICIENT_PRIVILEGE: &str = "42501";

/// An account whose chain has four rows: its creation and three monitors.
async fn account_with_a_chain(db: &Db) -> AccountId {
    let account = support::account(db).await.id;
    for _ in 0..3 {
        support::monitor(db, account).await;
    }
    account
}

async fn verified(db: &Db, account: AccountId) -> Verified {
    let mut op = db.operator().await.unwrap();
    audit::verify(&mut op, account).await.unwrap()
}

#[tokio::test]
async fn no_role_of_the_program_can_change_or_remove_a_row() {
    let world = Database::new().await;
    account_with_a_chain(&world.db).await;
    for role in ["quorate_app", "quorate_auth", "quorate_control"] {
        let mut conn = world.service().await;
        conn.execute(AssertSqlSafe(format!("set role {role}"))).await.unwrap();
        for statement in ["update audit_log set actor_name = 'nobody'", "delete from audit_log", "truncate audit_log"] {
            let refused = conn.execute(statement).await.unwrap_err();
            let code = refused.as_database_error().and_then(|problem| problem.code().map(Cow::into_owned));
            assert_eq!(code.as_deref(), Some(INSUFFICIENT_PRIVILEGE), "{role}: {statement}");
        }
    }
}

#[tokio::test]
async fn a_row_that_was_changed_or_removed_by_other_means_is_found() {
    let untouched = "select";
    // Expected: the row and what is wrong with it.
    for (damage, expected) in [
        (untouched, None),
        ("update audit_log set object_name = 'harmless' where seq = 3", Some((3, "it was changed"))),
        ("update audit_log set occurred_at = occurred_at + interval '1 microsecond' where seq = 1", Some((1, "it was changed"))),
        ("update audit_log set before_digest = after_digest, action = 'update' where seq = 2", Some((2, "it was changed"))),
        ("update audit_log set changed = changed[2:] where seq = 4", Some((4, "it was changed"))),
        ("delete from audit_log where seq = 2", Some((2, "it is missing"))),
        ("delete from audit_log where seq = 1", Some((1, "it is missing"))),
        (
            "delete from audit_log where seq = 2; update audit_log set seq = seq - 1 where seq > 2",
            Some((2, "it does not follow the row before it")),
        ),
        ("update audit_log set address = 'nowhere', actor_kind = 'token', actor_id = 'x' where seq = 2", Some((2, "it is not legible"))),
    ] {
        let world = Database::new().await;
        let account = account_with_a_chain(&world.db).await;
        for statement in damage.split(';') {
            let done = world.admin().await.execute(statement).await.unwrap();
            assert!(damage == untouched || done.rows_affected() > 0, "{damage}");
        }
        match (verified(&world.db, account).await, expected) {
            (Verified::Whole(head), None) => assert_eq!(head.seq, 4),
            (Verified::Broken { seq, problem }, Some(expected)) => assert_eq!((seq, problem), expected, "{damage}"),
            (found, expected) => panic!("{damage}: {found:?} instead of {expected:?}"),
        }
    }
}

#[tokio::test]
async fn a_chain_that_lost_its_end_does_not_lead_to_the_head_that_was_noted() {
    let world = Database::new().await;
    let account = account_with_a_chain(&world.db).await;
    let Verified::Whole(noted) = verified(&world.db, account).await else { panic!("the chain is whole") };
    world.admin().await.execute("delete from audit_log where seq = 4").await.unwrap();
    let Verified::Whole(found) = verified(&world.db, account).await else { panic!("what is left is a chain") };
    assert_eq!((noted.seq, found.seq), (4, 3));
    assert_ne!(noted.hash, found.hash);
}

#[tokio::test]
async fn a_change_that_is_rolled_back_leaves_no_row() {
    let world = Database::new().await;
    let account = support::account(&world.db).await.id;
    let mut tenant = world.db.tenant(&[account]).await.unwrap();
    monitors::create(&mut tenant, account, &MonitorSettings::default()).await.unwrap();
    let (seen, _) = audit::list(&mut tenant, account, &Filter::default(), 0, 10).await.unwrap();
    assert_eq!(seen.len(), 2, "in the transaction of the change");
    drop(tenant);
    let mut tenant = world.db.tenant(&[account]).await.unwrap();
    let (kept, total) = audit::list(&mut tenant, account, &Filter::default(), 0, 10).await.unwrap();
    assert_eq!((kept.len(), total, kept[0].object_kind.as_str()), (1, 1, "account"));
}

#[tokio::test]
async fn changes_of_one_account_at_once_are_one_chain() {
    let world = Database::new().await;
    let account = support::account(&world.db).await.id;
    let changes = (0..20).map(|_| {
        let db = world.db.clone();
        async move {
            let mut tenant = db.tenant(&[account]).await?;
            monitors::create(&mut tenant, account, &MonitorSettings::default()).await?;
            tenant.commit().await
        }
    });
    let done: Vec<Result<(), Error>> = futures_util::future::join_all(changes).await;
    assert!(done.iter().all(Result::is_ok), "{done:?}");
    let found = verified(&world.db, account).await;
    assert!(matches!(found, Verified::Whole(head) if head.seq == 21), "{found:?}");
}

#[tokio::test]
async fn what_belongs_to_no_account_is_written_down_for_the_installation() {
    let world = Database::new().await;
    let account = support::account(&world.db).await.id;
    let pop = |city: &str| NewPop { code: "lhr".parse().unwrap(), region: Region::Weu, city: city.to_owned(), country: "GB".to_owned() };
    let mut op = world.db.operator().await.unwrap();
    worker_tokens::create(&mut op, &Pepper([7; 32]), pop("London")).await.unwrap();
    worker_tokens::create(&mut op, &Pepper([7; 32]), pop("London")).await.unwrap();
    assert!(worker_tokens::revoke(&mut op, &"lhr".parse().unwrap()).await.unwrap());
    op.commit().await.unwrap();
    let mut op = world.db.operator().await.unwrap();
    let (rows, total) = audit::list_all(&mut op, audit::INSTALLATION, &Filter::default(), 0, 10).await.unwrap();
    let told: Vec<(Action, &str, Vec<&str>)> =
        rows.iter().map(|row| (row.action, row.object_name.as_str(), row.changed.iter().map(String::as_str).collect())).collect();
    assert_eq!(total, 3);
    assert_eq!(told[..2], [(Action::Update, "lhr", vec!["revoked_on"]), (Action::Update, "lhr", vec!["secret_digest"])]);
    assert_eq!((told[2].0, &rows[0].actor), (Action::Create, &Actor::Operator));
    assert!(matches!(verified(&world.db, audit::INSTALLATION).await, Verified::Whole(head) if head.seq == 3));
    assert!(matches!(verified(&world.db, account).await, Verified::Whole(head) if head.seq == 1));
}
