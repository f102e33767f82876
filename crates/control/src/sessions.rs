//! The register of worker sessions: one a PoP, the highest session epoch wins, and a vote counts
//! while its session was heard of within the lease. Liveness is judged by this machine's own
//! monotonic clock; no timestamp of a worker is ever looked at.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quorate_core::pop::{Pop, PopNo};
use quorate_core::region::Region;
use quorate_store::worker_tokens::{Manifests, Sighting};
use rand::seq::IteratorRandom as _;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::identity::Secret;
use crate::one_off::{Ask, Line};

/// Why control ends a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Another process of the same PoP has a higher session epoch.
    Fenced,
    /// The same process has opened another stream.
    Reopened,
    /// The token was revoked or replaced.
    Revoked,
}

/// What becomes of a worker that introduces itself.
#[derive(Debug)]
pub(crate) enum Admission {
    Admitted(Ticket),
    /// A higher epoch was seen, and nobody is connected under it: take one above this and try again.
    RaiseAbove(u64),
    /// Another process speaks for the PoP.
    Fenced,
}

/// The introduction of a worker, as far as the register needs it.
#[derive(Clone, Debug)]
pub(crate) struct Introduction {
    pub(crate) pop: Pop,
    pub(crate) secret: Secret,
    pub(crate) epoch: u64,
    pub(crate) boot_id: [u8; 16],
    pub(crate) version: String,
}

#[derive(Debug)]
struct Entry {
    introduction: Introduction,
    /// When the worker was last heard, on whatever stream.
    heard: Instant,
    admitted: Instant,
    /// Its votes were not missing when it introduced itself, or it has spoken since.
    counts: bool,
    /// Said goodbye: silent and dead at once.
    left: bool,
    asked: Asked,
    stream: Option<Stream>,
}

/// What a worker is asked to probe in the buckets that this replica owns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) checks: u32,
    pub(crate) manifests: Manifests,
}

#[derive(Debug)]
struct Stream {
    number: u64,
    end: watch::Sender<Option<End>>,
    /// For one-off probes.
    line: Line,
}

#[derive(Debug, Default)]
struct Register {
    entries: HashMap<PopNo, Entry>,
    streams: u64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Sessions {
    register: Mutex<Register>,
    lease: Duration,
    started: Instant,
}

/// A session's place in the register, given up when dropped.
#[derive(Debug)]
pub(crate) struct Ticket {
    sessions: Arc<Sessions>,
    pop: PopNo,
    epoch: u64,
    number: u64,
    ended: watch::Receiver<Option<End>>,
    /// Until the session takes them: see [`Ticket::take_asks`].
    asks: Option<mpsc::Receiver<Ask>>,
}

impl Sessions {
    /// `lease`: silence after which votes are missing.
    pub(crate) fn new(lease: Duration) -> Self {
        Self { register: Mutex::default(), lease, started: Instant::now() }
    }

    fn register(&self) -> MutexGuard<'_, Register> {
        // Nobody panics between two writes that belong together.
        self.register.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a worker in, or not; whoever it replaces is told to end.
    pub(crate) fn admit(self: &Arc<Self>, introduction: Introduction) -> Admission {
        let (pop, epoch) = (introduction.pop.no, introduction.epoch);
        let mut register = self.register();
        if let Some(held) = register.entries.get(&pop) {
            let same_process = held.introduction.boot_id == introduction.boot_id;
            let seen = held.introduction.epoch;
            if epoch < seen || (epoch == seen && !same_process) {
                return if held.stream.is_some() && !same_process { Admission::Fenced } else { Admission::RaiseAbove(seen) };
            }
            if let Some(stream) = &held.stream {
                stream.end.send_replace(Some(if same_process { End::Reopened } else { End::Fenced }));
            }
        }
        let goes_on = |held: &Entry| held.introduction.epoch == epoch && held.is_live(self.lease);
        let counts = register.entries.get(&pop).is_some_and(goes_on);
        register.streams += 1;
        let number = register.streams;
        let (end, ended) = watch::channel(None);
        let (line, asks) = Line::new();
        let now = Instant::now();
        let entry = Entry {
            introduction,
            heard: now,
            admitted: now,
            counts,
            left: false,
            asked: Asked::default(),
            stream: Some(Stream { number, end, line }),
        };
        register.entries.insert(pop, entry);
        Admission::Admitted(Ticket { sessions: Arc::clone(self), pop, epoch, number, ended, asks: Some(asks) })
    }

    /// Whether votes that a PoP cast under `epoch` still count.
    pub(crate) fn is_live(&self, pop: PopNo, epoch: u64) -> bool {
        self.register().entries.get(&pop).is_some_and(|entry| entry.introduction.epoch == epoch && entry.is_live(self.lease))
    }

    /// Every PoP whose votes count, with the epoch under which they do.
    pub(crate) fn live(&self) -> BTreeSet<(PopNo, u64)> {
        let register = self.register();
        let live = register.entries.iter().filter(|(_, entry)| entry.is_live(self.lease));
        live.map(|(pop, entry)| (*pop, entry.introduction.epoch)).collect()
    }

    /// Whether a PoP has been silent for longer than `grace`, counted from this process's own start at the earliest.
    pub(crate) fn is_dead(&self, pop: PopNo, grace: Duration) -> bool {
        match self.register().entries.get(&pop) {
            Some(entry) => entry.left || (entry.stream.is_none() && entry.heard.elapsed() > grace),
            None => self.started.elapsed() > grace,
        }
    }

    /// The way to some worker of a region that is connected, `except` some.
    pub(crate) fn line_to(&self, region: Region, except: &[PopNo]) -> Option<(PopNo, Line)> {
        let register = self.register();
        let there =
            register.entries.iter().filter(|(pop, entry)| entry.introduction.pop.region == region && !entry.left && !except.contains(pop));
        let open = there.filter_map(|(pop, entry)| Some((*pop, &entry.stream.as_ref()?.line)));
        open.choose(&mut rand::rng()).map(|(pop, line)| (pop, line.clone()))
    }

    /// Sessions with an open stream.
    pub(crate) fn open(&self) -> u32 {
        let open = self.register().entries.values().filter(|entry| entry.stream.is_some()).count();
        u32::try_from(open).unwrap_or(u32::MAX)
    }

    /// Ends the sessions of PoPs that are not registered (any more), as of `asked`: a session admitted
    /// later may be of a PoP that was registered later.
    pub(crate) fn end_unregistered(&self, registered: &[Pop], asked: Instant) {
        for (pop, entry) in &mut self.register().entries {
            if entry.admitted < asked && !registered.iter().any(|known| known.no == *pop) {
                entry.end(End::Revoked);
            }
        }
    }

    /// Ends the session of a PoP whose token was revoked or replaced, unless it has come back with another.
    pub(crate) fn end_revoked(&self, pop: PopNo, epoch: u64) {
        if let Some(entry) = self.register().entries.get_mut(&pop)
            && entry.introduction.epoch == epoch
        {
            entry.end(End::Revoked);
        }
    }

    /// Everyone with an open stream: what was seen of it, and what it proved itself with.
    pub(crate) fn present(&self) -> Vec<(Sighting, u64, Secret)> {
        let register = self.register();
        let present = register.entries.values().filter(|entry| entry.stream.is_some());
        present.map(|entry| (entry.sighting(), entry.introduction.epoch, entry.introduction.secret.clone())).collect()
    }

    /// What was seen of a PoP that may be gone by now.
    pub(crate) fn sighting(&self, pop: PopNo) -> Option<Sighting> {
        self.register().entries.get(&pop).map(Entry::sighting)
    }
}

impl Entry {
    fn is_live(&self, lease: Duration) -> bool {
        self.counts && !self.left && self.heard.elapsed() < lease
    }

    fn end(&mut self, why: End) {
        self.left = true;
        if let Some(stream) = &self.stream {
            stream.end.send_replace(Some(why));
        }
    }

    fn sighting(&self) -> Sighting {
        Sighting {
            pop: self.introduction.pop.no,
            connected: self.stream.is_some(),
            version: self.introduction.version.clone(),
            checks: self.asked.checks,
            manifests: self.asked.manifests,
        }
    }
}

impl Ticket {
    /// Whether the votes of the PoP are missing, by silence or because it has only introduced itself:
    /// then they are missing until it says them again. `false` if this session was replaced.
    pub(crate) fn is_silent(&self) -> bool {
        let mut silent = false;
        self.with_entry(|entry| silent = !entry.is_live(self.sessions.lease));
        silent
    }

    /// What the worker is to be asked once. The session takes it, once.
    pub(crate) fn take_asks(&mut self) -> mpsc::Receiver<Ask> {
        self.asks.take().expect("one session takes it")
    }

    pub(crate) const fn pop(&self) -> PopNo {
        self.pop
    }

    pub(crate) const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// What the worker is asked, and has, by now.
    pub(crate) fn asked(&self, asked: Asked) {
        self.with_entry(|entry| entry.asked = asked);
    }

    /// The worker spoke: its votes count, and its lease starts again.
    pub(crate) fn heard(&self) {
        self.with_entry(|entry| {
            entry.heard = Instant::now();
            entry.counts = true;
        });
    }

    /// The worker drains: its votes are missing from now on.
    pub(crate) fn goodbye(&self) {
        self.with_entry(|entry| entry.left = true);
    }

    /// Waits until control ends this session, and says why.
    pub(crate) async fn ended(&mut self) -> End {
        match self.ended.wait_for(Option::is_some).await.map(|end| end.clone()) {
            Ok(Some(end)) => end,
            // Its entry was replaced, which told why just before.
            Ok(None) | Err(_) => self.ended.borrow().clone().unwrap_or(End::Fenced),
        }
    }

    fn with_entry(&self, change: impl FnOnce(&mut Entry)) {
        let mut register = self.sessions.register();
        if let Some(entry) = register.entries.get_mut(&self.pop).filter(|entry| entry.is_of(self.number)) {
            change(entry);
        }
    }
}

impl Entry {
    fn is_of(&self, number: u64) -> bool {
        self.stream.as_ref().is_some_and(|stream| stream.number == number)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.with_entry(|entry| entry.stream = None);
    }
}

#[cfg(test)]
mod tests {
    use quorate_core::region::Region;
    use tonic::metadata::MetadataMap;

    use super::*;

    const LEASE: Duration = Duration::from_secs(35);
    const GRACE: Duration = Duration::from_mins(1);
    const LHR: PopNo = PopNo(7);

    fn introduction(epoch: u64, boot: u8) -> Introduction {
        let mut metadata = MetadataMap::new();
        metadata.insert("authorization", "Bearer secret".parse().unwrap());
        Introduction {
            pop: Pop { no: LHR, code: "lhr".parse().unwrap(), region: Region::Weu, city: "London".to_owned(), country: "GB".to_owned() },
            secret: Secret::of_metadata(&metadata).unwrap(),
            epoch,
            boot_id: [boot; 16],
            version: "0.1.0".to_owned(),
        }
    }

    fn admitted(sessions: &Arc<Sessions>, epoch: u64, boot: u8) -> Ticket {
        match sessions.admit(introduction(epoch, boot)) {
            Admission::Admitted(ticket) => ticket,
            other => panic!("{other:?}"),
        }
    }

    /// Admitted, and it has spoken.
    fn speaking(sessions: &Arc<Sessions>, epoch: u64, boot: u8) -> Ticket {
        let ticket = admitted(sessions, epoch, boot);
        ticket.heard();
        ticket
    }

    #[tokio::test(start_paused = true)]
    async fn an_introduction_alone_makes_no_vote_count_again() {
        let sessions = Arc::new(Sessions::new(LEASE));
        let first = admitted(&sessions, 10, 1);
        assert!(first.is_silent() && !sessions.is_live(LHR, 10), "nothing was said yet");
        first.heard();
        assert!(!first.is_silent() && sessions.is_live(LHR, 10));
        // It comes back in time: what it said goes on.
        let second = admitted(&sessions, 10, 1);
        assert!(!second.is_silent() && sessions.is_live(LHR, 10));
        tokio::time::advance(LEASE).await;
        assert!(second.is_silent(), "also without a new introduction");
        let third = admitted(&sessions, 10, 1);
        assert!(third.is_silent() && !sessions.is_live(LHR, 10), "it was missing");
        assert!(!second.is_silent(), "a session that was replaced has nothing to tell of it");
        third.heard();
        third.goodbye();
        assert!(admitted(&sessions, 10, 1).is_silent(), "it had left");
        drop(speaking(&sessions, 10, 1));
        assert!(admitted(&sessions, 11, 2).is_silent(), "another process");
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_processes_the_higher_epoch_wins_and_the_other_is_told() {
        let sessions = Arc::new(Sessions::new(LEASE));
        let mut older = speaking(&sessions, 10, 1);
        let newer = speaking(&sessions, 11, 2);
        assert_eq!(older.ended().await, End::Fenced);
        assert!(!sessions.is_live(LHR, 10), "votes of the older are missing");
        assert!(sessions.is_live(LHR, 11));
        // The older dials again, as it was told or before: it stays out, and does not disturb.
        assert!(matches!(sessions.admit(introduction(10, 1)), Admission::Fenced));
        assert!(matches!(sessions.admit(introduction(11, 1)), Admission::Fenced), "nor by the same number");
        drop(older);
        assert!(sessions.is_live(LHR, 11), "a late end of the older changes nothing");
        // The newer is gone. Whoever comes with an old clock is told how high to go.
        drop(newer);
        assert!(matches!(sessions.admit(introduction(10, 1)), Admission::RaiseAbove(11)));
        assert!(sessions.is_live(LHR, 11), "its votes count until the lease ends");
        drop(admitted(&sessions, 12, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_reconnect_of_the_same_process_takes_over_its_own_session() {
        let sessions = Arc::new(Sessions::new(LEASE));
        let mut first = speaking(&sessions, 10, 1);
        let second = admitted(&sessions, 10, 1);
        assert_eq!(first.ended().await, End::Reopened);
        drop(first);
        assert_eq!(sessions.open(), 1);
        assert!(sessions.is_live(LHR, 10));
        drop(second);
        assert_eq!(sessions.open(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn votes_count_for_a_lease_after_the_last_word_and_not_after_a_goodbye() {
        let sessions = Arc::new(Sessions::new(LEASE));
        let ticket = speaking(&sessions, 10, 1);
        tokio::time::advance(Duration::from_secs(34)).await;
        ticket.heard();
        tokio::time::advance(Duration::from_secs(34)).await;
        assert!(sessions.is_live(LHR, 10));
        assert!(!sessions.is_live(LHR, 9), "of another epoch nothing counts");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!sessions.is_live(LHR, 10));
        ticket.heard();
        assert!(sessions.is_live(LHR, 10));
        ticket.asked(Asked { checks: 3, manifests: Manifests { wanted: 2, behind: 1 } });
        assert_eq!(sessions.sighting(LHR).map(|seen| (seen.connected, seen.checks, seen.manifests.behind)), Some((true, 3, 1)));
        ticket.goodbye();
        assert!(!sessions.is_live(LHR, 10));
        assert!(sessions.is_dead(LHR, GRACE), "its seat may move at once");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pop_is_dead_after_the_grace_time_counted_from_the_own_start_at_the_earliest() {
        let sessions = Arc::new(Sessions::new(LEASE));
        assert!(!sessions.is_dead(LHR, GRACE), "never seen, but control has just started");
        tokio::time::advance(GRACE + Duration::from_secs(1)).await;
        assert!(sessions.is_dead(LHR, GRACE));
        let ticket = admitted(&sessions, 10, 1);
        assert!(!sessions.is_dead(LHR, GRACE));
        drop(ticket);
        tokio::time::advance(GRACE).await;
        assert!(!sessions.is_dead(LHR, GRACE));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(sessions.is_dead(LHR, GRACE));
    }

    #[tokio::test(start_paused = true)]
    async fn a_revoked_token_loses_its_session_but_not_one_that_came_after_the_question() {
        let sessions = Arc::new(Sessions::new(LEASE));
        let mut ticket = speaking(&sessions, 10, 1);
        sessions.end_unregistered(&[introduction(0, 0).pop], Instant::now() + Duration::from_secs(1));
        sessions.end_unregistered(&[], Instant::now());
        assert!(sessions.is_live(LHR, 10));
        tokio::time::advance(Duration::from_millis(1)).await;
        sessions.end_unregistered(&[], Instant::now());
        assert_eq!(ticket.ended().await, End::Revoked);
        assert!(!sessions.is_live(LHR, 10));
    }
}
