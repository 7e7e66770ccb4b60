//! Games whose state changes in different ways. Each is a pure function of its seed.

mod board;
mod cubes;
mod document;
mod inventory;
mod map;

use rejoin_protocol::{Rng, messagepack};
use serde::Serialize;

/// A game's state, which steps.
trait Game: Serialize {
    /// A tick of a thirtieth of a second.
    fn tick(&mut self, rng: &mut Rng);
}

/// A game as it is told of.
pub(crate) struct Story {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    play: fn(&mut Rng, usize) -> Vec<Vec<u8>>,
}

pub(crate) const STORIES: [Story; 6] = [
    Story {
        name: "board",
        about: "19 x 19 points; a move a second",
        play: |rng, views| play(&mut board::Board::new(), rng, views),
    },
    Story {
        name: "cubes",
        about: "901 cubes, positions and turns as integers; one rolls through the others",
        play: |rng, views| play(&mut cubes::Cubes::<cubes::Whole>::new(), rng, views),
    },
    Story {
        name: "cubes, floats",
        about: "the same as 32-bit floats",
        play: |rng, views| play(&mut cubes::Cubes::<cubes::Float>::new(), rng, views),
    },
    Story {
        name: "map",
        about: "5,000 units as tuples; a fifth of them walk, some fight",
        play: |rng, views| play(&mut map::Map::new(rng), rng, views),
    },
    Story {
        name: "inventory",
        about: "a map by name that grows from 50 to some hundred entries",
        play: |rng, views| play(&mut inventory::Inventory::new(rng), rng, views),
    },
    Story {
        name: "document",
        about: "400 lines of text; words are typed into some",
        play: |rng, views| play(&mut document::Document::new(rng), rng, views),
    },
];

impl Story {
    /// So many views in a row, as a room writes them.
    pub(crate) fn views(&self, seed: u64, count: usize) -> Vec<Vec<u8>> {
        let mut rng = Rng::from_number(seed).fork(self.name);
        (self.play)(&mut rng, count)
    }
}

fn play<G: Game>(game: &mut G, rng: &mut Rng, views: usize) -> Vec<Vec<u8>> {
    let mut view = || {
        game.tick(rng);
        messagepack::encode(game).expect("plain data can be written")
    };
    (0..views).map(|_| view()).collect()
}

/// A number from `low` to `high`, both of them included.
fn between(rng: &mut Rng, low: i32, high: i32) -> i32 {
    let span = u64::from(high.abs_diff(low)) + 1;
    low.saturating_add(i32::try_from(rng.below(span)).unwrap_or_default())
}
