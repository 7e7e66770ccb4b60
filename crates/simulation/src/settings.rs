//! How to run a seed.

use crate::options::Load;

/// How to run a seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Simulated seconds until everything must be whole; faults end 15 s before. At least 20.
    pub seconds: u64,
    /// How much is played.
    pub load: Load,
    /// How many shards the server has; `None`: drawn from the seed.
    pub shards: Option<u8>,
    /// Last events to keep for the report.
    pub log: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seconds: 60,
            load: Load::Drawn,
            shards: None,
            log: 0,
        }
    }
}
