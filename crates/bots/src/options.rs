//! What a run of bots is told when it starts.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use rejoin_client::Credentials;
use rejoin_protocol::crypto::PublicKey;
use rejoin_protocol::limits::SEAT_HOLD;

use crate::impairment::Impairment;
use crate::pauses::LOOKED_FOR;
use crate::silences::Silence;
use crate::wallet::Wallet;

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

/// What the bots of a run do once they are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Conduct {
    /// They take a seat and play.
    Play,
    /// They hold a session and take no seat.
    Idle,
}

impl fmt::Display for Conduct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Play => "play",
            Self::Idle => "idle",
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
    /// What they do. Default play.
    pub conduct: Conduct,
    /// How inputs travel. Default reliable.
    pub mode: Mode,
    /// Inputs per second of each bot. Default 30.
    pub input_hz: u32,
    /// How long they play once all have joined. Default 10 s.
    pub play_for: Duration,
    /// Joins per second, at planned times; `None`: as fast as the server takes them, a few at a time.
    pub ramp_hz: Option<u32>,
    /// Threads that they are spread over, 1 to 64 and no more than bots; `None`: as many as the machine has
    /// cores, at most 8 and at most one per 64 bots. What bots do is the same in any number of threads.
    pub threads: Option<usize>,
    /// The latest that the 99th percentile of planned acts may be, else the run is not valid.
    /// Default [`Options::LATENESS_MAX`].
    pub lateness_max: Duration,
    /// Seeds what bots do. Who they are is drawn from the operating system, so that a second run
    /// does not meet the players of the first.
    pub seed: u64,
    /// Permits, one for each bot at least; empty: development permits.
    pub credentials: Vec<Credentials>,
    /// How often each bot's address changes while it plays, staggered over all; `None`: never.
    pub rebind_every: Option<Duration>,
    /// How often and how long each bot is out of reach while it plays; `None`: never.
    pub silence: Option<Silence>,
    /// For how long a bot that lost its connection tries to come back; zero: it fails at once. Default 120 s.
    pub resume_for: Duration,
    /// How often each bot's client is killed and started again from its ticket while it plays, staggered over
    /// all; `None`: never.
    pub client_crash_every: Option<Duration>,
    /// Where bots keep their tickets, a file for each; `None`: in memory.
    pub ticket_dir: Option<PathBuf>,
    /// What members see of each room is kept, 40 bytes a view, to be compared with a replay. Default no.
    pub keep_marks: bool,
    /// The network between bots and server; `None`: as it is.
    pub net: Option<Impairment>,
}

impl Options {
    /// A healthy server answers all but one in a hundred within 10 ms. Bots that act later than that
    /// could not tell it from a slow one, since all they tell counts from the planned time.
    pub const LATENESS_MAX: Duration = Duration::from_millis(10);

    /// How long a bot plays on after a rebind, whose longest pause is looked for, or after a silence.
    pub const PLAYED_AFTER: Duration = LOOKED_FOR;
    /// How long a bot plays on after its client was killed: longer than it should need to be back.
    pub const PLAYED_AFTER_CRASH: Duration = Duration::from_secs(1);

    /// The defaults, towards this server.
    #[must_use]
    pub const fn new(server: SocketAddr, server_key: PublicKey) -> Self {
        Self {
            server,
            server_key,
            bots: 16,
            rooms: 1,
            conduct: Conduct::Play,
            mode: Mode::Reliable,
            input_hz: 30,
            play_for: Duration::from_secs(10),
            ramp_hz: None,
            threads: None,
            lateness_max: Self::LATENESS_MAX,
            seed: 1,
            credentials: Vec::new(),
            rebind_every: None,
            silence: None,
            resume_for: SEAT_HOLD,
            client_crash_every: None,
            ticket_dir: None,
            keep_marks: false,
            net: None,
        }
    }

    /// Rooms that bots are spread over: those that have one, and one for all who sit in none.
    pub(crate) const fn rooms_of_bots(&self) -> usize {
        let wanted = match self.conduct {
            Conduct::Play => self.rooms,
            Conduct::Idle => 1,
        };
        let most = if self.bots > 1 { self.bots } else { 1 };
        match wanted {
            0 => 1,
            wanted if wanted > most => most,
            wanted => wanted,
        }
    }

    pub(crate) fn wallet(&self) -> Wallet<'_> {
        Wallet {
            folder: self.ticket_dir.as_deref(),
            server: self.server_key,
        }
    }

    /// Seats each room needs.
    #[must_use]
    pub fn bots_per_room(&self) -> usize {
        self.bots.div_ceil(self.rooms.max(1))
    }
}
