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

use std::ops::AddAssign;
use std::path::Path;
use std::time::Duration;

use rejoin_client::{Core, Event, State, Ticket, TicketFile};
use rejoin_protocol::crypto::{PublicKey, StaticKeys};
use rejoin_protocol::message::Seated;
use rejoin_protocol::{ConnectionId, PlayerId, Timestamp};
use serde::Serialize;

use crate::behaviour::Behaviour;
use crate::bot::{Bot, BotStage, Surroundings};
use crate::crew::Crew;
use crate::fault::{Fault, wrong};
use crate::measure::Percentiles;
use crate::report::Cause;
use crate::tally::Tally;

/// How long a bot plays on after its process was killed: longer than it should need to be back.
pub(crate) const PLAYED_AFTER: Duration = Duration::from_secs(1);

/// What came of the ways back of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Resumes {
    /// How many there were.
    pub counts: ResumeCounts,
    /// From the loss of a connection, or a relaunch, to the first view applied after it. What was not over by
    /// the end counts for as long as it had been.
    pub resume: Percentiles,
    /// From the loss of a connection until there was one again.
    pub away: Percentiles,
}

/// Counts of ways back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ResumeCounts {
    /// Bots that were back in their seat (idle: session), each time.
    pub ok: u64,
    /// Bots that were not.
    pub failed: u64,
    /// Clients that were killed.
    pub killed: u64,
    /// Reliable inputs that died with their client: the room had not applied them, and never did.
    pub died: u64,
}

impl AddAssign for ResumeCounts {
    fn add_assign(&mut self, other: Self) {
        self.ok += other.ok;
        self.failed += other.failed;
        self.killed += other.killed;
        self.died += other.died;
    }
}

/// One bot's way back.
#[derive(Debug, Default)]
pub(crate) struct WayBack {
    /// Since when it is on its way.
    since: Option<Timestamp>,
    /// True once its room has answered: the next view ends the way.
    is_answered: bool,
    /// True while a new client takes the place of one that was killed.
    pub(crate) is_relaunch: bool,
    /// Who it was before.
    player: Option<PlayerId>,
    /// True if its client is to be killed once everything has been sent.
    is_doomed: bool,
    /// The newest ticket, unless it is in a file.
    ticket: Option<String>,
    /// Packets that its dead clients took for lost.
    pub(crate) lost_before: u64,
    lives: u64,
}

impl WayBack {
    /// The connection is lost.
    pub(crate) fn on_away(&mut self, now: Timestamp) {
        self.since.get_or_insert(now);
        self.is_answered = false;
    }

    /// The room has answered.
    pub(crate) fn on_answer(&mut self) {
        self.is_answered = self.since.is_some();
    }

    /// True until it is in its seat again.
    pub(crate) fn is_pending(&self) -> bool {
        self.since.is_some()
    }

    /// True if the next view is the first since the room answered.
    pub(crate) fn is_answered(&self) -> bool {
        self.is_answered
    }

    /// It is back.
    pub(crate) fn finish(&mut self, tally: &mut Tally, now: Timestamp) {
        if let Some(since) = self.since.take() {
            tally.resumes.ok += 1;
            tally.measures.resume.add(now.since(since));
        }
        (self.is_answered, self.is_relaunch) = (false, false);
    }

    /// It will not be back.
    pub(crate) fn give_up(&mut self, tally: &mut Tally, now: Timestamp) {
        if let Some(since) = self.since.take() {
            tally.resumes.failed += 1;
            tally.measures.resume.add(now.since(since));
        }
    }

    /// Takes the order to kill its client.
    pub(crate) fn take_doom(&mut self) -> bool {
        std::mem::take(&mut self.is_doomed)
    }
}

/// Where the tickets of a run's bots are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wallet<'a> {
    /// A file for each; `None`: in memory.
    pub(crate) folder: Option<&'a Path>,
    pub(crate) server: PublicKey,
}

impl Wallet<'_> {
    fn file(self, bot: usize) -> Option<TicketFile> {
        let folder = self.folder?;
        let path = folder.join(format!("bot-{bot}.ticket"));
        Some(TicketFile::new(path, self.server))
    }
}

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
        self.back.is_answered = false;
        self.back.since.get_or_insert(now);
        self.probes.on_killed();
        tally.resumes.killed += 1;
    }

    /// Takes what its client tells of the way back.
    pub(crate) fn on_way_back(
        &mut self,
        event: &Event,
        around: &mut Surroundings<'_, B>,
    ) -> Result<(), Fault> {
        if let Event::Away(_) = event {
            self.back.on_away(around.now);
        }
        if let Event::Back { away } = event {
            around.tally.measures.away.add(*away);
            if self.stage == BotStage::Idle {
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
        self.returning.push(index);
        self.touch(index);
    }
}

/// A reset names a connection as its client's packets do, and carries no label either.
pub(crate) fn take_reset<B: Behaviour>(
    bots: &mut [Bot<B>],
    connection: ConnectionId,
    datagram: &mut [u8],
    now: Timestamp,
) -> Option<usize> {
    let is_meant = |bot: &Bot<B>| bot.core.connection_id() == Some(connection);
    let index = bots.iter().position(is_meant)?;
    bots.get_mut(index)?.core.handle_datagram(datagram, now);
    Some(index)
}

fn lost(text: String) -> Fault {
    Fault {
        cause: Cause::Lost,
        text,
    }
}

#[cfg(test)]
mod tests {
    use rejoin_client::{Options, Permit};
    use rejoin_protocol::handshake::{Welcome, open_hello};
    use rejoin_protocol::reset::{self, ResetKey};
    use rejoin_protocol::{Epoch, Incarnation, Rng, SessionId};

    use super::*;
    use crate::arena_bot::ArenaBot;
    use crate::bot::Place;

    #[test]
    fn the_way_back_ends_with_the_first_view_after_the_rooms_answer() {
        let mut tally = Tally::new(Duration::ZERO);
        let mut back = WayBack::default();
        back.on_answer();
        assert!(!back.is_answered(), "it was never away");
        back.on_away(Timestamp::from_millis(100));
        back.on_away(Timestamp::from_millis(150));
        assert!(back.is_pending() && !back.is_answered());
        back.on_answer();
        assert!(back.is_answered());
        back.finish(&mut tally, Timestamp::from_millis(180));
        assert!(!back.is_pending() && !back.is_answered());
        assert_eq!((tally.resumes.ok, tally.resumes.failed), (1, 0));
        let took = tally.measures.resume.percentiles();
        assert!(
            took.count == 1 && took.max_us.abs_diff(80_000) < 100,
            "{took:?}"
        );
    }

    #[test]
    fn who_is_not_back_by_the_end_has_failed_once() {
        let mut tally = Tally::new(Duration::ZERO);
        let mut back = WayBack::default();
        back.on_away(Timestamp::from_millis(100));
        back.give_up(&mut tally, Timestamp::from_millis(5_100));
        back.give_up(&mut tally, Timestamp::from_millis(9_100));
        assert_eq!((tally.resumes.ok, tally.resumes.failed), (0, 1));
        assert_eq!(tally.measures.resume.percentiles().count, 1);
    }

    /// A bot whose client has a connection of that name.
    fn connected(index: usize, connection: ConnectionId) -> Bot<ArenaBot> {
        let server = StaticKeys::development();
        let mut rng = Rng::from_number(7).fork(&format!("bot {index}"));
        let identity = StaticKeys::generate(&mut rng);
        let options = Options::new(server.public(), identity, Permit::dev("ana"), 1);
        let mut core = Core::new(options, rng.fork("core"), Timestamp::ZERO);
        let (mut hello, mut reply) = (Vec::new(), Vec::new());
        assert!(core.poll_transmit(&mut hello, Timestamp::ZERO));
        let hello = open_hello(&hello, &server, &mut rng).unwrap();
        let welcome = Welcome {
            version: hello.version,
            suite: hello.suite.number(),
            connection: connection.0,
            session: SessionId([9; 16]),
            incarnation: Incarnation(1),
            epoch: Epoch(1),
            reset_token: ResetKey::of(&[6; 32]).token(Epoch(1), connection),
        };
        drop(hello.accept(&welcome, &mut reply));
        core.handle_datagram(&mut reply, Timestamp::ZERO);
        let place = Place {
            bot: index,
            index,
            room: 0,
            socket: 0,
        };
        Bot::new(core, place, rng, Timestamp::ZERO)
    }

    #[test]
    fn a_reset_goes_to_the_bot_whose_connection_it_names() {
        let id = |number| ConnectionId([0, 0, 0, number]);
        let mut bots = [0, 1, 2].map(|index| connected(usize::from(index), id(index + 10)));
        let key = ResetKey::of(&[6; 32]);
        let mut take = |number: u8, named: u8| {
            let token = key.token(Epoch(1), id(named));
            let mut datagram = reset::encode(id(number), token);
            let taker = take_reset(&mut bots, id(number), &mut datagram, Timestamp::ZERO);
            let away = bots.iter().map(|bot| *bot.core.state() == State::Away);
            (taker, away.collect::<Vec<_>>())
        };
        assert_eq!(take(9, 9), (None, vec![false; 3]), "nobody's");
        assert_eq!(take(11, 12), (Some(1), vec![false; 3]), "not its token");
        assert_eq!(take(11, 11), (Some(1), vec![false, true, false]));
        assert_eq!(take(12, 12), (Some(2), vec![false, true, true]));
    }
}
