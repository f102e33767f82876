//! The control plane through its public door: real gRPC over loopback, scripted workers, and a store
//! in memory that can fail; one story over a real Postgres.

#![expect(clippy::unwrap_used, reason = "a step that fails ends its test")]

mod faults;
mod identity;
mod loading;
mod manifests;
mod postgres;
mod previews;
mod quorum;
mod takeover;
mod worker;
mod world;
