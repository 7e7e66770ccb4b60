//! Where a client stands, as its caller sees it.

use rejoin_protocol::Liveness;

use crate::event::Ended;

/// Where a client stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// The hello is under way.
    Joining,
    /// The session is open; how sure the client is of the server.
    Active(Liveness),
    /// The connection is lost, and the client is on its way back.
    Away,
    /// It is over.
    Ended(Ended),
}
