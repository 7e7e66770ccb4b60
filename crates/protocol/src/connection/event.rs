//! What a connection tells its owner.

use bytes::Bytes;

use crate::close::CloseReason;
use crate::liveness::Liveness;

/// The caller's own name for something sent, told back when its fate is known.
pub type Tag = u64;

/// What a connection has to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionEvent {
    /// The first authentic packet arrived: the peer holds the keys.
    Confirmed,
    /// A control message.
    Control(Bytes),
    /// A message of an ordered stream.
    Ordered(Bytes),
    /// A message of the latest lane, newer than all before it under the same key.
    Latest {
        /// The lane's key.
        key: u16,
        /// The message.
        message: Bytes,
    },
    /// The peer has what was sent under this tag.
    Acked(Tag),
    /// An unreliable message sent under this tag is (partly) lost, or was replaced unsent.
    Lost(Tag),
    /// The peer received what [`Connection::challenge`](crate::Connection::challenge) sent under this
    /// token.
    PathAnswered([u8; 8]),
    /// The peer's liveness changed.
    Liveness(Liveness),
    /// The connection is over: the last event. Tags without a fate never get one.
    Closed(CloseReason),
}
