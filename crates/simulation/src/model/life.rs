//! What one player sent to one room, and how much of it the room may show.
//!
//! A life is what one stay saw. Within it the room counts from zero and its chain grows by each input; a client
//! started anew goes on at the room's cursor.

use std::collections::BTreeMap;

use rejoin_protocol::{PlayerId, Stay};

use crate::content::Input;
use crate::model::Site;
use crate::report::{Violation, ensure};

/// A stay of a player in a room.
pub(crate) type StayOf = (Site, PlayerId, Stay);

/// All lives, by room and player. A room counts its stays, so the newest is the last.
#[derive(Debug, Default)]
pub(crate) struct Lives {
    by_seat: BTreeMap<(Site, PlayerId), BTreeMap<Stay, Life>>,
}

/// One life.
#[derive(Clone, Debug)]
struct Life {
    /// The chain after each number of inputs, from none on.
    chains: Vec<u64>,
    /// The newest input that the player was told is applied.
    acked: u64,
    /// True if the seat may be lost without the player's knowledge.
    may_be_over: bool,
    /// True if the player was told that the seat is lost.
    over: bool,
    /// The client that knows how far it stands; others' inputs would not follow.
    client: Option<usize>,
}

/// How a client came to a seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// Its first answer for this room.
    New,
    /// It had been told of the seat before.
    Repeated,
}

impl Lives {
    /// A player was told of a seat at `cursor`.
    pub(crate) fn seated(
        &mut self,
        (room, player, stay): StayOf,
        cursor: u64,
        arrival: Arrival,
    ) -> Result<(), Violation> {
        let lives = self.by_seat.entry((room, player)).or_default();
        let Some(life) = lives.get_mut(&stay) else {
            let told = || format!("{player} in {room}: {stay:?} starts at {cursor}");
            ensure(cursor == 0, "a fresh seat starts at cursor 0", told)?;
            let before = lives.last_key_value();
            let may_start = before.is_none_or(|(_, life)| life.over || life.may_be_over);
            ensure(may_start, "no seat is lost without a cause", told)?;
            lives.insert(stay, Life::new());
            return Ok(());
        };
        let told = || {
            format!(
                "{player} in {room}: seat at {cursor}, told {}, sent {}",
                life.acked,
                life.sent()
            )
        };
        ensure(
            cursor <= life.sent(),
            "a cursor covers only what was sent",
            told,
        )?;
        if arrival == Arrival::New {
            ensure(cursor >= life.acked, "a cursor never falls", told)?;
            // What the client before had sent and the room had not applied died with it.
            life.cut(cursor);
        }
        // An answer to a repeated request may be older than what views told since.
        life.acked = life.acked.max(cursor);
        Ok(())
    }

    /// A client that another one has replaced is told of a seat.
    pub(crate) fn noted(&mut self, (room, player, stay): StayOf) {
        let lives = self.by_seat.entry((room, player)).or_default();
        lives.entry(stay).or_insert_with(Life::new);
    }

    /// A client is back on its seat, which stands at `cursor`, and sends again what it `kept` beyond. What another
    /// client of the player has sent meanwhile and the room has not applied died with that one.
    pub(crate) fn resumed(
        &mut self,
        of: StayOf,
        cursor: u64,
        kept: &[(u64, Input)],
    ) -> Result<(), Violation> {
        let (room, player, _) = of;
        let life = self.life(of)?;
        let told = || {
            format!(
                "{player} in {room}: back at {cursor}, told {}, sent {}",
                life.acked,
                life.sent()
            )
        };
        ensure(cursor >= life.acked, "a cursor never falls", told)?;
        ensure(
            cursor <= life.sent(),
            "a cursor covers only what was sent",
            told,
        )?;
        life.acked = cursor;
        life.cut(cursor);
        for (number, input) in kept.iter().filter(|(number, _)| *number > cursor) {
            self.sent(of, *number, input)?;
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
        let life = lives.and_then(|lives| lives.last_key_value());
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
        let before = life.chains.last().copied().unwrap_or(0);
        life.chains.push(input.chain(before));
        Ok(())
    }

    /// The player was told that the room has applied all up to `cursor`. An older client of the
    /// same player may be told less than a newer one.
    pub(crate) fn covered(&mut self, of: StayOf, cursor: u64) -> Result<(), Violation> {
        let (room, player, _) = of;
        let life = self.life(of)?;
        let sent = life.sent();
        ensure(cursor <= sent, "a cursor covers only what was sent", || {
            format!("{player} in {room}: {cursor} of {sent} sent")
        })?;
        life.acked = life.acked.max(cursor);
        Ok(())
    }

    /// The seat may be lost: it was given back, the room was closed, the hold ran out.
    pub(crate) fn may_end(&mut self, room: Site, player: PlayerId) {
        let lives = self.by_seat.get_mut(&(room, player));
        if let Some(mut life) = lives.and_then(|lives| lives.last_entry()) {
            life.get_mut().may_be_over = true;
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
        lives.is_none_or(|lives| lives.values().any(|life| life.may_be_over || life.over))
    }

    /// Which life a row of a view belongs to. `None` for the first moment of any life.
    pub(crate) fn place(
        &self,
        (room, player): (Site, PlayerId),
        (count, chain): (u64, u64),
    ) -> Result<Option<Stay>, Violation> {
        if count == 0 && chain == 0 {
            return Ok(None);
        }
        let mut lives = self.by_seat.get(&(room, player)).into_iter().flatten();
        let place = lives.rfind(|(_, life)| life.shows(count, chain));
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
        self.by_seat
            .get(&(room, player))
            .and_then(|lives| lives.last_key_value())
            .map_or((0, 0), |(_, life)| {
                (life.sent(), life.chains.last().copied().unwrap_or(0))
            })
    }

    fn life(&mut self, (room, player, stay): StayOf) -> Result<&mut Life, Violation> {
        let lives = self.by_seat.get_mut(&(room, player));
        let life = lives.and_then(|lives| lives.get_mut(&stay));
        life.ok_or_else(|| {
            let told = format!("{player} in {room}: {stay:?}");
            Violation::new("only seated players are told of a room", told)
        })
    }
}

impl Life {
    fn new() -> Self {
        Self {
            chains: vec![0],
            acked: 0,
            may_be_over: false,
            over: false,
            client: None,
        }
    }

    fn sent(&self) -> u64 {
        u64::try_from(self.chains.len() - 1).expect("a length in memory fits 64 bits")
    }

    fn cut(&mut self, cursor: u64) {
        let keep = usize::try_from(cursor).expect("the cursor is no more than a length");
        self.chains.truncate(keep + 1);
    }

    fn shows(&self, count: u64, chain: u64) -> bool {
        usize::try_from(count).is_ok_and(|count| self.chains.get(count) == Some(&chain))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Mark;
    use crate::options::RoomKind;
    use rejoin_protocol::RoomId;

    const SITE: Site = Site {
        era: 1,
        room: RoomId([1; 16]),
    };
    const SEAT: (Site, PlayerId) = (SITE, PlayerId(5));
    const FIRST: StayOf = (SITE, PlayerId(5), Stay(1));
    const SECOND: StayOf = (SITE, PlayerId(5), Stay(2));

    fn input(number: u64) -> Input {
        RoomKind::Witness.input(
            Mark {
                counter: number,
                place: number,
            },
            true,
        )
    }

    fn seated_with(inputs: u64) -> Lives {
        let mut lives = Lives::default();
        lives.seated(FIRST, 0, Arrival::New).unwrap();
        for number in 1..=inputs {
            lives.sent(FIRST, number, &input(number)).unwrap();
        }
        lives
    }

    fn chain(numbers: &[u64]) -> u64 {
        numbers
            .iter()
            .fold(0, |sum, number| input(*number).chain(sum))
    }

    #[test]
    fn any_prefix_may_be_shown_and_nothing_else() {
        let lives = seated_with(3);
        assert_eq!(lives.place(SEAT, (0, 0)), Ok(None));
        assert_eq!(lives.place(SEAT, (2, chain(&[1, 2]))), Ok(Some(FIRST.2)));
        assert!(lives.place(SEAT, (2, chain(&[2, 1]))).is_err());
        assert!(lives.place(SEAT, (3, chain(&[1, 2, 2]))).is_err());
        assert!(lives.place(SEAT, (4, chain(&[1, 2, 3, 4]))).is_err());
    }

    #[test]
    fn a_cursor_neither_falls_nor_runs_ahead() {
        let mut lives = seated_with(3);
        lives.covered(FIRST, 2).unwrap();
        assert!(lives.covered(FIRST, 4).is_err());
        assert!(lives.seated(FIRST, 4, Arrival::Repeated).is_err());
        assert!(
            lives.seated(FIRST, 1, Arrival::Repeated).is_ok(),
            "a late answer"
        );
        assert!(lives.seated(FIRST, 1, Arrival::New).is_err());
    }

    #[test]
    fn a_client_started_anew_goes_on_at_the_cursor() {
        let mut lives = seated_with(3);
        lives.covered(FIRST, 1).unwrap();
        lives.seated(FIRST, 2, Arrival::New).unwrap();
        lives.sent(FIRST, 3, &input(9)).unwrap();
        assert_eq!(lives.total(SEAT.0, SEAT.1), (3, chain(&[1, 2, 9])));
        assert!(lives.place(SEAT, (3, chain(&[1, 2, 3]))).is_err());
    }

    #[test]
    fn a_seat_starts_afresh_only_if_it_may_be_lost() {
        let mut lives = seated_with(2);
        lives.covered(FIRST, 2).unwrap();
        assert!(lives.seated(SECOND, 0, Arrival::New).is_err());
        lives.may_end(SEAT.0, SEAT.1);
        lives.seated(SECOND, 0, Arrival::New).unwrap();
        lives.sent(SECOND, 1, &input(7)).unwrap();
        assert_eq!(lives.place(SEAT, (1, chain(&[7]))), Ok(Some(SECOND.2)));
        assert_eq!(lives.place(SEAT, (2, chain(&[1, 2]))), Ok(Some(FIRST.2)));
        lives.ended(FIRST);
        assert!(lives.seated(SECOND, 1, Arrival::New).is_ok(), "it goes on");
    }

    #[test]
    fn inputs_are_numbered_without_gaps() {
        assert!(seated_with(2).sent(FIRST, 4, &input(4)).is_err());
    }
}
