//! A worker that stands still while it probes blames nobody for it.

use std::convert::Infallible;
use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use quorate_core::check::Check;
use quorate_core::failure::FailureReason as R;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;

use super::checks::http_check;
use super::server::{Server, hold, read_head};
use super::{Finding, NetProber, Outcome, Target, failed, prober};
use crate::probe::Prober as _;

/// An origin that answers these one after the other, and says nothing where that is empty.
async fn answering(answers: &'static [&'static str]) -> (Server, mpsc::UnboundedReceiver<()>) {
    let (asked, was_asked) = mpsc::unbounded_channel();
    let before = std::sync::Arc::new(AtomicUsize::new(0));
    let server = Server::start(move |mut stream| {
        let (asked, answer) = (asked.clone(), answers[before.fetch_add(1, Ordering::Relaxed)]);
        async move {
            read_head(&mut stream).await;
            asked.send(()).expect("the test listens");
            if answer.is_empty() {
                hold(stream).await;
            } else {
                // Who asked may have gone.
                let _said = stream.write_all(answer.as_bytes()).await;
            }
        }
    })
    .await;
    (server, was_asked)
}

/// Probes, and lets the thread stand still beyond the timeout each of the first `times` that the origin is asked.
async fn probe_standing_still(prober: &NetProber, check: &Check, mut was_asked: mpsc::UnboundedReceiver<()>, times: usize) -> Outcome {
    let target = Target::new(check).expect("runnable");
    let stand_still = async {
        for _ in 0..times {
            was_asked.recv().await.expect("the origin lives");
            std::thread::sleep(check.timeout + Duration::from_millis(200));
        }
        pending::<Infallible>().await
    };
    tokio::select! {
        // Before the probe hears of an answer.
        biased;
        never = stand_still => match never {},
        outcome = prober.probe_once(&target) => outcome,
        never = prober.watch() => match never {},
    }
}

const GOOD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const BAD: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";

#[tokio::test]
async fn what_a_worker_has_missed_while_it_stood_still_is_asked_again() {
    let (server, was_asked) = answering(&["", GOOD]).await;
    let check = http_check("127.0.0.1", server.address.port(), |_| {});
    let outcome = probe_standing_still(&prober(|_| {}), &check, was_asked, 1).await;
    assert_eq!((outcome.finding, outcome.attempts), (Finding::Passed, 2), "although there is no retry");
}

#[tokio::test]
async fn a_worker_that_stands_still_again_and_again_abstains() {
    let (server, was_asked) = answering(&["", ""]).await;
    let check = http_check("127.0.0.1", server.address.port(), |_| {});
    let outcome = probe_standing_still(&prober(|_| {}), &check, was_asked, 2).await;
    assert_eq!((outcome.finding, outcome.attempts), (Finding::Abstained(R::OtherFailure), 2));
}

#[tokio::test]
async fn an_origin_that_is_silent_to_a_worker_that_is_there_again_is_down() {
    let (server, was_asked) = answering(&["", "", ""]).await;
    let check = Check { retries: 1, ..http_check("127.0.0.1", server.address.port(), |_| {}) };
    let outcome = probe_standing_still(&prober(|_| {}), &check, was_asked, 1).await;
    assert_eq!((outcome.finding, outcome.attempts), (failed(R::HttpTimeout), 3), "the attempt that was lost is none of its retries");
}

#[tokio::test]
async fn what_an_origin_says_counts_however_long_the_worker_stood_still() {
    let (server, was_asked) = answering(&[BAD]).await;
    let check = http_check("127.0.0.1", server.address.port(), |_| {});
    let outcome = probe_standing_still(&prober(|_| {}), &check, was_asked, 1).await;
    assert_eq!((outcome.finding, outcome.attempts), (failed(R::ResponseCodeMismatch), 1));
}
