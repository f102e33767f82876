//! `http` and `https`: one request a hop, and its answer judged: code first, then body.

mod body;
mod exchange;
#[cfg(test)]
mod fuzz;
mod head;
mod hop;
mod window;

use std::io;
use std::net::SocketAddr;
use std::pin::pin;

use http::StatusCode;
use quorate_core::monitor::REDIRECTS_MAX;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Instant;

use self::exchange::Answer;
use self::hop::{Elsewhere, Hop};
use self::window::Window;
use super::Phase;
use super::attempt::Attempt;
use super::expiry::Shown;
use super::fault::Fault;
use super::net::Net;
use super::target::{HttpAsk, Target};
use super::tls::{Clients, Library, Peer, Secured};

pub(crate) use self::head::Malformed;
pub(super) use self::hop::fields;
pub(super) use self::window::fold;

pub(super) async fn probe(net: &Net, target: &Target, ask: &HttpAsk, attempt: &mut Attempt<'_>) -> Result<(), Fault> {
    let mut elsewhere: Option<Box<Elsewhere>> = None;
    for _hop in 0..=REDIRECTS_MAX {
        let hop = elsewhere.as_ref().map_or_else(|| Hop::first(target, ask), |elsewhere| elsewhere.hop());
        elsewhere = exchange(net, target, ask, hop, attempt).await?;
        if elsewhere.is_none() {
            return Ok(());
        }
    }
    Err(Fault::Redirect("more than ten"))
}

/// Whether a status sends the client elsewhere. 300 offers a choice and 304 speaks of a cache.
fn redirects(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// One hop, and its answer judged; where that leads elsewhere, there.
async fn exchange(
    net: &Net,
    target: &Target,
    ask: &HttpAsk,
    hop: Hop<'_>,
    attempt: &mut Attempt<'_>,
) -> Result<Option<Box<Elsewhere>>, Fault> {
    let address = SocketAddr::new(net.address(hop.connect_to, attempt).await?, hop.port);
    let exchange = Exchange { net, target, ask, hop, address };
    if hop.tls {
        // Boxed, so that what is not encrypted does not hold the room that TLS needs.
        return Box::pin(exchange.secured(attempt)).await;
    }
    let started = attempt.since();
    let stream = net.connect_to(address, attempt).await?;
    let answer = exchange.request(stream, started, attempt).await?;
    exchange.judge(answer, attempt).await
}

/// What a hop is, once it is known where it goes.
struct Exchange<'a> {
    net: &'a Net,
    target: &'a Target,
    ask: &'a HttpAsk,
    hop: Hop<'a>,
    address: SocketAddr,
}

impl Exchange<'_> {
    async fn secured(&self, attempt: &mut Attempt<'_>) -> Result<Option<Box<Elsewhere>>, Fault> {
        // What is the user's is not for a stranger, and what is remembered is of the origin.
        let zone = self.ask.zone.as_deref().filter(|_| self.hop.is_trusted());
        let memory = self.target.memory.as_ref().filter(|_| self.hop.is_trusted() && self.hop.port == self.target.port);
        let peer = Peer::new(self.hop.tls_name, self.ask.allow_insecure, zone, memory);
        let tls = self.net.tls.clients(attempt.deadline).await?;
        let library = tls.library(&peer);
        let answer = match self.secured_by(tls, &peer, library, attempt).await {
            Err(fault) if library == Library::Modern && fault.is_of_tls() => {
                peer.needs_broad();
                match self.secured_by(tls, &peer, Library::Broad, attempt).await {
                    // What failed first names the reason.
                    Err(Fault::Connect { source, .. }) if source.kind() == io::ErrorKind::ConnectionRefused => Err(fault),
                    done => done,
                }
            }
            // That we resume a session must not be what fails.
            Err(Fault::Http(_) | Fault::NotHttp(_)) if peer.forgets_resumed() => {
                self.secured_by(tls, &peer, Library::Modern, attempt).await
            }
            done => done,
        };
        self.judge(answer?, attempt).await
    }

    async fn secured_by(
        &self,
        tls: &Clients,
        peer: &Peer<'_>,
        library: Library,
        attempt: &mut Attempt<'_>,
    ) -> Result<Answer<Secured<TcpStream>>, Fault> {
        let started = attempt.since();
        let stream = self.net.connect_to(self.address, attempt).await?;
        // The request follows the end of the handshake and must not wait until that is acknowledged.
        stream.set_nodelay(true).map_err(Fault::Socket)?;
        if library == Library::Broad {
            attempt.broad_lost.get_or_insert_with(|| self.net.tls.broad_lost());
        }
        let secured = attempt.within(Phase::Tls, pin!(tls.handshake(stream, peer, library))).await;
        if let Err(Fault::Deadline(_)) = secured {
            peer.needs_broad();
        }
        let days_left = match &secured {
            Ok(secured) => secured.certificate_days_left,
            Err(Fault::Certificate { days_left, .. }) => *days_left,
            Err(_) => None,
        };
        attempt.saw_certificate(days_left);
        // Where a redirect leads is not the user's to renew.
        if let Some(days_left) = days_left.filter(|_| self.hop.is_trusted()) {
            self.net.expiry.note(|| self.shown(), days_left, attempt.since());
        }
        self.request(secured?, started, attempt).await
    }

    fn shown(&self) -> Shown {
        Shown { host: self.hop.connect_to.clone(), port: self.hop.port, name: self.hop.tls_name.clone() }
    }

    /// Up to the head of the answer; the connection was begun when it `started`.
    async fn request<S>(&self, stream: S, started: Instant, attempt: &mut Attempt<'_>) -> Result<Answer<S>, Fault>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut buffer = exchange::empty(attempt.room);
        self.hop.request(self.ask, &self.net.user_agent(self.target), &mut buffer);
        let answer = exchange::ask(stream, buffer, self.hop.method, attempt).await?;
        attempt.response_code = Some(answer.status.as_u16());
        attempt.rtt = Some(attempt.since() - started);
        Ok(answer)
    }

    async fn judge<S: AsyncRead + Unpin>(&self, answer: Answer<S>, attempt: &mut Attempt<'_>) -> Result<Option<Box<Elsewhere>>, Fault> {
        if self.ask.follow_redirects && redirects(answer.status) {
            let (status, location) = answer.leads();
            return self.hop.next(status, location.as_ref()).map(|elsewhere| Some(Box::new(elsewhere)));
        }
        judge(self.ask, answer, attempt).await.map(|()| None)
    }
}

async fn judge<S: AsyncRead + Unpin>(ask: &HttpAsk, answer: Answer<S>, attempt: &mut Attempt<'_>) -> Result<(), Fault> {
    let code = answer.status.as_u16();
    if !ask.codes.matches(code) {
        return Err(Fault::Code(code));
    }
    let Some(needle) = &ask.needle else {
        answer.give_back(attempt.room);
        return Ok(());
    };
    // Boxed, so that the many whose bodies nobody asks about do not hold the room for one.
    let mut searching = Box::pin(search(needle, answer));
    attempt.within(Phase::Body, searching.as_mut()).await
}

/// Reads a body as far as it has to.
async fn search<S: AsyncRead + Unpin>(needle: &str, mut answer: Answer<S>) -> Result<(), Fault> {
    let mut window = Window::new(needle);
    while !window.is_decided() {
        match answer.chunk().await? {
            Some(bytes) => window.push(bytes),
            None => window.end(),
        }
    }
    if window.found() { Ok(()) } else { Err(Fault::Body) }
}
