//! The API as clients know it: its own description against the vendor's, and its answers against both.

mod conformance;
mod schema;
mod terraform;
mod vendor;
