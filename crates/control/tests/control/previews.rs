//! Previews over a real Postgres: who is asked, and what becomes of it when somebody does not answer.

use std::time::{Duration, Instant};

use quorate_control::Control;
use quorate_core::ids::{AccountId, PreviewId};
use quorate_core::monitor::MonitorSettings;
use quorate_core::pool::Pool;
use quorate_core::pop::Pop;
use quorate_core::preview::{Answer, PreviewPool, Seen};
use quorate_core::region::Region;
use quorate_core::vote::{Detail, VoteState};
use quorate_proto::convert::ProbeAnswer;
use quorate_proto::v1;
use quorate_proto::v1::worker_message::Body as ToControl;
use quorate_store::worker_tokens::{self, NewPop};
use quorate_store::{Db, accounts, pools, previews};

use crate::postgres::{Database, LIMITS, PEPPER, control_over};
use crate::worker::{Script, Worker};
use crate::world::{holds, pool, until};

/// An account with a pool of two origins, without a monitor, over three regions; two workers in WEU, one in ENAM.
struct Scene {
    account: AccountId,
    pool: Pool,
    pops: Vec<Pop>,
    workers: Vec<Worker>,
}

async fn scene(db: &Db, control: &Control) -> Scene {
    let mut op = db.operator().await.unwrap();
    let account = accounts::create(&mut op, "shop", LIMITS).await.unwrap().id;
    let (mut pops, mut scripts) = (Vec::new(), Vec::new());
    for (number, region) in (1..).zip([Region::Weu, Region::Weu, Region::Enam]) {
        let new = NewPop { code: format!("pop-{number}").parse().unwrap(), region, city: "City".to_owned(), country: "GB".to_owned() };
        let (pop, secret) = worker_tokens::create(&mut op, &PEPPER, new).await.unwrap();
        scripts.push(Script { secret, ..Script::of(&pop) });
        pops.push(pop);
    }
    op.commit().await.unwrap();
    let mut settings = pool(1, 2).settings;
    settings.monitor = None;
    let mut tenant = db.tenant(&[account]).await.unwrap();
    let pool = pools::create(&mut tenant, account, &settings).await.unwrap();
    tenant.commit().await.unwrap();
    let mut workers = Vec::new();
    for script in scripts {
        let worker = Worker::dials(control.address(), script).await;
        worker.until("it is let in", |heard| heard.map.is_some()).await;
        workers.push(worker);
    }
    Scene { account, pool, pops, workers }
}

impl Scene {
    async fn previews(&self, db: &Db) -> PreviewId {
        let mut tenant = db.tenant(&[self.account]).await.unwrap();
        let asked = PreviewPool::of(&self.pool, &self.pops);
        let staffed = |region| self.pops.iter().any(|pop| pop.region == region);
        let monitor = MonitorSettings { timeout: 1, retries: 0, ..MonitorSettings::default() };
        let id = previews::create(&mut tenant, self.account, &monitor, &[asked], staffed).await.unwrap();
        tenant.commit().await.unwrap();
        id
    }

    /// Waits until a region has answered, and gives its answer.
    async fn answer(&self, db: &Db, preview: PreviewId, region: Region) -> Answer {
        until("the region's answer is written", async || {
            let mut tenant = db.tenant(&[self.account]).await.unwrap();
            let found = previews::find(&mut tenant, self.account, preview).await.unwrap().unwrap();
            let answer = found.answer(self.pool.id, region).cloned().unwrap();
            if answer == Answer::Pending { Err(format!("{found:?}")) } else { Ok(answer) }
        })
        .await
    }

    /// The worker of WEU that is asked first, for both origins.
    async fn asked_in_weu(&self) -> usize {
        until("a worker of WEU is asked", async || {
            let asked: Vec<usize> = (0..2).filter(|index| self.workers[*index].look(|heard| heard.requests.len()) == 2).collect();
            if let [one] = asked[..] { Ok(one) } else { Err(format!("{asked:?}")) }
        })
        .await
    }
}

/// Answers every request so far.
async fn answers(worker: &Worker, say: impl Fn(&v1::ProbeRequest) -> ProbeAnswer) {
    for request in worker.look(|heard| std::mem::take(&mut heard.requests)) {
        worker.sends(ToControl::ProbeAnswer((&say(&request)).into())).await;
    }
}

fn up(request: &v1::ProbeRequest) -> ProbeAnswer {
    let detail = Detail { state: VoteState::Up, reason: None, response_code: Some(200), rtt_us: Some(5_000) };
    ProbeAnswer { request_id: request.request_id, seen: Seen { detail, ..Seen::default() } }
}

fn busy(request: &v1::ProbeRequest) -> ProbeAnswer {
    ProbeAnswer { request_id: request.request_id, seen: Seen { error: Some("busy".to_owned()), ..Seen::default() } }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_worker_of_each_region_is_asked_for_every_origin_and_its_answer_is_kept() {
    let database = Database::new().await;
    let db = &database.db;
    // A poll that comes too late, so that only the announcement can be quick.
    let control = control_over(db, 60_000).await;
    let scene = scene(db, &control).await;
    let begun = Instant::now();
    let preview = scene.previews(db).await;
    assert_eq!(scene.answer(db, preview, Region::Seas).await, Answer::NoWorkers);

    let one = scene.asked_in_weu().await;
    let enam = &scene.workers[2];
    enam.until("ENAM is asked", |heard| heard.requests.len() == 2).await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let asked: Vec<String> =
        enam.look(|heard| heard.requests.iter().map(|request| request.check.as_ref().unwrap().address.clone()).collect());
    assert_eq!(asked, ["192.0.2.1", "192.0.2.2"]);
    answers(&scene.workers[one], up).await;
    answers(enam, up).await;
    for (region, pop) in [(Region::Weu, &scene.pops[one]), (Region::Enam, &scene.pops[2])] {
        let Answer::Seen { pop: by, origins } = scene.answer(db, preview, region).await else { panic!("seen") };
        assert_eq!(by, pop.no);
        assert_eq!(
            origins.iter().map(|seen| (seen.detail.state, seen.detail.response_code)).collect::<Vec<_>>(),
            [(VoteState::Up, Some(200)); 2]
        );
    }
    assert_eq!(scene.workers[1 - one].look(|heard| heard.requests.len()), 0, "one worker a region");
    control.stop().await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_goes_or_passes_is_replaced_by_another_and_then_the_region_is_unanswered() {
    let database = Database::new().await;
    let db = &database.db;
    let control = control_over(db, 25).await;
    let mut scene = scene(db, &control).await;

    let preview = scene.previews(db).await;
    let first = scene.asked_in_weu().await;
    answers(&scene.workers[first], busy).await;
    let second = &scene.workers[1 - first];
    second.until("the other one is asked", |heard| heard.requests.len() == 2).await;
    answers(second, up).await;
    assert!(matches!(scene.answer(db, preview, Region::Weu).await, Answer::Seen { pop, .. } if pop == scene.pops[1 - first].no));

    let preview = scene.previews(db).await;
    let first = scene.asked_in_weu().await;
    let gone = scene.workers.remove(first);
    gone.says_goodbye().await;
    let left = &scene.workers[0];
    left.until("the other one is asked", |heard| heard.requests.len() == 2).await;
    answers(left, busy).await;
    assert_eq!(scene.answer(db, preview, Region::Weu).await, Answer::Unanswered);

    // Nonsense is counted, and no answer.
    let preview = scene.previews(db).await;
    left.until("it is asked", |heard| heard.requests.len() == 2).await;
    let nonsense = v1::ProbeAnswer { request_id: left.look(|heard| heard.requests[0].request_id), detail: 19, ..Default::default() };
    left.sends(ToControl::ProbeAnswer(nonsense)).await;
    answers(left, up).await;
    assert!(matches!(scene.answer(db, preview, Region::Weu).await, Answer::Seen { .. }));
    control.stop().await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_owner_left_open_is_asked_by_the_next_one() {
    let database = Database::new().await;
    let db = &database.db;
    let first = control_over(db, 25).await;
    let scene = scene(db, &first).await;
    let preview = scene.previews(db).await;
    let enam = &scene.workers[2];
    enam.until("ENAM is asked", |heard| heard.requests.len() == 2).await;
    // It never answers the first owner.
    first.stop().await;

    let second = control_over(db, 25).await;
    let script = enam.script().epoch(2_000);
    let enam = Worker::dials(second.address(), script).await;
    enam.until("ENAM is asked again", |heard| heard.requests.len() == 2).await;
    answers(&enam, up).await;
    let answer = scene.answer(db, preview, Region::Enam).await;
    holds(matches!(answer, Answer::Seen { .. }), &answer).unwrap();
    second.stop().await;
    database.drop().await;
}
