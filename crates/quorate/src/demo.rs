//! Small origins to try the product on: healthy ones, ones that a person breaks and heals, and a gallery of failures.
//!
//! They listen on loopback (or where `demo-origins` is told to), speak just enough HTTP and TLS to fail in the
//! documented ways, and never reach out to anyone.

pub mod http;
pub mod manner;
pub mod objects;
pub mod origin;
pub mod socket;
pub mod switchboard;
pub mod tls;

pub use manner::Manner;
pub use origin::Origin;
pub use switchboard::Switchboard;
