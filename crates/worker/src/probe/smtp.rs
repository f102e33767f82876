//! `smtp`: greeting, HELO and QUIT, each with the reply that RFC 5321 gives it.

#[cfg(test)]
mod fuzz;
mod reply;

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use self::reply::Replies;
use super::Phase;
use super::attempt::Attempt;
use super::fault::Fault;
use super::net::Net;
use super::target::Target;

pub(super) async fn probe(net: &Net, target: &Target, attempt: &mut Attempt<'_>) -> Result<(), Fault> {
    let address = net.address(&target.host, attempt).await?;
    let started = attempt.since();
    let stream = net.connect_to(SocketAddr::new(address, target.port), attempt).await?;
    let helo = format!("HELO {}\r\n", address_literal(stream.local_addr().map_err(Fault::Socket)?));
    let mut dialog = Dialog(Replies::new(stream));

    dialog.expects(220, attempt).await?;
    attempt.rtt = Some(attempt.since() - started);
    for (command, code) in [(helo.as_str(), 250), ("QUIT\r\n", 221)] {
        attempt.within(Phase::Dialog, pin!(dialog.says(command))).await?;
        dialog.expects(code, attempt).await?;
    }
    Ok(())
}

struct Dialog(Replies<TcpStream>);

impl Dialog {
    async fn says(&mut self, command: &str) -> Result<(), Fault> {
        self.0.get_mut().write_all(command.as_bytes()).await.map_err(Fault::Smtp)
    }

    async fn expects(&mut self, code: u16, attempt: &mut Attempt<'_>) -> Result<(), Fault> {
        let told = attempt.within(Phase::Dialog, pin!(async { self.0.next().await.map_err(Fault::Smtp) })).await?;
        attempt.response_code = Some(told);
        if told == code { Ok(()) } else { Err(Fault::Code(told)) }
    }
}

/// Who we are to a mail server, RFC 5321 4.1.3: an address is always true, and a host's name seldom.
fn address_literal(ours: SocketAddr) -> String {
    match ours.ip() {
        IpAddr::V4(address) => format!("[{address}]"),
        IpAddr::V6(address) => format!("[IPv6:{address}]"),
    }
}
