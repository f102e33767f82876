//! The world of the stories: a database each, real processes of every role, origins that die on
//! command, and an operator who acts through the public doors. Nothing that ships depends on it.

pub mod net;
pub mod operator;
pub mod origins;
pub mod places;
pub mod postgres;
pub mod process;
pub mod until;
pub mod world;
