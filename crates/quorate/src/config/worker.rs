//! A worker's own settings.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;
use quorate_core::validate::is_host_name;
use quorate_worker::{ACCOUNT_PROBES_PER_SECOND_MAX, ADDRESS_PROBES_PER_SECOND_MAX};
use serde::{Deserialize, Serialize};

use super::list;
use super::secret_text::SecretText;

/// `[worker]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Worker {
    /// What `quorate worker-token create` printed. Environment: `QUORATE_WORKER_TOKEN`.
    pub token: Option<SecretText>,
    /// The same, in a file. Environment: `QUORATE_WORKER_TOKEN_FILE`.
    pub token_file: Option<PathBuf>,
    /// Where the control plane is reached; one replica is enough, the others are learnt. In the environment
    /// comma-separated: `QUORATE_CONTROL_URLS`. Default: `https://127.0.0.1:8081`.
    #[serde(deserialize_with = "list::deserialize")]
    pub control_urls: Vec<String>,
    /// Folder for the session epoch and the last assignment. Default: `worker` in the data folder.
    pub data_dir: Option<PathBuf>,
    /// Ranges that may be probed beyond public addresses: `10.0.0.0/8`. Loopback, private and link-local addresses are
    /// refused without it. In the environment comma-separated: `QUORATE_WORKER_ALLOW_CIDRS`. Default: none.
    #[serde(deserialize_with = "list::deserialize")]
    pub allow_cidrs: Vec<IpNet>,
    /// Address to probe from. Default: the system's choice.
    pub source_address: Option<IpAddr>,
    /// DNS servers, `192.0.2.53:53`. Default: the system's.
    #[serde(deserialize_with = "list::deserialize")]
    pub resolver: Vec<SocketAddr>,
    /// PEM file of authorities that HTTPS probes trust beside the system's. Default: none.
    pub extra_ca_file: Option<PathBuf>,
    /// What HTTPS probes in the name of a zone (`probe_zone` of a monitor) bring along. Default: none.
    pub zones: Vec<WorkerZone>,
    /// The oldest version of TLS that an HTTPS origin passes with: `1.0`, `1.1`, `1.2` or `1.3`. Default: `1.0`.
    pub tls_min_version: TlsMinVersion,
    /// Whether HTTPS origins pass whose certificates have RSA keys below 1,024 bits, or are signed over SHA-1 or weaker.
    /// Default: false.
    pub tls_weak_certificates: bool,
    /// Seconds after which an HTTPS origin shows its certificate again; until then its TLS session is resumed, where it
    /// offers that. 0: at every probe. Default: 60.
    pub tls_full_handshake_every_s: u32,
    /// Probes a second for one account, 1 and up; checks beyond are not taken up. Default: 1,000.
    pub account_probes_per_second_max: u32,
    /// Times a second that one address outside `allow_cidrs` is asked, all accounts together, 1 and up; checks that
    /// find no room abstain. Default: 10.
    pub address_probes_per_second_max: u32,
    /// `/healthz`, `/readyz`, `/metrics`. Default: `127.0.0.1:8082`; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Named in the User-Agent of probes, so that the owner of an origin can ask who probes it.
    /// Default: `https://quorate.invalid/`.
    pub user_agent_url: String,
}

/// A version of TLS, as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TlsMinVersion {
    #[serde(rename = "1.0")]
    V1_0,
    #[serde(rename = "1.1")]
    V1_1,
    #[serde(rename = "1.2")]
    V1_2,
    #[serde(rename = "1.3")]
    V1_3,
}

/// A zone in `worker.zones`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorkerZone {
    /// `shop.example`.
    pub name: String,
    /// PEM file: a certificate that is shown to origins that ask for one, then those that lead to its authority.
    pub client_certificate_file: Option<PathBuf>,
    /// PEM file: its key.
    pub client_key_file: Option<PathBuf>,
    /// PEM file of authorities that are trusted beside the system's and those of `extra_ca_file`.
    pub extra_ca_file: Option<PathBuf>,
}

impl Default for Worker {
    fn default() -> Self {
        Self {
            token: None,
            token_file: None,
            control_urls: vec!["https://127.0.0.1:8081".to_owned()],
            data_dir: None,
            allow_cidrs: Vec::new(),
            source_address: None,
            resolver: Vec::new(),
            extra_ca_file: None,
            zones: Vec::new(),
            tls_min_version: TlsMinVersion::V1_0,
            tls_weak_certificates: false,
            tls_full_handshake_every_s: 60,
            account_probes_per_second_max: ACCOUNT_PROBES_PER_SECOND_MAX,
            address_probes_per_second_max: ADDRESS_PROBES_PER_SECOND_MAX,
            listen: SocketAddr::from(([127, 0, 0, 1], 8082)),
            user_agent_url: "https://quorate.invalid/".to_owned(),
        }
    }
}

impl Worker {
    pub(crate) fn check(&self, problems: &mut Vec<String>) {
        if self.token.is_some() && self.token_file.is_some() {
            problems.push("worker.token and worker.token_file are both set: keep one".to_owned());
        }
        if self.control_urls.is_empty() {
            problems.push("worker.control_urls is empty".to_owned());
        }
        for url in &self.control_urls {
            if !url.starts_with("https://") && !url.starts_with("http://") {
                problems.push(format!("worker.control_urls: {url:?} has to start with https:// (or http:// on loopback)"));
            }
        }
        for (setting, value) in [
            ("account_probes_per_second_max", self.account_probes_per_second_max),
            ("address_probes_per_second_max", self.address_probes_per_second_max),
        ] {
            if value == 0 {
                problems.push(format!("worker.{setting} is 0 and has to be 1 or more"));
            }
        }
        let mut names = BTreeSet::new();
        for WorkerZone { name, client_certificate_file, client_key_file, .. } in &self.zones {
            if !is_host_name(name) || !names.insert(name.to_ascii_lowercase()) {
                problems.push(format!("worker.zones: {name:?} is not the name of a zone, or is there twice"));
            }
            if client_certificate_file.is_some() != client_key_file.is_some() {
                problems.push(format!("worker.zones: {name:?} has to have both client_certificate_file and client_key_file, or neither"));
            }
        }
        let legal = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'(' | b')' | b';');
        if !self.user_agent_url.bytes().all(legal) {
            problems.push(format!("worker.user_agent_url {:?} has characters that a User-Agent may not have", self.user_agent_url));
        }
    }
}
