//! The trait that a game's room logic implements, and the context it is given.
//!
//! [`Room`] and [`Cx`] share this file because each names the other: methods of `Room` take a
//! `Cx<Self>`, and `Cx<R>` sends an `R::Event`. All that `Cx` does is typing; what it holds and
//! decides is in `context.rs`, which knows neither.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use rejoin_protocol::message::{Metadata, SeatChange};
use rejoin_protocol::{PlayerId, Refusal, Rng, messagepack};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::context::{Context, Seated};
use crate::durability::Durability;
use crate::effect::Audience;
use crate::spec::RoomSpec;

/// Room logic: what happens to the state when players act and time passes.
///
/// There is no `self`: all that survives is [`Room::State`], and all that logic may depend on
/// is the state, the call's arguments and `cx`. No clock, no chance but [`Cx::rng`], no global, and no
/// container whose order differs between runs (`HashMap`).
pub trait Room: Sized + Send + 'static {
    /// Name of this kind of room, 1 to 32 bytes; clients ask for it.
    const KIND: &'static str;
    /// Version of the state's format and of the logic.
    const VERSION: u32 = 1;
    /// Steps of the room's clock per second, at most 128; 0: event driven, [`Room::tick`] is never called.
    const TICK_HZ: u32 = 0;
    /// Most members if the creator does not say; at most 1,024.
    const MEMBERS_MAX: u16 = 16;
    /// What becomes of a room if its process, or the whole machine, fails. A server without a data folder keeps none.
    const DURABILITY: Durability = Durability::Exact;
    /// How long, by the wall clock, a room in which nobody is present is kept on the disk with all of its seats: it leaves
    /// memory once the server's `seat_hold` is over, and is taken up again when one of its members comes back, or somebody
    /// asks for it. Zero: as the server says, which by default gives up the seat of who does not come back in time. Nothing
    /// hibernates that is not durable.
    const HIBERNATE_FOR: Duration = Duration::ZERO;

    /// Everything that is checkpointed. Nothing else survives. At most 1 MiB as MessagePack; a room
    /// whose state is longer fails at its next checkpoint.
    type State: Serialize + DeserializeOwned + Send;
    /// What a player sends. At most 4,096 bytes as MessagePack; a longer one is an error to its
    /// sender and does not leave.
    type Input: Serialize + DeserializeOwned;
    /// What members see. At most 65,472 bytes as MessagePack; a room whose view is longer fails.
    type View: Serialize + DeserializeOwned + Clone;
    /// One-off messages from the room to players, of at most 65,504 bytes as MessagePack.
    type Event: Serialize + DeserializeOwned;

    /// Makes the first state.
    fn open(spec: &RoomSpec, cx: &mut Cx<Self>) -> Self::State;

    /// A player acts.
    fn input(state: &mut Self::State, from: PlayerId, input: Self::Input, cx: &mut Cx<Self>);

    /// What all members see.
    fn view(state: &Self::State) -> Cow<'_, Self::View>;

    /// Decides who may enter. The default admits everyone while there are seats.
    ///
    /// After a refusal the state, timers and chance stay as this call left them, but nothing it
    /// sent or asked for leaves the room.
    ///
    /// # Errors
    /// The refusal is told to the player.
    fn admit(
        _state: &mut Self::State,
        _applicant: &Applicant<'_>,
        _cx: &mut Cx<Self>,
    ) -> Result<(), Refusal> {
        Ok(())
    }

    /// Something happened to a seat. Called with `Joined` right after [`Room::admit`] agreed, and
    /// with `Left` while the player still is a member.
    fn seat(_state: &mut Self::State, _player: PlayerId, _change: SeatChange, _cx: &mut Cx<Self>) {}

    /// Another process than the one before has taken the room up, and tells what that cost. All seats are detached by
    /// now, and those that the room's members come back to will be told as returned.
    fn resumed(_state: &mut Self::State, _receipt: Receipt, _cx: &mut Cx<Self>) {}

    /// One step of the room's clock.
    fn tick(_state: &mut Self::State, _cx: &mut Cx<Self>) {}

    /// A timer set with [`Cx::after`] is due.
    fn timer(_state: &mut Self::State, _token: u64, _cx: &mut Cx<Self>) {}

    /// What only `player` sees, in place of the shared view. `None`: the shared view, which is
    /// encoded once for all.
    fn private(_state: &Self::State, _player: PlayerId) -> Option<Cow<'_, Self::View>> {
        None
    }

    /// Reads a state that an older version of this logic wrote.
    ///
    /// # Errors
    /// A sentence for the operator. The default can only read its own version.
    fn migrate(version: u32, _state: &[u8]) -> Result<Self::State, String> {
        Err(format!(
            "{} cannot read a state of version {version}",
            Self::KIND
        ))
    }
}

/// What a room is told that another process has taken up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// Some of what had happened may be lost: the room is as it was a moment before. Never so after the end of a process
    /// alone, if the room is kept as `exact` or `synced`.
    pub rolled_back: bool,
    /// The calls since the newest checkpoint were made again by another version of the logic, which may have made
    /// something else of them.
    pub rebuilt: bool,
}

impl Receipt {
    /// One that says so.
    #[must_use]
    pub const fn new(rolled_back: bool, rebuilt: bool) -> Self {
        Self {
            rolled_back,
            rebuilt,
        }
    }

    /// True if the room is what its members saw last, to the bit.
    #[must_use]
    pub const fn is_exact(self) -> bool {
        !self.rolled_back && !self.rebuilt
    }
}

/// Who asks for a seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Applicant<'a> {
    /// The player.
    pub player: PlayerId,
    /// The player's name, 1 to 32 bytes without control characters.
    pub name: &'a str,
    /// The claims of the player's permit, at most 128 bytes in the backend's own form: a team, a rank,
    /// an account. Empty under `dev` auth.
    pub claims: &'a [u8],
}

/// What room logic may use besides its state. All of it is checkpointed with the state.
pub struct Cx<R: Room> {
    context: Context,
    room: PhantomData<fn() -> R>,
}

impl<R: Room> Cx<R> {
    /// The typed face of `context`.
    pub(crate) const fn new(context: Context) -> Self {
        Self {
            context,
            room: PhantomData,
        }
    }

    /// What is behind the face.
    pub(crate) const fn context(&self) -> &Context {
        &self.context
    }

    /// What is behind the face, for its owner.
    pub(crate) const fn context_mut(&mut self) -> &mut Context {
        &mut self.context
    }

    /// The room's clock: time since it opened, outages not counted.
    #[must_use]
    pub const fn now(&self) -> Duration {
        self.context.now
    }

    /// Steps of the clock so far.
    #[must_use]
    pub const fn tick(&self) -> u64 {
        self.context.tick
    }

    /// The room's own chance.
    pub const fn rng(&mut self) -> &mut Rng {
        &mut self.context.rng
    }

    /// The members, by player.
    #[must_use]
    pub const fn members(&self) -> &BTreeMap<PlayerId, Seated> {
        &self.context.members
    }

    /// Calls [`Room::timer`] with `token` after `wait` of room time. At most 1,024 timers wait:
    /// one more fails the call. Setting a token again moves it.
    pub fn after(&mut self, wait: Duration, token: u64) {
        self.context.set_timer(wait, token);
    }

    /// Takes a timer back. True if it was waiting.
    pub fn cancel(&mut self, token: u64) -> bool {
        self.context.timers.cancel(token)
    }

    /// Sends an event to every member: reliable, in order, numbered.
    ///
    /// One call may send 4,096 events of at most 65,504 bytes each; more fails the call.
    pub fn send_all(&mut self, event: &R::Event) {
        self.context
            .send(Audience::All, messagepack::encode(event), false);
    }

    /// Sends an event to one member; nothing happens if the player has no seat.
    pub fn send(&mut self, player: PlayerId, event: &R::Event) {
        self.send_to(player, event, false);
    }

    /// As [`Cx::send`], but held until the call that causes it is on the medium: for a trade or a win.
    pub fn send_when_durable(&mut self, player: PlayerId, event: &R::Event) {
        self.send_to(player, event, true);
    }

    /// Takes a player's seat away after this call. A word of more than 256 bytes fails the call.
    pub fn remove(&mut self, player: PlayerId, word: impl Into<String>) {
        self.context.remove(player, word.into());
    }

    /// Closes the room after this call. A word of more than 256 bytes fails the call.
    pub fn close(&mut self, word: impl Into<String>) {
        self.context.close(word.into());
    }

    /// Changes what lists show of the room. More than 16 facts, or one over 64 bytes, fail the call.
    pub fn set_metadata(&mut self, metadata: Metadata) {
        self.context.set_metadata(metadata);
    }

    fn send_to(&mut self, player: PlayerId, event: &R::Event, when_durable: bool) {
        if self.context.members.contains_key(&player) {
            let encoded = messagepack::encode(event);
            self.context
                .send(Audience::Player(player), encoded, when_durable);
        }
    }
}

impl<R: Room> fmt::Debug for Cx<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cx").field(&self.context).finish()
    }
}
