//! The domain of Quorate: what is asked of an origin, who votes on it, and what the votes decide.
//!
//! Pure and synchronous: no socket, no database, no clock. Time and randomness come in as arguments.
//! Every other crate depends on this one; this one depends on nothing of ours.

pub mod address_policy;
pub mod bucket;
pub mod check;
pub mod country;
pub mod electorate;
pub mod event;
pub mod evidence;
pub mod failure;
pub mod health;
pub mod healthcheck;
pub mod ids;
pub mod load_balancer;
pub mod monitor;
pub mod monitor_group;
pub mod phase;
pub mod pool;
pub mod pop;
pub mod preview;
pub mod quorum;
pub mod region;
pub mod register;
pub mod spacing;
pub mod time;
pub mod timings;
pub mod validate;
pub mod vote;
