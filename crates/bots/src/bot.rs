//! One bot: a client, its seat, its behaviour, and the checks of what it is told.
//!
//! ```text
//! joining --Connected--> seating --Seated--> seated --leave--> leaving --Ended--> gone
//!    '--------------------'------- anything else -'-----------------> failed
//! ```

use std::rc::Rc;

use bytes::Bytes;
use rejoin_client::{Core, Ended, Event, State};
use rejoin_protocol::limits::VIEW_MAX;
use rejoin_protocol::message::{Answer, CallId, RoomCloseReason, Seated};
use rejoin_protocol::messagepack::{self, Bounds};
use rejoin_protocol::{Refusal, Rng, RoomId, Timestamp};
use rejoin_room::Room;

use crate::absent::Absent;
use crate::age::Arrivals;
use crate::agreement::{Agreement, Label, Seen, decode};
use crate::behaviour::Behaviour;
use crate::bot_cx::BotCx;
use crate::fault::{Fault, cause_of, wrong};
use crate::options::{Conduct, Mode};
use crate::pauses::Pauses;
use crate::probes::Probes;
use crate::report::Cause;
use crate::room_request::RoomRequest;
use crate::sends::Sends;
use crate::silences::Hush;
use crate::tally::Tally;
use crate::wallet::Wallet;
use crate::way_back::WayBack;

pub(crate) use crate::bot_stage::{BotStage, Place};

/// What members of a `B`'s room see.
pub(crate) type ViewOf<B> = <<B as Behaviour>::Room as Room>::View;

/// A bot.
pub(crate) struct Bot<B: Behaviour> {
    pub(crate) core: Core,
    pub(crate) stage: BotStage,
    pub(crate) sends: Sends,
    pub(crate) probes: Probes,
    pub(crate) place: Place,
    /// When the crew's timer for this bot goes off, if one is set.
    pub(crate) timer: Option<Timestamp>,
    /// True while the crew has it listed for a flush.
    pub(crate) is_touched: bool,
    pub(crate) back: WayBack,
    /// The process of its server of which it saw something last; 0 before the first.
    pub(crate) epoch: u64,
    started: Timestamp,
    rng: Rng,
    pub(crate) behaviour: B,
    pub(crate) seen: Option<Rc<Seen<ViewOf<B>>>>,
    arrivals: Arrivals,
    pub(crate) pauses: Pauses,
    pub(crate) hush: Hush,
    /// Members of its room who are not all there, as it was told.
    pub(crate) absent: Absent,
    pub(crate) cursor: u64,
    pub(crate) event: u64,
}

/// What a bot's events touch besides the bot.
pub(crate) struct Surroundings<'a, B: Behaviour> {
    pub(crate) conduct: Conduct,
    pub(crate) request: &'a RoomRequest,
    pub(crate) agreement: &'a mut Agreement<ViewOf<B>>,
    pub(crate) tally: &'a mut Tally,
    pub(crate) wallet: Wallet<'a>,
    pub(crate) now: Timestamp,
}

impl<B: Behaviour> Surroundings<'_, B> {
    /// A member saw a view that all members share.
    fn mark(&mut self, label: Label, view: &[u8]) {
        if let Some(marks) = &mut self.tally.marks {
            // The request names the room.
            let room = RoomId::of(B::Room::KIND, self.request.request);
            marks.see(room, label, view);
        }
    }
}

/// A step that is due.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) number: u64,
    pub(crate) planned: Timestamp,
    pub(crate) mode: Mode,
}

impl<B: Behaviour> Bot<B> {
    pub(crate) fn new(core: Core, place: Place, rng: Rng, now: Timestamp) -> Self {
        Self {
            core,
            stage: BotStage::Joining,
            sends: Sends::default(),
            probes: Probes::default(),
            place,
            timer: None,
            is_touched: false,
            back: WayBack::default(),
            epoch: 0,
            started: now,
            rng,
            behaviour: B::default(),
            seen: None,
            arrivals: Arrivals::default(),
            pauses: Pauses::default(),
            hush: Hush::default(),
            absent: Absent::default(),
            cursor: 0,
            event: 0,
        }
    }

    /// Lists it for the next flush, once.
    pub(crate) fn touch(&mut self, touched: &mut Vec<usize>) {
        if !std::mem::replace(&mut self.is_touched, true) {
            touched.push(self.place.index);
        }
    }

    /// True while its hello has no answer.
    pub(crate) fn awaits_reply(&self) -> bool {
        matches!(self.core.state(), State::Joining | State::Away)
    }

    /// When it started to join, or was planned to.
    pub(crate) const fn started(&self) -> Timestamp {
        self.started
    }

    /// The newest view.
    pub(crate) fn seen(&self) -> Option<&Rc<Seen<ViewOf<B>>>> {
        self.seen.as_ref()
    }

    /// Plays one step, if it has a seat.
    pub(crate) fn step(&mut self, step: Step, tally: &mut Tally) {
        let BotStage::Seated { seat, player } = self.stage else {
            return;
        };
        if let Some(age) = self.arrivals.age(step.planned) {
            tally.measures.snapshot_age.add(age);
        }
        let mut cx = BotCx {
            bot: self.place.bot,
            seat,
            player,
            mode: step.mode,
            number: step.number,
            planned: step.planned,
            view: self.seen.as_deref().map(|seen| &seen.view),
            rng: &mut self.rng,
            core: &mut self.core,
            sends: &mut self.sends,
        };
        self.behaviour.step(&mut cx);
    }

    /// Sends a probe, if it has a session.
    pub(crate) fn probe(&mut self, planned: Timestamp, tally: &mut Tally, now: Timestamp) {
        if self.stage.is_present() {
            let tell = |span| tally.rtt(span);
            self.probes.send(&mut self.core, planned, now, tell);
        }
    }

    /// Gives its seat back, or breaks off.
    pub(crate) fn leave(&mut self) {
        let left = match self.stage {
            BotStage::Seated { .. } if self.is_away() => false,
            BotStage::Seated { seat, .. } => self.core.leave(seat).is_ok(),
            BotStage::Joining | BotStage::Seating { .. } | BotStage::Idle => false,
            BotStage::Leaving | BotStage::Gone | BotStage::Failed => return,
        };
        self.stage = BotStage::Leaving;
        if !left {
            self.core.disconnect();
        }
    }

    /// Ends it for good.
    pub(crate) fn fail(&mut self, fault: Fault, tally: &mut Tally, now: Timestamp) {
        if self.stage == BotStage::Failed {
            return;
        }
        if matches!(self.stage, BotStage::Joining | BotStage::Seating { .. }) {
            tally.joins.failed += u64::from(!self.back.is_relaunch);
        }
        if self.stage.is_present() || self.back.is_pending() {
            self.close_books(tally, now);
        }
        self.stage = BotStage::Failed;
        tally.fail(Some(self.place.bot), fault.cause, fault.text);
        self.core.disconnect();
    }

    /// Takes one event of its client.
    ///
    /// # Errors
    /// What the server did wrong.
    pub(crate) fn on_event(
        &mut self,
        event: Event,
        around: &mut Surroundings<'_, B>,
    ) -> Result<(), Fault> {
        match event {
            Event::Connected { .. } => self.on_connected(around),
            Event::Answer { call, result } => self.on_answer(call, result, around),
            Event::View {
                sequence,
                tick,
                cursor,
                view,
                private,
                full,
                bytes,
                ..
            } => {
                around.tally.snapshots.bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
                around.tally.snapshots.full += u64::from(full);
                around.tally.snapshots.delta += u64::from(!full);
                let label = Label { sequence, tick };
                self.on_epoch(tick, around);
                let seen = if private {
                    decode(label, &view).map(Rc::new)
                } else {
                    around.mark(label, &view);
                    around.agreement.see(label, &view)
                };
                self.on_view(seen.map_err(wrong)?, cursor, around)
            }
            Event::Room {
                number, payload, ..
            } => {
                around.tally.events += 1;
                self.on_room_event(number, &payload)
            }
            Event::InputRefused {
                number, refusal, ..
            } => Err(wrong(format!("input {number} was refused: {refusal}"))),
            Event::RoomClosed { reason, .. } => Err(Fault {
                cause: Cause::Lost,
                text: if reason == RoomCloseReason::Gone {
                    "its seat was gone when it came back".to_owned()
                } else {
                    format!("the room closed early: {reason:?}")
                },
            }),
            Event::Away(_)
            | Event::Back { .. }
            | Event::Resumed { .. }
            | Event::Ticket
            | Event::TicketRefused => self.on_way_back(&event, around),
            Event::Ended(ended) => self.on_ended(&ended, around.wallet),
            Event::Seat { player, change, .. } => {
                self.hush
                    .on_seat(player, change, &mut around.tally.silences);
                self.absent.on_seat(player, change);
                Ok(())
            }
            // What a new client has missed, the room's answer to it has counted.
            Event::EventsMissed { count, .. } => {
                self.event += count * u64::from(!self.back.is_relaunch);
                Ok(())
            }
            Event::Link(_) => Ok(()),
            _ => Ok(()),
        }
    }

    fn on_connected(&mut self, around: &mut Surroundings<'_, B>) -> Result<(), Fault> {
        if self.stage != BotStage::Joining {
            return Ok(());
        }
        if around.conduct == Conduct::Idle {
            self.stage = BotStage::Idle;
            self.on_welcome();
            self.on_joined(around);
            return Ok(());
        }
        let request = around.request;
        let call = self
            .core
            .join_or_create(
                request.request,
                B::Room::KIND,
                request.filters(),
                request.settings(),
            )
            .map_err(|error| Fault {
                cause: Cause::Lost,
                text: error.to_string(),
            })?;
        self.stage = BotStage::Seating { call };
        Ok(())
    }

    fn on_answer(
        &mut self,
        call: CallId,
        result: Result<Answer, Refusal>,
        around: &mut Surroundings<'_, B>,
    ) -> Result<(), Fault> {
        let tally = &mut *around.tally;
        if self
            .probes
            .on_answer(call, around.now, |span| tally.rtt(span))
        {
            return Ok(());
        }
        match (self.stage, result) {
            (BotStage::Seating { call: asked }, Ok(Answer::Seated(seated))) if asked == call => {
                self.on_seated(&seated, around)
            }
            (BotStage::Seating { call: asked }, Err(refusal)) if asked == call => Err(Fault {
                cause: Cause::Refused,
                text: refusal.to_string(),
            }),
            (BotStage::Leaving, _) => {
                self.core.disconnect();
                Ok(())
            }
            (_, _) => Ok(()),
        }
    }

    fn on_seated(
        &mut self,
        seated: &Seated,
        around: &mut Surroundings<'_, B>,
    ) -> Result<(), Fault> {
        self.stage = BotStage::Seated {
            seat: seated.seat,
            player: seated.player,
        };
        if self.back.is_relaunch {
            return self.on_seat_found(seated, around.tally, around.now);
        }
        self.cursor = seated.cursor;
        self.event = seated.event;
        self.on_joined(around);
        Ok(())
    }

    fn on_joined(&mut self, around: &mut Surroundings<'_, B>) {
        if self.back.is_relaunch {
            return self.back.finish(around.tally, around.now);
        }
        around.tally.joins.ok += 1;
        around
            .tally
            .measures
            .join
            .add(around.now.since(self.started));
    }

    /// A newer view: numbers only grow, nothing goes backwards.
    fn on_view(
        &mut self,
        seen: Rc<Seen<ViewOf<B>>>,
        cursor: u64,
        around: &mut Surroundings<'_, B>,
    ) -> Result<(), Fault> {
        let BotStage::Seated { player, .. } = self.stage else {
            return Ok(());
        };
        if let Some(before) = &self.seen {
            // A new client is shown again what the dead one saw last, if there is nothing newer.
            let newest = before.held.sequence + u64::from(!self.back.is_answered());
            if seen.held.sequence < newest {
                let (now, then) = (seen.held.sequence, before.held.sequence);
                return Err(wrong(format!("view {now} came after view {then}")));
            }
            if seen.tick < before.tick {
                let (now, then) = (seen.tick, before.tick);
                return Err(wrong(format!("tick {now} came after tick {then}")));
            }
        }
        if cursor < self.cursor {
            return Err(wrong(format!(
                "cursor {cursor} came after cursor {}",
                self.cursor
            )));
        }
        if cursor > self.sends.newest {
            let newest = self.sends.newest;
            self.sends.on_unsent(cursor);
            return Err(wrong(format!(
                "cursor {cursor} covers more than the {newest} sent"
            )));
        }
        self.cursor = cursor;
        let before = self.seen.as_deref().map(|seen| &seen.view);
        self.behaviour.view(before, &seen.view).map_err(wrong)?;
        let tally = &mut *around.tally;
        self.sends
            .covered(cursor, around.now, |latency| tally.input(latency));
        if let Some(number) = B::shown(player, &seen.view) {
            self.sends
                .shown(number, around.now, |latency| tally.input(latency));
        }
        if self.back.is_answered() {
            self.end_way_back(true, tally, around.now);
        }
        self.seen = Some(seen);
        self.arrivals.on_view(around.now);
        tally.pause(self.pauses.on_view(around.now));
        tally.back(self.hush.on_view(around.now));
        Ok(())
    }

    fn on_room_event(&mut self, number: u64, payload: &Bytes) -> Result<(), Fault> {
        if number != self.event + 1 && !self.back.is_relaunch {
            return Err(wrong(format!(
                "event {number} came after event {}",
                self.event
            )));
        }
        self.event = number;
        let bounds = Bounds {
            items: VIEW_MAX,
            ..Bounds::PEER
        };
        let event = messagepack::decode(payload, bounds)
            .map_err(|error| wrong(format!("event {number} cannot be read: {error}")))?;
        self.behaviour.event(event).map_err(wrong)
    }

    fn on_ended(&mut self, ended: &Ended, wallet: Wallet<'_>) -> Result<(), Fault> {
        match self.stage {
            BotStage::Leaving => {
                self.stage = BotStage::Gone;
                self.drop_ticket(wallet)
            }
            BotStage::Gone | BotStage::Failed => Ok(()),
            BotStage::Joining
            | BotStage::Seating { .. }
            | BotStage::Idle
            | BotStage::Seated { .. } => Err(Fault {
                cause: cause_of(ended),
                text: ended.to_string(),
            }),
        }
    }
}
