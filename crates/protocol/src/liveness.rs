//! The ladder on which a silent peer climbs down.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How sure one side is that the other is still there.
///
/// ```text
/// live --silence--> suspect --silence--> detached --hold over--> gone
///   ^----- any authentic packet -----------'
/// any --notice--> loading --done--> live
///                 loading --silence after its time--> suspect
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Liveness {
    /// Packets arrive as announced.
    Live,
    /// It said that it loads: silence means nothing for a while.
    Loading,
    /// Something expected is late; probes go out.
    Suspect,
    /// Silent for so long that the seat is only held.
    Detached,
}

impl fmt::Display for Liveness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Live => "live",
            Self::Loading => "loading",
            Self::Suspect => "suspect",
            Self::Detached => "detached",
        })
    }
}
