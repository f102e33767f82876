//! Probes that control asks for once: beside the schedule, with a room of their own, so that they
//! never take the place of a scheduled one. What they find goes back on the session that asked.

use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use quorate_core::check::Check;
use quorate_core::failure::FailureReason;
use quorate_core::preview::Seen;
use quorate_core::vote::{Detail, VoteState};
use quorate_proto::convert::ProbeAnswer;
use quorate_proto::v1::{CheckSpec, ProbeRequest};
use tokio::sync::{Mutex, mpsc};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::probe::{Capabilities, Prober, Target};

/// One-off probes at once.
const IN_FLIGHT_MAX: usize = 32;
/// One-off probes that wait for their turn; what is beyond is passed on.
const WAITING_MAX: usize = 256;

/// Where sessions leave what they were asked.
#[derive(Debug)]
pub(crate) struct OneOffs {
    asked: mpsc::Sender<OneOff>,
    waiting: Mutex<mpsc::Receiver<OneOff>>,
}

#[derive(Debug)]
struct OneOff {
    request: ProbeRequest,
    /// Nobody listens for an answer after this.
    until: Instant,
    answers: mpsc::Sender<ProbeAnswer>,
}

impl Default for OneOffs {
    fn default() -> Self {
        let (asked, waiting) = mpsc::channel(WAITING_MAX);
        Self { asked, waiting: Mutex::new(waiting) }
    }
}

impl OneOffs {
    /// Takes a request up; what cannot be is answered at once.
    pub(crate) fn ask(&self, request: ProbeRequest, answers: &mpsc::Sender<ProbeAnswer>) -> Option<ProbeAnswer> {
        let until = Instant::now() + Duration::from_millis(request.deadline_ms.into());
        let refused = self.asked.try_send(OneOff { request, until, answers: answers.clone() }).err()?;
        let one_off = refused.into_inner();
        Some(not_asked(one_off.request.request_id, "this worker has as many one-off probes as it takes"))
    }
}

/// Probes what is asked until stopped.
///
/// # Errors
/// A probe has panicked.
pub(crate) async fn run<P: Prober>(
    one_offs: &OneOffs,
    capabilities: Capabilities,
    prober: Arc<P>,
    stop: CancellationToken,
) -> Result<(), JoinError> {
    let mut waiting = one_offs.waiting.lock().await;
    let mut running: JoinSet<()> = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(ended) = running.join_next() => ended?,
            Some(one_off) = waiting.recv(), if running.len() < IN_FLIGHT_MAX => {
                running.spawn(answer(one_off, capabilities, prober.clone()));
            }
        }
    }
    running.shutdown().await;
    Ok(())
}

async fn answer<P: Prober>(one_off: OneOff, capabilities: Capabilities, prober: Arc<P>) {
    let OneOff { request, until, answers } = one_off;
    // Beyond the deadline the answer would be thrown away; without a session there is nobody to tell.
    if until <= Instant::now() {
        return counter!("quorate_worker_one_off_probes_total", "result" => "late").increment(1);
    }
    let spec = request.check.unwrap_or_default();
    let asking = timeout_at(until, probe(request.request_id, &spec, capabilities, &*prober));
    let answer = tokio::select! {
        biased;
        () = answers.closed() => return,
        answer = asking => answer,
    };
    let result = match &answer {
        Err(_) => "late",
        Ok(answer) => match answer.seen.detail.state {
            VoteState::Up => "passed",
            VoteState::Down => "failed",
            VoteState::Unknown => "abstained",
            VoteState::ConfigError => "refused",
        },
    };
    counter!("quorate_worker_one_off_probes_total", "result" => result).increment(1);
    if let Ok(answer) = answer {
        // An error: the session has ended meanwhile, and control asks another worker.
        let _ = answers.send(answer).await;
    }
}

async fn probe<P: Prober>(request_id: u64, spec: &CheckSpec, capabilities: Capabilities, prober: &P) -> ProbeAnswer {
    let target = Check::try_from(spec).map_err(|error| error.to_string()).and_then(|check| {
        let target = Target::new(&check).and_then(|target| capabilities.allow(&target).map(|()| target));
        target.map_err(|error| error.to_string())
    });
    match target {
        Ok(target) => ProbeAnswer { request_id, seen: prober.probe_once(&target).await.seen() },
        Err(error) => {
            let detail = Detail { state: VoteState::ConfigError, reason: Some(FailureReason::MonitorConfigError), ..Detail::default() };
            ProbeAnswer { request_id, seen: Seen { detail, error: Some(error), ..Seen::default() } }
        }
    }
}

fn not_asked(request_id: u64, why: &str) -> ProbeAnswer {
    ProbeAnswer { request_id, seen: Seen { error: Some(why.to_owned()), ..Seen::default() } }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::probe::tests::checks::tcp_check;
    use crate::probe::{Finding, Outcome, Phases};

    /// Takes a second for every probe; port 2 fails.
    #[derive(Default)]
    struct Script {
        now: AtomicUsize,
        most: AtomicUsize,
        ended: AtomicUsize,
    }

    /// A probe that runs, however it ends.
    struct Counted<'a>(&'a AtomicUsize);

    impl Drop for Counted<'_> {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }

    impl Prober for Script {
        async fn probe(&self, target: &Target, _room: &mut Vec<u8>) -> Outcome {
            let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
            let _counted = Counted(&self.now);
            self.most.fetch_max(now, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_secs(1)).await;
            self.ended.fetch_add(1, Ordering::SeqCst);
            let finding = if target.port == 2 { Finding::Failed(FailureReason::TcpConnectionFailed) } else { Finding::Passed };
            Outcome {
                finding,
                response_code: None,
                rtt: Some(Duration::from_millis(3)),
                phases: Phases::default(),
                attempts: 1,
                certificate_days_left: None,
            }
        }
    }

    fn request(request_id: u64, check: &Check, deadline_ms: u32) -> ProbeRequest {
        ProbeRequest { request_id, check: Some(check.into()), deadline_ms }
    }

    #[tokio::test(start_paused = true)]
    async fn each_request_is_answered_with_what_was_found_or_why_nobody_was_asked() {
        let (one_offs, prober, stop) = (OneOffs::default(), Arc::new(Script::default()), CancellationToken::new());
        let (answers, mut answered) = mpsc::channel(1_000);
        let nowhere = tcp_check("192.0.2.1", 0);
        let script = async {
            for (id, check) in [(1, tcp_check("192.0.2.1", 1)), (2, tcp_check("192.0.2.1", 2)), (3, nowhere)] {
                assert_eq!(one_offs.ask(request(id, &check, 5_000), &answers), None);
            }
            let mut all = Vec::new();
            for _ in 0..3 {
                all.push(answered.recv().await.expect("an answer each"));
            }
            stop.cancel();
            all.sort_by_key(|answer| answer.request_id);
            all
        };
        let (ran, all) = tokio::join!(run(&one_offs, Capabilities::NONE, prober, stop.clone()), script);
        ran.expect("no panic");
        let told: Vec<_> =
            all.iter().map(|answer| (answer.seen.detail.state, answer.seen.detail.reason, answer.seen.detail.rtt_us)).collect();
        let expected = [
            (VoteState::Up, None, Some(3_000)),
            (VoteState::Down, Some(FailureReason::TcpConnectionFailed), Some(3_000)),
            (VoteState::ConfigError, Some(FailureReason::MonitorConfigError), None),
        ];
        assert_eq!(told, expected);
        assert_eq!(all[2].seen.error.as_deref(), Some("port 0 cannot be probed"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_probed_within_bounds_what_is_late_is_not_told_and_the_rest_is_passed_on() {
        let (one_offs, prober, stop) = (OneOffs::default(), Arc::new(Script::default()), CancellationToken::new());
        let (answers, mut answered) = mpsc::channel(1_000);
        let check = tcp_check("192.0.2.1", 1);
        let passed_on = (0..300).filter_map(|id| one_offs.ask(request(id, &check, 2_500), &answers)).collect::<Vec<_>>();
        assert_eq!(passed_on.len(), 300 - WAITING_MAX);
        assert!(passed_on.iter().all(|answer| !answer.was_asked()));
        drop(answers);
        let script = async {
            let mut count = 0;
            while answered.recv().await.is_some() {
                count += 1;
            }
            stop.cancel();
            count
        };
        let (ran, count) = tokio::join!(run(&one_offs, Capabilities::NONE, prober.clone(), stop.clone()), script);
        ran.expect("no panic");
        assert_eq!(count, 2 * IN_FLIGHT_MAX, "two rounds of one second within two and a half");
        assert_eq!(prober.most.load(Ordering::SeqCst), IN_FLIGHT_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_is_given_up_when_its_session_has_ended() {
        let (one_offs, prober, stop) = (OneOffs::default(), Arc::new(Script::default()), CancellationToken::new());
        let (answers, answered) = mpsc::channel(1);
        assert_eq!(one_offs.ask(request(1, &tcp_check("192.0.2.1", 1), 60_000), &answers), None);
        drop(answers);
        let script = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            drop(answered);
            tokio::task::yield_now().await;
            let ended = Instant::now();
            let (again, mut answered) = mpsc::channel(1);
            assert_eq!(one_offs.ask(request(2, &tcp_check("192.0.2.1", 1), 60_000), &again), None);
            assert_eq!(answered.recv().await.map(|answer| answer.request_id), Some(2));
            assert_eq!(ended.elapsed(), Duration::from_secs(1));
            stop.cancel();
        };
        let (ran, ()) = tokio::join!(run(&one_offs, Capabilities::NONE, prober.clone(), stop.clone()), script);
        ran.expect("no panic");
        assert_eq!(prober.ended.load(Ordering::SeqCst), 1, "the first one never came to its end");
    }
}
