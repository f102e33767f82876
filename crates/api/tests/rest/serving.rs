//! The listener: probes of the process itself, slow and oversized heads, an orderly end.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use quorate_api::ServeLimits;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::world::World;

/// A server of one router, with what stops it and what waits for its end.
async fn serve(router: Router, limits: ServeLimits) -> (std::net::SocketAddr, CancellationToken, TaskTracker) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (stop, tracker) = (CancellationToken::new(), TaskTracker::new());
    tracker.spawn(quorate_api::serve(listener, router, limits, stop.clone()));
    tracker.close();
    (address, stop, tracker)
}

/// Everything that the peer sends until it closes.
async fn read_all(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset ends the reading as well as an orderly end does.
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Reads until the peer has sent `end`.
async fn read_until(stream: &mut TcpStream, end: &str) {
    let mut heard = Vec::new();
    while !heard.ends_with(end.as_bytes()) {
        heard.push(stream.read_u8().await.expect("the peer goes on"));
    }
}

#[tokio::test]
async fn the_process_tells_of_itself_outside_the_api() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    let get = |path: &'static str| world.send_raw("GET", path, &[], "");
    assert_eq!((get("/healthz").await.status, get("/healthz").await.text), (200, "ok\n".to_owned()));
    assert_eq!((get("/readyz").await.status, get("/metrics").await.text), (200, "quorate_up 1\n".to_owned()));
    world.ready.store(false, Ordering::SeqCst);
    let unready = get("/readyz").await;
    assert_eq!((unready.status, unready.text), (503, "not yet\n".to_owned()));
    world.ask(&tenant, "GET", "/user", None).await.result();
    world.end().await;
}

#[tokio::test]
async fn a_database_that_went_away_is_a_service_failure_in_the_envelope() {
    let world = World::start().await;
    let tenant = world.tenant("example.com").await;
    world.ask(&tenant, "GET", "/user", None).await.result();
    world.db.close().await;
    let refused = world.ask(&tenant, "GET", &tenant.lb("pools"), None).await.refused();
    assert_eq!(refused, (503, json!([{"code": 10_503, "message": "service failure"}])));
    world.end().await;
}

#[tokio::test]
async fn a_head_that_never_ends_is_cut_off() {
    let limits = ServeLimits { header_timeout: Duration::from_millis(200), ..ServeLimits::default() };
    let (address, stop, tracker) = serve(Router::new().route("/", get(|| async { "hello" })), limits).await;
    let mut slow = TcpStream::connect(address).await.expect("connects");
    slow.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nx-").await.expect("sends");
    let began = Instant::now();
    let answer = tokio::time::timeout(Duration::from_secs(5), read_all(&mut slow)).await.expect("the server closes");
    assert!(!answer.contains("hello") && began.elapsed() >= Duration::from_millis(150), "{answer} after {:?}", began.elapsed());
    stop.cancel();
    tracker.wait().await;
}

#[tokio::test]
async fn a_peer_that_says_nothing_or_half_a_preface_gives_its_place_back() {
    let limits = ServeLimits { header_timeout: Duration::from_millis(200), connections_max: 2, ..ServeLimits::default() };
    let (address, stop, tracker) = serve(Router::new().route("/", get(|| async { "hello" })), limits).await;
    let mut silent = TcpStream::connect(address).await.expect("connects");
    let mut halting = TcpStream::connect(address).await.expect("connects");
    halting.write_all(b"PRI * HT").await.expect("sends");
    let mut client = TcpStream::connect(address).await.expect("the system queues it");
    client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.expect("sends");
    let answer = tokio::time::timeout(Duration::from_secs(5), read_all(&mut client)).await.expect("its turn comes");
    assert!(answer.ends_with("hello"), "{answer}");
    for idle in [&mut silent, &mut halting] {
        assert_eq!(tokio::time::timeout(Duration::from_secs(5), read_all(idle)).await.expect("the server closes"), "");
    }
    stop.cancel();
    tracker.wait().await;
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let (address, stop, tracker) = serve(Router::new().route("/", get(|| async { "hello" })), ServeLimits::default()).await;
    let mut large = TcpStream::connect(address).await.expect("connects");
    let head = format!("GET / HTTP/1.1\r\nhost: x\r\nx-large: {}\r\n\r\n", "x".repeat(64 * 1024));
    // The server may close before it has read all of it.
    let _ = large.write_all(head.as_bytes()).await;
    let answer = tokio::time::timeout(Duration::from_secs(5), read_all(&mut large)).await.expect("the server closes");
    assert!(!answer.contains("hello"), "{answer}");
    stop.cancel();
    tracker.wait().await;
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_their_turn() {
    let limits = ServeLimits { connections_max: 1, ..ServeLimits::default() };
    let (address, stop, tracker) = serve(Router::new().route("/", get(|| async { "hello" })), limits).await;
    let request = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let first = TcpStream::connect(address).await.expect("connects");
    let mut second = TcpStream::connect(address).await.expect("the system queues it");
    second.write_all(request).await.expect("sends");
    let early = tokio::time::timeout(Duration::from_millis(200), second.readable()).await;
    assert!(early.is_err(), "served although the only place was taken");
    drop(first);
    let answer = tokio::time::timeout(Duration::from_secs(5), read_all(&mut second)).await.expect("its turn comes");
    assert!(answer.ends_with("hello"), "{answer}");
    stop.cancel();
    tracker.wait().await;
}

#[tokio::test]
async fn one_connection_too_many_of_an_address_is_told_so_and_the_others_go_on() {
    let limits = ServeLimits { connections_per_address_max: 1, ..ServeLimits::default() };
    let (address, stop, tracker) = serve(Router::new().route("/", get(|| async { "hello" })), limits.clone()).await;
    let mut first = TcpStream::connect(address).await.expect("connects");
    let request = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
    first.write_all(request).await.expect("sends");
    read_until(&mut first, "hello").await;

    let mut second = TcpStream::connect(address).await.expect("connects");
    second.write_all(request).await.expect("sends");
    let refused = tokio::time::timeout(Duration::from_secs(5), read_all(&mut second)).await.expect("it is closed after the answer");
    let (head, body) = refused.split_once("\r\n\r\n").expect("an answer");
    assert!(head.starts_with("HTTP/1.1 429 ") && head.contains("\r\nretry-after: 1") && head.contains("\r\nconnection: close"), "{head}");
    let error = json!({"code": 971, "message": "Please wait and consider throttling your request speed"});
    let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(body, json!({"success": false, "errors": [error], "messages": [], "result": null}));

    first.write_all(request).await.expect("sends");
    read_until(&mut first, "hello").await;
    drop(first);
    let served = async {
        loop {
            let mut third = TcpStream::connect(address).await.expect("connects");
            third.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.expect("sends");
            if read_all(&mut third).await.ends_with("hello") {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(5), served).await.expect("its place is free again");
    stop.cancel();
    tracker.wait().await;

    // A proxy comes for many.
    let limits = ServeLimits { unlimited_addresses: vec!["127.0.0.0/8".parse().expect("a range")], ..limits };
    let (address, stop, tracker) = serve(Router::new().route("/", get(|| async { "hello" })), limits).await;
    let _first = TcpStream::connect(address).await.expect("connects");
    let mut second = TcpStream::connect(address).await.expect("connects");
    second.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.expect("sends");
    assert!(read_all(&mut second).await.ends_with("hello"));
    stop.cancel();
    tracker.wait().await;
}

#[tokio::test]
async fn a_stop_lets_a_begun_request_end_and_takes_no_new_one() {
    let (began, mut seen) = mpsc::channel(1);
    let go = CancellationToken::new();
    let gate = go.clone();
    let slow = get(move || {
        let (began, gate) = (began.clone(), gate.clone());
        async move {
            began.send(()).await.expect("the test listens");
            gate.cancelled().await;
            "finished"
        }
    });
    let (address, stop, tracker) = serve(Router::new().route("/", slow), ServeLimits::default()).await;
    let mut client = TcpStream::connect(address).await.expect("connects");
    client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("sends");
    seen.recv().await.expect("the request has begun");
    stop.cancel();
    let closed = async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), closed).await.expect("the listener closes at once");
    go.cancel();
    let answer = tokio::time::timeout(Duration::from_secs(5), read_all(&mut client)).await.expect("the connection closes after it");
    assert!(answer.ends_with("finished"), "{answer}");
    tokio::time::timeout(Duration::from_secs(5), tracker.wait()).await.expect("the server ends");
}

#[tokio::test]
async fn a_stop_cuts_what_does_not_end_in_time() {
    let limits = ServeLimits { drain: Duration::from_millis(200), ..ServeLimits::default() };
    let (began, mut seen) = mpsc::channel(1);
    let forever = get(move || {
        let began = began.clone();
        async move {
            began.send(()).await.expect("the test listens");
            std::future::pending::<()>().await;
        }
    });
    let (address, stop, tracker) = serve(Router::new().route("/", forever), limits).await;
    let mut client = TcpStream::connect(address).await.expect("connects");
    client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("sends");
    seen.recv().await.expect("the request has begun");
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(2), tracker.wait()).await.expect("the server ends all the same");
}
