//! The rows of the table, and how each cell is measured.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use quorate_core::check::{Check, HttpProbe, Probe};
use quorate_core::ids::{CheckId, PoolId};
use tokio::time::sleep;

use crate::control::Control;
use crate::decisions;
use crate::farm::{self, Farm, NAME};
use crate::lateness::{bucket_ms, lateness_ms};
use crate::measure::{connections_begun, echoes_answered, percentile, usage};
use crate::peers::{self, Running};

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    Http,
    Tcp,
    /// Every handshake is a full one.
    Https,
    /// Sessions are resumed, for a minute at a time.
    HttpsResumed,
    Icmp,
}

impl Kind {
    /// How long a worker resumes sessions, in seconds.
    pub(crate) const fn full_handshake_every_s(self) -> &'static str {
        if matches!(self, Self::HttpsResumed) { "60" } else { "0" }
    }

    pub(crate) const fn is_https(self) -> bool {
        matches!(self, Self::Https | Self::HttpsResumed)
    }
}

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Program {
    Quorate,
    /// The bare program.
    Floor,
    Fping,
    Haproxy,
    Blackbox,
}

impl Program {
    /// Those that there are for it.
    const fn of(kind: Kind) -> &'static [Self] {
        match kind {
            Kind::Http | Kind::Tcp => &[Self::Quorate, Self::Floor, Self::Haproxy, Self::Blackbox],
            Kind::Https | Kind::HttpsResumed => &[Self::Quorate, Self::Haproxy, Self::Blackbox],
            Kind::Icmp => &[Self::Quorate, Self::Floor, Self::Fping, Self::Haproxy, Self::Blackbox],
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Quorate => "quorate",
            Self::Floor => "floor",
            Self::Fping => "fping",
            Self::Haproxy => "haproxy",
            Self::Blackbox => "blackbox",
        }
    }
}

/// So many origins, each asked this often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) count: u32,
    pub(crate) interval_ms: u64,
}

impl Row {
    /// Milliseconds between two starts of several probes, as the worker has it: the floor has the same.
    fn tick_ms(&self) -> u64 {
        let wanted = (STARTS_PER_TICK * self.interval_ms / u64::from(self.count)).min(self.interval_ms / 20);
        TICKS_MS.into_iter().find(|tick| *tick <= wanted).unwrap_or(1)
    }
}

const ROWS: [Row; 8] = [
    Row { name: "http-200", kind: Kind::Http, count: 200, interval_ms: 1_000 },
    Row { name: "http-2000", kind: Kind::Http, count: 2_000, interval_ms: 1_000 },
    Row { name: "http-10000-10s", kind: Kind::Http, count: 10_000, interval_ms: 10_000 },
    Row { name: "http-10000", kind: Kind::Http, count: 10_000, interval_ms: 1_000 },
    Row { name: "tcp-2000", kind: Kind::Tcp, count: 2_000, interval_ms: 1_000 },
    Row { name: "https-500", kind: Kind::Https, count: 500, interval_ms: 1_000 },
    Row { name: "https-500-resumed", kind: Kind::HttpsResumed, count: 500, interval_ms: 1_000 },
    Row { name: "icmp-1000", kind: Kind::Icmp, count: 1_000, interval_ms: 1_000 },
];

/// Probes a second that one core is tried with, until some are lost.
const CAPACITY: [u32; 6] = [15_000, 20_000, 25_000, 30_000, 33_000, 40_000];
/// What is left of the slots where none is lost, in percent: the window begins and ends within ticks.
const ALL_SLOTS_PERCENT: f64 = 99.9;
/// Starts that a tick of the worker holds, and what it may be, in milliseconds.
const STARTS_PER_TICK: u64 = 20;
const TICKS_MS: [u64; 8] = [50, 25, 20, 10, 5, 4, 2, 1];

#[derive(Debug, clap::Args)]
pub(crate) struct Run {
    /// Rows to measure, by name; all unless named.
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(ROWS.map(|row| row.name)))]
    rows: Vec<String>,
    /// Programs to measure; all unless named.
    #[arg(long, value_delimiter = ',')]
    programs: Vec<Program>,
    /// How often each cell is measured, in turns with the other programs; the median is told, of an even number the dearer
    /// of the two in the middle.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Find out instead how many HTTP probes a second one core makes without losing one.
    #[arg(long, conflicts_with_all = ["rows", "programs", "rounds"])]
    capacity: bool,
    /// Probes a second that `--capacity` tries, one rate after the other.
    #[arg(long, value_delimiter = ',', default_values_t = CAPACITY, requires = "capacity")]
    rates: Vec<u32>,
    /// Find out instead how soon control hears of so many failures, one at a time.
    #[arg(long, value_name = "FAILURES", conflicts_with_all = ["rows", "programs", "rounds", "capacity"])]
    decisions: Option<u32>,
    /// Seconds that each cell is measured for, after as many to warm up or one interval more.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

/// What one program did.
struct Cell {
    cpu_us_per_probe: f64,
    per_second: f64,
    slots_percent: f64,
    /// p50 and p99, in milliseconds.
    late_ms: Option<(f64, f64)>,
    /// What the program itself says of that, in buckets.
    own_late_ms: Option<(f64, f64)>,
    resident_mib: f64,
    /// Origins that the control was told are up: all, unless this machine had no time to answer them.
    reported_up: Option<usize>,
}

impl Run {
    pub(crate) fn run(self) -> Result<()> {
        let farm = Farm::start()?;
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("ca.pem"), &farm.ca_pem)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        if let Some(failures) = self.decisions {
            return runtime.block_on(decisions::measure(failures, &farm, folder.path()));
        }
        println!("| row | program | CPU us per probe | probes/s | slots kept | late by p50 / p99 ms | by itself | RSS MiB | reported up |");
        println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
        runtime.block_on(async {
            if self.capacity {
                return self.measure_capacity(&farm, folder.path()).await;
            }
            for row in ROWS.iter().filter(|row| self.rows.is_empty() || self.rows.iter().any(|name| name == row.name)) {
                self.measure_row(row, &farm, folder.path()).await?;
            }
            Ok(())
        })
    }

    async fn measure_row(&self, row: &Row, farm: &Farm, folder: &Path) -> Result<()> {
        let wanted = Program::of(row.kind).iter().filter(|program| self.programs.is_empty() || self.programs.contains(program));
        let mut cells: Vec<(Program, Vec<Cell>)> = wanted.map(|program| (*program, Vec::new())).collect();
        for _round in 0..self.rounds {
            for (program, cells) in &mut cells {
                cells.extend(self.measure_program(*program, row, farm, folder).await?);
            }
        }
        for (program, mut cells) in cells {
            cells.sort_by(|one, other| one.cpu_us_per_probe.total_cmp(&other.cpu_us_per_probe));
            let median = cells.len() / 2;
            print(row, program, cells.into_iter().nth(median));
        }
        Ok(())
    }

    /// `None`: the program cannot do it.
    async fn measure_program(&self, program: Program, row: &Row, farm: &Farm, folder: &Path) -> Result<Option<Cell>> {
        let port = farm.port(row.kind);
        let cell = match program {
            Program::Quorate => self.measure_worker(row, farm, port, folder).await?,
            Program::Floor => self.measure_floor(row, farm, port).await?,
            Program::Fping => self.measure(row, farm, &mut peers::fping(row, folder)?).await?,
            Program::Haproxy => match peers::haproxy(row, port, folder)? {
                Some(mut haproxy) => self.measure(row, farm, &mut haproxy).await?,
                None => return Ok(None),
            },
            Program::Blackbox => match peers::blackbox(row, port, folder)? {
                Some((mut blackbox, _scrapes)) => self.measure(row, farm, &mut blackbox).await?,
                None => return Ok(None),
            },
        };
        Ok(Some(cell))
    }

    async fn measure_worker(&self, row: &Row, farm: &Farm, port: u16, folder: &Path) -> Result<Cell> {
        let checks: Vec<Check> = (0..row.count).map(|number| check(row, number, port)).collect();
        let control = Control::start(&checks).await?;
        let ca = folder.join("ca.pem");
        let full_handshake_every_s = row.kind.full_handshake_every_s();
        let ca = ca.to_string_lossy();
        let arguments = ["worker", "--control", &control.url, "--ca", &ca, "--full-handshake-every-s", full_handshake_every_s];
        let mut worker = Running::start_talking(&std::env::current_exe()?, &arguments)?;
        let mut cell = self.measure(row, farm, &mut worker).await?;
        cell.reported_up = Some(control.up());
        Ok(cell)
    }

    async fn measure_floor(&self, row: &Row, farm: &Farm, port: u16) -> Result<Cell> {
        let told = [row.count.to_string(), row.interval_ms.to_string(), row.tick_ms().to_string(), port.to_string()];
        let [count, interval, tick, port] = told.each_ref().map(String::as_str);
        let mut arguments = vec![if row.kind == Kind::Icmp { "icmp-floor" } else { "floor" }];
        arguments.extend(["--count", count, "--interval-ms", interval, "--tick-ms", tick]);
        if row.kind != Kind::Icmp {
            arguments.extend(["--port", port]);
        }
        arguments.extend((row.kind == Kind::Tcp).then_some("--tcp"));
        self.measure(row, farm, &mut Running::start(&std::env::current_exe()?, &arguments)?).await
    }

    /// More and more probes a second, until the worker loses some.
    async fn measure_capacity(&self, farm: &Farm, folder: &Path) -> Result<()> {
        for count in self.rates.iter().copied() {
            let row = Row { name: "capacity", kind: Kind::Http, count, interval_ms: 1_000 };
            // Where it cannot keep up, it runs out of sockets, and ends.
            let floor = self.measure_floor(&row, farm, farm.http).await;
            print(&row, Program::Floor, floor.inspect_err(|error| eprintln!("the bare program: {error:#}")).ok());
            let cell = self.measure_worker(&row, farm, farm.http, folder).await?;
            let has_lost = cell.slots_percent < ALL_SLOTS_PERCENT;
            print(&row, Program::Quorate, Some(cell));
            if has_lost {
                break;
            }
        }
        Ok(())
    }

    async fn measure(&self, row: &Row, farm: &Farm, program: &mut Running) -> Result<Cell> {
        let interval = Duration::from_millis(row.interval_ms);
        let window = Duration::from_secs(self.seconds).max(interval);
        // First probes are spread over five seconds; the first round that tells of all comes within ten.
        sleep(Duration::from_secs(11).max(interval + Duration::from_secs(5))).await;
        let told_before = program.asked()?;
        farm.take();
        let counted = || match row.kind {
            Kind::Icmp => echoes_answered(),
            // HAProxy resets half-open connections, which no origin ever sees.
            Kind::Tcp => connections_begun(),
            Kind::Http | Kind::Https | Kind::HttpsResumed => Ok(0),
        };
        let (before, counted_before) = (usage(program.pid())?, counted()?);
        sleep(window).await;
        let (after, book) = (usage(program.pid())?, farm.take());
        let told = told_before.zip(program.asked()?);
        let own = |percent| told.as_ref().and_then(|(before, after)| bucket_ms(before, after, percent));
        let probes = match row.kind {
            Kind::Icmp | Kind::Tcp => counted()? - counted_before,
            Kind::Http | Kind::Https | Kind::HttpsResumed => book.len() as u64,
        };
        anyhow::ensure!(probes > 0, "nothing was probed in {}", row.name);
        let wanted = f64::from(row.count) * window.as_secs_f64() * 1_000.0 / u32_to_f64(row.interval_ms)?;
        let late = lateness_ms(&book, interval);
        let probes = u32_to_f64(probes)?;
        Ok(Cell {
            cpu_us_per_probe: after.cpu.saturating_sub(before.cpu).as_secs_f64() * 1e6 / probes,
            per_second: probes / window.as_secs_f64(),
            slots_percent: 100.0 * probes / wanted,
            late_ms: percentile(&late, 50).zip(percentile(&late, 99)),
            own_late_ms: own(50).zip(own(99)),
            resident_mib: u32_to_f64(after.resident_kib)? / 1024.0,
            reported_up: None,
        })
    }
}

fn u32_to_f64(number: u64) -> Result<f64> {
    Ok(f64::from(u32::try_from(number).context("a number of this bench has 32 bits")?))
}

pub(crate) fn check(row: &Row, number: u32, port: u16) -> Check {
    let mut id = [0; 16];
    id[..4].copy_from_slice(&number.to_be_bytes());
    let http = |tls| {
        Probe::Http(HttpProbe {
            tls,
            method: "GET".to_owned(),
            path: "/health".to_owned(),
            host: Some(NAME.to_owned()),
            headers: Vec::new(),
            expected_codes: "200".to_owned(),
            expected_body: String::new(),
            follow_redirects: false,
            allow_insecure: false,
            probe_zone: String::new(),
        })
    };
    Check {
        id: CheckId::from_bytes(id),
        config_gen: 1,
        pool_id: PoolId::from_bytes(id),
        sharing_key: [0; 16],
        address: farm::address(number).to_string(),
        port,
        interval: Duration::from_millis(row.interval_ms),
        timeout: Duration::from_secs(1),
        retries: 0,
        consecutive_up: 1,
        consecutive_down: 1,
        probe: match row.kind {
            Kind::Http => http(false),
            Kind::Https | Kind::HttpsResumed => http(true),
            Kind::Tcp => Probe::Tcp,
            Kind::Icmp => Probe::IcmpPing,
        },
    }
}

fn print(row: &Row, program: Program, cell: Option<Cell>) {
    let program = program.name();
    let Some(cell) = cell else { return println!("| {} | {program} | - | - | - | - | - | - | - |", row.name) };
    let late = cell.late_ms.map_or_else(|| "-".to_owned(), |(p50, p99)| format!("{p50:.2} / {p99:.1}"));
    let own = cell.own_late_ms.map_or_else(|| "-".to_owned(), |(p50, p99)| format!("≤ {p50} / {p99}"));
    let up = cell.reported_up.map_or_else(|| "-".to_owned(), |up| up.to_string());
    println!(
        "| {} | {program} | {:.1} | {:.0} | {:.1} % | {late} | {own} | {:.1} | {up} |",
        row.name, cell.cpu_us_per_probe, cell.per_second, cell.slots_percent, cell.resident_mib
    );
}
