//! The migrations are compiled in: a new file there is a new binary.

fn main() {
    println!("cargo::rerun-if-changed=../../migrations");
    println!("cargo::rerun-if-changed=roles.sql");
}
