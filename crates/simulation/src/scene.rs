//! What all parts of a run share: its options, its chance, its records, the moment.

use rejoin_protocol::{Rng, RoomId, Timestamp};

use crate::machine::Machine;
use crate::model::{Hearings, Lives, Loads, Rooms, Sessions, Tickets};
use crate::operator::Operator;
use crate::options::Options;
use crate::records::RoomRecords;
use crate::report::Counters;
use crate::trace::Trace;

/// See the module page.
pub(crate) struct Scene {
    pub(crate) options: Options,
    /// Decides what players do. The network and the product have their own.
    pub(crate) chance: Rng,
    pub(crate) trace: Trace,
    pub(crate) counters: Counters,
    pub(crate) rooms: Rooms,
    pub(crate) lives: Lives,
    pub(crate) hearings: Hearings,
    pub(crate) loads: Loads,
    pub(crate) sessions: Sessions,
    pub(crate) tickets: Tickets,
    pub(crate) operator: Operator,
    pub(crate) machine: Machine,
    pub(crate) records: RoomRecords,
    pub(crate) phase: Phase,
    /// When the faults ended.
    pub(crate) healed_at: Timestamp,
    pub(crate) now: Timestamp,
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Players play and things break.
    Faults,
    /// Nothing breaks any more and nobody sends; wounds heal.
    Healing,
    /// The server stops.
    Stopping,
}

/// Seats of each room: enough for every player of a run.
pub(crate) const MEMBERS_MAX: u16 = 64;

impl Scene {
    /// True if it still stands what that process told of how far a room has come.
    pub(crate) fn holds(&self, process: u64, room: RoomId) -> bool {
        !self.operator.has_lost_since(process) || self.lives.is_firm(room)
    }
}
