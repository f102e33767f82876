//! Migration and the refusal of what does not fit.

use quorate_store::{Db, Error, schema};
use sqlx::{ConnectOptions, Executor};

use crate::support::Database;
use crate::support::database::drop_database;

fn schema_problem<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result {
        Err(Error::Schema(problem)) => problem,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn migrating_again_changes_nothing() {
    let world = Database::new().await;
    schema::migrate(&world.admin_url(), None).await.unwrap();
    assert_eq!(world.number("select count(*) from bucket_owner").await, 1_024);
}

#[tokio::test]
async fn a_newer_schema_is_refused_with_what_to_do() {
    let world = Database::new().await;
    world
        .admin()
        .await
        .execute(
            "insert into _sqlx_migrations (version, description, success, checksum, execution_time) values (20990101000000, 'later', true, '', 0)",
        )
        .await
        .unwrap();
    let service = schema::service_url(&world.admin_url(), None).unwrap();
    for problem in [schema_problem(Db::connect(&service).await), schema_problem(schema::migrate(&world.admin_url(), None).await)] {
        assert!(problem.contains("newer than this program"), "{problem}");
    }
}

#[tokio::test]
async fn a_missing_or_older_schema_is_refused_with_what_to_do() {
    let world = Database::new().await;
    world.admin().await.execute("delete from _sqlx_migrations where version = (select max(version) from _sqlx_migrations)").await.unwrap();
    let service = schema::service_url(&world.admin_url(), None).unwrap();
    assert!(schema_problem(Db::connect(&service).await).contains("run `quorate migrate`"));

    let (server, name) = Database::empty().await;
    let url = server.clone().database(&name).username(schema::SERVICE_LOGIN).to_url_lossy();
    let problem = schema_problem(Db::connect(url.as_str()).await);
    drop_database(server, name);
    assert!(problem.contains("run `quorate migrate`"), "{problem}");
}

#[tokio::test]
async fn a_login_that_stands_above_row_level_security_is_refused() {
    let world = Database::new().await;
    let problem = schema_problem(Db::connect(&world.admin_url()).await);
    assert!(problem.contains("connect as quorate_service"), "{problem}");
}

#[tokio::test]
async fn the_service_login_gets_its_password() {
    let world = Database::new().await;
    let url = schema::service_url("postgres://admin:secret@db.example.com:6543/quorate", Some("it's")).unwrap();
    assert!(url.starts_with("postgres://quorate_service:it%27s@db.example.com:6543/quorate"), "{url}");
    schema::migrate(&world.admin_url(), Some("it's \"odd\" \\")).await.unwrap();
    let stored = world.number("select count(*) from pg_authid where rolname = 'quorate_service' and rolpassword is not null").await;
    assert_eq!(stored, 1);
}
