//! Notes on a room that are no part of its history: how it stands, and what it lacks.

use rejoin_protocol::RoomId;

use super::format::{Kind, ORIGIN, loss_body, standing_body};
use super::segments::Claim;
use super::store::{Entry, LogStore};
use crate::contract::{Loss, Standing, Store, StoreError};

impl LogStore {
    pub(crate) fn set_loss(&mut self, room: RoomId, loss: Loss) -> Result<(), StoreError> {
        let sequence = match loss {
            Loss::Records { from, .. } => from - 1,
            Loss::Possible { after } => after,
        };
        let known = self.index.room(room).map(|it| it.link_of(sequence));
        let link = known.unwrap_or(ORIGIN);
        let body = loss_body(loss);
        let entry = Entry {
            newest: true,
            link,
            ..Entry::of_room(Kind::Loss, room, sequence, &body)
        };
        let place = self.write_one(&entry, Claim::Upkeep)?;
        self.index.set_loss(room, loss, place);
        Ok(())
    }

    /// True if a record is refused because its room goes on where its readable history ends, before what is held of it: bytes
    /// went bad since the store was opened. What cannot be read is given up then.
    pub(crate) fn settle(&mut self, problem: &StoreError) -> Result<bool, StoreError> {
        let StoreError::OutOfOrder { room, found, .. } = *problem else {
            return Ok(false);
        };
        let loss = self.load(room)?.and_then(|stored| stored.loss);
        let is_held = { self.index.room(room) }.is_some_and(|it| found <= it.newest);
        match loss.filter(|_| is_held) {
            Some(loss @ Loss::Records { from, .. }) if from == found => {
                self.index.cut(room, found - 1);
                self.set_loss(room, loss)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Writes down what a room lacks once something of it was given up, so that the next process knows.
    pub(crate) fn mend(&mut self, id: RoomId) -> Result<(), StoreError> {
        let Some(room) = self.index.room(id) else {
            return Ok(());
        };
        let (to, standing) = (room.newest, room.standing);
        let unwritten = room.standing_at.is_none() && standing != Standing::default();
        let known = room.loss.filter(|_| room.loss_at.is_none());
        let lost = room.first_lost().map(|from| Loss::Records { from, to });
        if unwritten {
            self.write_standing(id, standing)?;
        }
        match lost.or(known) {
            Some(loss) => self.set_loss(id, loss),
            None => Ok(()),
        }
    }

    pub(crate) fn write_standing(
        &mut self,
        room: RoomId,
        standing: Standing,
    ) -> Result<(), StoreError> {
        let known = self.index.room(room).map(|it| (it.newest, it.tip));
        let (sequence, link) = known.unwrap_or_default();
        let body = standing_body(standing);
        let entry = Entry {
            newest: true,
            link,
            ..Entry::of_room(Kind::Standing, room, sequence, &body)
        };
        let place = self.write_one(&entry, Claim::Upkeep)?;
        self.index.set_standing(room, standing, place);
        Ok(())
    }
}
