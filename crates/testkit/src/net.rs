//! 256 loopback addresses for one story, so that "from a region" is a source address that an origin
//! can see, every server has a port of its own without asking for a free one, and no two stories meet.

use std::net::{IpAddr, Ipv4Addr, TcpListener};

use ipnet::{IpNet, Ipv4Net};
use rand::RngExt;

/// Bound as long as the network is in use.
const CLAIM_PORT: u16 = 17_999;
const ATTEMPTS_MAX: usize = 1_000;

/// `127.a.b.0/24`, claimed by a bound port.
#[derive(Debug)]
pub struct Net {
    a: u8,
    b: u8,
    _claim: TcpListener,
}

impl Net {
    /// One that nobody on this machine uses.
    pub fn claim() -> Self {
        let mut random = rand::rng();
        for _ in 0..ATTEMPTS_MAX {
            let (a, b) = (random.random_range(16..=250), random.random_range(1..=250));
            if let Ok(claim) = TcpListener::bind((Ipv4Addr::new(127, a, b, 254), CLAIM_PORT)) {
                return Self { a, b, _claim: claim };
            }
        }
        panic!("no free network below 127.0.0.0/8 after {ATTEMPTS_MAX} attempts");
    }

    fn host(&self, host: u8) -> IpAddr {
        Ipv4Addr::new(127, self.a, self.b, host).into()
    }

    /// Where the `index`th replica of the control plane listens; below 10.
    pub fn control(&self, index: u8) -> IpAddr {
        self.host(1 + index)
    }

    /// Where the `index`th worker probes from; below 80.
    pub fn worker(&self, index: u8) -> IpAddr {
        self.host(20 + index)
    }

    /// Where the `index`th origin listens; below 120.
    pub fn origin(&self, index: u8) -> IpAddr {
        self.host(128 + index)
    }

    /// The origins' range, and nothing else: what workers are allowed to probe.
    pub fn origins(&self) -> IpNet {
        Ipv4Net::new(Ipv4Addr::new(127, self.a, self.b, 128), 25).expect("25 is a prefix length").into()
    }

    /// A loopback address outside that range.
    pub fn out_of_bounds(&self) -> IpAddr {
        self.host(120)
    }
}
