//! Who may vote: one process a PoP, with a token that is known.

use std::sync::Arc;
use std::time::Duration;

use quorate_control::{Control, ControlConfig, ServerTls};
use quorate_core::monitor::MonitorSettings;
use quorate_core::region::Region;
use quorate_core::register::EPOCH_MAX;
use quorate_core::vote::VoteState;
use quorate_proto::v1;
use quorate_proto::v1::worker_message::Body as ToControl;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tonic::Code;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};

use crate::worker::{Script, Worker, channel};
use crate::world::{Replica, World, check_id, holds, monitor_id, nine_say_up, pool, pop, until};

#[tokio::test]
async fn a_second_process_of_a_pop_takes_its_place_only_with_a_higher_epoch() {
    let (world, control, mut workers) = nine_say_up().await;
    let first = workers.remove(0);
    let pop = world.pop(1);
    // A copy of the token on another machine, started earlier.
    let older = Worker::dials(control.address(), Script::of(pop).boot(77).epoch(999)).await;
    let fence = older.is_fenced().await;
    assert_eq!(fence.retry_after_ms, world.timings.fence_retry_ms);
    older.ends().await;
    assert!(first.look(|heard| heard.fence.is_none()));

    // A restart of the worker, or a copy that started later: it wins, and votes of the first are missing.
    let newer = Worker::dials(control.address(), Script::of(pop).boot(77).epoch(1_001)).await;
    newer.holds_checks(1).await;
    first.is_fenced().await;
    world.until_votes(check_id(1, 1), "UUU .UU UUU").await;
    assert_eq!(world.events().len(), 1);
    control.stop().await;
}

#[tokio::test]
async fn a_worker_whose_clock_went_back_is_told_how_high_to_go() {
    let (world, control, mut workers) = nine_say_up().await;
    workers.remove(0).says_goodbye().await;
    let script = Script::of(world.pop(1)).boot(77).epoch(5);
    let worker = Worker::dials(control.address(), script.clone()).await;
    worker.until("it is told", |heard| heard.welcomes.iter().any(|welcome| welcome.min_epoch == 1_000)).await;
    worker.sends(ToControl::Hello((&script.epoch(1_001).hello).into())).await;
    worker.holds_checks(1).await;
    assert_eq!(worker.look(|heard| heard.welcomes.last().map(|welcome| welcome.min_epoch)), Some(1_001));
    control.stop().await;
}

#[tokio::test]
async fn an_absurdly_high_epoch_is_refused_and_nobody_has_to_go_above_it() {
    let (world, control, mut workers) = nine_say_up().await;
    workers.remove(0).says_goodbye().await;
    for absurd in [u64::MAX, EPOCH_MAX + 1] {
        let damaged = Worker::dials(control.address(), Script::of(world.pop(1)).boot(77).epoch(absurd)).await;
        let fence = damaged.is_fenced().await;
        assert!(fence.reason.contains(&absurd.to_string()) && fence.reason.contains(&EPOCH_MAX.to_string()), "{}", fence.reason);
        assert_eq!(fence.epoch_max, EPOCH_MAX);
        assert!(fence.retry_after_ms < world.timings.fence_retry_ms, "what the clock gives is taken at once");
        damaged.ends().await;
    }
    let worker = Worker::dials(control.address(), Script::of(world.pop(1)).boot(77).epoch(1_001)).await;
    worker.holds_checks(1).await;
    control.stop().await;
}

#[tokio::test]
async fn a_connection_on_which_nobody_proves_who_it_is_ends_and_a_workers_stays() {
    let mut world = World::new();
    world.timings.introduction_ms = 300;
    let control = world.ready_control().await;
    let silent = TcpStream::connect(control.address()).await.unwrap();
    // It speaks the protocol, and opens no stream.
    let mut polite = TcpStream::connect(control.address()).await.unwrap();
    polite.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut stranger = Script::of(world.pop(1));
    "nonsense".clone_into(&mut stranger.secret);
    let refused = channel(control.address()).await;
    Worker::tries(refused, stranger).await.unwrap_err();
    let mut worker = Worker::dials(control.address(), Script::of(world.pop(2))).await;
    worker.until("it is let in", |heard| heard.map.is_some()).await;

    for mut stream in [silent, polite] {
        let end = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut Vec::new())).await;
        assert!(end.is_ok(), "it still stands");
    }
    // The worker's goes on, and is answered.
    worker.says(|_| VoteState::Up).await;
    control.stop().await;
}

#[tokio::test]
async fn connections_that_stop_in_the_middle_of_the_handshake_keep_no_worker_out() {
    let mut world = World::new();
    world.timings.introduction_ms = 300;
    let (config, ca) = with_tls(&world).await;
    let control = Control::start_over(config, world.store.clone(), world.registry.clone()).unwrap();
    let mut silent = Vec::new();
    for _ in 0..600 {
        let mut stream = TcpStream::connect(control.address()).await.unwrap();
        // The beginning of a record that never comes.
        stream.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00]).await.unwrap();
        silent.push(stream);
    }
    let worker = Worker::tries(trusting(&control, &ca).connect().await.unwrap(), Script::of(world.pop(1))).await.unwrap();
    worker.until("it is let in", |heard| heard.map.is_some()).await;
    control.stop().await;
}

#[tokio::test]
async fn an_unknown_token_or_anothers_place_is_refused() {
    let world = World::new();
    let control = world.ready_control().await;
    let mut script = Script::of(world.pop(1));
    "nonsense".clone_into(&mut script.secret);
    let refused = Worker::tries(channel(control.address()).await, script).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);

    let mut script = Script::of(world.pop(1));
    script.hello.pop = world.pop(2).code.clone();
    assert!(Worker::dials(control.address(), script).await.is_fenced().await.reason.contains("another PoP"));
    let mut script = Script::of(world.pop(1));
    script.hello.region = Region::Oc;
    Worker::dials(control.address(), script).await.is_fenced().await;
    let mut script = Script::of(world.pop(1));
    script.hello.protocol = 99;
    assert!(Worker::dials(control.address(), script).await.is_fenced().await.reason.contains("protocol"));
    control.stop().await;
}

#[tokio::test]
async fn a_revoked_token_loses_its_session_and_its_vote() {
    let (world, control, workers) = nine_say_up().await;
    let pop = world.pop(1).no;
    until("it is seen", async || {
        let seen = world.registry.seen(pop);
        holds(seen.as_ref().is_some_and(|seen| seen.connected && seen.checks == 1), seen)
    })
    .await;
    world.store.revoke_pop(pop);
    workers[0].is_fenced().await;
    workers[0].ends().await;
    // Its region has two PoPs left, and with them one seat.
    world.until_votes(check_id(1, 1), "UUU U UUU").await;
    until("it is seen to be gone", async || {
        let seen = world.registry.seen(pop);
        holds(seen.as_ref().is_some_and(|seen| !seen.connected), seen)
    })
    .await;
    control.stop().await;
}

#[tokio::test]
async fn a_replaced_token_ends_the_session_of_the_old_one() {
    let (world, control, workers) = nine_say_up().await;
    // Still registered, and this secret is not its secret any more.
    world.registry.forget(world.pop(1).no);
    workers[0].is_fenced().await;
    assert!(workers[1].look(|heard| heard.fence.is_none()));
    control.stop().await;
}

#[tokio::test]
async fn a_hundred_damaged_chunks_end_the_session_and_ninety_nine_do_not() {
    let (world, control, mut workers) = nine_say_up().await;
    let damaged = |count: usize, seq| {
        let chunk = v1::RoundChunk { bucket: 7, manifest_version: 1, bits: vec![1].into(), crc: 0 };
        ToControl::Round(v1::Round { seq, chunks: vec![chunk; count], detail: Vec::new() })
    };
    workers[0].sends(damaged(99, 10_000_000)).await;
    workers[0].until("it is answered", |heard| heard.acked_round == 10_000_000).await;
    workers[0].sends(damaged(1, 10_000_001)).await;
    assert!(workers[0].is_fenced().await.reason.contains("malformed"));
    workers[1].says(|_| VoteState::Up).await;
    assert_eq!(world.events().len(), 1);
    control.stop().await;
}

/// A gateway behind TLS, and its authority, PEM.
async fn with_tls(world: &World) -> (ControlConfig, String) {
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca = rcgen::CertifiedIssuer::self_signed(params, rcgen::KeyPair::generate().unwrap()).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let leaf = rcgen::CertificateParams::new(vec!["control.quorate.internal".to_owned()]).unwrap().signed_by(&key, &ca).unwrap();
    let config = ControlConfig {
        timings: world.timings,
        listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
        tls: Some(ServerTls { cert_chain_pem: format!("{}{}", leaf.pem(), ca.pem()), key_pem: key.serialize_pem() }),
        advertise_url: None,
        version: "0.0.0".to_owned(),
        retain_days: 90,
    };
    (config, ca.pem())
}

fn trusting(control: &Replica, ca: &str) -> Endpoint {
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca)).domain_name("control.quorate.internal");
    Endpoint::from_shared(control.url().to_owned()).unwrap().tls_config(tls).unwrap()
}

#[tokio::test]
async fn a_worker_trusts_the_gateway_by_its_authority() {
    let world = World::new();
    world.store.put_monitor(monitor_id(), MonitorSettings::default());
    world.store.put_pool(pool(1, 1));
    let (config, ca) = with_tls(&world).await;
    let control = Control::start_over(config, world.store.clone(), world.registry.clone()).unwrap();
    assert_eq!(control.url(), format!("https://{}", control.address()));
    let endpoint = trusting(&control, &ca);
    let worker = Worker::tries(endpoint.connect().await.unwrap(), Script::of(world.pop(1))).await.unwrap();
    worker.holds_checks(1).await;

    let plain = Endpoint::from_shared(format!("http://{}", control.address())).unwrap().connect().await;
    let refused = match plain {
        Ok(channel) => Worker::tries(channel, Script::of(world.pop(2))).await.is_err(),
        Err(_) => true,
    };
    assert!(refused, "nobody speaks in the clear");
    control.stop().await;
}

#[tokio::test]
async fn a_pop_that_registers_while_control_runs_is_seated_and_asked() {
    let mut world = World::new();
    world.store.put_monitor(monitor_id(), MonitorSettings::default());
    let mut everywhere = pool(1, 1);
    everywhere.settings.check_regions.0 = None;
    world.store.put_pool(everywhere);
    let control = world.ready_control().await;
    world = world.with_pop(pop(10, Region::Oc));
    let mut worker = Worker::dials(control.address(), Script::of(world.pop(10))).await;
    worker.holds_checks(1).await;
    worker.says(|_| VoteState::Up).await;
    world.until_votes(check_id(1, 1), ".........U").await;
    let control = Arc::new(control);
    assert!(control.ready().is_ok());
    Arc::into_inner(control).unwrap().stop().await;
}
