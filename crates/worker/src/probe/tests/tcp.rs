use std::time::Instant;

use quorate_core::address_policy::AddressPolicy;
use quorate_core::check::Check;
use quorate_core::failure::FailureReason as R;
use socket2::{Domain, Socket, Type};
use tokio::net::TcpListener;

use super::checks::tcp_check;
use super::server::{Server, hold};
use super::{Finding, Phase, ask, failed, find, impatient, prober};

#[tokio::test]
async fn an_open_port_passes_and_its_handshake_is_the_round_trip() {
    let server = Server::silent().await;
    let outcome = ask(&prober(|_| {}), &tcp_check("127.0.0.1", server.address.port())).await;
    assert_eq!((outcome.finding, outcome.attempts, outcome.response_code), (Finding::Passed, 1, None));
    assert!(outcome.rtt.is_some() && outcome.rtt == outcome.phases.of(Phase::Connect), "{outcome:?}");
    assert_eq!((outcome.phases.of(Phase::Resolve), outcome.phases.of(Phase::Tls)), (None, None));
}

#[tokio::test]
async fn a_port_that_resets_what_it_has_accepted_is_open() {
    let server = Server::start(|stream| async move {
        socket2::SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO)).expect("a socket");
    })
    .await;
    // Whether the reset comes before or after the probe looks is chance.
    for _ in 0..200 {
        assert_eq!(find(&tcp_check("127.0.0.1", server.address.port())).await, Finding::Passed);
    }
}

#[tokio::test]
async fn a_refusal_is_an_answer_and_not_asked_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    drop(listener);
    let outcome = ask(&prober(|_| {}), &Check { retries: 3, ..tcp_check("127.0.0.1", port) }).await;
    assert_eq!((outcome.finding, outcome.attempts, outcome.rtt), (failed(R::TcpConnectionFailed), 1, None));
}

/// A listener that drops every SYN, since its backlog is full; it lasts as long as what is returned.
async fn dropping_syns() -> (u16, Socket, Vec<tokio::net::TcpStream>) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().expect("an address").into()).expect("a port");
    socket.listen(0).expect("a listener");
    let address = socket.local_addr().expect("bound").as_socket().expect("an address");
    let mut fillers = Vec::new();
    // One more than fits hangs.
    while let Ok(filler) = tokio::time::timeout(std::time::Duration::from_millis(300), tokio::net::TcpStream::connect(address)).await {
        fillers.push(filler.expect("no refusal"));
    }
    (address.port(), socket, fillers)
}

#[tokio::test]
async fn silence_is_a_time_out_and_asked_again_at_once() {
    let (port, _socket, _fillers) = dropping_syns().await;
    let check = Check { retries: 2, ..impatient(tcp_check("127.0.0.1", port)) };
    let prober = prober(|_| {});
    let started = Instant::now();
    let outcome = ask(&prober, &check).await;
    let took = started.elapsed();
    assert_eq!((outcome.finding, outcome.attempts, outcome.rtt), (failed(R::TcpTimeout), 3, None));
    assert!(took >= 3 * check.timeout && took < 6 * check.timeout, "three attempts of one timeout each: {took:?}");
}

#[tokio::test]
async fn an_address_that_may_not_be_probed_is_not() {
    for address in ["10.0.0.1", "169.254.169.254", "192.168.1.1", "::ffff:10.0.0.1", "fe80::1", "0.0.0.0"] {
        assert_eq!(find(&tcp_check(address, 80)).await, failed(R::DnsInternal), "{address}");
    }
    let server = Server::silent().await;
    let strict = prober(|config| config.address_policy = AddressPolicy::default());
    assert_eq!(ask(&strict, &tcp_check("127.0.0.1", server.address.port())).await.finding, failed(R::DnsInternal));
    let reckless = prober(|config| {
        let all = ["0.0.0.0/0", "::/0"].map(|range| range.parse().expect("a range"));
        config.address_policy = AddressPolicy::new(all.to_vec());
    });
    assert_eq!(ask(&reckless, &tcp_check("169.254.169.254", 80)).await.finding, failed(R::DnsInternal));
    assert_eq!(server.came(), 0);
}

#[tokio::test]
async fn a_probe_comes_from_the_source_address() {
    let (sender, mut peers) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::start(move |stream| {
        sender.send(stream.peer_addr().expect("connected").ip().to_string()).expect("the test listens");
        hold(stream)
    })
    .await;
    let check = tcp_check("127.0.0.1", server.address.port());
    let from = |address: &str| prober(|config| config.source_address = Some(address.parse().expect("an address")));
    assert_eq!(ask(&from("127.0.7.9"), &check).await.finding, Finding::Passed);
    assert_eq!(peers.recv().await.as_deref(), Some("127.0.7.9"));
    assert_eq!(ask(&from("::1"), &check).await.finding, Finding::Passed, "an IPv6 source is not for IPv4 targets");
    assert_eq!(peers.recv().await.as_deref(), Some("127.0.0.1"));
    // Not an address of this host: our trouble, not the origin's.
    assert_eq!(ask(&from("192.0.2.1"), &check).await.finding, Finding::Abstained(R::OtherFailure));
}
