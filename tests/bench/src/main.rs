//! `cargo xtask bench probes`: what a probe costs in Quorate's worker, in the peers that an operator
//! could run instead, and in a bare program that does nothing else; side by side, against origins of
//! our own on distinct loopback addresses.

mod control;
mod decisions;
mod farm;
mod floor;
mod icmp_floor;
mod lateness;
mod measure;
mod memory;
mod origin;
mod peers;
mod rows;
mod worker;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    role: Role,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Measure: start the origins and one program after the other.
    Run(rows::Run),
    /// Measure what checks cost in memory.
    Memory(memory::MemoryOfChecks),
    /// Quorate's worker, whole, for a control at this URL.
    Worker(worker::Arguments),
    /// The bare program.
    Floor(floor::Floor),
    /// The bare program for pings.
    IcmpFloor(icmp_floor::IcmpFloor),
}

fn main() -> Result<()> {
    match Arguments::parse().role {
        Role::Run(run) => run.run(),
        Role::Memory(memory) => memory.run(),
        Role::Worker(worker) => worker.run(),
        Role::Floor(floor) => floor.run(),
        Role::IcmpFloor(floor) => floor.run(),
    }
}
