//! Which replicas to dial, and which of them speak: one session to each, however it is reached.
//!
//! A replica may be known by several URLs: the configured one, the one that it names itself, a load
//! balancer. Control keeps the newest session of a process, so here the newest wins as well.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use quorate_core::bucket::Bucket;
use quorate_core::ids::ReplicaId;
use quorate_core::timings::Timings;
use quorate_proto::convert::BucketMap;
use tokio::sync::watch;

use crate::hub::From;
use crate::status::WorkerStatus;

#[derive(Debug)]
pub(super) struct Directory {
    known: Mutex<Known>,
    /// Rings when what is known has changed.
    pub(super) changed: watch::Sender<()>,
}

#[derive(Debug)]
struct Known {
    configured: Vec<String>,
    map: Option<BucketMap>,
    /// Sessions that stand, by replica: the URL that was dialled.
    live: BTreeMap<ReplicaId, String>,
    /// Who answered at a URL last.
    answered: BTreeMap<String, ReplicaId>,
    fenced: BTreeMap<String, String>,
    timings: Timings,
}

impl Directory {
    pub(super) fn new(configured: Vec<String>) -> Self {
        let known = Known {
            configured,
            map: None,
            live: BTreeMap::new(),
            answered: BTreeMap::new(),
            fenced: BTreeMap::new(),
            timings: Timings::default(),
        };
        Self { known: Mutex::new(known), changed: watch::Sender::default() }
    }

    /// The URLs to keep a session at.
    pub(super) fn wanted(&self) -> BTreeSet<String> {
        let known = self.lock();
        let mut wanted: BTreeSet<String> = known.live.values().cloned().collect();
        let replicas = known.map.as_ref().map_or(&[][..], BucketMap::replicas);
        let missing: Vec<_> = replicas.iter().filter(|replica| !known.live.contains_key(&replica.id)).collect();
        if missing.is_empty() && !replicas.is_empty() {
            return wanted;
        }
        wanted.extend(missing.iter().map(|replica| replica.url.clone()));
        // A configured URL whose replica is reached another way would only replace that session.
        let is_useful = |url: &&String| known.answered.get(*url).is_none_or(|replica| !known.live.contains_key(replica));
        wanted.extend(known.configured.iter().filter(is_useful).cloned());
        wanted
    }

    /// A session stands: control has welcomed it.
    pub(super) fn welcomed(&self, url: &str, replica: ReplicaId, timings: Timings) {
        self.change(|known| {
            known.live.retain(|_, other| other != url);
            known.live.insert(replica, url.to_owned());
            known.answered.insert(url.to_owned(), replica);
            known.fenced.remove(url);
            known.timings = timings;
        });
    }

    pub(super) fn ended(&self, url: &str) {
        self.change(|known| known.live.retain(|_, other| other != url));
    }

    pub(super) fn fenced(&self, url: &str, reason: &str) {
        self.change(|known| {
            known.fenced.insert(url.to_owned(), reason.to_owned());
        });
    }

    /// Takes a map if it is newer, or if nobody that the held one names speaks any more: a restored
    /// database counts again from where it was.
    pub(super) fn learn(&self, map: BucketMap) {
        self.change(|known| {
            if known.map.as_ref().is_none_or(|held| {
                map.version() > held.version() || !held.replicas().iter().any(|replica| known.live.contains_key(&replica.id))
            }) {
                known.map = Some(map);
            }
        });
    }

    /// Whether votes of the bucket go to the replica. Without a map they go to everybody.
    pub(super) fn serves(&self, replica: ReplicaId) -> impl Fn(Bucket) -> bool + use<> {
        let map = self.lock().map.clone();
        move |bucket| map.as_ref().is_none_or(|map| map.serves(replica, bucket))
    }

    pub(super) fn word_of(&self, replica: ReplicaId, bucket: Bucket) -> From {
        match &self.lock().map {
            Some(map) if map.owner(bucket).is_none_or(|owner| owner.id != replica) => From::Other,
            Some(_) | None => From::Owner,
        }
    }

    pub(super) fn timings(&self) -> Timings {
        self.lock().timings
    }

    pub(super) fn write_status(&self, status: &mut WorkerStatus) -> bool {
        let known = self.lock();
        let connected: Vec<String> = known.live.values().cloned().collect::<BTreeSet<_>>().into_iter().collect();
        let fenced = known.fenced.values().next().cloned();
        let is_new = (&status.connected, &status.fenced) != (&connected, &fenced);
        (status.connected, status.fenced) = (connected, fenced);
        is_new
    }

    fn change(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.lock());
        self.changed.send_replace(());
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use quorate_proto::convert::Replica;

    use super::*;

    fn id(number: u8) -> ReplicaId {
        ReplicaId::from_bytes([number; 16])
    }

    /// Replica 1 owns everything, replica 2 stands by; named `https://one` and `https://two`.
    fn map(version: u64) -> BucketMap {
        let replica = |number, url: &str| Replica { id: id(number), url: url.to_owned() };
        BucketMap::new(version, vec![replica(1, "https://one"), replica(2, "https://two")], |_| Some(id(1)), |_| Some(id(2)))
    }

    fn check(directory: &Directory, wanted: &[&str]) {
        assert_eq!(directory.wanted().iter().map(String::as_str).collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn every_replica_is_dialled_once_however_it_is_known() {
        let directory = Directory::new(vec!["https://any".to_owned()]);
        check(&directory, &["https://any"]);
        directory.welcomed("https://any", id(1), Timings::default());
        check(&directory, &["https://any"]);
        directory.learn(map(4));
        check(&directory, &["https://any", "https://two"]);
        directory.welcomed("https://two", id(2), Timings::default());
        check(&directory, &["https://any", "https://two"]);
    }

    #[test]
    fn the_newest_session_of_a_replica_wins_and_the_other_url_rests() {
        let directory = Directory::new(vec!["https://any".to_owned()]);
        directory.welcomed("https://any", id(1), Timings::default());
        directory.learn(map(4));
        directory.ended("https://any");
        check(&directory, &["https://any", "https://one", "https://two"]);
        directory.welcomed("https://any", id(1), Timings::default());
        directory.welcomed("https://one", id(1), Timings::default());
        check(&directory, &["https://one", "https://two"]);
        directory.ended("https://one");
        check(&directory, &["https://any", "https://one", "https://two"]);
    }

    #[test]
    fn only_a_newer_map_counts_and_says_whose_word_decides() {
        let directory = Directory::new(vec!["https://any".to_owned()]);
        let bucket = Bucket::new(9).expect("below 1024");
        assert_eq!(directory.word_of(id(7), bucket), From::Owner, "no map: whoever speaks");
        assert!(directory.serves(id(7))(bucket));
        directory.welcomed("https://any", id(1), Timings::default());
        directory.learn(map(4));
        directory.learn(BucketMap::new(3, Vec::new(), |_| None, |_| None));
        assert_eq!((directory.word_of(id(1), bucket), directory.word_of(id(2), bucket)), (From::Owner, From::Other));
        assert!(directory.serves(id(2))(bucket) && !directory.serves(id(7))(bucket));
    }

    #[test]
    fn a_lower_map_counts_once_nobody_of_the_held_one_speaks() {
        let directory = Directory::new(vec!["https://any".to_owned()]);
        let bucket = Bucket::new(9).expect("below 1024");
        directory.welcomed("https://any", id(1), Timings::default());
        directory.learn(map(4));
        directory.ended("https://any");
        directory.welcomed("https://any", id(7), Timings::default());
        assert_eq!(directory.word_of(id(7), bucket), From::Other);
        let restored = Replica { id: id(7), url: "https://seven".to_owned() };
        directory.learn(BucketMap::new(2, vec![restored], |_| Some(id(7)), |_| None));
        assert_eq!(directory.word_of(id(7), bucket), From::Owner);
        assert!(directory.serves(id(7))(bucket));
        directory.learn(BucketMap::new(1, Vec::new(), |_| None, |_| None));
        assert!(directory.serves(id(7))(bucket), "now somebody of the held one speaks");
    }

    #[test]
    fn the_status_tells_who_listens_and_why_nobody_does() {
        let directory = Directory::new(vec!["https://any".to_owned()]);
        let mut status = WorkerStatus::default();
        directory.fenced("https://any", "another process speaks for lhr");
        assert!(directory.write_status(&mut status) && !status.is_ready());
        assert_eq!(status.fenced.as_deref(), Some("another process speaks for lhr"));
        directory.welcomed("https://any", id(1), Timings::default());
        assert!(directory.write_status(&mut status) && status.is_ready() && status.fenced.is_none());
        assert!(!directory.write_status(&mut status), "nothing new");
    }
}
