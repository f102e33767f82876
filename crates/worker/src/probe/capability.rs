//! What this host lets a worker probe: asked of the system once, at start.

use std::net::IpAddr;

use super::icmp::IcmpSockets;
use super::target::{Ask, Host, Target, Unrunnable};

/// What can be probed from here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Capabilities {
    icmp: IcmpSockets,
    ipv6: bool,
}

impl Capabilities {
    /// A host that gives no more than TCP over IPv4.
    #[cfg(test)]
    pub(crate) const NONE: Self = Self { icmp: IcmpSockets { v4: None, v6: None }, ipv6: false };

    /// Tries each kind of socket.
    pub(crate) fn detect() -> Self {
        Self { icmp: IcmpSockets::detect(), ipv6: tokio::net::TcpSocket::new_v6().is_ok() }
    }

    /// The names that Hello tells.
    pub(crate) fn names(self) -> Vec<String> {
        let mut names = vec!["http", "https", "tcp", "smtp"];
        if self.icmp.any() {
            names.extend(["icmp_ping", "udp_icmp"]);
        }
        if self.ipv6 {
            names.push("ipv6");
        }
        names.into_iter().map(str::to_owned).collect()
    }

    /// # Errors
    /// This host has no socket for what the target needs.
    pub(crate) fn allow(self, target: &Target) -> Result<(), Unrunnable> {
        let possible = match (&target.ask, &target.host) {
            (Ask::Tcp | Ask::Smtp | Ask::Http(_), _) => true,
            (Ask::Ping | Ask::Udp, Host::Name(_)) => self.icmp.any(),
            (Ask::Ping | Ask::Udp, Host::Address(IpAddr::V4(_))) => self.icmp.v4.is_some(),
            (Ask::Ping | Ask::Udp, Host::Address(IpAddr::V6(_))) => self.icmp.v6.is_some(),
        };
        if possible { Ok(()) } else { Err(Unrunnable::NoIcmp(target.kind())) }
    }
}
