//! Names → addresses, asked anew for every attempt: a cache would hide what we are here to see.
//!
//! IPv4 first, IPv6 only where a name has no A record. A resolver that fails for this name is told
//! from one that fails for all: before a failure counts, some other name must have been answered
//! since the question was put.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig as Servers};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::{Query, ResponseCode};
use hickory_resolver::proto::rr::domain::usage::{IN_ADDR_ARPA_127, INVALID, IP6_ARPA_1, LOCALHOST, ONION};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{Hosts, TokioResolver};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::Phase;
use super::fault::Fault;
use super::net::SetupError;
use crate::config::ResolverConfig;

/// Time for one server to answer, before it or another is asked again.
const TRY: Duration = Duration::from_secs(1);
/// Times that a question is put again.
const TRIES_AGAIN: usize = 4;
/// Names remembered as answered, for asking one of them when another fails.
const REMEMBERED_MAX: usize = 8;

#[derive(Debug)]
pub(super) struct Resolver {
    dns: TokioResolver,
    /// Names that no server is asked for.
    hosts: Hosts,
    answered: Mutex<VecDeque<Answered>>,
}

/// A name that was answered, `NXDOMAIN` included; the last at the back.
#[derive(Debug)]
struct Answered {
    name: String,
    at: Instant,
}

impl Resolver {
    pub(super) fn new(config: &ResolverConfig) -> Result<Self, SetupError> {
        let unreadable = |error: NetError| SetupError::Resolver(Box::new(error));
        let (mut builder, hosts) = match config {
            ResolverConfig::System => (TokioResolver::builder_tokio().map_err(unreadable)?, Hosts::from_system().unwrap_or_default()),
            ResolverConfig::Servers(servers) => {
                let servers = Servers::from_name_servers(servers.iter().map(|server| name_server(*server)).collect());
                (TokioResolver::builder_with_config(servers, TokioRuntimeProvider::default()), Hosts::default())
            }
        };
        let options = builder.options_mut();
        options.timeout = TRY;
        options.attempts = TRIES_AGAIN;
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        Ok(Self { dns: builder.build().map_err(unreadable)?, hosts, answered: Mutex::default() })
    }

    /// The addresses of a name: one or more, of one family.
    ///
    /// # Errors
    /// `NoAddress`, `Lookup`, `ResolverDown`, or `Deadline`.
    pub(super) async fn resolve(&self, name: &str, deadline: Instant) -> Result<Vec<IpAddr>, Fault> {
        let fqdn = fqdn(name)?;
        for kind in [RecordType::A, RecordType::AAAA] {
            if let Some(known) = self.hosts.lookup_static_host(&Query::query(fqdn.clone(), kind)) {
                return Ok(addresses(known.answers().iter().map(|record| &record.data)));
            }
        }
        let asked = Instant::now();
        let halfway = asked + deadline.saturating_duration_since(asked) / 2;
        let mut question = pin!(self.ask(name, &fqdn));
        // Where the answer is slow in coming, the other question is put while there is time.
        let mut other = pin!(async {
            sleep_until(halfway).await;
            self.answers_another(name, asked).await
        });
        let mut works = None;
        let answer = loop {
            tokio::select! {
                biased;
                answer = &mut question => break Some(answer),
                () = sleep_until(deadline) => break None,
                answered = &mut other, if works.is_none() => works = Some(answered),
            }
        };
        let failed = match answer {
            Some(Ok(addresses)) => return if addresses.is_empty() { Err(Fault::NoAddress) } else { Ok(addresses) },
            Some(Err(failed)) => Some(failed),
            None => None,
        };
        let works = match works {
            Some(works) => works,
            None if failed.is_none() => self.answered_another(name, asked),
            None => timeout_at(deadline, self.answers_another(name, asked)).await.unwrap_or(false),
        };
        Err(match failed {
            _ if !works => Fault::ResolverDown { timed_out: failed.is_none_or(|failed| matches!(failed, NetError::Timeout)) },
            None | Some(NetError::Timeout) => Fault::Deadline(Phase::Resolve),
            Some(failed) => Fault::Lookup(Box::new(failed)),
        })
    }

    /// No addresses: the name does not exist, or has none.
    async fn ask(&self, name: &str, fqdn: &Name) -> Result<Vec<IpAddr>, NetError> {
        for kind in [RecordType::A, RecordType::AAAA] {
            let found = match self.dns.lookup(fqdn.clone(), kind).await {
                Ok(lookup) => addresses(lookup.answers().iter().map(|record| &record.data)),
                Err(NetError::Dns(DnsError::NoRecordsFound(none))) if none.response_code == ResponseCode::NXDomain => {
                    self.remember(name, fqdn);
                    return Ok(Vec::new());
                }
                Err(NetError::Dns(DnsError::NoRecordsFound(none))) if none.response_code == ResponseCode::NoError => Vec::new(),
                Err(failed) => return Err(failed),
            };
            self.remember(name, fqdn);
            if !found.is_empty() {
                return Ok(found);
            }
        }
        Ok(Vec::new())
    }

    /// Whether some other name has been answered since `asked`; asks one if none has.
    async fn answers_another(&self, name: &str, asked: Instant) -> bool {
        if self.answered_another(name, asked) {
            return true;
        }
        let known = self.with_answered(|answered| answered.iter().rev().find(|other| other.name != name).map(|other| other.name.clone()));
        let answered = match known.as_deref().map(fqdn) {
            Some(Ok(fqdn)) => self.ask(known.as_deref().unwrap_or_default(), &fqdn).await.is_ok(),
            // Nothing else was ever asked here: the root's servers are what every resolver knows.
            Some(Err(_)) | None => self.dns.lookup(Name::root(), RecordType::NS).await.is_ok(),
        };
        answered || self.answered_another(name, asked)
    }

    fn answered_another(&self, name: &str, since: Instant) -> bool {
        self.with_answered(|answered| answered.iter().any(|other| other.at >= since && other.name != name))
    }

    fn remember(&self, name: &str, fqdn: &Name) {
        if is_answered_here(fqdn) {
            return;
        }
        self.with_answered(|answered| {
            answered.retain(|other| other.name != name);
            if answered.len() == REMEMBERED_MAX {
                answered.pop_front();
            }
            answered.push_back(Answered { name: name.to_owned(), at: Instant::now() });
        });
    }

    fn with_answered<T>(&self, look: impl FnOnce(&mut VecDeque<Answered>) -> T) -> T {
        look(&mut self.answered.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// With the final dot, so that no search domain is tried.
fn fqdn(name: &str) -> Result<Name, Fault> {
    let mut fqdn = Name::from_ascii(name).map_err(|error| Fault::Lookup(Box::new(error.into())))?;
    fqdn.set_fqdn(true);
    Ok(fqdn)
}

/// Names of special use: the library answers them without asking a server, so their answers tell nothing of one.
fn is_answered_here(fqdn: &Name) -> bool {
    [&LOCALHOST, &IN_ADDR_ARPA_127, &IP6_ARPA_1, &INVALID, &ONION].into_iter().any(|zone| zone.zone_of(fqdn))
}

fn name_server(server: SocketAddr) -> NameServerConfig {
    let at = |mut connection: ConnectionConfig| {
        connection.port = server.port();
        connection
    };
    NameServerConfig::new(server.ip(), true, vec![at(ConnectionConfig::udp()), at(ConnectionConfig::tcp())])
}

fn addresses<'a>(records: impl Iterator<Item = &'a RData>) -> Vec<IpAddr> {
    records
        .filter_map(|data| match data {
            RData::A(address) => Some(IpAddr::V4(address.0)),
            RData::AAAA(address) => Some(IpAddr::V6(address.0)),
            _ => None,
        })
        .collect()
}
