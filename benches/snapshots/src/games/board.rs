//! A sparse board: little state, and little of it changes.

use rejoin_protocol::Rng;
use serde::Serialize;

use super::Game;

const POINTS: usize = 19 * 19;
const TICKS_A_MOVE: u64 = 30;

#[derive(Serialize)]
pub(super) struct Board {
    /// 0 empty, 1 black, 2 white.
    points: Vec<u8>,
    moves: u32,
    last: Option<u16>,
    clocks: [u32; 2],
    #[serde(skip)]
    tick: u64,
}

impl Board {
    pub(super) fn new() -> Self {
        Self {
            points: vec![0; POINTS],
            moves: 0,
            last: None,
            clocks: [30 * 60; 2],
            tick: 0,
        }
    }
}

impl Game for Board {
    fn tick(&mut self, rng: &mut Rng) {
        self.tick += 1;
        if !self.tick.is_multiple_of(TICKS_A_MOVE) {
            return;
        }
        let black = self.moves.is_multiple_of(2);
        if let Some(clock) = self.clocks.get_mut(usize::from(black)) {
            *clock = clock.saturating_sub(1);
        }
        let index = rng.index(POINTS);
        if let Some(point) = self.points.get_mut(index) {
            *point = if black { 1 } else { 2 };
        }
        self.last = u16::try_from(index).ok();
        self.moves += 1;
    }
}
