use quorate_core::check::{Check, Probe};
use quorate_core::failure::FailureReason as R;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use super::checks::tcp_check;
use super::server::{Server, hold};
use super::{Finding, Outcome, Phase, ask, failed, impatient, prober};

const GREETING: &str = "220 mail.example ESMTP\r\n";
const HELLO: &str = "250 hello\r\n";
const HEALTHY: &[&str] = &[GREETING, HELLO, "221 bye\r\n"];

/// A mail server that says its next line whenever it has heard one, the first at once, and then
/// waits for the peer to go. What it heard is told.
async fn server(replies: &'static [&'static str], on: &str) -> (Server, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let (sender, heard) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::start_on(on, move |stream| {
        let sender = sender.clone();
        async move {
            let mut stream = BufReader::new(stream);
            for reply in replies {
                if stream.write_all(reply.as_bytes()).await.is_err() {
                    return;
                }
                let mut line = String::new();
                if stream.read_line(&mut line).await.is_err() || line.is_empty() {
                    return;
                }
                sender.send(line).expect("the test listens");
            }
            hold(stream.into_inner()).await;
        }
    })
    .await;
    (server, heard)
}

/// Says these, and hears a line after each that is one; then resets the connection.
async fn resetting_after(replies: &'static [&'static str]) -> Server {
    Server::start(move |stream| async move {
        let mut stream = BufReader::new(stream);
        for reply in replies {
            stream.write_all(reply.as_bytes()).await.expect("the probe listens");
            if reply.ends_with('\n') {
                assert!(stream.read_line(&mut String::new()).await.is_ok());
            }
        }
        socket2::SockRef::from(stream.get_ref()).set_linger(Some(std::time::Duration::ZERO)).expect("a socket");
    })
    .await
}

fn check(server: &Server) -> Check {
    Check { probe: Probe::Smtp, ..tcp_check(&server.address.ip().to_string(), server.address.port()) }
}

async fn finds(replies: &'static [&'static str]) -> Outcome {
    let (server, _heard) = server(replies, "127.0.0.1:0").await;
    ask(&prober(|_| {}), &Check { retries: 1, ..impatient(check(&server)) }).await
}

#[tokio::test]
async fn a_mail_server_that_greets_answers_and_says_goodbye_passes() {
    for (on, literal) in [("127.0.0.1:0", "[127.0.0.1]"), ("[::1]:0", "[IPv6:::1]")] {
        let (server, mut heard) = server(HEALTHY, on).await;
        let outcome = ask(&prober(|_| {}), &check(&server)).await;
        assert_eq!((outcome.finding, outcome.response_code, outcome.attempts), (Finding::Passed, Some(221), 1));
        assert_eq!(heard.recv().await, Some(format!("HELO {literal}\r\n")));
        assert_eq!(heard.recv().await.as_deref(), Some("QUIT\r\n"));
        let (rtt, phases) = (outcome.rtt.expect("greeted"), outcome.phases);
        assert!(rtt >= phases.of(Phase::Connect).expect("connected") && phases.of(Phase::Dialog).is_some(), "{outcome:?}");
    }
}

#[tokio::test]
async fn replies_of_several_lines_and_in_several_packets_are_one() {
    let replies = &["220-mail.example\r\n220-no spam\r\n220 ready\r\n", "250-mail.example\r\n250 SIZE\r\n", "221 bye\r\n"];
    assert_eq!(finds(replies).await.finding, Finding::Passed);
    let server = Server::start(|mut stream| async move {
        for byte in HEALTHY.concat().as_bytes() {
            // All at once is no dialog, and still the right answers in the right order.
            if stream.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::task::yield_now().await;
        }
        hold(stream).await;
    })
    .await;
    assert_eq!(ask(&prober(|_| {}), &check(&server)).await.finding, Finding::Passed);
}

#[tokio::test]
async fn an_offer_of_tls_is_not_taken_up() {
    let replies = &[GREETING, "250-mail.example\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n", "221 bye\r\n"];
    let (server, mut heard) = server(replies, "127.0.0.1:0").await;
    assert_eq!(ask(&prober(|_| {}), &check(&server)).await.finding, Finding::Passed);
    drop(server);
    let mut said = Vec::new();
    while let Some(line) = heard.recv().await {
        said.push(line);
    }
    assert_eq!(said, ["HELO [127.0.0.1]\r\n", "QUIT\r\n"]);
}

#[tokio::test]
async fn another_code_is_a_mismatch_and_is_told() {
    for (replies, code) in [
        (&["554 no service\r\n"][..], 554),
        (&["421-busy\r\n421 later\r\n"], 421),
        (&[GREETING, "501 who\r\n"], 501),
        (&[GREETING, HELLO, "500 what\r\n"], 500),
        (&[GREETING, "220 again\r\n"], 220),
    ] {
        let outcome = finds(replies).await;
        assert_eq!((outcome.finding, outcome.response_code, outcome.attempts), (failed(R::ResponseCodeMismatch), Some(code), 1));
    }
}

#[tokio::test]
async fn silence_at_any_step_is_asked_again_and_has_no_reason_of_its_own() {
    for (replies, code) in
        [(&[""][..], None), (&["220 half a greet"], None), (&[GREETING, ""], Some(220)), (&[GREETING, HELLO, ""], Some(250))]
    {
        let outcome = finds(replies).await;
        assert_eq!((outcome.finding, outcome.response_code, outcome.attempts), (failed(R::OtherFailure), code, 2), "{replies:?}");
    }
}

#[tokio::test]
async fn what_is_no_mail_server_fails_at_once() {
    let (close, reset) = (
        Server::start(|mut stream| async move {
            stream.write_all(GREETING.as_bytes()).await.expect("the probe listens");
            // What it says is read first, or the close would be a reset.
            assert!(BufReader::new(&mut stream).read_line(&mut String::new()).await.is_ok());
        })
        .await,
        resetting_after(&[GREETING]).await,
    );
    let prober = prober(|_| {});
    let retrying = |server: &Server| Check { retries: 3, ..check(server) };
    for (name, outcome, reason) in [
        ("SSH", finds(&["SSH-2.0-OpenSSH_9.2\r\n"]).await, R::OtherFailure),
        ("two codes", finds(&["220-a\r\n250 b\r\n"]).await, R::OtherFailure),
        ("a close", ask(&prober, &retrying(&close)).await, R::OtherFailure),
        ("a reset", ask(&prober, &retrying(&reset)).await, R::ConnectionReset),
    ] {
        assert_eq!((outcome.finding, outcome.attempts), (failed(reason), 1), "{name}");
    }
    for replies in [&[][..], &["220 half a greet"], &[GREETING, HELLO]] {
        let server = resetting_after(replies).await;
        assert_eq!(ask(&prober, &check(&server)).await.finding, failed(R::ConnectionReset), "a reset after {replies:?}");
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let closed = Check { probe: Probe::Smtp, ..tcp_check("127.0.0.1", listener.local_addr().expect("bound").port()) };
    drop(listener);
    assert_eq!(ask(&prober, &closed).await.finding, failed(R::TcpConnectionFailed));
}

#[tokio::test]
async fn a_greeting_without_end_is_left() {
    let server = Server::start(|mut stream| async move { while stream.write_all(b"220-and another thing\r\n").await.is_ok() {} }).await;
    assert_eq!(ask(&prober(|_| {}), &check(&server)).await.finding, failed(R::OtherFailure));
}

#[tokio::test]
async fn a_greeting_that_trickles_does_not_move_the_deadline() {
    let server = Server::start(|mut stream| async move {
        let mut beat = tokio::time::interval(std::time::Duration::from_millis(10));
        while stream.write_all(b"2").await.is_ok() {
            beat.tick().await;
        }
    })
    .await;
    let check = impatient(check(&server));
    let started = std::time::Instant::now();
    assert_eq!(ask(&prober(|_| {}), &check).await.finding, failed(R::OtherFailure));
    assert!(started.elapsed() < 3 * check.timeout, "{:?}", started.elapsed());
}
