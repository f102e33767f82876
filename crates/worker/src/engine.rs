//! Starts what is due, when it is due.

mod runners;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinError, JoinSet, yield_now};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use self::runners::Runners;
use crate::hub::Hub;
use crate::jobs::Start;
use crate::probe::Prober;

/// How far ahead there is always a timer. Tokio's driver is woken, by a system call, for each timer that is due before all
/// that it knew of when it last looked; so without this one, for the deadline of each probe of a tick.
const AHEAD: Duration = Duration::from_millis(500);
/// Probes that are started in one go: more than a tick should hold.
const STARTS_MAX: usize = 64;
/// The same where more were due, until no more are. In between, those under way have a turn each: to begin what cannot be ended
/// yet makes all of them dearer, since fewer find in the processor's caches what they need, and so even fewer end.
const STARTS_BEHIND_MAX: usize = 8;

/// Probes until stopped, at most `in_flight_max` at once.
///
/// # Errors
/// A probe has panicked.
pub(crate) async fn run<P: Prober>(hub: Arc<Hub>, prober: Arc<P>, in_flight_max: usize, stop: CancellationToken) -> Result<(), JoinError> {
    // A task as the runners are, which has its turn after theirs: what the runtime blocks on has one far more often.
    let mut starting = JoinSet::new();
    starting.spawn(start_due(hub, prober, in_flight_max, stop));
    starting.join_next().await.map_or(Ok(()), Result::flatten)
}

async fn start_due<P: Prober>(hub: Arc<Hub>, prober: Arc<P>, in_flight_max: usize, stop: CancellationToken) -> Result<(), JoinError> {
    let runners = Arc::new(Runners::new(hub.clone()));
    let mut tasks = JoinSet::new();
    let mut rescheduled = hub.rescheduled.subscribe();
    let mut alarm = pin!(sleep_until(Instant::now()));
    let mut ahead = pin!(sleep(AHEAD));
    let mut is_behind = false;
    loop {
        runners.tell_changes();
        let next_due = hub.board().jobs.next_due();
        let due = runners.look_out_for(next_due, in_flight_max);
        if let Some(due) = due.filter(|due| *due != alarm.deadline()) {
            alarm.as_mut().reset(due);
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(ended) = tasks.join_next() => ended?,
            Ok(()) = rescheduled.changed() => {}
            () = runners.news() => {}
            () = alarm.as_mut(), if due.is_some() => {
                let starts_max = if is_behind { STARTS_BEHIND_MAX } else { STARTS_MAX };
                let starts = due_now(&hub, in_flight_max.saturating_sub(runners.in_flight()).min(starts_max));
                is_behind = starts.len() == starts_max;
                for _new in 0..runners.start(starts) {
                    tasks.spawn(runners.clone().work(prober.clone()));
                }
                if is_behind {
                    yield_now().await;
                }
            }
            () = ahead.as_mut() => ahead.as_mut().reset(Instant::now() + AHEAD),
        }
    }
    tasks.shutdown().await;
    Ok(())
}

fn due_now(hub: &Hub, room: usize) -> Vec<Start> {
    // The clock is read while the board is held: what is held then is what these probes are for.
    let mut board = hub.board();
    board.take_due(Instant::now(), room)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use quorate_core::failure::FailureReason;
    use quorate_core::region::Region;
    use quorate_core::vote::VoteState;
    use quorate_proto::join::JoinToken;
    use tokio::sync::watch;
    use tokio::task::coop::consume_budget;

    use super::*;
    use crate::board::tests::{BUCKET, caps, check, outcome};
    use crate::hub::From;
    use crate::manifest::tests::whole;
    use crate::probe::{Finding, Outcome, Target};

    /// Takes 100 ms for every probe; port 2 fails.
    #[derive(Default)]
    struct Script {
        now: Mutex<HashMap<u16, u32>>,
        most: Mutex<(u32, u32)>,
    }

    impl Prober for Script {
        async fn probe(&self, target: &Target, _room: &mut Vec<u8>) -> Outcome {
            {
                let mut now = self.now.lock().expect("no panic");
                *now.entry(target.port).or_default() += 1;
                let mut most = self.most.lock().expect("no panic");
                *most = (most.0.max(now.values().sum()), most.1.max(now[&target.port]));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            *self.now.lock().expect("no panic").get_mut(&target.port).expect("it runs") -= 1;
            outcome(if target.port == 2 { Finding::Failed(FailureReason::TcpTimeout) } else { Finding::Passed })
        }
    }

    fn hub() -> Arc<Hub> {
        let token = JoinToken {
            pop: "lhr".parse().expect("a code"),
            region: Region::Weu,
            city: String::new(),
            country: String::new(),
            secret: String::new(),
            ca_sha256: [0; 32],
        };
        Arc::new(Hub::new(&token, caps(), None, watch::Sender::default()))
    }

    /// Of each probe of [`Brisk`].
    const TURNS: usize = 16;

    /// Never waits for its origin, and takes some turns.
    #[derive(Default)]
    struct Brisk {
        now: AtomicUsize,
        most: AtomicUsize,
    }

    impl Prober for Brisk {
        async fn probe(&self, _target: &Target, _room: &mut Vec<u8>) -> Outcome {
            self.most.fetch_max(self.now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            for _turn in 1..TURNS {
                tokio::task::yield_now().await;
            }
            self.now.fetch_sub(1, Ordering::Relaxed);
            outcome(Finding::Passed)
        }
    }

    /// A hub with so many checks.
    fn hub_of(checks: u16) -> Arc<Hub> {
        let hub = hub();
        let checks: Vec<_> = (1..=checks).map(check).collect();
        hub.take_manifest(BUCKET, &whole(3, 1, &checks), From::Owner).expect("well formed");
        hub
    }

    /// Stops the engine when no more than so many of the checks have no vote.
    async fn until_voted(hub: &Hub, checks: usize, unknown_max: usize, stop: &CancellationToken) {
        let mut changed = hub.changed.subscribe();
        loop {
            changed.changed().await.expect("the hub lives");
            let chunk = hub.board().chunk(BUCKET, Instant::now()).expect("held");
            if chunk.states(checks).expect("as many").filter(|state| *state == VoteState::Unknown).count() <= unknown_max {
                break stop.cancel();
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn checks_are_probed_within_the_bound_and_none_twice_at_once() {
        let (hub, stop) = (hub_of(20), CancellationToken::new());
        let prober = Arc::new(Script::default());
        let script = until_voted(&hub, 20, 0, &stop);
        let (ran, ()) = tokio::time::timeout(Duration::from_millis(1_500), async {
            tokio::join!(run(hub.clone(), prober.clone(), 3, stop.clone()), script)
        })
        .await
        .expect("20 probes, 3 at once, 100 ms each, from the first quarter of a second on");
        ran.expect("no panic");
        let window = hub.board().window(BUCKET, 0, 20, Instant::now()).expect("held");
        assert_eq!(window.details.iter().filter(|detail| detail.state == VoteState::Down).count(), 1);
        assert_eq!(*prober.most.lock().expect("no panic"), (3, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn where_many_are_due_at_once_those_under_way_end_before_more_are_begun() {
        let (hub, stop) = (hub_of(2_000), CancellationToken::new());
        // Not so late that it was a stall.
        tokio::time::advance(Duration::from_millis(200)).await;
        let prober = Arc::new(Brisk::default());
        let (ran, ()) = tokio::join!(run(hub.clone(), prober.clone(), 2_000, stop.clone()), until_voted(&hub, 2_000, 0, &stop));
        ran.expect("no panic");
        let most = prober.most.load(Ordering::Relaxed);
        assert!(most <= STARTS_MAX + TURNS * STARTS_BEHIND_MAX, "{most} at once");
    }

    /// An origin that always has more to say, at port 1.
    struct Busy;

    impl Prober for Busy {
        async fn probe(&self, target: &Target, _room: &mut Vec<u8>) -> Outcome {
            loop {
                consume_budget().await;
                if target.port != 1 {
                    return outcome(Finding::Passed);
                }
            }
        }
    }

    #[tokio::test]
    async fn a_probe_that_its_origin_keeps_busy_leaves_the_others_their_turns() {
        let (hub, stop) = (hub_of(20), CancellationToken::new());
        let voted = async { tokio::join!(run(hub.clone(), Arc::new(Busy), 20, stop.clone()), until_voted(&hub, 20, 1, &stop)) };
        let (ran, ()) = tokio::time::timeout(Duration::from_secs(9), voted).await.expect("19 probes that need no time");
        ran.expect("no panic");
    }
}
