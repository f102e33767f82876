//! From Hello to votes.

use quorate_core::bucket::Bucket;
use quorate_core::check::Check;
use quorate_core::failure::FailureReason;
use quorate_core::ids::CheckId;
use quorate_core::vote::VoteState;
use quorate_proto::convert::WINDOW_ENTRY_BYTES;
use quorate_proto::v1::control_message::Body as Say;
use quorate_proto::v1::worker_message::Body as Heard;
use quorate_proto::v1::{Limits, ManifestDelta, ManifestDrop, RoundAck, Throttle, Timings, Welcome};
use quorate_worker::WorkerStatus;

use crate::control::{Control, welcome};
use crate::origin::Origin;
use crate::world::{BUCKET, Worker, check, config, manifest};

#[tokio::test]
async fn a_worker_introduces_itself_takes_a_manifest_and_tells_what_it_sees() {
    let (mut control, origin) = (Control::start().await, Origin::start().await);
    let mut worker = Worker::start(config(control.url()));
    let (mut peer, hello) = control.welcomes(1).await;
    assert_eq!(peer.authorization.as_deref(), Some("Bearer correct-horse"));
    assert_eq!((hello.protocol, hello.pop.as_str(), hello.region.code()), (1, "lhr", "WEU"));
    assert!(hello.session_epoch > 1_700_000_000_000, "the clock, in milliseconds");
    assert!(["http", "https", "tcp", "smtp"].iter().all(|kind| hello.capabilities.iter().any(|capability| capability == kind)));
    assert!(hello.held.is_empty());
    assert_eq!(peer.hears_round().await.chunks, [], "a sign of life before there is anything to tell");

    let portless = Check { port: 0, ..check(2, origin.address) };
    peer.says(manifest(BUCKET, 5, &[check(1, origin.address), portless])).await;
    let ack = peer.hears_ack().await;
    assert_eq!((ack.bucket, ack.version, ack.nonce), (3, 5, 1_005));
    assert_eq!(ack.rejected.len(), 1);
    assert_eq!((&ack.rejected[0].check_id[..], &*ack.rejected[0].error), (&[2; 16][..], "port 0 cannot be probed"));

    let votes = peer.hears_votes().await;
    assert_eq!(votes.chunks[0].manifest_version, 5);
    let states: Vec<VoteState> = votes.chunks[0].states(2).expect("two checks").collect();
    assert_eq!(states[1], VoteState::ConfigError);
    assert_eq!(votes.windows.iter().map(|window| window.details.len()).sum::<usize>(), 2, "all detail first");

    if states[0] == VoteState::Unknown {
        let up = peer.hears_changes().await;
        assert_eq!((up.len(), up[0].position, up[0].detail.state), (1, 0, VoteState::Up));
        assert!(up[0].detail.rtt_us.is_some_and(|rtt| rtt < 1_000_000));
    }
    origin.dies().await;
    let down = peer.hears_changes().await;
    assert_eq!((down.len(), down[0].manifest_version, down[0].position), (1, 5, 0));
    assert_eq!((down[0].detail.state, down[0].detail.reason), (VoteState::Down, Some(FailureReason::TcpConnectionFailed)));
    let shown = worker.shows("a session", WorkerStatus::is_ready).await;
    assert_eq!((shown.checks, shown.buckets, shown.fenced), (2, 1, None));
}

#[tokio::test]
async fn rounds_come_whether_or_not_anything_changes_and_in_order() {
    let (mut control, origin) = (Control::start().await, Origin::start().await);
    let _worker = Worker::start(config(control.url()));
    let (mut peer, _) = control.welcomes(1).await;
    peer.says(manifest(BUCKET, 1, &[check(1, origin.address)])).await;
    let mut seq = 0;
    for _ in 0..5 {
        let votes = peer.hears_votes().await;
        assert!(votes.seq > seq, "{} after {seq}", votes.seq);
        seq = votes.seq;
    }
    let deltas = peer.skipped.iter().filter(|body| matches!(body, Heard::Delta(_))).count();
    assert!(deltas <= 1, "an origin that stays up changes once at most: {deltas}");
}

#[tokio::test]
async fn regular_rounds_go_on_while_every_configuration_is_told_in_full_and_acknowledged() {
    let (mut control, origin) = (Control::start().await, Origin::start().await);
    let _worker = Worker::start(config(control.url()));
    let (mut peer, _) = control.welcomes(1).await;
    let (steady, churning) = (BUCKET, Bucket::new(77).expect("below 1024"));
    peer.says(manifest(steady, 1, &[check(1, origin.address)])).await;
    peer.says(manifest(churning, 1, &[check(2, origin.address)])).await;
    let (mut regular, mut version) = (0, 1);
    while regular < 3 {
        assert!(version < 200, "{regular} regular rounds among {version} configurations at least 20 ms apart");
        let round = peer.hears_round().await;
        peer.says(Say::RoundAck(RoundAck { seq: round.seq, next_round_ms: 200 })).await;
        let tells = |bucket: Bucket, version| {
            round.chunks.iter().any(|chunk| (chunk.bucket, chunk.manifest_version) == (bucket.number().into(), version))
        };
        // What is told in full is the churning bucket alone, but for the first time.
        regular += u32::from(version > 1 && tells(steady, 1));
        if tells(churning, version) {
            version += 1;
            peer.says(manifest(churning, version, &[check(2, origin.address)])).await;
        }
    }
}

#[tokio::test]
async fn a_worker_of_40_000_checks_says_nothing_that_control_cannot_read() {
    let mut control = Control::start().await;
    let _worker = Worker::start(config(control.url()));
    let mut peer = control.accepts().await;
    peer.hears_hello().await;
    let limits = Limits { message_bytes_max: 4 << 20, ..welcome(1).limits.expect("they are named") };
    let generous = Welcome { limits: Some(limits), ..welcome(1) };
    peer.says(Say::Welcome(generous.clone())).await;
    let unprobed = "192.0.2.1:1".parse().expect("an address");
    for bucket in 0..4_u16 {
        let checks: Vec<Check> = (0..10_000_u16)
            .map(|number| {
                let mut id = [0; 16];
                id[..4].copy_from_slice(&[bucket.to_be_bytes(), number.to_be_bytes()].concat());
                Check { id: CheckId::from_bytes(id), port: 0, ..check(1, unprobed) }
            })
            .collect();
        peer.says(manifest(Bucket::new(bucket).expect("below 1024"), 1, &checks)).await;
        assert_eq!(peer.hears_ack().await.rejected.len(), 100, "the first ones");
    }
    drop(peer);

    // A new session tells everything first; then regular rounds go on.
    let mut peer = control.accepts().await;
    assert_eq!(peer.hears_hello().await.held.len(), 4);
    peer.says(Say::Welcome(generous)).await;
    let is_regular = |body: &Heard| matches!(body, Heard::Round(round) if round.chunks.len() == 4).then_some(());
    let mut told = 0;
    while told < 40_000 {
        let round = peer.hears_round().await;
        told += round.detail.iter().map(|window| window.entries.len() / WINDOW_ENTRY_BYTES).sum::<usize>();
    }
    for _ in 0..3 {
        peer.hears_that("a regular round", is_regular).await;
    }
}

#[tokio::test]
async fn a_difference_is_applied_and_a_wrong_one_is_answered_by_asking_for_the_whole() {
    let (mut control, origin) = (Control::start().await, Origin::start().await);
    let _worker = Worker::start(config(control.url()));
    let (mut peer, _) = control.welcomes(1).await;
    peer.says(manifest(BUCKET, 1, &[check(1, origin.address), check(2, origin.address)])).await;
    assert_eq!(peer.hears_ack().await.version, 1);

    let Say::ManifestDelta(whole) = manifest(BUCKET, 2, &[check(2, origin.address), check(3, origin.address)]) else { unreachable!() };
    let difference = ManifestDelta { from_version: 1, add: whole.add[1..].to_vec(), remove: vec![vec![1; 16].into()], ..whole.clone() };
    peer.says(Say::ManifestDelta(ManifestDelta { hash: 7, ..difference.clone() })).await;
    assert_eq!(peer.hears_ack().await.version, 0);
    peer.says(Say::ManifestDelta(difference)).await;
    assert_eq!(peer.hears_ack().await.version, 2);
    let is_told =
        |body: &Heard| matches!(body, Heard::Round(round) if round.chunks.iter().any(|chunk| chunk.manifest_version == 2)).then_some(());
    peer.hears_that("the new version", is_told).await;

    peer.says(Say::ManifestDrop(ManifestDrop { bucket: 3 })).await;
    peer.hears_that("an empty round", |body| matches!(body, Heard::Round(round) if round.chunks.is_empty()).then_some(())).await;
}

#[tokio::test]
async fn a_higher_epoch_is_adopted_and_hello_said_again() {
    let mut control = Control::start().await;
    let mut worker = Worker::start(config(control.url()));
    let mut peer = control.accepts().await;
    let epoch = peer.hears_hello().await.session_epoch;
    peer.says(Say::Welcome(Welcome { min_epoch: epoch + 1_000, ..welcome(1) })).await;
    assert_eq!(peer.hears_hello().await.session_epoch, epoch + 1_001);
    peer.says(Say::Welcome(Welcome { min_epoch: epoch + 1_000, ..welcome(1) })).await;
    peer.hears_round().await;
    worker.shows("a session", WorkerStatus::is_ready).await;
}

#[tokio::test]
async fn a_throttled_worker_leaves_changes_to_its_rounds() {
    let (mut control, origin) = (Control::start().await, Origin::start().await);
    let _worker = Worker::start(config(control.url()));
    let (mut peer, _) = control.welcomes(1).await;
    peer.says(Say::Throttle(Throttle { delta_entries_per_second: 0 })).await;
    peer.says(manifest(BUCKET, 1, &[check(1, origin.address)])).await;
    let up = |body: &Heard| match body {
        Heard::Round(round) => round.chunks.iter().any(|chunk| chunk.bits[..] == [0b01]).then_some(()),
        Heard::Delta(_) => panic!("no delta may come"),
        _ => None,
    };
    peer.hears_that("up in a round", up).await;
    origin.dies().await;
    let down = |body: &Heard| match body {
        Heard::Round(round) => round.chunks.iter().any(|chunk| chunk.bits[..] == [0b10]).then_some(()),
        Heard::Delta(_) => panic!("no delta may come"),
        _ => None,
    };
    peer.hears_that("down in a round", down).await;
    peer.says(Say::Throttle(Throttle { delta_entries_per_second: 1_000 })).await;
    assert_eq!(peer.hears_changes().await[0].detail.state, VoteState::Down, "what waited goes when it may");
}

#[tokio::test]
async fn ten_times_news_goes_at_once_and_what_follows_keeps_its_spacing_and_leaves_it_to_rounds() {
    let (mut control, mut origin) = (Control::start().await, Some(Origin::start().await));
    let address = origin.as_ref().expect("it lives").address;
    let _worker = Worker::start(config(control.url()));
    let mut peer = control.accepts().await;
    peer.hears_hello().await;
    let an_hour = Timings { delta_ms: 3_600_000, ..welcome(1).timings.expect("they are named") };
    peer.says(Say::Welcome(Welcome { timings: Some(an_hour), ..welcome(1) })).await;
    peer.says(manifest(BUCKET, 1, &[check(1, address)])).await;
    // A configuration that is told in full is news too.
    let mut left = 9;
    let votes = peer.hears_votes().await;
    if votes.chunks[0].states(1).expect("one check").next() == Some(VoteState::Unknown) {
        assert_eq!(peer.hears_changes().await[0].detail.state, VoteState::Up);
        left -= 1;
    }
    let mut turns = async || {
        match origin.take() {
            Some(alive) => alive.dies().await,
            None => origin = Some(Origin::start_at(address).await),
        }
        if origin.is_some() { VoteState::Up } else { VoteState::Down }
    };
    for _ in 0..left {
        let turned = turns().await;
        assert_eq!(peer.hears_changes().await[0].detail.state, turned);
    }
    let bits = if turns().await == VoteState::Up { 0b01 } else { 0b10 };
    let told = |body: &Heard| match body {
        Heard::Round(round) => round.chunks.iter().any(|chunk| chunk.bits[..] == [bits]).then_some(()),
        Heard::Delta(_) => panic!("no delta may come for an hour"),
        _ => None,
    };
    peer.hears_that("the last turn in a round", told).await;
}

#[tokio::test]
async fn a_worker_that_stops_says_goodbye() {
    let mut control = Control::start().await;
    let worker = Worker::start(config(control.url()));
    let (mut peer, _) = control.welcomes(1).await;
    peer.hears_round().await;
    worker.asks_to_stop();
    peer.hears_that("goodbye", |body| matches!(body, Heard::Goodbye(_)).then_some(())).await;
    assert!(peer.hears().await.is_none(), "nothing comes after goodbye");
    drop(peer);
    worker.has_stopped().await;
}
