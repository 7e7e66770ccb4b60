//! A room's logic, state and context behind one object-safe face, for hosts of any kind of room.
//!
//! The coordinator holds rooms as `dyn RoomInstance`; [`TestRoom`](crate::TestRoom) holds a
//! `Hosted` itself. Whatever logic does, a panic included, comes out as a value. When calls are
//! made, journalled and repeated is the host's matter.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use rejoin_protocol::limits::{INPUT_MAX, REFUSAL_TEXT_MAX, STATE_MAX, VIEW_MAX};
use rejoin_protocol::message::{Metadata, SeatChange};
use rejoin_protocol::messagepack::{self, Bounds};
use rejoin_protocol::text::cut;
use rejoin_protocol::{PlayerId, Refusal, RefusalCode, Rng, SizeError};
use serde::Serialize;

use crate::call::{Call, Outcome};
use crate::checkpoint::{self, Envelope};
use crate::context::{Context, Misuse, Seated, members_max};
use crate::effect::Effect;
use crate::fault::RoomFault;
use crate::room::{Applicant, Cx, Receipt, Room};
use crate::spec::RoomSpec;

/// A running room of any kind.
pub trait RoomInstance: fmt::Debug + Send {
    /// Applies one call at room time `at` (never less than the time of the call before), and
    /// appends what it wants to happen outside to `effects`.
    ///
    /// # Errors
    /// After an error the instance must be thrown away and rebuilt.
    fn apply(
        &mut self,
        at: Duration,
        call: &Call,
        effects: &mut Vec<Effect>,
    ) -> Result<Outcome, RoomFault>;

    /// Appends the encoded shared view.
    ///
    /// # Errors
    /// Logic panicked, or the view cannot be encoded.
    fn view(&self, out: &mut Vec<u8>) -> Result<(), RoomFault>;

    /// Appends `player`'s private view. False if the shared one serves.
    ///
    /// # Errors
    /// As [`RoomInstance::view`].
    fn private_view(&self, player: PlayerId, out: &mut Vec<u8>) -> Result<bool, RoomFault>;

    /// Name of its kind.
    fn kind(&self) -> &'static str;

    /// Steps of the clock so far.
    fn tick(&self) -> u64;

    /// Room time of the newest call.
    fn now(&self) -> Duration;

    /// Room time at which [`Call::Timers`] is due next.
    fn next_timer(&self) -> Option<Duration>;

    /// How the room was asked for, `members_max` filled in.
    fn spec(&self) -> &RoomSpec;

    /// The facts that lists show.
    fn metadata(&self) -> &Metadata;

    /// The members, by player.
    fn members(&self) -> &BTreeMap<PlayerId, Seated>;

    /// Appends state and context: all that [`Kind::restore`](crate::Kind::restore) needs.
    ///
    /// # Errors
    /// The state cannot be encoded.
    fn checkpoint(&self, out: &mut Vec<u8>) -> Result<(), RoomFault>;
}

/// A running room of kind `R`.
pub(crate) struct Hosted<R: Room> {
    spec: RoomSpec,
    state: R::State,
    cx: Cx<R>,
}

impl<R: Room> Hosted<R> {
    /// Opens a room.
    pub(crate) fn open(
        spec: &RoomSpec,
        seed: [u8; 32],
        effects: &mut Vec<Effect>,
    ) -> Result<Self, RoomFault> {
        let mut spec = spec.clone();
        spec.settings.members_max = members_max(spec.settings.members_max, R::MEMBERS_MAX);
        let context = Context::new(Rng::from_seed(seed), spec.metadata().clone());
        let mut cx = Cx::new(context);
        let state = run(R::KIND, "open", || R::open(&spec, &mut cx))?;
        settle(&mut cx, "open")?;
        cx.context_mut().commit(effects);
        Ok(Self { spec, state, cx })
    }

    /// Restores what [`RoomInstance::checkpoint`] wrote.
    pub(crate) fn restore(bytes: &[u8]) -> Result<Self, RoomFault> {
        let unreadable = |message| RoomFault::Decode {
            kind: R::KIND,
            message,
        };
        let envelope = Envelope::decode(bytes).map_err(unreadable)?;
        if envelope.kind != R::KIND {
            return Err(unreadable(format!(
                "it was written by a room of kind {}",
                envelope.kind
            )));
        }
        let context = envelope.context().map_err(unreadable)?;
        let state = if envelope.version == R::VERSION {
            run(R::KIND, "open", || checkpoint::read_state(&envelope.state))?
        } else {
            run(R::KIND, "migrate", || {
                R::migrate(envelope.version, &envelope.state)
            })?
        };
        let state = state.map_err(|message| RoomFault::State {
            kind: R::KIND,
            written: envelope.version,
            version: R::VERSION,
            message,
        })?;
        Ok(Self {
            spec: envelope.spec.into_owned(),
            state,
            cx: Cx::new(context),
        })
    }

    /// The state itself, for tests.
    pub(crate) const fn state(&self) -> &R::State {
        &self.state
    }

    fn admit(&mut self, applicant: &Applicant<'_>) -> Result<Outcome, RoomFault> {
        let player = applicant.player;
        let members = &self.cx.context().members;
        let seats = usize::from(self.spec.settings.members_max);
        if members.contains_key(&player) {
            return refused(
                RefusalCode::AlreadySeated,
                "the player has a seat in this room",
            );
        }
        if members.len() >= seats {
            let text = format!("all {seats} seats are taken");
            let refusal = Refusal::new(RefusalCode::RoomFull, text).retry_after(RETRY_FULL);
            return Ok(Outcome::Refused(refusal));
        }
        let admitted = self.logic("admit", |state, cx| R::admit(state, applicant, cx))?;
        if let Err(mut refusal) = admitted {
            refusal.text = cut(refusal.text, REFUSAL_TEXT_MAX);
            return Ok(Outcome::Refused(refusal));
        }
        let member = Seated {
            name: applicant.name.to_owned(),
            present: true,
        };
        self.cx.context_mut().members.insert(player, member);
        self.logic("seat", |state, cx| {
            R::seat(state, player, SeatChange::Joined, cx)
        })?;
        Ok(Outcome::Done)
    }

    fn seat(&mut self, player: PlayerId, change: SeatChange) -> Result<Outcome, RoomFault> {
        let Some(member) = self.cx.context_mut().members.get_mut(&player) else {
            return no_seat();
        };
        match change {
            SeatChange::Joined | SeatChange::Returned => member.present = true,
            SeatChange::Detached | SeatChange::Left => member.present = false,
            SeatChange::Loading | SeatChange::Suspect => {}
        }
        self.logic("seat", |state, cx| R::seat(state, player, change, cx))?;
        if change == SeatChange::Left {
            self.cx.context_mut().members.remove(&player);
        }
        Ok(Outcome::Done)
    }

    fn input(&mut self, player: PlayerId, payload: &[u8]) -> Result<Outcome, RoomFault> {
        if !self.cx.context().members.contains_key(&player) {
            return no_seat();
        }
        if let Err(size) = SizeError::check("bytes of an input", payload.len(), INPUT_MAX) {
            return refused(RefusalCode::BadRequest, size.to_string());
        }
        // The game's own `Deserialize` runs here, so it may panic like all of its logic.
        let input = match run(R::KIND, "input", || {
            messagepack::decode(payload, Bounds::PEER)
        })? {
            Ok(input) => input,
            Err(error) => {
                let text = cut(
                    format!("the input cannot be read: {error}"),
                    REFUSAL_TEXT_MAX,
                );
                return refused(RefusalCode::BadRequest, text);
            }
        };
        self.logic("input", |state, cx| R::input(state, player, input, cx))?;
        Ok(Outcome::Done)
    }

    fn resumed(&mut self, receipt: Receipt) -> Result<Outcome, RoomFault> {
        self.logic("resumed", |state, cx| R::resumed(state, receipt, cx))?;
        Ok(Outcome::Done)
    }

    fn step(&mut self) -> Result<Outcome, RoomFault> {
        if R::TICK_HZ > 0 {
            let context = self.cx.context_mut();
            context.tick = context.tick.saturating_add(1);
            self.logic("tick", R::tick)?;
        }
        Ok(Outcome::Done)
    }

    fn fire(&mut self) -> Result<Outcome, RoomFault> {
        let now = self.cx.now();
        self.cx.context_mut().timers.start_firing(now);
        while let Some(token) = self.cx.context_mut().timers.next_firing() {
            self.logic("timer", |state, cx| R::timer(state, token, cx))?;
        }
        Ok(Outcome::Done)
    }

    /// Runs one method of room logic and turns what went wrong into a fault.
    fn logic<T>(
        &mut self,
        call: &'static str,
        method: impl FnOnce(&mut R::State, &mut Cx<R>) -> T,
    ) -> Result<T, RoomFault> {
        let (state, cx) = (&mut self.state, &mut self.cx);
        let value = run(R::KIND, call, || method(state, cx))?;
        settle(cx, call)?;
        Ok(value)
    }
}

impl<R: Room> RoomInstance for Hosted<R> {
    fn apply(
        &mut self,
        at: Duration,
        call: &Call,
        effects: &mut Vec<Effect>,
    ) -> Result<Outcome, RoomFault> {
        self.cx.context_mut().advance_to(at);
        let outcome = match call {
            Call::Admit {
                player,
                name,
                claims,
            } => self.admit(&Applicant {
                player: *player,
                name,
                claims,
            }),
            Call::Seat { player, change } => self.seat(*player, *change),
            Call::Input { player, payload } => self.input(*player, payload),
            Call::Resumed(receipt) => self.resumed(*receipt),
            Call::Tick => self.step(),
            Call::Timers => self.fire(),
        }?;
        match outcome {
            Outcome::Done => self.cx.context_mut().commit(effects),
            Outcome::Refused(_) => self.cx.context_mut().discard(),
        }
        Ok(outcome)
    }

    fn view(&self, out: &mut Vec<u8>) -> Result<(), RoomFault> {
        encode_view::<R, _>("view", out, || Some(R::view(&self.state))).map(|_| ())
    }

    fn private_view(&self, player: PlayerId, out: &mut Vec<u8>) -> Result<bool, RoomFault> {
        encode_view::<R, _>("private", out, || R::private(&self.state, player))
    }

    fn kind(&self) -> &'static str {
        R::KIND
    }

    fn tick(&self) -> u64 {
        self.cx.tick()
    }

    fn now(&self) -> Duration {
        self.cx.now()
    }

    fn next_timer(&self) -> Option<Duration> {
        self.cx.context().timers.next_due()
    }

    fn spec(&self) -> &RoomSpec {
        &self.spec
    }

    fn metadata(&self) -> &Metadata {
        &self.cx.context().metadata
    }

    fn members(&self) -> &BTreeMap<PlayerId, Seated> {
        self.cx.members()
    }

    fn checkpoint(&self, out: &mut Vec<u8>) -> Result<(), RoomFault> {
        let fault = |message| RoomFault::Encode {
            kind: R::KIND,
            what: "state",
            message,
        };
        let state = run(R::KIND, "checkpoint", || messagepack::encode(&self.state))?
            .map_err(|error| fault(error.to_string()))?;
        let size = SizeError::check("bytes of state", state.len(), STATE_MAX);
        size.map_err(|size| RoomFault::Size {
            kind: R::KIND,
            call: "checkpoint",
            size,
        })?;
        // A state that could be written but not read again must be noticed now, not after a crash.
        messagepack::guard(&state, checkpoint::STATE).map_err(|error| fault(error.to_string()))?;
        let start = out.len();
        let kind = (R::KIND, R::VERSION);
        let written = Envelope::of(kind, &self.spec, self.cx.context(), state).encode(out);
        written.map_err(|error| {
            out.truncate(start);
            fault(error.to_string())
        })
    }
}

impl<R: Room> fmt::Debug for Hosted<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hosted")
            .field("kind", &R::KIND)
            .field("room", &self.spec.room)
            .field("tick", &self.cx.tick())
            .finish_non_exhaustive()
    }
}

/// When to try a full room again: a seat held for a detached player may be free by then.
const RETRY_FULL: Duration = Duration::from_secs(5);

/// Longest text of a panic that is kept: a failed `assert_eq!` may print whole states.
const PANIC_TEXT_MAX: usize = 1024;

/// Runs game code. A panic leaves its data half changed, which is sound to look away from: the
/// host throws the instance away.
fn run<T>(
    kind: &'static str,
    call: &'static str,
    logic: impl FnOnce() -> T,
) -> Result<T, RoomFault> {
    catch_unwind(AssertUnwindSafe(logic)).map_err(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no words");
        let message = cut(text.to_owned(), PANIC_TEXT_MAX);
        RoomFault::Panicked {
            kind,
            call,
            message,
        }
    })
}

/// Fails the call if it asked `cx` for what cannot be.
fn settle<R: Room>(cx: &mut Cx<R>, call: &'static str) -> Result<(), RoomFault> {
    match cx.context_mut().take_misuse() {
        None => Ok(()),
        Some(Misuse::Event(message)) => Err(RoomFault::Encode {
            kind: R::KIND,
            what: "event",
            message,
        }),
        Some(Misuse::Size(size)) => Err(RoomFault::Size {
            kind: R::KIND,
            call,
            size,
        }),
        Some(Misuse::Limit(message)) => Err(RoomFault::Limit {
            kind: R::KIND,
            call,
            message,
        }),
    }
}

/// Appends what `view` gives, if anything. On error `out` stays as it was.
fn encode_view<R: Room, V: Serialize>(
    call: &'static str,
    out: &mut Vec<u8>,
    view: impl FnOnce() -> Option<V>,
) -> Result<bool, RoomFault> {
    let start = out.len();
    let fault = |message| RoomFault::Encode {
        kind: R::KIND,
        what: "view",
        message,
    };
    let written = run(R::KIND, call, || {
        view()
            .map(|view| messagepack::encode_into(&view, out))
            .transpose()
    })
    .and_then(|result| result.map_err(|error| fault(error.to_string())))
    .and_then(|written| {
        let size = SizeError::check("bytes of a view", out.len() - start, VIEW_MAX);
        let kind = R::KIND;
        size.map_err(|size| RoomFault::Size { kind, call, size })
            .map(|()| written.is_some())
    });
    if written.is_err() {
        out.truncate(start);
    }
    written
}

fn no_seat() -> Result<Outcome, RoomFault> {
    refused(
        RefusalCode::UnknownSeat,
        "the player has no seat in this room",
    )
}

fn refused(code: RefusalCode, text: impl Into<String>) -> Result<Outcome, RoomFault> {
    Ok(Outcome::Refused(Refusal::new(code, text)))
}
