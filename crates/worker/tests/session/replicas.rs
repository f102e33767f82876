//! Several replicas: each is dialled, and each gets the votes of its buckets.

use quorate_core::bucket::Bucket;
use quorate_proto::v1::worker_message::Body as Heard;

use crate::control::Control;
use crate::origin::Origin;
use crate::world::{BUCKET, Worker, check, config, manifest, map};

/// The buckets of the first round that has any.
fn buckets(body: &Heard) -> Option<Vec<u32>> {
    match body {
        Heard::Round(round) if !round.chunks.is_empty() => Some(round.chunks.iter().map(|chunk| chunk.bucket).collect()),
        _ => None,
    }
}

#[tokio::test]
async fn every_replica_gets_the_votes_of_its_own_buckets() {
    let (mut one, mut two, origin) = (Control::start().await, Control::start().await, Origin::start().await);
    let other = Bucket::new(77).expect("below 1024");
    let mut worker = Worker::start(config(one.url()));
    let (mut first, _) = one.welcomes(1).await;
    // The first names itself by another URL than the one that it was dialled at.
    let advertised = format!("http://localhost:{}", one.address.port());
    let replicas = [(1, advertised), (2, two.url())];
    first.says(map(1, &replicas, &[other])).await;
    let (mut second, _) = two.welcomes(2).await;
    first.says(manifest(BUCKET, 1, &[check(1, origin.address)])).await;
    second.says(manifest(other, 1, &[check(2, origin.address)])).await;
    assert_eq!((first.hears_ack().await.bucket, second.hears_ack().await.bucket), (3, 77));
    assert_eq!(first.hears_that("votes", buckets).await, [3]);
    assert_eq!(second.hears_that("votes", buckets).await, [77]);
    let status = worker.shows("two sessions", |status| status.connected.len() == 2).await;
    assert!(status.connected.contains(&one.url()), "one session a replica: {:?}", status.connected);

    // The second dies; the first takes its bucket over and hears it at once.
    drop((second, two));
    first.says(map(2, &replicas[..1], &[])).await;
    first.hears_that("both buckets", |body| buckets(body).filter(|told| told.contains(&77))).await;
    worker.shows("one session", |status| status.connected.len() == 1).await;
}

#[tokio::test]
async fn a_replica_that_restarts_under_a_new_identity_is_found_again() {
    let (mut control, origin) = (Control::start().await, Origin::start().await);
    let mut worker = Worker::start(config(control.url()));
    let (mut peer, _) = control.welcomes(1).await;
    peer.says(map(1, &[(1, control.url())], &[])).await;
    peer.says(manifest(BUCKET, 1, &[check(1, origin.address)])).await;
    peer.hears_ack().await;
    drop(peer);
    let (mut peer, _) = control.welcomes(2).await;
    peer.says(map(2, &[(2, control.url())], &[])).await;
    assert_eq!(peer.hears_that("votes", buckets).await, [3]);
    worker.shows("one session", |status| status.connected.len() == 1).await;
}
