//! The bots of one thread: their sockets, timers and rooms.
//!
//! Owned by a worker, which says when to do what. One pass is: receive, wake, step, flush.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use rejoin_client::{
    Core, Credentials, Event, Options as ClientOptions, Permit, suites_of_this_processor,
};
use rejoin_protocol::crypto::StaticKeys;
use rejoin_protocol::handshake::ClientHandshake;
use rejoin_protocol::limits::JOIN_TIMEOUT;
use rejoin_protocol::{Rng, Timestamp, reset};

use crate::agreement::{Agreement, Held};
use crate::behaviour::Behaviour;
use crate::bot::{Bot, BotStage, Place, Step, Surroundings, ViewOf};
use crate::crossing::Edge;
use crate::fault::Fault;
use crate::names;
use crate::options::Options;
use crate::parts::Part;
use crate::report::Cause;
use crate::resets::take_reset;
use crate::returning::Returning;
use crate::room_request::RoomRequest;
use crate::sockets::{Carried, Sockets};
use crate::tally::Tally;

/// Longest wait for a seat once the session is open: as long as for the session itself.
const SEAT_TIMEOUT: Duration = JOIN_TIMEOUT;

/// The bots of a part.
pub(crate) struct Crew<'a, B: Behaviour> {
    pub(crate) bots: Vec<Bot<B>>,
    pub(crate) rooms: Vec<(RoomRequest, Agreement<ViewOf<B>>)>,
    pub(crate) tally: Tally,
    /// Which bots of the run these are.
    pub(crate) part: Part,
    pub(crate) sockets: Sockets,
    /// Bots that have no seat yet: few at a time.
    newcomers: Vec<usize>,
    /// Bots that have no connection, or whose client was killed, and that are on their way back.
    pub(crate) returning: Returning,
    timers: BinaryHeap<Reverse<(Timestamp, usize)>>,
    touched: Vec<usize>,
    out: Vec<u8>,
    pub(crate) options: &'a Options,
    /// Drawn from the operating system: who the bots are.
    pub(crate) identity: Rng,
    /// From the options' seed: what the bots do.
    conduct: Rng,
    tag: String,
}

/// What is still missing after the end of play.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unsettled {
    /// Bots with reliable inputs that no view covers.
    pub(crate) uncovered: usize,
    /// Rooms whose members hold different views, of those that are here whole.
    pub(crate) divided: usize,
    /// Bots whose checks do not hold yet.
    pub(crate) unproven: usize,
    /// What members here hold of the rooms that cross crews.
    pub(crate) edges: Vec<Edge>,
}

impl<'a, B: Behaviour> Crew<'a, B> {
    /// No bots yet. `entropy` is secret, drawn fresh, and the same for all crews of a run.
    pub(crate) fn new(
        options: &'a Options,
        part: Part,
        sockets: Sockets,
        entropy: [u8; 32],
    ) -> Self {
        let identity = Rng::from_seed(entropy);
        let tag = format!("{:08x}", identity.fork("tag").below(1 << 32));
        // A room that is asked for more seats than its kind allows says so itself.
        let seats = u16::try_from(options.bots_per_room()).unwrap_or(u16::MAX);
        let room = |room| {
            let agreement = Agreement::new(room, part.crossing.contains(&room));
            (RoomRequest::new(room, seats, &identity, &tag), agreement)
        };
        Self {
            bots: Vec::with_capacity(part.bots.len()),
            rooms: part.rooms.clone().map(room).collect(),
            tally: Tally::new(options.lateness_max).with_marks(options.keep_marks),
            part,
            sockets,
            newcomers: Vec::new(),
            returning: Returning::default(),
            timers: BinaryHeap::new(),
            touched: Vec::new(),
            out: Vec::with_capacity(2_048),
            options,
            identity,
            conduct: Rng::from_number(options.seed),
            tag,
        }
    }

    /// The number of the bot that joins next; `None` once all are on their way.
    pub(crate) fn next_bot(&self) -> Option<usize> {
        self.part.bots.get(self.bots.len()).copied()
    }

    /// Bots on their way to a seat.
    pub(crate) fn joining(&self) -> usize {
        self.newcomers.len()
    }

    /// Bots that do now what they joined for.
    pub(crate) fn present(&self) -> impl Iterator<Item = &Bot<B>> {
        self.bots.iter().filter(|bot| bot.stage.is_present())
    }

    /// Bots that have a seat now.
    pub(crate) fn seated(&self) -> impl Iterator<Item = &Bot<B>> {
        self.bots
            .iter()
            .filter(|bot| matches!(bot.stage, BotStage::Seated { .. }))
    }

    /// True once no bot has anything left to do.
    pub(crate) fn is_over(&self) -> bool {
        self.bots
            .iter()
            .all(|bot| matches!(bot.stage, BotStage::Gone | BotStage::Failed))
    }

    /// Sends the next bot on its way, as was planned for `planned`.
    pub(crate) fn start_bot(&mut self, planned: Timestamp, now: Timestamp) {
        let Some(bot) = self.next_bot() else { return };
        let index = self.bots.len();
        let room = bot % self.options.rooms_of_bots();
        let place = Place {
            bot,
            index,
            room: room.saturating_sub(self.part.rooms.start),
            socket: self.sockets.of_bot(index),
        };
        let mut rng = self.identity.fork(&format!("bot {bot}"));
        let options = self.client_options(place, &mut rng);
        let core = Core::new(options, rng, now);
        let conduct = self.conduct.fork(&format!("bot {bot}"));
        self.bots.push(Bot::new(core, place, conduct, planned));
        self.newcomers.push(index);
        self.touch(index);
    }

    /// What a bot's client is told when it starts.
    pub(crate) fn client_options(&self, place: Place, rng: &mut Rng) -> ClientOptions {
        let label = u32::try_from(place.index).expect("the command line bounds the number of bots");
        let given = self.options.credentials.get(place.bot).cloned();
        let Credentials { permit, identity } =
            given.unwrap_or_else(|| Permit::dev(names::of_bot(place.bot, &self.tag)).into());
        ClientOptions {
            server: self.options.server_key,
            identity: identity.unwrap_or_else(|| StaticKeys::generate(rng)),
            permit,
            suites: suites_of_this_processor(),
            receive_id: Some(label.to_be_bytes()),
            join_timeout: JOIN_TIMEOUT,
            resume_for: self.options.resume_for,
            ticket: None,
            moment: names::moment(),
        }
    }

    /// Takes all waiting datagrams. True if there was one.
    pub(crate) fn receive(&mut self, now: Timestamp) -> bool {
        let Self {
            sockets,
            bots,
            newcomers,
            returning,
            touched,
            tally,
            ..
        } = self;
        sockets.receive(|socket, datagram| {
            let is_reply = ClientHandshake::is_reply(datagram);
            let taker = if is_reply {
                let waiting = newcomers.iter().chain(returning.at(socket));
                take_reply(bots, waiting, socket, datagram, now)
            } else if let Some((id, _)) = reset::decode(datagram) {
                take_reset(bots, id, datagram, now)
            } else {
                take_packet(bots, (socket, datagram), tally, now)
            };
            if let Some(bot) = taker.and_then(|bot| bots.get_mut(bot)) {
                bot.back.on_received(is_reply || !bot.awaits_reply());
                bot.touch(touched);
            }
        })
    }

    /// Wakes the bots whose timers are due.
    pub(crate) fn wake(&mut self, now: Timestamp) {
        while let Some(&Reverse((at, index))) = self.timers.peek() {
            if at > now {
                return;
            }
            self.timers.pop();
            let Some(bot) = self.bots.get_mut(index) else {
                continue;
            };
            if bot.timer == Some(at) {
                bot.timer = None;
                bot.core.handle_timeout(now);
                self.touch(index);
            }
        }
    }

    /// When the next bot must be woken.
    pub(crate) fn next_timer(&self) -> Option<Timestamp> {
        self.timers.peek().map(|Reverse((at, _))| *at)
    }

    /// Lets a bot play a step.
    pub(crate) fn step(&mut self, index: usize, step: Step) {
        if let Some(bot) = self.bots.get_mut(index) {
            bot.step(step, &mut self.tally);
            self.touch(index);
        }
    }

    /// Lets a bot send a probe.
    pub(crate) fn probe(&mut self, index: usize, planned: Timestamp, now: Timestamp) {
        if let Some(bot) = self.bots.get_mut(index) {
            bot.probe(planned, &mut self.tally, now);
            self.touch(index);
        }
    }

    /// Lets every touched bot take its events and send.
    pub(crate) fn flush(&mut self, now: Timestamp) {
        // In order, so that a run reads the same way twice.
        let mut touched = std::mem::take(&mut self.touched);
        touched.sort_unstable();
        for index in touched.drain(..) {
            self.flush_bot(index, now);
        }
        // Whose client was killed meanwhile has a hello to send.
        touched.append(&mut self.touched);
        self.touched = touched;
        let bots = &self.bots;
        self.newcomers.retain(|index| {
            let stage = bots.get(*index).map(|bot| bot.stage);
            matches!(stage, Some(BotStage::Joining | BotStage::Seating { .. }))
        });
        let waits = |index: usize| bots.get(index).is_some_and(Bot::awaits_reply);
        self.returning.tidy(waits);
    }

    /// Fails the bots that wait too long for a seat.
    pub(crate) fn give_up_on_seats(&mut self, now: Timestamp) {
        for index in self.newcomers.clone() {
            let Some(bot) = self.bots.get_mut(index) else {
                continue;
            };
            let seating = matches!(bot.stage, BotStage::Seating { .. });
            if seating && now.since(bot.started()) > JOIN_TIMEOUT + SEAT_TIMEOUT {
                let text = format!("no seat within {SEAT_TIMEOUT:?}");
                bot.fail(
                    Fault {
                        cause: Cause::Lost,
                        text,
                    },
                    &mut self.tally,
                    now,
                );
                self.touch(index);
            }
        }
    }

    /// Lets bots repeat the latest inputs that their rooms do not show yet.
    pub(crate) fn repeat_latest(&mut self) {
        for bot in &mut self.bots {
            if bot.repeat_latest() {
                bot.touch(&mut self.touched);
            }
        }
    }

    /// Breaks off all joins under way, and gives every seat back.
    pub(crate) fn leave(&mut self) {
        for index in 0..self.bots.len() {
            if let Some(bot) = self.bots.get_mut(index) {
                bot.leave();
                self.touch(index);
            }
        }
    }

    /// What is still missing after the end of play.
    pub(crate) fn unsettled(&self) -> Unsettled {
        let mut missing = Unsettled::default();
        let mut rooms: Vec<(bool, Option<&Held>)> = vec![(false, None); self.rooms.len()];
        let mut seated = vec![false; self.rooms.len()];
        let mut killed = self.bots.iter().filter(|bot| bot.back.is_relaunch);
        missing.unproven += killed
            .by_ref()
            .filter(|bot| !bot.stage.is_present())
            .count();
        for bot in self.seated() {
            missing.uncovered += usize::from(!bot.sends.all_covered());
            missing.unproven += usize::from(bot.check().is_err());
            let room = bot.place.room;
            let (Some((is_divided, holds)), Some(seated)) =
                (rooms.get_mut(room), seated.get_mut(room))
            else {
                continue;
            };
            *seated = true;
            match bot.seen() {
                None => *is_divided = true,
                Some(seen) => {
                    *is_divided |= !holds.get_or_insert(&seen.held).agrees_with(&seen.held);
                }
            }
        }
        for ((room, (is_divided, holds)), seated) in self.part.rooms.clone().zip(rooms).zip(seated)
        {
            if !self.part.crossing.contains(&room) {
                missing.divided += usize::from(is_divided);
            } else if seated {
                let holds = holds.cloned();
                missing.edges.push(Edge {
                    room,
                    is_divided,
                    holds,
                });
            }
        }
        missing
    }

    /// What went over the network so far.
    pub(crate) const fn carried(&self) -> Carried {
        self.sockets.carried()
    }

    pub(crate) fn touch(&mut self, index: usize) {
        if let Some(bot) = self.bots.get_mut(index) {
            bot.touch(&mut self.touched);
        }
    }

    fn flush_bot(&mut self, index: usize, now: Timestamp) {
        let Some(bot) = self.bots.get_mut(index) else {
            return;
        };
        bot.is_touched = false;
        let Some((request, agreement)) = self.rooms.get_mut(bot.place.room) else {
            return;
        };
        while let Some(event) = bot.core.poll_event() {
            if matches!(event, Event::Away(_)) {
                self.returning.add(bot.place.socket, index);
            }
            let tally = &mut self.tally;
            let mut around = Surroundings {
                conduct: self.options.conduct,
                request,
                agreement,
                tally,
                wallet: self.options.wallet(),
                now,
            };
            if let Err(fault) = bot.on_event(event, &mut around) {
                bot.fail(fault, &mut self.tally, now);
            }
        }
        self.out.clear();
        let silent = bot.hush.is_silent(now);
        let is_hello = bot.awaits_reply();
        while bot.core.poll_transmit(&mut self.out, now) {
            if !silent {
                bot.back.on_sent(is_hello);
                self.sockets.send(bot.place.socket, &self.out);
            }
            self.out.clear();
        }
        if let Some(at) = bot.core.poll_timeout() {
            // A timer that goes off too early is harmless; one that is too late is not.
            if bot.timer.is_none_or(|set| at < set) {
                bot.timer = Some(at);
                self.timers.push(Reverse((at, index)));
            }
        }
        if bot.back.is_pending() && !bot.awaits_reply() {
            self.returning.on_answered();
        }
        if bot.back.take_doom() {
            self.relaunch(index, now);
        }
    }
}

/// A reply to a hello carries no label: who sent that hello knows it.
fn take_reply<'n, B: Behaviour>(
    bots: &mut [Bot<B>],
    waiting: impl Iterator<Item = &'n usize>,
    socket: usize,
    datagram: &mut [u8],
    now: Timestamp,
) -> Option<usize> {
    for index in waiting {
        let Some(bot) = bots.get_mut(*index) else {
            continue;
        };
        if bot.place.socket == socket && bot.awaits_reply() {
            let dropped = bot.core.link().dropped;
            bot.core.handle_datagram(datagram, now);
            if bot.core.link().dropped == dropped {
                return Some(*index);
            }
        }
    }
    None
}

/// A packet's bytes 1 to 4 are the label that the bot asked for. It is lost if the bot is no longer at
/// that socket.
fn take_packet<B: Behaviour>(
    bots: &mut [Bot<B>],
    (socket, datagram): (usize, &mut [u8]),
    tally: &mut Tally,
    now: Timestamp,
) -> Option<usize> {
    let label: [u8; 4] = *datagram.get(1..)?.first_chunk()?;
    let index = usize::try_from(u32::from_be_bytes(label)).ok()?;
    let bot = bots.get_mut(index)?;
    if bot.place.socket != socket {
        tally.rebinds.missed += 1;
        return None;
    }
    if bot.hush.is_silent(now) {
        return None;
    }
    bot.core.handle_datagram(datagram, now);
    Some(index)
}

#[cfg(test)]
mod tests {
    use rejoin_protocol::handshake::{Cookies, Mac1Key, ReceivedHello};

    use super::*;
    use crate::arena_bot::ArenaBot;

    const NOW: Timestamp = Timestamp::from_millis(1);

    fn newcomer(index: usize, server: &StaticKeys) -> Bot<ArenaBot> {
        let rng = Rng::from_number(7).fork(&format!("bot {index}"));
        let identity = StaticKeys::generate(&mut rng.fork("identity"));
        let options = ClientOptions::new(server.public(), identity, Permit::dev("ana"), 1);
        let place = Place {
            bot: index,
            index,
            room: 0,
            socket: 0,
        };
        let core = Core::new(options, rng.fork("core"), NOW);
        Bot::new(core, place, rng, NOW)
    }

    #[test]
    fn a_cookie_goes_to_whoever_was_asked_for_it_and_is_sent_at_once() {
        let server = StaticKeys::development();
        let mut bots = [0, 1, 2].map(|index| newcomer(index, &server));
        let cookies = Cookies::new([1; 32]);
        let from = ([127, 0, 0, 1], 9).into();
        let mut hello = Vec::new();
        let demands = bots.each_mut().map(|bot| {
            hello.clear();
            assert!(bot.core.poll_transmit(&mut hello, NOW));
            assert!(!bot.core.poll_transmit(&mut Vec::new(), NOW));
            let received = ReceivedHello::read(&hello, &Mac1Key::of(&server.public()));
            received.unwrap().ask_cookie(from, &cookies, NOW)
        });
        for (index, mut demand) in demands.into_iter().enumerate().rev() {
            let taker = take_reply(&mut bots, [0, 1, 2].iter(), 0, &mut demand, NOW);
            assert_eq!(taker, Some(index));
            let bot = &mut bots[index];
            assert!(bot.core.poll_transmit(&mut Vec::new(), NOW));
        }
    }
}
