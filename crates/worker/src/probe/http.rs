//! `http` and `https`: one request a hop, and its answer judged: code first, then body.

mod exchange;
#[cfg(test)]
mod fuzz;
mod hop;
mod meter;
mod window;

use std::net::SocketAddr;

use http::StatusCode;
use http::header::LOCATION;
use quorate_core::monitor::REDIRECTS_MAX;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use self::exchange::{Answer, Exchange};
use self::hop::Hop;
use self::window::Window;
use super::Phase;
use super::attempt::Attempt;
use super::fault::Fault;
use super::net::Net;
use super::target::{HttpAsk, Target};
use super::tls::{Library, Peer};

pub(super) use self::window::fold;

/// What carries an exchange: TCP, or TLS over it.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

pub(super) async fn probe(net: &Net, target: &Target, ask: &HttpAsk, attempt: &mut Attempt) -> Result<(), Fault> {
    let mut hop = Hop::first(target, ask);
    for _ in 0..=REDIRECTS_MAX {
        let answer = request(net, target, ask, &hop, attempt).await?;
        if ask.follow_redirects && redirects(answer.status) {
            hop = hop.next(answer.status, answer.headers.get(LOCATION))?;
            continue;
        }
        return judge(ask, answer, attempt).await;
    }
    Err(Fault::Redirect("more than ten"))
}

/// Whether a status sends the client elsewhere. 300 offers a choice and 304 speaks of a cache.
fn redirects(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// One hop, up to the head of its answer.
async fn request(net: &Net, target: &Target, ask: &HttpAsk, hop: &Hop, attempt: &mut Attempt) -> Result<Answer, Fault> {
    let address = SocketAddr::new(net.address(&hop.connect_to, attempt).await?, hop.port);
    if !hop.tls {
        return request_by(None, net, target, ask, hop, address, attempt).await;
    }
    // What is the user's is not for a stranger, and what is remembered is of the origin.
    let zone = ask.zone.as_deref().filter(|_| hop.is_trusted());
    let memory = target.memory.as_ref().filter(|_| hop.is_trusted() && hop.port == target.port);
    let peer = Peer::new(&hop.tls_name, ask.allow_insecure, zone, memory);
    let library = net.tls.library(&peer);
    match request_by(Some((&peer, library)), net, target, ask, hop, address, attempt).await {
        Err(fault) if library == Library::Modern && fault.is_of_a_secured_exchange() => {
            peer.needs_broad();
            request_by(Some((&peer, Library::Broad)), net, target, ask, hop, address, attempt).await
        }
        done => done,
    }
}

/// One hop over a connection of its own, secured by a library or not at all.
async fn request_by(
    secured: Option<(&Peer<'_>, Library)>,
    net: &Net,
    target: &Target,
    ask: &HttpAsk,
    hop: &Hop,
    address: SocketAddr,
    attempt: &mut Attempt,
) -> Result<Answer, Fault> {
    let connected_before = attempt.phases.connect.unwrap_or_default();
    let stream = net.connect_to(address, attempt).await?;
    // The phases add up all hops; the round trip is this one's.
    let connected_in = attempt.phases.connect.unwrap_or_default().saturating_sub(connected_before);
    let since_connect = Instant::now();
    let stream: Box<dyn Stream> = match secured {
        None => Box::new(stream),
        Some((peer, library)) => {
            let secured = attempt.within(Phase::Tls, net.tls.handshake(stream, peer, library)).await;
            if let Err(Fault::Deadline(_)) = secured {
                peer.needs_broad();
            }
            let secured = secured?;
            attempt.certificate_days_left = attempt.certificate_days_left.into_iter().chain(secured.certificate_days_left).min();
            Box::new(secured)
        }
    };
    let started = Instant::now();
    let (exchange, meter) = Exchange::new(stream);
    let request = hop.request(ask, net.user_agent(target));
    let answer = attempt.within(Phase::Headers, exchange.ask(request)).await;
    if let Some(written) = meter.written() {
        let writing = written.duration_since(started);
        attempt.phases.add(Phase::Request, writing);
        attempt.phases.headers = attempt.phases.headers.map(|both| both.saturating_sub(writing));
    }
    let answer = answer?;
    attempt.response_code = Some(answer.status.as_u16());
    attempt.rtt = Some(connected_in + since_connect.elapsed());
    Ok(answer)
}

async fn judge(ask: &HttpAsk, mut answer: Answer, attempt: &mut Attempt) -> Result<(), Fault> {
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
                Some(bytes) => window.push(&bytes),
                None => window.end(),
            }
        }
        Ok(window.found())
    });
    if found.await? { Ok(()) } else { Err(Fault::Body) }
}
