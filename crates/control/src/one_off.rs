//! One-off probes of one session: what was asked of its worker, and who waits for the answer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use quorate_core::check::Check;
use quorate_proto::convert::{ProbeAnswer, probe_request};
use quorate_proto::v1;
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Probes that one worker is asked for at once by this replica; a worker makes twice as many at once.
const ASKED_MAX: usize = 16;

/// A probe to ask a worker for.
#[derive(Debug)]
pub(crate) struct Ask {
    check: Check,
    /// The answer is of no use later.
    deadline: Duration,
    /// Dropped unanswered: the session has ended.
    reply: oneshot::Sender<ProbeAnswer>,
}

/// The way to a session's worker.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    asks: mpsc::Sender<Ask>,
    room: Arc<Semaphore>,
}

impl Line {
    /// The way, and the session's end of it.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Ask>) {
        let (asks, asked) = mpsc::channel(ASKED_MAX);
        (Self { asks, room: Arc::new(Semaphore::new(ASKED_MAX)) }, asked)
    }

    /// Asks the worker, and waits so long for its answer once it is asked. `None`: the session has ended,
    /// the worker passes, or nothing comes in time.
    pub(crate) async fn ask(&self, check: Check, deadline: Duration) -> Option<ProbeAnswer> {
        let _room = self.room.acquire().await.ok()?;
        let (reply, answer) = oneshot::channel();
        self.asks.send(Ask { check, deadline, reply }).await.ok()?;
        let answer = tokio::time::timeout(deadline, answer).await.ok()?.ok()?;
        answer.was_asked().then_some(answer)
    }
}

/// What was asked in a session and is not answered.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    waiting: HashMap<u64, oneshot::Sender<ProbeAnswer>>,
    last_id: u64,
}

impl Requests {
    /// The message that asks.
    pub(crate) fn request(&mut self, ask: Ask) -> v1::ProbeRequest {
        // Nobody waits for the late ones any more.
        self.waiting.retain(|_, reply| !reply.is_closed());
        self.last_id += 1;
        self.waiting.insert(self.last_id, ask.reply);
        probe_request(self.last_id, &ask.check, ask.deadline)
    }

    /// Gives an answer to who waits for it, if anybody does.
    pub(crate) fn answered(&mut self, answer: ProbeAnswer) {
        if let Some(reply) = self.waiting.remove(&answer.request_id) {
            // An error: it stopped waiting a moment ago.
            let _ = reply.send(answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use quorate_core::preview::Seen;

    use super::*;
    use crate::sample::{monitor, pool, with_origins};

    fn ask() -> (Ask, oneshot::Receiver<ProbeAnswer>) {
        let (reply, answer) = oneshot::channel();
        (Ask { check: check(), deadline: Duration::from_secs(1), reply }, answer)
    }

    fn check() -> Check {
        let config = pool(1, &["WEU"], &with_origins(1));
        let origin = &config.pool.origins[0];
        Check::new(origin.check_id, 1, config.pool.id, [1; 16], &monitor(), &origin.settings)
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_is_asked_for_so_many_at_once_and_who_gets_no_answer_hears_so() {
        let (line, mut asks) = Line::new();
        let patient = Duration::from_secs(5);
        let all = futures_util::future::join_all((0..=ASKED_MAX).map(|_| line.ask(check(), patient)));
        let session = async {
            let mut held = Vec::new();
            for _ in 0..ASKED_MAX {
                held.push(asks.recv().await.expect("asked"));
            }
            assert!(asks.try_recv().is_err(), "one waits for room");
            let answer =
                |error: Option<&str>| ProbeAnswer { request_id: 1, seen: Seen { error: error.map(str::to_owned), ..Seen::default() } };
            held.remove(0).reply.send(answer(None)).expect("it waits");
            held.remove(0).reply.send(answer(Some("busy"))).expect("it waits");
            let last = asks.recv().await.expect("there is room now");
            drop(last);
            // The others are never answered.
            held
        };
        let (answers, _held) = tokio::join!(all, session);
        assert_eq!(answers.iter().filter(|answer| answer.is_some()).count(), 1, "{answers:?}");
        assert!(answers[0].is_some());
    }

    #[test]
    fn an_answer_finds_who_asked_and_strays_are_let_go() {
        let mut requests = Requests::default();
        let ((first, one), (second, mut other)) = (ask(), ask());
        let ids = [requests.request(first), requests.request(second)].map(|request| request.request_id);
        let answer = |request_id| ProbeAnswer { request_id, seen: Seen::default() };
        drop(one);
        requests.answered(answer(ids[0]));
        requests.answered(answer(99));
        assert!(other.try_recv().is_err());
        requests.answered(answer(ids[1]));
        assert_eq!(other.try_recv().map(|answer| answer.request_id), Ok(ids[1]));
        let (late, waiting) = ask();
        requests.request(late);
        drop(waiting);
        requests.request(ask().0);
        assert_eq!(requests.waiting.len(), 1, "who does not wait any more is forgotten");
    }
}
