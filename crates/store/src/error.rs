//! What can go wrong in the store, named for what the caller can do about it.

use std::fmt;

use quorate_core::ids::MonitorId;

/// Something that names the object about to be deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referrer {
    /// `load_balancer`, `pool`, `monitor_group`.
    pub resource_type: &'static str,
    pub name: String,
    pub id: String,
    /// `region_pools.WNAM`, `monitor`.
    pub place: String,
}

impl fmt::Display for Referrer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} ({}) in {}", self.resource_type, self.name, self.id, self.place)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The account already has as many as it may.
    #[error("this account may have at most {limit} {resource}, and has {count}")]
    QuotaExceeded { resource: &'static str, limit: u32, count: u32 },
    /// `field` must be unique.
    #[error("value not unique: {field}")]
    NotUnique { field: &'static str },
    /// The name of a zone that another account has, or that lies within one of its zones, or contains one.
    #[error("{name:?} is, lies within or contains a zone of another account")]
    TakenElsewhere { name: String },
    /// Others still name the object.
    #[error("referenced by other objects: {}", .referrers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    Referenced { referrers: Vec<Referrer> },
    /// A body names an object that the account does not have.
    #[error("{resource} {id} does not exist")]
    MissingReference { resource: &'static str, id: String },
    /// The header is secret, and this process has no key to seal it with.
    #[error("header {name:?} is secret and there is no header key to seal it with")]
    NoHeaderKey { name: String },
    /// Members of a monitor group, by index, name monitors that the account does not have.
    #[error("monitors do not exist: {}", .missing.iter().map(|(_, id)| id.to_string()).collect::<Vec<_>>().join(", "))]
    MissingMembers { missing: Vec<(usize, MonitorId)> },
    /// A row that cannot be.
    #[error("row {row} of {table} is not valid: {problem}")]
    Corrupt { table: &'static str, row: String, problem: String },
    /// The schema is newer than this program, or not there.
    #[error("{0}")]
    Schema(String),
    #[error("the database refused")]
    Database(#[from] sqlx::Error),
    #[error("the migration failed")]
    Migrate(#[from] sqlx::migrate::MigrateError),
}

impl Error {
    /// Whether any other question would have failed as well: the database is away, or refuses everybody.
    pub fn is_outage(&self) -> bool {
        match self {
            // 08: the connection; 53: no resources left; 57P: the server stops or starts.
            Self::Database(sqlx::Error::Database(answer)) => {
                answer.code().is_some_and(|code| ["08", "53", "57P"].iter().any(|class| code.starts_with(class)))
            }
            Self::Database(problem) => !matches!(problem, sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_)),
            _ => false,
        }
    }
}

/// Gives the violation of a named constraint its meaning; everything else stays as it is.
pub(crate) fn on_constraint(problem: sqlx::Error, constraint: &str, meaning: impl FnOnce() -> Error) -> Error {
    match &problem {
        sqlx::Error::Database(violation) if violation.constraint() == Some(constraint) => meaning(),
        _ => problem.into(),
    }
}
