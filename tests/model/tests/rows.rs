//! Under all rules, no order of faults breaks an invariant.

use quorate_core::quorum::Guards;
use quorate_model::row::rows;

/// Exhausts a row and prints what it saw. A model that shrank by mistake would pass without a word, so
/// the number of distinct states is asserted: whoever changes the model changes it knowingly.
fn check(number: usize, distinct: usize) {
    let row = &rows()[number - 1];
    assert_eq!(row.model.guards, Guards::ALL);
    let seen = row.exhaust();
    println!("row {number}: {seen}");
    assert_eq!(seen.distinct, distinct);
}

#[test]
fn takeovers_and_a_crash_break_nothing() {
    check(1, 1_122_045);
}

#[test]
fn a_takeover_and_a_worker_restart_break_nothing() {
    check(2, 1_337_868);
}

#[test]
fn a_config_change_breaks_nothing() {
    check(3, 557_442);
}

#[test]
fn expiries_break_nothing() {
    check(5, 99_105);
}
