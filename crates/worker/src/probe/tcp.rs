//! `tcp`: healthy when the handshake completes. No byte is sent; the connection closes with FIN.

use super::attempt::Attempt;
use super::fault::Fault;
use super::net::Net;
use super::target::Target;

pub(super) async fn probe(net: &Net, target: &Target, attempt: &mut Attempt) -> Result<(), Fault> {
    let connection = net.connect(&target.host, target.port, attempt).await?;
    attempt.rtt = attempt.phases.connect;
    drop(connection);
    Ok(())
}
