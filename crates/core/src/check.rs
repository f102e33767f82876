//! A check, ready to be probed: what a worker gets. The wire form is `CheckSpec` of the proto.

use std::time::Duration;

use crate::health::Thresholds;
use crate::ids::{CheckId, PoolId};
use crate::monitor::{MonitorKind, MonitorSettings};
use crate::pool::OriginSettings;

/// What to ask of one origin for one pool.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Check {
    pub id: CheckId,
    /// Votes are cast under it.
    pub config_gen: u64,
    pub pool_id: PoolId,
    /// Identical probes are shared between checks of one key (one account). Opaque to workers.
    pub sharing_key: [u8; 16],
    /// Host name or IP literal.
    pub address: String,
    /// 0 only where the kind has no port, or where none is known (which the worker reports as a config error).
    pub port: u16,
    pub interval: Duration,
    /// One absolute deadline of one attempt.
    pub timeout: Duration,
    pub retries: u8,
    pub consecutive_up: u8,
    pub consecutive_down: u8,
    pub probe: Probe,
}

impl Check {
    pub fn thresholds(&self) -> Thresholds {
        Thresholds::new(self.consecutive_up, self.consecutive_down)
    }

    /// After this long without a finished probe the worker's vote is unknown.
    pub fn stale_after(&self) -> Duration {
        2 * self.interval + self.timeout * (u32::from(self.retries) + 1)
    }
}

/// How to ask.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Probe {
    Http(HttpProbe),
    Tcp,
    IcmpPing,
    UdpIcmp,
    Smtp,
}

/// An HTTP(S) request and what to expect of the answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HttpProbe {
    pub tls: bool,
    pub method: String,
    pub path: String,
    /// The Host header in force: the origin's, else the monitor's. `None`: the address.
    pub host: Option<String>,
    /// Headers of the monitor, Host apart.
    pub headers: Vec<(String, String)>,
    pub expected_codes: String,
    pub expected_body: String,
    pub follow_redirects: bool,
    pub allow_insecure: bool,
    pub probe_zone: String,
}

impl Check {
    /// The check of an origin under a monitor. Port: the monitor's if set, else the origin's, else the protocol's.
    pub fn new(
        id: CheckId,
        config_gen: u64,
        pool_id: PoolId,
        sharing_key: [u8; 16],
        monitor: &MonitorSettings,
        origin: &OriginSettings,
    ) -> Self {
        let port = [monitor.port, origin.port].into_iter().find(|port| *port != 0).or(monitor.kind.default_port()).unwrap_or(0);
        let http = |tls| {
            Probe::Http(HttpProbe {
                tls,
                method: monitor.method.clone(),
                path: monitor.path.clone(),
                host: origin.host.clone().or_else(|| monitor.host().map(str::to_owned)),
                headers: monitor
                    .header
                    .iter()
                    .filter(|(name, _)| !name.eq_ignore_ascii_case("host"))
                    .flat_map(|(name, values)| values.iter().map(move |value| (name.clone(), value.clone())))
                    .collect(),
                expected_codes: monitor.expected_codes.clone(),
                expected_body: monitor.expected_body.clone(),
                follow_redirects: monitor.follow_redirects,
                allow_insecure: monitor.allow_insecure,
                probe_zone: monitor.probe_zone.clone(),
            })
        };
        Self {
            id,
            config_gen,
            pool_id,
            sharing_key,
            address: origin.address.clone(),
            port: if monitor.kind == MonitorKind::IcmpPing { 0 } else { port },
            interval: Duration::from_secs(monitor.interval.into()),
            timeout: Duration::from_secs(monitor.timeout.into()),
            retries: monitor.retries,
            consecutive_up: monitor.consecutive_up,
            consecutive_down: monitor.consecutive_down,
            probe: match monitor.kind {
                MonitorKind::Http => http(false),
                MonitorKind::Https => http(true),
                MonitorKind::Tcp => Probe::Tcp,
                MonitorKind::UdpIcmp => Probe::UdpIcmp,
                MonitorKind::IcmpPing => Probe::IcmpPing,
                MonitorKind::Smtp => Probe::Smtp,
            },
        }
    }
}
