//! Stories across the whole: real processes of every role, real sockets, a real database. They act
//! and look through public doors: REST, the command line, sockets, `/metrics`.

mod address_policy;
mod configuration;
mod default_timings;
mod envelope;
mod evidence;
mod failover;
mod healthchecks;
mod isolation;
mod monitor_groups;
mod one_command;
mod previews;
mod quorum;
mod restart;
mod secret_headers;
mod workers;
