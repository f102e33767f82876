//! The audit log: rows that the program can add and not change, in chains that show who did.

use std::borrow::Cow;

use quorate_core::ids::AccountId;
use quorate_core::monitor::MonitorSettings;
use quorate_core::region::Region;
use quorate_store::audit::{self, Action, Actor, Filter, Held, SignedHead, Signing, SigningKey, Verified};
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
        for statement in [
            "update audit_log set actor_name = 'nobody'",
            "delete from audit_log",
            "truncate audit_log",
            "update audit_head set signed_on = now()",
            "delete from audit_head",
        ] {
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

fn key() -> SigningKey {
    SigningKey::of(&Pepper([7; 32]))
}

/// Signs everything that is due, as the control plane does.
async fn sign_all(db: &Db) -> Vec<Signing> {
    let mut op = db.operator().await.unwrap();
    let mut done = Vec::new();
    for account in audit::due(&mut op).await.unwrap() {
        done.push(audit::sign(&mut op, &key(), account).await.unwrap());
    }
    op.commit().await.unwrap();
    done
}

async fn held(db: &Db, account: AccountId, kept: &[SignedHead]) -> Held {
    let mut op = db.operator().await.unwrap();
    audit::hold(&mut op, &key(), account, kept).await.unwrap()
}

#[tokio::test]
async fn a_chain_is_signed_once_a_day_if_it_has_grown() {
    let world = Database::new().await;
    let account = account_with_a_chain(&world.db).await;
    let [Signing::Signed(first)] = &sign_all(&world.db).await[..] else { panic!("one chain has rows") };
    assert_eq!((first.account_id, first.head.seq), (account, 4));
    support::monitor(&world.db, account).await;
    assert_eq!(sign_all(&world.db).await, [], "not twice a day");
    let a_day_passes = "update audit_head set signed_on = signed_on - interval '1 day'";
    world.admin().await.execute(a_day_passes).await.unwrap();
    let signed = sign_all(&world.db).await;
    assert!(matches!(&signed[..], [Signing::Signed(second)] if second.head.seq == 5), "{signed:?}");
    world.admin().await.execute(a_day_passes).await.unwrap();
    assert_eq!(sign_all(&world.db).await, [], "nor what has not grown");
    let mut op = world.db.operator().await.unwrap();
    assert_eq!(audit::sign(&mut op, &key(), account).await.unwrap(), Signing::Elsewhere, "nor by who comes second");
}

#[tokio::test]
async fn what_was_signed_and_is_not_there_any_more_is_found() {
    // Expected: what the signer and what the holder of the heads says.
    for (damage, by_signer, by_holder) in [
        // A chain that only lost what nobody signed is as if it had never had it.
        ("delete from audit_log where seq = 5", None, None),
        ("delete from audit_log where seq >= 4", Some(4), Some((4, "it is missing, and a signed head tells of it"))),
        ("update audit_log set object_name = 'harmless' where seq = 5", Some(5), None),
        (
            "update audit_log set hash = sha256(hash) where seq = 4; update audit_log set previous = sha256(previous) where seq = 5",
            Some(5),
            Some((4, "it is not the row that was signed")),
        ),
        ("update audit_head set hash = sha256(hash)", Some(5), Some((4, "the signature of its head is not ours"))),
    ] {
        let world = Database::new().await;
        let account = account_with_a_chain(&world.db).await;
        assert_eq!(sign_all(&world.db).await.len(), 1);
        support::monitor(&world.db, account).await;
        let mut admin = world.admin().await;
        let before = held(&world.db, account, &[]).await;
        assert_eq!((before.heads, before.broken), (1, None));
        for statement in damage.split(';') {
            admin.execute(statement).await.unwrap();
        }
        let found = held(&world.db, account, &[]).await;
        assert_eq!(found.broken, by_holder, "{damage}");
        // The signer does not look again today.
        admin.execute("update audit_head set signed_on = signed_on - interval '2 days'").await.unwrap();
        let signed = sign_all(&world.db).await;
        let broken = signed.iter().find_map(|signing| match signing {
            Signing::Broken { seq, .. } => Some(*seq),
            Signing::Signed(_) | Signing::Elsewhere => None,
        });
        assert_eq!(broken, by_signer, "{damage}: {signed:?}");
    }
}

#[tokio::test]
async fn a_head_that_was_kept_elsewhere_outlives_those_of_the_database() {
    let world = Database::new().await;
    let account = account_with_a_chain(&world.db).await;
    let [Signing::Signed(kept)] = <[Signing; 1]>::try_from(sign_all(&world.db).await).expect("one chain") else { panic!("it is whole") };
    let kept = [kept];
    let fine = held(&world.db, account, &kept).await;
    assert_eq!((fine.heads, fine.last_signed_on, fine.broken), (2, Some(kept[0].signed_on), None));
    for statement in ["delete from audit_log where seq = 4", "delete from audit_head"] {
        world.admin().await.execute(statement).await.unwrap();
    }
    assert!(matches!(verified(&world.db, account).await, Verified::Whole(_)));
    assert_eq!(held(&world.db, account, &[]).await, Held::default());
    assert_eq!(held(&world.db, account, &kept).await.broken, Some((4, "it is missing, and a signed head tells of it")));

    // After a new pepper the old signatures say nothing, neither good nor bad.
    let mut op = world.db.operator().await.unwrap();
    let other = audit::hold(&mut op, &SigningKey::of(&Pepper([8; 32])), account, &kept).await.unwrap();
    assert_eq!(other, Held { of_other_keys: 1, ..Held::default() });
}
