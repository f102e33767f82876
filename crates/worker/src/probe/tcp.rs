//! `tcp`: healthy when the handshake completes. No byte is sent; the connection closes with FIN.

use std::io;
use std::net::SocketAddr;

use super::Phase;
use super::attempt::Attempt;
use super::fault::Fault;
use super::net::Net;
use super::target::Target;

pub(super) async fn probe(net: &Net, target: &Target, attempt: &mut Attempt<'_>) -> Result<(), Fault> {
    let address = net.address(&target.host, attempt).await?;
    match net.connect_to(SocketAddr::new(address, target.port), attempt).await {
        Ok(connection) => drop(connection),
        // Whether it was reset before or after we looked is chance; the handshake has completed.
        Err(Fault::Connect { source, .. }) if source.kind() == io::ErrorKind::ConnectionReset => {}
        Err(fault) => return Err(fault),
    }
    attempt.rtt = attempt.phases.of(Phase::Connect);
    Ok(())
}
