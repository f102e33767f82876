//! What a request of the REST API costs beside its own SQL: `cargo xtask bench rest`.
//!
//! A released control process, its database and a closed-loop client share this machine's processors. The floor of each
//! row is what the handler really asked of the database, taken from the server's own log with its parameters, and
//! repeated by pgbench with as many clients. Nothing else runs.

mod capture;
mod client;
mod floor;
mod plans;
mod rows;
mod seed;
mod spent;

use std::fmt::Write as _;
use std::io::BufRead as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use quorate_testkit::world::Plan;

use rows::{Measured, Row};

#[derive(Debug, Parser)]
struct Arguments {
    /// The program `pgbench` of the server's version.
    #[arg(long)]
    pgbench: PathBuf,
    /// Events of the account that is asked for, evenly over 90 days.
    #[arg(long, default_value_t = 1_000_000)]
    events: u32,
    /// Seconds of each measurement; a quarter of it before is not counted.
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Connections; each number is measured.
    #[arg(long, value_delimiter = ',', default_value = "1,16,128")]
    connections: Vec<usize>,
    /// Only rows whose names contain one of these.
    #[arg(long = "only", value_delimiter = ',')]
    only: Vec<String>,
    /// Measure once for each line of standard input, and end with it. A line names rows as `--only` does; an empty one means
    /// those of `--only`. Lets a profiler be attached between seeding and measuring.
    #[arg(long)]
    wait: bool,
}

// One thread: the client takes as little of the processors as a client can.
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments = Arguments::parse();
    // The limits of rates stay in the way of each request, and are never reached.
    let world = Plan::control_only().default_timings().setting("QUORATE_CONTROL__RATE_LIMIT_REQUESTS", "100000000").build().await;
    let seeded = seed::seed(&world, arguments.events).await;
    println!("{}", seeded.told());
    println!("control process {}", world.controls[0].process.pid().as_raw_nonzero());
    let rows = rows::all(&world, &seeded);
    if !arguments.wait {
        return measure(&world, &rows, &arguments, &arguments.only).await;
    }
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("standard input is text");
        let named: Vec<String> = line.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        measure(&world, &rows, &arguments, if named.is_empty() { &arguments.only } else { &named }).await;
    }
}

async fn measure(world: &quorate_testkit::world::World, rows: &[Row], arguments: &Arguments, only: &[String]) {
    let window = Duration::from_secs(arguments.seconds);
    let mut measured = Vec::new();
    let mut plans = String::new();
    for row in rows.iter().filter(|row| only.is_empty() || only.iter().any(|name| row.name.contains(name.as_str()))) {
        let floor = floor::Floor::of(world, row, &arguments.pgbench).await;
        writeln!(plans, "{}: {} statements; {}", row.name, floor.statements(), floor.plans(world).await).expect("a string takes text");
        for connections in &arguments.connections {
            let base = floor.run(world, *connections, window).await;
            measured.push(row.measure(world, *connections, window, base).await);
            eprintln!("{}", measured.last().expect("one was measured").line());
        }
    }
    println!("{}", Measured::table(&measured));
    println!("What each request asks of the database, and by which indexes:\n{plans}");
}
