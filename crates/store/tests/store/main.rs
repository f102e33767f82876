//! The store against a real Postgres: `DATABASE_URL` names a server on which this process may make
//! databases and roles (`cargo xtask test` starts a throw-away one).

#![expect(clippy::unwrap_used, reason = "a step that fails ends its test")]

mod accounts;
mod audit;
mod events;
mod header_secrets;
mod healthchecks;
mod isolation;
mod load_balancers;
mod monitor_groups;
mod monitors;
mod pools;
mod schema;
mod schema_rules;
mod statement_rules;
mod support;
mod tokens;
mod verdicts;
mod worker_tokens;
