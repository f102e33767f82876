//! The real prober: attempts over real sockets.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use ::http::HeaderValue;
use openssl::error::ErrorStack;
use quorate_core::address_policy::{AddressPolicy, destination};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::attempt::Attempt;
use super::classify::classify;
use super::connect::connect;
use super::expiry::Expiry;
use super::fault::Fault;
use super::icmp::{IcmpSockets, Pingers};
use super::limit::Limit;
use super::pulse::Pulse;
use super::resolve::Resolver;
use super::target::{Ask, Host, Target};
use super::tls::Tls;
use super::{Finding, Outcome, Phase, Phases, Prober, http, icmp, smtp, tcp, udp};
use crate::config::WorkerConfig;

/// Where this worker stood still for this part of an attempt's timeout or more, what fails in time does not count.
const LOST_PART_MAX: u32 = 4;
/// Characters of a pool's id that origins are told.
const POOL_ID_BYTES: usize = 16;

/// Probes over the network.
#[derive(Debug)]
pub struct NetProber {
    net: Net,
}

/// What all probes share.
#[derive(Debug)]
pub(super) struct Net {
    resolver: Resolver,
    policy: AddressPolicy,
    limit: Limit,
    /// Of the thread that probes.
    pub(super) pulse: Pulse,
    pub(super) expiry: Expiry,
    source: Option<IpAddr>,
    pub(super) pingers: Pingers,
    pub(super) tls: Tls,
    /// The User-Agent up to the pool's id.
    user_agent: String,
}

/// Why no prober can be made of a configuration.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("the system's DNS servers cannot be read")]
    Resolver(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the system's certificate authorities cannot be read")]
    NoAuthorities,
    /// Whose authorities they should be.
    #[error("the authorities of {0} hold no PEM certificate")]
    NoCertificate(String),
    #[error("the client certificate of zone {zone} and its key cannot be used")]
    ClientCertificate { zone: String, source: ErrorStack },
    #[error("OpenSSL refuses the authorities")]
    Tls(#[from] ErrorStack),
    #[error("user_agent_url {0:?} cannot stand in a User-Agent")]
    UserAgent(String),
}

impl NetProber {
    pub fn new(config: &WorkerConfig) -> Result<Self, SetupError> {
        let version = concat!(env!("CARGO_PKG_VERSION_MAJOR"), ".", env!("CARGO_PKG_VERSION_MINOR"));
        let user_agent = format!("Mozilla/5.0 (compatible; Quorate/{version}; +{}; pool-id: ", config.user_agent_url);
        if HeaderValue::from_str(&user_agent).is_err() {
            return Err(SetupError::UserAgent(config.user_agent_url.clone()));
        }
        let net = Net {
            resolver: Resolver::new(&config.resolver)?,
            policy: config.address_policy.clone(),
            expiry: Expiry::default(),
            limit: Limit::new(config.address_probes_per_second_max, Instant::now()),
            pulse: Pulse::new("probe"),
            source: config.source_address,
            pingers: Pingers::new(IcmpSockets::detect()),
            tls: Tls::new(config.extra_ca_pem.as_deref(), &config.zones, config.tls)?,
            user_agent,
        };
        Ok(Self { net })
    }

    /// Notes for ever when the thread that polls this stands still: what is probed on it meanwhile goes by that.
    pub(crate) async fn watch(&self) -> Infallible {
        self.net.pulse.beat().await
    }
}

impl Prober for NetProber {
    async fn probe(&self, target: &Target, room: &mut Vec<u8>) -> Outcome {
        if target.may_need_tls() && !self.net.tls.is_ready() {
            // Before the time of an attempt runs, since it takes a while, once. What fails here fails again in the attempt, and is
            // told there.
            let _made = Box::pin(self.net.tls.clients(Instant::now() + target.timeout)).await;
        }
        let mut attempts = 0;
        let mut was_robbed = false;
        loop {
            attempts += 1;
            let lost_before = self.net.pulse.lost();
            let mut attempt = Attempt::new(target.timeout, &target.asker, room);
            let done = match &target.ask {
                Ask::Tcp => tcp::probe(&self.net, target, &mut attempt).await,
                // Boxed, so that the many of the other kinds do not hold the room that these few need.
                Ask::Smtp => Box::pin(smtp::probe(&self.net, target, &mut attempt)).await,
                Ask::Ping => Box::pin(icmp::probe(&self.net, target, &mut attempt)).await,
                Ask::Udp => Box::pin(udp::probe(&self.net, target, &mut attempt)).await,
                Ask::Http(ask) => http::probe(&self.net, target, ask, &mut attempt).await,
            };
            let finding = match done {
                Ok(()) => Finding::Passed,
                Err(fault @ Fault::Forbidden(_)) => {
                    // Of a place that may not be asked, not even how long its name takes is to be learnt.
                    attempt.phases = Phases::default();
                    told(target, &fault)
                }
                Err(fault)
                    if fault.may_be_of_delay()
                        && self.net.lost_since(lost_before, attempt.broad_lost) >= target.timeout / LOST_PART_MAX =>
                {
                    // Its time was not its own: made again once, and then nothing is said.
                    if !std::mem::replace(&mut was_robbed, true) {
                        continue;
                    }
                    told(target, &Fault::StoodStill(Box::new(fault)))
                }
                Err(fault) if fault.timed_out() && attempts <= target.retries + u8::from(was_robbed) => continue,
                Err(fault) => told(target, &fault),
            };
            let Attempt { phases, response_code, rtt, certificate_days_left, .. } = attempt;
            return Outcome { finding, response_code, rtt, phases, certificate_days_left, attempts };
        }
    }
}

/// What is found where a probe did not pass.
fn told(target: &Target, fault: &Fault) -> Finding {
    let finding = classify(fault);
    tracing::debug!(probe.kind = target.kind(), probe.finding = ?finding, probe.fault = ?fault, "a probe did not pass");
    finding
}

impl Net {
    /// What an attempt has lost, the threads that work on it having lost so much before.
    fn lost_since(&self, lost_before: Duration, broad_lost_before: Option<Duration>) -> Duration {
        let aside = broad_lost_before.map_or(Duration::ZERO, |before| self.tls.broad_lost().saturating_sub(before));
        self.pulse.lost().saturating_sub(lost_before) + aside
    }

    /// Connects to an address that was judged.
    pub(super) async fn connect_to(&self, address: SocketAddr, attempt: &mut Attempt<'_>) -> Result<TcpStream, Fault> {
        attempt.within(Phase::Connect, pin!(connect(address, self.source_for(address.ip())))).await
    }

    /// Resolves, judges *every* address of the answer, and gives the first: what was judged is what a
    /// packet goes to, so no second look-up can lead elsewhere.
    pub(super) async fn address(&self, host: &Host, attempt: &mut Attempt<'_>) -> Result<IpAddr, Fault> {
        let address = match host {
            Host::Address(address) => {
                self.policy.judge(*address).map_err(Fault::Forbidden)?;
                *address
            }
            Host::Name(name) => {
                let deadline = attempt.deadline;
                let mut resolving = Box::pin(async { self.resolver.resolve(name, deadline).await });
                let addresses = attempt.within(Phase::Resolve, resolving.as_mut()).await?;
                for address in &addresses {
                    self.policy.judge(*address).map_err(Fault::Forbidden)?;
                }
                // Sorted, so that several workers ask the same of several addresses.
                addresses.into_iter().min().ok_or(Fault::NoAddress)?
            }
        };
        attempt.connections = attempt.connections.saturating_add(1);
        let reached = destination(address);
        // What is the operator's own is no third party to protect.
        let is_let = self.policy.names(reached) || self.limit.take(reached, attempt.asker, attempt.connections, attempt.since());
        attempt.skip();
        if is_let { Ok(address) } else { Err(Fault::Capped) }
    }

    /// Where to probe an address from, unless the system chooses: an address reaches its own family,
    /// and a loopback address nothing but loopback.
    pub(super) fn source_for(&self, target: IpAddr) -> Option<IpAddr> {
        self.source.filter(|source| source.is_ipv6() == target.is_ipv6() && (!source.is_loopback() || target.is_loopback()))
    }

    /// The User-Agent in the name of the target's pool.
    pub(super) fn user_agent(&self, target: &Target) -> UserAgent<'_> {
        UserAgent { before: &self.user_agent, pool: target.pool.digits() }
    }
}

/// Who asks, and for which pool.
#[derive(Debug)]
pub(super) struct UserAgent<'a> {
    /// Up to the pool's id.
    before: &'a str,
    pool: [u8; 32],
}

impl UserAgent<'_> {
    /// In order, as they are sent.
    pub(super) fn parts(&self) -> [&[u8]; 3] {
        [self.before.as_bytes(), &self.pool[..POOL_ID_BYTES], b")"]
    }

    #[cfg(test)]
    pub(super) fn for_tests() -> Self {
        UserAgent { before: "x", pool: [b'0'; 32] }
    }
}
