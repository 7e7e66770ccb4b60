//! Who of a room is not all there, as one of its members is told.

use std::collections::BTreeMap;

use rejoin_protocol::PlayerId;
use rejoin_protocol::message::SeatChange;

/// Members by what was told of them last. Bounded as the members of a room are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Absent(BTreeMap<PlayerId, SeatChange>);

impl Absent {
    /// A seat's change was told.
    pub(crate) fn on_seat(&mut self, player: PlayerId, change: SeatChange) {
        match change {
            SeatChange::Suspect | SeatChange::Detached | SeatChange::Loading => {
                self.0.insert(player, change);
            }
            SeatChange::Joined | SeatChange::Returned | SeatChange::Left => {
                self.0.remove(&player);
            }
        }
    }

    /// All of them.
    pub(crate) const fn all(&self) -> &BTreeMap<PlayerId, SeatChange> {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_returns_or_leaves_is_not_absent_any_more() {
        let (ana, ben) = (PlayerId(1), PlayerId(2));
        let mut absent = Absent::default();
        for (player, change) in [
            (ana, SeatChange::Joined),
            (ana, SeatChange::Suspect),
            (ben, SeatChange::Loading),
            (ana, SeatChange::Detached),
        ] {
            absent.on_seat(player, change);
        }
        assert_eq!(absent.all().get(&ana), Some(&SeatChange::Detached));
        absent.on_seat(ana, SeatChange::Returned);
        absent.on_seat(ben, SeatChange::Left);
        assert!(absent.all().is_empty());
    }
}
