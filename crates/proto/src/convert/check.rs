//! A check: `CheckSpec` on the wire, [`Check`] in the domain.

use std::time::Duration;

use quorate_core::check::{Check, HttpProbe, Probe};
use quorate_core::ids::{CheckId, PoolId};

use super::{Malformed, narrow, sixteen};
use crate::v1;
use crate::v1::check_spec::Probe as WireProbe;

impl From<&Check> for v1::CheckSpec {
    fn from(check: &Check) -> Self {
        let ms = |duration: Duration| u32::try_from(duration.as_millis()).unwrap_or(u32::MAX);
        Self {
            check_id: check.id.as_bytes().to_vec().into(),
            config_gen: check.config_gen,
            pool_id: check.pool_id.as_bytes().to_vec().into(),
            sharing_key: check.sharing_key.to_vec().into(),
            address: check.address.clone(),
            port: check.port.into(),
            interval_ms: ms(check.interval),
            timeout_ms: ms(check.timeout),
            retries: check.retries.into(),
            consecutive_up: check.consecutive_up.into(),
            consecutive_down: check.consecutive_down.into(),
            probe: Some(match &check.probe {
                Probe::Http(http) => WireProbe::Http(http.into()),
                Probe::Tcp => WireProbe::Tcp(v1::TcpProbe {}),
                Probe::IcmpPing => WireProbe::IcmpPing(v1::IcmpPingProbe {}),
                Probe::UdpIcmp => WireProbe::UdpIcmp(v1::UdpIcmpProbe {}),
                Probe::Smtp => WireProbe::Smtp(v1::SmtpProbe {}),
            }),
        }
    }
}

impl From<&HttpProbe> for v1::HttpProbe {
    fn from(http: &HttpProbe) -> Self {
        Self {
            tls: http.tls,
            method: http.method.clone(),
            path: http.path.clone(),
            host: http.host.clone().unwrap_or_default(),
            headers: http.headers.iter().map(|(name, value)| v1::Header { name: name.clone(), value: value.clone() }).collect(),
            expected_codes: http.expected_codes.clone(),
            expected_body: http.expected_body.clone(),
            follow_redirects: http.follow_redirects,
            allow_insecure: http.allow_insecure,
            probe_zone: http.probe_zone.clone(),
        }
    }
}

impl TryFrom<&v1::CheckSpec> for Check {
    type Error = Malformed;

    /// What can be read is read; whether the check can be *run* (its codes, its method) is the worker's question.
    fn try_from(spec: &v1::CheckSpec) -> Result<Self, Malformed> {
        let ms = |field, count| narrow::<u32>(field, count, 1, u32::MAX).map(quorate_core::timings::ms);
        let small = |field, count| narrow::<u8>(field, count, 0, u8::MAX.into());
        if spec.address.is_empty() {
            return Err(Malformed::Missing { field: "address" });
        }
        Ok(Self {
            id: CheckId::from_bytes(sixteen("check_id", &spec.check_id)?),
            config_gen: spec.config_gen,
            pool_id: PoolId::from_bytes(sixteen("pool_id", &spec.pool_id)?),
            sharing_key: sixteen("sharing_key", &spec.sharing_key)?,
            address: spec.address.clone(),
            port: narrow("port", spec.port, 0, u16::MAX.into())?,
            interval: ms("interval_ms", spec.interval_ms)?,
            timeout: ms("timeout_ms", spec.timeout_ms)?,
            retries: small("retries", spec.retries)?,
            consecutive_up: small("consecutive_up", spec.consecutive_up)?,
            consecutive_down: small("consecutive_down", spec.consecutive_down)?,
            // Also what a newer control plane sends for a type that this release has never heard of.
            probe: match spec.probe.as_ref().ok_or(Malformed::Missing { field: "probe" })? {
                WireProbe::Http(http) => Probe::Http(http.into()),
                WireProbe::Tcp(v1::TcpProbe {}) => Probe::Tcp,
                WireProbe::IcmpPing(v1::IcmpPingProbe {}) => Probe::IcmpPing,
                WireProbe::UdpIcmp(v1::UdpIcmpProbe {}) => Probe::UdpIcmp,
                WireProbe::Smtp(v1::SmtpProbe {}) => Probe::Smtp,
            },
        })
    }
}

impl From<&v1::HttpProbe> for HttpProbe {
    fn from(http: &v1::HttpProbe) -> Self {
        Self {
            tls: http.tls,
            method: http.method.clone(),
            path: http.path.clone(),
            host: Some(http.host.clone()).filter(|host| !host.is_empty()),
            headers: http.headers.iter().map(|header| (header.name.clone(), header.value.clone())).collect(),
            expected_codes: http.expected_codes.clone(),
            expected_body: http.expected_body.clone(),
            follow_redirects: http.follow_redirects,
            allow_insecure: http.allow_insecure,
            probe_zone: http.probe_zone.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(probe: Probe) -> Check {
        Check {
            id: CheckId::from_bytes([1; 16]),
            config_gen: 42,
            pool_id: PoolId::from_bytes([2; 16]),
            sharing_key: [3; 16],
            address: "origin.example".to_owned(),
            port: 8443,
            interval: Duration::from_mins(1),
            timeout: Duration::from_secs(5),
            retries: 2,
            consecutive_up: 1,
            consecutive_down: 3,
            probe,
        }
    }

    #[test]
    fn every_kind_of_check_reads_back() {
        let http = HttpProbe {
            tls: true,
            method: "GET".to_owned(),
            path: "/health".to_owned(),
            host: Some("www.example.com".to_owned()),
            headers: vec![("X-App".to_owned(), "a".to_owned()), ("X-App".to_owned(), "b".to_owned())],
            expected_codes: "2xx".to_owned(),
            expected_body: "ok".to_owned(),
            follow_redirects: true,
            allow_insecure: true,
            probe_zone: "example.com".to_owned(),
        };
        let plain = HttpProbe { host: None, ..http.clone() };
        for probe in [Probe::Http(http), Probe::Http(plain), Probe::Tcp, Probe::IcmpPing, Probe::UdpIcmp, Probe::Smtp] {
            let check = check(probe);
            assert_eq!(Check::try_from(&v1::CheckSpec::from(&check)), Ok(check));
        }
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let refused = |change: fn(&mut v1::CheckSpec)| {
            let mut spec = v1::CheckSpec::from(&check(Probe::Tcp));
            change(&mut spec);
            Check::try_from(&spec).expect_err("malformed").to_string()
        };
        assert_eq!(refused(|spec| spec.check_id = vec![1; 15].into()), "check_id has 15 bytes and must have 16");
        assert_eq!(refused(|spec| spec.port = 65_536), "port 65536 is not in range [0, 65535]");
        assert_eq!(refused(|spec| spec.interval_ms = 0), "interval_ms 0 is not in range [1, 4294967295]");
        assert_eq!(refused(|spec| spec.retries = 256), "retries 256 is not in range [0, 255]");
        assert_eq!(refused(|spec| spec.address.clear()), "address is missing");
        assert_eq!(refused(|spec| spec.probe = None), "probe is missing");
    }
}
