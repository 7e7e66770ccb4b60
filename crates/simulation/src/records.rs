//! What the rooms showed and said.

use std::collections::BTreeMap;

use rejoin_protocol::PlayerId;
use xxhash_rust::xxh3::xxh3_64;

use crate::model::{Glimpse, Lives, Order, Site, Views};
use crate::options::RoomKind;
use crate::report::{Violation, ensure};

/// Records of all rooms.
#[derive(Debug, Default)]
pub(crate) struct RoomRecords {
    by_room: BTreeMap<History, Record>,
}

/// A room, how often something was lost and how often the room was gone before what it shows and says: each time its names
/// begin anew.
type History = (Site, u64, usize);

#[derive(Debug, Default)]
struct Record {
    views: Views,
    order: Order,
}

/// A view as one client was told it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown<'a> {
    pub(crate) kind: RoomKind,
    pub(crate) room: Site,
    /// Who saw it.
    pub(crate) player: PlayerId,
    /// True if it is that player's alone.
    pub(crate) private: bool,
    /// Losses of power before the process that made it: each begins another history.
    pub(crate) generation: u64,
    /// How often a room of this name was gone before that process.
    pub(crate) opening: usize,
    pub(crate) sequence: u64,
    /// How many of the player's inputs it is said to show.
    pub(crate) applied: u64,
    /// True if it may show more, which are not on the medium.
    pub(crate) synced: bool,
    pub(crate) view: &'a [u8],
}

impl RoomRecords {
    /// Checks a view against what others saw, its rows against what players sent, and the
    /// viewer's own row against the cursor that came with it. Gives the view's hash.
    pub(crate) fn shown(&mut self, shown: &Shown<'_>, lives: &Lives) -> Result<u64, Violation> {
        let Shown {
            kind,
            room,
            player,
            private,
            generation,
            opening,
            sequence,
            applied,
            synced,
            view,
        } = *shown;
        let hash = xxh3_64(view);
        let name = (private.then_some(player), sequence);
        let views = &mut self
            .by_room
            .entry((room, generation, opening))
            .or_default()
            .views;
        match views.compare(name, hash) {
            Glimpse::Same => {}
            Glimpse::Different => {
                return Err(Violation::new(
                    "one sequence of a room has one content for all members",
                    format!("sequence {sequence} of {} as {player} sees it", room),
                ));
            }
            Glimpse::First => {
                let mut placed = Vec::new();
                for row in kind.rows(view)? {
                    let life =
                        lives.place((room, row.player), (row.count, row.chain), generation)?;
                    placed.push((row, life));
                }
                views.remember(name, hash, placed)?;
            }
        }
        let own = views.row(name, player);
        let fits = |count: u64| count == applied || (synced && count > applied);
        let agrees = !kind.counts() || own.is_some_and(|row| fits(row.count));
        ensure(agrees, "the cursor counts what the view shows", || {
            format!(
                "{player} in {} at {sequence}: {applied} applied, {own:?}",
                room
            )
        })?;
        Ok(hash)
    }

    /// Checks that a message to all follows the one that the same member was told before it.
    pub(crate) fn told(
        &mut self,
        of: History,
        before: Option<u64>,
        message: u64,
    ) -> Result<(), Violation> {
        self.by_room
            .entry(of)
            .or_default()
            .order
            .told(before, message)
    }
}

#[cfg(test)]
mod tests {
    use rejoin_protocol::{RoomId, Stay, Timestamp, messagepack};

    use super::*;
    use crate::content::Mark;
    use crate::model::{Arrival, Standing};
    use crate::witness::{Book, Tally};

    const ROOM: Site = Site {
        era: 1,
        room: RoomId([1; 16]),
    };
    const PLAYER: PlayerId = PlayerId(4);
    const STAY: Stay = Stay(9);

    fn book(count: u64, chain: u64, luck: u64) -> Vec<u8> {
        let rows = BTreeMap::from([(
            PLAYER,
            Tally {
                count,
                chain,
                latest: 0,
            },
        )]);
        messagepack::encode(&Book {
            rows,
            lines: 0,
            luck,
        })
        .unwrap()
    }

    fn shown(sequence: u64, cursor: u64, view: &[u8]) -> Shown<'_> {
        let kind = RoomKind::Witness;
        Shown {
            kind,
            room: ROOM,
            player: PLAYER,
            private: false,
            generation: 0,
            opening: 0,
            sequence,
            applied: cursor,
            synced: false,
            view,
        }
    }

    fn lives() -> (Lives, u64) {
        let mut lives = Lives::default();
        let input = RoomKind::Witness.input(
            Mark {
                counter: 1,
                place: 1,
            },
            true,
        );
        let told = Standing {
            cursor: 0,
            lost: 0,
            at: Timestamp::ZERO,
            holds: true,
        };
        lives
            .seated((ROOM, PLAYER, STAY), told, Arrival::New)
            .unwrap();
        lives.sent((ROOM, PLAYER, STAY), 1, &input).unwrap();
        (lives, input.chain(0))
    }

    #[test]
    fn a_view_must_agree_with_others_with_the_model_and_with_its_cursor() {
        let (lives, chain) = lives();
        let mut records = RoomRecords::default();
        let mut judge = |sequence, cursor, view: &[u8]| {
            records
                .shown(&shown(sequence, cursor, view), &lives)
                .map_err(|v| v.property)
        };
        assert!(judge(1, 0, &book(0, 0, 0)).is_ok());
        assert!(judge(2, 1, &book(1, chain, 0)).is_ok());
        assert!(judge(2, 1, &book(1, chain, 0)).is_ok());
        assert!(judge(2, 1, &book(1, chain, 9)).is_err(), "another content");
        assert!(
            judge(3, 1, &book(1, chain + 1, 0)).is_err(),
            "another chain"
        );
        assert!(judge(4, 0, &book(1, chain, 0)).is_err(), "another cursor");
    }
}
