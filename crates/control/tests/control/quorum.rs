//! Who has to agree, and what missing and old votes do: nothing.

use std::time::{Duration, Instant};

use quorate_core::vote::{Published, Verdict, VoteState};

use crate::worker::{Script, Worker};
use crate::world::{Replica, World, check_id, holds, monitor_id, nine_say_up, pool, until};
use quorate_core::monitor::MonitorSettings;
use quorate_core::pool::PoolState;
use quorate_store::verdicts::VerdictStore as _;

/// The published state of the pool.
async fn state(world: &World) -> PoolState {
    let bucket = quorate_core::bucket::Bucket::of(pool(1, 1).id);
    world.store.load(&[bucket]).await.unwrap()[0].pools[0].state
}

#[tokio::test]
async fn two_of_three_pops_in_two_of_three_regions_turn_an_origin_with_one_commit() {
    let (world, control, mut workers) = nine_say_up().await;
    let first = &world.events()[0];
    assert_eq!((first.verdict_seq, first.body.pool.healthy, first.body.pool.changed), (Some(1), Some(true), true));

    let check = check_id(1, 1);
    for number in [0, 1, 3] {
        workers[number].changes(check, VoteState::Down).await;
    }
    world.until_votes(check, "DUU DDU UUU").await;
    assert_eq!(world.events().len(), 1, "a region and a third is no majority");

    workers[4].changes(check, VoteState::Down).await;
    let events = world.until_events(2).await;
    let event = &events[1];
    assert_eq!((event.verdict_seq, event.check_id), (Some(2), Some(check)));
    assert_eq!((event.body.pool.healthy, event.body.pool.changed), (Some(false), true));
    let origin = &event.body.origins[0];
    assert_eq!((origin.healthy, origin.changed), (Some(false), true));
    assert_eq!((origin.failure_reason.as_str(), origin.response_code), ("Response code mismatch error", Some(503)));
    let evidence = origin.evidence.as_ref().unwrap();
    assert_eq!((evidence.verdict, evidence.majority), (Published::Down, Some(Verdict::Down)));
    assert_eq!((evidence.votes_to_flip, evidence.regions_to_flip), (Some(1), Some(1)));
    let down: u32 = evidence.regions.iter().map(|region| region.down).sum();
    assert_eq!(down, 4, "the evidence is of that very instant");

    // Everybody else agrees, round after round: nothing more to say.
    for worker in &mut workers {
        worker.says(|_| VoteState::Down).await;
    }
    world.until_votes(check, "DDD DDD DDD").await;
    assert_eq!(world.events().len(), 2);
    control.stop().await;
}

#[tokio::test]
async fn missing_votes_change_nothing_and_a_lost_quorum_is_noted_once() {
    let (world, control, mut workers) = nine_say_up().await;
    let check = check_id(1, 1);
    // In each region one says down, and the two others leave.
    let mut left = Vec::new();
    for (number, mut worker) in workers.drain(..).enumerate() {
        if number % 3 == 0 {
            worker.says(|_| VoteState::Down).await;
            left.push(worker);
        } else {
            worker.says_goodbye().await;
        }
    }
    world.until_votes(check, "D.. D.. D..").await;
    until("the loss is noted", async || {
        let notices = world.store.quorum_notices();
        if notices.len() == 1 && notices[0].lost { Ok(()) } else { Err(format!("{notices:?}")) }
    })
    .await;
    assert_eq!(world.events().len(), 1);
    assert_eq!(state(&world).await, PoolState::Healthy);
    control.stop().await;
}

#[tokio::test]
async fn a_vote_from_before_an_absence_counts_only_when_it_is_said_again_and_decides_then() {
    let (world, control, mut workers) = nine_say_up().await;
    let check = check_id(1, 1);
    for number in [0, 1, 3] {
        workers[number].changes(check, VoteState::Down).await;
    }
    world.until_votes(check, "DUU DDU UUU").await;
    workers.remove(0).says_goodbye().await;
    world.until_votes(check, "DUU .DU UUU").await;

    // The same process comes back: connected, and it has said nothing of the check.
    let mut back = Worker::dials(control.address(), Script::of(world.pop(1))).await;
    back.holds_checks(1).await;
    workers[3].changes(check, VoteState::Down).await;
    world.until_votes(check, "DDU .DU UUU").await;
    assert_eq!(world.events().len(), 1);

    // It says the same as before it left: that is the majority now.
    back.says(|_| VoteState::Down).await;
    let events = world.until_events(2).await;
    assert_eq!(events[1].check_id, Some(check));
    control.stop().await;
}

#[tokio::test]
async fn a_chunk_of_an_old_generation_never_decides() {
    let (world, control, mut workers) = nine_say_up().await;
    let check = check_id(1, 1);
    let before = workers[0].held();
    for worker in &mut workers {
        worker.look(|heard| heard.stubborn = true);
    }
    let mut changed = pool(1, 1);
    changed.origins[0].config_gen = 2;
    world.store.put_pool(changed);
    for worker in &workers {
        worker
            .until("the new generation is on its way", |heard| {
                heard.steps.iter().any(|step| step.add.iter().any(|spec| spec.config_gen == 2))
            })
            .await;
    }
    // Nobody has taken it up; everybody sees the origin fail, under the old one.
    for worker in &mut workers {
        worker.says_of(before.clone(), |_| VoteState::Down).await;
    }
    world.until_votes(check, "... ... ...").await;
    assert_eq!(world.events().len(), 1);

    // Under the new one it counts.
    for worker in &mut workers[..6] {
        let mut held = before.clone();
        worker.look(|heard| held.values_mut().for_each(|held| held.version = heard.steps.last().unwrap().to_version));
        worker.says_of(held, |_| VoteState::Down).await;
    }
    assert_eq!(world.until_events(2).await[1].body.origins[0].healthy, Some(false));
    control.stop().await;
}

#[tokio::test]
async fn one_region_down_degrades_the_pool_and_is_no_event() {
    let (world, control, mut workers) = nine_say_up().await;
    for worker in &mut workers[..3] {
        worker.says(|_| VoteState::Down).await;
    }
    until("the pool is degraded", async || match state(&world).await {
        PoolState::Degraded => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert_eq!(world.events().len(), 1);
    control.stop().await;
}

#[tokio::test]
async fn a_pool_that_its_configuration_turns_is_an_event_without_a_changed_origin() {
    let (world, control, _workers) = nine_say_up().await;
    let mut demanding = pool(1, 1);
    demanding.settings.minimum_origins = 2;
    world.store.put_pool(demanding);
    let event = &world.until_events(2).await[1];
    assert_eq!((event.check_id, event.verdict_seq), (None, None));
    assert_eq!((event.body.pool.healthy, event.body.pool.changed), (Some(false), true));
    assert!(event.body.origins.iter().all(|origin| !origin.changed));
    control.stop().await;
}

#[tokio::test]
async fn a_thousand_origins_that_die_at_once_are_a_thousand_events() {
    let world = World::new();
    world.store.put_monitor(monitor_id(), MonitorSettings::default());
    for number in 1..=50 {
        world.store.put_pool(pool(number, 20));
    }
    let control = world.ready_control().await;
    let mut workers = world.workers(&control, 1_000).await;
    for worker in &mut workers {
        worker.says(|_| VoteState::Up).await;
    }
    world.until_events(1_000).await;
    for worker in &mut workers[..6] {
        worker.says(|_| VoteState::Down).await;
    }
    let events = world.until_events(2_000).await;
    assert_eq!(events.len(), 2_000);
    let fallen = events[1_000..].iter().filter(|event| event.body.pool.changed && event.body.pool.healthy == Some(false)).count();
    assert_eq!(fallen, 50, "each pool falls with its last origin");
    control.stop().await;
}

/// One pool of one origin, under a control that decides every five seconds: what takes less did not wait for it.
async fn one_origin_and_long_ticks() -> (World, Replica, Vec<Worker>, Duration) {
    let mut world = World::new();
    world.timings.tick_ms = 5_000;
    let tick = Duration::from_millis(world.timings.tick_ms.into());
    world.store.put_monitor(monitor_id(), MonitorSettings::default());
    world.store.put_pool(pool(1, 1));
    let control = world.ready_control().await;
    let workers = world.workers(&control, 1).await;
    (world, control, workers, tick)
}

#[tokio::test]
async fn an_idle_bucket_decides_at_once_and_nothing_waits_behind_what_nobody_waits_for() {
    let (world, control, mut workers, tick) = one_origin_and_long_ticks().await;
    let begun = Instant::now();
    for worker in &mut workers {
        worker.says(|_| VoteState::Up).await;
    }
    world.until_events(1).await;
    assert!(begun.elapsed() < tick, "the first verdict of an idle bucket: {:?}", begun.elapsed());

    // One region alone: published in its own time, and nothing waits behind it.
    for worker in &mut workers[..3] {
        worker.says(|_| VoteState::Down).await;
    }
    until("the pool is degraded", async || holds(state(&world).await == PoolState::Degraded, state(&world).await)).await;
    let decided = Instant::now();
    for worker in &mut workers[3..6] {
        worker.says(|_| VoteState::Down).await;
    }
    world.until_events(2).await;
    assert!(decided.elapsed() < tick, "{:?}", decided.elapsed());
    control.stop().await;
}

#[tokio::test]
async fn a_bucket_turns_four_times_at_once_and_then_waits_for_its_spacing() {
    let (world, control, mut workers, tick) = one_origin_and_long_ticks().await;
    let begun = Instant::now();
    for count in 1..=5 {
        for worker in &mut workers {
            worker.says(|_| if count % 2 == 1 { VoteState::Up } else { VoteState::Down }).await;
        }
        world.until_events(count).await;
        assert_eq!(begun.elapsed() < tick, count <= 4, "event {count} after {:?}", begun.elapsed());
    }
    control.stop().await;
}

#[tokio::test]
async fn a_time_in_which_nobody_could_decide_is_recorded_when_it_is_over() {
    let mut world = World::new();
    world.timings.round_ms = 2_000;
    world.store.put_monitor(monitor_id(), MonitorSettings::default());
    world.store.put_pool(pool(1, 1));
    let control = world.ready_control().await;
    let mut workers = world.workers(&control, 1).await;
    for worker in &mut workers {
        worker.says(|_| VoteState::Up).await;
    }
    world.until_events(1).await;
    until("it is said that verdicts are decided", async || holds(world.store.is_pulsing(), "silent")).await;
    for worker in workers {
        worker.says_goodbye().await;
    }
    // The time itself is what is recorded: it has to pass.
    let gap = Duration::from_millis(u64::from(world.timings.round_ms) + 500);
    tokio::time::sleep(gap).await;
    assert_eq!(world.store.control_gaps(), [], "nobody can say so yet");
    for worker in &mut world.workers(&control, 1).await {
        worker.says(|_| VoteState::Up).await;
    }
    let gaps = until("it is recorded", async || match &world.store.control_gaps()[..] {
        [] => Err("none".to_owned()),
        gaps => Ok(gaps.to_vec()),
    })
    .await;
    assert_eq!(gaps.len(), 1);
    assert!(gaps[0].ended_at.duration_since(gaps[0].began_at).as_secs_f64() > 2.0, "{gaps:?}");
    assert_eq!(world.events().len(), 1, "it is no event");
    control.stop().await;
}
