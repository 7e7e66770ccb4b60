//! How a connection ends, as its session sees it.

use rejoin_protocol::CloseReason;

use crate::event::{Ended, Loss};

/// How a session ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The connection is over already.
    Closed(CloseReason),
    /// The connection is of no use any more.
    Lost(Loss),
    /// This side must close, for this reason.
    Close(CloseReason),
}

/// A message of the server that makes no sense.
pub(crate) const VIOLATION: End = End::Close(CloseReason::ProtocolViolation);

impl From<End> for Ended {
    fn from(end: End) -> Self {
        match end {
            End::Closed(reason) | End::Close(reason) => Self::Closed(reason),
            End::Lost(loss) => Self::Closed(loss.reason()),
        }
    }
}
