//! A network of a test's own: a namespace with nothing in it but what the test puts there, so that
//! public addresses can be probed, lost and refused, and not a packet leaves the machine.

use std::any::type_name;
use std::process::{Command, Stdio};

/// Set in the process that runs inside.
const INSIDE: &str = "QUORATE_TEST_NETWORK";
/// Set where no test may be skipped.
const REQUIRED: &str = "QUORATE_TEST_NETWORKS_REQUIRED";

/// What every network has: loopback, and every address of both families behind it. A packet to an
/// address that nobody has is sent, and lost.
const LOOPBACK: &str = "PATH=$PATH:/usr/sbin:/sbin; set -e; ip link set lo up; ip route add default dev lo; ip -6 route add default dev lo";

/// Runs `test`, an async closure of the test that calls this, in a network that `setup`, a shell
/// script, makes: by running that one test again in a process of its own. Where the system allows
/// nobody a namespace the test is skipped, and says so, as `cargo xtask test` does.
pub(in crate::probe) fn within<T: AsyncFnOnce()>(setup: &str, test: T) {
    run(setup, &[], test);
}

/// The same, in a process that may open no raw socket.
pub(super) fn within_and_unprivileged<T: AsyncFnOnce()>(setup: &str, test: T) {
    run(setup, &["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw"], test);
}

fn run<T: AsyncFnOnce()>(setup: &str, wrapper: &[&str], test: T) {
    if std::env::var_os(INSIDE).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        return runtime.block_on(test());
    }
    let namespace: &[&str] = if nix::unistd::geteuid().is_root() { &["--net"] } else { &["--user", "--map-root-user", "--net"] };
    let possible = Command::new("unshare").args(namespace).arg("true").stdin(Stdio::null()).output();
    if !possible.as_ref().is_ok_and(|output| output.status.success()) {
        assert!(std::env::var_os(REQUIRED).is_none(), "this system makes no network namespace: {possible:?}");
        return eprintln!("SKIPPED: this system makes no network namespace: {possible:?}");
    }
    // `crate::module::test::{{closure}}`
    let name = type_name::<T>().split_once("::").expect("a path").1.trim_end_matches("::{{closure}}");
    let ran = Command::new("unshare")
        .args(namespace)
        .args(["--", "sh", "-c", &format!("{LOOPBACK}; {setup}\nexec \"$@\""), "sh"])
        .args(wrapper)
        .arg(std::env::current_exe().expect("a test binary"))
        .args([name, "--exact", "--nocapture"])
        .env(INSIDE, "1")
        .stdin(Stdio::null())
        .output()
        .expect("unshare runs");
    let told = String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "in a network of its own:\n{told}");
    assert!(told.contains("1 passed"), "{name} is not the test's name:\n{told}");
}

/// Packets that left by loopback, which is every packet of this network.
pub(super) fn packets_sent() -> u64 {
    let table = std::fs::read_to_string("/proc/thread-self/net/dev").expect("the table of interfaces");
    let loopback = table.lines().find_map(|line| line.trim_start().strip_prefix("lo:")).expect("loopback");
    // Eight numbers of what was received, then bytes and packets of what was sent.
    loopback.split_whitespace().nth(9).expect("seventeen columns").parse().expect("a number")
}
