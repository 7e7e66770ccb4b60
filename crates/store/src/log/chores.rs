//! Makes chores and takes in what came of them: old segments are emptied a part at a time.
//!
//! A part is read by a chore and written again by its shard. That a segment is empty is written
//! down and synced before its file goes.

use std::sync::Arc;

use rejoin_protocol::planted::{self, Bug};

use super::format::{HEAD_LEN, Head, Kind, SEGMENT_HEAD_LEN, entry_len, floor_body};
use super::index::Place;
use super::reclaim::{PART_LEN, Part, RELEASED_MAX, SPARE_PAUSE, Victim};
use super::scan::{narrow, narrow_len, next_head, wide};
use super::store::LogStore;
use crate::chore::{Chore, Finished, Goal, Reading, Yield};
use crate::contract::StoreError;
use crate::disk::DiskError;

impl LogStore {
    /// How often something of a room could not be read when it was to be moved. The rooms tell what
    /// they lack when they are loaded.
    #[must_use]
    pub const fn unreadable(&self) -> usize {
        self.reclaim.unreadable
    }

    pub(crate) fn make_chore(&mut self) -> Option<Chore> {
        if self.chore_is_out || self.failure.is_some() {
            return None;
        }
        if self.mend_all() {
            self.release_empty();
            self.choose_victim();
        }
        let remove = std::mem::take(&mut self.reclaim.removals);
        let read = self.next_reading();
        self.reclaim.spare_pause = self.reclaim.spare_pause.saturating_sub(1);
        let spare = self.segments.wants_spare();
        let spare = spare.filter(|_| self.reclaim.spare_pause == 0);
        let idle = remove.is_empty() && read.is_none() && spare.is_none();
        if idle && !self.segments.is_dirty() {
            return None;
        }
        let (sync, sync_names) = self.segments.take_dirty();
        let (segment, offset) = self.segments.position();
        self.chore_is_out = true;
        Some(Chore {
            disk: Arc::clone(&self.disk),
            fence: self.fence,
            sync,
            sync_names,
            remove,
            read,
            spare,
            goal: Goal {
                stamp: self.written,
                segment,
                offset,
            },
        })
    }

    pub(crate) fn take_in(&mut self, finished: Finished) -> Result<(), StoreError> {
        self.chore_is_out = false;
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let Yield { read, spare } = match finished.outcome {
            Ok(outcome) => outcome,
            Err(_) if planted::is(Bug::FailedSyncPassedOver) => {
                self.on_synced(finished.goal);
                return Ok(());
            }
            Err(failure) => return Err(self.fail(failure)),
        };
        self.on_synced(finished.goal);
        if let Some(until) = self.reclaim.releasing.take() {
            let removals = self.segments.release(until);
            self.reclaim.removals.extend(removals);
        }
        match spare {
            Some(Ok(spare)) => self.segments.spare = Some(spare),
            // When the head is full the shard tries itself, and tells its caller.
            Some(Err(_)) => self.reclaim.spare_pause = SPARE_PAUSE,
            None => {}
        }
        if let Some(read) = read {
            self.move_part(read)?;
        }
        Ok(())
    }

    /// Writes down what rooms lack. Before that is done no segment goes.
    fn mend_all(&mut self) -> bool {
        while let Some(room) = self.reclaim.unmended.first().copied() {
            if self.mend(room).is_err() {
                return false;
            }
            self.reclaim.unmended.remove(&room);
        }
        true
    }

    /// Writes down that the oldest segments are not needed any more, if so.
    fn release_empty(&mut self) {
        let oldest = self.segments.oldest().take(RELEASED_MAX);
        let empty = oldest.take_while(|(number, _)| self.index.live_in(*number) == 0);
        let Some((until, id)) = empty.map(|(number, it)| (number, it.id)).last() else {
            return;
        };
        // A full store tries again with the next chore; what is broken tells the next caller.
        if self.write_own(Kind::Floor, &floor_body(id)).is_ok() {
            self.reclaim.releasing = Some(until);
            self.reclaim.victim = None;
        }
    }

    fn choose_victim(&mut self) {
        if self.reclaim.victim.is_some() || self.reclaim.releasing.is_some() {
            return;
        }
        let Some((segment, oldest)) = self.segments.oldest().next() else {
            return;
        };
        if oldest.shared.is_some() || self.segments.is_wasteful(self.index.live()) {
            self.reclaim.victim = Some(Victim {
                segment,
                offset: SEGMENT_HEAD_LEN,
                len: PART_LEN,
            });
        }
    }

    fn next_reading(&self) -> Option<Reading> {
        let victim = self.reclaim.victim?;
        let segment = self.segments.get(victim.segment)?;
        let rest = narrow_len(segment.end.saturating_sub(victim.offset));
        Some(Reading {
            file: Arc::clone(&segment.file),
            offset: victim.offset,
            len: rest.min(victim.len),
        })
    }

    /// Writes again what is needed of a part.
    fn move_part(&mut self, read: Result<Vec<u8>, DiskError>) -> Result<(), StoreError> {
        let Some(mut victim) = self.reclaim.victim else {
            return Ok(());
        };
        let Some(segment) = self.segments.get(victim.segment) else {
            self.reclaim.victim = None;
            return Ok(());
        };
        let (seed, end) = (segment.seed, segment.end);
        let bytes = read.unwrap_or_default();
        let mut part = if bytes.is_empty() {
            // What the medium cannot give is a hole as long as what was asked for.
            let to = victim.offset + wide(victim.len);
            Part {
                holes: vec![(victim.offset, to)],
                len: victim.len,
                ..Part::default()
            }
        } else {
            // A file that is shorter than it was has no more to give either.
            let asked = narrow_len(end - victim.offset).min(victim.len);
            let last = victim.offset + wide(bytes.len()) >= end || bytes.len() < asked;
            self.pick(&bytes, victim, seed, last)
        };
        let next = (victim.offset + wide(part.len)).min(end);
        if next >= end && self.index.live_in(victim.segment) > 0 {
            // What nobody could find must not keep the segment for ever.
            part.rest = Some((0, u64::MAX));
        }
        match self.write_part(&part.entries, &part.from) {
            // The same part is read again when there is place.
            Err(StoreError::Full { .. }) => return Ok(()),
            written => written?,
        }
        for (from, to) in part.holes.into_iter().chain(part.rest) {
            let touched = self.index.give_up(victim.segment, from, to);
            self.reclaim.unreadable += touched.len();
            self.reclaim.unmended.extend(touched);
        }
        victim.len = part.wanted.max(PART_LEN);
        victim.offset = next;
        self.reclaim.victim = (next < end).then_some(victim);
        Ok(())
    }

    fn write_part(&mut self, entries: &[(Head, &[u8])], from: &[Place]) -> Result<(), StoreError> {
        if entries.is_empty() {
            return Ok(());
        }
        let places = self.write_moved(entries)?;
        for (((head, _), from), to) in entries.iter().zip(from).zip(places) {
            self.index.moved(head.room, head.sequence, *from, to);
        }
        Ok(())
    }

    /// Goes through a part of a segment for what is needed.
    fn pick<'a>(&mut self, bytes: &'a [u8], victim: Victim, seed: u32, last: bool) -> Part<'a> {
        let mut part = Part::default();
        let (space, mut moved) = (self.segments.space(), 0);
        while part.len < bytes.len() {
            let rest = bytes.get(part.len..).unwrap_or_default();
            let offset = victim.offset + wide(part.len);
            let Some(head) = Head::decode(rest, seed) else {
                if !last && rest.len() < HEAD_LEN {
                    break;
                }
                let next = next_head(bytes, part.len, bytes.len(), seed);
                // The next head may begin in this part and end in the next one.
                let sure = if last {
                    next
                } else {
                    next.min(bytes.len() - HEAD_LEN)
                };
                let sure = sure.next_multiple_of(8).max(part.len + 8).min(bytes.len());
                part.holes.push((offset, victim.offset + wide(sure)));
                part.len = sure;
                continue;
            };
            let len = entry_len(narrow(head.len));
            let Some(entry) = rest.get(..len) else {
                part.wanted = len;
                if last {
                    part.holes.push((offset, victim.offset + wide(bytes.len())));
                    part.len = bytes.len();
                }
                break;
            };
            let place = Place {
                segment: victim.segment,
                offset: u32::try_from(offset).unwrap_or(u32::MAX),
                len: head.len,
            };
            if self.index.needs(head.room, head.sequence, place) {
                let body = entry.get(HEAD_LEN..HEAD_LEN + narrow(head.len));
                let body = body.unwrap_or_default();
                if moved + len > space && !part.entries.is_empty() {
                    break;
                }
                if head.fits(body) {
                    part.entries.push((head, body));
                    part.from.push(place);
                    moved += len;
                } else {
                    part.holes.push((offset, offset + 1));
                }
            }
            part.len += len;
        }
        part
    }
}
