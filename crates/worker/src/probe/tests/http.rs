use std::time::{Duration, Instant};

use quorate_core::check::{Check, HttpProbe};
use quorate_core::failure::FailureReason as R;
use tokio::io::AsyncWriteExt as _;

use super::checks::http_check;
use super::server::{Server, read_head, send};
use super::{Finding, Phase, Prober as _, Target, ask, failed, find, impatient, prober};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// `GET /` of the server where 200 is expected.
fn check(server: &Server, change: impl FnOnce(&mut HttpProbe)) -> Check {
    http_check("127.0.0.1", server.address.port(), change)
}

async fn finds(pieces: &'static [&'static str], change: impl FnOnce(&mut HttpProbe)) -> Finding {
    find(&check(&Server::answering(pieces).await, change)).await
}

#[tokio::test]
async fn an_expected_code_passes_and_every_phase_is_timed() {
    let server = Server::answering(&[OK]).await;
    let outcome = ask(&prober(|_| {}), &check(&server, |ask| ask.expected_body = "OK".to_owned())).await;
    assert_eq!((outcome.finding, outcome.response_code, outcome.attempts), (Finding::Passed, Some(200), 1));
    let phases = outcome.phases;
    assert!(
        [phases.of(Phase::Connect), phases.of(Phase::Request), phases.of(Phase::FirstByte), phases.of(Phase::Body)]
            .iter()
            .all(Option::is_some),
        "{phases:?}"
    );
    assert_eq!((phases.of(Phase::Resolve), phases.of(Phase::Tls), phases.of(Phase::Headers)), (None, None, None));
    let rtt = outcome.rtt.expect("an answer came");
    assert!(rtt >= phases.of(Phase::Connect).unwrap_or_default() + phases.of(Phase::FirstByte).unwrap_or_default(), "{rtt:?} {phases:?}");
}

#[tokio::test]
async fn a_probe_in_the_room_of_another_sends_and_reads_nothing_of_it() {
    let (sender, mut heads) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::start(move |mut stream| {
        let sender = sender.clone();
        async move {
            let head = read_head(&mut stream).await;
            // The first one gets a head that is larger than any that is kept room for.
            let filler = if head.contains("secret") { 5_000 } else { 0 };
            send(&mut stream, &[&format!("HTTP/1.1 200 OK\r\nX-Filler: {}\r\nContent-Length: 0\r\n\r\n", "x".repeat(filler))]).await;
            sender.send(head).expect("the test listens");
        }
    })
    .await;
    let with_secret = check(&server, |ask| ask.headers = vec![("Authorization".to_owned(), "secret".to_owned())]);
    let (prober, mut room) = (prober(|_| {}), Vec::new());
    for (check, is_large) in [(&with_secret, true), (&check(&server, |_| {}), false), (&check(&server, |_| {}), false)] {
        let target = Target::new(check).expect("runnable");
        assert_eq!(prober.probe(&target, &mut room).await.finding, Finding::Passed);
        let head = heads.recv().await.expect("a request");
        assert!(head.starts_with("GET / HTTP/1.1\r\n") && head.contains("secret") == is_large, "{head}");
        assert_eq!((room.capacity() == 0, room.capacity() <= 2_048), (is_large, true), "{}", room.capacity());
    }
}

#[tokio::test]
async fn the_request_says_who_asks_and_nothing_that_was_not_asked_for() {
    let (sender, mut heads) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::start(move |mut stream| {
        let sender = sender.clone();
        async move {
            sender.send(read_head(&mut stream).await).expect("the test listens");
            send(&mut stream, &[OK]).await;
        }
    })
    .await;
    let port = server.address.port();
    assert_eq!(find(&check(&server, |_| {})).await, Finding::Passed);
    let head = heads.recv().await.expect("a request");
    let version = concat!(env!("CARGO_PKG_VERSION_MAJOR"), ".", env!("CARGO_PKG_VERSION_MINOR"));
    assert_eq!(
        head,
        format!(
            "GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\
             User-Agent: Mozilla/5.0 (compatible; Quorate/{version}; +https://probes.example/; pool-id: abababababababab)\r\n\
             Connection: close\r\nAccept: */*\r\nAccept-Encoding: identity\r\n\r\n"
        )
    );
    let rich = check(&server, |ask| {
        ask.method = "POST".to_owned();
        ask.path = "/health?deep=1".to_owned();
        ask.host = Some("www.example.com".to_owned());
        ask.headers = [("X-App", "a"), ("X-App", "b"), ("Accept", "text/plain"), ("User-Agent", "me"), ("Connection", "keep-alive")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec();
    });
    assert_eq!(find(&rich).await, Finding::Passed);
    let head = heads.recv().await.expect("a request");
    assert!(head.starts_with("POST /health?deep=1 HTTP/1.1\r\n") && head.contains("\r\nHost: www.example.com\r\n"), "{head}");
    assert!(head.contains("\r\nX-App: a\r\nX-App: b\r\n") && head.contains("\r\nAccept: text/plain\r\n"), "{head}");
    assert!(
        head.contains("\r\nContent-Length: 0\r\n") && head.contains("; pool-id: ") && head.contains("\r\nConnection: close\r\n"),
        "{head}"
    );
    assert_eq!((head.matches("User-Agent").count(), head.matches("Connection").count()), (1, 1), "{head}");
}

#[tokio::test]
async fn another_code_is_a_mismatch_and_is_told() {
    let server = Server::answering(&["HTTP/1.1 503 Busy\r\n\r\nok"]).await;
    let outcome = ask(&prober(|_| {}), &check(&server, |ask| ask.expected_body = "ok".to_owned())).await;
    assert_eq!(
        (outcome.finding, outcome.response_code),
        (failed(R::ResponseCodeMismatch), Some(503)),
        "the code is judged before the body"
    );
    assert!(outcome.rtt.is_some());
    assert_eq!(finds(&["HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n"], |_| {}).await, failed(R::ResponseCodeMismatch));
    assert_eq!(finds(&["HTTP/1.1 503 Busy\r\n\r\n"], |ask| ask.expected_codes = "2xx,503".to_owned()).await, Finding::Passed);
    assert_eq!(finds(&["HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early\r\n\r\n", OK], |_| {}).await, Finding::Passed);
}

#[tokio::test]
async fn what_does_not_come_in_time_is_a_time_out() {
    let body = |ask: &mut HttpProbe| ask.expected_body = "ok".to_owned();
    for (name, server, change, phase) in [
        ("nothing", Server::silent().await, (|_| {}) as fn(&mut HttpProbe), Phase::FirstByte),
        ("half a head", Server::stalling_after("HTTP/1.1 200 OK\r\nContent-").await, |_| {}, Phase::Headers),
        ("interim answers only", Server::stalling_after("HTTP/1.1 100 Continue\r\n\r\n").await, |_| {}, Phase::Headers),
        ("half a body", Server::stalling_after("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\no").await, body, Phase::Body),
    ] {
        let outcome = ask(&prober(|_| {}), &Check { retries: 1, ..impatient(check(&server, change)) }).await;
        assert_eq!((outcome.finding, outcome.attempts), (failed(R::HttpTimeout), 2), "{name}");
        assert_eq!(outcome.phases.iter().last().map(|(last, _)| last), Some(phase), "{name}");
        assert_eq!(server.came(), 2, "{name}: asked again at once");
    }
    let server = Server::stalling_after("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n").await;
    assert_eq!(find(&impatient(check(&server, |_| {}))).await, Finding::Passed, "a body that nobody asks about is not waited for");
}

#[tokio::test]
async fn an_origin_that_trickles_does_not_move_the_deadline() {
    let trickle = |head: &'static str| {
        Server::start(move |mut stream| async move {
            read_head(&mut stream).await;
            send(&mut stream, &[head]).await;
            let mut beat = tokio::time::interval(Duration::from_millis(10));
            while stream.write_all(b"x").await.is_ok() {
                beat.tick().await;
            }
        })
    };
    for head in ["HTTP/1.1 200 OK\r\nX: ", "HTTP/1.1 200 OK\r\n\r\n"] {
        let server = trickle(head).await;
        let check = impatient(check(&server, |ask| ask.expected_body = "ok".to_owned()));
        let prober = prober(|_| {});
        let started = Instant::now();
        assert_eq!(ask(&prober, &check).await.finding, failed(R::HttpTimeout), "{head:?}");
        assert!(started.elapsed() < 3 * check.timeout, "{head:?} took {:?}", started.elapsed());
    }
}

#[tokio::test]
async fn the_body_is_searched_to_byte_10240_whatever_its_pieces_and_case() {
    let wanted = |ask: &mut HttpProbe| ask.expected_body = "All IS well".to_owned();
    assert_eq!(finds(&["HTTP/1.1 200 OK\r\n\r\n<p>aLL i", "S we", "ll"], wanted).await, Finding::Passed);
    assert_eq!(
        finds(&["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nall i\r\n", "6\r\ns well\r\n", "0\r\n\r\n"], wanted).await,
        Finding::Passed,
        "chunks are no part of the body"
    );
    assert_eq!(finds(&["HTTP/1.1 200 OK\r\n\r\nall is lost"], wanted).await, failed(R::ResponseBodyMismatch));
    assert_eq!(finds(&["HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"], wanted).await, failed(R::ResponseBodyMismatch));

    for (before, finding) in [(10_240 - 11, Finding::Passed), (10_240 - 10, failed(R::ResponseBodyMismatch))] {
        let server = Server::start(move |mut stream| async move {
            read_head(&mut stream).await;
            let body = format!("HTTP/1.1 200 OK\r\n\r\n{}all is well and goes on", ".".repeat(before));
            send(&mut stream, &[&body]).await;
        })
        .await;
        assert_eq!(find(&check(&server, wanted)).await, finding, "after {before} bytes");
    }
}

#[tokio::test]
async fn a_body_that_never_ends_is_left_at_the_window() {
    let server = Server::start(|mut stream| async move {
        read_head(&mut stream).await;
        send(&mut stream, &["HTTP/1.1 200 OK\r\n\r\n"]).await;
        while stream.write_all(&[b'.'; 4096]).await.is_ok() {}
    })
    .await;
    assert_eq!(find(&check(&server, |ask| ask.expected_body = "ok".to_owned())).await, failed(R::ResponseBodyMismatch));
}

#[tokio::test]
async fn what_is_no_http_is_invalid() {
    let body = |ask: &mut HttpProbe| ask.expected_body = "ok".to_owned();
    for (name, pieces) in [
        ("garbage", &["SSH-2.0-OpenSSH_9.2\r\n"][..]),
        ("nothing", &[]),
        ("the end within the head", &["HTTP/1.1 200 OK\r\nContent-Le"]),
        ("a bad status", &["HTTP/1.1 20 OK\r\n\r\n"]),
        ("a bad version", &["HTTP/9.9 200 OK\r\n\r\n"]),
        ("a bad header", &["HTTP/1.1 200 OK\r\nno colon\r\n\r\n"]),
        ("an alert of TLS", &["\x15\x03\x01\x00\x02\x02\x16"]),
        ("a bad length", &["HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n"]),
        ("a body that ends early", &["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nno"]),
        ("a bad chunk", &["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"]),
    ] {
        assert_eq!(finds(pieces, body).await, failed(R::HttpInvalidResponse), "{name}");
    }
    assert_eq!(finds(&["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"], body).await, Finding::Passed, "found before it ended early");
    let giant = Server::start(|mut stream| async move {
        read_head(&mut stream).await;
        send(&mut stream, &[&format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(16 * 1024))]).await;
    })
    .await;
    assert_eq!(find(&check(&giant, |_| {})).await, failed(R::HttpInvalidResponse), "a giant head");
    let many = Server::start(|mut stream| async move {
        read_head(&mut stream).await;
        send(&mut stream, &[&format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(101))]).await;
    })
    .await;
    assert_eq!(find(&check(&many, |_| {})).await, failed(R::HttpInvalidResponse), "more than 100 headers");
}

#[tokio::test]
async fn a_reset_is_a_reset_in_every_phase() {
    let body = |ask: &mut HttpProbe| ask.expected_body = "ok".to_owned();
    let at_once = Server::start(|stream| async move {
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("a socket");
    })
    .await;
    assert_eq!(find(&check(&at_once, body)).await, failed(R::ConnectionReset), "before the request");
    for sent in ["", "HTTP/1.1 200 OK\r\nX", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nn"] {
        let server = Server::resetting_after(sent).await;
        assert_eq!(find(&check(&server, body)).await, failed(R::ConnectionReset), "after {sent:?}");
    }
}

#[tokio::test]
async fn redirects_are_followed_ten_times_and_judged_at_the_end() {
    let follow = |ask: &mut HttpProbe| ask.follow_redirects = true;
    // `/n` leads to `/n-1`, and `/0` is there; `/inside/0` leads to a metadata service.
    let server = Server::start(|mut stream| async move {
        let head = read_head(&mut stream).await;
        let (folder, number) = head.split(' ').nth(1).and_then(|path| path.rsplit_once('/')).expect("a path");
        let next = match (folder, number.parse::<usize>().expect("a number").checked_sub(1)) {
            (folder, Some(next)) => Some(format!("{folder}/{next}")),
            ("/inside", None) => Some("http://169.254.169.254/".to_owned()),
            (_, None) => None,
        };
        let next = next.map(|next| format!("HTTP/1.1 307 Go\r\nLocation: {next}\r\n\r\n"));
        send(&mut stream, &[next.as_deref().unwrap_or(OK)]).await;
    })
    .await;
    let path = |path: &'static str| {
        check(&server, move |ask| {
            follow(ask);
            path.clone_into(&mut ask.path);
        })
    };
    assert_eq!(find(&path("/10")).await, Finding::Passed);
    assert_eq!(server.came(), 11);
    assert_eq!(find(&path("/inside/3")).await, failed(R::DnsInternal), "the fourth hop leads where nobody may");
    let outcome = ask(&prober(|_| {}), &path("/11")).await;
    assert_eq!((outcome.finding, outcome.response_code), (failed(R::HttpInvalidResponse), Some(307)));
    for (location, finding) in [
        ("Location: ftp://127.0.0.1/", failed(R::HttpInvalidResponse)),
        ("X: y", failed(R::HttpInvalidResponse)),
        ("Location: http://169.254.169.254/latest/meta-data/", failed(R::DnsInternal)),
        ("Location: http://[::ffff:a9fe:a9fe]/", failed(R::DnsInternal)),
        ("Location: http://2852039166/", failed(R::DnsInternal)),
        ("Location: http://0xa9fea9fe/", failed(R::DnsInternal)),
        ("Location: http://0251.0376.0251.0376/", failed(R::DnsInternal)),
        ("Location: http://169.254.43518/", failed(R::DnsInternal)),
        ("Location: http://%31%36%39.254.169.254/", failed(R::DnsInternal)),
        ("Location: http://10.0.0.1/", failed(R::DnsInternal)),
        ("Location: http://127.0.0.1:1/", failed(R::TcpConnectionFailed)),
    ] {
        let server = Server::start(move |mut stream| async move {
            read_head(&mut stream).await;
            send(&mut stream, &[&format!("HTTP/1.1 302 Found\r\n{location}\r\n\r\n")]).await;
        })
        .await;
        assert_eq!(find(&check(&server, follow)).await, finding, "{location}");
    }
    assert_eq!(finds(&["HTTP/1.1 304 Not Modified\r\nLocation: /\r\n\r\n"], follow).await, failed(R::ResponseCodeMismatch));
}

#[tokio::test]
async fn another_host_is_not_told_the_users_secrets() {
    let (sender, mut heads) = tokio::sync::mpsc::unbounded_channel();
    let other = Server::start_on("127.0.0.2:0", move |mut stream| {
        let sender = sender.clone();
        async move {
            sender.send(read_head(&mut stream).await).expect("the test listens");
            send(&mut stream, &[OK]).await;
        }
    })
    .await;
    let location = other.address;
    let server = Server::start(move |mut stream| async move {
        let head = read_head(&mut stream).await;
        assert!(head.contains("Bearer secret"), "{head}");
        send(&mut stream, &[&format!("HTTP/1.1 301 Gone\r\nLocation: http://{location}/x\r\n\r\n")]).await;
    })
    .await;
    let check = check(&server, |ask| {
        ask.follow_redirects = true;
        ask.host = Some("www.example.com".to_owned());
        ask.headers = vec![("Authorization".to_owned(), "Bearer secret".to_owned())];
    });
    assert_eq!(find(&check).await, Finding::Passed);
    let head = heads.recv().await.expect("the other host is asked");
    assert!(head.starts_with("GET /x ") && head.contains(&format!("\r\nHost: {location}\r\n")), "{head}");
    assert!(!head.contains("secret") && !head.contains("www.example.com"), "{head}");
}

#[tokio::test]
async fn an_answer_to_head_has_no_body_and_is_not_waited_for() {
    for method in ["HEAD", "OPTIONS", "POST"] {
        let method_of = |ask: &mut HttpProbe| method.clone_into(&mut ask.method);
        let server = Server::stalling_after("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n").await;
        assert_eq!(find(&check(&server, method_of)).await, Finding::Passed, "{method}");
    }
    let head = |ask: &mut HttpProbe| {
        "HEAD".clone_into(&mut ask.method);
        ask.expected_body = "ok".to_owned();
    };
    let server = Server::stalling_after("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n").await;
    assert_eq!(find(&check(&server, head)).await, failed(R::ResponseBodyMismatch), "there is none to hold it");
}

#[tokio::test]
async fn an_ipv6_literal_is_asked_in_brackets() {
    let (sender, mut heads) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::start_on("[::1]:0", move |mut stream| {
        let sender = sender.clone();
        async move {
            sender.send(read_head(&mut stream).await).expect("the test listens");
            send(&mut stream, &[OK]).await;
        }
    })
    .await;
    let port = server.address.port();
    for address in ["::1", "0:0:0:0:0:0:0:1"] {
        assert_eq!(find(&http_check(address, port, |_| {})).await, Finding::Passed);
        let head = heads.recv().await.expect("a request");
        assert!(head.contains(&format!("\r\nHost: [::1]:{port}\r\n")), "{head}");
    }
}

#[tokio::test]
async fn a_character_may_lie_across_packets_and_chunks() {
    let wanted = |ask: &mut HttpProbe| ask.expected_body = "ÄRGER".to_owned();
    for (name, pieces) in [
        ("packets", [&b"HTTP/1.1 200 OK\r\n\r\nkein \xc3"[..], b"\xa4rg", b"er"]),
        ("chunks", [&b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n \xc3\r\n"[..], b"5\r\n\xa4rger\r\n", b"0\r\n\r\n"]),
    ] {
        let server = Server::start(move |mut stream| async move {
            read_head(&mut stream).await;
            for piece in pieces {
                if stream.write_all(piece).await.is_err() {
                    return;
                }
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert_eq!(find(&check(&server, wanted)).await, Finding::Passed, "{name}");
    }
}
