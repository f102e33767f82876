//! No test of this suite ends before the database is asked whether every object in it has its trail in the audit log:
//! a new kind of object that forgets to write its changes down fails its own tests.

use sqlx::{AssertSqlSafe, Executor, PgConnection, Row};

/// Tables of things that are no configuration, so that making them is no change to write down.
const NO_CONFIGURATION: [&str; 1] = ["preview"];

/// Tables of objects: those that have an account and are named after their identifier, as `pool` is.
const OBJECT_TABLES: &str = "
    select c.relname::text,
        exists (select from pg_attribute m where m.attrelid = c.oid and m.attname = 'modified_on')
    from pg_class c
    join pg_attribute i on i.attrelid = c.oid and i.attname = c.relname || '_id'
    join pg_attribute a on a.attrelid = c.oid and a.attname = 'account_id'
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition";

pub(super) async fn is_complete(admin: &mut PgConnection) {
    let tables: Vec<(String, bool)> =
        admin.fetch_all(OBJECT_TABLES).await.expect("the catalog answers").iter().map(|row| (row.get(0), row.get(1))).collect();
    assert!(tables.len() >= 5, "the tables of objects are not found any more: {tables:?}");
    for (table, tells_changes) in tables {
        if NO_CONFIGURATION.contains(&table.as_str()) {
            continue;
        }
        let last_change = if tells_changes { "o.modified_on" } else { "null::timestamptz" };
        let gaps = format!(
            "with last as (
                select distinct on (object_id) object_id, action, occurred_at
                from audit_log where object_kind = '{table}'
                order by object_id, occurred_at desc, seq desc
            )
            select coalesce(encode(o.{table}_id, 'hex'), l.object_id), case
                when l.object_id is null then 'was made'
                when o.{table}_id is null then 'was deleted'
                else 'was changed'
            end
            from {table} as o
            full join last as l on l.object_id = encode(o.{table}_id, 'hex')
            where l.object_id is null
                or (o.{table}_id is null and l.action <> 'delete')
                or (o.{table}_id is not null and l.action = 'delete')
                or {last_change} > l.occurred_at"
        );
        let gaps = admin.fetch_all(AssertSqlSafe(gaps)).await.unwrap_or_else(|error| panic!("{table}: {error}"));
        let told: Vec<String> = gaps.iter().map(|row| format!("{} {}", row.get::<String, _>(0), row.get::<String, _>(1))).collect();
        assert!(
            told.is_empty(),
            "{table} {told:?} without a row in the audit log: the store has to call audit::created, updated or deleted, \
             or the table is no configuration and belongs into NO_CONFIGURATION"
        );
    }
}
