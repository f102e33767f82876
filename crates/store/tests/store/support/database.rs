//! A database of one test, made anew and dropped with it.

use std::str::FromStr;

use quorate_store::{Db, schema};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection};

pub(crate) struct Database {
    server: PgConnectOptions,
    name: String,
    pub(crate) db: Db,
}

impl Database {
    /// A migrated database and the connections of a process to it.
    pub(crate) async fn new() -> Self {
        let (server, name) = Self::empty().await;
        let url = server.clone().database(&name).to_url_lossy();
        schema::migrate(url.as_str(), None).await.unwrap();
        let db = Db::connect(&schema::service_url(url.as_str(), None).unwrap()).await.unwrap();
        Self { server, name, db }
    }

    /// The server and the name of a new database without a schema.
    pub(crate) async fn empty() -> (PgConnectOptions, String) {
        let url = std::env::var("DATABASE_URL").expect("DATABASE_URL names a server to make databases on; `cargo xtask test` sets it");
        let server = PgConnectOptions::from_str(&url).unwrap();
        let name = format!("quorate_test_{:032x}", rand::random::<u128>());
        let mut conn = server.connect().await.unwrap();
        conn.execute(AssertSqlSafe(format!("create database {name}"))).await.unwrap();
        conn.close().await.unwrap();
        (server, name)
    }

    /// How an administrator reaches the database.
    pub(crate) fn admin_options(&self) -> PgConnectOptions {
        self.server.clone().database(&self.name)
    }

    pub(crate) fn admin_url(&self) -> String {
        self.admin_options().to_url_lossy().to_string()
    }

    pub(crate) async fn admin(&self) -> PgConnection {
        self.admin_options().connect().await.unwrap()
    }

    /// A connection of the login role, as a process has it before it takes on a role.
    pub(crate) async fn service(&self) -> PgConnection {
        self.admin_options().username(schema::SERVICE_LOGIN).connect().await.unwrap()
    }

    /// Adds the first column of a query's rows, as an administrator.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        use sqlx::Row;
        self.admin().await.fetch_one(AssertSqlSafe(sql.to_owned())).await.unwrap().get(0)
    }
}

/// Drops a database, also where a test fails.
pub(crate) fn drop_database(server: PgConnectOptions, name: String) {
    let work = async move {
        let mut conn = server.connect().await?;
        conn.execute(AssertSqlSafe(format!("drop database if exists {name} with (force)"))).await?;
        conn.close().await
    };
    let dropped = std::thread::spawn(|| tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)).join();
    if !matches!(dropped, Ok(Ok(()))) {
        eprintln!("a test database is left behind: {dropped:?}");
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        drop_database(self.server.clone(), std::mem::take(&mut self.name));
    }
}
