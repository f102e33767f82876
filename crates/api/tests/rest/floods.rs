//! Peers that mean no good, over raw sockets: the server refuses them, cuts them off, and goes on serving others.

use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use quorate_api::ServeLimits;
use rand::{Rng as _, RngExt as _};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::World;

/// Longer than any cut takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Frames of HTTP/2. Source: RFC 9113, section 6.
mod frame {
    pub(super) const HEADERS: u8 = 1;
    pub(super) const RST_STREAM: u8 = 3;
    pub(super) const SETTINGS: u8 = 4;
    pub(super) const PING: u8 = 6;
    pub(super) const GOAWAY: u8 = 7;
    pub(super) const CONTINUATION: u8 = 9;
    pub(super) const END_STREAM: u8 = 1;
    pub(super) const END_HEADERS: u8 = 4;

    pub(super) fn of(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).expect("a frame is short").to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    }
}

/// `GET / http` by the static table, and an authority. Source: RFC 7541, appendix A.
const GET_HEADERS: [u8; 6] = [0x82, 0x86, 0x84, 0x41, 0x01, b'x'];

/// A connection that has spoken its preface.
async fn http2(address: std::net::SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("connects");
    let preface = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame::of(frame::SETTINGS, 0, 0, &[])].concat();
    stream.write_all(&preface).await.expect("sends");
    stream
}

/// Sends until the server has had enough, and answers how many bytes it took and what it said meanwhile.
async fn flood(mut stream: TcpStream, mut next: impl FnMut(u32) -> Vec<u8>, bytes_max: usize) -> (usize, Vec<u8>) {
    let (mut sent, mut heard, mut buffer) = (0, Vec::new(), [0; 4096]);
    let work = async {
        for number in 0.. {
            let bytes = next(number);
            tokio::select! {
                biased;
                read = stream.read(&mut buffer) => match read {
                    Ok(0) | Err(_) => break,
                    Ok(count) => heard.extend_from_slice(&buffer[..count]),
                },
                () = std::future::ready(()) => {}
            }
            if sent >= bytes_max || stream.write_all(&bytes).await.is_err() {
                break;
            }
            sent += bytes.len();
        }
        // What it said before it closed.
        while let Ok(count) = stream.read(&mut buffer).await {
            if count == 0 {
                break;
            }
            heard.extend_from_slice(&buffer[..count]);
        }
    };
    tokio::time::timeout(PATIENCE, work).await.expect("the server closes");
    (sent, heard)
}

/// Whether a server's words hold a GOAWAY frame, whose last four bytes before its text are this error.
fn says_goaway(heard: &[u8], error: u32) -> bool {
    let mut rest = heard;
    while rest.len() >= 9 {
        let length = usize::from(rest[0]) << 16 | usize::from(rest[1]) << 8 | usize::from(rest[2]);
        let (kind, payload) = (rest[3], rest.get(9..9 + length).unwrap_or_default());
        if kind == frame::GOAWAY && payload.get(4..8) == Some(&error.to_be_bytes()) {
            return true;
        }
        rest = rest.get(9 + length..).unwrap_or_default();
    }
    false
}

/// RFC 9113, section 7.
const ENHANCE_YOUR_CALM: u32 = 0xb;

async fn serves_on(world: &World) {
    let answer = tokio::time::timeout(PATIENCE, world.send_raw("GET", "/healthz", &[], "")).await.expect("an answer");
    assert_eq!(answer.text, "ok\n");
}

#[tokio::test]
async fn rapid_resets_end_the_connection() {
    let world = World::start().await;
    let reset = |number: u32| {
        let stream = 2 * number + 1;
        let headers = frame::of(frame::HEADERS, frame::END_STREAM | frame::END_HEADERS, stream, &GET_HEADERS);
        [headers, frame::of(frame::RST_STREAM, 0, stream, &8_u32.to_be_bytes())].concat()
    };
    // Many at once, so that resets come before their requests are taken.
    let burst = |number: u32| (0..200).flat_map(|place| reset(number * 200 + place)).collect::<Vec<u8>>();
    let (sent, heard) = flood(http2(world.address).await, burst, 64 * 1024 * 1024).await;
    assert!(sent < 64 * 1024 * 1024, "{sent} bytes of resets were taken");
    assert!(says_goaway(&heard, ENHANCE_YOUR_CALM), "{} bytes heard", heard.len());
    serves_on(&world).await;
    world.end().await;
}

#[tokio::test]
async fn a_head_of_endless_continuations_ends_the_connection() {
    let world = World::start().await;
    // A literal header, never indexed, of 4 KiB: name "a", value of 4,000 bytes.
    let literal = [vec![0x10, 0x01, b'a', 0x7f, 0xa1, 0x1e], vec![b'x'; 4000]].concat();
    let next = |number: u32| match number {
        0 => frame::of(frame::HEADERS, 0, 1, &GET_HEADERS),
        _ => frame::of(frame::CONTINUATION, 0, 1, &literal),
    };
    let (sent, _) = flood(http2(world.address).await, next, 64 * 1024 * 1024).await;
    assert!(sent < 16 * 1024 * 1024, "{sent} bytes of one head were taken");
    serves_on(&world).await;
    world.end().await;
}

#[tokio::test]
async fn pings_and_settings_without_end_hold_nobody_up() {
    let world = World::start().await;
    let next = |number: u32| {
        if number.is_multiple_of(2) { frame::of(frame::PING, 0, 0, &[7; 8]) } else { frame::of(frame::SETTINGS, 0, 0, &[]) }
    };
    let mut noisy = http2(world.address).await;
    for number in 0..5_000 {
        // It may be cut off at any time.
        if noisy.write_all(&next(number)).await.is_err() {
            break;
        }
    }
    serves_on(&world).await;
    drop(noisy);
    serves_on(&world).await;
    world.end().await;
}

#[tokio::test]
async fn garbage_on_many_connections_leaves_the_server_up() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let mut peers = Vec::new();
    for number in 0..200_u32 {
        let address = world.address;
        peers.push(async move {
            let mut garbage = vec![0; rand::rng().random_range(1..4096)];
            rand::rng().fill_bytes(&mut garbage);
            let beginnings: [&[u8]; 6] = [
                b"",
                b"GET / HTTP/1.1\r\n",
                b"POST /client/v4/user HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\n",
                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                b"GET /client/v4/user HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
                b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            ];
            let mut stream = TcpStream::connect(address).await.expect("connects");
            // The server may close at any byte.
            let _ = stream.write_all(beginnings[number as usize % beginnings.len()]).await;
            let _ = stream.write_all(&garbage).await;
            let _ = stream.shutdown().await;
            let mut said = Vec::new();
            let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut said)).await.expect("the server closes");
            String::from_utf8_lossy(&said).into_owned()
        });
    }
    for said in futures_util::future::join_all(peers).await {
        assert!(!said.contains("HTTP/1.1 5"), "{said}");
    }
    serves_on(&world).await;
    world.ask(&tenant, "GET", &tenant.lb("pools"), None).await.result();
    world.end().await;
}

#[tokio::test]
async fn a_body_that_comes_by_the_byte_holds_up_nobody_else() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let mut slow = Vec::new();
    for _ in 0..50 {
        let mut stream = TcpStream::connect(world.address).await.expect("connects");
        let head = format!(
            "POST /client/v4{} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: 1000\r\n\r\n{{",
            tenant.lb("monitors"),
            tenant.secret
        );
        stream.write_all(head.as_bytes()).await.expect("sends");
        slow.push(stream);
    }
    // More than the database has connections for requests: none is taken before the body is there.
    for _ in 0..5 {
        let answer = tokio::time::timeout(PATIENCE, world.ask(&tenant, "GET", &tenant.lb("monitors"), None)).await.expect("an answer");
        assert_eq!(answer.result(), json!([]));
    }
    drop(slow);
    world.end().await;
}

#[tokio::test]
async fn streams_beyond_the_limit_are_refused_and_the_others_answered() {
    let limits = ServeLimits { streams_max: 4, ..ServeLimits::default() };
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let stop = tokio_util::sync::CancellationToken::new();
    let router = Router::new().route("/", get(std::future::pending::<()>)).route("/post", post(|| async { "never" }));
    let serving = tokio_util::task::TaskTracker::new();
    serving.spawn(quorate_api::serve(listener, router, ServeLimits { drain: Duration::from_millis(100), ..limits }, stop.clone()));
    serving.close();
    let mut client = http2(address).await;
    let open: Vec<u8> =
        (0..8).flat_map(|number| frame::of(frame::HEADERS, frame::END_STREAM | frame::END_HEADERS, 2 * number + 1, &GET_HEADERS)).collect();
    client.write_all(&open).await.expect("sends");
    let (mut heard, mut buffer) = (Vec::new(), [0; 4096]);
    let refused = async {
        loop {
            let count = client.read(&mut buffer).await.expect("the connection lives");
            assert!(count > 0, "the connection ended");
            heard.extend_from_slice(&buffer[..count]);
            // RST_STREAM of stream 9, the fifth: REFUSED_STREAM.
            if heard.windows(13).any(|window| window == frame::of(frame::RST_STREAM, 0, 9, &7_u32.to_be_bytes()).as_slice()) {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, refused).await.expect("the fifth stream is refused");
    stop.cancel();
    serving.wait().await;
}
