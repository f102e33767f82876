//! What a worker says of itself, for `/readyz`.

/// How the worker stands. Probing goes on whatever it says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkerStatus {
    /// Replicas of the control plane with a session, by the URL they were dialled at, sorted.
    pub connected: Vec<String>,
    /// Why a replica fenced this process off, if one did and has not taken it back since.
    pub fenced: Option<String>,
    /// Checks held, those that cannot be run included.
    pub checks: usize,
    /// Buckets held.
    pub buckets: usize,
}

impl WorkerStatus {
    /// Whether the votes of this worker reach somebody.
    pub fn is_ready(&self) -> bool {
        !self.connected.is_empty()
    }
}
