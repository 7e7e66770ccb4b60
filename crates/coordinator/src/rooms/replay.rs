//! Rebuilds a room from what the store holds of it.

use std::time::Duration;

use bytes::Bytes;
use rejoin_room::{Kind, Kinds, RoomFault, inspect};
use rejoin_store::Stored;

use super::checkpoint::{self, CheckpointError};
use super::durable::{Applied, Durable};
use super::entry::Entry;
use super::journal::{self, Record, RecordError};

/// Why a room cannot be rebuilt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ReplayError {
    /// The checkpoint does not give a room.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A record cannot be read.
    #[error("record {sequence}: {problem}")]
    Record {
        /// The record.
        sequence: u64,
        /// What is wrong with it.
        problem: RecordError,
    },
    /// Room logic failed in a call.
    #[error(transparent)]
    Call(#[from] RoomFault),
    /// Room logic failed in a call that it handled before.
    #[error("call {call} of record {sequence} failed in the replay: {problem}")]
    Replayed {
        /// The record.
        sequence: u64,
        /// Which of its calls, from 1.
        call: usize,
        /// What failed.
        problem: RoomFault,
    },
    /// The history does not begin with an opening.
    #[error("the history does not open the room")]
    NotOpened,
    /// The history is of a kind that this server does not have.
    #[error("no room logic of kind {0}")]
    UnknownKind(String),
}

/// Applies the next call of a history, live or not: to the room, or to none yet if it opens it.
///
/// # Errors
/// See [`ReplayError`].
pub(crate) fn advance(
    room: &mut Option<Durable>,
    kinds: &Kinds,
    at: Duration,
    entry: &Entry,
) -> Result<Applied, ReplayError> {
    if let Some(room) = room {
        return Ok(room.apply(at, entry)?);
    }
    let Entry::Open(opening) = entry else {
        return Err(ReplayError::NotOpened);
    };
    let kind = kinds
        .get(&opening.kind)
        .ok_or_else(|| ReplayError::UnknownKind(opening.kind.clone()))?;
    let (opened, applied) = Durable::open(kind, opening)?;
    *room = Some(opened);
    Ok(applied)
}

/// Rebuilds the room as it was before record `before`. What its calls wanted to happen outside
/// has happened, and is thrown away.
///
/// # Errors
/// See [`ReplayError`].
pub(crate) fn rebuild(
    stored: &Stored,
    kinds: &Kinds,
    before: u64,
) -> Result<Option<Durable>, ReplayError> {
    let mut room = if stored.checkpoint.is_empty() {
        None
    } else {
        Some(checkpoint::decode(&stored.checkpoint, kinds)?)
    };
    for (sequence, body) in stored
        .records
        .iter()
        .filter(|(sequence, _)| *sequence < before)
    {
        replay(&mut room, kinds, (*sequence, body))?;
    }
    Ok(room)
}

/// Makes the calls of one record again.
///
/// # Errors
/// See [`ReplayError`].
pub(crate) fn replay(
    room: &mut Option<Durable>,
    kinds: &Kinds,
    (sequence, body): (u64, &Bytes),
) -> Result<(), ReplayError> {
    let record = read(sequence, body)?;
    for (call, entry) in (1..).zip(&record.entries) {
        let made = advance(room, kinds, record.at, entry);
        made.map_err(|problem| problem.at(sequence, call))?;
    }
    Ok(())
}

/// Where a stored room comes from.
pub(crate) struct Origin {
    pub(crate) kind: Kind,
    /// Version of the logic that wrote the first that is stored.
    pub(crate) version: u32,
    /// More had happened that was never stored.
    pub(crate) partial: bool,
}

/// Where a stored room comes from, by the first bytes that tell it.
///
/// # Errors
/// They cannot be read, or this server has no such kind.
pub(crate) fn origin_of(stored: &Stored, kinds: &Kinds) -> Result<Origin, ReplayError> {
    let (name, version, partial) = match stored.records.first() {
        _ if !stored.checkpoint.is_empty() => {
            let head = checkpoint::Head::of(&stored.checkpoint)?;
            let version = match head.version {
                None => version_within(&stored.checkpoint)?,
                version => version,
            };
            (head.kind, version, head.partial)
        }
        Some((sequence, body)) => {
            let record = read(*sequence, body)?;
            match record.entries.into_iter().next() {
                Some(Entry::Open(opening)) => (opening.kind, Some(opening.version), false),
                _ => return Err(ReplayError::NotOpened),
            }
        }
        None => return Err(ReplayError::NotOpened),
    };
    let kind = kinds.get(&name).copied();
    let kind = kind.ok_or(ReplayError::UnknownKind(name))?;
    Ok(Origin {
        kind,
        version: version.unwrap_or(kind.version),
        partial,
    })
}

/// Version of the logic that wrote a checkpoint whose head does not tell.
fn version_within(body: &[u8]) -> Result<Option<u32>, ReplayError> {
    let table = checkpoint::decode_table(body)?;
    // Whatever is wrong with it is told by who restores the room.
    Ok(inspect::Checkpoint::read(table.instance)
        .ok()
        .map(|room| room.version))
}

fn read(sequence: u64, body: &Bytes) -> Result<Record, ReplayError> {
    journal::decode(body).map_err(|problem| ReplayError::Record { sequence, problem })
}

impl ReplayError {
    /// Says where in a history it was.
    fn at(self, sequence: u64, call: usize) -> Self {
        if let Self::Call(problem) = self {
            return Self::Replayed {
                sequence,
                call,
                problem,
            };
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;
    use rejoin_protocol::message::SeatChange;
    use rejoin_protocol::{Incarnation, PlayerId, RoomId, SessionId, Stay};
    use rejoin_room::{Cx, Receipt, Room, RoomSettings, RoomSpec};
    use rejoin_store::{MemoryStore, Record, Store};

    use super::*;
    use crate::rooms::entry::{Applicant, Opening};

    /// Draws chance, sets timers, sends events and removes players.
    struct Dice;

    impl Room for Dice {
        const KIND: &'static str = "dice";
        const TICK_HZ: u32 = 10;

        type State = Vec<u64>;
        type Input = u8;
        type View = Vec<u64>;
        type Event = u64;

        fn open(_spec: &RoomSpec, cx: &mut Cx<Self>) -> Vec<u64> {
            vec![cx.rng().next_u64()]
        }

        fn input(state: &mut Vec<u64>, from: PlayerId, input: u8, cx: &mut Cx<Self>) {
            state.push(cx.rng().next_u64() ^ from.0);
            match input % 8 {
                0 => cx.after(Duration::from_millis(u64::from(input)), u64::from(input)),
                1 => cx.send_all(&u64::from(input)),
                2 => cx.send(from, &7),
                3 if input > 200 => cx.remove(from, "enough"),
                _ => {}
            }
        }

        fn tick(state: &mut Vec<u64>, cx: &mut Cx<Self>) {
            let now = u64::try_from(cx.now().as_micros()).unwrap();
            state.push(now);
            if state.len() > 50 {
                state.clear();
            }
        }

        fn timer(state: &mut Vec<u64>, token: u64, cx: &mut Cx<Self>) {
            state.push(token);
            cx.send_all(&token);
        }

        fn view(state: &Vec<u64>) -> Cow<'_, Vec<u64>> {
            Cow::Borrowed(state)
        }
    }

    const ROOM: RoomId = RoomId([5; 16]);

    fn session(number: u8) -> SessionId {
        SessionId([number; 16])
    }

    fn opening() -> Entry {
        let settings = RoomSettings {
            members_max: 3,
            ..RoomSettings::default()
        };
        let owner = session(0).player();
        let spec = RoomSpec {
            room: ROOM,
            owner,
            settings,
            code: None,
        };
        let (kind, version) = (Dice::KIND.to_owned(), Dice::VERSION);
        Entry::Open(Box::new(Opening {
            kind,
            version,
            seed: [9; 32],
            spec,
        }))
    }

    fn any_call() -> impl Strategy<Value = Entry> {
        let player = (0_u8..4).prop_map(|number| session(number).player());
        let change = prop_oneof![
            Just(SeatChange::Loading),
            Just(SeatChange::Suspect),
            Just(SeatChange::Detached),
            Just(SeatChange::Returned),
            Just(SeatChange::Left),
        ];
        prop_oneof![
            2 => (0_u8..4, 1_u32..3, option::of(0_u64..3), 0_u64..3).prop_map(|(number, incarnation, returns, stay)| {
                let (session, name) = (session(number), format!("p{number}"));
                let incarnation = Incarnation(incarnation);
                let claims = vec![number];
                let returns = returns.map(Stay);
                let applicant = Applicant { session, incarnation, name, claims, returns };
                Entry::Admit { applicant: Box::new(applicant), stay: Stay(stay) }
            }),
            1 => (player.clone(), change, 1_u32..3).prop_map(|(player, change, incarnation)| {
                Entry::Seat { player, change, incarnation: Incarnation(incarnation) }
            }),
            4 => (player.clone(), option::of(1_u64..40), any::<u8>()).prop_map(
                |(player, number, input)| {
                    let payload = rejoin_protocol::messagepack::encode(&input).unwrap().into();
                    Entry::Input { player, number, payload }
                }
            ),
            1 => (player.clone(), 1_u64..40).prop_map(|(player, number)| Entry::Void { player, number }),
            2 => Just(Entry::Tick),
            2 => Just(Entry::Timers),
            1 => any::<bool>().prop_map(|rolled_back| {
                Entry::Restored { receipt: Receipt::new(rolled_back, false), views: 7 }
            }),
            1 => (player, 0_u64..60, 0_u64..9).prop_map(|(player, input, event)| {
                Entry::Ahead { player, input, event }
            }),
        ]
    }

    fn bytes(room: &Durable) -> Vec<u8> {
        let mut out = Vec::new();
        checkpoint::encode(
            room,
            &Kind::of::<Dice>(),
            checkpoint::Reach::default(),
            &mut out,
        )
        .unwrap();
        out
    }

    proptest! {
        #[test]
        fn a_rebuilt_room_is_the_live_one_bit_for_bit(
            turns in vec((1_u64..400, vec(any_call(), 1..6), (0_u8..4, 0_u64..20)), 1..30),
            kept_at in 0_usize..40,
        ) {
            let kinds = Kinds::new().with::<Dice>();
            let mut store = MemoryStore::default();
            let mut live = None;
            let mut at = Duration::ZERO;
            let first = std::iter::once((0, vec![opening()], (0, 0)));
            for (turn, (wait, calls, (acker, acked))) in first.chain(turns).enumerate() {
                at += Duration::from_millis(wait);
                let sequence = u64::try_from(turn).unwrap() + 1;
                let mut body = Vec::new();
                journal::encode(at, calls.iter(), &mut body);
                store.append(&[Record { room: ROOM, sequence, body: &body }]).unwrap();
                for call in &calls {
                    let cursors = |room: &Option<Durable>| {
                        let seats = room.as_ref().map(|room| room.seats.clone());
                        seats.unwrap_or_default()
                    };
                    let before = cursors(&live);
                    advance(&mut live, &kinds, at, call).unwrap();
                    let after = cursors(&live);
                    for (player, seat) in &before {
                        let now = after.get(player).filter(|now| now.stay == seat.stay);
                        prop_assert!(now.is_none_or(|now| now.cursor >= seat.cursor));
                        prop_assert!(now.is_none_or(|now| now.events.newest() >= seat.events.newest()));
                    }
                }
                let room = live.as_mut().unwrap();
                // No journal tells of it.
                if let Some(seat) = room.seats.get_mut(&session(acker).player()) {
                    seat.events.on_acked(acked);
                }
                prop_assert!(room.instance.members().keys().eq(room.seats.keys()));
                if turn == kept_at {
                    store.checkpoint(ROOM, sequence, bytes(room).into()).unwrap();
                }
            }
            let stored = store.load(ROOM).unwrap().unwrap();
            let mut rebuilt = rebuild(&stored, &kinds, u64::MAX).unwrap().unwrap();
            let live = live.unwrap();
            for (player, seat) in &live.seats {
                let more = &rebuilt.seats.get(player).unwrap().events;
                prop_assert!(more.kept().len() >= seat.events.kept().len(), "never less");
            }
            rebuilt.take_acks(&live);
            prop_assert_eq!(bytes(&rebuilt), bytes(&live));
        }
    }

    #[test]
    fn a_history_that_cannot_be_read_says_where() {
        let kinds = Kinds::new().with::<Dice>();
        let mut body = Vec::new();
        journal::encode(Duration::ZERO, [opening()].iter(), &mut body);
        let stored = |records: Vec<(u64, Vec<u8>)>| Stored {
            checkpoint_sequence: 0,
            checkpoint: Vec::new().into(),
            records: records
                .into_iter()
                .map(|(number, body)| (number, body.into()))
                .collect(),
            loss: None,
        };
        let error = |stored, kinds| rebuild(&stored, kinds, u64::MAX).unwrap_err();
        let broken = stored(vec![(1, body.clone()), (2, vec![0, 99])]);
        let told = "record 2: it holds a call of kind 99, this build reads 1 to 10: a later version wrote it";
        assert_eq!(error(broken, &kinds).to_string(), told);
        let headless = stored(vec![(2, vec![0, 6])]);
        assert_eq!(error(headless, &kinds), ReplayError::NotOpened);
        let unknown = stored(vec![(1, body)]);
        assert_eq!(
            error(unknown, &Kinds::new()),
            ReplayError::UnknownKind("dice".into())
        );
    }
}
