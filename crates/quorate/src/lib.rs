//! The one binary: configuration, wiring, start and stop. All roles and all commands are in here; `main` only calls
//! [`cli::run`].

pub mod admin;
mod assemble;
pub mod cli;
pub mod config;
pub mod control_role;
pub mod demo;
pub mod demo_commands;
pub mod env_file;
pub mod failure;
pub mod init;
pub mod lifecycle;
pub mod output;
pub mod pops;
pub mod provision;
pub mod ready_command;
pub mod secrets;
pub mod telemetry;
pub mod up;
pub mod worker_role;
