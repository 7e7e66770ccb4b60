//! A store whose engine is chosen when the process starts.

use bytes::Bytes;
use rejoin_protocol::RoomId;

use crate::chore::{Chore, Finished};
use crate::contract::{Record, Standing, Store, StoreError, Stored};

impl<S: Store + ?Sized> Store for Box<S> {
    fn append(&mut self, records: &[Record<'_>]) -> Result<(), StoreError> {
        (**self).append(records)
    }

    fn amend(&mut self, record: Record<'_>) -> Result<(), StoreError> {
        (**self).amend(record)
    }

    fn checkpoint(&mut self, room: RoomId, sequence: u64, body: Bytes) -> Result<(), StoreError> {
        (**self).checkpoint(room, sequence, body)
    }

    fn journal_bytes(&self, room: RoomId) -> usize {
        (**self).journal_bytes(room)
    }

    fn load(&self, room: RoomId) -> Result<Option<Stored>, StoreError> {
        (**self).load(room)
    }

    fn rooms(&self) -> Vec<RoomId> {
        (**self).rooms()
    }

    fn rooms_newest_first(&self) -> Vec<RoomId> {
        (**self).rooms_newest_first()
    }

    fn forget(&mut self, room: RoomId) -> Result<(), StoreError> {
        (**self).forget(room)
    }

    fn journalled(&self) -> u64 {
        (**self).journalled()
    }

    fn synced(&self) -> u64 {
        (**self).synced()
    }

    fn chore(&mut self) -> Option<Chore> {
        (**self).chore()
    }

    fn on_chore(&mut self, finished: Finished) -> Result<(), StoreError> {
        (**self).on_chore(finished)
    }

    fn sync_now(&mut self) -> Result<(), StoreError> {
        (**self).sync_now()
    }

    fn standing(&self, room: RoomId) -> Standing {
        (**self).standing(room)
    }

    fn set_standing(&mut self, room: RoomId, standing: Standing) -> Result<(), StoreError> {
        (**self).set_standing(room, standing)
    }

    fn begin_load(&mut self, room: RoomId) -> Result<Standing, StoreError> {
        (**self).begin_load(room)
    }

    fn end_load(&mut self, room: RoomId) -> Result<(), StoreError> {
        (**self).end_load(room)
    }
}
