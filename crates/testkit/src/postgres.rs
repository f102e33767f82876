//! A database for each story, on the server of `DATABASE_URL`: a copy of one that was migrated once.
//!
//! Who holds a story's database shows in the server itself: its test keeps a session with an advisory
//! lock on the name. So the next story can drop what dead ones left, and nothing else.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use quorate_pg::{Binaries, Server, folder};
use rand::Rng;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Row, raw_sql};
use url::Url;

/// The login role of the product, with the password that the stories give it.
const SERVICE_ROLE: &str = "quorate_service";
const SERVICE_PASSWORD: &str = "stories";
/// Taken while the template is looked for and made; any number that nobody else takes.
const TEMPLATE_LOCK: i64 = 0x51_756f_7261_7465;

/// A database of one story.
#[derive(Debug)]
pub struct Database {
    /// As the administrator: only for looking behind the scenes, and for `migrate`.
    pub admin_url: String,
    /// As the product's own login role.
    pub service_url: String,
    /// Holds the advisory lock.
    _held: PgConnection,
    /// Where `DATABASE_URL` names no server: one that goes with the story.
    _server: Option<Server>,
}

impl Database {
    /// A fresh copy of the migrated one.
    ///
    /// # Panics
    /// Where neither `DATABASE_URL` names a server nor the programs of Postgres are found.
    pub async fn create() -> Self {
        let (url, server) = server().await;
        let mut admin = connect(url.as_str()).await;
        let template = template(&mut admin, &url).await;
        drop_abandoned(&mut admin).await;
        Self::make(admin, &url, server, &format!(" template {template}")).await
    }

    /// An empty one, for what migrates itself.
    pub async fn create_empty() -> Self {
        let (url, server) = server().await;
        let admin = connect(url.as_str()).await;
        Self::make(admin, &url, server, "").await
    }

    async fn make(mut admin: PgConnection, server_url: &Url, server: Option<Server>, how: &str) -> Self {
        let name = format!("quorate_story_{}", random_hex());
        run(&mut admin, format!("select pg_advisory_lock(hashtextextended('{name}', 0))")).await;
        run(&mut admin, format!("create database {name}{how}")).await;
        Self { admin_url: at(server_url, &name).into(), service_url: as_service(server_url, &name).into(), _held: admin, _server: server }
    }

    /// A session as the administrator.
    pub async fn admin(&self) -> PgConnection {
        connect(&self.admin_url).await
    }

    /// A session as the product's login role.
    pub async fn service(&self) -> PgConnection {
        connect(&self.service_url).await
    }
}

/// The first column of the first row of a statement that a story wrote.
///
/// # Panics
/// Without a row, or with another type.
pub async fn scalar<T>(session: &mut PgConnection, statement: &'static str) -> T
where
    T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    let row = sqlx::Executor::fetch_one(session, raw_sql(statement)).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    row.get(0)
}

/// The server of `DATABASE_URL`, which `cargo xtask test` sets, or one of our own.
async fn server() -> (Url, Option<Server>) {
    let (text, server) = if let Ok(text) = std::env::var("DATABASE_URL") {
        (text, None)
    } else {
        let found = Binaries::find(None, folder::default_programs().as_deref()).expect("QUORATE_PG_BIN names the programs of Postgres");
        let binaries = found.expect("neither DATABASE_URL nor Postgres is there: run the stories by `cargo xtask test`");
        let server = Server::throw_away(&binaries).await.expect("a throw-away Postgres starts");
        (server.admin_url("postgres"), Some(server))
    };
    (text.parse().expect("DATABASE_URL is a URL"), server)
}

async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.unwrap_or_else(|error| panic!("{url}: {error}"))
}

fn at(server: &Url, database: &str) -> Url {
    let mut url = server.clone();
    url.set_path(database);
    url
}

fn as_service(server: &Url, database: &str) -> Url {
    let mut url = at(server, database);
    url.set_username(SERVICE_ROLE).expect("a postgres URL has a user");
    url.set_password(Some(SERVICE_PASSWORD)).expect("a postgres URL has a password");
    url
}

/// The migrated database that all others are copies of, made by whoever comes first. Its name follows
/// from the migrations, so a changed one makes another.
async fn template(admin: &mut PgConnection, server: &Url) -> String {
    let name = format!("quorate_template_{:016x}", migrations_hash());
    run(admin, format!("select pg_advisory_lock({TEMPLATE_LOCK})")).await;
    let found =
        sqlx::Executor::fetch_optional(&mut *admin, raw_sql(AssertSqlSafe(format!("select 1 from pg_database where datname = '{name}'"))));
    if found.await.expect("the server answers").is_none() {
        let building = format!("{name}_building");
        run(admin, format!("drop database if exists {building} with (force)")).await;
        run(admin, format!("create database {building}")).await;
        quorate_store::schema::migrate(at(server, &building).as_str(), Some(SERVICE_PASSWORD)).await.expect("the migrations run");
        run(admin, format!("alter database {building} rename to {name}")).await;
    }
    run(admin, format!("select pg_advisory_unlock({TEMPLATE_LOCK})")).await;
    name
}

/// Drops the databases of stories whose tests are gone.
async fn drop_abandoned(admin: &mut PgConnection) {
    let names = raw_sql("select datname::text from pg_database where datname like 'quorate\\_story\\_%'");
    for row in sqlx::Executor::fetch_all(&mut *admin, names).await.expect("the server answers") {
        let name: String = row.get(0);
        let lock = raw_sql(AssertSqlSafe(format!("select pg_try_advisory_lock(hashtextextended('{name}', 0))")));
        let free: bool = sqlx::Executor::fetch_one(&mut *admin, lock).await.expect("the server answers").get(0);
        if free {
            run(admin, format!("drop database if exists {name} with (force)")).await;
            run(admin, format!("select pg_advisory_unlock(hashtextextended('{name}', 0))")).await;
        }
    }
}

async fn run(session: &mut PgConnection, statement: String) {
    sqlx::Executor::execute(session, raw_sql(AssertSqlSafe(statement.clone())))
        .await
        .unwrap_or_else(|error| panic!("{statement}: {error}"));
}

/// Over names and contents of `migrations/`, in order.
fn migrations_hash() -> u64 {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations");
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .expect("the workspace has migrations")
        .map(|entry| entry.expect("a folder can be listed").path())
        .collect();
    files.sort();
    let mut hasher = DefaultHasher::new();
    for file in files {
        file.file_name().hash(&mut hasher);
        std::fs::read(&file).expect("a migration can be read").hash(&mut hasher);
    }
    hasher.finish()
}

/// 16 hexadecimal digits.
pub(crate) fn random_hex() -> String {
    let mut text = String::new();
    write!(text, "{:016x}", rand::rng().next_u64()).expect("a string takes text");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_story_has_a_database_and_what_dead_ones_left_goes() {
        let first = Database::create().await;
        let second = Database::create().await;
        assert_ne!(first.admin_url, second.admin_url);
        // The service's login works on both, and the schema is there.
        for database in [&first, &second] {
            let mut session = database.service().await;
            let buckets: String = scalar(&mut session, "select current_user::text").await;
            assert_eq!(buckets, SERVICE_ROLE);
            let rows: i64 = scalar(&mut database.admin().await, "select count(*) from account").await;
            assert_eq!(rows, 0);
        }
        let abandoned = first.admin_url.clone();
        drop(first);
        // A session ends a moment after its socket; until then the next story leaves its database alone.
        let claim = "the abandoned database is gone";
        let gone = async || {
            let _next = Database::create().await;
            if PgConnection::connect(&abandoned).await.is_err() { Ok(()) } else { Err("still there".to_owned()) }
        };
        crate::until::until(claim, std::time::Duration::from_secs(20), gone).await;
        second.admin().await;
    }
}
