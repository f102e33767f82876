//! A running worker, and the checks that it is given.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use quorate_core::address_policy::AddressPolicy;
use quorate_core::bucket::Bucket;
use quorate_core::check::{Check, Probe};
use quorate_core::ids::{CheckId, PoolId, ReplicaId};
use quorate_core::region::Region;
use quorate_proto::convert::{BucketMap, Replica, manifest_hash, sort_entries};
use quorate_proto::join::JoinToken;
use quorate_proto::v1::control_message::Body as Say;
use quorate_proto::v1::{CheckSpec, ManifestDelta};
use quorate_worker::{Error, WorkerConfig, WorkerStatus};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::control::PATIENCE;

/// A worker of the PoP `lhr`. Dropped: it is killed.
pub(crate) struct Worker {
    pub(crate) status: watch::Receiver<WorkerStatus>,
    stop: CancellationToken,
    running: JoinSet<Result<(), Error>>,
}

pub(crate) fn token() -> JoinToken {
    JoinToken {
        pop: "lhr".parse().expect("a code"),
        region: Region::Weu,
        city: "London".to_owned(),
        country: "GB".to_owned(),
        secret: "correct-horse".to_owned(),
        ca_sha256: [0; 32],
    }
}

pub(crate) fn config(control_url: String) -> WorkerConfig {
    WorkerConfig {
        address_policy: AddressPolicy::new(vec!["127.0.0.0/8".parse().expect("a range")]),
        ..WorkerConfig::new(vec![control_url], token())
    }
}

impl Worker {
    pub(crate) fn start(config: WorkerConfig) -> Self {
        let (sender, status) = watch::channel(WorkerStatus::default());
        let stop = CancellationToken::new();
        let mut running = JoinSet::new();
        running.spawn(quorate_worker::run(config, stop.clone(), sender));
        Self { status, stop, running }
    }

    /// One that keeps its state in `folder`.
    pub(crate) fn start_in(folder: &Path, control_url: String) -> Self {
        Self::start(WorkerConfig { data_dir: Some(folder.to_owned()), ..config(control_url) })
    }

    pub(crate) async fn shows(&mut self, what: &str, is_so: impl FnMut(&WorkerStatus) -> bool) -> WorkerStatus {
        let shown = timeout(PATIENCE, self.status.wait_for(is_so)).await;
        shown.unwrap_or_else(|_| panic!("the status never shows {what}")).expect("the worker lives").clone()
    }

    pub(crate) fn asks_to_stop(&self) {
        self.stop.cancel();
    }

    pub(crate) async fn has_stopped(mut self) {
        let ended = timeout(PATIENCE, self.running.join_next()).await.expect("it stops in time");
        ended.expect("it ran").expect("no panic").expect("no error");
    }
}

pub(crate) const BUCKET: Bucket = Bucket::new(3).expect("below 1024");

/// A TCP check every 100 ms.
pub(crate) fn check(number: u8, origin: SocketAddr) -> Check {
    Check {
        id: CheckId::from_bytes([number; 16]),
        config_gen: 1,
        pool_id: PoolId::from_bytes([number; 16]),
        sharing_key: [0; 16],
        address: origin.ip().to_string(),
        port: origin.port(),
        interval: Duration::from_millis(100),
        timeout: Duration::from_secs(1),
        retries: 0,
        consecutive_up: 0,
        consecutive_down: 0,
        probe: Probe::Tcp,
    }
}

/// A whole manifest of a bucket.
pub(crate) fn manifest(bucket: Bucket, version: u64, checks: &[Check]) -> Say {
    let mut add: Vec<CheckSpec> = checks.iter().map(CheckSpec::from).collect();
    sort_entries(&mut add);
    Say::ManifestDelta(ManifestDelta {
        bucket: bucket.number().into(),
        from_version: 0,
        to_version: version,
        nonce: 1_000 + version,
        hash: manifest_hash(&add),
        add,
        remove: Vec::new(),
    })
}

/// Replicas by number and URL; the first owns every bucket but those of `others`, which have the second.
pub(crate) fn map(version: u64, replicas: &[(u8, String)], others: &[Bucket]) -> Say {
    let id = |number: u8| ReplicaId::from_bytes([number; 16]);
    let known = replicas.iter().map(|(number, url)| Replica { id: id(*number), url: url.clone() }).collect();
    let owner = |bucket: Bucket| replicas.get(usize::from(others.contains(&bucket))).map(|(number, _)| id(*number));
    Say::BucketMap((&BucketMap::new(version, known, owner, |_| None)).into())
}
