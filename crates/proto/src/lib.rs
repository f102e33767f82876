//! The wire between control and workers, and its translation to and from `core`.

/// Generated from `proto/quorate/worker/v1/worker.proto`.
pub mod v1 {
    tonic::include_proto!("quorate.worker.v1");
}
