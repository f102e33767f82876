//! Each rule, dropped, breaks the invariant that it protects; the same world under all rules breaks none.

use quorate_core::quorum::Guards;
use quorate_model::VotePath;
use quorate_model::invariant::{I1, I3, I4, I5, I6, L1};
use quorate_model::state::Budget;
use stateright::{Checker, HasDiscoveries, Model};

/// Votes that make a verdict and turn it.
const PLAIN: Budget = Budget { messages: 4, flips: 2, takeovers: 0, crashes: 0, restarts: 0, config_changes: 0, expiries: 0 };

/// Every one of `killers` must find a state that breaks it.
fn killed(guards: Guards, budget: Budget, killers: &[&'static str]) {
    let whole = VotePath::new(budget).checker().spawn_bfs().join();
    whole.assert_properties();

    let expected = HasDiscoveries::AllOf(killers.iter().copied().collect());
    let mutant = VotePath::new(budget).under(guards);
    let checker = mutant.checker().finish_when(expected).spawn_bfs().join();
    for killer in killers {
        let path = checker.discovery(killer).unwrap_or_else(|| panic!("{killer} was never broken in {} states", checker.state_count()));
        println!("killed by {killer}, after: {:?}", path.into_actions());
    }
    println!("{} states of the mutant, {} under all rules", checker.state_count(), whole.state_count());
}

#[test]
fn without_the_epoch_fence_an_old_owner_commits() {
    killed(Guards { fence_epoch: false, ..Guards::ALL }, Budget { takeovers: 1, ..PLAIN }, &[I3, I4]);
}

#[test]
fn without_fence_and_test_for_change_owners_fight_without_end() {
    killed(Guards { fence_epoch: false, only_changes: false, ..Guards::ALL }, Budget { takeovers: 1, ..PLAIN }, &[I1, I3]);
}

#[test]
fn without_the_test_for_change_an_event_changes_nothing() {
    killed(Guards { only_changes: false, ..Guards::ALL }, PLAIN, &[I1]);
}

#[test]
fn a_majority_of_the_received_votes_decides_for_the_silent() {
    killed(Guards { majority_of_assigned: false, ..Guards::ALL }, Budget { expiries: 2, ..PLAIN }, &[I3, I6]);
}

#[test]
fn without_generations_old_votes_decide_a_new_configuration() {
    killed(Guards { compare_generation: false, ..Guards::ALL }, Budget { config_changes: 1, ..PLAIN }, &[I3, I6]);
}

#[test]
fn without_the_config_fence_a_commit_follows_the_answered_change() {
    killed(Guards { fence_config: false, ..Guards::ALL }, Budget { config_changes: 1, ..PLAIN }, &[I3, I6]);
}

#[test]
fn a_worker_that_keeps_its_epoch_is_refused_for_ever() {
    killed(Guards { raise_epoch: false, ..Guards::ALL }, Budget { restarts: 1, ..PLAIN }, &[L1]);
}

#[test]
fn a_state_that_is_not_sent_again_never_reaches_a_new_owner() {
    killed(Guards { resend_unchanged: false, ..Guards::ALL }, Budget { takeovers: 1, ..PLAIN }, &[L1]);
}

#[test]
fn without_sequences_an_old_vote_replaces_a_new_one() {
    killed(Guards { compare_sequence: false, ..Guards::ALL }, PLAIN, &[I5]);
}
