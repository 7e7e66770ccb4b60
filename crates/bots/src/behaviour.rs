//! What a developer writes to make bots for an own room.

use rejoin_protocol::PlayerId;
use rejoin_room::Room;

use crate::bot_cx::BotCx;

/// How a bot plays one kind of room.
///
/// Only [`Behaviour::step`] is needed. The others watch what the room shows, and fail the run if it
/// is wrong. Each bot has one of its own, which is made, called and dropped in one thread; other bots of
/// the run, even members of the same room, may be in others.
pub trait Behaviour: Default + 'static {
    /// The room it plays in.
    type Room: Room;

    /// Plays: called once per input interval, at planned times that do not wait for answers.
    fn step(&mut self, bot: &mut BotCx<'_, Self::Room>);

    /// Watches: a newer view came. `before` is the one the bot saw last.
    ///
    /// # Errors
    /// A sentence about what is wrong. It fails the run.
    fn view(
        &mut self,
        _before: Option<&<Self::Room as Room>::View>,
        _now: &<Self::Room as Room>::View,
    ) -> Result<(), String> {
        Ok(())
    }

    /// Watches: the room sent an event.
    ///
    /// # Errors
    /// As [`Behaviour::view`].
    fn event(&mut self, _event: <Self::Room as Room>::Event) -> Result<(), String> {
        Ok(())
    }

    /// [`BotCx::number`] of the newest own *latest* input that `view` shows, 0 before the first, if
    /// rooms show such a thing. The run measures their latency by it. After the end of play the
    /// newest one is sent again until the room shows it, so a repeated one must change nothing.
    #[must_use]
    fn shown(_player: PlayerId, _view: &<Self::Room as Room>::View) -> Option<u64> {
        None
    }

    /// How many reliable inputs of this player the room of `view` has applied, if rooms show such a
    /// thing. The run counts lost and doubled ones by it.
    #[must_use]
    fn applied(_player: PlayerId, _view: &<Self::Room as Room>::View) -> Option<u64> {
        None
    }

    /// The bot's client was killed, and another has taken its seat. Of the reliable inputs that
    /// [`BotCx::send`] took, counted from the first on and without those that died in the same way before,
    /// the room has applied `applied`. Those after them will never be.
    fn relaunched(&mut self, _applied: u64) {}

    /// Judges the newest view, which has all reliable inputs applied. After the end of play it is
    /// asked until it holds, a few seconds at most: events may come later than views.
    ///
    /// # Errors
    /// As [`Behaviour::view`].
    fn check(&self, _player: PlayerId, _view: &<Self::Room as Room>::View) -> Result<(), String> {
        Ok(())
    }
}
