//! What the metrics of the control plane mean. Labels are of small closed sets; no text of a user is one.

use metrics::{describe_counter, describe_gauge, describe_histogram};

/// Describes every metric of this crate to the recorder.
pub(crate) fn all() {
    describe_gauge!("quorate_sessions", "Workers with an open session at this replica");
    describe_gauge!("quorate_buckets_owned", "Buckets that this replica decides");
    describe_gauge!("quorate_buckets_standby", "Buckets that this replica keeps warm");
    describe_gauge!("quorate_pools_without_quorum", "Pools whose missing votes make a majority impossible, of the buckets owned");
    describe_gauge!("quorate_pools_unreadable", "Pools left out of the buckets served, because this release cannot read their rows");
    describe_histogram!("quorate_commit_seconds", "From a decision to the answer of the database");
    describe_histogram!(
        "quorate_verdict_seconds",
        "From the vote that led to verdicts to the answer of the database that they are published"
    );
    describe_counter!("quorate_commits_total", "Commits by outcome: committed, refused, fenced, stale, unknown");
    describe_counter!("quorate_verdicts_total", "Verdicts published, by the new verdict");
    describe_counter!("quorate_preview_answers_total", "Answers of regions to previews, by outcome: seen, no_workers, unanswered");
    describe_counter!("quorate_preview_failures_total", "Passes over the open previews, and answers, that did not reach the database");
    describe_counter!("quorate_rounds_total", "Rounds taken from workers");
    describe_counter!("quorate_sessions_total", "Sessions that workers opened");
    describe_counter!("quorate_fences_total", "Workers that were told that they may not vote");
    describe_counter!("quorate_workers_refused_total", "Calls with an unknown or revoked worker token");
    describe_counter!("quorate_authentications_without_database_total", "Workers believed while the database was away");
    describe_counter!("quorate_handshakes_failed_total", "TLS handshakes that failed or took too long");
    describe_counter!("quorate_strangers_dismissed_total", "Connections ended on which no worker had proved who it is");
    describe_counter!("quorate_bad_parts_total", "Malformed parts of messages, by kind of part");
    describe_counter!("quorate_parts_ignored_total", "Well-formed parts that mean nothing here, by reason");
    describe_counter!("quorate_deltas_dropped_total", "Deltas beyond what a worker may send; the next round heals them");
    describe_counter!("quorate_manifests_sent_total", "Manifests sent, whole or as a difference");
    describe_counter!("quorate_manifests_resent_total", "Manifests that a worker asked to have whole");
    describe_counter!("quorate_checks_rejected_total", "Checks that a worker says it cannot run");
    describe_counter!("quorate_checks_left_out_total", "Checks that did not fit in a manifest and are not probed");
    describe_counter!("quorate_seatings_total", "Buckets whose seats were written");
    describe_counter!("quorate_buckets_claimed_total", "Buckets taken over because nobody alive owned them");
    describe_counter!("quorate_buckets_handed_over_total", "Buckets given to another replica");
    describe_counter!("quorate_vote_rows_total", "Rows of votes written for the quorum view");
    describe_counter!("quorate_quorum_notices_total", "Losses and returns of quorum, by event");
    describe_gauge!("quorate_mass_flip", "1 while more than a fifth of what was up has turned down within a minute");
    describe_counter!("quorate_mass_flips_total", "Times that this began");
    describe_counter!(
        "quorate_control_gaps_total",
        "Times longer than a round in which no replica could decide, told by the one that could again"
    );
    describe_gauge!("quorate_control_gap_last_seconds", "Length of the last of them");
    describe_counter!("quorate_heartbeat_failures_total", "Heartbeats that did not reach the database");
    describe_counter!("quorate_follow_failures_total", "Passes over the configuration that failed");
    describe_counter!("quorate_housekeeping_failures_total", "Housekeeping of the event log, and signing of the audit log, that failed");
    describe_gauge!("quorate_audit_chains_broken", "Chains of the audit log that somebody changed, as of the last look");
}
