//! Starts what is due, and folds in what it finds.

use std::pin::pin;
use std::sync::Arc;

use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::hub::Hub;
use crate::jobs::JobKey;
use crate::meters::Meters;
use crate::probe::{Outcome, Prober};

/// One probe that has ended.
struct Done {
    key: JobKey,
    kind: &'static str,
    started: Instant,
    outcome: Outcome,
}

/// Probes until stopped, at most `in_flight_max` at once.
///
/// # Errors
/// A probe has panicked.
pub(crate) async fn run<P: Prober>(hub: &Hub, prober: Arc<P>, in_flight_max: usize, stop: CancellationToken) -> Result<(), JoinError> {
    let mut running: JoinSet<Done> = JoinSet::new();
    let mut rescheduled = hub.rescheduled.subscribe();
    let mut meters = Meters::new();
    let mut alarm = pin!(sleep_until(Instant::now()));
    loop {
        let due = hub.board().jobs.next_due().filter(|_| running.len() < in_flight_max);
        if let Some(due) = due.filter(|due| *due != alarm.deadline()) {
            alarm.as_mut().reset(due);
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(done) = running.join_next() => {
                let mut all = vec![done?];
                while let Some(done) = running.try_join_next() {
                    all.push(done?);
                }
                finish(hub, &mut meters, &all);
            }
            Ok(()) = rescheduled.changed() => {}
            () = alarm.as_mut(), if due.is_some() => start(hub, &meters, &prober, &mut running, in_flight_max),
        }
        meters.in_flight.set(u32::try_from(running.len()).unwrap_or(u32::MAX));
    }
    running.shutdown().await;
    Ok(())
}

fn start<P: Prober>(hub: &Hub, meters: &Meters, prober: &Arc<P>, running: &mut JoinSet<Done>, in_flight_max: usize) {
    // The clock is read while the board is held: what is held then is what these probes are for.
    let due = {
        let mut board = hub.board();
        board.take_due(Instant::now(), in_flight_max - running.len())
    };
    for start in due {
        meters.started(start.late);
        let prober = prober.clone();
        running.spawn(async move {
            let outcome = prober.probe(&start.target).await;
            Done { key: start.key, kind: start.target.kind(), started: start.started, outcome }
        });
    }
}

fn finish(hub: &Hub, meters: &mut Meters, all: &[Done]) {
    let now = Instant::now();
    let mut board = hub.board();
    let mut changed = false;
    for Done { key, kind, started, outcome } in all {
        changed |= board.finished(*key, outcome, *started, now);
        meters.ended(kind, outcome);
    }
    drop(board);
    if changed {
        hub.changed.send_replace(());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Mutex;
    use std::time::Duration;

    use quorate_core::failure::FailureReason;
    use quorate_core::region::Region;
    use quorate_core::vote::VoteState;
    use quorate_proto::join::JoinToken;
    use tokio::sync::watch;

    use super::*;
    use crate::board::tests::{BUCKET, caps, check, outcome};
    use crate::hub::From;
    use crate::manifest::tests::whole;
    use crate::probe::{Finding, Target};

    /// Takes 100 ms for every probe; port 2 fails.
    #[derive(Default)]
    struct Script {
        now: Mutex<HashMap<u16, u32>>,
        most: Mutex<(u32, u32)>,
    }

    impl Prober for Script {
        async fn probe(&self, target: &Target) -> Outcome {
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

    #[tokio::test(start_paused = true)]
    async fn checks_are_probed_within_the_bound_and_none_twice_at_once() {
        let token = JoinToken {
            pop: "lhr".parse().expect("a code"),
            region: Region::Weu,
            city: String::new(),
            country: String::new(),
            secret: String::new(),
            ca_sha256: [0; 32],
        };
        let hub = Hub::new(&token, caps(), None, watch::Sender::default());
        let checks: Vec<_> = (1..=20).map(check).collect();
        let prober = Arc::new(Script::default());
        let stop = CancellationToken::new();
        let mut changed = hub.changed.subscribe();
        let script = async {
            hub.take_manifest(BUCKET, &whole(3, 1, &checks), From::Owner).expect("well formed");
            loop {
                changed.changed().await.expect("the hub lives");
                let states: Vec<VoteState> = hub.board().chunk(BUCKET, Instant::now()).expect("held").states(20).expect("20").collect();
                if !states.contains(&VoteState::Unknown) {
                    break stop.cancel();
                }
            }
        };
        let (ran, ()) =
            tokio::time::timeout(Duration::from_secs(9), async { tokio::join!(run(&hub, prober.clone(), 3, stop.clone()), script) })
                .await
                .expect("20 probes, 3 at once, 100 ms each");
        ran.expect("no panic");
        let window = hub.board().window(BUCKET, 0, 20, Instant::now()).expect("held");
        assert_eq!(window.details.iter().filter(|detail| detail.state == VoteState::Down).count(), 1);
        assert_eq!(*prober.most.lock().expect("no panic"), (3, 1));
    }
}
