//! A second opinion on what is HTTP: the same bytes, in the same pieces, to our reader and to hyper's.
//! Both find the same status and the same text in the body, or both find no HTTP.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use quorate_core::check::Check;
use quorate_core::failure::FailureReason as R;
use quorate_core::monitor::BODY_BYTES_MAX;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::checks::http_check;
use super::fuzz::attack;
use super::server::{Server, hold};
use super::{Finding, ask, prober};
use crate::probe::http::fold;

/// Bytes of a head that are read before it is given up.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Cuts of one answer.
const CUTS_MAX: u64 = 4;

/// What a reader makes of an answer.
#[derive(Debug, PartialEq, Eq)]
enum Opinion {
    NoHttp,
    /// Another status than 200 to 299: nobody asks about the body.
    Refused(u16),
    /// Whether the body holds `ok`.
    Answered(u16, bool),
}

#[test]
fn our_reader_and_hypers_are_of_one_opinion() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let said: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
    let pieces = said.clone();
    let server = runtime.block_on(Server::start(move |stream| say(stream, pieces.lock().expect("no panic").clone())));
    let check = http_check("127.0.0.1", server.address.port(), |ask| {
        ask.expected_codes = "2xx".to_owned();
        ask.expected_body = "ok".to_owned();
    });
    // Nothing here is waited for: a busy machine must not make a difference.
    let check = Check { timeout: Duration::from_mins(1), ..check };
    let prober = prober(|_| {});
    attack("answer", |bytes| {
        let pieces = cut(bytes);
        said.lock().expect("no panic").clone_from(&pieces);
        let (ours, hypers) = runtime.block_on(async {
            let outcome = ask(&prober, &check).await;
            let code = outcome.response_code.unwrap_or_default();
            let ours = match outcome.finding {
                Finding::Passed => Opinion::Answered(code, true),
                Finding::Failed(R::ResponseBodyMismatch) => Opinion::Answered(code, false),
                Finding::Failed(R::ResponseCodeMismatch) => Opinion::Refused(code),
                Finding::Failed(R::HttpInvalidResponse) => Opinion::NoHttp,
                other => panic!("{other:?} of {:?}", String::from_utf8_lossy(bytes)),
            };
            (ours, second_opinion(server.address).await)
        });
        assert_eq!(ours, hypers, "ours and hyper's of {:?}", pieces.iter().map(|piece| String::from_utf8_lossy(piece)).collect::<Vec<_>>());
    });
}

/// Reads a request, sends these pieces one by one, ends, and waits for the peer to go.
async fn say(mut stream: TcpStream, pieces: Vec<Vec<u8>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if !stream.read_buf(&mut head).await.is_ok_and(|bytes| bytes > 0) {
            return;
        }
    }
    stream.set_nodelay(true).expect("a socket");
    for piece in pieces {
        // The reader may have seen enough and gone.
        if stream.write_all(&piece).await.is_err() {
            return;
        }
        tokio::task::yield_now().await;
    }
    if stream.shutdown().await.is_ok() {
        hold(stream).await;
    }
}

/// In up to five pieces, the same for the same bytes.
fn cut(bytes: &[u8]) -> Vec<Vec<u8>> {
    let number = |salt: u64| {
        let mut hasher = DefaultHasher::new();
        (bytes, salt).hash(&mut hasher);
        hasher.finish()
    };
    let place = |cut: u64| usize::try_from(number(cut) % (bytes.len() as u64 + 1)).expect("below a length");
    let mut places: Vec<usize> = (1..=number(0) % (CUTS_MAX + 1)).map(place).chain([0, bytes.len()]).collect();
    places.sort_unstable();
    places.windows(2).map(|ends| bytes[ends[0]..ends[1]].to_vec()).filter(|piece| !piece.is_empty()).collect()
}

async fn second_opinion(address: SocketAddr) -> Opinion {
    read_by_hyper(address).await.unwrap_or(Opinion::NoHttp)
}

async fn read_by_hyper(address: SocketAddr) -> Result<Opinion, hyper::Error> {
    let stream = TcpStream::connect(address).await.expect("our server listens");
    let (mut sender, connection) =
        http1::Builder::new().max_buf_size(HEAD_BYTES_MAX).max_header_size(HEAD_BYTES_MAX).handshake(TokioIo::new(stream)).await?;
    let asking = async move {
        let request = http::Request::get("/").header("host", "origin.example").body(Empty::<Bytes>::new()).expect("a request");
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        if !status.is_success() {
            return Ok(Opinion::Refused(status.as_u16()));
        }
        let mut body = answer.into_body();
        let mut window = Vec::new();
        let holds = |window: &[u8]| fold(&String::from_utf8_lossy(window)).contains("ok");
        while !holds(&window) && window.len() < BODY_BYTES_MAX {
            let Some(frame) = body.frame().await else { break };
            if let Ok(bytes) = frame?.into_data() {
                window.extend_from_slice(&bytes[..bytes.len().min(BODY_BYTES_MAX - window.len())]);
            }
        }
        Ok(Opinion::Answered(status.as_u16(), holds(&window)))
    };
    // What ends the connection is told to whoever asks.
    let (_connection, opinion) = tokio::join!(async { connection.await.ok() }, asking);
    opinion
}
