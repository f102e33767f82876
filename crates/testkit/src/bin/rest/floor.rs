//! The floor: the statements of a request, repeated by pgbench.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use quorate_testkit::world::World;
use sqlx::{AssertSqlSafe, Executor};
use tempfile::NamedTempFile;
use tokio::process::Command;

use crate::capture::{self, Statement};
use crate::plans;
use crate::rows::Row;

/// What a session of requests is from its beginning.
const SESSION: &str = "-c role=quorate_app -c jit=off";

pub(crate) struct Floor {
    pgbench: PathBuf,
    statements: Vec<Statement>,
    script: NamedTempFile,
    /// Variables of the script: `p1=text`.
    variables: Vec<String>,
    /// Where the statements change something: until they are repeated, what they made has to go.
    account: Option<String>,
}

impl Floor {
    /// Sees what the row's work asks of the database. What it changes is rolled back in the repetition, so that the same
    /// statements can be repeated; all but the commit is done.
    pub(crate) async fn of(world: &World, row: &Row, pgbench: &Path) -> Self {
        let mut statements = capture::statements(world, &row.target, &row.work).await;
        let changes = statements.iter().any(|statement| statement.text.eq_ignore_ascii_case("commit"));
        if changes {
            statements = as_one(statements);
        }
        let (script, variables) = script(&statements);
        let account = changes.then(|| world.operator.account.clone());
        Self { pgbench: pgbench.to_owned(), statements, script, variables, account }
    }

    pub(crate) fn statements(&self) -> usize {
        self.statements.len()
    }

    pub(crate) async fn plans(&self, world: &World) -> String {
        plans::told(world, &self.statements).await
    }

    /// Transactions a second.
    pub(crate) async fn run(&self, world: &World, clients: usize, window: Duration) -> f64 {
        if let Some(account) = &self.account {
            // The log of changes has a number for each, which the repetition takes again.
            let undo =
                format!("delete from audit_log where account_id = '\\x{account}' and object_kind = 'pool' and object_name like 'bench-%'");
            world.database.admin().await.execute(AssertSqlSafe(undo)).await.expect("the administrator may");
        }
        let mut pgbench = Command::new(&self.pgbench);
        pgbench.args(["--protocol=prepared", "--no-vacuum"]).arg(format!("--client={clients}"));
        pgbench.arg(format!("--jobs={}", clients.min(2))).arg(format!("--time={}", window.as_secs())).arg("--file").arg(self.script.path());
        for variable in &self.variables {
            pgbench.arg("-D").arg(variable);
        }
        let output = pgbench.arg(&world.database.service_url).env("PGOPTIONS", SESSION).output().await.expect("pgbench runs");
        let (told, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let tps = told.lines().find_map(|line| line.strip_prefix("tps = ")?.split_whitespace().next()?.parse().ok());
        tps.filter(|_| output.status.success() && !wrong.contains("ERROR")).unwrap_or_else(|| panic!("pgbench failed:\n{told}\n{wrong}"))
    }
}

/// The transactions as one, which ends without a commit.
fn as_one(statements: Vec<Statement>) -> Vec<Statement> {
    let bare = |text: &str| Statement { text: text.to_owned(), parameters: [].into() };
    let is = |statement: &Statement, word: &str| statement.text.eq_ignore_ascii_case(word);
    let between = statements.into_iter().filter(|statement| !["begin", "commit", "rollback"].iter().any(|word| is(statement, word)));
    [bare("begin")].into_iter().chain(between).chain([bare("rollback")]).collect()
}

/// The script, and its variables. Parameters stay parameters: only null and the empty text, which no variable can hold, are
/// written out.
fn script(statements: &[Statement]) -> (NamedTempFile, Vec<String>) {
    let (mut text, mut variables) = (String::new(), Vec::new());
    for (index, statement) in statements.iter().enumerate() {
        let mut line = statement.text.clone();
        // From the last on, so that $1 is not found in $10.
        for (number, value) in statement.parameters.iter().rev() {
            let name = format!("s{index}p{number}");
            let written = match value.as_deref() {
                None => "null".to_owned(),
                Some("") => "''".to_owned(),
                Some(value) => {
                    variables.push(format!("{name}={value}"));
                    format!(":{name}")
                }
            };
            line = line.replace(&format!("${number}"), &written);
        }
        writeln!(text, "{line};").expect("a string takes text");
    }
    let file = NamedTempFile::new().expect("the temporary folder is writable");
    std::fs::write(file.path(), text).expect("the script is ours");
    (file, variables)
}
