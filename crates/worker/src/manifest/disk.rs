//! The worker's folder: a file a bucket, and the session epoch.
//!
//! Nothing here is needed for the votes to be right: what cannot be read is told once and forgotten,
//! and comes again from the control plane. Files are replaced whole, so a crash leaves the old or the new.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use prost::Message as _;
use quorate_core::bucket::Bucket;
use quorate_core::register::EPOCH_MAX;
use quorate_proto::v1::ManifestDelta;
use xxhash_rust::xxh3::xxh3_64;

use super::Manifest;

/// Begins each manifest file; the last byte is the version of the format.
const MAGIC: [u8; 8] = *b"qmanif\x00\x01";
const EPOCH_FILE: &str = "session-epoch";
const MANIFESTS: &str = "manifests";

#[derive(Clone, Debug)]
pub(crate) struct Disk {
    folder: PathBuf,
}

impl Disk {
    /// Makes the folder if it is not there. Only its owner may enter: manifests hold the headers of probes, secret ones too.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder.join(MANIFESTS))?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// The epoch of the last start; 0 where there was none or it cannot be read.
    pub(crate) fn epoch(&self) -> u64 {
        let path = self.folder.join(EPOCH_FILE);
        match fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().ok().filter(|epoch| *epoch < EPOCH_MAX).unwrap_or_else(|| {
                tracing::warn!(file = %path.display(), "the session epoch on disk is damaged; the clock gives the next one");
                0
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => {
                tracing::warn!(file = %path.display(), error = %error, "the session epoch on disk cannot be read; the clock gives the next one");
                0
            }
        }
    }

    pub(crate) fn save_epoch(&self, epoch: u64) -> io::Result<()> {
        replace(&self.folder.join(EPOCH_FILE), format!("{epoch}\n").as_bytes())
    }

    /// Every manifest that is whole. Damaged files are removed.
    pub(crate) fn manifests(&self) -> BTreeMap<Bucket, Manifest> {
        let folder = self.folder.join(MANIFESTS);
        let files = match fs::read_dir(&folder) {
            Ok(files) => files,
            Err(error) => {
                tracing::warn!(folder = %folder.display(), error = %error, "the manifests on disk cannot be read");
                return BTreeMap::new();
            }
        };
        let mut manifests = BTreeMap::new();
        for path in files.filter_map(|file| Some(file.ok()?.path())) {
            let Some(bucket) = path.file_name().and_then(|name| Bucket::new(name.to_str()?.parse().ok()?)) else {
                // What a crash left of a write that was not finished.
                let _left_for_the_next_start = fs::remove_file(&path);
                continue;
            };
            match fs::read(&path).map(|bytes| decode(&bytes, bucket)) {
                Ok(Some(manifest)) => {
                    manifests.insert(bucket, manifest);
                }
                Ok(None) => {
                    tracing::warn!(file = %path.display(), "a manifest on disk is damaged and will be fetched again");
                    let _found_again_at_the_next_start = fs::remove_file(&path);
                }
                Err(error) => tracing::warn!(file = %path.display(), error = %error, "a manifest on disk cannot be read"),
            }
        }
        manifests
    }

    pub(crate) fn save(&self, bucket: Bucket, manifest: &Manifest) -> io::Result<()> {
        replace(&self.file(bucket), &encode(bucket, manifest))
    }

    pub(crate) fn remove(&self, bucket: Bucket) -> io::Result<()> {
        match fs::remove_file(self.file(bucket)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn file(&self, bucket: Bucket) -> PathBuf {
        self.folder.join(MANIFESTS).join(bucket.number().to_string())
    }
}

fn encode(bucket: Bucket, manifest: &Manifest) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    manifest.to_delta(bucket.number().into()).encode(&mut bytes).expect("a vector grows as needed");
    let checksum = xxh3_64(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8], bucket: Bucket) -> Option<Manifest> {
    let (content, checksum) = bytes.split_last_chunk()?;
    if xxh3_64(content) != u64::from_le_bytes(*checksum) {
        return None;
    }
    let delta = ManifestDelta::decode(content.strip_prefix(&MAGIC)?).ok()?;
    if delta.bucket != u32::from(bucket.number()) {
        return None;
    }
    Manifest::apply(None, &delta).ok()
}

/// Writes beside the file, and puts it in its place when it is safe on disk.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let written = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&beside, path)).inspect_err(|_| {
        // On a full disk the rest of the file is in the way of others.
        let _gone_anyway = fs::remove_file(&beside);
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::tests::whole;
    use crate::probe::tests::checks::tcp_check;

    fn bucket(number: u16) -> Bucket {
        Bucket::new(number).expect("below 1024")
    }

    #[test]
    fn manifests_and_epoch_survive_a_restart_and_damage_is_forgotten() {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = Disk::open(&folder.path().join("deep/er")).expect("it is made");
        assert_eq!(disk.epoch(), 0);
        disk.save_epoch(1_800_000_000_000).expect("room");
        let manifest = Manifest::apply(None, &whole(3, 9, &[tcp_check("192.0.2.1", 1)])).expect("whole");
        for number in [3, 4, 5] {
            disk.save(bucket(number), &manifest).expect("room");
        }
        disk.remove(bucket(5)).expect("it is there");
        disk.remove(bucket(5)).expect("gone already");

        let again = Disk::open(&folder.path().join("deep/er")).expect("it is there");
        assert_eq!(again.epoch(), 1_800_000_000_000);
        // Every byte counts: flip each in turn.
        let file = again.file(bucket(4));
        let bytes = fs::read(&file).expect("saved");
        for position in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[position] ^= 1;
            assert_eq!(decode(&damaged, bucket(4)), None, "byte {position}");
        }
        fs::write(&file, &bytes[..bytes.len() / 2]).expect("room");
        fs::write(file.with_extension("new"), b"half").expect("room");
        fs::write(folder.path().join("deep/er").join(EPOCH_FILE), "soon").expect("room");
        assert_eq!(again.manifests(), BTreeMap::from([(bucket(3), manifest)]));
        assert!(!file.exists() && !file.with_extension("new").exists());
        assert_eq!(again.epoch(), 0);
        again.save_epoch(u64::MAX).expect("room");
        assert_eq!(again.epoch(), 0, "no clock has told it");
    }

    #[test]
    fn a_manifest_of_another_bucket_is_not_taken() {
        let manifest = Manifest { version: 1, hash: 0, entries: Vec::new() };
        assert_eq!(decode(&encode(bucket(3), &manifest), bucket(4)), None);
    }
}
