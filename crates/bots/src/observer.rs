//! Who looks on while bots play: progress lines, the demo's picture, tests.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use rejoin_protocol::PlayerId;
use rejoin_protocol::message::SeatChange;

use crate::measure::Percentiles;
use crate::recovery::{Newest, RecoveryCounts};
use crate::report::{Failure, Inputs, ResumeCounts, Snapshots, Traffic};

/// Looks on. Called in the thread that asked for the run. Bots play on meanwhile, but the parts of a run
/// end no sooner than it returns, so it must not block.
pub trait Observer {
    /// How often to be called.
    fn interval(&self) -> Duration;

    /// Which room to show in [`Progress::glimpse`].
    fn room(&self) -> usize {
        0
    }

    /// Asked after each look: whose network to take away for a while. It is one player of the room.
    fn cut_off(&mut self) -> Option<CutOff> {
        None
    }

    /// Takes the state of the run; says whether to go on.
    fn observe(&mut self, progress: &Progress) -> Control;
}

/// A player's network is to be gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CutOff {
    /// In which of the run's rooms.
    pub room: usize,
    /// For how long.
    pub span: Duration,
}

/// Whether a run goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// As planned.
    Continue,
    /// Stop playing now; what was played is still checked.
    Stop,
}

/// Which part of a run it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Bots join.
    Joining,
    /// Bots play.
    Playing,
    /// Bots have stopped and wait until everything they sent is applied.
    Settling,
    /// Bots give their seats back.
    Leaving,
}

/// A run as it stands. Counts are since its start.
#[derive(Clone, Debug)]
pub struct Progress {
    /// Where in the run it is.
    pub stage: Stage,
    /// Time since this part began.
    pub in_stage: Duration,
    /// Bots with a seat now, or a session if they take none.
    pub playing: usize,
    /// Those of them that have no connection and are on their way back.
    pub away: usize,
    /// Ways back so far.
    pub resumes: ResumeCounts,
    /// What became of rooms in later processes of their server.
    pub recovery: RecoveryCounts,
    /// The newest process of the server of which bots saw something.
    pub newest: Newest,
    /// See [`Resumes::pause`](crate::Resumes), of the whole run.
    pub pause: Percentiles,
    /// Bots that failed.
    pub failed: usize,
    /// Failures in all.
    pub failures_total: u64,
    /// The failure that came last.
    pub newest_failure: Option<Failure>,
    /// Rooms with at least one bot.
    pub rooms: usize,
    /// Inputs.
    pub inputs: Inputs,
    /// Snapshots.
    pub snapshots: Snapshots,
    /// Datagrams and bytes.
    pub traffic: Traffic,
    /// Round trips that ended in the last second.
    pub rtt: Percentiles,
    /// Inputs that were seen in the last second to be applied.
    pub input: Percentiles,
    /// How late bots acted in the last second.
    pub lateness: Percentiles,
    /// The room that [`Observer::room`] names.
    pub glimpse: Option<Glimpse>,
}

/// One room as its members see it.
#[derive(Clone, Debug)]
pub struct Glimpse {
    /// Which of the run's rooms.
    pub room: usize,
    /// Steps of its clock.
    pub tick: u64,
    /// Its encoded view.
    pub view: Bytes,
    /// Members who are not all there, as the others are told.
    pub absent: BTreeMap<PlayerId, SeatChange>,
}

/// Nobody looks on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn interval(&self) -> Duration {
        Duration::from_secs(3_600)
    }

    fn observe(&mut self, _progress: &Progress) -> Control {
        Control::Continue
    }
}
