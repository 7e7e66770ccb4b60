//! Where a log ends that was being written when its process or machine stopped.
//!
//! Of what was not synced any sector may be missing, so the first unreadable byte ends the log:
//! what follows it was not synced either. But if an entry says that the log was synced beyond,
//! the byte was on the medium once, and is damage like any other.

use rejoin_protocol::planted::{self, Bug};

use super::format::{HeadFault, Kind, SEGMENT_HEAD_LEN, SegmentHead, SegmentId, synced};
use super::report::Cut;
use super::scan::{Stretch, wide};

/// A segment as it was found.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) id: SegmentId,
    pub(crate) seed: u32,
    pub(crate) head: Result<SegmentHead, HeadFault>,
    pub(crate) stretches: Vec<Stretch>,
    /// One past the last byte that is not zero.
    pub(crate) used: u64,
    /// Length of the file.
    pub(crate) size: u64,
    /// How much of it is believed.
    pub(crate) believed: u64,
}

/// A place in a log.
type Place = (u32, u64);

/// Decides where the log ends of which `segments` are all that are there, in order. What is not
/// believed is taken out of them. Holes that remain are damage.
pub(crate) fn settle(segments: &mut Vec<Segment>) -> Option<Cut> {
    bound_by_successors(segments);
    let synced = segments.iter().filter_map(newest_mark).max();
    let synced = synced.unwrap_or_default();
    let bad = first_unsynced(segments, synced);
    let cut = bad.and_then(|bad| cut_at(segments, bad));
    if planted::is(Bug::TailCutTooFar)
        && let Some(last) = segments.last_mut()
        && last.stretches.len() > 2
    {
        last.stretches.pop();
        last.believed = end_of(last);
    }
    // What was cut off or never written to; one whose head alone is gone stays, to be told.
    let empty = |segment: &Segment| segment.believed == 0 || segment.head.is_ok();
    segments.retain(|segment| !segment.stretches.is_empty() || !empty(segment));
    cut
}

/// The head of a segment says how long the one before it was. What stands beyond was refused
/// when it was written.
fn bound_by_successors(segments: &mut [Segment]) {
    for index in 1..segments.len() {
        let [.., before, after] = segments.get_mut(..=index).unwrap_or_default() else {
            continue;
        };
        if before.id.number + 1 != after.id.number {
            continue;
        }
        let Ok(head) = after.head else { continue };
        let len = head.length_before;
        before.stretches.retain(|stretch| stretch.offset() < len);
        // Zeros where entries belong.
        let end = end_of(before);
        if end < len {
            before.stretches.push(Stretch::Hole(end..len));
        }
        before.believed = end_of(before);
        before.used = before.used.min(len);
    }
}

/// Where the last stretch ends.
fn end_of(segment: &Segment) -> u64 {
    match segment.stretches.last() {
        Some(Stretch::Entry(entry)) => entry.end(),
        Some(Stretch::Hole(bytes)) => bytes.end,
        None => SEGMENT_HEAD_LEN,
    }
}

/// How far the newest entry says that the log was synced.
fn newest_mark(segment: &Segment) -> Option<Place> {
    let marks = segment
        .stretches
        .iter()
        .filter_map(|stretch| match stretch {
            Stretch::Entry(entry) if entry.head.kind == Kind::Synced => synced(entry.short_body()?),
            Stretch::Entry(_) | Stretch::Hole(_) => None,
        });
    marks.max()
}

/// The first place that cannot be read and is not known to have been synced.
fn first_unsynced(segments: &[Segment], synced: Place) -> Option<Place> {
    let mut expected = segments.first()?.id.number;
    for segment in segments {
        let number = segment.id.number;
        let gap = (expected..number).map(|missing| (missing, 0));
        let headless = segment.head.is_err().then_some((number, 0));
        let unsound = segment.stretches.iter().filter(|it| !it.is_sound());
        let unsound = unsound.map(|stretch| (number, stretch.offset()));
        let mut bad = gap.chain(headless).chain(unsound);
        if let Some(place) = bad.find(|place| *place >= synced) {
            return Some(place);
        }
        expected = number + 1;
    }
    None
}

/// Takes out all from `bad` on.
fn cut_at(segments: &mut [Segment], bad: Place) -> Option<Cut> {
    let (number, offset) = bad;
    let (mut bytes, mut entries) = (0, 0);
    let mut segment_of = None;
    for segment in segments {
        if segment.id.number < number {
            continue;
        }
        let from = if segment.id.number == number {
            offset
        } else {
            0
        };
        bytes += segment.used.saturating_sub(from);
        let dropped = segment.stretches.iter().filter(|it| it.offset() >= from);
        entries += dropped.filter(|stretch| stretch.is_sound()).count();
        segment.stretches.retain(|stretch| stretch.offset() < from);
        segment.believed = from;
        segment_of.get_or_insert(segment.id);
    }
    // A segment that was made and never written to ends nothing.
    let segment = segment_of.filter(|_| bytes > 0)?.name();
    Some(Cut {
        segment,
        offset,
        bytes,
        entries,
    })
}

impl Segment {
    /// What `bytes` of a file of `size` are.
    pub(crate) fn of(id: SegmentId, seed: u32, bytes: &[u8], size: u64) -> Self {
        let mut segment = Self {
            id,
            seed,
            head: SegmentHead::decode(bytes, id, seed),
            stretches: super::scan::scan(bytes, seed),
            used: wide(super::scan::used(bytes)),
            size,
            believed: 0,
        };
        segment.believed = end_of(&segment);
        segment
    }
}

#[cfg(test)]
mod tests {
    use rejoin_protocol::RoomId;

    use super::*;
    use crate::log::format::{EntryId, Head, ORIGIN, body_check, synced_body};

    fn segment(number: u32, length_before: u64, entries: &[(Kind, &[u8])]) -> Segment {
        let id = SegmentId {
            epoch: 1,
            shard: 0,
            number,
        };
        let seed = id.seed(7);
        let mut bytes = Vec::new();
        SegmentHead { id, length_before }.encode(seed, &mut bytes);
        for (kind, body) in entries {
            let head = Head {
                kind: *kind,
                moved: false,
                begins: false,
                newest: true,
                len: u32::try_from(body.len()).unwrap(),
                id: EntryId { epoch: 1, stamp: 1 },
                room: RoomId([1; 16]),
                sequence: 1,
                link: ORIGIN,
                body_check: body_check(body),
            };
            head.encode(body, seed, &mut bytes);
        }
        Segment::of(id, seed, &bytes, 4_096)
    }

    const RECORD: (Kind, &[u8]) = (Kind::Record, &[1; 20]);

    #[test]
    fn what_was_refused_before_the_next_segment_began_is_not_believed() {
        let mut log = vec![
            segment(0, 64, &[RECORD, RECORD]),
            segment(1, 64 + 80, &[RECORD]),
        ];
        assert_eq!(settle(&mut log), None);
        assert_eq!(
            log.iter().map(|it| it.believed).collect::<Vec<_>>(),
            [144; 2]
        );
        assert_eq!(log[0].stretches.len(), 1);
    }

    #[test]
    fn zeros_where_entries_were_synced_are_a_hole_and_else_an_end() {
        let mark = synced_body(1, 64);
        for (synced, expected) in [(true, [2, 2]), (false, [1, 0])] {
            let kind = if synced { Kind::Synced } else { Kind::Record };
            let mut log = vec![
                segment(0, 64, &[RECORD]),
                segment(1, 64 + 160, &[(kind, &mark), RECORD]),
            ];
            let cut = settle(&mut log);
            assert_eq!(cut.is_none(), synced);
            log.resize(2, segment(1, 64, &[]));
            let lengths = [0, 1].map(|it| log[it].stretches.len());
            assert_eq!(lengths, expected);
        }
    }
}
