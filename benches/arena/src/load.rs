//! What players of a turn do.

use std::time::Duration;

/// What the players of a turn do, and for how long that is measured.
#[derive(Clone, Copy)]
pub struct Load {
    pub players: usize,
    /// One of the workload's shapes.
    pub shape: usize,
    pub ping_hz: u64,
    pub span: Duration,
}
