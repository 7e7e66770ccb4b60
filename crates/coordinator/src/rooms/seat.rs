//! A seat of a room as it is stored: whose it is, how far its numbers have come, and whether its player is there.

use rejoin_protocol::message::SeatChange;
use rejoin_protocol::planted::{self, Bug};
use rejoin_protocol::wire::VARINT_MAX;
use rejoin_protocol::{Incarnation, Liveness, Refusal, RefusalCode, SessionId, Stay};

use super::backlog::Backlog;
use super::entry::Applicant;
use crate::limits::NUMBERS_LOST_MAX;

/// A session's place in the room, with all that must survive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seat {
    /// Whose.
    pub(crate) session: SessionId,
    /// Since when: a seat that is given up and taken anew is another.
    pub(crate) stay: Stay,
    /// The newest incarnation of the session that the room heard of.
    pub(crate) incarnation: Incarnation,
    /// The player's name.
    pub(crate) name: String,
    /// What the game's backend said about the player when the seat was taken.
    pub(crate) claims: Vec<u8>,
    /// The newest reliable input applied.
    pub(crate) cursor: u64,
    /// How many numbers up to it stand for inputs that the room had applied and has lost.
    pub(crate) inputs_lost: u64,
    /// What the room has said to the player.
    pub(crate) events: Backlog,
    /// Whether the player is there.
    pub(crate) presence: Liveness,
    /// The room has lost some of what its client may have been told: the newest event that it then had, or [`SETTLED`].
    pub(crate) rolled_to: Option<u64>,
}

/// A client has had the seat since the loss: its numbers go on after those of that client. Another one that comes back
/// later may be ahead all the same.
pub(crate) const SETTLED: u64 = VARINT_MAX - 1;

impl Seat {
    pub(crate) fn new(applicant: &Applicant, stay: Stay) -> Self {
        Self {
            session: applicant.session,
            stay,
            incarnation: applicant.incarnation,
            name: applicant.name.clone(),
            claims: applicant.claims.clone(),
            cursor: 0,
            inputs_lost: 0,
            events: Backlog::default(),
            presence: Liveness::Live,
            rolled_to: None,
        }
    }

    /// A client has the seat, and numbers up to these. If the room lost something they go on after those, as far as the client
    /// is to be believed.
    pub(crate) fn go_on_after(&mut self, input: u64, event: u64) {
        let Some(newest) = self.newest_before_loss() else {
            return;
        };
        let ahead = |number: u64, known: u64| match number.saturating_sub(known) {
            lost @ 0..=NUMBERS_LOST_MAX => lost,
            _ => 0,
        };
        let inputs = ahead(input, self.cursor);
        self.cursor += inputs;
        if !planted::is(Bug::LossUncounted) {
            self.inputs_lost += inputs;
        }
        self.events.skip(ahead(event, newest));
        self.rolled_to = Some(SETTLED);
    }

    /// What a client may be ahead of. Events that came since a loss are not counted as known until a client has had them.
    fn newest_before_loss(&self) -> Option<u64> {
        self.rolled_to.map(|newest| match newest {
            SETTLED => self.events.newest(),
            newest => newest,
        })
    }

    /// False if a client means an earlier stay of its session, of which it knows the numbers.
    pub(crate) fn is_of(&self, wanted: Option<Stay>) -> bool {
        wanted.is_none_or(|stay| stay == self.stay) || planted::is(Bug::StayIgnored)
    }

    /// False if the seat is only held.
    pub(crate) fn is_here(&self) -> bool {
        self.presence != Liveness::Detached
    }
}

/// Tells a client that what it knows of its seat is of the past.
pub(crate) fn stay_over() -> Refusal {
    let text = "the session has left that seat, and taken another there since";
    Refusal::new(RefusalCode::UnknownSeat, text)
}

/// The presence after a change; `None` if the change says nothing new.
pub(crate) fn step(presence: Liveness, change: SeatChange) -> Option<Liveness> {
    let next = match change {
        SeatChange::Suspect => presence.max(Liveness::Suspect),
        // A detached player has to return first.
        SeatChange::Loading if presence == Liveness::Detached => presence,
        SeatChange::Loading => Liveness::Loading,
        SeatChange::Detached => Liveness::Detached,
        SeatChange::Returned | SeatChange::Joined => Liveness::Live,
        SeatChange::Left => presence,
    };
    (next != presence).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presence_moves_only_when_there_is_news() {
        use Liveness::{Detached, Live, Loading, Suspect};
        let table = [
            (Live, SeatChange::Suspect, Some(Suspect)),
            (Suspect, SeatChange::Suspect, None),
            (Detached, SeatChange::Suspect, None),
            (Live, SeatChange::Detached, Some(Detached)),
            (Suspect, SeatChange::Detached, Some(Detached)),
            (Detached, SeatChange::Detached, None),
            (Live, SeatChange::Loading, Some(Loading)),
            (Loading, SeatChange::Loading, None),
            (Suspect, SeatChange::Loading, Some(Loading)),
            (Detached, SeatChange::Loading, None),
            (Loading, SeatChange::Suspect, Some(Suspect)),
            (Loading, SeatChange::Detached, Some(Detached)),
            (Loading, SeatChange::Returned, Some(Live)),
            (Live, SeatChange::Returned, None),
            (Suspect, SeatChange::Returned, Some(Live)),
            (Detached, SeatChange::Returned, Some(Live)),
        ];
        for (before, change, after) in table {
            assert_eq!(step(before, change), after, "{change:?} from {before:?}");
        }
    }
}
