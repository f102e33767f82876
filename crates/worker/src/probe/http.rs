//! `http` and `https`: one request a hop, and its answer judged: code first, then body.

mod body;
mod exchange;
#[cfg(test)]
mod fuzz;
mod head;
mod hop;
mod window;

use std::net::SocketAddr;
use std::time::Duration;

use http::StatusCode;
use quorate_core::monitor::REDIRECTS_MAX;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Instant;

use self::exchange::Answer;
use self::hop::Hop;
use self::window::Window;
use super::Phase;
use super::attempt::Attempt;
use super::fault::Fault;
use super::net::Net;
use super::target::{HttpAsk, Target};
use super::tls::{Library, Peer, Secured};

pub(crate) use self::head::Malformed;
pub(super) use self::window::fold;

pub(super) async fn probe(net: &Net, target: &Target, ask: &HttpAsk, attempt: &mut Attempt) -> Result<(), Fault> {
    let mut hop = Hop::first(target, ask);
    for _hop in 0..=REDIRECTS_MAX {
        match exchange(net, target, ask, &hop, attempt).await? {
            None => return Ok(()),
            Some(further) => hop = further,
        }
    }
    Err(Fault::Redirect("more than ten"))
}

/// Whether a status sends the client elsewhere. 300 offers a choice and 304 speaks of a cache.
fn redirects(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// One hop, and its answer judged; where that leads elsewhere, the next one.
async fn exchange(net: &Net, target: &Target, ask: &HttpAsk, hop: &Hop, attempt: &mut Attempt) -> Result<Option<Hop>, Fault> {
    let address = SocketAddr::new(net.address(&hop.connect_to, attempt).await?, hop.port);
    let exchange = Exchange { net, target, ask, hop, address };
    // Boxed, so that what is not encrypted does not hold the room that TLS needs.
    if hop.tls { Box::pin(exchange.secured(attempt)).await } else { exchange.plain(attempt).await }
}

/// What a hop is, once it is known where it goes.
struct Exchange<'a> {
    net: &'a Net,
    target: &'a Target,
    ask: &'a HttpAsk,
    hop: &'a Hop,
    address: SocketAddr,
}

/// The time of a hop so far.
struct RoundTrip {
    connected_in: Duration,
    since_connect: Instant,
}

impl Exchange<'_> {
    async fn plain(self, attempt: &mut Attempt) -> Result<Option<Hop>, Fault> {
        let (stream, round_trip) = self.connect(attempt).await?;
        let answer = self.request(stream, &round_trip, attempt).await?;
        self.judge(answer, attempt).await
    }

    async fn secured(self, attempt: &mut Attempt) -> Result<Option<Hop>, Fault> {
        // What is the user's is not for a stranger, and what is remembered is of the origin.
        let zone = self.ask.zone.as_deref().filter(|_| self.hop.is_trusted());
        let memory = self.target.memory.as_ref().filter(|_| self.hop.is_trusted() && self.hop.port == self.target.port);
        let peer = Peer::new(&self.hop.tls_name, self.ask.allow_insecure, zone, memory);
        let library = self.net.tls.library(&peer);
        let answer = match self.secured_by(&peer, library, attempt).await {
            Err(fault) if library == Library::Modern && fault.is_of_a_secured_exchange() => {
                peer.needs_broad();
                self.secured_by(&peer, Library::Broad, attempt).await
            }
            done => done,
        };
        self.judge(answer?, attempt).await
    }

    async fn secured_by(&self, peer: &Peer<'_>, library: Library, attempt: &mut Attempt) -> Result<Answer<Secured<TcpStream>>, Fault> {
        let (stream, round_trip) = self.connect(attempt).await?;
        // The request follows the end of the handshake and must not wait until that is acknowledged.
        stream.set_nodelay(true).map_err(Fault::Socket)?;
        let secured = attempt.within(Phase::Tls, self.net.tls.handshake(stream, peer, library)).await;
        if let Err(Fault::Deadline(_)) = secured {
            peer.needs_broad();
        }
        let secured = secured?;
        attempt.certificate_days_left = attempt.certificate_days_left.into_iter().chain(secured.certificate_days_left).min();
        self.request(secured, &round_trip, attempt).await
    }

    async fn connect(&self, attempt: &mut Attempt) -> Result<(TcpStream, RoundTrip), Fault> {
        let connected_before = attempt.phases.connect.unwrap_or_default();
        let stream = self.net.connect_to(self.address, attempt).await?;
        // The phases add up all hops; the round trip is this one's.
        let connected_in = attempt.phases.connect.unwrap_or_default().saturating_sub(connected_before);
        Ok((stream, RoundTrip { connected_in, since_connect: Instant::now() }))
    }

    /// Up to the head of the answer.
    async fn request<S>(&self, stream: S, round_trip: &RoundTrip, attempt: &mut Attempt) -> Result<Answer<S>, Fault>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let request = self.hop.request(self.ask, &self.net.user_agent(self.target));
        let answer = exchange::ask(stream, request, self.hop.method(), attempt).await?;
        attempt.response_code = Some(answer.status.as_u16());
        attempt.rtt = Some(round_trip.connected_in + round_trip.since_connect.elapsed());
        Ok(answer)
    }

    async fn judge<S: AsyncRead + Unpin>(&self, answer: Answer<S>, attempt: &mut Attempt) -> Result<Option<Hop>, Fault> {
        if self.ask.follow_redirects && redirects(answer.status) {
            return self.hop.next(answer.status, answer.location.as_ref()).map(Some);
        }
        judge(self.ask, answer, attempt).await.map(|()| None)
    }
}

async fn judge<S: AsyncRead + Unpin>(ask: &HttpAsk, mut answer: Answer<S>, attempt: &mut Attempt) -> Result<(), Fault> {
    let code = answer.status.as_u16();
    if !ask.codes.matches(code) {
        return Err(Fault::Code(code));
    }
    // A body that nobody asks about is not read.
    let Some(needle) = &ask.needle else { return Ok(()) };
    let mut window = Window::new(needle);
    let found = attempt.within(Phase::Body, async {
        while !window.is_decided() {
            match answer.chunk().await? {
                Some(bytes) => window.push(bytes),
                None => window.end(),
            }
        }
        Ok(window.found())
    });
    if found.await? { Ok(()) } else { Err(Fault::Body) }
}
