//! Probes against real servers on loopback: a way to fail, and the reason it is told by.

pub(crate) mod checks;
