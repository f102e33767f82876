//! What the loops of a worker share: the board behind a lock, and the bells that tell of changes.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use quorate_core::bucket::Bucket;
use quorate_core::pop::PopCode;
use quorate_core::quorum::Guards;
use quorate_core::region::Region;
use quorate_core::register::{EPOCH_MAX, next_epoch};
use quorate_core::time::{Clock, SystemClock};
use quorate_proto::join::JoinToken;
use quorate_proto::v1::{ManifestAck, ManifestDelta};
use rand::Rng as _;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::board::Board;
use crate::caps::Caps;
use crate::manifest::disk::Disk;
use crate::manifest::{Manifest, Refused};
use crate::one_off::OneOffs;
use crate::probe::Capabilities;
use crate::status::WorkerStatus;

#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) pop: PopCode,
    pub(crate) region: Region,
    /// Of this process.
    pub(crate) boot_id: [u8; 16],
    pub(crate) capabilities: Capabilities,
    board: Mutex<Board>,
    /// Never goes back within the process, so that no reconnect can be taken for an old message.
    seq: AtomicU64,
    epoch: Mutex<u64>,
    pub(crate) disk: Option<Disk>,
    /// Buckets whose file is not what is held.
    unsaved: Mutex<BTreeSet<Bucket>>,
    /// Rings when a vote or a manifest has changed.
    pub(crate) changed: watch::Sender<()>,
    /// Rings when the schedule has: something may be due sooner.
    pub(crate) rescheduled: watch::Sender<()>,
    /// Rings when a bucket is unsaved.
    pub(crate) unsaved_bell: watch::Sender<()>,
    pub(crate) status: watch::Sender<WorkerStatus>,
    /// What control asks for once.
    pub(crate) one_offs: OneOffs,
}

fn unix_ms() -> u64 {
    u64::try_from(SystemClock.now().as_millisecond()).unwrap_or(0).min(EPOCH_MAX)
}

/// Whose word a message about a bucket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// Its owner's, which decides.
    Owner,
    /// Its standby's, or somebody's who was its owner: only what is newer counts.
    Other,
}

impl Hub {
    /// Takes up what the disk has kept.
    pub(crate) fn new(token: &JoinToken, caps: Caps, disk: Option<Disk>, status: watch::Sender<WorkerStatus>) -> Self {
        let now = Instant::now();
        let capabilities = Capabilities::detect();
        let mut board = Board::new(&token.pop, capabilities, caps, now);
        for (bucket, manifest) in disk.iter().flat_map(Disk::manifests) {
            board.adopt(bucket, manifest, now);
        }
        let mut boot_id = [0; 16];
        rand::rng().fill_bytes(&mut boot_id);
        let epoch = next_epoch(Guards::ALL, disk.as_ref().map_or(0, Disk::epoch), unix_ms());
        let hub = Self {
            pop: token.pop.clone(),
            region: token.region,
            boot_id,
            capabilities,
            board: Mutex::new(board),
            seq: AtomicU64::new(0),
            epoch: Mutex::new(epoch),
            disk,
            unsaved: Mutex::default(),
            changed: watch::Sender::default(),
            rescheduled: watch::Sender::default(),
            unsaved_bell: watch::Sender::default(),
            status,
            one_offs: OneOffs::default(),
        };
        hub.save_epoch(epoch);
        hub.tell_status();
        hub
    }

    pub(crate) fn board(&self) -> MutexGuard<'_, Board> {
        lock(&self.board)
    }

    /// Of the next message.
    pub(crate) fn next_seq(&self) -> u64 {
        self.seq.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn epoch(&self) -> u64 {
        *lock(&self.epoch)
    }

    /// Control has seen a higher epoch: the clock went back, or the disk was lost.
    pub(crate) fn raise_epoch(&self, above: u64) -> u64 {
        let mut epoch = lock(&self.epoch);
        *epoch = next_epoch(Guards::ALL, (*epoch).max(above), 0);
        self.save_epoch(*epoch);
        *epoch
    }

    /// Control takes none that is so high: something of this worker was damaged. The clock gives a new one.
    pub(crate) fn lower_epoch(&self, most: u64) -> u64 {
        let mut epoch = lock(&self.epoch);
        *epoch = unix_ms().min(most);
        self.save_epoch(*epoch);
        *epoch
    }

    fn save_epoch(&self, epoch: u64) {
        if let Some(Err(error)) = self.disk.as_ref().map(|disk| disk.save_epoch(epoch)) {
            tracing::warn!(error = %error, "the session epoch cannot be kept on disk; the clock has to give a higher one at the next start");
        }
    }

    /// Takes a manifest or a difference, and says what to answer.
    pub(crate) fn take_manifest(&self, bucket: Bucket, delta: &ManifestDelta, from: From) -> Result<ManifestAck, Refused> {
        let mut board = self.board();
        // Read while the board is held: no probe that has started before is of this manifest.
        let now = Instant::now();
        let held = board.manifest(bucket);
        let ack = |board: &Board, version: u64| ManifestAck {
            bucket: bucket.number().into(),
            version,
            nonce: delta.nonce,
            rejected: if version == 0 { Vec::new() } else { board.rejected(bucket) },
        };
        if let Some(held) = &held {
            let is_held = (held.version, held.hash) == (delta.to_version, delta.hash);
            if is_held || (from == From::Other && held.version >= delta.to_version) {
                return Ok(ack(&board, held.version));
            }
        }
        let manifest = match Manifest::apply(held.as_ref(), delta) {
            Ok(manifest) => manifest,
            // Version 0 asks for the whole.
            Err(Refused::Base | Refused::Hash) => return Ok(ack(&board, 0)),
            Err(Refused::Id) => return Err(Refused::Id),
        };
        if manifest.hash != delta.hash {
            tracing::warn!(bucket = bucket.number(), "a manifest says more than this release understands");
        }
        let version = manifest.version;
        board.adopt(bucket, manifest, now);
        let ack = ack(&board, version);
        let untold = board.rejected_count(bucket) - ack.rejected.len();
        drop(board);
        for rejected in &ack.rejected {
            tracing::warn!(bucket = bucket.number(), error = rejected.error, "a check cannot be run and votes config error");
        }
        if untold > 0 {
            tracing::warn!(bucket = bucket.number(), checks = untold, "more checks cannot be run and vote config error");
        }
        self.bucket_changed(bucket);
        Ok(ack)
    }

    /// This worker has no seat in the bucket any more. Only its owner's word counts: a standby that
    /// lags would take away what the owner believes is held.
    pub(crate) fn drop_bucket(&self, bucket: Bucket, from: From) {
        if from == From::Owner && self.board().drop_bucket(bucket, Instant::now()) {
            self.bucket_changed(bucket);
        }
    }

    fn bucket_changed(&self, bucket: Bucket) {
        self.rescheduled.send_replace(());
        self.changed.send_replace(());
        if self.disk.is_some() {
            lock(&self.unsaved).insert(bucket);
            self.unsaved_bell.send_replace(());
        }
        self.tell_status();
    }

    fn tell_status(&self) {
        let board = self.board();
        let (checks, buckets) = (board.checks(), board.buckets().count());
        drop(board);
        self.status.send_modify(|status| (status.checks, status.buckets) = (checks, buckets));
    }

    /// Writes what is not on disk yet. What cannot be written stays unsaved.
    pub(crate) fn save_unsaved(&self) -> io::Result<()> {
        let Some(disk) = &self.disk else { return Ok(()) };
        let mut result = Ok(());
        for bucket in std::mem::take(&mut *lock(&self.unsaved)) {
            // Read one at a time: the board is not held while the disk works.
            let manifest = self.board().manifest(bucket);
            let saved = match manifest {
                Some(manifest) => disk.save(bucket, &manifest),
                None => disk.remove(bucket),
            };
            if let Err(error) = saved {
                lock(&self.unsaved).insert(bucket);
                result = Err(error);
            }
        }
        result
    }
}

/// No panic leaves the state half changed in a way that matters: every message is the whole truth.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::tests::{BUCKET, caps, check};
    use crate::manifest::tests::whole;

    fn token() -> JoinToken {
        JoinToken {
            pop: "lhr".parse().expect("a code"),
            region: Region::Weu,
            city: "London".to_owned(),
            country: "GB".to_owned(),
            secret: "secret".to_owned(),
            ca_sha256: [0; 32],
        }
    }

    fn hub(disk: Option<Disk>) -> Hub {
        Hub::new(&token(), caps(), disk, watch::Sender::default())
    }

    fn version(hub: &Hub) -> u64 {
        hub.board().held(BUCKET).map_or(0, |(held, _)| held.version)
    }

    #[test]
    fn the_owner_decides_and_others_only_bring_what_is_newer() {
        let hub = hub(None);
        let take = |delta: &ManifestDelta, from| hub.take_manifest(BUCKET, delta, from).expect("well formed").version;
        assert_eq!(take(&whole(3, 5, &[check(1)]), From::Other), 5, "nothing was held");
        assert_eq!(take(&whole(3, 4, &[check(2)]), From::Other), 5, "the standby lags");
        assert_eq!(take(&whole(3, 6, &[check(2)]), From::Other), 6);
        assert_eq!(take(&whole(3, 2, &[check(3)]), From::Owner), 2, "a restored database counts again from where it was");
        let difference = ManifestDelta { from_version: 9, to_version: 10, ..whole(3, 10, &[]) };
        assert_eq!(take(&difference, From::Owner), 0, "asks for the whole");
        assert_eq!(version(&hub), 2);
        hub.drop_bucket(BUCKET, From::Other);
        assert_eq!(version(&hub), 2);
        hub.drop_bucket(BUCKET, From::Owner);
        assert_eq!((version(&hub), hub.status.borrow().checks), (0, 0));
    }

    #[test]
    fn a_restart_takes_up_manifests_and_a_higher_epoch() {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = || Some(Disk::open(folder.path()).expect("it can be made"));
        let first = hub(disk());
        first.take_manifest(BUCKET, &whole(3, 5, &[check(1), check(2)]), From::Owner).expect("well formed");
        first.save_unsaved().expect("room");
        let epoch = first.raise_epoch(9_000_000_000_000);
        assert_eq!(epoch, 9_000_000_000_001);

        let second = hub(disk());
        assert_eq!((version(&second), second.epoch()), (5, epoch + 1));
        assert_eq!(*second.status.borrow(), WorkerStatus { checks: 2, buckets: 1, ..WorkerStatus::default() });
        assert_ne!(second.boot_id, first.boot_id);
        second.drop_bucket(BUCKET, From::Owner);
        second.save_unsaved().expect("room");
        assert_eq!(version(&hub(disk())), 0);
    }
}
