//! A model of the vote path: one check, one region of three PoPs, two replicas, one database, and a
//! world that loses, duplicates and reorders messages, restarts and crashes what it likes, expires
//! votes and hands over ownership at any moment. No clock is trusted: whatever could be timed
//! happens at any time.
//!
//! The model holds no rule of its own. Whether a message is accepted, a vote counts, votes decide
//! and a verdict may be committed is asked of `quorate_core`, the code that runs in production; the
//! model only keeps what the world does and checks, in every state that can be reached, that the
//! invariants hold. What they say is written down here once more, independently, in [`invariant`].
//!
//! A model that finds nothing must be shown to be able to: each rule is dropped once, through
//! [`Guards`](quorate_core::quorum::Guards), and the invariant that it protects must then break.

mod healing;
pub mod invariant;
pub mod row;
pub mod state;
mod step;
mod vote_path;

pub use vote_path::VotePath;
