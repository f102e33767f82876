//! Over TLS: rustls is counted by the allocator; OpenSSL, which has its own, by what many probes at once make resident.

use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::task::Poll;

use openssl::pkey::PKey;
use openssl::ssl::{SslAcceptor, SslMethod, SslVersion};
use openssl::x509::X509;
use quorate_core::check::Check;
use quorate_core::failure::FailureReason;
use quorate_worker::probe::{Finding, Prober as _, Target};
use rcgen::{CertificateParams, KeyPair};

use super::plain::origin;
use super::{COUNTING, GOOD, TIMEOUT, Took, check, http, listening, prober, took};

/// Bytes that one probe may hold while it waits for a handshake's end.
const HANDSHAKE_BYTES_MAX: usize = 32 * 1024;
/// What the library takes for a moment where a record is full of empty messages.
const MOMENT_BYTES_MAX: usize = 288 * 1024;
/// While it waits for an answer: the library has room for two records where one of 16 KiB has begun.
const ANSWER_BYTES_MAX: usize = 44 * 1024;
/// While OpenSSL waits for a handshake's end.
const BROAD_HANDSHAKE_BYTES: std::ops::RangeInclusive<usize> = 20 * 1024..=512 * 1024;
/// Probes at once.
const PROBES: usize = 100;

/// Bytes of a chain that rustls alone takes to its end.
const SHORT_CHAIN: usize = 9_000;
/// Bytes of one that is nearly as long as OpenSSL is given.
const LONG_CHAIN: usize = 60_000;

#[tokio::test]
async fn a_handshake_without_an_end_makes_a_probe_hold_no_more_than_32_kib() {
    let _alone = COUNTING.lock().await;
    let prober = prober();
    took(&prober, origin(GOOD, b""), http(true, "")).await;
    let hello = records(&server_hello());
    let chain = [hello, records(&chain(SHORT_CHAIN))].concat();
    let half_a_message = b"\x16\x03\x03\x02\x00\x0c\0\0\xff";
    for (what, first, again) in [
        ("no TLS", Vec::new(), &[b'a'; 4096][..]),
        ("a record that never ends", b"\x16\x03\x03\x40\x00".to_vec(), &[0; 4096]),
        ("a record of empty messages", [&b"\x16\x03\x03\x27\xf0"[..], &[0; 0x27f0]].concat(), b""),
        ("a message of 16 MiB", b"\x16\x03\x03\x00\x04\x02\xff\xff\xff".to_vec(), b"\x16\x03\x03\x00\x08aaaaaaaa"),
        ("a message of 64 KiB, a little at a time", b"\x16\x03\x03\x00\x04\x02\x00\xff\xf0".to_vec(), b"\x16\x03\x03\x00\x08aaaaaaaa"),
        ("a message of 64 KiB, of which half comes", records(&message(2, &vec![b'a'; 0xfff0]))[..0x8000].to_vec(), b""),
        ("a chain, of which half comes", chain[..chain.len() / 2].to_vec(), b""),
        ("a chain, of which nearly all comes", chain[..chain.len() - 100].to_vec(), b""),
        ("a chain, and nothing more", chain.clone(), b""),
        ("a chain, and half a message more", [&chain[..], half_a_message].concat(), b""),
    ] {
        let Took { waiting, ever, finding } = took(&prober, origin(first.leak(), again), http(true, "")).await;
        println!("{waiting:>7} {ever:>7} bytes: {what}");
        assert!(matches!(finding, Finding::Failed(_)), "{what}: {finding:?}");
        assert!(waiting <= HANDSHAKE_BYTES_MAX, "{what}: {waiting} bytes");
        assert!(ever <= MOMENT_BYTES_MAX, "{what}: {ever} bytes for a moment");
    }
}

#[tokio::test]
async fn what_an_answer_over_tls_makes_a_probe_hold_is_bounded() {
    let _alone = COUNTING.lock().await;
    let prober = prober();
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        took(&prober, answering(version, GOOD, usize::MAX), http(true, "needle")).await;
        for (what, first, sent) in [
            ("a head that fills a record", head(16_000), 16_100),
            ("a head that fills a record, of which most comes", head(16_000), 15_000),
            ("half a head, and most of a record", head(8_000), 15_900),
            ("a body that fills a record", body(16_000), 16_100),
            ("a body that fills a record, of which most comes", body(16_000), 15_000),
            ("half a body, and half a record", body(9_000), 15_900),
        ] {
            let Took { waiting, ever, finding } = took(&prober, answering(version, first, sent), http(true, "needle")).await;
            println!("{waiting:>7} {ever:>7} bytes: {what} over {version:?}");
            assert!(matches!(finding, Finding::Failed(_)), "{what}: {finding:?}");
            assert!(waiting <= ANSWER_BYTES_MAX, "{what}: {waiting} bytes");
        }
    }
}

#[tokio::test]
async fn what_openssl_holds_of_a_handshake_without_an_end_is_bounded() {
    let _alone = COUNTING.lock().await;
    let prober = prober();
    let chain = [records(&server_hello()), records(&chain(LONG_CHAIN))].concat();
    for (what, said) in [
        ("silence", Vec::new()),
        ("a chain, of which nearly all comes", chain[..chain.len() - 100].to_vec()),
        ("a chain, and nothing more", chain),
    ] {
        // Time enough for all of them to connect, on a busy machine too.
        let check = Check { timeout: 3 * TIMEOUT, ..check(holding(said.leak()), http(true, "")) };
        let target = Target::new(&check).expect("runnable");
        // By rustls, which comes to no end, so that OpenSSL is asked from then on.
        assert_eq!(prober.probe_once(&target).await.finding, Finding::Failed(FailureReason::TlsHandshakeFailure), "{what}");
        let before = resident();
        let mut most = before;
        let mut asking: Vec<_> = (0..PROBES).map(|_| Box::pin(prober.probe_once(&target))).collect();
        poll_fn(|cx| {
            asking.retain_mut(|probe| match probe.as_mut().poll(cx) {
                Poll::Pending => true,
                Poll::Ready(outcome) => {
                    assert_eq!(outcome.finding, Finding::Failed(FailureReason::TlsHandshakeFailure), "{what}");
                    false
                }
            });
            most = most.max(resident());
            if asking.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        let each = most.saturating_sub(before) / PROBES;
        println!("{each:>7} bytes: {what}");
        assert!(BROAD_HANDSHAKE_BYTES.contains(&each), "{what}: {each} bytes");
    }
}

/// Bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a process has memory");
    line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") * 1024
}

/// Says `said` to all who come, and keeps them.
fn holding(said: &'static [u8]) -> u16 {
    let held = Mutex::new(Vec::with_capacity(2 * PROBES));
    listening(move |mut stream| {
        let _heard = stream.read(&mut [0; 2048]);
        let _said = stream.write_all(said);
        held.lock().expect("no panic").push(stream);
    })
}

/// Shakes hands, hears a request, and says `said` twice; of what is sent then, this many bytes are.
fn answering(version: SslVersion, said: &'static [u8], sent: usize) -> u16 {
    let key = KeyPair::generate().expect("a key");
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).expect("OpenSSL");
    builder.set_max_proto_version(Some(version)).expect("a version");
    builder.set_certificate(&X509::from_der(&certificate(&key, 1)).expect("a certificate")).expect("taken");
    builder.set_private_key(&PKey::private_key_from_pem(key.serialize_pem().as_bytes()).expect("a key")).expect("taken");
    let acceptor = builder.build();
    listening(move |stream| {
        let Ok(mut secured) = acceptor.accept(Cut { stream, left: usize::MAX }) else { return };
        let _heard = secured.read(&mut [0; 2048]);
        secured.get_mut().left = sent;
        let _said = secured.write_all(said).and_then(|()| secured.write_all(said));
        // Silence, until the client has gone.
        let _gone = secured.get_mut().stream.read(&mut [0; 2048]);
    })
}

/// Sends nothing any more after so many bytes.
struct Cut {
    stream: TcpStream,
    left: usize,
}

impl Read for Cut {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.stream.read(buffer)
    }
}

impl Write for Cut {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let sent = self.stream.write(&bytes[..bytes.len().min(self.left)])?;
        self.left -= sent;
        if sent == 0 { Err(std::io::ErrorKind::WriteZero.into()) } else { Ok(sent) }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.stream.flush()
    }
}

fn head(bytes: usize) -> &'static [u8] {
    filled(b"HTTP/1.1 200 OK\r\nX: ", bytes)
}

fn body(bytes: usize) -> &'static [u8] {
    filled(b"HTTP/1.1 200 OK\r\n\r\n", bytes)
}

/// Leaked, so that it is there before anything is counted.
fn filled(first: &[u8], bytes: usize) -> &'static [u8] {
    let mut all = first.to_vec();
    all.resize(bytes, b'a');
    all.leak()
}

/// In records of 1 KiB, in clear.
fn records(message: &[u8]) -> Vec<u8> {
    let record = |part: &[u8]| [&[0x16, 3, 3], &u16::try_from(part.len()).expect("1 KiB").to_be_bytes()[..], part].concat();
    message.chunks(1_024).flat_map(record).collect()
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind], &length(body)[..], body].concat()
}

/// As TLS writes it, in three bytes.
fn length(bytes: &[u8]) -> [u8; 3] {
    let [0, length @ ..] = u32::try_from(bytes.len()).expect("short").to_be_bytes() else { panic!("longer than 16 MiB") };
    length
}

/// TLS 1.2 by ECDHE, ECDSA and AES-128-GCM, with no session and no extension.
fn server_hello() -> Vec<u8> {
    message(2, &[&[3, 3][..], &[7; 32], &[0, 0xc0, 0x2b, 0]].concat())
}

/// Some certificates, together of so many bytes or some fewer.
fn chain(bytes: usize) -> Vec<u8> {
    let key = KeyPair::generate().expect("a key");
    let certificate = certificate(&key, 30);
    let entry = [&length(&certificate)[..], &certificate].concat();
    let list = entry.repeat(bytes / entry.len());
    message(11, &[&length(&list)[..], &list].concat())
}

fn certificate(key: &KeyPair, names: usize) -> Vec<u8> {
    let names: Vec<String> = (0..names).map(|number| format!("{number:0>50}.example")).collect();
    CertificateParams::new(names).expect("names").self_signed(key).expect("signed").der().to_vec()
}
