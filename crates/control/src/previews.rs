//! One-off probes for previews: what the API has written down is asked of one worker in each region,
//! and what it answers is written beside it. The owner of a pool's bucket asks; where it dies, whoever
//! takes the bucket over finds the same rows open.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use quorate_core::bucket::Bucket;
use quorate_core::check::Check;
use quorate_core::ids::CheckId;
use quorate_core::pop::PopNo;
use quorate_core::preview::{Answer, Seen};
use quorate_core::timings::ms;
use quorate_store::Db;
use quorate_store::header_secrets::unreadable;
use quorate_store::previews::{self, AnswerKey, OpenAnswer};
use quorate_store::verdicts::VerdictStore;
use tokio::time::Instant;

use crate::bucket::Role;
use crate::error::{bounded, chain};
use crate::one_off::Line;
use crate::registry::Registry;
use crate::shared::Shared;

/// Regions asked at once, over all previews.
const ASKED_MAX: u32 = 128;
/// Of one account, so that another one finds room.
const ASKED_PER_ACCOUNT_MAX: u32 = 16;
/// Origins of one pool that a worker is asked at once.
const ORIGINS_AT_ONCE: usize = 8;
/// Workers of a region that are tried.
const WORKERS_TRIED_MAX: usize = 2;
/// A region without a connected worker has so long to get one: after a takeover they come in a moment.
const WORKER_WITHIN: Duration = Duration::from_secs(10);
/// Between two looks for one.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// For the way to the worker and back, and for its other one-off probes.
const SLACK: Duration = Duration::from_secs(5);

/// What this replica is asking at present, so that no pass asks again.
type UnderWay = Arc<Mutex<HashSet<AnswerKey>>>;

/// Looks for open previews until the stop.
pub(crate) async fn run<S: VerdictStore, R: Registry>(shared: Arc<Shared<S, R>>, db: Db) {
    let mut rhythm = shared.previews.rhythm(shared.tasks.stop(), ms(shared.timings.poll_ms));
    let under_way = UnderWay::default();
    let mut failing = false;
    while rhythm.next().await {
        match shared.tasks.stop().run_until_cancelled(pass(&shared, &db, &under_way)).await {
            None => return,
            Some(Ok(())) => failing = false,
            Some(Err(error)) => {
                metrics::counter!("quorate_preview_failures_total").increment(1);
                if !failing {
                    tracing::warn!(error, "open previews cannot be read; it is tried again");
                }
                failing = true;
            }
        }
    }
}

async fn pass<S: VerdictStore, R: Registry>(shared: &Arc<Shared<S, R>>, db: &Db, under_way: &UnderWay) -> Result<(), String> {
    let owned: Vec<Bucket> = Bucket::all().filter(|bucket| matches!(shared.board.lock(*bucket).role, Role::Owner { .. })).collect();
    if owned.is_empty() {
        return Ok(());
    }
    // As it is before the read: what ends during it is read as open though it was asked.
    let asked = lock(under_way).clone();
    let open = bounded(previews::open(db, &owned, ASKED_PER_ACCOUNT_MAX, ASKED_MAX)).await.map_err(|error| chain(&error))?;
    for ask in open.into_iter().filter(|ask| !asked.contains(&ask.key)) {
        let key = ask.key;
        lock(under_way).insert(key);
        let (shared, db, under_way) = (Arc::clone(shared), db.clone(), Arc::clone(under_way));
        let stop = shared.tasks.stop().clone();
        shared.tasks.clone().spawn("preview", async move {
            let written = stop.run_until_cancelled(answer(&shared, &db, &ask)).await;
            lock(&under_way).remove(&key);
            if written == Some(true) {
                // There is room for another one.
                shared.previews.poke();
            }
        });
    }
    Ok(())
}

fn lock(under_way: &Mutex<HashSet<AnswerKey>>) -> MutexGuard<'_, HashSet<AnswerKey>> {
    under_way.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks a region, and writes its answer down; whether an answer stands now. What cannot be written is
/// asked again by a later pass.
async fn answer<S: VerdictStore, R: Registry>(shared: &Shared<S, R>, db: &Db, open: &OpenAnswer) -> bool {
    let answer = ask(shared, open).await;
    let outcome = match &answer {
        Answer::Pending => return false,
        Answer::Seen { .. } => "seen",
        Answer::NoWorkers => "no_workers",
        Answer::Unanswered => "unanswered",
    };
    match bounded(previews::answered(db, open.key, &answer)).await {
        // Another replica was quicker, or the preview is gone.
        Ok(false) => true,
        Ok(true) => {
            metrics::counter!("quorate_preview_answers_total", "outcome" => outcome).increment(1);
            true
        }
        Err(error) => {
            metrics::counter!("quorate_preview_failures_total").increment(1);
            tracing::warn!(preview.id = %open.key.preview_id, error = chain(&error), "the answer to a preview cannot be written; it is asked again");
            false
        }
    }
}

async fn ask<S: VerdictStore, R: Registry>(shared: &Shared<S, R>, open: &OpenAnswer) -> Answer {
    let region = open.key.region;
    if let Some(name) = unreadable(&open.monitor.header) {
        tracing::warn!(preview.id = %open.key.preview_id, header = name, "a preview's secret header cannot be opened: the key that sealed it is not there");
        return Answer::Unanswered;
    }
    let give_up = Instant::now() + WORKER_WITHIN;
    let mut tried: Vec<PopNo> = Vec::new();
    while tried.len() < WORKERS_TRIED_MAX {
        if !shared.registered.load().iter().any(|pop| pop.region == region) {
            return Answer::NoWorkers;
        }
        match shared.sessions.line_to(region, &tried) {
            Some((pop, line)) => {
                if let Some(origins) = ask_worker(&line, open).await {
                    return Answer::Seen { pop, origins };
                }
                tried.push(pop);
            }
            None if Instant::now() < give_up => tokio::time::sleep(LOOK_EVERY).await,
            None => break,
        }
    }
    Answer::Unanswered
}

/// Every origin in order; `None` where some answer did not come.
async fn ask_worker(line: &Line, open: &OpenAnswer) -> Option<Vec<Seen>> {
    let attempts = u32::from(open.monitor.retries) + 1;
    let deadline = Duration::from_secs(open.monitor.timeout.into()) * attempts + SLACK;
    let asked = open.pool.origins.iter().map(|origin| {
        // As if the origin had a check: nothing is kept under its id.
        let id = CheckId::random(&mut rand::rng());
        let check = Check::new(id, 0, open.pool.id, *open.key.account_id.as_bytes(), &open.monitor, origin);
        line.ask(check, deadline)
    });
    let answers: Vec<_> = stream::iter(asked.collect::<Vec<_>>()).buffered(ORIGINS_AT_ONCE).collect().await;
    answers.into_iter().map(|answer| answer.map(|answer| answer.seen)).collect()
}
