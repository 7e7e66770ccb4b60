//! What survives of a room: its logic's instance and the table of seats. A checkpoint plus the
//! journal gives exactly this again, because live calls and replays go through the same
//! [`Durable::apply`].
//!
//! Owned by the hosted room. It decides nothing about connections: what a call leads to outside
//! the room comes out as [`Happening`]s, which a replay throws away.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use rejoin_protocol::message::SeatChange;
use rejoin_protocol::planted::{self, Bug};
use rejoin_protocol::wire::VARINT_MAX;
use rejoin_protocol::{Incarnation, PlayerId, Refusal, RefusalCode, Stay};
use rejoin_room::{Audience, Call, Effect, Kind, Outcome, Receipt, RoomFault, RoomInstance};

use super::by_player::ByPlayer;
use super::entry::{Applicant, Entry, Opening};
use super::seat::{Seat, stay_over, step};

/// A room as it can be rebuilt.
#[derive(Debug)]
pub(crate) struct Durable {
    /// Runs the room's logic.
    pub(crate) instance: Box<dyn RoomInstance>,
    /// The seats, by player.
    pub(crate) seats: ByPlayer<Seat>,
    /// Names of views begin after this: those that were shown before some history was lost are not given again.
    pub(crate) views_from: u64,
    /// Room logic ended the room: the calls after that are refused, live and in a replay. It is forgotten
    /// with the turn or once there is place for that, and until then its journal tells; no checkpoint is made any more.
    pub(crate) ended: bool,
}

/// What a call came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Applied {
    /// For the one who asked.
    pub(crate) verdict: Verdict,
    /// For everyone else, in order.
    pub(crate) happenings: Vec<Happening>,
}

/// The answer to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It was applied.
    Done,
    /// It has no effect any more: a repeated input, a seat that is gone.
    Ignored,
    /// A seat was taken.
    Seated,
    /// The session held a seat already, and keeps it.
    Found,
    /// Room logic refused.
    Refused(Refusal),
}

/// Something that must happen outside the room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Happening {
    /// The other members are told about a seat.
    Seat {
        player: PlayerId,
        change: SeatChange,
    },
    /// A seat is gone. `word` is set if room logic took it.
    Left {
        player: PlayerId,
        name: String,
        word: Option<String>,
    },
    /// A member is sent an event.
    Event {
        to: PlayerId,
        number: u64,
        payload: Bytes,
        when_durable: bool,
    },
    /// Lists show other facts.
    Metadata,
    /// Room logic ended the room.
    Ended { word: String },
}

impl Durable {
    /// Opens a room.
    pub(crate) fn open(kind: &Kind, opening: &Opening) -> Result<(Self, Applied), RoomFault> {
        let mut effects = Vec::new();
        let instance = kind.open(&opening.spec, opening.seed, &mut effects)?;
        let mut room = Self {
            instance,
            seats: ByPlayer::default(),
            views_from: 0,
            ended: false,
        };
        let mut applied = Applied::of(Verdict::Done);
        room.unfold(Duration::ZERO, effects, &mut applied)?;
        Ok((room, applied))
    }

    /// Applies one call at room time `at`.
    ///
    /// # Errors
    /// The room is half changed: throw it away and rebuild it.
    pub(crate) fn apply(&mut self, at: Duration, entry: &Entry) -> Result<Applied, RoomFault> {
        if self.ended {
            let refusal = Refusal::new(RefusalCode::UnknownRoom, "the room has ended");
            return Ok(Applied::of(Verdict::Refused(refusal)));
        }
        match entry {
            // Only the first call of a history opens the room.
            Entry::Open(_) => Ok(Applied::of(Verdict::Ignored)),
            Entry::Admit { applicant, stay } => self.admit(at, applicant, *stay),
            Entry::Seat {
                player,
                change,
                incarnation,
            } => self.change_seat(at, (*player, *incarnation), *change),
            Entry::Input {
                player,
                number,
                payload,
            } => self.input(at, (*player, *number), payload),
            Entry::Void { player, number } => {
                if let Some(seat) = self.seats.get_mut(player) {
                    seat.cursor = seat.cursor.max(*number);
                }
                Ok(Applied::of(Verdict::Done))
            }
            // Nobody is there, and room time stands still.
            Entry::Asleep(_) => Ok(Applied::of(Verdict::Done)),
            Entry::Restored { receipt, views } => {
                // What was shown and is lost is not named again.
                self.views_from = self.views_from.max(*views).min(VARINT_MAX / 2);
                self.restored(at, *receipt)
            }
            Entry::Ahead {
                player,
                input,
                event,
            } => {
                if let Some(seat) = self.seats.get_mut(player) {
                    seat.go_on_after(*input, *event);
                }
                Ok(Applied::of(Verdict::Done))
            }
            Entry::Tick => self.call(at, &Call::Tick),
            Entry::Timers => self.call(at, &Call::Timers),
        }
    }

    /// Takes over from `live`, which this room is a rebuild of, what stands in no journal: which events were
    /// acknowledged.
    pub(crate) fn take_acks(&mut self, live: &Self) {
        for (player, seat) in &mut self.seats {
            let of = live.seats.get(player);
            if let Some(of) = of.filter(|of| of.stay == seat.stay) {
                seat.events.on_acked(of.events.acked());
            }
        }
    }

    fn admit(
        &mut self,
        at: Duration,
        applicant: &Applicant,
        stay: Stay,
    ) -> Result<Applied, RoomFault> {
        let player = applicant.session.player();
        if let Some(seat) = self.seats.get_mut(&player) {
            if seat.session != applicant.session {
                let text = "another session is this player in this room";
                let refusal = Refusal::new(RefusalCode::BadRequest, text);
                return Ok(Applied::of(Verdict::Refused(refusal)));
            }
            if !seat.is_of(applicant.returns) {
                return Ok(Applied::of(Verdict::Refused(stay_over())));
            }
            seat.incarnation = seat.incarnation.max(applicant.incarnation);
            return Ok(Applied::of(Verdict::Found));
        }
        if applicant.returns.is_some() {
            let text = "the session holds no seat in this room";
            let refusal = Refusal::new(RefusalCode::UnknownSeat, text);
            return Ok(Applied::of(Verdict::Refused(refusal)));
        }
        let mut effects = Vec::new();
        let call = Call::Admit {
            player,
            name: applicant.name.clone(),
            claims: applicant.claims.clone(),
        };
        let outcome = self.instance.apply(at, &call, &mut effects)?;
        let mut applied = Applied::of(Verdict::Seated);
        match outcome {
            Outcome::Done => {
                self.seats.insert(player, Seat::new(applicant, stay));
                applied.happenings.push(Happening::Seat {
                    player,
                    change: SeatChange::Joined,
                });
            }
            Outcome::Refused(refusal) => applied.verdict = Verdict::Refused(refusal),
        }
        self.unfold(at, effects, &mut applied)?;
        Ok(applied)
    }

    fn change_seat(
        &mut self,
        at: Duration,
        (player, incarnation): (PlayerId, Incarnation),
        change: SeatChange,
    ) -> Result<Applied, RoomFault> {
        let Some(seat) = self.seats.get_mut(&player) else {
            return Ok(Applied::of(Verdict::Ignored));
        };
        if incarnation < seat.incarnation {
            return Ok(Applied::of(Verdict::Ignored));
        }
        seat.incarnation = incarnation;
        if change == SeatChange::Left {
            return self.leave(at, player);
        }
        let Some(presence) = step(seat.presence, change) else {
            return Ok(Applied::of(Verdict::Ignored));
        };
        seat.presence = presence;
        let mut applied = Applied::of(Verdict::Done);
        applied.happenings.push(Happening::Seat { player, change });
        self.run(at, &Call::Seat { player, change }, &mut applied)?;
        Ok(applied)
    }

    /// No connection outlives its process, so all seats are only held. An incarnation says which of two clients
    /// of a process is the newer one, and a client that joins anew begins at the first.
    fn restored(&mut self, at: Duration, receipt: Receipt) -> Result<Applied, RoomFault> {
        let mut applied = Applied::of(Verdict::Done);
        if receipt.rolled_back {
            for (_, seat) in &mut self.seats {
                seat.rolled_to = Some(seat.events.newest());
            }
        }
        let players: Vec<_> = self.seats.keys().copied().collect();
        for player in players {
            let none = Incarnation::default();
            // Room logic may have removed it meanwhile.
            if let Some(seat) = self.seats.get_mut(&player) {
                seat.incarnation = none;
            }
            let more = self.change_seat(at, (player, none), SeatChange::Detached)?;
            applied.happenings.extend(more.happenings);
        }
        self.run(at, &Call::Resumed(receipt), &mut applied)?;
        Ok(applied)
    }

    fn leave(&mut self, at: Duration, player: PlayerId) -> Result<Applied, RoomFault> {
        let mut applied = Applied::of(Verdict::Done);
        self.vacate(player, None, &mut applied);
        let call = Call::Seat {
            player,
            change: SeatChange::Left,
        };
        self.run(at, &call, &mut applied)?;
        Ok(applied)
    }

    fn input(
        &mut self,
        at: Duration,
        (player, number): (PlayerId, Option<u64>),
        payload: &Bytes,
    ) -> Result<Applied, RoomFault> {
        let Some(seat) = self.seats.get_mut(&player) else {
            return Ok(Applied::of(Verdict::Ignored));
        };
        if let Some(number) = number {
            if number <= seat.cursor && !planted::is(Bug::CursorIgnored) {
                return Ok(Applied::of(Verdict::Ignored));
            }
            // The cursor passes a refused input too: it will not be applied later.
            seat.cursor = seat.cursor.max(number);
        }
        self.call(
            at,
            &Call::Input {
                player,
                payload: payload.clone(),
            },
        )
    }

    fn call(&mut self, at: Duration, call: &Call) -> Result<Applied, RoomFault> {
        let mut applied = Applied::of(Verdict::Done);
        if let Outcome::Refused(refusal) = self.run(at, call, &mut applied)? {
            applied.verdict = Verdict::Refused(refusal);
        }
        Ok(applied)
    }

    fn run(
        &mut self,
        at: Duration,
        call: &Call,
        applied: &mut Applied,
    ) -> Result<Outcome, RoomFault> {
        let mut effects = Vec::new();
        let outcome = self.instance.apply(at, call, &mut effects)?;
        self.unfold(at, effects, applied)?;
        Ok(outcome)
    }

    /// Turns effects into happenings. A removal is itself a call of room logic with effects of
    /// its own; each takes a seat away, so this ends.
    fn unfold(
        &mut self,
        at: Duration,
        effects: Vec<Effect>,
        applied: &mut Applied,
    ) -> Result<(), RoomFault> {
        if effects.is_empty() {
            return Ok(());
        }
        let mut waiting = VecDeque::from(effects);
        while let Some(effect) = waiting.pop_front() {
            match effect {
                Effect::Event {
                    to,
                    payload,
                    when_durable,
                } => {
                    self.number_event(to, (&payload, when_durable), applied);
                }
                Effect::Remove { player, word } => {
                    if self.vacate(player, Some(word), applied) {
                        let call = Call::Seat {
                            player,
                            change: SeatChange::Left,
                        };
                        let mut more = Vec::new();
                        self.instance.apply(at, &call, &mut more)?;
                        waiting.extend(more);
                    }
                }
                Effect::Close { word } => {
                    self.ended = true;
                    applied.happenings.push(Happening::Ended { word });
                }
                Effect::Metadata(_) => applied.happenings.push(Happening::Metadata),
            }
        }
        Ok(())
    }

    fn number_event(
        &mut self,
        to: Audience,
        (payload, when_durable): (&Bytes, bool),
        applied: &mut Applied,
    ) {
        let mut number = |player: PlayerId, seat: &mut Seat| {
            let payload = payload.clone();
            applied.happenings.push(Happening::Event {
                to: player,
                number: seat.events.push(payload.clone()),
                payload,
                when_durable,
            });
        };
        match to {
            Audience::All => {
                for (player, seat) in &mut self.seats {
                    number(*player, seat);
                }
            }
            Audience::Player(player) => {
                if let Some(seat) = self.seats.get_mut(&player) {
                    number(player, seat);
                }
            }
        }
    }

    /// Takes a seat out of the table. False if there is none.
    fn vacate(&mut self, player: PlayerId, word: Option<String>, applied: &mut Applied) -> bool {
        let Some(seat) = self.seats.remove(&player) else {
            return false;
        };
        applied.happenings.push(Happening::Left {
            player,
            name: seat.name,
            word,
        });
        true
    }
}

impl Applied {
    const fn of(verdict: Verdict) -> Self {
        Self {
            verdict,
            happenings: Vec::new(),
        }
    }
}
