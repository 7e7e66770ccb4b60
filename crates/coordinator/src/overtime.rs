//! Room logic that takes too long: it is counted and named. The clock of its room slows down, see
//! [`Brake`](crate::rooms::brake::Brake).

use std::time::Duration;

use rejoin_protocol::Timestamp;
use tracing::warn;

use crate::house::House;
use crate::keys::RoomKey;
use crate::rooms::entry::Entry;

/// What room logic was called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Calling {
    /// What has this name.
    Other(&'static str),
    /// A tick, which its clock makes.
    Tick,
    /// What the members see after it.
    View,
}

impl Calling {
    /// What an entry of the journal asks for.
    pub(crate) const fn of(entry: &Entry) -> Self {
        match entry {
            Entry::Open(_) => Self::Other("open"),
            Entry::Admit { .. } => Self::Other("admit"),
            Entry::Seat { .. } => Self::Other("seat"),
            Entry::Input { .. } | Entry::Void { .. } => Self::Other("input"),
            Entry::Tick => Self::Tick,
            Entry::Timers => Self::Other("timers"),
            Entry::Restored { .. } => Self::Other("resumed"),
            Entry::Ahead { .. } => Self::Other("ahead"),
            Entry::Asleep(_) => Self::Other("asleep"),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Other(name) => name,
            Self::Tick => "tick",
            Self::View => "view",
        }
    }
}

impl House {
    /// Room logic came back.
    pub(crate) fn on_called(
        &mut self,
        key: RoomKey,
        what: Calling,
        took: Duration,
        now: Timestamp,
    ) {
        let Some(room) = self.rooms.get_mut(key) else {
            return;
        };
        if what == Calling::Tick || what == Calling::View {
            room.clock.on_worked(took);
        }
        if took <= self.config.call_budget {
            return;
        }
        self.stats.calls_over_budget += 1;
        if let Some(left_out) = self.overtime_lines.line(now) {
            let (kind, call) = (room.kind.name, what.name());
            warn!(room = %room.id, kind, call, ?took, left_out, "room logic went over its budget");
        }
    }
}
