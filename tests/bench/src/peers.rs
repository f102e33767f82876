//! The programs that are measured, each told the same: these origins, this often.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::farm::{self, NAME};
use crate::rows::{Kind, Row};

/// As HAProxy says that a certificate is verified.
const SECURED: &str = " check-ssl verify required verifyhost origin.bench check-sni origin.bench ca-file ca.pem";
/// Where the blackbox exporter listens.
const BLACKBOX: &str = "127.0.0.1:9115";

/// A running program. Dropped: it is ended.
pub(crate) struct Running(Child);

impl Running {
    /// On the CPU that nothing else of ours uses.
    pub(crate) fn start(program: &Path, arguments: &[&str]) -> Result<Self> {
        Self::with(program, arguments, Stdio::null)
    }

    /// One that answers each line that it is told with one.
    pub(crate) fn start_talking(program: &Path, arguments: &[&str]) -> Result<Self> {
        Self::with(program, arguments, Stdio::piped)
    }

    fn with(program: &Path, arguments: &[&str], pipe: fn() -> Stdio) -> Result<Self> {
        let mut command = Command::new("taskset");
        command.args(["-c", "0"]).arg(program).args(arguments).stdin(pipe()).stdout(pipe());
        Ok(Self(command.spawn().with_context(|| format!("cannot run {}", program.display()))?))
    }

    /// Quorate's worker for a control: this bench's own, or another program, told what an operator tells it.
    pub(crate) fn worker(program: Option<&Path>, control: &str, folder: &Path, kind: Kind) -> Result<Self> {
        let (ca, full_handshake_every_s) = (folder.join("ca.pem"), kind.full_handshake_every_s());
        let Some(program) = program else {
            return Self::start(
                &std::env::current_exe()?,
                &["worker", "--control", control, "--ca", &ca.to_string_lossy(), "--full-handshake-every-s", full_handshake_every_s],
            );
        };
        let (token, config) = (folder.join("token"), folder.join("quorate.toml"));
        fs::write(&token, crate::worker::token()?.encode())?;
        let mut told = format!("[worker]\naccount_probes_per_second_max = 1000000\ndata_dir = \"{}\"\n", folder.join("data").display());
        if kind.is_https() {
            // Where nothing is probed over TLS nobody makes ready for it.
            writeln!(told, "extra_ca_file = \"{}\"\ntls_full_handshake_every_s = {full_handshake_every_s}", ca.display())?;
        }
        fs::write(&config, told)?;
        let [token, config] = [&token, &config].map(|path| path.to_string_lossy());
        let arguments = ["worker", "--config", &config, "--token-file", &token, "--control-url", control, "--allow-cidr", "127.0.0.0/8"];
        Self::start(program, &[&arguments[..], &["--listen", "127.0.0.1:0"]].concat())
    }

    /// What it answers, if it is one that talks.
    pub(crate) fn asked(&mut self) -> Result<Option<String>> {
        let (Some(stdin), Some(stdout)) = (&mut self.0.stdin, &mut self.0.stdout) else { return Ok(None) };
        stdin.write_all(b"\n")?;
        let mut answer = String::new();
        // Nothing comes unasked, so nothing is read ahead and lost.
        BufReader::new(stdout).read_line(&mut answer)?;
        Ok(Some(answer))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself, which the measurement has said.
        let _ended = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// HAProxy's active checks; `None` where it has none of this kind.
pub(crate) fn haproxy(row: &Row, port: u16, folder: &Path) -> Result<Option<Running>> {
    let option = match row.kind {
        Kind::Http | Kind::Https | Kind::HttpsResumed => http_check(),
        Kind::Tcp => String::new(),
        Kind::Icmp => return Ok(None),
    };
    let secured = if row.kind.is_https() { SECURED } else { "" };
    // It resumes sessions unless that is forbidden.
    let full = if row.kind == Kind::Https { " no-ssl-reuse no-tls-tickets" } else { "" };
    let mut config = format!(
        "global\n  nbthread 1\n  maxconn 100\n  spread-checks 0\n  ca-base {}\ndefaults\n  mode http\n  timeout connect 1s\n  timeout client 1s\n  \
         timeout server 1s\n  timeout check 1s\nfrontend unused\n  bind 127.0.0.1:18999\n  default_backend origins\nbackend origins\n{option}",
        folder.display()
    );
    for number in 0..row.count {
        let address = farm::address(number);
        writeln!(config, "  server s{number} {address}:{port} check inter {}{secured}{full}", row.interval_ms)?;
    }
    let file = folder.join("haproxy.cfg");
    fs::write(&file, config)?;
    Running::start(Path::new("/usr/sbin/haproxy"), &["-db", "-q", "-f", &file.to_string_lossy()]).map(Some)
}

/// fping, for a row of pings.
pub(crate) fn fping(row: &Row, folder: &Path) -> Result<Running> {
    let origins: Vec<String> = (0..row.count).map(|number| farm::address(number).to_string()).collect();
    let file = folder.join("fping.txt");
    fs::write(&file, origins.join("\n"))?;
    let [period, file] = [&row.interval_ms.to_string(), &*file.to_string_lossy()].map(str::to_owned);
    let arguments = ["--loop", "--quiet", "--interval", "1", "--timeout", "1000", "--period", &period, "--file", &file];
    Running::start(Path::new("/usr/bin/fping"), &arguments)
}

fn http_check() -> String {
    format!("  option httpchk\n  http-check send meth GET uri /health ver HTTP/1.1 hdr Host {NAME}\n  http-check expect status 200\n")
}

/// The blackbox exporter, and whoever asks it for each origin, as Prometheus would; above some hundred
/// probes a second it keeps no schedule, and is left out.
pub(crate) fn blackbox(row: &Row, port: u16, folder: &Path) -> Result<Option<(Running, JoinSet<()>)>> {
    let (module, scheme) = match row.kind {
        Kind::Http => ("http", "http://"),
        Kind::Https => ("http", "https://"),
        // It resumes nothing.
        Kind::HttpsResumed => return Ok(None),
        Kind::Tcp => ("tcp", ""),
        Kind::Icmp => ("icmp", ""),
    };
    if u64::from(row.count) * 1_000 / row.interval_ms > 500 {
        return Ok(None);
    }
    let ca = folder.join("ca.pem");
    let config = format!(
        "modules:\n  http:\n    prober: http\n    timeout: 1s\n    http:\n      headers:\n        Host: {NAME}\n      tls_config:\n        \
         server_name: {NAME}\n        ca_file: {}\n  tcp:\n    prober: tcp\n    timeout: 1s\n  icmp:\n    prober: icmp\n    timeout: 1s\n",
        ca.display()
    );
    let file = folder.join("blackbox.yml");
    fs::write(&file, config)?;
    let program = Path::new("/usr/bin/prometheus-blackbox-exporter");
    let arguments =
        [format!("--config.file={}", file.display()), format!("--web.listen-address={BLACKBOX}"), "--log.level=error".to_owned()];
    let running = Running::start(program, &arguments.each_ref().map(String::as_str))?;
    let mut scrapes = JoinSet::new();
    let interval = Duration::from_millis(row.interval_ms);
    for number in 0..row.count {
        let path = match row.kind {
            Kind::Http | Kind::Https | Kind::HttpsResumed => format!("{scheme}{}:{port}/health", farm::address(number)),
            Kind::Tcp => format!("{}:{port}", farm::address(number)),
            Kind::Icmp => farm::address(number).to_string(),
        };
        let request = format!("GET /probe?module={module}&target={path} HTTP/1.0\r\n\r\n");
        let phase = interval * number / row.count;
        scrapes.spawn(async move {
            let mut due = Instant::now() + phase;
            loop {
                sleep_until(due).await;
                // While it starts nobody listens; a probe that fails is missing from the origin's count.
                if let Ok(mut stream) = TcpStream::connect(BLACKBOX).await
                    && stream.write_all(request.as_bytes()).await.is_ok()
                {
                    let _read = stream.read_to_end(&mut Vec::new()).await;
                }
                due = (due + interval).max(Instant::now());
            }
        });
    }
    Ok(Some((running, scrapes)))
}
