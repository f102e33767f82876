//! The wire between control and workers, and its translation to and from `core`.
//!
//! Past [`convert`] nobody needs to see a generated type but to send or receive it whole.

pub mod convert;
pub mod join;

/// Generated from `proto/quorate/worker/v1/worker.proto`.
#[expect(clippy::pedantic, clippy::allow_attributes, clippy::allow_attributes_without_reason, reason = "generated code")]
pub mod v1 {
    tonic::include_proto!("quorate.worker.v1");
}

/// Version of the protocol that this crate speaks: `Hello.protocol`.
pub const PROTOCOL: u32 = 1;
