//! A twin of a room: rebuilt beside it from what a store holds, to be compared with it.
//!
//! For proofs: the twin of a room that is replayed from its first record, without any checkpoint, must be what a recovery gives,
//! and must have shown what members saw. It has no members of its own, and nothing leaves it.

use bytes::Bytes;
use rejoin_room::{Kinds, RoomFault};
use rejoin_store::Stored;

use crate::rooms::compare;
use crate::rooms::durable::Durable;
use crate::rooms::replay::{self, ReplayError};

pub use crate::rooms::compare::Mismatch;

/// See the module page.
#[derive(Debug)]
pub struct Twin {
    kinds: Kinds,
    /// None before the record that opens the room.
    room: Option<Durable>,
    /// The newest record that was replayed.
    sequence: u64,
}

/// Why there is no twin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it cannot be replayed: {0}")]
pub struct Unplayable(String);

impl From<ReplayError> for Unplayable {
    fn from(problem: ReplayError) -> Self {
        Self(problem.to_string())
    }
}

impl Twin {
    /// Of a room that no record was replayed of.
    #[must_use]
    pub fn new(kinds: &Kinds) -> Self {
        Self {
            kinds: kinds.clone(),
            room: None,
            sequence: 0,
        }
    }

    /// What a server makes of what is stored: the checkpoint and the records after it.
    ///
    /// # Errors
    /// They cannot be read, or room logic fails.
    pub fn of(stored: &Stored, kinds: &Kinds) -> Result<Self, Unplayable> {
        Ok(Self {
            room: replay::rebuild(stored, kinds, u64::MAX)?,
            sequence: stored.newest(),
            ..Self::new(kinds)
        })
    }

    /// Makes the calls of the next record again.
    ///
    /// # Errors
    /// It cannot be read, or room logic fails.
    pub fn replay(&mut self, sequence: u64, record: &Bytes) -> Result<(), Unplayable> {
        replay::replay(&mut self.room, &self.kinds, (sequence, record))?;
        self.sequence = sequence;
        Ok(())
    }

    /// Steps of its clock.
    #[must_use]
    pub fn tick(&self) -> u64 {
        self.room.as_ref().map_or(0, |room| room.instance.tick())
    }

    /// The number under which members see the view of what it is now.
    #[must_use]
    pub fn view_number(&self) -> u64 {
        let before = self.room.as_ref().map_or(0, |room| room.views_from);
        before + self.sequence
    }

    /// Appends the view that its members share.
    ///
    /// # Errors
    /// Room logic fails.
    pub fn view(&self, out: &mut Vec<u8>) -> Result<(), RoomFault> {
        self.room
            .as_ref()
            .map_or(Ok(()), |room| room.instance.view(out))
    }

    /// Compares it with another twin of the same room, after the same record: with `live`, which it should be.
    ///
    /// # Errors
    /// The first [`Mismatch`].
    pub fn compare(&mut self, live: &Self) -> Result<(), Mismatch> {
        match (&live.room, &mut self.room) {
            (Some(live), Some(again)) => compare::compare(live, again),
            (None, None) => Ok(()),
            (Some(_), None) | (None, Some(_)) => Err(Mismatch::Opened),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rejoin_protocol::messagepack;
    use rejoin_protocol::{Incarnation, RoomId, SessionId, Stay};
    use rejoin_room::Kind;
    use rejoin_room::builtin::chat::{Chat, Say};

    use super::*;
    use crate::rooms::entry::{Applicant, Entry};
    use crate::rooms::{checkpoint, journal};

    const SESSION: SessionId = SessionId([3; 16]);

    /// A chat is opened and entered, and six lines are said, a record each.
    fn journal() -> Vec<(u64, Bytes)> {
        let applicant = Applicant {
            session: SESSION,
            incarnation: Incarnation(1),
            name: "ana".to_owned(),
            claims: Vec::new(),
            returns: None,
        };
        let admit = Entry::Admit {
            applicant: Box::new(applicant),
            stay: Stay(8),
        };
        let say = |number| Entry::Input {
            player: SESSION.player(),
            number: Some(number),
            payload: messagepack::encode(&Say {
                text: format!("line {number}"),
            })
            .unwrap()
            .into(),
        };
        let calls = [Entry::opening::<Chat>(RoomId([1; 16])), admit]
            .into_iter()
            .chain((1..=6).map(say));
        let record = |(sequence, call): (u64, Entry)| {
            let mut body = Vec::new();
            journal::encode(Duration::from_secs(sequence), [call].iter(), &mut body);
            (sequence, body.into())
        };
        (1..).zip(calls).map(record).collect()
    }

    /// What a server has of it: a checkpoint after the fifth record, of which four events were acknowledged by then, and
    /// the records since.
    fn stored(kinds: &Kinds) -> Stored {
        let (before, records) = (&journal()[..5], &journal()[5..]);
        let mut twin = replayed(kinds, before);
        let room = twin.room.as_mut().unwrap();
        let seat = room.seats.get_mut(&SESSION.player()).unwrap();
        seat.events.on_acked(2);
        let mut body = Vec::new();
        checkpoint::encode(
            room,
            &Kind::of::<Chat>(),
            checkpoint::Reach::default(),
            &mut body,
        )
        .unwrap();
        Stored {
            checkpoint_sequence: 5,
            checkpoint: body.into(),
            records: records.to_vec(),
            loss: None,
        }
    }

    fn replayed(kinds: &Kinds, journal: &[(u64, Bytes)]) -> Twin {
        let mut twin = Twin::new(kinds);
        for (sequence, record) in journal {
            twin.replay(*sequence, record).unwrap();
        }
        twin
    }

    #[test]
    fn a_room_that_is_replayed_from_its_first_record_is_what_a_recovery_gives() {
        let kinds = Kinds::new().with::<Chat>();
        let recovered = Twin::of(&stored(&kinds), &kinds).unwrap();
        let mut twin = replayed(&kinds, &journal());
        assert_eq!(twin.compare(&recovered), Ok(()));
        assert_eq!((twin.view_number(), recovered.view_number()), (8, 8));
    }

    #[test]
    fn each_record_that_is_passed_over_is_found_out() {
        let kinds = Kinds::new().with::<Chat>();
        let recovered = Twin::of(&stored(&kinds), &kinds).unwrap();
        for passed_over in 2..8 {
            let mut journal = journal();
            journal.remove(passed_over);
            let found = replayed(&kinds, &journal).compare(&recovered);
            let found = found.unwrap_err();
            assert!(matches!(found, Mismatch::Room(_)), "{found}");
        }
        assert!(Twin::new(&kinds).compare(&recovered).is_err());
    }

    #[test]
    fn a_seat_that_differs_is_told_with_its_part() {
        let kinds = Kinds::new().with::<Chat>();
        let recovered = Twin::of(&stored(&kinds), &kinds).unwrap();
        let mut twin = replayed(&kinds, &journal());
        let seat = twin.room.as_mut().unwrap().seats.get_mut(&SESSION.player());
        seat.unwrap().cursor += 1;
        let told = twin.compare(&recovered).unwrap_err().to_string();
        let player = SESSION.player().0;
        assert_eq!(
            told,
            format!("the seat of player {player} is another in its cursor")
        );
    }
}
