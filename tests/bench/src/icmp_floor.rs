//! The floor of pings: one raw socket, the requests of a tick sent in one go and the replies read in
//! one go, and nothing else: no payload compared, no time taken, no report. What is left is the kernel's.

use std::io::Read as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Result;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::farm;

/// An echo request of 64 bytes without a payload, but for sequence and checksum.
const REQUEST: [u8; 64] = {
    let mut packet = [0; 64];
    packet[0] = 8;
    packet
};

#[derive(Debug, clap::Args)]
pub(crate) struct IcmpFloor {
    #[arg(long)]
    count: u16,
    #[arg(long)]
    interval_ms: u64,
    /// Divides the interval.
    #[arg(long)]
    tick_ms: u64,
}

impl IcmpFloor {
    pub(crate) fn run(self) -> Result<()> {
        let mut socket = Socket::new(Domain::IPV4, Type::RAW.nonblocking(), Some(Protocol::ICMPV4))?;
        let (tick, ticks) = (Duration::from_millis(self.tick_ms), u16::try_from(self.interval_ms / self.tick_ms)?);
        let start = Instant::now();
        for now in 0_u32.. {
            std::thread::sleep((start + tick * now).saturating_duration_since(Instant::now()));
            // Every origin has its tick of the interval.
            for number in (0..self.count).skip(usize::try_from(now % u32::from(ticks))?).step_by(ticks.into()) {
                let to = SockAddr::from(SocketAddr::new(farm::address(number.into()).into(), 0));
                socket.send_to(&request(number), &to)?;
            }
            // Loopback has answered; the socket is shown the requests too.
            while socket.read(&mut [0; 128]).is_ok() {}
        }
        Ok(())
    }
}

fn request(sequence: u16) -> [u8; 64] {
    let mut packet = REQUEST;
    packet[6..8].copy_from_slice(&sequence.to_be_bytes());
    // Of all the words only two are not nothing.
    let sum = 0x0800_u32 + u32::from(sequence);
    let [.., high, low] = (!((sum & 0xffff) + (sum >> 16))).to_be_bytes();
    (packet[2], packet[3]) = (high, low);
    packet
}
