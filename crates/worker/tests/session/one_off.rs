//! Probes that control asks for once.

use std::time::Duration;

use quorate_core::check::Check;
use quorate_core::failure::FailureReason;
use quorate_core::vote::VoteState;
use quorate_proto::convert::{ProbeAnswer, probe_request};
use quorate_proto::v1::control_message::Body as Say;
use quorate_proto::v1::worker_message::Body as Heard;

use crate::control::{Control, Peer};
use crate::origin::Origin;
use crate::world::{Worker, check, config};

async fn asks(peer: &mut Peer, id: u64, check: &Check) -> ProbeAnswer {
    peer.says(Say::ProbeRequest(Box::new(probe_request(id, check, Duration::from_secs(5))))).await;
    let answer = peer.hears_that("an answer", |body| if let Heard::ProbeAnswer(answer) = body { Some(answer.clone()) } else { None }).await;
    ProbeAnswer::try_from(answer).expect("well formed")
}

#[tokio::test]
async fn a_probe_is_made_once_for_who_asks_and_is_no_vote() {
    let (mut control, origin) = (Control::start().await, Origin::start().await);
    let worker = Worker::start(config(control.url()));
    let (mut peer, _) = control.welcomes(1).await;
    let open = check(1, origin.address);
    let answer = asks(&mut peer, 7, &open).await;
    assert_eq!((answer.request_id, answer.seen.detail.state, answer.seen.detail.reason), (7, VoteState::Up, None));
    assert!(answer.seen.detail.rtt_us.is_some());

    let nowhere = Check { port: 0, ..open.clone() };
    let answer = asks(&mut peer, 8, &nowhere).await;
    assert_eq!((answer.seen.detail.state, answer.seen.error.as_deref()), (VoteState::ConfigError, Some("port 0 cannot be probed")));

    // The address policy is the one of scheduled probes.
    let forbidden = Check { address: "10.11.12.13".to_owned(), ..open.clone() };
    assert_eq!(asks(&mut peer, 9, &forbidden).await.seen.detail.reason, Some(FailureReason::DnsInternal));

    assert_eq!(origin.times_probed(), 1);
    origin.dies().await;
    let answer = asks(&mut peer, 10, &open).await;
    assert_eq!((answer.seen.detail.state, answer.seen.detail.reason), (VoteState::Down, Some(FailureReason::TcpConnectionFailed)));

    assert!(peer.hears_round().await.chunks.is_empty(), "there is nothing to vote on");
    assert_eq!(worker.status.borrow().checks, 0);
}
