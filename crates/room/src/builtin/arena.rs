//! The arena: players run about on a field. Demo, benchmark and proof of "exactly once".
//!
//! Per player it keeps a count and a hash chain over the reliable inputs it applied and shows
//! both in the view. A player who computes the same chain over what it sent proves that each
//! input was applied once and in order; no transport counter can.

use std::borrow::Cow;

use rejoin_protocol::message::SeatChange;
use rejoin_protocol::{PlayerId, Rng};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;

use crate::room::{Cx, Room};
use crate::spec::RoomSpec;

/// The arena's logic.
#[derive(Debug)]
pub struct Arena;

/// A player's wish: which way to run, and a number that makes each input distinct.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Move(
    /// Direction, -1.0 to 1.0 each.
    pub f32,
    /// See above.
    pub f32,
    /// The sender's own counter, from 1.
    pub u64,
    /// True if it travelled reliably and so belongs to the chain.
    pub bool,
);

/// What members see: one row per player, by player.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Field {
    /// Steps of the room's clock.
    pub tick: u64,
    /// The players.
    pub players: Vec<Runner>,
}

/// One player on the field.
///
/// It travels as 40 bytes, so that a row never moves within the view and a delta finds what
/// did not change; what a tick changes lies together:
///
/// ```text
/// player 8 | latest 8 | count 8 | chain 8 | x 4 | y 4      all big-endian
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "ByteArray<40>", into = "ByteArray<40>")]
pub struct Runner {
    /// Who.
    pub player: PlayerId,
    /// Place, 0.0 to [`SIDE`] each.
    pub x: f32,
    /// See above.
    pub y: f32,
    /// Reliable inputs applied.
    pub count: u64,
    /// [`chain`] over them.
    pub chain: u64,
    /// The newest latest input's counter.
    pub latest: u64,
}

/// Length of a side of the field.
pub const SIDE: f32 = 100.0;

/// Full speed, in lengths per second: five seconds from wall to wall.
pub const SPEED: f32 = 20.0;

/// Steps of the clock per second.
const HZ: u8 = 30;

/// What the arena keeps: the field, and which way each player runs.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Ground {
    field: Field,
    /// One per player of the field, in the same order.
    headings: Vec<Heading>,
}

/// Which way a player runs, -1.0 to 1.0 each.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Heading(f32, f32);

/// The chain after one more input: what room and player both compute.
///
/// Each field is mixed in by a multiplication and a rotation, so that its place and the order of
/// inputs count. It guards against defects, not against attackers.
#[must_use]
pub fn chain(before: u64, input: &Move) -> u64 {
    let Move(x, y, counter, reliable) = *input;
    let words = [
        x.to_bits().into(),
        y.to_bits().into(),
        counter,
        reliable.into(),
    ];
    words.into_iter().fold(before, |sum, word: u64| {
        // Odd constants of SplitMix64 (Steele, Lea and Flood 2014).
        let mixed = (sum ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 27))
            .wrapping_mul(0x94d0_49bb_1331_11eb)
            .rotate_left(31)
    })
}

impl Room for Arena {
    const KIND: &'static str = "arena";
    const TICK_HZ: u32 = HZ as u32;
    const MEMBERS_MAX: u16 = 64;

    type State = Ground;
    type Input = Move;
    type View = Field;
    type Event = ();

    fn open(_spec: &RoomSpec, _cx: &mut Cx<Self>) -> Ground {
        Ground::default()
    }

    fn seat(state: &mut Ground, player: PlayerId, change: SeatChange, cx: &mut Cx<Self>) {
        match change {
            SeatChange::Joined => state.enter(player, cx.rng()),
            SeatChange::Left => state.leave(player),
            // Nobody steers: the player stands still until the next input.
            SeatChange::Loading | SeatChange::Detached => state.steer(player, Heading::default()),
            SeatChange::Suspect | SeatChange::Returned => {}
        }
    }

    fn input(state: &mut Ground, from: PlayerId, input: Move, _cx: &mut Cx<Self>) {
        let Move(x, y, counter, reliable) = input;
        let Some(runner) = state.runner(from) else {
            return;
        };
        if reliable {
            runner.count += 1;
            runner.chain = chain(runner.chain, &input);
        } else if counter <= runner.latest {
            return;
        } else {
            runner.latest = counter;
        }
        state.steer(from, Heading(direction(x), direction(y)));
    }

    fn tick(state: &mut Ground, cx: &mut Cx<Self>) {
        /// Lengths per tick at full speed.
        const STEP: f32 = SPEED / HZ as f32;
        state.field.tick = cx.tick();
        for (runner, Heading(x, y)) in state.field.players.iter_mut().zip(&state.headings) {
            runner.x = (runner.x + x * STEP).clamp(0.0, SIDE);
            runner.y = (runner.y + y * STEP).clamp(0.0, SIDE);
        }
    }

    fn view(state: &Ground) -> Cow<'_, Field> {
        Cow::Borrowed(&state.field)
    }
}

impl Ground {
    fn place(&self, player: PlayerId) -> Result<usize, usize> {
        self.field
            .players
            .binary_search_by_key(&player, |runner| runner.player)
    }

    fn runner(&mut self, player: PlayerId) -> Option<&mut Runner> {
        let place = self.place(player).ok()?;
        self.field.players.get_mut(place)
    }

    fn steer(&mut self, player: PlayerId, to: Heading) {
        let heading = self
            .place(player)
            .ok()
            .and_then(|place| self.headings.get_mut(place));
        if let Some(heading) = heading {
            *heading = to;
        }
    }

    fn enter(&mut self, player: PlayerId, rng: &mut Rng) {
        let Err(place) = self.place(player) else {
            return;
        };
        let (x, y) = (spot(rng), spot(rng));
        let runner = Runner {
            player,
            x,
            y,
            count: 0,
            chain: 0,
            latest: 0,
        };
        self.field.players.insert(place, runner);
        // A stored state may hold fewer headings than players only if someone wrote it by hand.
        self.headings
            .insert(place.min(self.headings.len()), Heading::default());
    }

    fn leave(&mut self, player: PlayerId) {
        if let Ok(place) = self.place(player) {
            self.field.players.remove(place);
            if place < self.headings.len() {
                self.headings.remove(place);
            }
        }
    }
}

/// A place along one side, in steps of a tenth.
fn spot(rng: &mut Rng) -> f32 {
    const TENTHS: u16 = 1_000;
    let tenths = u16::try_from(rng.below(TENTHS.into())).expect("below a 16-bit bound");
    f32::from(tenths) * (SIDE / f32::from(TENTHS))
}

/// What a peer calls a direction, made one: a player cannot outrun the others by asking.
const fn direction(wish: f32) -> f32 {
    if wish.is_nan() {
        0.0
    } else {
        wish.clamp(-1.0, 1.0)
    }
}

impl From<Runner> for ByteArray<40> {
    fn from(runner: Runner) -> Self {
        let words = [runner.player.0, runner.latest, runner.count, runner.chain];
        let places = u64::from(runner.x.to_bits()) << 32 | u64::from(runner.y.to_bits());
        let mut row = [0; 40];
        let slots = row.chunks_exact_mut(8);
        for (slot, word) in slots.zip(words.into_iter().chain([places])) {
            slot.copy_from_slice(&word.to_be_bytes());
        }
        Self::new(row)
    }
}

impl From<ByteArray<40>> for Runner {
    fn from(row: ByteArray<40>) -> Self {
        let mut rest: &[u8] = row.as_slice();
        let mut word = || {
            let (head, tail) = rest.split_first_chunk().expect("a row has five words");
            rest = tail;
            u64::from_be_bytes(*head)
        };
        let (player, latest, count, chain) = (PlayerId(word()), word(), word(), word());
        let places = word();
        let [x, y] = [places >> 32, places & u64::from(u32::MAX)]
            .map(|bits| f32::from_bits(u32::try_from(bits).expect("half of 64 bits")));
        Self {
            player,
            x,
            y,
            count,
            chain,
            latest,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rejoin_protocol::messagepack;

    use super::*;
    use crate::TestRoom;

    #[test]
    fn the_chain_is_the_same_for_ever() {
        // Bots of one release play in rooms of the next: a changed value would accuse them.
        let first = chain(0, &Move(0.5, -1.0, 1, true));
        assert_eq!(first, 0xba3d_4e4b_2a6e_db20);
        assert_eq!(
            chain(first, &Move(0.0, 0.0, 2, true)),
            0xe773_ce71_d848_1da4
        );
    }

    #[test]
    fn a_lost_doubled_or_swapped_input_changes_the_chain() {
        let inputs = [1, 2, 3].map(|counter| Move(1.0, 0.0, counter, true));
        let [a, b, c] = &inputs;
        let over = |inputs: &[&Move]| inputs.iter().fold(0, |sum, input| chain(sum, input));
        let right = over(&[a, b, c]);
        for wrong in [&[a, c][..], &[a, b, b, c], &[a, c, b], &[b, c], &[a, b]] {
            assert_ne!(over(wrong), right);
        }
        assert_ne!(
            chain(0, &Move(1.0, 0.0, 1, true)),
            chain(0, &Move(0.0, 1.0, 1, true))
        );
    }

    #[test]
    fn reliable_inputs_are_counted_and_chained() {
        let mut room = TestRoom::<Arena>::new();
        room.join(2);
        let inputs = [Move(1.0, 0.0, 1, true), Move(0.0, 1.0, 2, true)];
        for input in inputs {
            room.input(1, input);
        }
        let [idle, player] = room.view().players.try_into().unwrap();
        assert_eq!((idle.count, idle.chain), (0, 0));
        assert_eq!(player.count, 2);
        assert_eq!(player.chain, inputs.iter().fold(0, chain));
    }

    #[test]
    fn latest_inputs_steer_and_never_go_back() {
        let mut room = TestRoom::<Arena>::new();
        room.join(1)
            .latest(0, Move(1.0, 0.0, 5, false))
            .latest(0, Move(-1.0, 0.0, 4, false))
            .latest(0, Move(-1.0, 0.0, 5, false));
        let before = room.view().players[0];
        room.ticks(1);
        let after = room.view().players[0];
        assert_eq!((after.latest, after.count), (5, 0));
        assert!(
            after.x > before.x && after.y == before.y,
            "{before:?} {after:?}"
        );
    }

    #[test]
    fn players_stop_at_the_walls_whatever_they_ask_for() {
        let mut room = TestRoom::<Arena>::new();
        room.join(3)
            .input(0, Move(f32::INFINITY, -9.0, 1, true))
            .input(1, Move(f32::NEG_INFINITY, 1e30, 1, true))
            .input(2, Move(f32::NAN, f32::NAN, 1, true));
        let third = room.view().players[2];
        room.ticks(30 * 6);
        let [first, second, still] = room.view().players.try_into().unwrap();
        assert_eq!((first.x, first.y), (SIDE, 0.0));
        assert_eq!((second.x, second.y), (0.0, SIDE));
        assert_eq!((still.x, still.y), (third.x, third.y));
        assert_eq!(room.view().tick, 180);
    }

    #[test]
    fn a_loading_player_stands_still_until_its_next_input() {
        let mut room = TestRoom::<Arena>::new();
        room.join(1).input(0, Move(0.1, 0.1, 1, true)).loading(0);
        let before = room.view().players[0];
        room.ticks(10).returns(0).ticks(10);
        assert_eq!(room.view().players[0], before);
        room.input(0, Move(0.1, 0.1, 1, true)).ticks(1);
        assert_ne!(room.view().players[0], before);
    }

    #[test]
    fn a_detached_player_stands_still_and_one_who_left_is_off_the_field() {
        let mut room = TestRoom::<Arena>::new();
        room.join(2).input(0, Move(0.1, 0.1, 1, true)).detach(0);
        let before = room.view().players[0];
        room.ticks(10);
        assert_eq!(room.view().players[0], before);
        room.leave(0);
        let players: Vec<_> = room
            .view()
            .players
            .iter()
            .map(|runner| runner.player)
            .collect();
        assert_eq!(players, [PlayerId(2)]);
    }

    #[test]
    fn a_match_survives_a_crash() {
        let mut room = TestRoom::<Arena>::new();
        room.join(4)
            .ticks(10)
            .input(2, Move(0.3, 0.7, 1, true))
            .ticks(5)
            .checkpoint();
        room.latest(1, Move(1.0, 1.0, 1, false))
            .join(1)
            .ticks(7)
            .leave(0)
            .crash_and_recover();
        room.ticks(30).crash_and_recover();
        assert_eq!(room.view().tick, 52);
    }

    #[test]
    fn a_row_has_the_same_length_whatever_it_holds() {
        let small = Runner {
            player: PlayerId(1),
            x: 0.0,
            y: 0.0,
            count: 0,
            chain: 0,
            latest: 0,
        };
        let big = Runner {
            count: u64::MAX,
            chain: u64::MAX,
            latest: u64::MAX,
            ..small
        };
        assert_eq!(messagepack::encode(&small).unwrap().len(), 42);
        assert_eq!(messagepack::encode(&big).unwrap().len(), 42);
    }

    proptest! {
        #[test]
        fn rows_read_back(player: u64, bits: (u32, u32), rest: (u64, u64, u64)) {
            let (x, y) = (f32::from_bits(bits.0), f32::from_bits(bits.1));
            let (count, chain, latest) = rest;
            let row = Runner { player: PlayerId(player), x, y, count, chain, latest };
            let read = Runner::from(ByteArray::from(row));
            prop_assert_eq!((read.x.to_bits(), read.y.to_bits()), bits);
            prop_assert_eq!((read.player, read.count, read.chain), (row.player, count, chain));
            prop_assert_eq!(read.latest, latest);
        }
    }
}
