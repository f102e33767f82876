//! The rules that keep the schema distributable, checked over the catalog (ARCHITECTURE.md, "Two key groups").
//! Rules 3, 6 and 7 are about statements: see `statement_rules.rs`.

use std::collections::BTreeMap;

use sqlx::{Executor, Row};

use crate::support::Database;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    /// Configuration, by `account_id`.
    Account,
    /// Health, by `bucket`.
    Bucket,
    /// Small tables that every data node has whole.
    Reference,
}

/// Every table of ours. A new table has to say where it belongs.
pub(crate) const TABLES: [(&str, Group, &str); 33] = [
    ("account", Group::Account, "the tenants"),
    ("zone", Group::Account, ""),
    ("monitor", Group::Account, ""),
    ("monitor_group", Group::Account, ""),
    ("monitor_group_member", Group::Account, ""),
    ("pool", Group::Account, ""),
    ("origin", Group::Account, ""),
    ("load_balancer", Group::Account, ""),
    ("load_balancer_pool", Group::Account, ""),
    ("audit_log", Group::Account, ""),
    ("audit_head", Group::Account, ""),
    ("healthcheck", Group::Account, ""),
    ("preview", Group::Account, ""),
    ("preview_answer", Group::Account, ""),
    ("event_day", Group::Account, "what is counted of the events, for lists of an account"),
    ("event_tally", Group::Account, ""),
    ("bucket_owner", Group::Bucket, "the fence"),
    ("bucket_seat", Group::Bucket, ""),
    ("pool_state", Group::Bucket, ""),
    ("check_state", Group::Bucket, ""),
    ("check_votes", Group::Bucket, ""),
    ("health_event", Group::Bucket, ""),
    ("outbox", Group::Bucket, ""),
    ("quorum_notice", Group::Bucket, ""),
    ("replica_member", Group::Reference, "a row a replica"),
    ("pop_session", Group::Reference, "some hundred rows for each replica"),
    ("control_pulse", Group::Reference, "one row"),
    ("event_tally_end", Group::Reference, "one row"),
    ("control_gap", Group::Reference, "a row an outage of all replicas"),
    ("pop", Group::Reference, "some hundred rows; read by every bucket's owner"),
    ("api_token", Group::Reference, "a token reaches several accounts, and is looked up before any is known"),
    ("event_subscription", Group::Reference, "read in the verdict transaction of every bucket"),
    ("_sqlx_migrations", Group::Reference, "the migrator's own"),
];

fn group_of(table: &str) -> Group {
    let found = TABLES.iter().find(|(name, _, _)| *name == table);
    found.unwrap_or_else(|| panic!("table {table} belongs to no key group: add it to TABLES")).1
}

/// Columns of a query as texts.
async fn texts<const N: usize>(world: &Database, sql: &'static str) -> Vec<[String; N]> {
    let rows = world.admin().await.fetch_all(sql).await.unwrap();
    rows.iter().map(|row| std::array::from_fn(|column| row.get(column))).collect()
}

#[tokio::test]
async fn every_table_belongs_to_a_key_group_and_to_the_owner() {
    let world = Database::new().await;
    let tables: Vec<[String; 2]> = texts(
        &world,
        "select relname::text, relowner::regrole::text from pg_class
         where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition order by 1",
    )
    .await;
    for [table, owner] in &tables {
        group_of(table);
        assert_eq!(owner, "quorate_owner", "{table}");
    }
    assert_eq!(tables.len(), TABLES.len(), "TABLES names a table that is gone");
}

#[tokio::test]
async fn rule_1_every_unique_key_starts_with_its_groups_column() {
    let world = Database::new().await;
    let keys: Vec<[String; 3]> = texts(
        &world,
        "select t.relname::text, i.relname::text, a.attname::text
         from pg_index x
         join pg_class t on t.oid = x.indrelid
         join pg_class i on i.oid = x.indexrelid
         join pg_attribute a on a.attrelid = t.oid and a.attnum = x.indkey[0]
         where t.relnamespace = 'public'::regnamespace and x.indisunique and not t.relispartition",
    )
    .await;
    assert!(keys.len() >= TABLES.len() - 1);
    for [table, key, first] in &keys {
        match group_of(table) {
            Group::Account => assert_eq!(first, "account_id", "{key} of {table}"),
            Group::Bucket => assert_eq!(first, "bucket", "{key} of {table}"),
            Group::Reference => {}
        }
    }
    let mut keyed: Vec<&str> = keys.iter().map(|[table, _, _]| table.as_str()).collect();
    keyed.dedup();
    for (table, _, _) in TABLES {
        assert!(keyed.contains(&table), "{table} has no key");
    }
}

#[tokio::test]
async fn rule_2_foreign_keys_stay_inside_their_group() {
    let world = Database::new().await;
    let keys: Vec<[String; 3]> = texts(
        &world,
        "select c.conname::text, f.relname::text, t.relname::text
         from pg_constraint c join pg_class f on f.oid = c.conrelid join pg_class t on t.oid = c.confrelid
         where c.contype = 'f' and c.connamespace = 'public'::regnamespace and c.conparentid = 0",
    )
    .await;
    assert!(!keys.is_empty());
    for [key, from, to] in keys {
        let (from, to) = (group_of(&from), group_of(&to));
        assert!(from == to || to == Group::Reference, "{key} leads from {from:?} to {to:?}");
    }
}

#[tokio::test]
async fn rule_4_no_sequence_orders_anything_but_the_ids_of_events() {
    let world = Database::new().await;
    let sequences: Vec<[String; 1]> =
        texts(&world, "select relname::text from pg_class where relnamespace = 'public'::regnamespace and relkind = 'S'").await;
    assert_eq!(sequences, [["health_event_id_seq".to_owned()]]);
    let defaults: Vec<[String; 1]> =
        texts(&world, "select adrelid::regclass::text from pg_attrdef where pg_get_expr(adbin, adrelid) like '%nextval%'").await;
    assert!(defaults.is_empty(), "{defaults:?}");
}

#[tokio::test]
async fn rule_5_no_trigger_and_no_notify_in_the_database() {
    let world = Database::new().await;
    let triggers: Vec<[String; 1]> = texts(&world, "select tgname::text from pg_trigger where not tgisinternal").await;
    assert!(triggers.is_empty(), "{triggers:?}");
    let functions: Vec<[String; 2]> = texts(
        &world,
        "select proname::text, coalesce(prosrc, '') || coalesce(pg_get_function_sqlbody(oid), '') from pg_proc
         where pronamespace = 'public'::regnamespace",
    )
    .await;
    assert!(functions.len() >= 4);
    for [name, body] in functions {
        assert!(!body.to_lowercase().contains("notify"), "{name}");
    }
}

#[tokio::test]
async fn every_table_of_accounts_is_held_by_forced_row_level_security() {
    let world = Database::new().await;
    let tables: Vec<[String; 2]> = texts(
        &world,
        "select c.relname::text, (c.relrowsecurity and c.relforcerowsecurity)::text
         from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'account_id'
         where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition",
    )
    .await;
    let mut policies: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for [table, policy] in
        texts(&world, "select tablename::text, policyname || ' to ' || array_to_string(roles, ',') || ' using ' || qual from pg_policies")
            .await
    {
        policies.entry(table).or_default().push(policy);
    }
    assert_eq!(tables.len(), 23);
    for [table, forced] in tables {
        assert_eq!(forced, "true", "{table}");
        for policy in &policies[&table] {
            let is_operators = policy == "operator to quorate_control using true";
            let is_tenants = policy.starts_with("tenant to quorate_app using (account_id = ANY (") && policy.contains("quorate_accounts()");
            assert!(is_operators || is_tenants, "{table}: {policy}");
        }
    }
}

#[tokio::test]
async fn a_flip_touches_no_indexed_column() {
    let world = Database::new().await;
    let indexed: Vec<[String; 2]> = texts(
        &world,
        "select t.relname::text, a.attname::text
         from pg_index x join pg_class t on t.oid = x.indrelid
         join pg_attribute a on a.attrelid = t.oid and a.attnum = any (x.indkey)
         where t.relname in ('check_state', 'pool_state', 'check_votes', 'bucket_owner', 'replica_member')",
    )
    .await;
    let hot = ["verdict", "verdict_seq", "reason", "response_code", "since", "state", "state_seq", "quorum_lost_since", "votes", "as_of"];
    for [table, column] in &indexed {
        assert!(
            !hot.contains(&column.as_str()) && !["owner", "epoch", "config_seq", "heartbeat_at"].contains(&column.as_str()),
            "{table}.{column}"
        );
    }
    assert!(!indexed.is_empty());
}
