//! `cargo xtask test`.

use anyhow::Result;
use tokio::process::Command;

use crate::command::{self, cargo};
use crate::database::Database;

/// Where the copy of the vendor's description is that the API's is compared with.
const VENDOR_DOCUMENT: &str = "QUORATE_VENDOR_OPENAPI";

/// Builds everything that tests run or are, then runs them against a throw-away server.
pub(crate) async fn run(arguments: &[String]) -> Result<()> {
    // The binaries too, in one build with the tests: stories run `quorate` as processes.
    command::run(cargo(&["build", "--workspace", "--bins", "--tests"])).await?;
    let database = Database::start().await?;
    let outcome = run_tests(&database, arguments).await;
    database.stop_after(outcome).await
}

async fn run_tests(database: &Database, arguments: &[String]) -> Result<()> {
    // The runner shows nothing of a test that passes, so it is said here.
    if std::env::var_os(VENDOR_DOCUMENT).is_none_or(|path| path.is_empty()) {
        eprintln!("SKIPPED: nothing is held against the vendor's OpenAPI document; {VENDOR_DOCUMENT} says where a copy is");
    }
    let namespace: &[&str] = if rustix::process::geteuid().is_root() { &["--net"] } else { &["--user", "--map-root-user", "--net"] };
    let mut unshare = Command::new("unshare");
    unshare.args(namespace).arg("true");
    if !command::works(unshare).await {
        eprintln!("SKIPPED: tests that make a network of their own, which this system does not let us");
    }
    let mut tests = if command::works(cargo(&["nextest", "--version"])).await {
        cargo(&["nextest", "run", "--no-fail-fast"])
    } else {
        eprintln!("cargo-nextest is not installed, so `cargo test` runs the tests; `cargo install --locked cargo-nextest` makes it faster");
        cargo(&["test", "--no-fail-fast"])
    };
    let selects = |argument: &String| ["-p", "--package"].iter().any(|flag| argument.starts_with(flag));
    if !arguments.iter().any(selects) {
        tests.arg("--workspace");
    }
    tests.args(arguments).env("DATABASE_URL", database.url("postgres"));
    command::run(tests).await
}
