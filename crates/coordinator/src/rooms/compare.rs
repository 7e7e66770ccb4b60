//! Whether a room that was rebuilt is the one that it should be: logic, seats and numbers of views.

use rejoin_protocol::PlayerId;
use rejoin_room as logic;

use super::by_player::ByPlayer;
use super::durable::Durable;
use super::seat::Seat;

/// In what a room is another than the one that it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Mismatch {
    /// What room logic made of it.
    #[error(transparent)]
    Room(#[from] logic::Mismatch),
    /// One of the seats.
    #[error("the seat of player {} is another in its {part}", .player.0)]
    Seat {
        /// Whose.
        player: PlayerId,
        /// Which part of it.
        part: &'static str,
    },
    /// Only one of the two was opened.
    #[error("only one of the two is open")]
    Opened,
    /// How its views are numbered.
    #[error("its views are numbered from {again} and not from {live}")]
    Views {
        /// The number before the first in the one that it should be.
        live: u64,
        /// That of the other.
        again: u64,
    },
}

/// Compares `again` with the room that it should be. Which events were acknowledged stands in no journal, so `again` is told
/// before.
///
/// # Errors
/// The first [`Mismatch`].
pub(crate) fn compare(live: &Durable, again: &mut Durable) -> Result<(), Mismatch> {
    again.take_acks(live);
    logic::compare(&*live.instance, &*again.instance)?;
    compare_seats(&live.seats, &again.seats)?;
    let [live, again] = [live.views_from, again.views_from];
    if live != again {
        return Err(Mismatch::Views { live, again });
    }
    Ok(())
}

fn compare_seats(live: &ByPlayer<Seat>, again: &ByPlayer<Seat>) -> Result<(), Mismatch> {
    for (player, seat) in live {
        let other = again.get(player);
        let part = other.map_or(Some("being taken"), |other| part_of(seat, other));
        if let Some(part) = part {
            let player = *player;
            return Err(Mismatch::Seat { player, part });
        }
    }
    let more = again.keys().find(|player| !live.contains_key(player));
    more.map_or(Ok(()), |player| {
        Err(Mismatch::Seat {
            player: *player,
            part: "being free",
        })
    })
}

/// The first part in which two seats differ. The compiler refuses to leave one out.
fn part_of(seat: &Seat, other: &Seat) -> Option<&'static str> {
    let Seat {
        session,
        stay,
        incarnation,
        name,
        claims,
        cursor,
        inputs_lost,
        events,
        presence,
        rolled_to,
    } = seat;
    let parts = [
        ("session", *session == other.session),
        ("stay", *stay == other.stay),
        ("incarnation", *incarnation == other.incarnation),
        ("name", *name == other.name),
        ("claims", *claims == other.claims),
        ("cursor", *cursor == other.cursor),
        ("lost inputs", *inputs_lost == other.inputs_lost),
        ("events", *events == other.events),
        ("presence", *presence == other.presence),
        ("loss", *rolled_to == other.rolled_to),
    ];
    let differs = parts.into_iter().find(|(_, same)| !same);
    differs.map(|(part, _)| part)
}
