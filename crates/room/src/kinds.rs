//! The kinds of rooms a server knows: how a name on the wire becomes a running room.

use std::collections::BTreeMap;
use std::time::Duration;

use rejoin_protocol::limits::{KIND_MAX, ROOM_MEMBERS_MAX};

use crate::durability::Durability;
use crate::effect::Effect;
use crate::fault::RoomFault;
use crate::hosted::{Hosted, RoomInstance};
use crate::room::Room;
use crate::spec::RoomSpec;

/// Fastest clock of a room: twice the fastest shooters, and still 8 ms for a turn.
const TICK_HZ_MAX: u32 = 128;

type Opened = Result<Box<dyn RoomInstance>, RoomFault>;

/// One kind of room: its constants, and how to make or restore a room of it.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// [`Room::KIND`].
    pub name: &'static str,
    /// [`Room::VERSION`].
    pub version: u32,
    /// [`Room::TICK_HZ`].
    pub tick_hz: u32,
    /// [`Room::MEMBERS_MAX`].
    pub members_max: u16,
    /// [`Room::DURABILITY`], or what the server says instead.
    pub durability: Durability,
    /// [`Room::HIBERNATE_FOR`].
    pub hibernate_for: Duration,
    open: fn(&RoomSpec, [u8; 32], &mut Vec<Effect>) -> Opened,
    restore: fn(&[u8]) -> Opened,
}

impl Kind {
    /// The kind that `R` implements.
    ///
    /// # Panics
    /// If a constant of `R` is out of its bounds.
    #[must_use]
    pub fn of<R: Room>() -> Self {
        let name = R::KIND;
        assert!(
            (1..=KIND_MAX).contains(&name.len()),
            "KIND of a room has 1 to {KIND_MAX} bytes: {name:?}"
        );
        assert!(
            R::TICK_HZ <= TICK_HZ_MAX,
            "TICK_HZ of {name} is at most {TICK_HZ_MAX}"
        );
        assert!(
            (1..=ROOM_MEMBERS_MAX).contains(&R::MEMBERS_MAX),
            "MEMBERS_MAX of {name} is 1 to {ROOM_MEMBERS_MAX}"
        );
        Self {
            name,
            version: R::VERSION,
            tick_hz: R::TICK_HZ,
            members_max: R::MEMBERS_MAX,
            durability: R::DURABILITY,
            hibernate_for: R::HIBERNATE_FOR,
            open: |spec, seed, effects| Ok(Box::new(Hosted::<R>::open(spec, seed, effects)?)),
            restore: |checkpoint| Ok(Box::new(Hosted::<R>::restore(checkpoint)?)),
        }
    }

    /// Opens a room. `seed` feeds its chance.
    ///
    /// # Errors
    /// Logic panicked.
    pub fn open(
        &self,
        spec: &RoomSpec,
        seed: [u8; 32],
        effects: &mut Vec<Effect>,
    ) -> Result<Box<dyn RoomInstance>, RoomFault> {
        (self.open)(spec, seed, effects)
    }

    /// Restores what [`RoomInstance::checkpoint`] wrote.
    ///
    /// # Errors
    /// The bytes are not a checkpoint of this kind.
    pub fn restore(&self, checkpoint: &[u8]) -> Result<Box<dyn RoomInstance>, RoomFault> {
        (self.restore)(checkpoint)
    }
}

impl From<Kind> for Kinds {
    /// That one alone.
    fn from(kind: Kind) -> Self {
        Self {
            by_name: BTreeMap::from([(kind.name, kind)]),
        }
    }
}

/// All kinds of a server, by name.
#[derive(Clone, Debug, Default)]
pub struct Kinds {
    by_name: BTreeMap<&'static str, Kind>,
}

impl Kinds {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `R`.
    ///
    /// # Panics
    /// If another room of the same name was added, or a constant of `R` is out of its bounds.
    #[must_use]
    pub fn with<R: Room>(mut self) -> Self {
        let kind = Kind::of::<R>();
        let before = self.by_name.insert(kind.name, kind);
        assert!(before.is_none(), "two rooms are both named {}", kind.name);
        self
    }

    /// The same kinds, all of them kept as `durability` says.
    #[must_use]
    pub fn kept_as(mut self, durability: Durability) -> Self {
        for kind in self.by_name.values_mut() {
            kind.durability = durability;
        }
        self
    }

    /// The kind of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Kind> {
        self.by_name.get(name)
    }

    /// All names, in order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.by_name.keys().copied()
    }
}
