//! Which rooms there may be: one per request id. And which there are, by the server's own word.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::rc::Rc;

use rejoin_coordinator::Directory;
use rejoin_protocol::message::{Filter, RoomCard};
use rejoin_protocol::{PlayerId, RoomCode, RoomId, SessionId, Timestamp};

use crate::report::{Violation, ensure};

/// A room of one server process: after a restart the same id is another room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Site {
    /// The number of the process.
    pub(crate) era: u64,
    pub(crate) room: RoomId,
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { era, room } = self;
        write!(f, "{room} of process {era}")
    }
}

/// All rooms that were ever asked for.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    asked: BTreeMap<RoomId, Asked>,
    /// The code that members of each private room were told.
    codes: BTreeMap<RoomId, RoomCode>,
    listed: Listed,
    /// Rooms that processes before this one had opened.
    opened_before: u64,
    /// Rooms that have rotted: some cannot be taken up any more.
    rotten: BTreeSet<RoomId>,
    /// Which processes found each room gone: the same request may open another of its name there.
    gone: BTreeMap<RoomId, Vec<u64>>,
}

/// A room that was asked for.
#[derive(Clone, Copy, Debug, Default)]
struct Asked {
    owner: Option<PlayerId>,
    close_asked: bool,
    private: bool,
}

/// What a directory was told, shared between it and the model.
type Listed = Rc<RefCell<BTreeMap<RoomId, Listing>>>;

/// How often a room was opened, and whether it is open.
#[derive(Clone, Copy, Debug, Default)]
struct Listing {
    opened: u64,
    open: bool,
}

/// A directory that tells the model what it is told. Clones share it.
#[derive(Debug)]
pub(crate) struct Witnessed<D> {
    inner: Rc<RefCell<D>>,
    listed: Listed,
}

impl<D> Clone for Witnessed<D> {
    fn clone(&self) -> Self {
        Self {
            inner: Rc::clone(&self.inner),
            listed: Rc::clone(&self.listed),
        }
    }
}

impl Rooms {
    /// A directory whose entries this model sees.
    pub(crate) fn watch<D: Directory>(&self, inner: D) -> Witnessed<D> {
        Witnessed {
            inner: Rc::new(RefCell::new(inner)),
            listed: Rc::clone(&self.listed),
        }
    }

    /// The server's process has ended, and its rooms with it. The same requests open other ones.
    pub(crate) fn on_restart(&mut self) {
        self.opened_before = self.opened();
        self.listed.borrow_mut().clear();
        self.codes.clear();
        for asked in self.asked.values_mut() {
            (asked.owner, asked.close_asked) = (None, false);
        }
    }

    /// Another process has the rooms that were open. Which ones were closed it does not know: the same requests may open
    /// other ones.
    pub(crate) fn on_handed_on(&mut self, process: u64) {
        self.forget(process, |_, listing| !listing.open);
    }

    fn forget(&mut self, process: u64, is_gone: impl Fn(&RoomId, &Listing) -> bool) {
        self.listed.borrow_mut().retain(|room, listing| {
            let gone = is_gone(room, listing);
            if gone {
                self.opened_before += listing.opened;
                self.gone.entry(*room).or_default().push(process);
            }
            !gone
        });
    }

    /// How often `room` was gone before that process: each time another room of its name may have been opened.
    pub(crate) fn gone_before(&self, room: RoomId, process: u64) -> usize {
        let gone = self.gone.get(&room).into_iter().flatten();
        gone.filter(|found| **found <= process).count()
    }

    /// Another process has these rooms, after a loss of power if so: then some that were open may be missing, and some that
    /// were closed may be there. The same is true of those that are rotten.
    pub(crate) fn on_found(
        &mut self,
        process: u64,
        found: &BTreeSet<RoomId>,
        lost_power: bool,
        rotten: &BTreeSet<RoomId>,
    ) -> Result<(), Violation> {
        self.rotten.extend(rotten);
        let rotten = &self.rotten;
        let listed = self.listed.borrow();
        let open = listed.iter().filter(|(_, listing)| listing.open);
        let open: BTreeSet<_> = open.map(|(room, _)| *room).collect();
        let mut differ = open.symmetric_difference(found);
        let differ = differ.find(|room| !rotten.contains(room));
        ensure(
            lost_power || differ.is_none(),
            "a killed process loses no room and forgets none that is open",
            || format!("{differ:?}; {} were open", open.len()),
        )?;
        drop(listed);
        self.forget(process, |room, _| !found.contains(room));
        let mut listed = self.listed.borrow_mut();
        for room in found {
            let listing = listed.entry(*room).or_default();
            (listing.opened, listing.open) = (1, true);
        }
        for room in open.difference(found) {
            self.codes.remove(room);
            if let Some(asked) = self.asked.get_mut(room) {
                asked.owner = None;
            }
        }
        Ok(())
    }

    /// A player was told that `room` cannot be taken up. True if that may be.
    pub(crate) fn failed(&mut self, room: RoomId) -> bool {
        if let Some(listing) = self.listed.borrow_mut().get_mut(&room) {
            listing.open = false;
        }
        self.rotten.contains(&room)
    }

    /// A player asks for `room` by its request id.
    pub(crate) fn asked(&mut self, room: RoomId) {
        self.asked.entry(room).or_default();
    }

    /// A player asks for the private `room` by its request id.
    pub(crate) fn asked_private(&mut self, room: RoomId) {
        self.asked.entry(room).or_default().private = true;
    }

    /// True if `room` was asked for as a private one.
    pub(crate) fn is_private(&self, room: RoomId) -> bool {
        self.asked.get(&room).is_some_and(|asked| asked.private)
    }

    /// A member of `room` was told its code.
    pub(crate) fn code_told(
        &mut self,
        room: RoomId,
        code: Option<RoomCode>,
    ) -> Result<(), Violation> {
        let told = || format!("{room}: {code:?}");
        let private = self.is_private(room);
        ensure(
            private == code.is_some(),
            "private rooms have codes, and no others",
            told,
        )?;
        let Some(code) = code else { return Ok(()) };
        let known = *self.codes.entry(room).or_insert(code);
        ensure(known == code, "a private room keeps its code", told)?;
        let mut others = self.codes.iter().filter(|(other, _)| **other != room);
        let twin = others.any(|(_, other)| *other == code);
        ensure(!twin, "each private room has a code of its own", told)
    }

    /// The code of `room`, as far as members were told.
    pub(crate) fn code(&self, room: RoomId) -> Option<RoomCode> {
        self.codes.get(&room).copied()
    }

    /// All codes that members were told.
    pub(crate) fn codes(&self) -> impl Iterator<Item = RoomCode> {
        self.codes.values().copied()
    }

    /// The owner asks to close `room`.
    pub(crate) fn close_asked(&mut self, room: RoomId) {
        self.asked.entry(room).or_default().close_asked = true;
    }

    /// True if its owner asked to close `room`.
    pub(crate) fn may_be_closed(&self, room: RoomId) -> bool {
        self.asked.get(&room).is_some_and(|asked| asked.close_asked)
    }

    /// A player was told that it opened `room`, and so owns it.
    pub(crate) fn created(&mut self, room: RoomId, by: PlayerId) {
        self.asked.entry(room).or_default().owner = Some(by);
    }

    /// Who owns `room`, as far as players were told.
    pub(crate) fn owner(&self, room: RoomId) -> Option<PlayerId> {
        self.asked.get(&room).and_then(|asked| asked.owner)
    }

    /// How often the server opened `room`.
    pub(crate) fn openings(&self, room: RoomId) -> u64 {
        self.listed
            .borrow()
            .get(&room)
            .map_or(0, |listing| listing.opened)
    }

    /// True if the server says that `room` is open.
    pub(crate) fn is_open(&self, room: RoomId) -> bool {
        self.listed
            .borrow()
            .get(&room)
            .is_some_and(|listing| listing.open)
    }

    /// Rooms opened in all.
    pub(crate) fn opened(&self) -> u64 {
        let listed = self.listed.borrow();
        let opened = listed.values().map(|listing| listing.opened);
        self.opened_before + opened.sum::<u64>()
    }

    /// Checks that only rooms exist that a request id names, and as many as the server counts.
    pub(crate) fn check(&self, counted: usize) -> Result<(), Violation> {
        let listed = self.listed.borrow();
        let stranger = listed.keys().find(|room| !self.asked.contains_key(room));
        ensure(stranger.is_none(), "one request id names one room", || {
            format!(
                "room {} was opened, which no request names",
                stranger.expect("it is some")
            )
        })?;
        let twin = listed.iter().find(|(_, listing)| listing.opened > 1);
        ensure(
            twin.is_none(),
            "no request opens a closed room again",
            || format!("{twin:?}"),
        )?;
        let open = listed.iter().filter(|(_, listing)| listing.open);
        let (rotten, sound): (Vec<_>, Vec<_>) =
            { open }.partition(|(room, _)| self.rotten.contains(*room));
        let open = sound.len() + rotten.len();
        ensure(
            (sound.len()..=open).contains(&counted),
            "the directory lists all open rooms",
            || format!("{open} listed, {counted} open"),
        )
    }
}

impl<D> Witnessed<D> {
    /// The server says that `room` is open.
    fn note(&self, room: RoomId) {
        let mut listed = self.listed.borrow_mut();
        let listing = listed.entry(room).or_default();
        if !listing.open {
            listing.opened += 1;
            listing.open = true;
        }
    }
}

impl<D: Directory> Directory for Witnessed<D> {
    fn claim(&mut self, room: RoomId, shard: u8) -> u8 {
        self.inner.claim(room, shard)
    }

    fn place(&mut self, request: RoomId, room: RoomId) -> RoomId {
        self.inner.place(request, room)
    }

    fn displace(&mut self, request: RoomId) {
        self.inner.displace(request);
    }

    fn placed(&self, request: RoomId) -> Option<RoomId> {
        self.inner.placed(request)
    }

    fn bury(&mut self, room: RoomId, now: Timestamp) {
        self.inner.bury(room, now);
    }

    fn is_buried(&mut self, room: RoomId, now: Timestamp) -> bool {
        self.inner.is_buried(room, now)
    }

    fn publish(&mut self, shard: u8, card: RoomCard) {
        self.note(card.room);
        self.inner.publish(shard, card);
    }

    fn publish_private(&mut self, shard: u8, room: RoomId, code: RoomCode) {
        self.note(room);
        self.inner.publish_private(shard, room, code);
    }

    fn by_code(&self, code: RoomCode) -> Option<RoomId> {
        self.inner.by_code(code)
    }

    fn conceal(&mut self, room: RoomId) {
        self.inner.conceal(room);
    }

    fn withdraw(&mut self, room: RoomId) {
        if let Some(listing) = self.listed.borrow_mut().get_mut(&room) {
            listing.open = false;
        }
        self.inner.withdraw(room);
    }

    fn owner(&self, room: RoomId) -> Option<u8> {
        self.inner.owner(room)
    }

    fn find(&self, kind: Option<&str>, filters: &[Filter], max: usize) -> Vec<RoomCard> {
        self.inner.find(kind, filters, max)
    }

    fn card(&self, room: RoomId) -> Option<RoomCard> {
        self.inner.card(room)
    }

    fn vacant(&self, kind: &str, filters: &[Filter], but: u8) -> Option<(u8, RoomId)> {
        self.inner.vacant(kind, filters, but)
    }

    fn settle(&mut self, session: SessionId, shard: u8) -> u8 {
        self.inner.settle(session, shard)
    }

    fn depart(&mut self, session: SessionId, shard: u8) {
        self.inner.depart(session, shard);
    }
}

#[cfg(test)]
mod tests {
    use rejoin_coordinator::MemoryDirectory;

    use super::*;

    fn card(room: RoomId) -> RoomCard {
        RoomCard {
            room,
            kind: "arena".into(),
            members: 1,
            members_max: 4,
            metadata: BTreeMap::new(),
        }
    }

    #[test]
    fn a_room_that_no_request_names_is_a_violation() {
        let mut rooms = Rooms::default();
        let mut directory = rooms.watch(MemoryDirectory::default());
        let (asked, stranger) = (RoomId([1; 16]), RoomId([2; 16]));
        rooms.asked(asked);
        directory.publish(0, card(asked));
        directory.publish(0, card(asked));
        assert_eq!(rooms.check(1), Ok(()));
        assert!(rooms.check(2).is_err());
        assert_eq!(rooms.openings(asked), 1);
        directory.publish(0, card(stranger));
        assert!(rooms.check(2).is_err());
    }

    #[test]
    fn a_code_is_told_to_members_of_private_rooms_and_is_one_per_room() {
        let mut rooms = Rooms::default();
        let (private, other, open) = (RoomId([1; 16]), RoomId([2; 16]), RoomId([3; 16]));
        let code = |text: &str| Some(text.parse::<RoomCode>().unwrap());
        rooms.asked_private(private);
        rooms.asked_private(other);
        rooms.asked(open);
        assert_eq!(rooms.code_told(private, code("AAAAAA")), Ok(()));
        assert_eq!(rooms.code_told(private, code("AAAAAA")), Ok(()));
        assert_eq!(rooms.code_told(open, None), Ok(()));
        assert_eq!(rooms.code(private), code("AAAAAA"));
        for (room, told) in [
            (private, code("BBBBBB")),
            (private, None),
            (other, code("AAAAAA")),
            (open, code("CCCCCC")),
        ] {
            assert!(rooms.code_told(room, told).is_err(), "{room} {told:?}");
        }
    }

    #[test]
    fn a_room_opened_again_is_a_violation() {
        let mut rooms = Rooms::default();
        let mut directory = rooms.watch(MemoryDirectory::default());
        let room = RoomId([1; 16]);
        for _ in 0..2 {
            directory.publish(0, card(room));
            assert!(rooms.is_open(room));
            directory.withdraw(room);
            assert!(!rooms.is_open(room));
        }
        assert_eq!((rooms.openings(room), rooms.opened()), (2, 2));
        rooms.asked(room);
        assert!(rooms.check(0).is_err());
    }
}
