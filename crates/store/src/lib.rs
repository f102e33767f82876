//! Every line of SQL. Plain functions over sqlx; only the verdict path stands behind a trait,
//! because it has two implementations: Postgres and an in-memory twin, held to one contract suite.

pub mod accounts;
pub mod audit;
mod buckets;
pub mod db;
pub mod error;
pub mod events;
mod generations;
pub mod header_secrets;
pub mod health;
pub mod healthchecks;
pub mod listen;
pub mod load_balancers;
pub mod monitor_groups;
pub mod monitors;
pub mod pools;
pub mod previews;
pub mod reader;
pub mod references;
mod row;
pub mod schema;
pub mod tokens;
pub mod verdicts;
pub mod worker_tokens;
pub mod zones;

pub use db::{Db, Operator, Tenant};
pub use error::Error;
pub use reader::Reader;
