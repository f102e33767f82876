use quorate_core::bucket::Bucket;
use quorate_core::evidence::Evidence;
use quorate_core::failure::FailureReason;
use quorate_core::region::Region;
use quorate_core::register::Stamp;
use quorate_core::vote::{Detail, VoteState};
use quorate_proto::convert::{Change, Chunk};
use quorate_store::verdicts::PoolConfig;

use super::*;
use crate::bucket::{Board, Role};
use crate::sample::{Member, bucket_config, grouped, monitoring_only, must_be_healthy, pool, pop, voting, with_origins};

const REPLICA: ReplicaId = ReplicaId::from_bytes([3; 16]);
const VERSION: u64 = 4;

/// Three regions of three PoPs: 1–3, 4–6, 7–9.
fn nine() -> Vec<Pop> {
    let regions = [Region::Weu, Region::Enam, Region::Seas];
    (0..9_u16).map(|no| pop(no + 1, regions[usize::from(no / 3)])).collect()
}

/// A bucket with its owner, nine PoPs and pools of some origins each.
struct World {
    board: Board,
    pops: Vec<Pop>,
    seq: u64,
    silent: Vec<PopNo>,
}

impl World {
    fn new(pools: Vec<PoolConfig>) -> Self {
        let world = Self { board: Board::new(), pops: nine(), seq: 0, silent: Vec::new() };
        world.slot().take_role(Role::Owner { epoch: 1 });
        world.configure(VERSION, pools);
        world
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Slot> {
        self.board.lock(Bucket::new(7).unwrap())
    }

    fn configure(&self, version: u64, pools: Vec<PoolConfig>) {
        let mut config = bucket_config(version, pools);
        config.seats = [Region::Weu, Region::Enam, Region::Seas]
            .into_iter()
            .map(|region| (region, self.pops.iter().filter(|pop| pop.region == region).map(|pop| pop.no).collect()))
            .collect();
        let mut slot = self.slot();
        let plan = Plan::new(config, &self.pops, slot.plan.as_ref());
        slot.install(plan);
        for pop in &self.pops {
            slot.manifest(pop.no).expect("served");
        }
    }

    /// Every PoP's whole state: a word per check in the order of their ids, a letter per PoP: `U`, `D`, `?`, and `.` says nothing.
    fn votes(&mut self, words: &[&str]) {
        self.seq += 1;
        for (place, pop) in self.pops.iter().enumerate() {
            let letters: Vec<u8> = words.iter().map(|word| word.replace(' ', "").as_bytes()[place]).collect();
            if letters.contains(&b'.') {
                continue;
            }
            let state = |letter: &u8| match letter {
                b'U' => VoteState::Up,
                b'D' => VoteState::Down,
                _ => VoteState::Unknown,
            };
            let mut slot = self.slot();
            let version = slot.plan.as_ref().unwrap().config_seq;
            let chunk = Chunk::pack(Bucket::new(7).unwrap(), version, letters.iter().map(state));
            slot.take_chunk(pop.no, Stamp { epoch: 1, seq: self.seq }, &chunk, 0);
        }
    }

    fn decide(&self) -> Option<Decision> {
        let silent = |pop| self.silent.contains(&pop);
        let view = View { replica: REPLICA, registered: &self.pops, live: |pop, _| !silent(pop), now_ms: 0 };
        decide(&self.slot(), 1, &view)
    }

    /// Decides, and takes it as committed.
    fn publish(&self) -> Option<Decision> {
        let decision = self.decide()?;
        self.slot().published(&decision.tick);
        Some(decision)
    }
}

fn evidence(event: &NewEvent) -> &Evidence {
    event.body.origins.iter().find_map(|origin| origin.evidence.as_ref()).expect("of the changed origin")
}

/// `name=healthy` of every origin, `!` behind the changed one, then the pool.
fn told(event: &NewEvent) -> String {
    let word = |healthy: Option<bool>| healthy.map_or("?", |healthy| if healthy { "up" } else { "down" });
    let mark = |changed: bool| if changed { "!" } else { "" };
    let mut words: Vec<String> =
        event.body.origins.iter().map(|origin| format!("{}{}", word(origin.healthy), mark(origin.changed))).collect();
    let pool = &event.body.pool;
    words.push(format!("pool {}{}", word(pool.healthy), mark(pool.changed)));
    words.join(" ")
}

fn events(decision: Option<&Decision>) -> Vec<String> {
    decision.iter().flat_map(|decision| &decision.tick.events).map(told).collect()
}

fn one_pool(origins: usize) -> Vec<PoolConfig> {
    vec![pool(1, &["WEU", "ENAM", "SEAS"], &with_origins(origins))]
}

#[test]
fn a_majority_of_regions_turns_a_check_and_less_does_not() {
    let mut world = World::new(one_pool(1));
    assert!(world.decide().is_none(), "nobody has voted");
    world.votes(&["UUU UUU UUU"]);
    assert_eq!(events(world.publish().as_ref()), ["up! pool up!"]);
    assert!(world.publish().is_none(), "once");
    for held in ["DDD UUU UUU", "DDD DUU UUU", "DDD D?U UUU", "DDD D?? UUU", "??? ??? ???", "DD? D?? D??"] {
        world.votes(&[held]);
        assert!(world.decide().is_none_or(|decision| decision.tick.checks.is_empty()), "{held}");
    }
    world.votes(&["DDD DDU UUU"]);
    let decision = world.publish().expect("two regions of three");
    assert_eq!(told(&decision.tick.events[0]), "down! pool down!");
    let evidence = evidence(&decision.tick.events[0]);
    assert_eq!((evidence.verdict, evidence.majority), (Published::Down, Some(Verdict::Down)));
    assert_eq!(evidence.votes_to_flip, Some(1), "back up: one vote in the region that is divided");
    let change = &decision.tick.checks[0];
    assert_eq!((change.expected_seq, change.verdict, change.reason), (1, Verdict::Down, Some(FailureReason::OtherFailure)));
}

#[test]
fn missing_votes_change_nothing() {
    let mut world = World::new(one_pool(1));
    world.votes(&["UUU UUU UUU"]);
    world.publish();
    world.silent = (1..=9).map(PopNo).collect();
    assert!(world.decide().is_none());
    // Those who are left say Down, and are a majority of those who speak, but not of those assigned.
    world.votes(&["D.. D.. D.."]);
    world.silent = [2, 3, 5, 6, 8, 9].map(PopNo).to_vec();
    assert!(world.decide().is_none());
}

#[test]
fn a_vote_of_an_old_generation_never_decides() {
    let mut world = World::new(one_pool(1));
    world.votes(&["UUU UUU UUU"]);
    world.publish();
    world.votes(&["DDD DUU UUU"]);
    world.publish();
    let mut pools = one_pool(1);
    pools[0].checks[0] = world.slot().plan.as_ref().unwrap().pools[0].config.checks[0];
    pools[0].state = PoolState::Degraded;
    pools[0].state_seq = 2;
    pools[0].pool.origins[0].config_gen = 2;
    pools[0].checks[0].config_gen = 2;
    world.configure(5, pools);
    assert!(world.decide().is_none(), "all votes are missing now");
    // Chunks under version 4, which is still understood: cast under generation 1.
    for no in 1..=9 {
        let chunk = Chunk::pack(Bucket::new(7).unwrap(), 4, [VoteState::Down].into_iter());
        world.slot().take_chunk(PopNo(no), Stamp { epoch: 1, seq: 50 }, &chunk, 0);
    }
    assert!(world.decide().is_none());
    world.seq = 50;
    world.votes(&["DDD DDD DDD"]);
    let decision = world.decide().expect("under generation 2");
    assert_eq!((decision.tick.checks[0].config_gen, decision.tick.fence.config_seq), (2, 5));
}

#[test]
fn one_region_down_degrades_the_pool_without_an_event_and_its_silence_does_not_heal_it() {
    let mut world = World::new(one_pool(1));
    world.votes(&["UUU UUU UUU"]);
    world.publish();
    world.votes(&["DDD UUU UUU"]);
    let decision = world.publish().expect("the state is published");
    assert!(decision.tick.events.is_empty() && decision.tick.checks.is_empty());
    assert_eq!(decision.tick.pools[0].state, PoolState::Degraded);
    world.silent = [1, 2].map(PopNo).to_vec();
    assert!(world.decide().is_none(), "nobody knows what the region would say");
    world.silent.clear();
    world.votes(&["??? UUU UUU"]);
    assert!(world.decide().is_none(), "an abstention is silence");
    world.votes(&["UUU UUU UUU"]);
    assert_eq!(world.publish().expect("it is back").tick.pools[0].state, PoolState::Healthy);
    world.silent = [1, 2].map(PopNo).to_vec();
    assert!(world.decide().is_none(), "nor does silence degrade");
}

#[test]
fn several_checks_of_one_pool_are_one_event_each_and_one_of_them_tips_the_pool() {
    let mut pools = one_pool(3);
    pools[0].pool.settings.minimum_origins = 2;
    let mut world = World::new(pools);
    world.votes(&["UUU UUU UUU"; 3]);
    assert_eq!(events(world.publish().as_ref()), ["up! ? ? pool down!", "up up! ? pool up!", "up up up! pool up"]);
    world.votes(&["UUU UUU UUU", "DDD DDD DDD", "DDD DDD DDD"]);
    let decision = world.publish();
    assert_eq!(events(decision.as_ref()), ["up down! up pool up", "up down down! pool down!"]);
    let tick = decision.unwrap().tick;
    assert_eq!((tick.checks.len(), tick.pools.len()), (2, 1));
    assert_eq!((tick.pools[0].state, tick.pools[0].expected_seq), (PoolState::Critical, 1));
}

#[test]
fn a_pool_that_its_configuration_changes_is_an_event_without_a_changed_origin() {
    let mut world = World::new(one_pool(2));
    world.votes(&["UUU UUU UUU", "UUU UUU UUU"]);
    world.publish();
    let now = |world: &World| {
        let slot = world.slot();
        let mut config = slot.plan.as_ref().unwrap().pools[0].config.clone();
        config.pool.settings.minimum_origins = 3;
        config
    };
    let demanding = now(&world);
    world.configure(5, vec![demanding]);
    assert_eq!(events(world.publish().as_ref()), ["up up pool down!"]);
    let mut disabled = now(&world);
    disabled.pool.settings.enabled = false;
    world.configure(6, vec![disabled]);
    assert_eq!(events(world.publish().as_ref()), ["up up pool ?!"]);
}

#[test]
fn an_account_has_so_much_of_a_tick_and_the_others_have_theirs() {
    // Pools of odd numbers are of one account, pool 2 of another.
    let regions = ["WEU", "ENAM", "SEAS"];
    let mut pools: Vec<_> = (0..51).map(|number| pool(2 * number + 1, &regions, &with_origins(10))).collect();
    pools.push(pool(2, &regions, &with_origins(1)));
    let mut world = World::new(pools);
    let words = vec!["UUU UUU UUU"; 511];
    world.votes(&words);
    let first = world.publish().expect("a decision");
    assert!(first.more);
    assert_eq!((changes_of(&first, 1), changes_of(&first, 0)), (CHANGES_PER_ACCOUNT_MAX, 1));
    let second = world.publish().expect("the rest");
    assert_eq!((changes_of(&second, 1), second.more), (10, false));
    assert!(world.publish().is_none());
}

fn changes_of(decision: &Decision, account: u8) -> usize {
    decision.tick.checks.iter().filter(|change| change.account_id == AccountId::from_bytes([account; 16])).count()
}

#[test]
fn a_large_pool_turns_in_ticks_of_bounded_size_and_every_origin_turns_once() {
    let regions = ["WEU", "ENAM", "SEAS"];
    let mut world = World::new(vec![pool(1, &regions, &with_origins(200)), pool(2, &regions, &with_origins(1))]);
    world.votes(&["UUU UUU UUU"; 201]);
    let (mut turned, mut ticks) = (Vec::new(), 0);
    while let Some(decision) = world.publish() {
        let lines: usize = decision.tick.events.iter().map(|event| event.body.origins.len()).sum();
        assert!(lines <= LINES_PER_ACCOUNT_MAX + 200, "{lines} lines in one transaction");
        assert_eq!(decision.tick.events.len(), decision.tick.checks.len());
        assert_eq!(changes_of(&decision, 0), usize::from(ticks == 0), "the other account waits for none of it");
        turned.extend(decision.tick.checks.iter().map(|change| change.check_id));
        ticks += 1;
        assert_eq!(decision.more, turned.len() < 201);
    }
    // An event is 200 origins and nine votes.
    assert_eq!(ticks, 200_usize.div_ceil(LINES_PER_ACCOUNT_MAX.div_ceil(209)));
    turned.sort_unstable();
    turned.dedup();
    assert_eq!(turned.len(), 201);
}

#[test]
fn an_event_tells_the_reason_that_most_of_those_who_say_down_give() {
    let mut world = World::new(one_pool(2));
    world.votes(&["UUU UUU UUU", "UUU UUU UUU"]);
    world.publish();
    for no in 1..=6 {
        let reason = if no == 1 { FailureReason::TcpTimeout } else { FailureReason::ResponseCodeMismatch };
        let detail = Detail { state: VoteState::Down, reason: Some(reason), response_code: (no != 1).then_some(503), rtt_us: None };
        let change = Change { bucket: Bucket::new(7).unwrap(), manifest_version: VERSION, position: 0, detail };
        world.slot().take_delta(PopNo(no), Stamp { epoch: 1, seq: 9 }, &[change], 0);
    }
    let decision = world.publish().expect("two regions");
    let [first, second] = &decision.tick.events[0].body.origins[..] else { panic!("two origins") };
    assert_eq!((first.failure_reason.as_str(), first.failure_code.as_str()), ("Response code mismatch error", "response_code_mismatch"));
    assert_eq!((first.response_code, second.response_code), (Some(503), None));
    assert_eq!((second.failure_reason.as_str(), second.evidence.is_none()), ("No failures", true));
    assert_eq!(decision.tick.checks[0].response_code, Some(503));
}

/// A pool of one origin under a group: two members that vote, one that must be healthy, one that only watches.
fn under_a_group() -> Vec<PoolConfig> {
    let members: [Member; 4] = [(1, voting), (2, voting), (3, must_be_healthy), (4, monitoring_only)];
    one_pool(1).into_iter().map(|pool| grouped(pool, &members)).collect()
}

/// Has each member, in the order of their numbers, vote so.
fn members_vote(world: &mut World, words: [&'static str; 4]) {
    let mut by_place = [""; 4];
    {
        let slot = world.slot();
        let Probed::Group(members) = &slot.plan.as_ref().unwrap().pools[0].probed[0] else { panic!("under a group") };
        members.iter().zip(words).for_each(|((_, place), word)| by_place[*place] = word);
    }
    world.votes(&by_place);
}

#[test]
fn under_a_group_each_pop_votes_by_the_rule_and_the_pops_decide_as_ever() {
    let mut world = World::new(under_a_group());
    let up = "UUU UUU UUU";
    members_vote(&mut world, [up, up, "UUU U?? ???", up]);
    assert!(world.decide().is_none(), "most PoPs of two regions lack the result of the member that must be healthy");
    members_vote(&mut world, [up, "??? ??? ???", "UUU UU? ???", "??? ??? ???"]);
    assert!(world.decide().is_some(), "whoever only watches is not waited for, nor a member that could not change the vote");
    members_vote(&mut world, [up, up, up, "DDD DDD DDD"]);
    assert_eq!(events(world.publish().as_ref()), ["up! pool up!"]);
    for held in [["DDD DDD DDD", up, up, up], ["DDD UUU UUU", "DDD UUU UUU", up, up], [up, up, "DDD UUU UUU", up]] {
        members_vote(&mut world, held);
        assert!(world.decide().is_none_or(|decision| decision.tick.checks.is_empty()), "{held:?}");
    }
}

#[test]
fn the_event_of_an_origin_under_a_group_tells_what_each_member_says() {
    let mut world = World::new(under_a_group());
    let (up, down) = ("UUU UUU UUU", "DDD DDD DDD");
    members_vote(&mut world, [up, up, up, down]);
    world.publish();
    members_vote(&mut world, [up, up, down, "??? ??? ???"]);
    let decision = world.publish().expect("the one that must be healthy is not");
    assert_eq!(told(&decision.tick.events[0]), "down! pool down!");
    let origin = &decision.tick.events[0].body.origins[0];
    let monitors: Vec<_> = origin
        .monitors
        .iter()
        .map(|monitor| (monitor.id.as_bytes()[0], monitor.healthy, monitor.must_be_healthy, monitor.monitoring_only))
        .collect();
    assert_eq!(
        monitors,
        [(1, Some(true), false, false), (2, Some(true), false, false), (3, Some(false), true, false), (4, None, false, true)]
    );
    let vote = &evidence(&decision.tick.events[0]).regions[0].votes[0];
    assert_eq!(vote.vote, "down");
    let members: Vec<&str> = vote.monitors.iter().map(|member| member.vote.as_str()).collect();
    assert_eq!(members, ["up", "up", "down", "abstained"]);
}

#[test]
fn onlookers_judge_nothing() {
    let watching: [Member; 1] = [(4, monitoring_only)];
    let mut world = World::new(one_pool(1).into_iter().map(|pool| grouped(pool, &watching)).collect());
    for votes in ["UUU UUU UUU", "DDD DDD DDD"] {
        world.votes(&[votes]);
        assert!(world.decide().is_none());
    }
}
