//! What a developer's binary adds to the command: own rooms and own bots.

use rejoin_bots::{Behaviour, Behaviours};
use rejoin_room::builtin::arena::Arena;
use rejoin_room::builtin::chat::Chat;
use rejoin_room::{Kinds, Room};

/// A server in the making: the kinds of rooms it runs and the bots that play in them.
///
/// It starts with the rooms that come with Rejoin, `arena` and `chat`. See [`serve`](crate::serve).
#[derive(Debug)]
pub struct App {
    kinds: Kinds,
    behaviours: Behaviours,
    own_kind: Option<&'static str>,
}

impl App {
    /// The rooms and bots that come with Rejoin.
    pub(crate) fn builtin() -> Self {
        Self {
            kinds: Kinds::new().with::<Arena>().with::<Chat>(),
            behaviours: Behaviours::builtin(),
            own_kind: None,
        }
    }

    /// Adds a kind of room.
    ///
    /// # Panics
    /// If another kind of the same name was added, or a constant of `R` is out of its bounds.
    #[must_use]
    pub fn room<R: Room>(mut self) -> Self {
        self.kinds = self.kinds.with::<R>();
        self.own_kind.get_or_insert(R::KIND);
        self
    }

    /// Adds bots that can play one kind of room: `bots --kind` finds them by that kind.
    #[must_use]
    pub fn bots<B: Behaviour>(mut self) -> Self {
        self.behaviours = self.behaviours.with::<B>();
        self
    }

    /// What the server runs.
    pub(crate) fn kinds(&self) -> &Kinds {
        &self.kinds
    }

    /// Who can play.
    pub(crate) fn behaviours(&self) -> &Behaviours {
        &self.behaviours
    }

    /// What bots play if nothing is said: the first own room, else the arena.
    pub(crate) fn default_kind(&self) -> &'static str {
        self.own_kind.unwrap_or(Arena::KIND)
    }
}
