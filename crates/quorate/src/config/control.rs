//! The control plane's own settings.

use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::list;
use super::secret_text::SecretText;

/// `[control]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Control {
    /// REST, `/healthz`, `/readyz`, `/metrics`. Default: `127.0.0.1:8080`; port 0 takes a free one.
    pub listen: SocketAddr,
    /// gRPC for workers. Default: `127.0.0.1:8081`; port 0 takes a free one.
    pub grpc_listen: SocketAddr,
    /// Where workers reach this replica, told to them and to other replicas: `https://control-1.example.net:8081`.
    /// Default: `https://` and the bound address; has to be set where that is an unspecified address (`0.0.0.0`, `::`).
    pub advertise_url: Option<String>,
    /// Days for which events are kept. Default: 90.
    pub retain_days: u16,
    /// Proxies whose `X-Forwarded-For` is believed, `10.0.0.0/8`: for the addresses of the audit log, of tokens' allow lists
    /// and of rate limits. In the environment comma-separated. Default: none.
    #[serde(deserialize_with = "list::deserialize")]
    pub trusted_proxies: Vec<IpNet>,
    /// Requests of one token within `rate_limit_window_s`. Default: 1,200; 0: no limit.
    pub rate_limit_requests: u32,
    /// Seconds. Default: 300.
    pub rate_limit_window_s: u32,
    /// Requests a second of one address that come without a known token; twice as many at once. Default: 100; 0: no limit.
    pub rate_limit_strangers: u32,
    /// Connections to `listen` that one address may have at once, IPv6 one /64; one more is answered 429. Not for
    /// `trusted_proxies`. Default: 256, of 1,024 in all; 0: no limit.
    pub connections_per_address_max: usize,
}

impl Default for Control {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            grpc_listen: SocketAddr::from(([127, 0, 0, 1], 8081)),
            advertise_url: None,
            retain_days: 90,
            trusted_proxies: Vec::new(),
            rate_limit_requests: 1200,
            rate_limit_window_s: 300,
            rate_limit_strangers: 100,
            connections_per_address_max: 256,
        }
    }
}

impl Control {
    pub(crate) fn check(&self, problems: &mut Vec<String>) {
        if self.listen == self.grpc_listen && self.listen.port() != 0 {
            problems.push(format!("control.listen and control.grpc_listen are both {}", self.listen));
        }
        match &self.advertise_url {
            Some(url) if !url.starts_with("https://") => {
                problems.push(format!("control.advertise_url {url:?} has to start with https://"));
            }
            Some(_) | None => {}
        }
        if self.rate_limit_window_s == 0 {
            problems.push("control.rate_limit_window_s is 0; it has to be at least 1".to_owned());
        }
        if self.retain_days == 0 {
            problems.push("control.retain_days is 0; it has to be at least 1".to_owned());
        }
    }
}

/// `[secrets]`: what `control` cannot do without. Each is made in `dir` at the first start unless it is given here.
///
/// Losing the pepper makes every API token and worker token unknown: create new ones. Losing the CA key means that the
/// server certificate cannot be renewed under the same CA; with a new CA every worker needs a new worker token.
/// Losing the header keys makes the secret headers of monitors unreadable: such checks abstain until the header is given anew.
/// Losing the server key alone costs nothing: another one is made under the CA.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Secrets {
    /// Folder of mode 0700. Default: `secrets` in the data folder. Every replica needs the same content.
    pub dir: Option<PathBuf>,
    /// 64 hexadecimal characters, mixed into the digest of every stored token. Default: the file `token-pepper` in `dir`.
    pub token_pepper: Option<SecretText>,
    /// The same, in a file.
    pub token_pepper_file: Option<PathBuf>,
    /// Keys that seal secret headers of monitors, 64 hexadecimal characters each, separated by white space or commas: the
    /// first is in use, the others open what was sealed before. Default: the file `header-keys` in `dir`.
    pub header_keys: Option<SecretText>,
    /// The same, in a file.
    pub header_keys_file: Option<PathBuf>,
    /// Names of headers whose values are secret beside Authorization, Cookie and Proxy-Authorization. In the environment
    /// comma-separated. Default: none.
    #[serde(deserialize_with = "list::deserialize")]
    pub header_names: Vec<String>,
    /// PEM: the server's certificate for `control.quorate.internal`, then its CA. Default: `control.pem` in `dir`.
    pub tls_chain_file: Option<PathBuf>,
    /// PEM: the private key of that certificate. Default: `control.key` in `dir`.
    pub tls_key_file: Option<PathBuf>,
}

impl Secrets {
    pub(crate) fn check(&self, problems: &mut Vec<String>) {
        if self.token_pepper.is_some() && self.token_pepper_file.is_some() {
            problems.push("secrets.token_pepper and secrets.token_pepper_file are both set: keep one".to_owned());
        }
        if self.header_keys.is_some() && self.header_keys_file.is_some() {
            problems.push("secrets.header_keys and secrets.header_keys_file are both set: keep one".to_owned());
        }
        let is_name =
            |name: &String| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        for name in self.header_names.iter().filter(|name| !is_name(name)) {
            problems.push(format!("secrets.header_names: {name:?} is no name of a header"));
        }
        if self.tls_chain_file.is_some() != self.tls_key_file.is_some() {
            problems.push("secrets.tls_chain_file and secrets.tls_key_file belong together: set both or none".to_owned());
        }
    }
}
