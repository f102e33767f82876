//! Which resolved address may be connected to. One function, called by the worker at connect and
//! later by webhooks; validation of an API body is advice only.
//!
//! It never looks at names: whatever a name or a redirect leads to is judged when it is an address,
//! so that a second look-up cannot give another answer.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

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

/// Services of cloud providers that hand credentials to whoever can ask, or speak for the hypervisor.
const METADATA_V4: [Ipv4Addr; 8] = [
    Ipv4Addr::new(169, 254, 169, 254), // nearly every provider
    Ipv4Addr::new(169, 254, 170, 2),   // AWS, containers
    Ipv4Addr::new(169, 254, 170, 23),  // AWS, pods
    Ipv4Addr::new(169, 254, 0, 23),    // Tencent
    Ipv4Addr::new(169, 254, 42, 42),   // Scaleway
    Ipv4Addr::new(100, 100, 100, 200), // Alibaba
    Ipv4Addr::new(168, 63, 129, 16),   // Azure, a public address
    Ipv4Addr::new(192, 0, 0, 192),     // Oracle, classic
];

/// The same over IPv6.
const METADATA_V6: [Ipv6Addr; 5] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),   // AWS
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),    // AWS, pods
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),    // Google
    Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42),     // Scaleway
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe), // OpenStack
];

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(a: u16, b: u16, c: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), prefix)
}

/// What is not public in IPv4. Source: IANA IPv4 Special-Purpose Address Registry; blocks that it
/// calls globally reachable (anycast of name servers and multicast relays) are left out.
const SPECIAL_V4: [(Ipv4Net, Refusal); 16] = [
    (v4(0, 0, 0, 0, 8), Refusal::NotAHost), // "this network"; Linux connects 0.0.0.0 to itself
    (v4(10, 0, 0, 0, 8), Refusal::Private),
    (v4(100, 64, 0, 0, 10), Refusal::Shared),
    (v4(127, 0, 0, 0, 8), Refusal::Loopback),
    (v4(169, 254, 0, 0, 16), Refusal::LinkLocal),
    (v4(172, 16, 0, 0, 12), Refusal::Private),
    (v4(192, 0, 0, 0, 24), Refusal::NotAHost),   // protocol assignments
    (v4(192, 0, 2, 0, 24), Refusal::NotAHost),   // documentation
    (v4(192, 88, 99, 0, 24), Refusal::NotAHost), // 6to4 relays, withdrawn
    (v4(192, 168, 0, 0, 16), Refusal::Private),
    (v4(198, 18, 0, 0, 15), Refusal::NotAHost),      // benchmarking
    (v4(198, 51, 100, 0, 24), Refusal::NotAHost),    // documentation
    (v4(203, 0, 113, 0, 24), Refusal::NotAHost),     // documentation
    (v4(224, 0, 0, 0, 4), Refusal::NotAHost),        // multicast
    (v4(240, 0, 0, 0, 4), Refusal::NotAHost),        // reserved
    (v4(255, 255, 255, 255, 32), Refusal::NotAHost), // broadcast
];

/// What is not public in IPv6, beside everything outside `2000::/3`. Source: IANA IPv6 Special-Purpose
/// Address Registry.
const SPECIAL_V6: [(Ipv6Net, Refusal); 6] = [
    (v6(0xfc00, 0, 0, 7), Refusal::Private),
    (v6(0xfec0, 0, 0, 10), Refusal::Private), // site-local, withdrawn and still in use
    (v6(0xfe80, 0, 0, 10), Refusal::LinkLocal),
    (v6(0x2001, 0, 0, 23), Refusal::NotAHost), // protocol assignments; Teredo is unwrapped before
    (v6(0x2001, 0xdb8, 0, 32), Refusal::NotAHost), // documentation
    (v6(0x3fff, 0, 0, 20), Refusal::NotAHost), // documentation
];

const GLOBAL_UNICAST: Ipv6Net = v6(0x2000, 0, 0, 3);
const NAT64: Ipv6Net = v6(0x64, 0xff9b, 0, 96);
const NAT64_LOCAL: Ipv6Net = v6(0x64, 0xff9b, 1, 48);
const SIX_TO_FOUR: Ipv6Net = v6(0x2002, 0, 0, 16);
const TEREDO: Ipv6Net = v6(0x2001, 0, 0, 32);

impl AddressPolicy {
    pub fn new(allowed: Vec<IpNet>) -> Self {
        Self { allowed }
    }

    /// Judges one resolved address. Embedded IPv4 addresses (mapped, 6to4, Teredo, NAT64) are judged as themselves.
    pub fn judge(&self, address: IpAddr) -> Result<(), Refusal> {
        match address {
            IpAddr::V4(address) => self.judge_v4(address),
            IpAddr::V6(address) => self.judge_v6(address),
        }
    }

    /// Whether the operator has named the address, by a range that contains it.
    pub fn names(&self, address: IpAddr) -> bool {
        self.allowed.iter().any(|range| range.contains(&address))
    }

    fn judge_v4(&self, address: Ipv4Addr) -> Result<(), Refusal> {
        let refusal = if METADATA_V4.contains(&address) {
            Some(Refusal::Metadata)
        } else {
            SPECIAL_V4.iter().find(|(range, _)| range.contains(&address)).map(|(_, refusal)| *refusal)
        };
        self.unless_allowed(address.into(), refusal)
    }

    fn judge_v6(&self, address: Ipv6Addr) -> Result<(), Refusal> {
        let last = embedded(address, 96);
        if address.to_ipv4_mapped().is_some() || NAT64.contains(&address) {
            return self.judge_v4(last);
        }
        if SIX_TO_FOUR.contains(&address) {
            return self.judge_v4(embedded(address, 16));
        }
        if TEREDO.contains(&address) {
            // Packets go by the server to the client, whose address is written inverted.
            return self.judge_v4(embedded(address, 32)).and_then(|()| self.judge_v4(Ipv4Addr::from_bits(!last.to_bits())));
        }
        if NAT64_LOCAL.contains(&address) {
            // A translator of the operator's own: the operator must allow it, and then what lies behind it.
            return self.unless_allowed(address.into(), Some(Refusal::Private)).and_then(|()| self.judge_v4(last));
        }
        let refusal = if METADATA_V6.contains(&address) {
            Some(Refusal::Metadata)
        } else if address.is_loopback() {
            Some(Refusal::Loopback)
        } else {
            let special = SPECIAL_V6.iter().find(|(range, _)| range.contains(&address)).map(|(_, refusal)| *refusal);
            // Unspecified, multicast, discard-only, IPv4-compatible and whatever nobody has assigned.
            special.or((!GLOBAL_UNICAST.contains(&address)).then_some(Refusal::NotAHost))
        };
        self.unless_allowed(address.into(), refusal)
    }

    fn unless_allowed(&self, address: IpAddr, refusal: Option<Refusal>) -> Result<(), Refusal> {
        let Some(refusal) = refusal else { return Ok(()) };
        let allowed = match refusal {
            Refusal::NotAHost => false,
            Refusal::Metadata => self.allowed.iter().any(|range| range.prefix_len() == range.max_prefix_len() && range.addr() == address),
            Refusal::Loopback | Refusal::Private | Refusal::LinkLocal | Refusal::Shared => {
                self.allowed.iter().any(|range| range.contains(&address))
            }
        };
        if allowed { Ok(()) } else { Err(refusal) }
    }
}

/// The host that packets to an address end at: the IPv4 address where one is embedded that the network
/// translates back (mapped, NAT64, 6to4), else the address itself.
pub fn destination(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() || NAT64.contains(&v6) => embedded(v6, 96).into(),
        IpAddr::V6(v6) if SIX_TO_FOUR.contains(&v6) => embedded(v6, 16).into(),
        address => address,
    }
}

/// The IPv4 address in the 32 bits from bit `from`, 0 to 96, of an IPv6 address.
#[expect(clippy::cast_possible_truncation, reason = "cut to the 32 bits asked for")]
const fn embedded(address: Ipv6Addr, from: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits((address.to_bits() >> (96 - from)) as u32)
}

#[cfg(test)]
mod tests;
