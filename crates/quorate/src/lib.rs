//! The one binary: configuration, wiring, start and stop. All roles and all commands are in here; `main` only calls
//! [`cli::run`].

pub mod config;
pub mod demo;
pub mod failure;
pub mod lifecycle;
pub mod secrets;
pub mod telemetry;
