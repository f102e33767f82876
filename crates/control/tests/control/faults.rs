//! A database that refuses a commit, or loses the answer.

use quorate_core::vote::VoteState;
use quorate_store::verdicts::Fault;

use crate::world::{check_id, nine_say_up};

async fn one_event_in_spite_of(faults: &[Fault]) {
    let (world, control, mut workers) = nine_say_up().await;
    for fault in faults {
        world.store.fail_next_commit(*fault);
    }
    for worker in &mut workers {
        worker.says(|_| VoteState::Down).await;
    }
    let events = world.until_events(2).await;
    assert_eq!((events[1].verdict_seq, events[1].body.origins[0].healthy), (Some(2), Some(false)));
    // And back, which shows that control knows what was written.
    for worker in &mut workers {
        worker.says(|_| VoteState::Up).await;
    }
    let events = world.until_events(3).await;
    assert_eq!((events.len(), events[2].verdict_seq), (3, Some(3)));
    world.until_votes(check_id(1, 1), "UUU UUU UUU").await;
    assert_eq!(world.events().len(), 3);
    control.stop().await;
}

#[tokio::test]
async fn a_refused_commit_is_made_later() {
    one_event_in_spite_of(&[Fault::Refuse]).await;
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_read_again_and_not_repeated() {
    one_event_in_spite_of(&[Fault::LoseAnswerWritten]).await;
}

#[tokio::test]
async fn a_commit_that_got_lost_with_its_answer_is_made_again() {
    one_event_in_spite_of(&[Fault::LoseAnswerUnwritten, Fault::Refuse, Fault::LoseAnswerUnwritten]).await;
}
