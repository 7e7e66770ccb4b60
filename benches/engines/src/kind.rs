//! Which engines there are, by the names that the command takes.

use std::path::Path;

use rejoin_protocol::RoomId;

use crate::engine::{Engine, Failure, Job, Outcome, State, Syncs, Turn};

/// The engines by name, in the order of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Floor,
    Rejoin,
    RaftEngine,
    Fjall,
    Redb,
    RedbImmediate,
}

impl Kind {
    pub(crate) const ALL: [Self; 6] = [
        Self::Floor,
        Self::Rejoin,
        Self::RaftEngine,
        Self::Fjall,
        Self::Redb,
        Self::RedbImmediate,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Rejoin => "rejoin",
            Self::RaftEngine => "raft-engine",
            Self::Fjall => "fjall",
            Self::Redb => "redb",
            Self::RedbImmediate => "redb-immediate",
        }
    }

    pub(crate) fn from_name(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == name);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("no engine `{name}`: {names}")
        })
    }

    /// Opens it in a folder, for the first time or again.
    pub(crate) fn open(self, folder: &Path, syncs: Syncs) -> Result<Box<dyn Engine>, Failure> {
        std::fs::create_dir_all(folder)?;
        Ok(match self {
            Self::Floor => Box::new(Floor),
            Self::Rejoin => Box::new(crate::own::Own::open(folder, syncs)?),
            Self::RaftEngine => Box::new(crate::raft::Raft::open(folder)?),
            Self::Fjall => Box::new(crate::lsm::Lsm::open(folder)?),
            Self::Redb => Box::new(crate::tree::Tree::open(
                folder,
                crate::tree::Commits::Grouped,
            )?),
            Self::RedbImmediate => Box::new(crate::tree::Tree::open(
                folder,
                crate::tree::Commits::Immediate,
            )?),
        })
    }

    /// Whether a turn that returned is promised to outlive the process, with nothing synced.
    pub(crate) const fn outlives_kills(self) -> bool {
        !matches!(self, Self::Floor | Self::Redb)
    }

    /// The floor keeps nothing, so that there is nothing to read.
    pub(crate) const fn keeps(self) -> bool {
        !matches!(self, Self::Floor)
    }
}

/// What the runner itself takes: the least that any figure can be.
struct Floor;

impl Engine for Floor {
    fn turn(&mut self, turn: &Turn<'_>) -> Result<(), Failure> {
        std::hint::black_box((turn.records, turn.checkpoints));
        Ok(())
    }

    fn upkeep(&mut self, _syncs: Syncs) -> Option<Job> {
        Some(Box::new(|| Outcome::Synced(Ok(()))))
    }

    fn load(&self, _room: RoomId) -> Result<Option<State>, Failure> {
        Ok(None)
    }

    fn close(self: Box<Self>) -> Result<(), Failure> {
        Ok(())
    }
}
