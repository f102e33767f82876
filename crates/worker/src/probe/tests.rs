//! Probes against real servers on loopback: each way to fail, and the reason that is told.

mod address;
pub(crate) mod checks;
mod dns;
mod errors;
pub(crate) mod fuzz;
mod http;
mod names;
pub(super) mod network;
mod ping;
mod policy;
mod pulse;
mod reach;
mod reasons;
mod second_opinion;
mod secured;
mod server;
mod smtp;
mod tcp;
mod tls;

use std::sync::OnceLock;
use std::time::Duration;

use quorate_core::address_policy::AddressPolicy;
use quorate_core::check::Check;
use quorate_core::failure::FailureReason;
use quorate_core::ids::CheckId;
use quorate_core::region::Region;
use quorate_proto::join::JoinToken;

use super::{Capabilities, Finding, NetProber, Outcome, Phase, Phases, Prober, Target};
use crate::config::{ResolverConfig, WorkerConfig};

/// A prober that may reach loopback, and asks nobody for names.
fn prober(change: impl FnOnce(&mut WorkerConfig)) -> NetProber {
    let token = JoinToken {
        pop: "lhr".parse().expect("a code"),
        region: Region::Weu,
        city: String::new(),
        country: String::new(),
        secret: String::new(),
        ca_sha256: [0; 32],
    };
    let allowed = ["127.0.0.0/8", "::1/128"].map(|range| range.parse().expect("a range"));
    let mut config = WorkerConfig {
        address_policy: AddressPolicy::new(allowed.to_vec()),
        resolver: ResolverConfig::Servers(Vec::new()),
        user_agent_url: "https://probes.example/".to_owned(),
        ..WorkerConfig::new(Vec::new(), token)
    };
    change(&mut config);
    NetProber::new(&config).expect("a prober")
}

async fn ask(prober: &NetProber, check: &Check) -> Outcome {
    prober.probe_once(&Target::new(check).expect("runnable")).await
}

/// What a default prober finds. One for all tests: reading the system's authorities takes a while.
async fn find(check: &Check) -> Finding {
    static PROBER: OnceLock<NetProber> = OnceLock::new();
    ask(PROBER.get_or_init(|| prober(|_| {})), check).await.finding
}

/// The same check with a fifth of a second of time, for origins that never answer.
fn impatient(check: Check) -> Check {
    Check { id: CheckId::from_bytes([2; 16]), timeout: Duration::from_millis(200), ..check }
}

const fn failed(reason: FailureReason) -> Finding {
    Finding::Failed(reason)
}
