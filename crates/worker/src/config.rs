//! What a worker is told at start.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use quorate_core::address_policy::AddressPolicy;
use quorate_proto::join::JoinToken;

/// Probes in flight at once, where nothing else is said. Each holds a socket; what is due beyond
/// waits its turn.
pub const PROBES_IN_FLIGHT_MAX: usize = 4096;

/// Probes a second that one worker makes for one account, where nothing else is said.
pub const ACCOUNT_PROBES_PER_SECOND_MAX: u32 = 1_000;
/// Times a second that one worker asks one public address, where nothing else is said.
pub const ADDRESS_PROBES_PER_SECOND_MAX: u32 = 10;

/// The settings of one worker. [`WorkerConfig::new`] gives every field but two its default.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// Where the control plane is reached: `https://control-1:8081`. One replica is enough, the
    /// others are learnt. `http://` is refused unless the host is loopback.
    pub control_urls: Vec<String>,
    /// Who the worker is, and which authority it trusts.
    pub token: JoinToken,
    /// Folder for the session epoch and the manifests; made if it is not there. `None`: neither
    /// survives a restart. Default: `None`.
    pub data_dir: Option<PathBuf>,
    /// What may be probed. Default: public addresses only.
    pub address_policy: AddressPolicy,
    /// Address to probe from; used for targets of its own family, a loopback address for loopback targets only. Default: the
    /// system's choice.
    pub source_address: Option<IpAddr>,
    /// Who resolves the names of origins. Default: the system's servers.
    pub resolver: ResolverConfig,
    /// Authorities, as PEM, that HTTPS probes trust beside the system's. Default: none.
    pub extra_ca_pem: Option<String>,
    /// What HTTPS probes in the name of a zone (`probe_zone`) bring along; other zones bring nothing.
    /// Default: none.
    pub zones: Vec<ZoneTls>,
    /// Which servers HTTPS probes take, and how often they prove who they are.
    pub tls: TlsPolicy,
    /// Named in the User-Agent of probes, so that the owner of an origin can ask who probes it.
    /// Default: `https://quorate.invalid/`.
    pub user_agent_url: String,
    /// Probes a second for one account, 1 and up; checks beyond are not taken up. Default: [`ACCOUNT_PROBES_PER_SECOND_MAX`].
    pub account_probes_per_second_max: u32,
    /// Times a second that one address is asked, all accounts together, 1 and up; checks that find no room
    /// abstain. Addresses in a range that the address policy names have no cap. Default:
    /// [`ADDRESS_PROBES_PER_SECOND_MAX`].
    pub address_probes_per_second_max: u32,
    /// Probes in flight at once. Default: [`PROBES_IN_FLIGHT_MAX`].
    pub probes_in_flight_max: usize,
}

/// Which servers HTTPS probes take, and how often they prove who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsPolicy {
    /// The oldest version of TLS that passes. Default: 1.0.
    pub min_version: TlsVersion,
    /// Whether certificates pass that lean on RSA keys below 1,024 bits, SHA-1 or weaker. Default: they fail.
    pub weak_certificates: bool,
    /// A handshake is a full one, with certificate and signature, where the last full one is this long ago; between
    /// them the session is resumed, if the server offers it. Zero: each one is. Default: one minute.
    pub full_handshake_every: Duration,
}

/// Oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    V1_0,
    V1_1,
    V1_2,
    V1_3,
}

impl Default for TlsPolicy {
    fn default() -> Self {
        Self { min_version: TlsVersion::V1_0, weak_certificates: false, full_handshake_every: Duration::from_mins(1) }
    }
}

/// What HTTPS probes in the name of one zone bring along.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ZoneTls {
    /// `shop.example`, in any case.
    pub name: String,
    /// Shown to origins that ask for a client's certificate; never to another host that they redirect to.
    pub client: Option<ClientCertificate>,
    /// Authorities, as PEM, trusted beside the system's and the worker's own.
    pub extra_ca_pem: Option<String>,
}

/// A certificate of our own, and its key.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// PEM: the certificate, then those that lead to its authority.
    pub chain_pem: String,
    /// PEM.
    pub key_pem: String,
}

/// Without the key.
impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate").field("chain_pem", &self.chain_pem).finish_non_exhaustive()
    }
}

/// Who resolves the names of origins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ResolverConfig {
    /// The servers and the hosts file of the system, read at start.
    #[default]
    System,
    /// These servers, over UDP and TCP.
    Servers(Vec<SocketAddr>),
}

impl WorkerConfig {
    pub fn new(control_urls: Vec<String>, token: JoinToken) -> Self {
        Self {
            control_urls,
            token,
            data_dir: None,
            address_policy: AddressPolicy::default(),
            source_address: None,
            resolver: ResolverConfig::System,
            extra_ca_pem: None,
            zones: Vec::new(),
            tls: TlsPolicy::default(),
            user_agent_url: "https://quorate.invalid/".to_owned(),
            account_probes_per_second_max: ACCOUNT_PROBES_PER_SECOND_MAX,
            address_probes_per_second_max: ADDRESS_PROBES_PER_SECOND_MAX,
            probes_in_flight_max: PROBES_IN_FLIGHT_MAX,
        }
    }
}
