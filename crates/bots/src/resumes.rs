//! Bots that lose their connection, or their process, and come back to their seats.
//!
//! A lost connection is the client's own affair: it comes back by itself. A killed process leaves nothing but
//! its ticket: its client is dropped without a word, and another starts from the ticket as a game would that
//! was started again, with fresh keys. The bot, who is the tester and not the process, remembers what the
//! dead client had sent, and holds the room's answer against it:
//!
//! ```text
//!   1 .. acknowledged        seen by the dead client: the room's cursor is no lower, or they were lost
//!        .. cursor           the room has applied them, and goes on to: they count as acknowledged
//!        .. newest sent      died with the client; other inputs get their numbers. Were one of them applied
//!                            all the same, the room's chain of inputs would differ at the end
//!   beyond                   nobody sent them: the cursor is no higher
//! ```

use std::time::Duration;

use rejoin_client::{Core, Ended, Event, Loss, State, Ticket};
use rejoin_protocol::crypto::StaticKeys;
use rejoin_protocol::message::Seated;
use rejoin_protocol::{CloseReason, Timestamp};
use rejoin_room::Room;

use crate::behaviour::Behaviour;
use crate::bot::{Bot, BotStage, Surroundings};
use crate::crew::Crew;
use crate::fault::{Fault, cause_of, wrong};
use crate::report::Cause;
use crate::tally::Tally;
use crate::wallet::Wallet;

impl<B: Behaviour> Bot<B> {
    /// Keeps its client's newest ticket as a game would.
    pub(crate) fn keep_ticket(&mut self, wallet: Wallet<'_>) -> Result<(), Fault> {
        let Some(ticket) = self.core.ticket() else {
            return Ok(());
        };
        match wallet.file(self.place.bot) {
            Some(file) => file.write(ticket).map_err(|error| lost(error.to_string())),
            None => {
                self.back.ticket = Some(ticket.to_text());
                Ok(())
            }
        }
    }

    /// It has left: its ticket is of no use any more.
    pub(crate) fn drop_ticket(&mut self, wallet: Wallet<'_>) -> Result<(), Fault> {
        let file = wallet.file(self.place.bot);
        let removed = file.map_or(Ok(()), |file| file.remove());
        removed.map_err(|error| lost(error.to_string()))
    }

    fn read_ticket(&self, wallet: Wallet<'_>) -> Result<Option<Ticket>, Fault> {
        match (wallet.file(self.place.bot), &self.back.ticket) {
            (Some(file), _) => file.read().map_err(|error| lost(error.to_string())),
            (None, Some(text)) => {
                let ticket = text.parse();
                ticket
                    .map(Some)
                    .map_err(|_| wrong("its ticket does not read back"))
            }
            (None, None) => Ok(None),
        }
    }

    /// Another client takes the place of the one that is killed.
    fn relaunch(&mut self, core: Core, tally: &mut Tally, now: Timestamp) {
        self.back.lost_before += self.core.link().lost;
        self.core = core;
        if let BotStage::Seated { player, .. } = self.stage {
            self.back.player = Some(player);
        }
        self.stage = BotStage::Joining;
        self.back.is_relaunch = true;
        self.back.on_away(now);
        self.probes.on_killed();
        tally.resumes.killed += 1;
    }

    /// Takes what its client tells of the way back.
    pub(crate) fn on_way_back(
        &mut self,
        event: &Event,
        around: &mut Surroundings<'_, B>,
    ) -> Result<(), Fault> {
        if let Event::Away(loss) = event {
            if self.stage == BotStage::Leaving {
                self.core.disconnect();
                return Ok(());
            }
            if !self.stage.is_present() && !self.back.is_relaunch {
                // It has nothing yet to come back to.
                return Err(unseated(*loss));
            }
            self.back.on_away(around.now);
        }
        if let Event::Back { away } = event {
            around.tally.measures.away.add(*away);
            if self.stage == BotStage::Idle {
                self.on_welcome();
                self.back.finish(around.tally, around.now);
            }
        }
        if let Event::Resumed { .. } = event {
            self.back.on_answer();
        }
        if *event == Event::TicketRefused && self.back.is_relaunch {
            let text = "its ticket was refused".to_owned();
            let cause = Cause::Refused;
            return Err(Fault { cause, text });
        }
        if *event == Event::Ticket {
            return self.keep_ticket(around.wallet);
        }
        Ok(())
    }

    /// A view of that tick came from the process of the server that welcomed it last.
    pub(crate) fn on_epoch(&mut self, tick: u64, around: &mut Surroundings<'_, B>) {
        self.on_welcome();
        let room = around.agreement.room;
        around.tally.stretches.see(room, self.epoch, tick);
    }

    /// It hears the process of the server that welcomed it last.
    pub(crate) fn on_welcome(&mut self) {
        self.epoch = self.core.epoch().map_or(0, |epoch| epoch.0);
    }

    /// Its way back, if it is on one, is over: it `is_back`, or will never be. Tells how long it saw nothing new, less the
    /// tick that it would have waited anyway. Who starts a new client has another pause than who waits for a server.
    pub(crate) fn end_way_back(&mut self, is_back: bool, tally: &mut Tally, now: Timestamp) {
        if self.back.is_pending() && !self.back.is_relaunch {
            let tick = Duration::from_secs(1).checked_div(B::Room::TICK_HZ);
            let pause = self.pauses.open(now);
            let less = pause.map(|pause| pause.saturating_sub(tick.unwrap_or_default()));
            less.into_iter()
                .for_each(|it| tally.measures.outage.add(it));
        }
        if is_back {
            self.back.finish(tally, now);
        } else {
            self.back.give_up(tally, now);
        }
    }

    /// True if it has what it joined for and no connection.
    pub(crate) fn is_away(&self) -> bool {
        self.stage.is_present() && *self.core.state() == State::Away
    }

    /// # Errors
    /// It has lost its connection, or its client was killed, and it is not back.
    pub(crate) fn check_present(&self) -> Result<(), Fault> {
        let is_killed = self.back.is_relaunch && !self.stage.is_present();
        if self.is_away() || is_killed && self.stage != BotStage::Failed {
            return Err(lost("it was not back by the end".to_owned()));
        }
        Ok(())
    }

    /// Holds the room's answer to a new client against what the dead one had sent.
    pub(crate) fn on_seat_found(
        &mut self,
        seated: &Seated,
        tally: &mut Tally,
        now: Timestamp,
    ) -> Result<(), Fault> {
        let cursor = seated.cursor;
        if self.back.player != Some(seated.player) {
            return Err(wrong("it came back as somebody else"));
        }
        if cursor < self.cursor {
            let seen = self.cursor;
            return Err(wrong(format!(
                "it was killed when its cursor was {seen}, and came back to cursor {cursor}"
            )));
        }
        if cursor > self.sends.newest {
            let newest = self.sends.newest;
            self.sends.on_unsent(cursor);
            return Err(wrong(format!(
                "cursor {cursor} covers more than the {newest} that the dead client sent"
            )));
        }
        self.sends.covered(cursor, now, |span| tally.input(span));
        tally.resumes.died += self.sends.on_killed(cursor);
        self.behaviour.relaunched(self.sends.acknowledged);
        (self.cursor, self.event) = (cursor, seated.event);
        self.back.on_answer();
        Ok(())
    }
}

impl<B: Behaviour> Crew<'_, B> {
    /// Dooms a bot's client: it is killed once what it has to send now has left.
    pub(crate) fn kill(&mut self, index: usize) {
        if let Some(bot) = self.bots.get_mut(index) {
            bot.back.is_doomed = true;
            self.touch(index);
        }
    }

    /// True while a bot has no client that could play.
    pub(crate) fn is_killed(&self, index: usize) -> bool {
        let bot = self.bots.get(index);
        bot.is_some_and(|bot| bot.back.is_relaunch && !bot.stage.is_present())
    }

    /// Kills a bot's client, if it is there and has a ticket, and starts another.
    pub(crate) fn relaunch(&mut self, index: usize, now: Timestamp) {
        let wallet = self.options.wallet();
        let Some(bot) = self.bots.get_mut(index) else {
            return;
        };
        let is_there = bot.stage.is_present() && matches!(bot.core.state(), State::Active(_));
        if !is_there {
            return;
        }
        let ticket = match bot.read_ticket(wallet) {
            Ok(Some(ticket)) => ticket,
            Ok(None) => return,
            Err(fault) => return bot.fail(fault, &mut self.tally, now),
        };
        bot.back.lives += 1;
        let (place, life) = (bot.place, bot.back.lives);
        let mut rng = self
            .identity
            .fork(&format!("bot {} life {life}", place.bot));
        let mut options = self.client_options(place, &mut rng);
        options.identity = StaticKeys::generate(&mut rng);
        options.ticket = Some(ticket);
        let core = Core::new(options, rng, now);
        if let Some(bot) = self.bots.get_mut(index) {
            bot.relaunch(core, &mut self.tally, now);
        }
        self.returning.add(place.socket, index);
        self.touch(index);
    }
}

/// What is said of a bot that lost its connection before it had its seat.
fn unseated(loss: Loss) -> Fault {
    let reason = match loss {
        Loss::Closed(reason) => reason,
        Loss::Silence | Loss::Forgotten | _ => CloseReason::TimedOut,
    };
    let ended = Ended::Closed(reason);
    Fault {
        cause: cause_of(&ended),
        text: ended.to_string(),
    }
}

fn lost(text: String) -> Fault {
    Fault {
        cause: Cause::Lost,
        text,
    }
}
