//! What the handler of a request asks of the database, statement by statement with its parameters, from the server's log.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use quorate_testkit::postgres::scalar;
use quorate_testkit::until::until;
use quorate_testkit::world::World;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Executor};

use crate::client::{Connection, Target, Work};

/// Around the name of the session on each line of the log.
const MARK: char = '\u{1}';
/// The sessions of requests call themselves so; those of loops and logins have other names.
const OF_REQUESTS: [&str; 3] = ["quorate api", "quorate reader", "quorate events"];
const WITHIN: Duration = Duration::from_secs(10);

/// A statement as the server logged it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Statement {
    pub(crate) text: String,
    /// By number, from 1; `None` is null.
    pub(crate) parameters: BTreeMap<usize, Option<String>>,
}

/// The statements of one unit of work, on a server that has seen it before.
pub(crate) async fn statements(world: &World, target: &Target, work: &Work) -> Vec<Statement> {
    let mut admin = world.database.admin().await;
    let log = log_file(&mut admin).await;
    let mut connection = Connection::to(target).await;
    set(&mut admin, &[("log_statement", "'all'"), ("log_line_prefix", &format!("'{MARK}%a{MARK}'"))]).await;
    // A session logs from its next command after the server's signal on.
    until("the server logs statements", WITHIN, async || {
        let mut connection = Connection::to(target).await;
        let before = length(&log);
        connection.work(target, work, 0).await;
        if read(&log, before).is_empty() { Err("nothing yet".to_owned()) } else { Ok(()) }
    })
    .await;
    let before = length(&log);
    connection.work(target, work, 0).await;
    let statements = read(&log, before);
    set(&mut admin, &[("log_statement", "'none'"), ("log_line_prefix", "''")]).await;
    assert!(!statements.is_empty(), "a request asks the database something");
    statements
}

/// Beside the data, in the folder that `quorate_pg` gives a server.
async fn log_file(admin: &mut PgConnection) -> PathBuf {
    let data: String = scalar(admin, "select setting from pg_settings where name = 'data_directory'").await;
    Path::new(&data).with_file_name("server.log")
}

async fn set(admin: &mut PgConnection, settings: &[(&str, &str)]) {
    for (name, value) in settings {
        admin.execute(AssertSqlSafe(format!("alter system set {name} = {value}"))).await.expect("the administrator may");
    }
    admin.execute("select pg_reload_conf()").await.expect("the administrator may");
}

fn length(log: &Path) -> usize {
    fs::metadata(log).map_or(0, |found| usize::try_from(found.len()).expect("a log fits the memory"))
}

/// The statements of requests that the log tells of behind its first `from` bytes.
fn read(log: &Path, from: usize) -> Vec<Statement> {
    let bytes = fs::read(log).unwrap_or_else(|error| panic!("{}: {error}", log.display()));
    parse(&String::from_utf8_lossy(&bytes[from..]))
}

fn parse(log: &str) -> Vec<Statement> {
    let mut statements: Vec<Statement> = Vec::new();
    // An entry begins with the mark; further lines of it do not.
    for entry in log.split(&format!("\n{MARK}")).map(|entry| entry.trim_start_matches(MARK)) {
        let Some((session, told)) = entry.split_once(MARK) else { continue };
        if !OF_REQUESTS.contains(&session) {
            continue;
        }
        let told = told.replace("\n\t", "\n");
        if let Some(parameters) = told.strip_prefix("DETAIL:  parameters: ") {
            statements.last_mut().expect("parameters follow their statement").parameters = parse_parameters(parameters.trim_end());
            continue;
        }
        let Some(rest) = told.strip_prefix("LOG:  ") else { continue };
        let text =
            rest.strip_prefix("statement: ").or_else(|| rest.strip_prefix("execute ").and_then(|rest| Some(rest.split_once(": ")?.1)));
        if let Some(text) = text {
            statements.push(Statement { text: text.trim().to_owned(), parameters: BTreeMap::new() });
        }
    }
    statements
}

/// `$1 = 'it''s', $2 = NULL`
fn parse_parameters(mut text: &str) -> BTreeMap<usize, Option<String>> {
    let mut parameters = BTreeMap::new();
    while let Some((number, rest)) = text.strip_prefix('$').and_then(|text| text.split_once(" = ")) {
        let number = number.parse().expect("a parameter has a number");
        let (value, rest) = if let Some(rest) = rest.strip_prefix("NULL") { (None, rest) } else { quoted(rest) };
        parameters.insert(number, value);
        text = rest.strip_prefix(", ").unwrap_or(rest);
    }
    assert!(text.is_empty(), "parameters that cannot be read: {text}");
    parameters
}

/// A value in quotes, where two stand for one; and what follows.
fn quoted(text: &str) -> (Option<String>, &str) {
    let inner = text.strip_prefix('\'').expect("a value is in quotes");
    let mut from = 0;
    loop {
        let end = from + inner[from..].find('\'').expect("a value's quotes close");
        if !inner[end + 1..].starts_with('\'') {
            return (Some(inner[..end].replace("''", "'")), &inner[end + 1..]);
        }
        from = end + 2;
    }
}
