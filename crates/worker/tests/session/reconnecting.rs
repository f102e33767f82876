//! Lost streams, lost control planes, restarts and fences.

use quorate_core::vote::VoteState;
use quorate_proto::convert::HeldManifest;
use quorate_proto::v1::control_message::Body as Say;
use quorate_proto::v1::{Fence, Welcome};

use crate::control::Control;
use crate::origin::Origin;
use crate::world::{BUCKET, Worker, check, config, manifest};

/// The hash that the worker should hold.
fn hash(manifest: &Say) -> u64 {
    let Say::ManifestDelta(delta) = manifest else { unreachable!() };
    delta.hash
}

#[tokio::test]
async fn a_new_session_names_what_is_held_and_tells_everything_first() {
    let (mut control, origin) = (Control::start().await, Origin::start().await);
    let _worker = Worker::start(config(control.url()));
    let (mut peer, first) = control.welcomes(1).await;
    let manifest = manifest(BUCKET, 9, &[check(1, origin.address), check(2, origin.address)]);
    peer.says(manifest.clone()).await;
    peer.hears_ack().await;
    let before = peer.hears_votes().await.seq;
    drop(peer);

    let (mut peer, second) = control.welcomes(1).await;
    assert_eq!(second.held, [HeldManifest { bucket: BUCKET, version: 9, hash: hash(&manifest) }]);
    assert_eq!((second.session_epoch, second.boot_id), (first.session_epoch, first.boot_id), "the same process");
    let votes = peer.hears_votes().await;
    assert!(votes.seq > before, "no message can be taken for an older one");
    assert_eq!(votes.windows.iter().map(|window| window.details.len()).sum::<usize>(), 2);
}

#[tokio::test]
async fn probing_goes_on_without_control_and_the_next_session_tells_what_was_seen() {
    let (mut control, origin) = (Control::start().await, Origin::start().await);
    let dying = Origin::start().await;
    let mut worker = Worker::start(config(control.url()));
    let (mut peer, _) = control.welcomes(1).await;
    peer.says(manifest(BUCKET, 1, &[check(1, origin.address), check(2, dying.address)])).await;
    let mut up = 0;
    while up < 2 {
        up += peer.hears_changes().await.len();
    }
    let address = control.address;
    drop((peer, control));
    worker.shows("no session", |status| !status.is_ready()).await;
    origin.is_probed(3).await;
    dying.dies().await;
    origin.is_probed(5).await;

    let mut control = Control::start_at(address).await;
    let (mut peer, hello) = control.welcomes(2).await;
    assert_eq!(hello.held.len(), 1);
    let votes = peer.hears_votes().await;
    assert_eq!(votes.chunks[0].states(2).expect("two checks").collect::<Vec<_>>(), [VoteState::Up, VoteState::Down]);
    assert_eq!(votes.windows[0].details[1].state, VoteState::Down);
}

#[tokio::test]
async fn a_restarted_worker_probes_from_its_disk_before_control_answers() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut control, origin) = (Control::start().await, Origin::start().await);
    let worker = Worker::start_in(folder.path(), control.url());
    let (mut peer, first) = control.welcomes(1).await;
    let manifest = manifest(BUCKET, 4, &[check(1, origin.address)]);
    peer.says(manifest.clone()).await;
    peer.hears_ack().await;
    worker.asks_to_stop();
    drop(peer);
    worker.has_stopped().await;
    let url = control.url();
    let address = control.address;
    drop(control);

    let _worker = Worker::start_in(folder.path(), url);
    origin.is_probed(3).await;
    let mut control = Control::start_at(address).await;
    let (_peer, second) = control.welcomes(1).await;
    assert!(second.session_epoch > first.session_epoch);
    assert_ne!(second.boot_id, first.boot_id);
    assert_eq!(second.held, [HeldManifest { bucket: BUCKET, version: 4, hash: hash(&manifest) }]);
}

#[tokio::test]
async fn a_fenced_worker_says_so_keeps_probing_and_comes_back_with_the_same_epoch() {
    let (mut control, origin) = (Control::start().await, Origin::start().await);
    let mut worker = Worker::start(config(control.url()));
    let (mut peer, first) = control.welcomes(1).await;
    peer.says(manifest(BUCKET, 1, &[check(1, origin.address)])).await;
    peer.hears_ack().await;
    peer.says(Say::Fence(Fence { reason: "another process speaks for lhr".to_owned(), retry_after_ms: 400, epoch_max: 0 })).await;
    let status = worker.shows("the fence", |status| status.fenced.is_some()).await;
    assert_eq!(status.fenced.as_deref(), Some("another process speaks for lhr"));
    worker.shows("no session", |status| !status.is_ready()).await;
    origin.is_probed(3).await;
    let fenced_at = std::time::Instant::now();

    let mut peer = control.accepts().await;
    assert!(fenced_at.elapsed().as_millis() < 1_000, "it tries again when told");
    assert_eq!(peer.hears_hello().await.session_epoch, first.session_epoch);
    peer.says(Say::Fence(Fence { reason: "still".to_owned(), retry_after_ms: 50, epoch_max: 0 })).await;
    let (_peer, third) = control.welcomes(1).await;
    assert_eq!(third.session_epoch, first.session_epoch);
    worker.shows("a session and no fence", |status| status.is_ready() && status.fenced.is_none()).await;
}

#[tokio::test]
async fn a_worker_whose_epoch_control_calls_absurd_comes_back_at_once_with_one_of_the_clock() {
    let mut control = Control::start().await;
    let mut worker = Worker::start(config(control.url()));
    let mut peer = control.accepts().await;
    let absurd = peer.hears_hello().await.session_epoch + 1_000_000;
    peer.says(Say::Welcome(Welcome { min_epoch: absurd, ..Welcome::default() })).await;
    assert_eq!(peer.hears_hello().await.session_epoch, absurd + 1);
    peer.says(Say::Fence(Fence { reason: "absurd".to_owned(), retry_after_ms: 50, epoch_max: absurd })).await;
    let (_peer, back) = control.welcomes(1).await;
    assert!(back.session_epoch < absurd, "{} is not of the clock", back.session_epoch);
    worker.shows("a session and no fence", |status| status.is_ready() && status.fenced.is_none()).await;
}
