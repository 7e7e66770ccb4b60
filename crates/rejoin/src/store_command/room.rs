//! A stored room as the commands have it: what the store gives, and what its checkpoint says.

use rejoin_coordinator::inspect::{Call, Checkpoint, Record, Unreadable};
use rejoin_protocol::RoomId;
use rejoin_store::log::{EntryPlace, LogReader};
use rejoin_store::{Loss, Standing, Stored};

/// See the module page.
#[derive(Clone, Debug)]
pub(super) struct StoredRoom {
    pub(super) id: RoomId,
    pub(super) stored: Stored,
    pub(super) standing: Standing,
    /// Where its checkpoint stands, if it is in a store.
    pub(super) place: Option<EntryPlace>,
    /// None if it has no checkpoint yet.
    pub(super) checkpoint: Option<Result<Checkpoint, Unreadable>>,
}

impl StoredRoom {
    pub(super) fn of(id: RoomId, stored: Stored, standing: Standing) -> Self {
        let body = Some(&stored.checkpoint).filter(|body| !body.is_empty());
        let checkpoint = body.map(|body| Checkpoint::read(body));
        Self {
            id,
            stored,
            standing,
            place: None,
            checkpoint,
        }
    }

    pub(super) fn of_reader(reader: &LogReader, id: RoomId) -> Option<Self> {
        let mut room = Self::of(id, reader.load(id)?, reader.standing(id));
        room.place = reader.checkpoint_place(id);
        Some(room)
    }

    /// The checkpoint, if there is one that can be read.
    pub(super) fn readable(&self) -> Option<&Checkpoint> {
        self.checkpoint.as_ref()?.as_ref().ok()
    }

    /// Name and version of its kind: as the checkpoint says, else the call that opened it.
    pub(super) fn kind(&self) -> Option<(String, u32)> {
        if let Some(checkpoint) = self.readable() {
            return Some((checkpoint.room.kind.clone(), checkpoint.room.version));
        }
        let (_, first) = self.stored.records.first()?;
        let call = Record::read(first).ok()?.calls.into_iter().next()?;
        if let Call::Open { kind, version, .. } = call {
            return Some((kind, version));
        }
        None
    }

    /// Bytes of the records after the checkpoint.
    pub(super) fn journal_bytes(&self) -> usize {
        self.stored.records.iter().map(|(_, body)| body.len()).sum()
    }

    /// What is missing, in words.
    pub(super) fn loss(&self) -> Option<String> {
        self.stored.loss.map(|loss| match loss {
            Loss::Records { from, to } => format!("records {from} to {to} are lost"),
            Loss::Possible { after } => format!("what followed {after} may be lost"),
        })
    }
}
