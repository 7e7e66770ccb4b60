//! A room without sockets, in virtual time: for a game's own tests.
//!
//! [`TestRoom`] stands where a server would: it makes the calls, carries out their effects and
//! keeps a journal, so that it can lose the room and rebuild it. Tests of games call it; the
//! product itself never does.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use rejoin_protocol::limits::{MESSAGEPACK_DEPTH_MAX, RELIABLE_MAX};
use rejoin_protocol::message::{RoomSettings, SeatChange};
use rejoin_protocol::messagepack::{self, Bounds};
use rejoin_protocol::{PlayerId, Refusal, RefusalCode, RequestId, RoomId};
use serde::de::DeserializeOwned;

use crate::call::{Call, Outcome};
use crate::compare::{views, written};
use crate::effect::{Audience, Effect};
use crate::hosted::{Hosted, RoomInstance};
use crate::replay::{History, Recorded, SEED, held};
use crate::room::Room;
use crate::spec::RoomSpec;

/// Drives one room. Every method that acts returns `&mut Self`, so calls chain.
///
/// Players are named by index, in the order they joined, refused ones included: index 0 is
/// "player 1" with `PlayerId(1)`. A room whose logic fails fails the test, and so does one whose
/// views or state have grown longer than a server would show or keep: both are looked at after each
/// method that acts.
///
/// ```
/// use std::borrow::Cow;
/// use std::collections::BTreeMap;
///
/// use rejoin_room::{Cx, PlayerId, Room, RoomSpec, TestRoom};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Default, Serialize, Deserialize)]
/// struct Score {
///     points: BTreeMap<PlayerId, u32>,
/// }
///
/// #[derive(Serialize, Deserialize)]
/// struct Hit {
///     points: u32,
/// }
///
/// struct Duel;
///
/// impl Room for Duel {
///     const KIND: &'static str = "duel";
///     type State = Score;
///     type Input = Hit;
///     type View = Score;
///     type Event = ();
///
///     fn open(_spec: &RoomSpec, _cx: &mut Cx<Self>) -> Score {
///         Score::default()
///     }
///
///     fn input(state: &mut Score, from: PlayerId, hit: Hit, _cx: &mut Cx<Self>) {
///         *state.points.entry(from).or_default() += hit.points;
///     }
///
///     fn view(state: &Score) -> Cow<'_, Score> {
///         Cow::Borrowed(state)
///     }
/// }
///
/// let mut room = TestRoom::<Duel>::new();
/// room.join(2).input(0, Hit { points: 3 }).input(1, Hit { points: 1 });
/// room.crash_and_recover().input(0, Hit { points: 4 });
/// assert_eq!(room.view().points, BTreeMap::from([(PlayerId(1), 7), (PlayerId(2), 1)]));
/// ```
pub struct TestRoom<R: Room> {
    room: Hosted<R>,
    now: Duration,
    /// Before this, no timer fires again: a server's turn takes a while too.
    turn_after: Duration,
    history: History,
    joined: u64,
    events: BTreeMap<PlayerId, VecDeque<Bytes>>,
    refusal: Option<Refusal>,
    closed: Option<String>,
}

/// Time between two firings of timers: the shortest turn of a server.
const TURN: Duration = Duration::from_millis(1);

/// What a client accepts as a view or an event. Its length bounds its values.
const SHOWN: Bounds = Bounds {
    depth: MESSAGEPACK_DEPTH_MAX,
    items: RELIABLE_MAX,
    ..Bounds::PEER
};

impl<R: Room> TestRoom<R> {
    /// A room that was asked for without any wishes.
    #[must_use]
    pub fn new() -> Self {
        Self::with_settings(RoomSettings::default())
    }

    /// A room that was asked for with `settings`. Its owner is `PlayerId(1)`.
    ///
    /// # Panics
    /// If logic fails.
    #[must_use]
    pub fn with_settings(settings: RoomSettings) -> Self {
        let room = RoomId::of(R::KIND, RequestId([0; 16]));
        let spec = RoomSpec {
            room,
            owner: PlayerId(1),
            settings,
            code: None,
        };
        let mut effects = Vec::new();
        let room = held(Hosted::open(&spec, SEED, &mut effects));
        let history = History::new(spec, effects.clone());
        let mut test = Self {
            room,
            now: Duration::ZERO,
            turn_after: Duration::ZERO,
            history,
            joined: 0,
            events: BTreeMap::new(),
            refusal: None,
            closed: None,
        };
        test.carry_out(effects);
        test.check_sizes();
        test
    }

    /// The next `count` players ask to enter.
    pub fn join(&mut self, count: usize) -> &mut Self {
        for _ in 0..count {
            let name = format!("player {}", self.joined + 1);
            self.join_as(&name);
        }
        self
    }

    /// The next player asks to enter under `name`.
    pub fn join_as(&mut self, name: &str) -> &mut Self {
        self.join_with(name, &[])
    }

    /// The next player asks to enter under `name`, with a permit's `claims`.
    pub fn join_with(&mut self, name: &str, claims: &[u8]) -> &mut Self {
        self.joined += 1;
        self.act(Call::Admit {
            player: PlayerId(self.joined),
            name: name.to_owned(),
            claims: claims.to_owned(),
        })
    }

    /// The player acts.
    ///
    /// # Panics
    /// If the input cannot be encoded, or logic fails.
    pub fn input(&mut self, index: usize, input: R::Input) -> &mut Self {
        let encoded = messagepack::encode(&input);
        let payload = encoded.unwrap_or_else(|error| panic!("the input of {}: {error}", R::KIND));
        self.act(Call::Input {
            player: player(index),
            payload: payload.into(),
        })
    }

    /// The player acts by an unreliable input. To the room it is one like any other.
    ///
    /// # Panics
    /// As [`TestRoom::input`].
    pub fn latest(&mut self, index: usize, input: R::Input) -> &mut Self {
        self.input(index, input)
    }

    /// The player leaves for good.
    pub fn leave(&mut self, index: usize) -> &mut Self {
        self.seat(index, SeatChange::Left)
    }

    /// The player loads and said so.
    pub fn loading(&mut self, index: usize) -> &mut Self {
        self.seat(index, SeatChange::Loading)
    }

    /// The player's link gets bad.
    pub fn suspect(&mut self, index: usize) -> &mut Self {
        self.seat(index, SeatChange::Suspect)
    }

    /// The player is gone; the seat is held.
    pub fn detach(&mut self, index: usize) -> &mut Self {
        self.seat(index, SeatChange::Detached)
    }

    /// The player is back.
    pub fn returns(&mut self, index: usize) -> &mut Self {
        self.seat(index, SeatChange::Returned)
    }

    /// The next `count` steps of the room's clock, and the timers due before each. In a room
    /// without a clock ([`Room::TICK_HZ`] is 0) nothing happens.
    pub fn ticks(&mut self, count: u64) -> &mut Self {
        for _ in 0..count {
            let Some(due) = self.next_tick() else { break };
            self.run_until(due);
        }
        self
    }

    /// Time passes: steps of the clock and timers that are due come in order.
    pub fn advance(&mut self, span: Duration) -> &mut Self {
        let end = self.now.saturating_add(span);
        self.run_until(end);
        self
    }

    /// Stores a checkpoint: the next recovery starts from here.
    ///
    /// # Panics
    /// If the state cannot be encoded.
    pub fn checkpoint(&mut self) -> &mut Self {
        self.history.start_from(held(written(&self.room)));
        self
    }

    /// Loses the room and rebuilds it as a server would: the newest checkpoint, then every call
    /// since, again.
    ///
    /// # Panics
    /// If the rebuilt room is not the one that was lost: its logic depends on more than state,
    /// calls and `cx`, or its state does not survive being written and read. The text names the
    /// kind, the tick and the first field that differs.
    pub fn crash_and_recover(&mut self) -> &mut Self {
        // Whatever the state keeps without writing it is gone from the room that goes on, as
        // after a real crash; the next recovery replays from further back and will tell.
        self.room = self.history.recover(&self.room);
        self
    }

    /// What all members see, as a client decodes it.
    ///
    /// # Panics
    /// If the view does not survive being encoded, or logic fails.
    #[must_use]
    pub fn view(&self) -> R::View {
        let mut out = Vec::new();
        held(self.room.view(&mut out));
        decoded::<R, _>("view", &out)
    }

    /// What only this player sees, if anything.
    ///
    /// # Panics
    /// As [`TestRoom::view`].
    #[must_use]
    pub fn private(&self, index: usize) -> Option<R::View> {
        let mut out = Vec::new();
        let any = held(self.room.private_view(player(index), &mut out));
        any.then(|| decoded::<R, _>("private view", &out))
    }

    /// The state.
    #[must_use]
    pub const fn state(&self) -> &R::State {
        self.room.state()
    }

    /// The events this player got since the last asking.
    ///
    /// # Panics
    /// If an event does not survive being encoded.
    pub fn events(&mut self, index: usize) -> Vec<R::Event> {
        let events = self.events.remove(&player(index)).unwrap_or_default();
        events
            .iter()
            .map(|event| decoded::<R, _>("event", event))
            .collect()
    }

    /// The refusal of the last call, if it was refused.
    #[must_use]
    pub const fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_ref()
    }

    /// True once logic has closed the room. Every later call is refused.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.closed.is_some()
    }

    /// What a server sees of the room: its members, facts, clock and next timer.
    #[must_use]
    pub fn instance(&self) -> &dyn RoomInstance {
        &self.room
    }

    fn seat(&mut self, index: usize, change: SeatChange) -> &mut Self {
        self.act(Call::Seat {
            player: player(index),
            change,
        })
    }

    /// When the next step of the clock is due.
    fn next_tick(&self) -> Option<Duration> {
        let number = u128::from(self.room.tick()) + 1;
        let nanos = (number * 1_000_000_000).checked_div(R::TICK_HZ.into())?;
        Some(Duration::from_nanos(
            u64::try_from(nanos).unwrap_or(u64::MAX),
        ))
    }

    fn run_until(&mut self, end: Duration) {
        while self.closed.is_none() {
            let tick = self.next_tick().map(|due| (due, Call::Tick));
            let timers = self
                .room
                .next_timer()
                .map(|due| (due.max(self.turn_after), Call::Timers));
            // At the same moment timers come first: they were due before the step began.
            let next = timers.into_iter().chain(tick).min_by_key(|(due, _)| *due);
            let Some((due, call)) = next.filter(|(due, _)| *due <= end) else {
                break;
            };
            self.now = self.now.max(due);
            if call == Call::Timers {
                self.turn_after = self.now + TURN;
            }
            self.call(call);
        }
        self.now = self.now.max(end);
        self.check_sizes();
    }

    /// Makes one call, and what it led to must fit.
    fn act(&mut self, call: Call) -> &mut Self {
        self.call(call);
        self.check_sizes();
        self
    }

    /// Fails the test if a server could not show or keep the room as it is now.
    fn check_sizes(&self) {
        if self.closed.is_none() {
            held(views(&self.room));
            held(written(&self.room));
        }
    }

    /// Makes one call, journals it and carries out its effects.
    fn call(&mut self, call: Call) -> &mut Self {
        if let Some(word) = &self.closed {
            let text = format!("the room is closed: {word}");
            self.refusal = Some(Refusal::new(RefusalCode::UnknownRoom, text));
            return self;
        }
        let (outcome, effects) = self.apply(call);
        self.refusal = match outcome {
            Outcome::Done => None,
            Outcome::Refused(refusal) => Some(refusal),
        };
        self.carry_out(effects);
        self
    }

    /// Makes a call and journals it.
    fn apply(&mut self, call: Call) -> (Outcome, Vec<Effect>) {
        let mut effects = Vec::new();
        let outcome = held(self.room.apply(self.now, &call, &mut effects));
        self.history.record(Recorded {
            at: self.now,
            call,
            outcome: outcome.clone(),
            effects: effects.clone(),
        });
        (outcome, effects)
    }

    /// Does what a server does with effects, in its order: what a removal leads to comes after
    /// all that was asked for before. A removal takes a member away, so this ends.
    fn carry_out(&mut self, effects: Vec<Effect>) {
        let mut waiting = VecDeque::from(effects);
        while let Some(effect) = waiting.pop_front() {
            match effect {
                Effect::Event { to, payload, .. } => self.deliver(to, &payload),
                Effect::Remove { player, .. } => {
                    if self.room.members().contains_key(&player) {
                        let (_, more) = self.apply(Call::Seat {
                            player,
                            change: SeatChange::Left,
                        });
                        waiting.extend(more);
                    }
                }
                Effect::Close { word } => self.closed = Some(word),
                Effect::Metadata(_) => {}
            }
        }
    }

    fn deliver(&mut self, to: Audience, payload: &Bytes) {
        for player in self.room.members().keys() {
            if to == Audience::All || to == Audience::Player(*player) {
                self.events
                    .entry(*player)
                    .or_default()
                    .push_back(payload.clone());
            }
        }
    }
}

impl<R: Room> Default for TestRoom<R> {
    fn default() -> Self {
        Self::new()
    }
}

impl<R: Room> fmt::Debug for TestRoom<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestRoom")
            .field("room", &self.room)
            .field("now", &self.now)
            .field("history", &self.history)
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}

/// The player at `index`.
fn player(index: usize) -> PlayerId {
    PlayerId(
        u64::try_from(index)
            .expect("an index fits 64 bits")
            .saturating_add(1),
    )
}

fn decoded<R: Room, T: DeserializeOwned>(what: &str, bytes: &[u8]) -> T {
    messagepack::decode(bytes, SHOWN)
        .unwrap_or_else(|error| panic!("a client cannot read the {what} of {}: {error}", R::KIND))
}
