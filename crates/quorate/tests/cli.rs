//! The command line as an operator meets it: what it reads, what it refuses, and how it ends.

use std::path::Path;
use std::process::{Command, Output};

/// A process with nothing in its environment but what a test gives it.
fn quorate(dir: &Path, args: &[&str], env: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_quorate"))
        .args(args)
        .env_clear()
        .env("HOME", dir)
        .env("QUORATE_DATA_DIR", dir.join("data"))
        // A backtrace in an error would show now.
        .env("RUST_BACKTRACE", "1")
        .envs(env.iter().copied())
        .output()
        .expect("the program starts")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("the program prints UTF-8")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("the program prints UTF-8")
}

fn in_force(output: &Output) -> serde_json::Value {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
    serde_json::from_slice(&output.stdout).expect("check-config prints JSON")
}

#[track_caller]
fn refused(output: &Output, code: i32, part: &str) {
    let told = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{told}");
    assert!(told.contains(part), "{part:?} is missing in {told:?}");
    assert_eq!(told.lines().count(), 1, "an error is one line: {told:?}");
    assert!(!told.contains("backtrace") && !told.contains("panicked"), "{told}");
}

#[test]
fn a_flag_wins_over_the_environment_that_over_the_file_that_over_the_default() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("quorate.toml");
    std::fs::write(&file, "[control]\nlisten = \"127.0.0.1:1001\"\ngrpc_listen = \"127.0.0.1:1002\"\nretain_days = 7\n").unwrap();
    let file = file.to_str().unwrap();
    let by_file = in_force(&quorate(dir.path(), &["check-config", "--config", file], &[]));
    assert_eq!(by_file["control"]["listen"], "127.0.0.1:1001");
    assert_eq!(by_file["control"]["retain_days"], 7);
    assert_eq!(by_file["timings"]["round_ms"], 10_000, "the default");
    let env = [("QUORATE_CONFIG", file), ("QUORATE_CONTROL__LISTEN", "127.0.0.1:2001"), ("QUORATE_TIMINGS__ROUND_MS", "1000")];
    let by_env = in_force(&quorate(dir.path(), &["check-config"], &env));
    assert_eq!(by_env["control"]["listen"], "127.0.0.1:2001");
    assert_eq!(by_env["control"]["grpc_listen"], "127.0.0.1:1002");
    assert_eq!(by_env["timings"]["round_ms"], 1_000);
    let by_flag = in_force(&quorate(dir.path(), &["check-config", "--data-dir", "/elsewhere"], &env));
    assert_eq!(by_flag["data_dir"], "/elsewhere");
}

#[test]
fn lists_come_comma_separated_from_the_environment_and_nothing_counts_as_not_set() {
    let dir = tempfile::tempdir().unwrap();
    let env = [
        ("QUORATE_CONTROL_URLS", "https://a:8081, https://b:8081"),
        ("QUORATE_WORKER_ALLOW_CIDRS", "10.0.0.0/8,fd00::/8"),
        ("QUORATE_DATABASE_URL", ""),
        ("QUORATE_WORKER__SOURCE_ADDRESS", "127.0.3.1"),
    ];
    let config = in_force(&quorate(dir.path(), &["check-config"], &env));
    assert_eq!(config["worker"]["control_urls"], serde_json::json!(["https://a:8081", "https://b:8081"]));
    assert_eq!(config["worker"]["allow_cidrs"], serde_json::json!(["10.0.0.0/8", "fd00::/8"]));
    assert_eq!(config["worker"]["source_address"], "127.0.3.1");
    assert!(config["database"]["url"].is_null());
}

#[test]
fn a_wrong_configuration_ends_with_2_and_says_where_it_came_from() {
    let dir = tempfile::tempdir().unwrap();
    let check = |env: &[(&str, &str)]| quorate(dir.path(), &["check-config"], env);
    refused(&check(&[("QUORATE_TIMINGS__ROUND_MS", "soon")]), 2, "TIMINGS.ROUND_MS");
    refused(&check(&[("QUORATE_TIMINGS__ROUND_MS", "soon")]), 2, "environment variable");
    refused(&check(&[("QUORATE_TIMINGS__RUOND_MS", "1")]), 2, "ruond_ms");
    refused(&check(&[("QUORATE_TIMINGS__SESSION_LEASE_MS", "5000")]), 2, "session_lease_ms (5000)");
    refused(&check(&[("QUORATE_WORKER_ALLOW_CIDRS", "10.0.0.0/99")]), 2, "10.0.0.0/99");
    refused(&check(&[("QUORATE_DATABASE_URL", "mysql://x")]), 2, "database.url");
    refused(&check(&[("QUORATE_CONFIG", "/nowhere/quorate.toml")]), 2, "/nowhere/quorate.toml");
    let file = dir.path().join("quorate.toml");
    std::fs::write(&file, "[control]\nlisen = \"127.0.0.1:1\"\n").unwrap();
    refused(&quorate(dir.path(), &["check-config", "--config", file.to_str().unwrap()], &[]), 2, "lisen");
}

#[test]
fn secrets_are_not_printed() {
    let dir = tempfile::tempdir().unwrap();
    let env = [("QUORATE_DATABASE_URL", "postgres://u:hunter2@h/d"), ("QUORATE_WORKER_TOKEN", "qwt_hunter2")];
    let output = quorate(dir.path(), &["check-config"], &env);
    assert_eq!(in_force(&output)["database"]["url"], "(hidden)");
    assert!(!stdout(&output).contains("hunter2"));
    // Digits alone are a text as well, and where a file gives a number it is not repeated.
    let digits = quorate(dir.path(), &["check-config"], &[("QUORATE_DATABASE_SERVICE_PASSWORD", "12345678")]);
    assert_eq!(in_force(&digits)["database"]["service_password"], "(hidden)");
    let file = dir.path().join("quorate.toml");
    std::fs::write(&file, "[database]\nservice_password = 12345678\n").unwrap();
    let number = quorate(dir.path(), &["check-config", "--config", file.to_str().unwrap()], &[]);
    refused(&number, 2, "service_password");
    assert!(!stderr(&number).contains("12345678"), "{}", stderr(&number));
    let refusal = quorate(dir.path(), &["worker"], &[("QUORATE_WORKER_TOKEN", "qwt_hunter2")]);
    assert_eq!(refusal.status.code(), Some(2));
    assert!(!stderr(&refusal).contains("hunter2"), "{}", stderr(&refusal));
}

#[test]
fn a_variable_that_only_looks_like_a_setting_is_a_warning() {
    let dir = tempfile::tempdir().unwrap();
    let env = [("QUORATE_DATABSE_URL", "postgres://h/d"), ("QUORATE_TOKEN", "what up wrote for clients")];
    let output = quorate(dir.path(), &["check-config"], &env);
    assert_eq!(output.status.code(), Some(0));
    assert!(stderr(&output).contains("QUORATE_DATABSE_URL") && !stderr(&output).contains("QUORATE_TOKEN"), "{}", stderr(&output));
}

#[test]
fn the_printed_example_is_a_valid_file() {
    let dir = tempfile::tempdir().unwrap();
    let example = dir.path().join("example.toml");
    std::fs::write(&example, quorate(dir.path(), &["check-config", "--example"], &[]).stdout).unwrap();
    in_force(&quorate(dir.path(), &["check-config", "--config", example.to_str().unwrap()], &[]));
}

#[test]
fn wrong_usage_ends_with_2_and_help_with_0() {
    let dir = tempfile::tempdir().unwrap();
    for args in
        [&["fly"][..], &["account", "create"], &["control", "--listen", "everywhere"], &["demo", "break", "shop-1", "--from", "EARTH"]]
    {
        assert_eq!(quorate(dir.path(), args, &[]).status.code(), Some(2), "{args:?}");
    }
    for args in [&["--help"][..], &["--version"], &["up", "--help"], &["worker", "--help"], &["init", "--help"]] {
        assert_eq!(quorate(dir.path(), args, &[]).status.code(), Some(0), "{args:?}");
    }
}

#[test]
fn a_role_that_lacks_what_it_needs_says_what_to_set() {
    let dir = tempfile::tempdir().unwrap();
    refused(&quorate(dir.path(), &["worker"], &[]), 2, "QUORATE_WORKER_TOKEN");
    refused(&quorate(dir.path(), &["worker"], &[("QUORATE_WORKER_TOKEN_FILE", "/nowhere/token")]), 2, "/nowhere/token");
    refused(&quorate(dir.path(), &["worker"], &[("QUORATE_WORKER_TOKEN", "hello")]), 2, "worker.token");
    refused(&quorate(dir.path(), &["control"], &[]), 2, "QUORATE_DATABASE_URL");
    refused(&quorate(dir.path(), &["account", "list"], &[]), 2, "QUORATE_DATABASE_URL");
    refused(&quorate(dir.path(), &["migrate"], &[]), 2, "QUORATE_DATABASE_ADMIN_URL");
}

#[test]
fn a_database_that_is_not_there_is_a_failure_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let env = [("QUORATE_DATABASE_URL", "postgres://quorate_service@127.0.0.1:1/quorate")];
    refused(&quorate(dir.path(), &["account", "list"], &env), 1, "database");
}

#[test]
fn the_folder_of_an_up_named_by_flag_wins_over_the_database_of_the_environment() {
    let dir = tempfile::tempdir().unwrap();
    let env = [("QUORATE_DATABASE_URL", "postgres://quorate_service@127.0.0.1:1/quorate")];
    let stopped = dir.path().join("stopped");
    std::fs::create_dir_all(stopped.join("postgres")).unwrap();
    let named = quorate(dir.path(), &["account", "list", "--data-dir", stopped.to_str().unwrap()], &env);
    refused(&named, 2, stopped.to_str().unwrap());
    // No `up` ever ran there: the folder is for the secrets of that database.
    let other = quorate(dir.path(), &["account", "list", "--data-dir", "/nowhere"], &env);
    refused(&other, 1, "database.url");
}

#[test]
fn demo_says_that_no_up_runs_on_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    refused(&quorate(dir.path(), &["demo", "break", "shop-1"], &[]), 1, "start `quorate up`");
}

#[test]
fn a_role_that_is_not_there_is_not_ready() {
    let dir = tempfile::tempdir().unwrap();
    refused(&quorate(dir.path(), &["ready", "127.0.0.1:1"], &[]), 1, "127.0.0.1:1 is not ready");
}
