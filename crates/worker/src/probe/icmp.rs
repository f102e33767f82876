//! `icmp_ping`: an echo request, and the reply that belongs to it.

mod packet;
mod pinger;
mod socket;
mod waiting;

use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use self::pinger::{Line, Pinger};
#[cfg(test)]
pub(super) use self::socket::Form;
pub(super) use self::socket::IcmpSockets;
use super::Phase;
use super::attempt::Attempt;
use super::fault::Fault;
use super::net::Net;
use super::target::Target;

pub(super) async fn probe(net: &Net, target: &Target, attempt: &mut Attempt<'_>) -> Result<(), Fault> {
    let address = net.address(&target.host, attempt).await?;
    ping(net, address, attempt).await
}

/// Pings an address that was judged. The round trip becomes the attempt's.
pub(super) async fn ping(net: &Net, address: IpAddr, attempt: &mut Attempt<'_>) -> Result<(), Fault> {
    let line = net.pingers.line(address, net.source_for(address))?;
    attempt.rtt = Some(attempt.within(Phase::Echo, pin!(line.ask(address))).await?);
    Ok(())
}

/// The sockets of all pings: one for each family and source address, opened when it is first needed.
#[derive(Debug)]
pub(super) struct Pingers {
    sockets: IcmpSockets,
    open: Mutex<HashMap<(bool, Option<IpAddr>), Pinger>>,
}

impl Pingers {
    pub(super) fn new(sockets: IcmpSockets) -> Self {
        Self { sockets, open: Mutex::default() }
    }

    fn line(&self, address: IpAddr, source: Option<IpAddr>) -> Result<Arc<Line>, Fault> {
        let form = self.sockets.form(address).ok_or(Fault::NoIcmp)?;
        let key = (address.is_ipv6(), source);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pinger) = open.get_mut(&key)
            && pinger.is_listening()
        {
            return Ok(pinger.line.clone());
        }
        let pinger = Pinger::open(form, address.is_ipv6(), source).map_err(Fault::Socket)?;
        let line = pinger.line.clone();
        open.insert(key, pinger);
        Ok(line)
    }
}
