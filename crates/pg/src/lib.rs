//! A private Postgres: finds or gets its programs, starts a server that only this user reaches (a Unix
//! socket, no port, no password), adopts one that a killed process left behind, and stops it.
//!
//! For `quorate up`, for the tests and for the developer commands. It never touches a server that it did
//! not start, and it speaks no SQL: whoever needs a connection takes [`Server::admin_url`].

pub mod binaries;
mod error;
pub mod folder;
mod owner;
pub mod server;

pub use binaries::{Binaries, Install, Wanted};
pub use error::Error;
pub use server::{Server, Settings};
