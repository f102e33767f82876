//! What goes to a worker: messages, and its manifests step by step.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use quorate_core::bucket::Bucket;
use quorate_core::pop::PopNo;
use quorate_proto::convert::{HeldManifest, Hello};
use quorate_proto::v1;
use quorate_proto::v1::control_message::Body;
use tokio::sync::mpsc;
use tonic::Status;

use super::wire;
use crate::bucket::Role;
use crate::manifests::{Difference, Manifest};
use crate::sessions::Asked;
use crate::shared::Shared;

/// The worker takes no more messages.
#[derive(Debug, thiserror::Error)]
#[error("the stream to the worker is closed or stuck")]
pub(super) struct Gone;

/// The way to a worker. Bounded: one that reads nothing for a whole lease is as good as gone.
#[derive(Clone, Debug)]
pub(super) struct Outbound {
    messages: mpsc::Sender<Result<v1::ControlMessage, Status>>,
    patience: Duration,
}

impl Outbound {
    pub(super) const fn new(messages: mpsc::Sender<Result<v1::ControlMessage, Status>>, patience: Duration) -> Self {
        Self { messages, patience }
    }

    pub(super) async fn send(&self, body: Body) -> Result<(), Gone> {
        self.messages.send_timeout(Ok(v1::ControlMessage { body: Some(body) }), self.patience).await.map_err(|_| Gone)
    }
}

/// What the worker has of one bucket.
#[derive(Debug)]
enum Held {
    /// From before this session, by its own account.
    Claimed(HeldManifest),
    /// Sent in this session; `acknowledged` with its nonce.
    Sent { manifest: Arc<Manifest>, nonce: u64, acknowledged: bool },
}

/// Under one number a restored database may have another content.
fn is_same(sent: &Arc<Manifest>, manifest: &Arc<Manifest>) -> bool {
    Arc::ptr_eq(sent, manifest) || (sent.version == manifest.version && sent.hash() == manifest.hash())
}

/// The worker's manifests.
#[derive(Debug, Default)]
pub(super) struct Manifests {
    held: HashMap<Bucket, Held>,
    nonces: u64,
}

impl Manifests {
    pub(super) fn new(hello: &Hello) -> Self {
        Self { held: hello.held.iter().map(|held| (held.bucket, Held::Claimed(*held))).collect(), nonces: 0 }
    }

    /// What the worker is asked in the buckets that this replica owns, and of how much it has the newest.
    pub(super) fn asked<S, R>(&self, shared: &Shared<S, R>) -> Asked {
        let mut asked = Asked::default();
        let mut checks = 0;
        for (bucket, held) in &self.held {
            if !matches!(shared.board.lock(*bucket).role, Role::Owner { .. }) {
                continue;
            }
            let is_acknowledged = match held {
                Held::Sent { manifest, acknowledged, .. } => {
                    checks += manifest.checks.len();
                    *acknowledged
                }
                Held::Claimed(_) => false,
            };
            asked.manifests.wanted += 1;
            asked.manifests.behind += u32::from(!is_acknowledged);
        }
        asked.checks = checks.try_into().unwrap_or(u32::MAX);
        asked
    }

    /// The step that is due in a bucket, if any.
    pub(super) fn next<S, R>(&mut self, shared: &Shared<S, R>, pop: PopNo, bucket: Bucket) -> Option<Body> {
        let mut slot = shared.board.lock(bucket);
        let manifest = slot.manifest(pop)?;
        let before = match self.held.get(&bucket) {
            None if manifest.checks.is_empty() => return None,
            Some(_) if manifest.checks.is_empty() => {
                self.held.remove(&bucket);
                return Some(Body::ManifestDrop(v1::ManifestDrop { bucket: bucket.number().into() }));
            }
            Some(Held::Sent { manifest: sent, .. }) if is_same(sent, &manifest) => return None,
            Some(Held::Sent { manifest: sent, .. }) if sent.version < manifest.version => Some(Arc::clone(sent)),
            // Nothing was sent, or the database was restored: what was sent is of a history that is gone.
            None | Some(Held::Sent { .. }) => None,
            Some(Held::Claimed(claimed)) if claimed.hash == manifest.hash() => {
                let claimed = *claimed;
                if claimed.version == manifest.version {
                    self.held.insert(bucket, Held::Sent { manifest, nonce: 0, acknowledged: true });
                    return None;
                }
                // The same content under another version.
                return Some(self.step(bucket, claimed.version, manifest, &Difference { add: Vec::new(), remove: Vec::new() }));
            }
            // What it held may be known here still.
            Some(Held::Claimed(claimed)) => {
                let known = slot.pops.get(&pop).and_then(|held| held.manifests.get(claimed.version));
                known.filter(|known| known.hash() == claimed.hash).cloned()
            }
        };
        drop(slot);
        match before {
            Some(before) => {
                let difference = manifest.since(&before);
                Some(self.step(bucket, before.version, manifest, &difference))
            }
            None => Some(self.all(bucket, manifest)),
        }
    }

    /// The whole manifest of a bucket, after a vote under a version that nobody knows; `None` while a step is on its way.
    pub(super) fn again<S, R>(&mut self, shared: &Shared<S, R>, pop: PopNo, bucket: Bucket) -> Option<Body> {
        match self.held.get(&bucket) {
            Some(Held::Sent { acknowledged: false, .. }) => None,
            Some(_) | None => self.whole(shared, pop, bucket),
        }
    }

    /// The whole manifest of a bucket, where a vote is cast under an older version than the one that the
    /// worker has acknowledged: another replica, which lags behind, has set it back.
    pub(super) fn if_behind<S, R>(&mut self, shared: &Shared<S, R>, pop: PopNo, bucket: Bucket, version: u64) -> Option<Body> {
        match self.held.get(&bucket) {
            Some(Held::Sent { manifest, acknowledged: true, .. }) if version < manifest.version => self.whole(shared, pop, bucket),
            Some(_) | None => None,
        }
    }

    /// The whole manifest of a bucket.
    pub(super) fn whole<S, R>(&mut self, shared: &Shared<S, R>, pop: PopNo, bucket: Bucket) -> Option<Body> {
        let manifest = shared.board.lock(bucket).manifest(pop)?;
        if manifest.checks.is_empty() {
            self.held.remove(&bucket);
            return Some(Body::ManifestDrop(v1::ManifestDrop { bucket: bucket.number().into() }));
        }
        Some(self.all(bucket, manifest))
    }

    /// The worker has this version, or a newer one that another replica sent.
    pub(super) fn acknowledged(&mut self, bucket: Bucket, version: u64, with_nonce: u64) {
        if let Some(Held::Sent { manifest, nonce, acknowledged }) = self.held.get_mut(&bucket)
            && manifest.version <= version
            && *nonce == with_nonce
        {
            *acknowledged = true;
        }
    }

    fn all(&mut self, bucket: Bucket, manifest: Arc<Manifest>) -> Body {
        let difference = Difference { add: manifest.checks.clone(), remove: Vec::new() };
        self.step(bucket, 0, manifest, &difference)
    }

    fn step(&mut self, bucket: Bucket, from_version: u64, manifest: Arc<Manifest>, difference: &Difference) -> Body {
        self.nonces += 1;
        let message = wire::step(from_version, &manifest, difference, bucket.number(), self.nonces);
        metrics::counter!("quorate_manifests_sent_total", "kind" => if from_version == 0 { "whole" } else { "difference" }).increment(1);
        self.held.insert(bucket, Held::Sent { manifest, nonce: self.nonces, acknowledged: false });
        Body::ManifestDelta(message)
    }
}
