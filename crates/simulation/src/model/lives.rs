//! What players sent to rooms, and how much of it the rooms may show.
//!
//! A life is what one stay saw. Within it the room counts from zero and its chain grows by each input; a client
//! started anew goes on at the room's cursor. After a loss of power a room may go on from where it stood some moments
//! before: then each client is told how many of its acknowledged inputs are gone.

use std::collections::{BTreeMap, BTreeSet};

use rejoin_protocol::{PlayerId, RoomId, Stay, Timestamp};

use super::life::Life;
use crate::content::Input;
use crate::model::Site;
use crate::report::{Violation, ensure};

/// A stay of a player in a room.
pub(crate) type StayOf = (Site, PlayerId, Stay);

/// All lives, by room and player, the newest last.
#[derive(Debug, Default)]
pub(crate) struct Lives {
    by_seat: BTreeMap<(Site, PlayerId), Seat>,
    /// True if rooms acknowledge what is on the medium.
    synced: bool,
    /// Losses of power and of rooms that rotted so far.
    generation: u64,
    /// Rooms that have rotted.
    rotten: BTreeSet<RoomId>,
}

/// The lives of one player in one room.
#[derive(Debug, Default)]
struct Seat {
    lives: Vec<(Stay, Life)>,
    /// One may have been taken and given up again that no client was told of.
    unheard: bool,
}

/// How a client came to a seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// Its first answer for this room.
    New,
    /// It had been told of the seat before.
    Repeated,
}

/// Where a room says that a seat stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) cursor: u64,
    /// How many numbers up to it stand for inputs that are gone.
    pub(crate) lost: u64,
    /// When that was told.
    pub(crate) at: Timestamp,
    /// False if something was lost since: it need not stand there any more.
    pub(crate) holds: bool,
}

impl Lives {
    /// No lives, of rooms that acknowledge what is on the medium, or what they applied.
    pub(crate) fn new(synced: bool) -> Self {
        Self {
            synced,
            ..Self::default()
        }
    }

    /// Power was lost. What was told before `durable` was on the medium, and all that a synced room ever told.
    pub(crate) fn on_power_lost(&mut self, durable: Timestamp) {
        if self.synced {
            return;
        }
        self.generation += 1;
        let lives = self.by_seat.values_mut().flat_map(|seat| &mut seat.lives);
        lives.for_each(|(_, life)| life.on_power_lost(durable));
    }

    /// Bits have flipped in what was stored of these rooms: anything at their end may be gone.
    pub(crate) fn on_rotten(&mut self, rooms: BTreeSet<RoomId>) {
        for ((site, _), seat) in &mut self.by_seat {
            if rooms.contains(&site.room) {
                seat.lives.iter_mut().for_each(|(_, life)| life.on_rotten());
            }
        }
        self.rotten.extend(rooms);
    }

    /// True if what a process before the newest loss told of a room holds.
    pub(crate) fn is_firm(&self, room: RoomId) -> bool {
        self.synced && !self.has_rotted(room)
    }

    /// True if bits of it have flipped.
    pub(crate) fn has_rotted(&self, room: RoomId) -> bool {
        self.rotten.contains(&room)
    }

    /// A player was told of a seat.
    pub(crate) fn seated(
        &mut self,
        of: StayOf,
        told: Standing,
        arrival: Arrival,
    ) -> Result<(), Violation> {
        let (room, player, stay) = of;
        let Standing {
            cursor, lost, at, ..
        } = told;
        self.find_again(of);
        let lives = self.by_seat.entry((room, player)).or_default();
        if lives.get_mut(stay).is_none() {
            let told = || format!("{player} in {room}: {stay:?} starts at {cursor}");
            ensure(cursor == lost, "a fresh seat starts at cursor 0", told)?;
            let may_start = lives
                .last()
                .is_none_or(|life| life.over || life.may_be_over);
            ensure(may_start, "no seat is lost without a cause", told)?;
            lives.add(stay, at);
            return Ok(());
        }
        match arrival {
            // What the client before had sent and the room had not applied died with it.
            Arrival::New => self.stands(of, told),
            // An answer to a repeated request may be older than what views told since.
            Arrival::Repeated if told.holds => self.covered(of, cursor, at),
            Arrival::Repeated => Ok(()),
        }
    }

    /// A client that another one has replaced is told of a seat.
    pub(crate) fn noted(&mut self, (room, player, stay): StayOf, at: Timestamp) {
        let lives = self.by_seat.entry((room, player)).or_default();
        if lives.get_mut(stay).is_none() {
            lives.add(stay, at);
        }
    }

    /// A client is back on its seat, and sends again what it `kept` beyond the cursor. What another client of the player
    /// has sent meanwhile and the room has not applied died with that one.
    pub(crate) fn resumed(
        &mut self,
        of: StayOf,
        told: Standing,
        kept: &[(u64, Input)],
    ) -> Result<(), Violation> {
        self.find_again(of);
        self.stands(of, told)?;
        let kept = kept.iter().filter(|(number, _)| *number > told.cursor);
        for (number, input) in kept {
            self.sent(of, *number, input)?;
        }
        Ok(())
    }

    /// After a loss a seat that was given up may be there again, and what came after it not.
    fn find_again(&mut self, (room, player, stay): StayOf) {
        if self.generation > 0
            && let Some(lives) = self.by_seat.get_mut(&(room, player))
        {
            lives.move_last(stay);
        }
    }

    /// The room stands there, and goes on from there.
    fn stands(&mut self, of: StayOf, told: Standing) -> Result<(), Violation> {
        let (room, player, _) = of;
        let generation = self.generation;
        let life = self.life(of)?;
        let Standing {
            cursor,
            lost,
            at,
            holds,
        } = told;
        let words = || {
            let (acked, sent) = (life.acked, life.sent());
            format!("{player} in {room}: {told:?}, told {acked}, sent {sent}")
        };
        ensure(cursor >= life.acked, "a cursor never falls", words)?;
        ensure(
            lost == 0 || life.lost_power,
            "what is acknowledged is lost by a loss of power alone",
            words,
        )?;
        let count = cursor.saturating_sub(lost);
        ensure(
            count >= life.count_at(life.acked),
            "what is on the medium is not lost",
            words,
        )?;
        ensure(
            count <= life.total().0,
            "a cursor covers only what was sent",
            words,
        )?;
        ensure(
            count >= life.durable,
            "what is told once it is durable has happened",
            || format!("{player} in {room}: {count} of {}", life.durable),
        )?;
        if life.lost_power {
            life.pass_over(count, cursor, generation.saturating_sub(1));
        } else {
            life.cut(cursor);
        }
        if holds {
            life.on_acked(cursor, at);
        }
        Ok(())
    }

    /// That client of the player was told last how far the seat stands, and goes on from there.
    pub(crate) fn claimed(&mut self, of: StayOf, client: usize) {
        if let Ok(life) = self.life(of) {
            life.client = Some(client);
        }
    }

    /// True if that client goes on with the seat.
    pub(crate) fn is_of(&self, (room, player, stay): StayOf, client: usize) -> bool {
        let lives = self.by_seat.get(&(room, player));
        let life = lives.and_then(|seat| seat.lives.last());
        life.is_some_and(|(of, life)| *of == stay && life.client == Some(client))
    }

    /// The player's client took a reliable input and named it `number`.
    pub(crate) fn sent(&mut self, of: StayOf, number: u64, input: &Input) -> Result<(), Violation> {
        let (room, player, _) = of;
        let life = self.life(of)?;
        let expected = life.sent() + 1;
        ensure(
            number == expected,
            "inputs are numbered without gaps",
            || format!("{player} in {room}: {number} in place of {expected}"),
        )?;
        life.push(input);
        Ok(())
    }

    /// The player was told that the room has applied all up to `cursor`. An older client of the
    /// same player may be told less than a newer one.
    pub(crate) fn covered(
        &mut self,
        of: StayOf,
        cursor: u64,
        at: Timestamp,
    ) -> Result<(), Violation> {
        let (room, player, _) = of;
        let life = self.life(of)?;
        let sent = life.sent();
        ensure(cursor <= sent, "a cursor covers only what was sent", || {
            format!("{player} in {room}: {cursor} of {sent} sent")
        })?;
        life.on_acked(cursor, at);
        Ok(())
    }

    /// The player was told of its input that is the `count`th applied, once that was durable.
    pub(crate) fn durable(&mut self, of: StayOf, count: u64) {
        if let Ok(life) = self.life(of) {
            life.durable = life.durable.max(count);
        }
    }

    /// A player lost its connection before it heard whether it has the seat that it asked for.
    pub(crate) fn lost_unheard(&mut self, room: Site, player: PlayerId) {
        self.by_seat.entry((room, player)).or_default().unheard = true;
    }

    /// The seat may be lost: it was given back, the room was closed, the hold ran out.
    pub(crate) fn may_end(&mut self, room: Site, player: PlayerId) {
        let lives = self.by_seat.get_mut(&(room, player));
        if let Some((_, life)) = lives.and_then(|seat| seat.lives.last_mut()) {
            life.may_be_over = true;
        }
    }

    /// The player was told that the seat is lost.
    pub(crate) fn ended(&mut self, of: StayOf) {
        if let Ok(life) = self.life(of) {
            life.over = true;
        }
    }

    /// True if the player may ever have lost a seat in `room`.
    pub(crate) fn may_have_ended(&self, room: Site, player: PlayerId) -> bool {
        let lives = self.by_seat.get(&(room, player));
        lives.is_none_or(|seat| {
            let mut lives = seat.lives.iter();
            seat.unheard || lives.any(|(_, life)| life.may_be_over || life.over)
        })
    }

    /// Which life a row of a view belongs to that a client of that generation was shown. `None` for the first moment of
    /// any life.
    pub(crate) fn place(
        &self,
        (room, player): (Site, PlayerId),
        (count, chain): (u64, u64),
        generation: u64,
    ) -> Result<Option<Stay>, Violation> {
        if count == 0 && chain == 0 {
            return Ok(None);
        }
        let lives = self.by_seat.get(&(room, player));
        let mut lives = lives.into_iter().flat_map(|seat| &seat.lives);
        let place = lives.rfind(|(_, life)| life.shows(count, chain, generation));
        let place = place.map(|(stay, _)| *stay);
        ensure(
            place.is_some(),
            "a room applies each input once and in order",
            || {
                let (sent, _) = self.total(room, player);
                format!(
                    "{player} in {room}: no {count} inputs of {sent} sent give chain {chain:016x}"
                )
            },
        )?;
        Ok(place)
    }

    /// Count and chain once all that the player sent is applied.
    pub(crate) fn total(&self, room: Site, player: PlayerId) -> (u64, u64) {
        self.last(room, player).map_or((0, 0), Life::total)
    }

    /// The newest number that the player gave an input.
    pub(crate) fn newest(&self, room: Site, player: PlayerId) -> u64 {
        self.last(room, player).map_or(0, Life::sent)
    }

    fn last(&self, room: Site, player: PlayerId) -> Option<&Life> {
        self.by_seat.get(&(room, player)).and_then(Seat::last)
    }

    fn life(&mut self, (room, player, stay): StayOf) -> Result<&mut Life, Violation> {
        let lives = self.by_seat.get_mut(&(room, player));
        let life = lives.and_then(|lives| lives.get_mut(stay));
        life.ok_or_else(|| {
            let told = format!("{player} in {room}: {stay:?}");
            Violation::new("only seated players are told of a room", told)
        })
    }
}

impl Seat {
    fn last(&self) -> Option<&Life> {
        self.lives.last().map(|(_, life)| life)
    }

    fn get_mut(&mut self, stay: Stay) -> Option<&mut Life> {
        let mut lives = self.lives.iter_mut().rev();
        lives.find(|(of, _)| *of == stay).map(|(_, life)| life)
    }

    fn move_last(&mut self, stay: Stay) {
        if let Some(place) = self.lives.iter().position(|(of, _)| *of == stay) {
            let known = self.lives.remove(place);
            self.lives.push(known);
        }
    }

    /// A room counts its stays from where it draws: one a little below the newest is an older one that was heard of late,
    /// and one far from it is of a room that was opened anew.
    fn add(&mut self, stay: Stay, at: Timestamp) {
        let later = self.lives.iter().rev();
        let later = later.take_while(|(of, _)| (1..FAR).contains(&of.0.wrapping_sub(stay.0)));
        let place = self.lives.len() - later.count();
        self.lives.insert(place, (stay, Life::new(at)));
    }
}

/// No room has so many stays.
const FAR: u64 = 1 << 32;

#[cfg(test)]
mod tests;
