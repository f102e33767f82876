//! By which indexes the statements of a request read events.

use std::collections::BTreeSet;

use quorate_testkit::world::World;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Executor, Row as _};

use crate::capture::Statement;

/// The indexes of the first statement that reads events, and the tables that it reads whole, each without the day.
pub(crate) async fn told(world: &World, statements: &[Statement]) -> String {
    let Some(reading) = statements.iter().find(|statement| statement.text.contains("health_event")) else {
        return "no events".to_owned();
    };
    let mut session = world.database.service().await;
    session.execute("set role quorate_app; set jit = off; set plan_cache_mode = force_generic_plan").await.expect("the login may");
    let plan = explained(&mut session, reading, world.operator.account.as_str()).await;
    let of = |word: &str| -> BTreeSet<String> { plan.iter().filter_map(|line| Some(without_day(line.split_once(word)?.1))).collect() };
    let list =
        |names: BTreeSet<String>| if names.is_empty() { "none".to_owned() } else { names.into_iter().collect::<Vec<_>>().join(", ") };
    let mut indexes = of("Index Scan using ");
    indexes.extend(of("Index Only Scan using "));
    indexes.extend(of("Bitmap Index Scan on "));
    format!("indexes {}; read whole: {}", list(indexes), list(of("Seq Scan on ")))
}

/// The plan that fits any parameters, as it was executed for these.
async fn explained(session: &mut PgConnection, statement: &Statement, account: &str) -> Vec<String> {
    let values: Vec<String> = statement
        .parameters
        .values()
        .map(|value| value.as_ref().map_or_else(|| "null".to_owned(), |value| format!("'{}'", value.replace('\'', "''"))))
        .collect();
    session.execute(AssertSqlSafe(format!(r#"set quorate.accounts = '{{"\\x{account}"}}'"#))).await.expect("everybody may");
    session.execute(AssertSqlSafe(format!("prepare reading as {}", statement.text))).await.expect("it was executed a moment ago");
    let arguments = if values.is_empty() { String::new() } else { format!("({})", values.join(", ")) };
    let explain = format!("explain (analyze, timing off, costs off) execute reading{arguments}");
    let rows = session.fetch_all(AssertSqlSafe(explain)).await.expect("it was executed a moment ago");
    rows.iter().map(|row| row.get::<String, _>(0)).filter(|line| !line.contains("never executed")).collect()
}

/// The first word, where days have no name: all partitions have the same indexes.
fn without_day(rest: &str) -> String {
    let name = rest.split_whitespace().next().unwrap_or_default();
    name.split('_')
        .filter(|part| !(part.len() == 8 && part.bytes().all(|byte| byte.is_ascii_digit())) && *part != "default")
        .collect::<Vec<_>>()
        .join("_")
}
