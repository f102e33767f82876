//! What a hostile origin can make a worker hold while it is probed, counted by the allocator.

use std::future::poll_fn;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use peak_alloc::PeakAlloc;
use quorate_core::address_policy::AddressPolicy;
use quorate_core::check::{Check, HttpProbe, Probe};
use quorate_core::ids::{CheckId, PoolId};
use quorate_core::region::Region;
use quorate_proto::join::JoinToken;
use quorate_worker::WorkerConfig;
use quorate_worker::probe::{Finding, NetProber, Prober as _, Target};
use tokio::sync::Mutex;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;
/// Held by who counts: the memory is that of all tests in this process.
static COUNTING: Mutex<()> = Mutex::const_new(());

/// Bytes that one probe may hold, its own state included.
const PROBE_BYTES_MAX: usize = 32 * 1024;
/// What one holds while it waits over TLS, where the library puts a handshake message together before it judges it.
const SECURED_PROBE_BYTES_MAX: usize = 96 * 1024;
/// What the library takes for a moment where a record is full of empty messages.
const HANDSHAKE_BYTES_MAX: usize = 320 * 1024;
/// Longer than anything here takes, but for what never ends by itself.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Says `first`, and then `again` for as long as somebody listens. Allocates nothing, since its memory is counted too.
fn origin(first: &'static [u8], again: &'static [u8]) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        loop {
            let Ok((mut stream, _)) = listener.accept() else { return };
            // A client that speaks first is heard; of SMTP, nothing is waited for.
            stream.set_read_timeout(Some(Duration::from_millis(20))).expect("not zero");
            let _heard = stream.read(&mut [0; 2048]);
            let _said = stream.write_all(first);
            while !again.is_empty() && stream.write_all(again).is_ok() {}
            // Silence, until the client has gone.
            stream.set_read_timeout(None).expect("no time");
            let _gone = stream.read(&mut [0; 2048]);
        }
    });
    port
}

fn check(port: u16, probe: Probe) -> Check {
    Check {
        id: CheckId::from_bytes([1; 16]),
        config_gen: 1,
        pool_id: PoolId::from_bytes([1; 16]),
        sharing_key: [0; 16],
        address: "127.0.0.1".to_owned(),
        port,
        interval: Duration::from_mins(1),
        timeout: TIMEOUT,
        retries: 0,
        consecutive_up: 1,
        consecutive_down: 1,
        probe,
    }
}

fn http(tls: bool, expected_body: &str) -> Probe {
    Probe::Http(HttpProbe {
        tls,
        method: "GET".to_owned(),
        path: "/health".to_owned(),
        host: None,
        headers: Vec::new(),
        expected_codes: "200".to_owned(),
        expected_body: expected_body.to_owned(),
        follow_redirects: true,
        allow_insecure: false,
        probe_zone: String::new(),
    })
}

fn prober() -> NetProber {
    let token = JoinToken {
        pop: "lhr".parse().expect("a code"),
        region: Region::Weu,
        city: String::new(),
        country: String::new(),
        secret: String::new(),
        ca_sha256: [0; 32],
    };
    let address_policy = AddressPolicy::new(vec!["127.0.0.0/8".parse().expect("a range")]);
    NetProber::new(&WorkerConfig { address_policy, ..WorkerConfig::new(Vec::new(), token) }).expect("a prober")
}

/// What a probe took.
struct Took {
    /// Bytes held while it waits, at most: what many probes hold at once.
    waiting: usize,
    /// Bytes held at any time, at most: for a moment, and of one probe only.
    ever: usize,
    finding: Finding,
}

async fn took(prober: &NetProber, port: u16, probe: Probe) -> Took {
    let target = Target::new(&check(port, probe)).expect("runnable");
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let mut waiting = 0;
    // Boxed, so that its own state is counted.
    let mut probing = Box::pin(prober.probe_once(&target));
    let outcome = poll_fn(|cx| {
        let polled = probing.as_mut().poll(cx);
        waiting = waiting.max(MEMORY.current_usage().saturating_sub(before));
        polled
    });
    let finding = outcome.await.finding;
    Took { waiting, ever: MEMORY.peak_usage().saturating_sub(before), finding }
}

const GOOD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nneedle";
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

#[tokio::test]
async fn what_a_hostile_handshake_makes_a_probe_hold_is_bounded() {
    let _alone = COUNTING.lock().await;
    let prober = prober();
    took(&prober, origin(GOOD, b""), http(true, "")).await;
    for (what, first, again) in [
        ("no TLS", &b""[..], LETTERS),
        ("a record that never ends", b"\x16\x03\x03\x40\x00", &[0; 4096][..]),
        ("a message of 16 MiB", b"\x16\x03\x03\x00\x04\x02\xff\xff\xff", b"\x16\x03\x03\x00\x08aaaaaaaa"),
        ("a message of 64 KiB, a little at a time", b"\x16\x03\x03\x00\x04\x02\x00\xff\xf0", b"\x16\x03\x03\x00\x08aaaaaaaa"),
        ("a message of 64 KiB, and then silence", unfinished_message(), b""),
    ] {
        let Took { waiting, ever, finding } = took(&prober, origin(first, again), http(true, "")).await;
        println!("{waiting:>7} {ever:>7} bytes: {what}");
        assert!(matches!(finding, Finding::Failed(_)), "{what}: {finding:?}");
        assert!(waiting <= SECURED_PROBE_BYTES_MAX, "{what}: {waiting} bytes");
        assert!(ever <= HANDSHAKE_BYTES_MAX, "{what}: {ever} bytes for a moment");
    }
}

/// Leaked, so that it is there before anything is counted.
fn redirect(path_bytes: usize) -> &'static [u8] {
    let path = "a".repeat(path_bytes);
    format!("HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: /{path}\r\n\r\n").leak().as_bytes()
}

/// The beginning of a message of 65,520 bytes, in records of 1,024 each.
fn unfinished_message() -> &'static [u8] {
    let mut records = [&[0x16, 3, 3, 4, 0][..], &[b'a'; 1_024]].concat().repeat(63);
    records[5..9].copy_from_slice(&[2, 0, 0xff, 0xf0]);
    records.leak()
}
