//! What a run of bots is told when it starts.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use rejoin_client::Credentials;
use rejoin_protocol::crypto::PublicKey;

use crate::impairment::Impairment;

/// How the bots of a run send their inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Unreliable, the newest wins.
    Latest,
    /// In order, exactly once.
    Reliable,
}

/// Text that names no mode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither latest nor reliable")]
pub struct ModeError(pub String);

impl FromStr for Mode {
    type Err = ModeError;

    fn from_str(text: &str) -> Result<Self, ModeError> {
        match text {
            "latest" => Ok(Self::Latest),
            "reliable" => Ok(Self::Reliable),
            other => Err(ModeError(other.to_owned())),
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Latest => "latest",
            Self::Reliable => "reliable",
        })
    }
}

/// How many bots play where, how and how long.
#[derive(Clone, Debug)]
pub struct Options {
    /// The server.
    pub server: SocketAddr,
    /// Its key.
    pub server_key: PublicKey,
    /// Players in all. Default 16.
    pub bots: usize,
    /// Rooms they are spread over; bot `i` plays in room `i` modulo this. Default 1.
    pub rooms: usize,
    /// How inputs travel. Default reliable.
    pub mode: Mode,
    /// Inputs per second of each bot. Default 30.
    pub input_hz: u32,
    /// How long they play once all have joined. Default 10 s.
    pub play_for: Duration,
    /// Seeds what bots do. Who they are is drawn from the operating system, so that a second run
    /// does not meet the players of the first.
    pub seed: u64,
    /// Permits, one for each bot at least; empty: development permits.
    pub credentials: Vec<Credentials>,
    /// The network between bots and server; `None`: as it is.
    pub net: Option<Impairment>,
}

impl Options {
    /// The defaults, towards this server.
    #[must_use]
    pub const fn new(server: SocketAddr, server_key: PublicKey) -> Self {
        Self {
            server,
            server_key,
            bots: 16,
            rooms: 1,
            mode: Mode::Reliable,
            input_hz: 30,
            play_for: Duration::from_secs(10),
            seed: 1,
            credentials: Vec::new(),
            net: None,
        }
    }

    /// Seats each room needs.
    #[must_use]
    pub fn bots_per_room(&self) -> usize {
        self.bots.div_ceil(self.rooms.max(1))
    }
}
