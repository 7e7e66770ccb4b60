//! A text that some write at once.

use rejoin_protocol::Rng;
use serde::Serialize;

use super::Game;

const LINES: usize = 400;
const WORDS: [&str; 24] = [
    "the", "session", "of", "a", "player", "ends", "when", "its", "room", "is", "closed", "and",
    "not", "before", "it", "was", "written", "down", "that", "nobody", "came", "back", "in",
    "time",
];

#[derive(Serialize)]
pub(super) struct Document {
    title: String,
    lines: Vec<String>,
    cursors: [(u16, u16); 4],
}

impl Document {
    pub(super) fn new(rng: &mut Rng) -> Self {
        let line = |_| {
            (0..4 + rng.index(10))
                .map(|_| word(rng))
                .collect::<Vec<_>>()
                .join(" ")
        };
        Self {
            title: "Rules of the house".to_owned(),
            lines: (0..LINES).map(line).collect(),
            cursors: [(0, 0); 4],
        }
    }
}

fn word(rng: &mut Rng) -> &'static str {
    WORDS
        .get(rng.index(WORDS.len()))
        .copied()
        .unwrap_or_default()
}

impl Game for Document {
    fn tick(&mut self, rng: &mut Rng) {
        for (line, column) in &mut self.cursors {
            if rng.chance(0.01) {
                *line = u16::try_from(rng.index(LINES)).unwrap_or_default();
                *column = 0;
            }
            // Someone types five letters a second.
            if rng.chance(5.0 / 30.0)
                && let Some(text) = self.lines.get_mut(usize::from(*line))
            {
                let letter = word(rng).chars().next().unwrap_or(' ');
                text.insert(usize::from(*column).min(text.len()), letter);
                *column += 1;
            }
        }
        if rng.chance(0.01) {
            let at = rng.index(self.lines.len());
            self.lines.insert(at, String::new());
        }
    }
}
