//! What can be measured.

use std::process::Command;

use crate::players::{Players, Target};
use crate::workload::{SHAPES, STILL};

/// A server that can be measured, and players for it.
#[derive(Debug)]
pub struct Subject {
    /// What `--servers` calls it.
    pub name: &'static str,
    pub about: &'static str,
    /// How it is started. It says `listening on ADDRESS` on its standard output, in one line, and ends once its standard
    /// input does.
    pub command: fn(Size) -> Command,
    /// Players for a server of this size, none of whom has begun.
    pub players: fn(Target, Size) -> Box<dyn Players>,
    /// It has rooms, which show their members a state. One without is only asked for echoes.
    pub has_rooms: bool,
}

/// What a server is started for.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub players: usize,
    /// Which of the workload's shapes its rooms have; `None`: the players take no seats.
    pub shape: Option<usize>,
}

impl Size {
    /// Seats of each of its rooms.
    #[must_use]
    pub fn members(self) -> usize {
        SHAPES[self.shape.unwrap_or(STILL)].members
    }

    /// So that all players have a seat.
    #[must_use]
    pub fn rooms(self) -> usize {
        self.players.div_ceil(self.members())
    }
}
