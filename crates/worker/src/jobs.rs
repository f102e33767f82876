//! What is probed, and for which checks: one probe serves all checks of an account that ask the
//! same of the same target.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use quorate_core::bucket::Bucket;
use quorate_core::check::Check;
use quorate_core::ids::{CheckId, PoolId};
use quorate_core::pop::PopCode;
use quorate_proto::v1::CheckSpec;
use sha2::{Digest as _, Sha256};
use smallvec::SmallVec;
use tokio::time::Instant;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::caps::{Capped, Caps, Share};
use crate::probe::{Asker, Target};
use crate::schedule::{Ended, EntryId, Schedule};

/// Equal for checks that one probe serves. A cryptographic hash, since tenants choose what goes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct JobKey([u8; 16]);

/// A check that a job serves; the lowest pool comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Member {
    pub(crate) pool: PoolId,
    pub(crate) bucket: Bucket,
    pub(crate) check: CheckId,
}

#[derive(Debug)]
pub(crate) struct Jobs {
    schedule: Schedule<Job>,
    /// Those that are scheduled, or that nobody asks for any more and still run.
    by_key: HashMap<JobKey, EntryId>,
    caps: Caps,
    /// Moves the phases of this PoP away from those of the others.
    pop_seed: u64,
}

#[derive(Debug)]
struct Job {
    key: JobKey,
    /// In the name of the lowest pool.
    target: Arc<Target>,
    /// In order. Nearly always one; none where nobody asks any more and a probe still runs.
    members: SmallVec<[Member; 1]>,
    share: Share,
}

/// A probe to start now.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) job: EntryId,
    pub(crate) target: Arc<Target>,
    pub(crate) started: Instant,
    /// How much after its time.
    pub(crate) late: Duration,
}

impl JobKey {
    /// Everything that makes the probe, and nothing that makes the vote: not the thresholds, not
    /// whose check it is beyond the account.
    pub(crate) fn of(check: &Check) -> Self {
        let asked = CheckSpec {
            check_id: bytes::Bytes::new(),
            config_gen: 0,
            pool_id: bytes::Bytes::new(),
            consecutive_up: 0,
            consecutive_down: 0,
            ..CheckSpec::from(check)
        };
        let hash: [u8; 32] = Sha256::digest(asked.encode_to_vec()).into();
        let mut key = [0; 16];
        key.copy_from_slice(&hash[..16]);
        Self(key)
    }

    /// Nobody's choice, and the same at every worker.
    pub(crate) const fn rank(self) -> [u8; 16] {
        self.0
    }
}

impl Jobs {
    pub(crate) fn new(pop: &PopCode, caps: Caps, now: Instant) -> Self {
        Self { schedule: Schedule::new(now), by_key: HashMap::new(), caps, pop_seed: xxh3_64_with_seed(pop.as_str().as_bytes(), 0) }
    }

    /// The check gets a result soon, and one every interval from then on, from the job that is named.
    ///
    /// # Errors
    /// It is the first that asks this, and its account has no room for more.
    pub(crate) fn join(&mut self, key: JobKey, member: Member, check: &Check, target: Target, now: Instant) -> Result<EntryId, Capped> {
        let known = self.by_key.get(&key).copied();
        let known = known.and_then(|id| Some((id, self.schedule.get_mut(id)?)));
        match known {
            Some((id, job)) if !job.members.is_empty() => {
                if let Err(place) = job.members.binary_search(&member) {
                    job.members.insert(place, member);
                }
                job.name_lowest_pool();
                self.schedule.hasten(id, now);
                Ok(id)
            }
            Some((id, job)) => {
                *job = Job::new(key, member, check, target, self.caps.take(check)?);
                self.schedule.hasten(id, now);
                Ok(id)
            }
            None => {
                let job = Job::new(key, member, check, target, self.caps.take(check)?);
                let id = self.schedule.add(job, check.interval, xxh3_64_with_seed(&key.0, self.pop_seed), now);
                self.by_key.insert(key, id);
                Ok(id)
            }
        }
    }

    /// Whose share is given back, if nobody asks for it any more.
    pub(crate) fn leave(&mut self, id: EntryId, bucket: Bucket, check: CheckId) -> Option<[u8; 16]> {
        let job = self.schedule.get_mut(id)?;
        let before = job.members.len();
        job.members.retain(|member| (member.bucket, member.check) != (bucket, check));
        job.name_lowest_pool();
        if !job.members.is_empty() || before == 0 {
            return None;
        }
        let (key, share) = (job.key, job.share);
        self.caps.give_back(share);
        if self.schedule.remove(id) {
            self.by_key.remove(&key);
        }
        Some(share.account())
    }

    /// The job that serves those who ask this.
    #[cfg(test)]
    pub(crate) fn of(&self, key: JobKey) -> EntryId {
        self.by_key[&key]
    }

    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.schedule.next_due()
    }

    pub(crate) fn take_due(&mut self, now: Instant, room: usize) -> Vec<Start> {
        self.schedule.take_due(now, room, |due| Start { job: due.id, target: due.value.target.clone(), started: now, late: due.late })
    }

    /// A probe has ended. Whom it serves.
    pub(crate) fn finished(&mut self, id: EntryId, now: Instant) -> SmallVec<[Member; 1]> {
        match self.schedule.finished(id, now) {
            Some(Ended::Waits(job)) => job.members.clone(),
            Some(Ended::Gone(job)) => {
                self.by_key.remove(&job.key);
                SmallVec::new()
            }
            None => SmallVec::new(),
        }
    }
}

impl Job {
    fn new(key: JobKey, member: Member, check: &Check, target: Target, share: Share) -> Self {
        let target = Arc::new(target.asked_by(Asker::job(key.rank(), check)));
        Self { key, target, members: SmallVec::from([member]), share }
    }

    fn name_lowest_pool(&mut self) {
        if let Some(lowest) = self.members.first()
            && lowest.pool != self.target.pool()
        {
            self.target = Arc::new(self.target.for_pool(lowest.pool));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::tests::caps;
    use crate::probe::tests::checks::{http_check, tcp_check};

    #[test]
    fn one_probe_serves_identical_checks_of_an_account_in_the_name_of_the_lowest_pool() {
        let now = Instant::now();
        let mut jobs = Jobs::new(&"lhr".parse().expect("a code"), caps(), now);
        let check = |pool: u8, account: u8| Check {
            id: CheckId::from_bytes([pool; 16]),
            pool_id: PoolId::from_bytes([pool; 16]),
            sharing_key: [account; 16],
            config_gen: pool.into(),
            consecutive_down: pool,
            ..tcp_check("192.0.2.1", 443)
        };
        let member = |check: &Check| Member { pool: check.pool_id, bucket: Bucket::of(check.pool_id), check: check.id };
        for check in [check(7, 1), check(5, 1), check(6, 2)] {
            let target = Target::new(&check).expect("runnable");
            jobs.join(JobKey::of(&check), member(&check), &check, target, now).expect("room");
        }
        let later = now + Duration::from_millis(250);
        let starts = jobs.take_due(later, 9);
        let started: Vec<(u8, usize)> =
            starts.iter().map(|start| (start.target.pool().as_bytes()[0], jobs.finished(start.job, later).len())).collect();
        assert!(started.contains(&(5, 2)) && started.contains(&(6, 1)) && started.len() == 2, "{started:?}");

        jobs.leave(jobs.of(JobKey::of(&check(7, 1))), member(&check(5, 1)).bucket, check(5, 1).id);
        let takes = (0..2_000).map(|ms| jobs.take_due(later + Duration::from_millis(ms), 9));
        let mut started: Vec<u8> = takes.flatten().map(|start| start.target.pool().as_bytes()[0]).collect();
        started.sort_unstable();
        assert_eq!(started, [6, 7], "the lowest of whom it serves now");
    }

    #[test]
    fn a_place_that_was_left_serves_nobody_who_had_it_before() {
        let now = Instant::now();
        let mut jobs = Jobs::new(&"lhr".parse().expect("a code"), caps(), now);
        let check = |port: u16| tcp_check("192.0.2.1", port);
        let bucket = Bucket::of(check(1).pool_id);
        let join = |jobs: &mut Jobs, port: u16| {
            let check = check(port);
            let member = Member { pool: check.pool_id, bucket, check: check.id };
            jobs.join(JobKey::of(&check), member, &check, Target::new(&check).expect("runnable"), now).expect("room")
        };
        let later = now + Duration::from_millis(250);
        let first = join(&mut jobs, 1);
        jobs.leave(first, bucket, check(1).id);
        assert_eq!(join(&mut jobs, 2), first, "the place is free");
        let second = join(&mut jobs, 1);
        assert_ne!(second, first);

        assert_eq!(jobs.take_due(later, 9).len(), 2);
        jobs.leave(second, bucket, check(1).id);
        assert_eq!(join(&mut jobs, 1), second, "who comes while it runs waits for its end");
        jobs.leave(second, bucket, check(1).id);
        assert!(jobs.finished(second, later).is_empty());
        assert_eq!(join(&mut jobs, 3), second, "the place is free");
        assert_ne!(join(&mut jobs, 1), second);
        assert_eq!((jobs.by_key.len(), jobs.finished(first, later).len()), (3, 1));
    }

    #[test]
    fn whatever_changes_the_probe_is_another_job() {
        let check = http_check("192.0.2.1", 80, |_| {});
        let key = JobKey::of(&check);
        assert_eq!(JobKey::of(&Check { retries: 0, config_gen: 9, consecutive_up: 3, ..check.clone() }), key);
        for other in [
            Check { retries: 1, ..check.clone() },
            Check { interval: Duration::from_secs(9), ..check.clone() },
            Check { timeout: Duration::from_secs(9), ..check.clone() },
            Check { port: 81, ..check.clone() },
            http_check("192.0.2.1", 80, |ask| ask.host = Some("a.example".to_owned())),
            http_check("192.0.2.1", 80, |ask| ask.expected_codes = "2xx".to_owned()),
        ] {
            assert_ne!(JobKey::of(&other), key, "{other:?}");
        }
    }
}
