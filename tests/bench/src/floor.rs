//! The floor: connect, ask, read, close, on a tick, and nothing else: no names, no policy, no
//! thresholds, no deadline, no report. What is left is the kernel's.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::farm;

const REQUEST: &[u8] = b"GET /health HTTP/1.1\r\nHost: origin.bench\r\nConnection: close\r\n\r\n";
/// Events taken at once.
const EVENTS: usize = 1024;

#[derive(Debug, clap::Args)]
pub(crate) struct Floor {
    #[arg(long)]
    count: u32,
    #[arg(long)]
    interval_ms: u64,
    /// Divides the interval.
    #[arg(long)]
    tick_ms: u64,
    #[arg(long)]
    port: u16,
    /// Only connect.
    #[arg(long)]
    tcp: bool,
}

impl Floor {
    pub(crate) fn run(self) -> Result<()> {
        let (tick, ticks) = (Duration::from_millis(self.tick_ms), self.interval_ms / self.tick_ms);
        let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(EVENTS));
        let mut open: Vec<Option<TcpStream>> = (0..self.count).map(|_| None).collect();
        let (start, mut now) = (Instant::now(), 0_u64);
        loop {
            let due = start + tick * u32::try_from(now)?;
            let wait = due.saturating_duration_since(Instant::now());
            if wait.is_zero() {
                // Every origin has its tick of the interval.
                for number in (0..self.count).filter(|number| u64::from(*number) % ticks == now % ticks) {
                    let mut stream = TcpStream::connect(SocketAddr::new(farm::address(number).into(), self.port))?;
                    let place = usize::try_from(number)?;
                    poll.registry().register(&mut stream, Token(place), Interest::WRITABLE)?;
                    open[place] = Some(stream);
                }
                now += 1;
                continue;
            }
            poll.poll(&mut events, Some(wait))?;
            for event in &events {
                let place = event.token().0;
                let Some(stream) = &mut open[place] else { continue };
                let is_done = if event.is_writable() && !self.tcp {
                    stream.write_all(REQUEST).context("a request is one small write")?;
                    poll.registry().reregister(stream, Token(place), Interest::READABLE)?;
                    false
                } else {
                    self.tcp || stream.read(&mut [0; 1024]).is_ok_and(|bytes| bytes > 0)
                };
                if is_done {
                    open[place] = None;
                }
            }
        }
    }
}
