//! The control plane: takes the votes of workers, decides by quorum, and publishes what changed.
//!
//! A replica owns buckets and decides them alone; others stand by. Votes live in memory, verdicts in
//! the store. Read [`control`](Control) for the parts, `bucket` and `ingest` for where votes go, `decide`
//! for what they decide, and `evaluate` for when.

mod audit_heads;
mod bucket;
mod control;
mod decide;
mod describe;
mod error;
mod evaluate;
mod flip_watch;
mod follow;
mod gap_watch;
mod gateway;
mod identity;
mod incoming;
mod ingest;
mod manifests;
mod members;
mod one_off;
mod ownership;
mod plan;
mod presence;
mod previews;
mod probed;
mod quorum_watch;
mod reconcile;
mod registry;
mod retain;
#[cfg(test)]
mod sample;
mod session;
mod sessions;
mod shared;
mod tasks;
mod votes_behind;
mod wake;

pub use control::{Control, ControlConfig};
pub use error::Error;
pub use incoming::ServerTls;
pub use registry::{PgRegistry, Registry};
