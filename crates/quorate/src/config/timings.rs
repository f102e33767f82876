//! The check of `[timings]`; the fields, their units and defaults are `quorate_core::timings::Timings`.

use quorate_core::timings::Timings;

/// Adds what is wrong with `timings` to `problems`.
pub(crate) fn check(timings: &Timings, problems: &mut Vec<String>) {
    let positive = [
        ("round_ms", timings.round_ms),
        ("delta_ms", timings.delta_ms),
        ("tick_ms", timings.tick_ms),
        ("session_lease_ms", timings.session_lease_ms),
        ("replica_heartbeat_ms", timings.replica_heartbeat_ms),
        ("replica_dead_ms", timings.replica_dead_ms),
        ("poll_ms", timings.poll_ms),
        ("keepalive_ms", timings.keepalive_ms),
        ("keepalive_timeout_ms", timings.keepalive_timeout_ms),
        ("reconnect_min_ms", timings.reconnect_min_ms),
        ("pop_dead_ms", timings.pop_dead_ms),
        ("fence_retry_ms", timings.fence_retry_ms),
        ("votes_behind_ms", timings.votes_behind_ms),
        ("introduction_ms", timings.introduction_ms),
    ];
    for (name, value) in positive {
        if value == 0 {
            problems.push(format!("timings.{name} is 0; it has to be at least 1 ms"));
        }
    }
    let ordered = [
        (("round_ms", timings.round_ms), ("session_lease_ms", timings.session_lease_ms), "else a vote is lost between two rounds"),
        (
            ("replica_heartbeat_ms", timings.replica_heartbeat_ms),
            ("replica_dead_ms", timings.replica_dead_ms),
            "else a living replica counts as dead",
        ),
    ];
    for ((low_name, low), (high_name, high), why) in ordered {
        if low >= high {
            problems.push(format!("timings.{low_name} ({low}) has to be below timings.{high_name} ({high}), {why}"));
        }
    }
    if timings.reconnect_min_ms > timings.reconnect_max_ms {
        problems.push(format!(
            "timings.reconnect_min_ms ({}) has to be at most timings.reconnect_max_ms ({})",
            timings.reconnect_min_ms, timings.reconnect_max_ms
        ));
    }
}
