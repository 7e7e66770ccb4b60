//! The behaviours a binary knows, by kind of room.

use std::collections::BTreeMap;

use rejoin_room::Room;

use crate::arena_bot::ArenaBot;
use crate::behaviour::Behaviour;
use crate::chat_bot::ChatBot;
use crate::fleet::{self, FleetError};
use crate::observer::Observer;
use crate::options::Options;
use crate::report::Report;

type Run = fn(&Options, &mut dyn Observer) -> Result<Report, FleetError>;

/// Behaviours by the kind of room they play.
#[derive(Clone, Debug, Default)]
pub struct Behaviours {
    by_kind: BTreeMap<&'static str, Run>,
}

impl Behaviours {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Those for the rooms that come with Rejoin.
    #[must_use]
    pub fn builtin() -> Self {
        Self::new().with::<ArenaBot>().with::<ChatBot>()
    }

    /// Adds `B`; it replaces one for the same kind of room.
    #[must_use]
    pub fn with<B: Behaviour>(mut self) -> Self {
        self.by_kind.insert(B::Room::KIND, fleet::run::<B>);
        self
    }

    /// All kinds there are bots for, in order.
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> {
        self.by_kind.keys().copied()
    }

    /// Checks that there are bots for `kind`.
    ///
    /// # Errors
    /// There are none.
    pub fn check(&self, kind: &str) -> Result<(), FleetError> {
        self.of_kind(kind).map(drop)
    }

    /// Plays a whole run in rooms of `kind`. See [`run`](crate::run).
    ///
    /// # Errors
    /// There are no bots for that kind, or the run could not start.
    pub fn run(
        &self,
        kind: &str,
        options: &Options,
        observer: &mut dyn Observer,
    ) -> Result<Report, FleetError> {
        self.of_kind(kind)?(options, observer)
    }

    fn of_kind(&self, kind: &str) -> Result<Run, FleetError> {
        self.by_kind
            .get(kind)
            .copied()
            .ok_or_else(|| FleetError::UnknownKind {
                kind: kind.to_owned(),
                known: self.kinds().collect::<Vec<_>>().join(", "),
            })
    }
}
