//! What a hostile origin can make a worker hold while it is probed.

mod plain;
mod secured;

use std::future::poll_fn;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
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

/// Longer than anything here takes, but for what never ends by itself.
const TIMEOUT: Duration = Duration::from_secs(1);

const GOOD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nneedle";

/// A port where each connection gets what `serve` does. That should hold little meanwhile, since its memory is counted too.
fn listening(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            serve(stream);
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
        // So that any certificate leads on to the answer.
        allow_insecure: true,
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
