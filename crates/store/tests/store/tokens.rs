//! API tokens.

use jiff::{SignedDuration, Timestamp};
use quorate_core::ids::AccountId;
use quorate_store::tokens::{self, NewToken, Pepper, Permission, Scope};
use quorate_store::{Db, Error};
use sqlx::{Executor, Row};

use crate::support::{self, Database};

const PEPPER: Pepper = Pepper([7; 32]);

async fn token(db: &Db, accounts: Vec<AccountId>, expires_on: Option<Timestamp>) -> (tokens::Token, String) {
    let mut op = db.operator().await.unwrap();
    let new = NewToken { expires_on, ..NewToken::new("ci", Scope::Edit, accounts) };
    let created = tokens::create(&mut op, &PEPPER, new).await.unwrap();
    op.commit().await.unwrap();
    created
}

#[tokio::test]
async fn only_the_whole_secret_under_the_right_pepper_opens() {
    let world = Database::new().await;
    let (one, two) = (support::account(&world.db).await.id, support::account(&world.db).await.id);
    let (created, secret) = token(&world.db, vec![two, one], None).await;
    let found = tokens::authenticate(&world.db, &PEPPER, &secret).await.unwrap().expect("the secret is right");
    assert_eq!((found.id, &found.accounts, found.permissions), (created.id, &vec![two, one], Scope::Edit.into()));
    assert_eq!(tokens::authenticate(&world.db, &Pepper([8; 32]), &secret).await.unwrap(), None);
    assert_eq!(tokens::authenticate(&world.db, &PEPPER, "").await.unwrap(), None);
    let (other, _) = token(&world.db, vec![one], None).await;
    let crossed = "update api_token set secret_digest = (select secret_digest from api_token where token_id = $2) where token_id = $1";
    #[expect(clippy::disallowed_methods, reason = "the damage is the test's own, no query of the product")]
    let query = sqlx::query(crossed).bind(created.id.as_bytes().as_slice()).bind(other.id.as_bytes().as_slice());
    assert_eq!(world.admin().await.execute(query).await.unwrap().rows_affected(), 1);
    assert_eq!(tokens::authenticate(&world.db, &PEPPER, &secret).await.unwrap(), None, "the id part alone opens nothing");
}

#[tokio::test]
async fn the_secret_is_nowhere_in_the_database() {
    let world = Database::new().await;
    let account = support::account(&world.db).await.id;
    let (_, secret) = token(&world.db, vec![account], None).await;
    let stored: String = world.admin().await.fetch_one("select api_token::text from api_token").await.unwrap().get(0);
    for part in [&secret[12..55], &secret[12..20]] {
        assert!(!stored.contains(part), "{stored}");
    }
}

#[tokio::test]
async fn revoked_and_expired_tokens_are_told_with_their_dates() {
    let world = Database::new().await;
    let account = support::account(&world.db).await.id;
    let expiry = "2026-01-02T03:04:05.678901Z".parse::<Timestamp>().unwrap();
    let (created, secret) = token(&world.db, vec![account], Some(expiry)).await;
    assert_eq!(created.expires_on, Some(expiry));
    let mut op = world.db.operator().await.unwrap();
    assert!(tokens::revoke(&mut op, created.id).await.unwrap());
    assert!(!tokens::revoke(&mut op, created.id).await.unwrap());
    op.commit().await.unwrap();
    let found = tokens::authenticate(&world.db, &PEPPER, &secret).await.unwrap().expect("it is known");
    assert!(found.revoked_on.is_some() && found.expires_on == Some(expiry));
    let mut op = world.db.operator().await.unwrap();
    assert_eq!(tokens::list(&mut op).await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_last_use_is_written_at_most_once_a_minute() {
    let world = Database::new().await;
    let account = support::account(&world.db).await.id;
    let (created, secret) = token(&world.db, vec![account], None).await;
    assert_eq!(created.last_used_on, None);
    let use_it = async || tokens::authenticate(&world.db, &PEPPER, &secret).await.unwrap().expect("it is known").last_used_on.unwrap();
    let first = use_it().await;
    assert_eq!(use_it().await, first);
    world.admin().await.execute("update api_token set last_used_on = last_used_on - interval '61 seconds'").await.unwrap();
    assert!(use_it().await > first.checked_sub(SignedDuration::from_secs(1)).unwrap());
}

#[tokio::test]
async fn a_token_for_an_account_that_is_not_there_is_refused() {
    let world = Database::new().await;
    let mut op = world.db.operator().await.unwrap();
    let new = NewToken::new("ci", Scope::Read, vec![AccountId::from_bytes([5; 16])]);
    let answer = tokens::create(&mut op, &PEPPER, new).await;
    assert!(matches!(answer, Err(Error::MissingReference { resource: "account", .. })), "{answer:?}");
}

#[tokio::test]
async fn a_token_is_given_back_as_it_was_made() {
    let world = Database::new().await;
    let account = support::account(&world.db).await.id;
    let at = |text: &str| Some(text.parse::<Timestamp>().unwrap());
    let new = NewToken {
        name: "bound".to_owned(),
        permissions: [Permission::LoadBalancersEdit, Permission::AnalyticsRead].into(),
        accounts: vec![account],
        allowed_addresses: vec!["192.0.2.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
        not_before: at("2026-01-01T00:00:00Z"),
        expires_on: at("2027-01-01T00:00:00Z"),
    };
    let mut op = world.db.operator().await.unwrap();
    let (made, secret) = tokens::create(&mut op, &PEPPER, new.clone()).await.unwrap();
    op.commit().await.unwrap();
    let found = tokens::authenticate(&world.db, &PEPPER, &secret).await.unwrap().expect("the secret is right");
    assert_eq!((&found.permissions, &found.allowed_addresses), (&new.permissions, &new.allowed_addresses));
    assert_eq!((found.not_before, found.expires_on), (new.not_before, new.expires_on));
    assert_eq!((made.id, made.permissions), (found.id, found.permissions));
}

#[tokio::test]
async fn a_token_of_an_older_program_may_what_it_might_before() {
    let world = Database::new().await;
    let account = support::account(&world.db).await.id;
    let (_, edit) = token(&world.db, vec![account], None).await;
    world.admin().await.execute("update api_token set permissions = null").await.unwrap();
    let found = tokens::authenticate(&world.db, &PEPPER, &edit).await.unwrap().expect("the secret is right");
    assert_eq!(found.permissions, Scope::Admin.into());
    world.admin().await.execute("update api_token set may_edit = false").await.unwrap();
    let found = tokens::authenticate(&world.db, &PEPPER, &edit).await.unwrap().expect("the secret is right");
    assert_eq!(found.permissions, Scope::Read.into());
}

#[tokio::test]
async fn a_key_opens_with_its_address_in_whatever_case_and_with_no_other() {
    let world = Database::new().await;
    let account = support::account(&world.db).await.id;
    let mut op = world.db.operator().await.unwrap();
    let new = NewToken::new("old client", Scope::Edit, vec![account]);
    let (made, key) = tokens::create_key(&mut op, &PEPPER, "Ops@example.com", new).await.unwrap();
    op.commit().await.unwrap();
    for (email, opens) in [("Ops@example.com", true), ("ops@EXAMPLE.com", true), ("other@example.com", false), ("", false)] {
        let found = tokens::authenticate_key(&world.db, &PEPPER, email, &key).await.unwrap();
        assert_eq!(found.map(|token| token.id), opens.then_some(made.id), "{email}");
    }
    assert_eq!(tokens::authenticate(&world.db, &PEPPER, &key).await.unwrap(), None, "a key is no token");
    let hidden: i64 = world.number(&format!("select count(*) from api_token as t where t::text like '%{key}%'")).await;
    assert_eq!(hidden, 0, "the key itself is nowhere");
}
