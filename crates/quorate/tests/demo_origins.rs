//! Origins that a person breaks and heals, as a process of their own.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(20);

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
    command.args(args).env_clear().env("QUORATE_DATA_DIR", dir).env("QUORATE_LOG", "warn");
    command
}

fn demo(dir: &Path, args: &[&str]) -> Output {
    command(dir, &[&["demo"], args].concat()).output().expect("the program starts")
}

fn status(address: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: demo\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split_ascii_whitespace().nth(1).map(str::to_owned)
}

fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < DEADLINE, "{what} within {DEADLINE:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn an_origin_is_broken_and_healed_over_the_socket_and_stops_on_a_signal() {
    let dir = tempfile::tempdir().unwrap();
    let free = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let (one, two) = (free(), free());
    let listen = [format!("shop-1={one}"), format!("shop-2={two}")];
    let args = ["demo-origins", "--listen", &listen[0], "--listen", &listen[1], "--region", "WEU=127.0.3.0/24"];
    let mut running = Running(command(dir.path(), &args).spawn().unwrap());
    wait_for("the origin answers", || status(one).as_deref() == Some("200"));

    let broken = demo(dir.path(), &["break", "shop-1"]);
    assert_eq!(String::from_utf8_lossy(&broken.stdout), "shop-1 answers 503 to everyone\n");
    assert_eq!(status(one).as_deref(), Some("503"));
    assert_eq!(status(two).as_deref(), Some("200"), "the other one is not touched");

    demo(dir.path(), &["heal", "shop-1"]);
    assert_eq!(status(one).as_deref(), Some("200"));
    demo(dir.path(), &["break", "shop-1", "--from", "WEU"]);
    assert_eq!(status(one).as_deref(), Some("200"), "a person is in no region");

    let unknown = demo(dir.path(), &["break", "shop-9"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("shop-1, shop-2"), "{unknown:?}");

    let pid = rustix::process::Pid::from_child(&running.0);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    wait_for("it ends", || running.0.try_wait().unwrap().is_some());
    assert!(running.0.wait().unwrap().success());
    assert!(!dir.path().join("demo.sock").exists());
}

#[test]
fn a_taken_port_is_told_with_its_flag() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let listen = format!("shop-1={}", taken.local_addr().unwrap());
    let output = command(dir.path(), &["demo-origins", "--listen", &listen]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--listen"), "{output:?}");
}
