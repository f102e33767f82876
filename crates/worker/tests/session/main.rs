//! A worker against a control plane that the test plays: real gRPC, real sockets, real probes.

mod control;
mod one_off;
mod origin;
mod world;

mod reconnecting;
mod replicas;
mod reporting;
mod trust;
