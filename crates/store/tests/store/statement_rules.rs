//! The rules that keep the schema distributable, checked over every statement of the product (`.sqlx/`)
//! and over the one function of the verdict path.

use std::fs;
use std::path::Path;

use crate::schema_rules::{Group, TABLES};

/// Every checked statement, on one line each.
pub(crate) fn statements() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.sqlx");
    let files = fs::read_dir(&folder).unwrap_or_else(|problem| panic!("{}: {problem}", folder.display()));
    let statements: Vec<String> = files
        .map(|file| {
            let text = fs::read_to_string(file.unwrap().path()).unwrap();
            let described: serde_json::Value = serde_json::from_str(&text).unwrap();
            described["query"].as_str().expect("every file describes a query").split_whitespace().collect::<Vec<_>>().join(" ")
        })
        .collect();
    assert!(statements.len() > 50, "only {} statements in {}", statements.len(), folder.display());
    statements
}

/// The tables that a statement names.
fn tables(statement: &str) -> Vec<(&'static str, Group)> {
    let words: Vec<&str> = statement.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    let named = |table: &str| words.windows(2).any(|pair| ["from", "join", "update", "into"].contains(&pair[0]) && pair[1] == table);
    TABLES.iter().filter(|(table, _, _)| named(table)).map(|(table, group, _)| (*table, *group)).collect()
}

/// Statements over the health group that may go over all buckets: none is in the verdict path.
const OVER_ALL_BUCKETS: [(&str, &str); 7] = [
    ("select bucket, owner, epoch, config_seq from bucket_owner order by bucket", "the poll of all 1,024 rows"),
    ("with mine as materialized ( select bucket from bucket_owner where owner = $1", "leaving: a replica's last statement"),
    ("delete from replica_member as m", "which dead replicas own nothing, after a takeover"),
    ("select d.day as \"from!: jiff_sqlx::Timestamp\"", "days that have to be counted anew, by the housekeeping"),
    ("with counted as ( select account_id, subject", "the events of a day, counted by the housekeeping"),
    (
        "select event_id, occurred_at as \"occurred_at: jiff_sqlx::Timestamp\", body from health_event where event_id > $1",
        "events for show",
    ),
    ("select coalesce(max(event_id), 0) as \"newest!\" from health_event", "where events for show begin"),
];

#[test]
fn rule_3_every_statement_on_the_health_group_names_its_buckets() {
    let mut exceptions_used = 0;
    for statement in statements() {
        if !tables(&statement).iter().any(|(_, group)| *group == Group::Bucket) {
            continue;
        }
        let names_buckets =
            ["bucket = $", "bucket = any ($", "bucket = r.bucket", "bucket = v.bucket"].iter().any(|form| statement.contains(form));
        let inserts_bucket = statement.starts_with("insert into") && statement.contains("(bucket,");
        let housekeeping = statement.starts_with("delete from quorum_notice where occurred_at <");
        if OVER_ALL_BUCKETS.iter().any(|(form, _)| statement.starts_with(form)) {
            exceptions_used += 1;
            continue;
        }
        assert!(names_buckets || inserts_bucket || housekeeping, "{statement}");
    }
    assert_eq!(exceptions_used, OVER_ALL_BUCKETS.len(), "an exception that no statement needs, or one that fits too many");
}

#[test]
fn rule_5_only_configuration_changes_and_previews_notify() {
    let notifying: Vec<String> = statements().into_iter().filter(|statement| statement.to_lowercase().contains("notify")).collect();
    assert_eq!(notifying.len(), 2, "{notifying:?}");
    for cause in ["set config_seq = b.config_seq + 1", "insert into preview_answer"] {
        assert!(notifying.iter().any(|statement| statement.contains(cause)), "{notifying:?}");
    }
}

#[test]
fn rule_6_no_statement_spans_the_groups_but_the_configuration_change_the_load_and_the_count_of_events() {
    let spanning: Vec<String> = statements()
        .into_iter()
        .filter(|statement| {
            let groups: Vec<Group> = tables(statement).into_iter().map(|(_, group)| group).collect();
            groups.contains(&Group::Account) && groups.contains(&Group::Bucket)
        })
        .collect();
    let is_new_generation = |statement: &String| statement.contains("update check_state as s set config_gen");
    let is_load = |statement: &String| {
        ["on s.bucket = p.bucket and s.bucket = any ($1)", "on s.bucket = h.bucket and s.bucket = any ($1)"]
            .iter()
            .any(|form| statement.contains(form))
    };
    let is_count = |statement: &String| statement.contains("insert into event_tally as t");
    assert_eq!(spanning.len(), 5, "{spanning:?}");
    assert_eq!(spanning.iter().filter(|statement| is_count(statement)).count(), 1, "{spanning:?}");
    assert_eq!(spanning.iter().filter(|statement| is_new_generation(statement)).count(), 1, "{spanning:?}");
    assert_eq!(spanning.iter().filter(|statement| is_load(statement)).count(), 3, "{spanning:?}");
}

#[test]
fn rule_7_a_tick_is_one_call_and_nothing_else_writes_verdicts_or_events() {
    let statements = statements();
    assert_eq!(statements.iter().filter(|statement| statement.contains("commit_verdicts")).count(), 1);
    for statement in &statements {
        for forbidden in ["into health_event", "into outbox", "set verdict", "verdict_seq =", "set state"] {
            assert!(!statement.contains(forbidden), "{statement}");
        }
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations");
    let function = fs::read_to_string(folder.join("20261126140000_event_body_text.sql")).unwrap();
    assert_eq!(function.matches("bucket = fence_bucket").count(), 3, "the fence, the checks and the pools");
}
