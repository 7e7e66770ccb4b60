//! What stands in a store, in words: checkpoints and journal records, read without room logic.
//!
//! For operators and developers who look into a data folder. It reads and decides nothing; how the bytes are
//! written is a matter of `rooms::checkpoint` and `rooms::journal` alone.

use std::time::Duration;

use bytes::Bytes;
use rejoin_protocol::message::SeatChange;
use rejoin_protocol::{Incarnation, Liveness, PlayerId, RoomCode, SessionId, Stay};
use rejoin_room::inspect as logic;
use rejoin_room::{Receipt, RoomSpec};

use crate::rooms::checkpoint::{self, CheckpointError};
use crate::rooms::entry::Entry;
use crate::rooms::journal::{self, RecordError};
use crate::rooms::seat;

/// A room as its checkpoint has it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checkpoint {
    /// More had happened that is not stored: no journal follows it.
    pub partial: bool,
    /// The seats, by player.
    pub seats: Vec<Seat>,
    /// The part of the room's logic.
    pub room: logic::Checkpoint,
}

/// A session's place in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Seat {
    /// Who has it.
    pub player: PlayerId,
    /// The player's session.
    pub session: SessionId,
    /// Since when.
    pub stay: Stay,
    /// The newest incarnation of the session that the room heard of.
    pub incarnation: Incarnation,
    /// The player's name.
    pub name: String,
    /// What the game's backend said about the player.
    pub claims: Vec<u8>,
    /// The newest reliable input applied.
    pub cursor: u64,
    /// Number of the newest event.
    pub events: u64,
    /// Number of the newest event that a client acknowledged.
    pub events_acknowledged: u64,
    /// The events that are kept, the newest last.
    pub events_kept: Vec<Bytes>,
    /// Whether the player is there.
    pub presence: Liveness,
}

/// One turn of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// Room time of all its calls.
    pub at: Duration,
    /// The calls, in order.
    pub calls: Vec<Call>,
}

/// What a room was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Call {
    /// It opens.
    Open {
        /// Name of its kind.
        kind: String,
        /// Version of the kind's logic.
        version: u32,
        /// Feeds its chance.
        rng_seed: [u8; 32],
        /// How it was asked for.
        spec: Box<RoomSpec>,
    },
    /// A session asks for a seat.
    Admit {
        /// Which one.
        session: SessionId,
        /// Its incarnation.
        incarnation: Incarnation,
        /// The player's name.
        name: String,
        /// What the game's backend says about the player.
        claims: Vec<u8>,
        /// The name of the stay, if one begins.
        stay: Stay,
        /// The session asks for the seat of that stay, and for no other.
        returns: Option<Stay>,
    },
    /// Something happened to a seat.
    Seat {
        /// Whose.
        player: PlayerId,
        /// What.
        change: SeatChange,
        /// The session's incarnation.
        incarnation: Incarnation,
    },
    /// A player acts.
    Input {
        /// Who.
        player: PlayerId,
        /// The number of a reliable input; none of a latest one.
        number: Option<u64>,
        /// The game's own bytes.
        payload: Bytes,
    },
    /// A reliable input that room logic could not handle is passed over.
    Void {
        /// Whose.
        player: PlayerId,
        /// Its number.
        number: u64,
    },
    /// Another process took the room up, and told it so.
    Restored(Receipt),
    /// The client of a seat is ahead of the room, which has lost something.
    Ahead {
        /// Whose seat.
        player: PlayerId,
        /// The newest input that the client can give no more.
        input: u64,
        /// The newest event that it has.
        event: u64,
    },
    /// The room left memory, with nobody in it.
    Asleep {
        /// Nobody can come back to it from then on, in seconds since 1970.
        until_unix_s: u64,
        /// What lets others in meanwhile, if it is private.
        code: Option<RoomCode>,
    },
    /// One step of the clock.
    Tick,
    /// All timers that are due.
    Timers,
}

/// Why bytes of a store are no checkpoint or record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unreadable {
    /// They are not ours.
    #[error("malformed")]
    Malformed,
    /// A later version wrote them; says which.
    #[error("{0}")]
    Later(String),
    /// The part of the room's logic is not.
    #[error(transparent)]
    Room(#[from] logic::Unreadable),
}

impl From<RecordError> for Unreadable {
    fn from(problem: RecordError) -> Self {
        match problem {
            RecordError::Malformed => Self::Malformed,
            RecordError::Later(_) => Self::Later(problem.to_string()),
        }
    }
}

impl From<CheckpointError> for Unreadable {
    fn from(problem: CheckpointError) -> Self {
        match problem {
            CheckpointError::Later(_) => Self::Later(problem.to_string()),
            CheckpointError::Malformed
            | CheckpointError::UnknownKind(_)
            | CheckpointError::Room(_) => Self::Malformed,
        }
    }
}

impl Checkpoint {
    /// Reads the body of a checkpoint.
    ///
    /// # Errors
    /// See [`Unreadable`].
    pub fn read(body: &[u8]) -> Result<Self, Unreadable> {
        let table = checkpoint::decode_table(body)?;
        let room = logic::Checkpoint::read(table.instance)?;
        if table.kind != room.kind || !room.members.keys().eq(table.seats.keys()) {
            return Err(Unreadable::Malformed);
        }
        let seats = table.seats.iter();
        let seats = seats.map(|(player, seat)| Seat::of(*player, seat));
        Ok(Self {
            partial: table.partial,
            seats: seats.collect(),
            room,
        })
    }
}

impl Seat {
    fn of(player: PlayerId, seat: &seat::Seat) -> Self {
        Self {
            player,
            session: seat.session,
            stay: seat.stay,
            incarnation: seat.incarnation,
            name: seat.name.clone(),
            claims: seat.claims.clone(),
            cursor: seat.cursor,
            events: seat.events.newest(),
            events_acknowledged: seat.events.acked(),
            events_kept: seat.events.kept().iter().cloned().collect(),
            presence: seat.presence,
        }
    }
}

impl Record {
    /// Reads the body of a record.
    ///
    /// # Errors
    /// See [`Unreadable`].
    pub fn read(body: &Bytes) -> Result<Self, Unreadable> {
        let record = journal::decode(body)?;
        Ok(Self {
            at: record.at,
            calls: record.entries.into_iter().map(Call::of).collect(),
        })
    }
}

impl Call {
    fn of(entry: Entry) -> Self {
        match entry {
            Entry::Open(opening) => Self::Open {
                kind: opening.kind,
                version: opening.version,
                rng_seed: opening.seed,
                spec: Box::new(opening.spec),
            },
            Entry::Admit { applicant, stay } => Self::Admit {
                session: applicant.session,
                incarnation: applicant.incarnation,
                name: applicant.name,
                claims: applicant.claims,
                stay,
                returns: applicant.returns,
            },
            Entry::Seat {
                player,
                change,
                incarnation,
            } => Self::Seat {
                player,
                change,
                incarnation,
            },
            Entry::Input {
                player,
                number,
                payload,
            } => Self::Input {
                player,
                number,
                payload,
            },
            Entry::Void { player, number } => Self::Void { player, number },
            Entry::Restored { receipt, .. } => Self::Restored(receipt),
            Entry::Ahead {
                player,
                input,
                event,
            } => Self::Ahead {
                player,
                input,
                event,
            },
            Entry::Asleep(sleep) => Self::Asleep {
                until_unix_s: sleep.until_unix_s,
                code: sleep.code,
            },
            Entry::Tick => Self::Tick,
            Entry::Timers => Self::Timers,
        }
    }
}

#[cfg(test)]
mod tests {
    use rejoin_protocol::{RoomId, messagepack};
    use rejoin_room::builtin::chat::{Chat, Say};
    use rejoin_room::{Kinds, RoomSettings};

    use super::*;
    use crate::rooms::durable::Durable;
    use crate::rooms::entry::{Applicant, Opening};

    fn calls() -> Vec<Entry> {
        let session = SessionId([3; 16]);
        let spec = RoomSpec {
            room: RoomId([1; 16]),
            owner: session.player(),
            settings: RoomSettings::default(),
            code: None,
        };
        let opening = Opening {
            kind: "chat".to_owned(),
            version: 1,
            seed: [5; 32],
            spec,
        };
        let applicant = Applicant {
            session,
            incarnation: Incarnation(2),
            name: "ana".to_owned(),
            claims: b"guild=moon".to_vec(),
            returns: None,
        };
        let text = "hello".to_owned();
        vec![
            Entry::Open(Box::new(opening)),
            Entry::Admit {
                applicant: Box::new(applicant),
                stay: Stay(8),
            },
            Entry::Input {
                player: session.player(),
                number: Some(1),
                payload: messagepack::encode(&Say { text }).unwrap().into(),
            },
        ]
    }

    #[test]
    fn a_checkpoint_tells_the_room_and_its_seats() {
        let kinds = Kinds::new().with::<Chat>();
        let mut room = None;
        for call in calls() {
            let at = Duration::from_secs(1);
            crate::rooms::replay::advance(&mut room, &kinds, at, &call).unwrap();
        }
        let room: Durable = room.unwrap();
        let mut body = Vec::new();
        checkpoint::encode(
            &room,
            kinds.get("chat").unwrap(),
            checkpoint::Reach::default(),
            &mut body,
        )
        .unwrap();
        let read = Checkpoint::read(&body).unwrap();
        assert_eq!(read.room.kind, "chat");
        assert_eq!(read.room.now, Duration::from_secs(1));
        let [seat] = read.seats.as_slice() else {
            panic!("{read:?}");
        };
        assert_eq!((seat.name.as_str(), seat.cursor), ("ana", 1));
        assert_eq!(seat.claims, b"guild=moon");
        assert_eq!((seat.stay, seat.incarnation), (Stay(8), Incarnation(2)));
        assert_eq!((seat.events, seat.events_acknowledged), (1, 0));
        assert_eq!(seat.events_kept.len(), 1);
        for len in 0..body.len() {
            assert!(Checkpoint::read(&body[..len]).is_err(), "{len} bytes");
        }
    }

    #[test]
    fn a_record_tells_its_calls() {
        let mut body = Vec::new();
        journal::encode(Duration::from_secs(2), calls().iter(), &mut body);
        let read = Record::read(&body.clone().into()).unwrap();
        let expected: Vec<_> = calls().into_iter().map(Call::of).collect();
        assert_eq!((read.at, read.calls), (Duration::from_secs(2), expected));
        let with = |byte: u8| Record::read(&[body.as_slice(), &[byte]].concat().into());
        assert_eq!(with(0), Err(Unreadable::Malformed));
        assert!(matches!(with(99), Err(Unreadable::Later(_))));
    }
}
