//! Without TLS: counted by the allocator.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use quorate_core::check::Probe;
use quorate_worker::probe::Finding;

use super::{COUNTING, GOOD, Took, http, listening, prober, took};

/// Bytes that one probe may hold, its own state included.
const PROBE_BYTES_MAX: usize = 32 * 1024;

const LETTERS: &[u8] = &[b'a'; 4096];
/// A letter that is longer in lower case.
const GROWING: &[u8] =
    "\u{130}\u{130}\u{130}\u{130}\u{130}\u{130}\u{130}\u{130}\u{130}\u{130}\u{130}\u{130}\u{130}\u{130}\u{130}\u{130}".as_bytes();

#[tokio::test]
async fn a_hostile_origin_makes_a_probe_hold_no_more_than_32_kib() {
    let _alone = COUNTING.lock().await;
    let prober = prober();
    // What is made once, and kept, is nobody's fault.
    for probe in [http(false, "needle"), http(true, "needle"), Probe::Smtp] {
        took(&prober, origin(GOOD, b""), probe).await;
    }
    assert_eq!(took(&prober, origin(GOOD, b""), http(false, "needle")).await.finding, Finding::Passed, "the origin is understood");

    let body = "HTTP/1.1 200 OK\r\n\r\n";
    let hostile: [(&str, &'static [u8], &'static [u8], Probe); 15] = [
        ("a status line without an end", b"HTTP/1.1 200 ", LETTERS, http(false, "needle")),
        ("a header without an end", b"HTTP/1.1 200 OK\r\nX: ", LETTERS, http(false, "needle")),
        ("headers without an end", b"HTTP/1.1 200 OK\r\n", b"A: b\r\nC: d\r\nE: f\r\n", http(false, "needle")),
        ("interim answers without an end", b"", b"HTTP/1.1 100 Continue\r\n\r\n", http(false, "needle")),
        ("no HTTP", b"", &[0; 4096], http(false, "needle")),
        ("a body without an end", body.as_bytes(), LETTERS, http(false, "needle")),
        ("a body that grows where it is folded", body.as_bytes(), GROWING, http(false, "needle")),
        ("a chunk's extension without an end", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", LETTERS, http(false, "needle")),
        ("a chunk's length without an end", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"00000000", http(false, "needle")),
        ("chunks of one letter", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n", http(false, "needle")),
        ("trailers without an end", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"A: b\r\n", http(false, "needle")),
        ("a redirect to a path as long as a head", redirect(16_000), b"", http(false, "")),
        ("redirects to paths as long as they may be", redirect(2_000), b"", http(false, "")),
        ("a greeting without an end", b"220-", LETTERS, Probe::Smtp),
        ("greetings without an end", b"", b"220-a\r\n", Probe::Smtp),
    ];
    for (what, first, again, probe) in hostile {
        let Took { waiting, ever, finding } = took(&prober, origin(first, again), probe).await;
        println!("{waiting:>7} {ever:>7} bytes: {what}");
        assert!(matches!(finding, Finding::Failed(_)), "{what}: {finding:?}");
        assert!(ever <= PROBE_BYTES_MAX, "{what}: {ever} bytes");
    }
}

/// Says `first`, and then `again` for as long as somebody listens, to one after the other.
pub(super) fn origin(first: &'static [u8], again: &'static [u8]) -> u16 {
    listening(move |mut stream: TcpStream| {
        // A client that speaks first is heard; of SMTP, nothing is waited for.
        stream.set_read_timeout(Some(Duration::from_millis(20))).expect("not zero");
        let _heard = stream.read(&mut [0; 2048]);
        let _said = stream.write_all(first);
        while !again.is_empty() && stream.write_all(again).is_ok() {}
        // Silence, until the client has gone.
        stream.set_read_timeout(None).expect("no time");
        let _gone = stream.read(&mut [0; 2048]);
    })
}

/// Leaked, so that it is there before anything is counted.
fn redirect(path_bytes: usize) -> &'static [u8] {
    let path = "a".repeat(path_bytes);
    format!("HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: /{path}\r\n\r\n").leak().as_bytes()
}
