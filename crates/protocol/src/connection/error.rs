//! Why a datagram was not taken, or a message not queued.

use crate::limit::Limit;
use crate::size::SizeError;

/// Why a datagram was not taken. The connection goes on, unless a `Closed` event follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PacketError {
    /// Too short, or a header we cannot read.
    #[error("malformed header")]
    Header,
    /// Seen before, or too old to tell.
    #[error("replayed packet")]
    Replayed,
    /// Changed on the way, or of other keys.
    #[error("packet does not authenticate")]
    NotAuthentic,
    /// Authentic, but the peer sends more than it may: dropped unread. The connection closes if it
    /// goes on.
    #[error("over the limit of {0}")]
    OverBudget(Limit),
    /// Authentic but senseless: the peer is broken. The connection closes.
    #[error("protocol violation: {0}")]
    Violation(&'static str),
    /// The connection is over already.
    #[error("connection is closed")]
    Closed,
}

/// Why a message was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// Longer than the lane carries.
    #[error("message of {len} bytes exceeds {max}")]
    TooLong {
        /// Its length.
        len: usize,
        /// The lane's bound.
        max: usize,
    },
    /// A part of it is beyond a bound of its own. The caller's mistake: trying again will not help.
    #[error(transparent)]
    Size(#[from] SizeError),
    /// The queue is full: the peer reads too slowly. Try again later.
    #[error("send queue is full")]
    QueueFull,
    /// The connection is over.
    #[error("connection is closed")]
    Closed,
}

/// How an authentic peer broke the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Violation(pub(crate) &'static str);

impl From<Violation> for PacketError {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation.0)
    }
}
