//! What a game may say about a client besides where its server is and who plays.

use std::path::PathBuf;
use std::time::Duration;

use rejoin_protocol::limits::SEAT_HOLD;

/// How a client comes back, for [`Client::connect_with`](crate::Client::connect_with) and
/// [`PollClient::connect_with`](crate::PollClient::connect_with).
///
/// ```
/// # use std::time::Duration;
/// # use rejoin_client::ConnectOptions;
/// let options = ConnectOptions::new()
///     .resume_for(Duration::from_secs(600))
///     .ticket_file("save/ana.ticket");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectOptions {
    pub(crate) resume_for: Duration,
    pub(crate) ticket_file: Option<PathBuf>,
}

impl ConnectOptions {
    /// What [`Client::connect`](crate::Client::connect) does: comes back for 120 s, and keeps no file.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            resume_for: SEAT_HOLD,
            ticket_file: None,
        }
    }

    /// For how long a client that lost its connection tries to come back. [`Duration::MAX`]: until the game
    /// gives up. [`Duration::ZERO`]: not at all. Default 120 s, for as long as a server holds seats; later
    /// than that the session may be taken up, but its seats may be gone.
    #[must_use]
    pub const fn resume_for(mut self, span: Duration) -> Self {
        self.resume_for = span;
        self
    }

    /// Keeps the client's ticket in the file at `path`, so that the game finds its seats when its process is
    /// started again, however that ended. Default: in no file.
    ///
    /// A ticket found there is used in the permit's place, with fresh keys. If the server does not take it,
    /// for it is too old, the permit is used, and [`Event::TicketRefused`](crate::Event::TicketRefused) tells
    /// so. The file is replaced with every new ticket, about twice a day, and removed when the client leaves.
    /// Whoever reads it is the player: it is made for its owner alone, and refused if others can read it. A
    /// thread of its own writes it.
    ///
    /// Give each player and server a file of its own. If two clients run with one, the newer has the session,
    /// and the older ends.
    #[must_use]
    pub fn ticket_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ticket_file = Some(path.into());
        self
    }
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self::new()
    }
}
