//! What a store was given, and which states of each room may be there after a crash.

use std::collections::BTreeMap;

use bytes::Bytes;
use rejoin_protocol::{Rng, RoomId};
use rejoin_store::log::LogStore;
use rejoin_store::{Record, Standing, Store, StoreError, Stored};

use crate::support::room;

/// A room at some moment; none if it was not there.
pub(crate) type State = Option<(Stored, Standing)>;

/// Every state that each room ever had, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    states: BTreeMap<RoomId, Vec<State>>,
    /// How many of them were there when the last good sync was begun.
    synced: BTreeMap<RoomId, usize>,
    /// And when the one under way was.
    syncing: BTreeMap<RoomId, usize>,
    /// How many of them were acknowledged; what is beyond was being written.
    acknowledged: BTreeMap<RoomId, usize>,
    /// All of each room's life at each of its states.
    lives: BTreeMap<RoomId, Vec<Life>>,
}

/// All that a room was given since it began.
#[derive(Clone, Debug, Default)]
struct Life {
    records: BTreeMap<u64, Bytes>,
    points: Vec<(u64, Bytes)>,
}

/// What is done to a store in one step.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Append(Vec<(RoomId, u64, Vec<u8>)>),
    Amend(RoomId, u64, Vec<u8>),
    Checkpoint(RoomId, u64, Bytes),
    Forget(RoomId),
    Stand(RoomId, Standing),
    Chore,
}

pub(crate) const ROOMS: u8 = 6;

impl Model {
    pub(crate) fn now(&self, id: RoomId) -> State {
        self.states.get(&id).and_then(|it| it.last()).cloned()?
    }

    /// A step that the rooms of one log allow as they are now.
    pub(crate) fn any_step(&self, rng: &mut Rng, shard: u8, shards: u8) -> Step {
        let ours: Vec<u8> = (0..ROOMS).filter(|it| it % shards == shard).collect();
        let id = room(ours[rng.index(ours.len())]);
        let now = self.now(id);
        let (base, newest) = now.as_ref().map_or((0, 0), |(it, _)| span(it));
        match rng.below(16) {
            0..3 => Step::Chore,
            3..6 => {
                let sequence = base + rng.below(newest - base + 1);
                Step::Checkpoint(id, sequence, any_body(rng, 900).into())
            }
            6..8 if newest > base => Step::Amend(id, newest, any_body(rng, 90)),
            8 if rng.chance(0.5) => Step::Forget(id),
            9 if now.is_some() => Step::Stand(
                id,
                Standing {
                    attempts: u8::try_from(rng.below(4)).unwrap(),
                    quarantined: rng.chance(0.2),
                },
            ),
            _ => {
                let mut turn: Vec<(RoomId, u64, Vec<u8>)> = Vec::new();
                for _ in 0..=rng.below(5) {
                    let id = room(ours[rng.index(ours.len())]);
                    let newest = self.now(id).map_or(0, |(it, _)| span(&it).1);
                    let before = turn.iter().filter(|(other, ..)| *other == id).count() as u64;
                    turn.push((id, newest + before + 1, any_body(rng, 120)));
                }
                Step::Append(turn)
            }
        }
    }

    /// Does a step to the model, and says of each state whether it is being written.
    pub(crate) fn apply(&mut self, step: &Step) {
        match step {
            Step::Append(turn) => {
                for (id, sequence, body) in turn {
                    let (mut stored, standing) = self.now(*id).unwrap_or_else(nothing);
                    stored.records.push((*sequence, body.clone().into()));
                    self.push(*id, Some((stored, standing)));
                }
            }
            Step::Amend(id, sequence, body) => {
                let (mut stored, standing) = self.now(*id).unwrap();
                stored.records.pop();
                stored.records.push((*sequence, body.clone().into()));
                self.push(*id, Some((stored, standing)));
            }
            Step::Checkpoint(id, sequence, body) => {
                let (mut stored, standing) = self.now(*id).unwrap_or_else(nothing);
                stored.records.retain(|(it, _)| it > sequence);
                stored.checkpoint_sequence = *sequence;
                stored.checkpoint = body.clone();
                self.push(*id, Some((stored, standing)));
            }
            Step::Forget(id) => self.push(*id, None),
            Step::Stand(id, standing) => {
                let (stored, _) = self.now(*id).unwrap();
                self.push(*id, Some((stored, *standing)));
            }
            Step::Chore => {}
        }
    }

    fn push(&mut self, id: RoomId, state: State) {
        let lives = self
            .lives
            .entry(id)
            .or_insert_with(|| vec![Life::default()]);
        let mut life = lives.last().cloned().unwrap_or_default();
        match &state {
            None => life = Life::default(),
            Some((stored, _)) => {
                life.records.extend(stored.records.iter().cloned());
                let point = (stored.checkpoint_sequence, stored.checkpoint.clone());
                life.points.push(point);
            }
        }
        lives.push(life);
        self.states
            .entry(id)
            .or_insert_with(|| vec![None])
            .push(state);
    }

    pub(crate) fn on_acknowledged(&mut self) {
        self.acknowledged = self.lengths();
    }

    /// A log syncs its own rooms.
    fn on_sync_begun(&mut self) {
        self.syncing = self.lengths();
    }

    fn on_synced(&mut self, ours: impl Fn(RoomId) -> bool) {
        let synced = self.syncing.iter().filter(|(id, _)| ours(**id));
        self.synced.extend(synced.map(|(id, len)| (*id, *len)));
    }

    fn lengths(&self) -> BTreeMap<RoomId, usize> {
        self.states.iter().map(|(id, it)| (*id, it.len())).collect()
    }

    /// The states that a room may have after a crash.
    pub(crate) fn allowed(&self, id: RoomId, power: bool) -> &[State] {
        let Some(states) = self.states.get(&id) else {
            return &[None];
        };
        let promised = if power {
            &self.synced
        } else {
            &self.acknowledged
        };
        let promised = promised.get(&id).copied().unwrap_or(1);
        &states[promised - 1..]
    }

    /// Whether a room ever could be rebuilt to this: a checkpoint that it had, and the records that
    /// followed it then.
    pub(crate) fn ever(&self, id: RoomId, stored: &Stored) -> bool {
        let point = (stored.checkpoint_sequence, stored.checkpoint.clone());
        let holds = |life: &Life| {
            let had = point == (0, Bytes::new()) || life.points.contains(&point);
            let follow = stored.records.iter().zip(point.0 + 1..);
            let mut follow = follow.map(|((sequence, body), expected)| {
                *sequence == expected && life.records.get(sequence) == Some(body)
            });
            had && follow.all(|holds| holds)
        };
        self.lives
            .get(&id)
            .is_some_and(|lives| lives.iter().any(holds))
    }

    /// The newest sequence of a room.
    pub(crate) fn newest(state: &State) -> Option<u64> {
        state.as_ref().map(|(stored, _)| span(stored).1)
    }

    /// From here on, what was found is what is there.
    pub(crate) fn adopt(&mut self, found: &BTreeMap<RoomId, State>) {
        *self = Self::default();
        for (id, state) in found {
            self.push(*id, state.clone());
        }
        self.on_acknowledged();
        self.on_sync_begun();
        self.on_synced(|_| true);
    }
}

/// Does a step to a store.
pub(crate) fn perform(
    store: &mut LogStore,
    model: &mut Model,
    step: &Step,
    ours: impl Fn(RoomId) -> bool,
) -> Result<(), StoreError> {
    let done = match step {
        Step::Append(turn) => {
            let records: Vec<_> = turn
                .iter()
                .map(|(room, sequence, body)| Record {
                    room: *room,
                    sequence: *sequence,
                    body,
                })
                .collect();
            store.append(&records)
        }
        Step::Amend(room, sequence, body) => store.amend(Record {
            room: *room,
            sequence: *sequence,
            body,
        }),
        Step::Checkpoint(room, sequence, body) => store.checkpoint(*room, *sequence, body.clone()),
        Step::Forget(room) => store.forget(*room),
        Step::Stand(room, standing) => store.set_standing(*room, *standing),
        Step::Chore => {
            let chore = store.chore();
            model.on_sync_begun();
            let Some(chore) = chore else { return Ok(()) };
            let goal = store.journalled();
            let done = store.on_chore(chore.run());
            if store.synced() == goal {
                model.on_synced(ours);
            }
            done
        }
    };
    if done.is_ok() {
        model.on_acknowledged();
    }
    done
}

/// The state of a room in a store.
pub(crate) fn state_in(store: &LogStore, id: RoomId) -> State {
    let stored = store.load(id).unwrap()?;
    Some((stored, store.standing(id)))
}

fn span(stored: &Stored) -> (u64, u64) {
    let held = stored.records.len() as u64;
    (
        stored.checkpoint_sequence,
        stored.checkpoint_sequence + held,
    )
}

fn nothing() -> (Stored, Standing) {
    let stored = Stored {
        checkpoint_sequence: 0,
        checkpoint: Bytes::new(),
        records: Vec::new(),
        loss: None,
    };
    (stored, Standing::default())
}

fn any_body(rng: &mut Rng, most: usize) -> Vec<u8> {
    let mut body = vec![0; rng.index(most)];
    rng.fill(&mut body);
    body
}
