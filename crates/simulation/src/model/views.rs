//! One sequence of a room has one content, whoever sees it.

use std::collections::BTreeMap;

use rejoin_protocol::{PlayerId, Stay};

use crate::content::Row;
use crate::report::{Violation, ensure};

/// The newest views of one room, by sequence; private ones by player.
#[derive(Debug, Default)]
pub(crate) struct Views {
    seen: BTreeMap<Name, Seen>,
}

/// For whom a view is, if not for all, and its sequence.
type Name = (Option<PlayerId>, u64);

/// Sequences remembered per room: two minutes of an arena. What is older is not compared.
const SEEN_MAX: usize = 4_096;

#[derive(Debug)]
struct Seen {
    hash: u64,
    rows: Vec<(Row, Option<Stay>)>,
}

/// Whether a view was seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Glimpse {
    /// By no one: its rows are to be checked.
    First,
    /// Yes, with the same content.
    Same,
    /// Yes, with another content.
    Different,
}

impl Views {
    /// Compares a view with what others saw under its name.
    pub(crate) fn compare(&self, name: Name, hash: u64) -> Glimpse {
        match self.seen.get(&name) {
            None => Glimpse::First,
            Some(seen) if seen.hash == hash => Glimpse::Same,
            Some(_) => Glimpse::Different,
        }
    }

    /// A player's row in a view that is remembered.
    pub(crate) fn row(&self, name: Name, player: PlayerId) -> Option<Row> {
        let seen = self.seen.get(&name)?;
        seen.rows
            .iter()
            .map(|(row, _)| *row)
            .find(|row| row.player == player)
    }

    /// Remembers a view, each row with the life it shows, and compares it with the views before
    /// and after it: what was applied stays applied.
    pub(crate) fn remember(
        &mut self,
        (of, sequence): Name,
        hash: u64,
        rows: Vec<(Row, Option<Stay>)>,
    ) -> Result<(), Violation> {
        let before = self.seen.range((of, 0)..(of, sequence)).next_back();
        let after = self.seen.range((of, sequence + 1)..=(of, u64::MAX)).next();
        if let Some((_, before)) = before {
            compare_rows(&before.rows, &rows, sequence)?;
        }
        if let Some((_, after)) = after {
            compare_rows(&rows, &after.rows, sequence)?;
        }
        self.seen.insert((of, sequence), Seen { hash, rows });
        if self.seen.len() > SEEN_MAX {
            self.seen
                .retain(|(_, seen), _| *seen + SEEN_MAX as u64 / 2 > sequence);
        }
        Ok(())
    }
}

fn compare_rows(
    older: &[(Row, Option<Stay>)],
    newer: &[(Row, Option<Stay>)],
    sequence: u64,
) -> Result<(), Violation> {
    for (old, old_life) in older {
        let Some((new, new_life)) = newer.iter().find(|(new, _)| new.player == old.player) else {
            continue;
        };
        let told = || format!("{old:?}, then {new:?}, around sequence {sequence}");
        if let (Some(old_life), Some(new_life)) = (old_life, new_life) {
            let grows = (old_life, old.count) <= (new_life, new.count);
            ensure(grows, "what a room has applied stays applied", told)?;
        }
        // A player's numbers never start again, so this holds across lives too.
        let fresh = old.latest == 0 || new.latest == 0;
        ensure(
            fresh || old.latest <= new.latest,
            "the newest latest input wins",
            told,
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(count: u64, latest: u64) -> Vec<(Row, Option<Stay>)> {
        vec![(
            Row {
                player: PlayerId(1),
                count,
                chain: 0,
                latest,
            },
            Some(Stay(1)),
        )]
    }

    #[test]
    fn one_sequence_has_one_content_per_audience() {
        let mut views = Views::default();
        assert_eq!(views.compare((None, 1), 7), Glimpse::First);
        views.remember((None, 1), 7, row(0, 0)).unwrap();
        assert_eq!(views.compare((None, 1), 7), Glimpse::Same);
        assert_eq!(views.compare((None, 1), 8), Glimpse::Different);
        assert_eq!(views.compare((Some(PlayerId(1)), 1), 8), Glimpse::First);
    }

    #[test]
    fn rows_only_grow_from_sequence_to_sequence() {
        let mut views = Views::default();
        views.remember((None, 5), 1, row(10, 4)).unwrap();
        views.remember((None, 3), 2, row(9, 4)).unwrap();
        assert!(views.remember((None, 6), 3, row(9, 4)).is_err());
        assert!(views.remember((None, 4), 3, row(11, 4)).is_err());
        assert!(views.remember((None, 4), 3, row(10, 3)).is_err());
    }

    #[test]
    fn old_sequences_are_forgotten() {
        let mut views = Views::default();
        for sequence in 1..10_000 {
            views.remember((None, sequence), 1, row(1, 1)).unwrap();
        }
        assert!(views.seen.len() <= SEEN_MAX);
        assert_eq!(views.compare((None, 1), 1), Glimpse::First);
    }
}
