//! Real servers: started, left behind, adopted, refused, stopped.

#![expect(clippy::unwrap_used, reason = "a test ends where its helper cannot go on")]

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use quorate_pg::{Binaries, Error, Install, Server, Settings, Wanted, folder};
use tempfile::TempDir;

/// Tell a second run of this very program what server to hold until it is killed, and where to say what it holds.
const HOLD: &str = "QUORATE_PG_TEST_HOLD";
const TELL: &str = "QUORATE_PG_TEST_TELL";
const THROW_AWAY: &str = "throw-away";

async fn binaries() -> Binaries {
    let cache = folder::default_programs().unwrap();
    Binaries::find_or_get(&Wanted { major: None, cache, install: Install::Allowed }, &|line| println!("{line}")).await.unwrap()
}

/// A folder that the server's user can reach.
fn place() -> TempDir {
    let place = tempfile::tempdir().unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    place
}

fn settings(place: &TempDir) -> Settings {
    Settings::throw_away(place.path().join("pg"))
}

fn takes_connections(server: &Server) -> bool {
    UnixStream::connect(server.socket_folder().join(".s.PGSQL.5432")).is_ok()
}

/// What `psql` of the same programs says to one statement.
fn ask(binaries: &Binaries, server: &Server, database: &str, statement: &str) -> String {
    let output = Command::new(binaries.program("psql"))
        .args(["--no-psqlrc", "--tuples-only", "--no-align", "--command", statement, &server.admin_url(database)])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "waited 30 s for: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[tokio::test]
async fn a_server_starts_from_nothing_keeps_its_data_and_stops() {
    let (place, binaries) = (place(), binaries().await);
    let kept = Settings::kept(place.path().join("pg"));
    let server = Server::start(&binaries, &kept).await.unwrap();
    assert!(!server.adopted());
    ask(&binaries, &server, "quorate", "create table t as select 7 as n");
    assert_eq!(ask(&binaries, &server, "quorate", "show fsync"), "on");
    server.stop().await.unwrap();

    let server = Server::start(&binaries, &kept).await.unwrap();
    assert_eq!(ask(&binaries, &server, "quorate", "select n from t"), "7");
    assert_eq!(folder::major(&place.path().join("pg")).unwrap(), Some(binaries.major()));
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_throw_away_server_leaves_nothing() {
    let binaries = binaries().await;
    let server = Server::throw_away(&binaries).await.unwrap();
    assert_eq!(ask(&binaries, &server, "postgres", "show max_connections"), "400");
    assert_eq!(ask(&binaries, &server, "postgres", "show listen_addresses"), "");
    let folder = server.socket_folder().parent().unwrap().to_owned();
    assert!(folder.is_dir());
    server.stop().await.unwrap();
    assert!(!folder.exists());
}

/// Another process that has a server, and what it tells of it: `pid folder`.
fn holder(what: &Path, tell: &Path) -> (Child, i32, PathBuf) {
    let child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "the_other_process_holds_a_server", "--nocapture"])
        .env(HOLD, what)
        .env(TELL, tell)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    until("the other process's server", || fs::read_to_string(tell).is_ok_and(|text| text.ends_with('\n')));
    let told = fs::read_to_string(tell).unwrap();
    let (pid, folder) = told.trim().split_once(' ').unwrap();
    (child, pid.parse().unwrap(), PathBuf::from(folder))
}

fn kill_dead(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// The second run's part; without the variables there is nothing to hold.
#[tokio::test]
async fn the_other_process_holds_a_server() {
    let (Some(what), Some(tell)) = (env::var_os(HOLD), env::var_os(TELL)) else { return };
    let binaries = binaries().await;
    let server = if what == THROW_AWAY {
        Server::throw_away(&binaries).await.unwrap()
    } else {
        Server::start(&binaries, &Settings::throw_away(what)).await.unwrap()
    };
    let folder = server.socket_folder().parent().unwrap();
    fs::write(tell, format!("{} {}\n", server.pid(), folder.display())).unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_server_outlives_the_kill_of_its_holder_and_is_adopted() {
    let (place, binaries) = (place(), binaries().await);
    let (mut child, pid, _) = holder(&place.path().join("pg"), &place.path().join("told"));

    let refused = Server::start(&binaries, &settings(&place)).await;
    assert!(matches!(refused, Err(Error::InUse { .. })), "{refused:?}");

    kill_dead(&mut child);
    let server = Server::start(&binaries, &settings(&place)).await.unwrap();
    assert!(server.adopted());
    assert_eq!(server.pid(), pid);
    assert!(takes_connections(&server));
    let socket = server.socket_folder().join(".s.PGSQL.5432");
    server.stop().await.unwrap();
    assert!(UnixStream::connect(&socket).is_err(), "an adopted server is stopped too");
}

#[tokio::test]
async fn what_a_killed_process_left_of_a_throw_away_server_is_swept_by_the_next() {
    let (place, binaries) = (place(), binaries().await);
    let (mut child, _, abandoned) = holder(Path::new(THROW_AWAY), &place.path().join("told"));
    let other = Server::throw_away(&binaries).await.unwrap();
    assert!(abandoned.join("data/postmaster.pid").is_file(), "a held one is nobody else's");
    kill_dead(&mut child);
    Server::throw_away(&binaries).await.unwrap().stop().await.unwrap();
    assert!(!abandoned.exists(), "{} is still there", abandoned.display());
    other.stop().await.unwrap();
}

#[tokio::test]
async fn a_server_that_crashed_starts_again() {
    let (place, binaries) = (place(), binaries().await);
    let server = Server::start(&binaries, &settings(&place)).await.unwrap();
    let pid = server.pid();
    assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
    server.stop().await.unwrap();
    assert!(place.path().join("pg/data/postmaster.pid").is_file(), "it had no time to clean up");
    let server = Server::start(&binaries, &settings(&place)).await.unwrap();
    assert!(!server.adopted() && server.pid() != pid);
    assert!(takes_connections(&server));
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_folder_of_another_version_is_refused_and_left_alone() {
    let (place, binaries) = (place(), binaries().await);
    let data = place.path().join("pg/data");
    fs::create_dir_all(&data).unwrap();
    fs::write(data.join("PG_VERSION"), "12\n").unwrap();
    let error = Server::start(&binaries, &settings(&place)).await.unwrap_err();
    assert!(matches!(error, Error::VersionMismatch { folder_major: 12, .. }), "{error}");
    assert!(error.to_string().contains("was made by Postgres 12"), "{error}");
    assert_eq!(fs::read_dir(&data).unwrap().count(), 1);
}

#[tokio::test]
async fn a_deep_folder_gets_a_socket_elsewhere() {
    let (place, binaries) = (place(), binaries().await);
    let deep = place.path().join("a folder with a long name/".repeat(4)).join("pg");
    let server = Server::start(&binaries, &Settings::throw_away(&deep)).await.unwrap();
    assert!(!server.socket_folder().starts_with(place.path()), "{}", server.socket_folder().display());
    assert_eq!(fs::metadata(server.socket_folder()).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(ask(&binaries, &server, "quorate", "select 1"), "1");
    let run = server.socket_folder().to_owned();
    server.stop().await.unwrap();
    fs::remove_dir(run).unwrap();
}

#[tokio::test]
async fn the_folder_that_bars_the_servers_user_is_named() {
    let binaries = binaries().await;
    let place = tempfile::tempdir().unwrap();
    let barred = place.path().join("private");
    fs::create_dir(&barred).unwrap();
    fs::set_permissions(&barred, fs::Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let started = Server::start(&binaries, &Settings::throw_away(barred.join("pg"))).await;
    if rustix::process::geteuid().is_root() {
        let error = started.unwrap_err();
        assert!(matches!(&error, Error::Unsearchable { folder, .. } if *folder == fs::canonicalize(&barred).unwrap()), "{error}");
        assert!(error.to_string().contains("refuses to run as root"), "{error}");
    } else {
        // The server runs as ourselves, who may enter.
        started.unwrap().stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_start_that_fails_quotes_the_log() {
    let (place, binaries) = (place(), binaries().await);
    Server::start(&binaries, &settings(&place)).await.unwrap().stop().await.unwrap();
    fs::write(place.path().join("pg/data/postgresql.conf"), "no_such_setting = 1\n").unwrap();
    let error = Server::start(&binaries, &settings(&place)).await.unwrap_err();
    assert!(matches!(error, Error::Ended { .. }), "{error}");
    assert!(error.to_string().contains("no_such_setting"), "{error}");
}

#[tokio::test]
async fn a_half_made_data_folder_is_made_anew() {
    let (place, binaries) = (place(), binaries().await);
    let half = place.path().join("pg/data.new");
    fs::create_dir_all(&half).unwrap();
    fs::write(half.join("PG_VERSION"), "15\n").unwrap();
    let server = Server::start(&binaries, &settings(&place)).await.unwrap();
    assert_eq!(ask(&binaries, &server, "quorate", "select 1"), "1");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_start_that_is_given_up_leaves_no_server() {
    let (binaries, place) = (binaries().await, place());
    Server::start(&binaries, &settings(&place)).await.unwrap().stop().await.unwrap();
    let pid_file = place.path().join("pg/data").join("postmaster.pid");
    let begun = async {
        while !pid_file.exists() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let settings = settings(&place);
    tokio::select! {
        biased;
        () = begun => {}
        ended = Server::start(&binaries, &settings) => panic!("the start came to its end first: {ended:?}"),
    }
    until("the server ends", || !pid_file.exists());
}
