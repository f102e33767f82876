//! The gallery of failures, asked by the worker's own prober.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use quorate::demo::manner::{GALLERY, Place};
use quorate::demo::objects::https_monitor;
use quorate::demo::origin::{Port, serve_all};
use quorate::demo::tls::DemoTls;
use quorate::demo::{Origin, Switchboard};
use quorate_core::address_policy::AddressPolicy;
use quorate_core::check::Check;
use quorate_core::ids::{CheckId, PoolId};
use quorate_core::pool::{OriginSettings, Weight};
use quorate_core::region::Region;
use quorate_proto::join::JoinToken;
use quorate_worker::WorkerConfig;
use quorate_worker::probe::{Finding, NetProber, Prober, Target};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A prober as `up` makes it: loopback is allowed, and the demo's CA is trusted.
fn prober(ca_pem: &str) -> NetProber {
    let token = JoinToken {
        pop: "lhr".parse().expect("a code"),
        region: Region::Weu,
        city: "London".to_owned(),
        country: "GB".to_owned(),
        secret: String::new(),
        ca_sha256: [0; 32],
    };
    let config = WorkerConfig {
        address_policy: AddressPolicy::new(vec!["127.0.0.0/8".parse().expect("a range")]),
        extra_ca_pem: Some(ca_pem.to_owned()),
        ..WorkerConfig::new(Vec::new(), token)
    };
    NetProber::new(&config).expect("a prober")
}

fn target(name: &str, address: &str, port: u16) -> Target {
    let origin = OriginSettings {
        name: name.to_owned(),
        address: address.to_owned(),
        enabled: true,
        weight: Weight::default(),
        host: None,
        port,
        flatten_cname: None,
        virtual_network_id: None,
    };
    let check = Check::new(CheckId::from_bytes([1; 16]), 1, PoolId::from_bytes([2; 16]), [3; 16], &https_monitor(), &origin);
    Target::new(&check).expect("a check that can be run")
}

#[tokio::test]
async fn each_exhibit_fails_for_the_reason_that_it_shows() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let tls = Arc::new(DemoTls::new(&LOCAL.to_string()).expect("certificates"));
    let prober = Arc::new(prober(&tls.ca_pem));
    let (mut origins, mut targets) = (Vec::new(), Vec::new());
    for exhibit in GALLERY {
        targets.push(match exhibit.place {
            Place::Served(manner) => {
                let origin = Origin::bind(exhibit.name, manner, LOCAL, Port::Free).await.expect("a free port");
                let target = target(exhibit.name, &LOCAL.to_string(), origin.address().port());
                origins.push(origin);
                target
            }
            Place::Elsewhere(address) => target(exhibit.name, address, 443),
        });
    }
    let stop = CancellationToken::new();
    let served = serve_all(origins, &Arc::new(Switchboard::new([], Vec::new())), &tls, &stop);

    // Twice: an origin must fail in the same way however often it is asked.
    for round in 1..=2 {
        let mut asked = JoinSet::new();
        for (exhibit, target) in GALLERY.into_iter().zip(targets.clone()) {
            let prober = Arc::clone(&prober);
            asked.spawn(async move { (exhibit, prober.probe_once(&target).await.finding) });
        }
        for (exhibit, finding) in asked.join_all().await {
            assert_eq!(finding, Finding::Failed(exhibit.shows), "{} in round {round}", exhibit.name);
        }
    }
    stop.cancel();
    served.await;
}
