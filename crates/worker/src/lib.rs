//! The worker of a PoP: takes manifests, probes, reports.
//!
//! It dials out only, and probes whether or not anybody listens: what it holds is state, told again
//! and again, so that nothing has to be caught up after an outage.

mod asks;
mod board;
mod caps;
mod config;
mod engine;
mod hub;
mod jobs;
mod manifest;
mod meters;
mod one_off;
mod outbox;
pub mod probe;
mod report;
mod run;
mod schedule;
mod session;
mod status;

pub use config::{
    ACCOUNT_PROBES_PER_SECOND_MAX, ADDRESS_PROBES_PER_SECOND_MAX, ClientCertificate, PROBES_IN_FLIGHT_MAX, ResolverConfig, TlsPolicy,
    TlsVersion, WorkerConfig, ZoneTls,
};
pub use run::{Error, run};
pub use session::ControlUrlError;
pub use status::WorkerStatus;
