//! Attacks on the address policy.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use quorate_core::address_policy::AddressPolicy;

use super::fuzz::attack;

/// The address that a file means: 4 bytes, or the first 16 with zeros behind.
fn address(bytes: &[u8]) -> IpAddr {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Ipv4Addr::from(v4).into();
    }
    let mut v6 = [0; 16];
    for (to, from) in v6.iter_mut().zip(bytes) {
        *to = *from;
    }
    Ipv6Addr::from(v6).into()
}

#[test]
fn nothing_inside_is_allowed_in_any_spelling() {
    let strict = AddressPolicy::default();
    let reckless = AddressPolicy::new(["0.0.0.0/0", "::/0"].map(|range| range.parse().expect("a range")).to_vec());
    attack("address", |bytes| {
        let address = address(bytes);
        let judged = strict.judge(address);
        let is_inside = match address {
            IpAddr::V4(v4) => {
                v4.is_loopback()
                    || v4.is_private()
                    || v4.is_link_local()
                    || v4.is_unspecified()
                    || v4.is_multicast()
                    || v4.is_broadcast()
                    || v4.is_documentation()
                    || v4.octets()[0] == 0
                    || (v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64)
            }
            IpAddr::V6(v6) => {
                v6.is_loopback() || v6.is_unspecified() || v6.is_multicast() || v6.is_unique_local() || v6.is_unicast_link_local()
            }
        };
        assert!(!is_inside || judged.is_err(), "{address}");
        assert!(judged.is_err() || reckless.judge(address).is_ok(), "allowing more refuses {address}");
        // Each of these carries an IPv4 address, which is what counts.
        if let IpAddr::V4(v4) = address {
            let [a, b, c, d] = v4.octets();
            let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            for wrapped in
                [v4.to_ipv6_mapped(), Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low), Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1)]
            {
                assert_eq!(strict.judge(wrapped.into()), judged, "{wrapped}");
                assert_eq!(reckless.judge(wrapped.into()), reckless.judge(address), "{wrapped}");
            }
        }
    });
}
