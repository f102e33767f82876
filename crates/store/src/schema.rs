//! The schema: roles and migrations. Needs an administrator's URL; nothing else does.
//!
//! Roles: `quorate_owner` owns the tables and cannot log in; `quorate_app`, `quorate_auth` and
//! `quorate_control` are what a process becomes after it has logged in as `quorate_service`, which
//! itself has no right at all. None is a superuser.

use std::str::FromStr;

use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection, Row};

use crate::error::Error;

/// The login role of every process.
pub const SERVICE_LOGIN: &str = "quorate_service";

static MIGRATOR: Migrator = sqlx::migrate!("../../migrations");

const ROLES: &str = include_str!("../roles.sql");

const UNDEFINED_TABLE: &str = "42P01";

/// Creates the roles where they are missing and runs the migrations. With `service_password` the
/// login role `quorate_service` gets it. `Error::Schema` where the schema is newer than this program.
pub async fn migrate(admin_url: &str, service_password: Option<&str>) -> Result<(), Error> {
    let mut conn = PgConnectOptions::from_str(admin_url)?.application_name("quorate migrate").connect().await?;
    conn.execute(ROLES).await?;
    if let Some(password) = service_password {
        let change = sqlx::query_scalar!(r#"select format('alter role quorate_service password %L', $1::text) as "sql!""#, password)
            .fetch_one(&mut conn)
            .await?;
        conn.execute(AssertSqlSafe(change)).await?;
    }
    if applied(&mut conn).await?.iter().any(|version| Some(version) > newest().as_ref()) {
        return Err(newer());
    }
    conn.execute("set role quorate_owner").await?;
    MIGRATOR.run(&mut conn).await?;
    conn.execute("grant select on _sqlx_migrations to quorate_app, quorate_auth, quorate_control, quorate_service").await?;
    conn.close().await?;
    Ok(())
}

/// The same database as `admin_url` names, for the login role.
pub fn service_url(admin_url: &str, service_password: Option<&str>) -> Result<String, Error> {
    let mut options = PgConnectOptions::from_str(admin_url)?.username(SERVICE_LOGIN);
    if let Some(password) = service_password {
        options = options.password(password);
    }
    Ok(options.to_url_lossy().to_string())
}

/// Refuses a schema that is missing, older or newer, and a login that could step around row-level security.
pub(crate) async fn check(options: &PgConnectOptions) -> Result<(), Error> {
    let mut conn = options.clone().application_name("quorate").connect().await?;
    let applied = applied(&mut conn).await?;
    let newest = newest();
    if applied.iter().any(|version| Some(version) > newest.as_ref()) {
        return Err(newer());
    }
    if !MIGRATOR.iter().all(|migration| applied.contains(&migration.version)) {
        return Err(Error::Schema("the schema is missing or older than this program: run `quorate migrate`".to_owned()));
    }
    let is_owner =
        sqlx::query_scalar!(r#"select pg_has_role(session_user, 'quorate_owner', 'member') as "is_owner!""#).fetch_one(&mut conn).await?;
    if is_owner {
        return Err(Error::Schema(format!(
            "the login {:?} is a superuser or owns the schema, so that accounts would not be kept apart: connect as {SERVICE_LOGIN}",
            options.get_username()
        )));
    }
    conn.close().await?;
    Ok(())
}

fn newest() -> Option<i64> {
    MIGRATOR.iter().map(|migration| migration.version).max()
}

fn newer() -> Error {
    Error::Schema("the schema is newer than this program: use the version of the program that made it, or a later one".to_owned())
}

/// Versions of the migrations that the database has; none where it has no schema. The table is the
/// migrator's, not ours, so no checked query can name it.
async fn applied(conn: &mut PgConnection) -> Result<Vec<i64>, Error> {
    match conn.fetch_all("select version from _sqlx_migrations where success").await {
        Ok(rows) => rows.iter().map(|row| Ok(row.try_get(0)?)).collect(),
        Err(sqlx::Error::Database(problem)) if problem.code().as_deref() == Some(UNDEFINED_TABLE) => Ok(Vec::new()),
        Err(problem) => Err(problem.into()),
    }
}
