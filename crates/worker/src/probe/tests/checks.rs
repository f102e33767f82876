//! Checks, as short as a test can say them.

use std::time::Duration;

use quorate_core::check::{Check, HttpProbe, Probe};
use quorate_core::ids::{CheckId, PoolId};

/// A TCP check with a second of time.
pub(crate) fn tcp_check(address: &str, port: u16) -> Check {
    Check {
        id: CheckId::from_bytes([1; 16]),
        config_gen: 1,
        pool_id: PoolId::from_bytes([0xab; 16]),
        sharing_key: [0; 16],
        address: address.to_owned(),
        port,
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        retries: 0,
        consecutive_up: 0,
        consecutive_down: 0,
        probe: Probe::Tcp,
    }
}

/// `GET /` where 200 is expected, but for what `change` says.
pub(crate) fn http_check(address: &str, port: u16, change: impl FnOnce(&mut HttpProbe)) -> Check {
    let mut ask = HttpProbe {
        tls: false,
        method: "GET".to_owned(),
        path: "/".to_owned(),
        host: None,
        headers: Vec::new(),
        expected_codes: String::new(),
        expected_body: String::new(),
        follow_redirects: false,
        allow_insecure: false,
        probe_zone: String::new(),
    };
    change(&mut ask);
    Check { probe: Probe::Http(ask), ..tcp_check(address, port) }
}
