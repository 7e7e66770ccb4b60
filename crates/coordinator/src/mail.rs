//! What shards tell each other: letters, kept until the turn ends and then handed over in batches.
//!
//! ```text
//! home   the shard of a session and its connection        ToRoom ->
//! host   the shard of a room                               <- ToSession
//! ```
//!
//! A session whose room is at its own home goes through the same calls without a letter. Letters between
//! two shards arrive in order. Bounded: with half of [`LETTERS_MAX`] waiting for a shard, those that can be done
//! without are not written (a latest input, since a newer one follows; a snapshot, which the room sends later), and
//! with all of it whoever would miss something is closed. What is told of seats and snapshots that were sent is always written; it is
//! bounded by what causes it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use bytes::Bytes;
use rejoin_protocol::message::{Answer, CallId, Held, RoomCloseReason, SeatChange, Seated};
use rejoin_protocol::room_message::SnapshotHead;
use rejoin_protocol::{CloseReason, Incarnation, PlayerId, Refusal, RoomId, SessionId, Stay};

use crate::keys::{RoomKey, SessionKey};
use crate::limits::LETTERS_MAX;
use crate::rooms::entry::Applicant;
use crate::rooms::fate::Sent;

/// Something that one shard tells another. Carried as it is: nothing in it is for those between.
#[derive(Debug)]
pub struct Letter(pub(crate) Content);

impl Letter {
    /// True if it is a datagram that the other shard was handed by mistake.
    #[must_use]
    pub const fn carries_datagram(&self) -> bool {
        matches!(self.0, Content::Datagram { .. })
    }
}

impl Letter {
    const fn must_go(&self) -> bool {
        match &self.0 {
            Content::Datagram { .. } => false,
            Content::ToRoom { what, .. } => what.must_go(),
            Content::ToSession { what, .. } => what.must_go(),
            Content::Ask { .. } | Content::Reply { .. } => true,
        }
    }
}

#[derive(Debug)]
pub(crate) enum Content {
    /// A datagram that is for the other shard.
    Datagram { from: SocketAddr, bytes: Vec<u8> },
    /// A session wants a seat in a room, or the one it holds.
    Ask {
        room: RoomId,
        from: Guest,
        ask: Box<Ask>,
    },
    /// A session turns to the room of a seat.
    ToRoom {
        room: Abroad,
        from: Guest,
        what: ToRoom,
    },
    /// A room turns to a session.
    ToSession {
        to: Guest,
        room: Abroad,
        what: ToSession,
    },
    /// The answer to a request, except that a seat was taken.
    Reply {
        to: Guest,
        call: CallId,
        /// True if it refuses a seat.
        ask: bool,
        result: Result<Answer, Refusal>,
    },
}

/// A session as other shards know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Guest {
    /// Its home.
    pub(crate) shard: u8,
    pub(crate) key: SessionKey,
    pub(crate) session: SessionId,
    /// Which of its clients is meant.
    pub(crate) incarnation: Incarnation,
}

impl Guest {
    /// The player it is seen as.
    pub(crate) fn player(&self) -> PlayerId {
        self.session.player()
    }
}

/// The room of a seat as other shards know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Abroad {
    /// Its host.
    pub(crate) shard: u8,
    pub(crate) key: RoomKey,
    pub(crate) room: RoomId,
    /// Which of the session's stays there is meant, so that what was sent to a seat that is gone does
    /// not meet the next one.
    pub(crate) stay: Stay,
}

/// Where a session's room is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    Here(RoomKey),
    There(Abroad),
}

/// Where a room's session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    Here(SessionKey),
    There(Guest),
}

/// What a session asks of the room of a seat, or lets it know.
#[derive(Debug)]
pub(crate) enum ToRoom {
    /// It gives its seat back.
    Leave { call: CallId },
    /// It wants the room closed.
    Close { call: CallId },
    /// Its client has lost its view.
    Resync,
    /// A reliable input, the next in order.
    Input { number: u64, payload: Bytes },
    /// A reliable input that was refused already. The number stays, so that the cursor passes it.
    Void { number: u64 },
    /// A latest input.
    Latest { payload: Bytes },
    /// What became of something that was sent.
    Fate { sent: Sent, arrived: bool },
    /// Its player was seen to change.
    Change(SeatChange),
    /// Nobody has the seat on a connection any more: it is held until a client asks for it.
    Detach,
}

impl ToRoom {
    /// True if the room can do without it.
    pub(crate) const fn is_spare(&self) -> bool {
        matches!(self, Self::Latest { .. } | Self::Resync)
    }

    /// True if it is written however much waits.
    pub(crate) const fn must_go(&self) -> bool {
        matches!(self, Self::Fate { .. } | Self::Change(_) | Self::Detach)
    }
}

/// A question for a seat.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) call: CallId,
    pub(crate) applicant: Applicant,
    /// Its client says that it is loading.
    pub(crate) loading: bool,
    /// It came by the room's code.
    pub(crate) by_code: bool,
    /// What its client still has of the seat.
    pub(crate) held: Option<Held>,
}

/// What a room tells one of its members.
#[derive(Debug)]
pub(crate) enum ToSession {
    /// It has the seat.
    Seated {
        call: CallId,
        /// The seat's name is for the session's home to give.
        seated: Box<Seated>,
        /// The newest input that the room has applied.
        applied: u64,
        /// Members that one answer does not name.
        untold: Vec<(PlayerId, String)>,
    },
    /// Another member changed.
    Member {
        player: PlayerId,
        name: String,
        change: SeatChange,
    },
    /// A reliable input will not be applied.
    InputRefused { number: u64, refusal: Refusal },
    /// An event of the room, to that stay.
    Event {
        stay: Stay,
        number: u64,
        payload: Bytes,
    },
    /// Events of the room up to that one will never come to the client.
    Missed { number: u64 },
    /// A view, or what makes it of one the client has.
    Snapshot {
        head: SnapshotHead,
        body: Bytes,
        generation: u8,
    },
    /// The seat is gone; a reason is told to the client.
    Vacated { reason: Option<RoomCloseReason> },
    /// Its connection must be closed.
    End(CloseReason),
}

impl ToSession {
    /// True if it is written however much waits.
    pub(crate) const fn must_go(&self) -> bool {
        !matches!(
            self,
            Self::Snapshot { .. }
                | Self::Event { .. }
                | Self::Missed { .. }
                | Self::Member { .. }
                | Self::InputRefused { .. }
        )
    }
}

/// Letters of one shard that wait to be handed over.
#[derive(Debug)]
pub(crate) struct Mail {
    own: u8,
    /// By addressee.
    queues: Vec<Vec<Letter>>,
    /// Sessions abroad that were told to end, until they detach.
    ending: BTreeMap<(u8, SessionKey), (SessionId, Incarnation)>,
    /// Letters written so far.
    written: u64,
}

impl Mail {
    /// No letters from shard `own` of `shards`.
    pub(crate) fn new(own: u8, shards: u8) -> Self {
        Self {
            own,
            queues: (0..shards.max(1)).map(|_| Vec::new()).collect(),
            ending: BTreeMap::new(),
            written: 0,
        }
    }

    /// True if that is another shard of this server.
    pub(crate) fn is_other(&self, shard: u8) -> bool {
        shard != self.own && usize::from(shard) < self.queues.len()
    }

    /// True if no more is written but what must go. What can be done without leaves half of the room to what
    /// somebody would miss.
    pub(crate) fn is_full(&self, shard: u8, spare: bool) -> bool {
        let most = if spare { LETTERS_MAX / 2 } else { LETTERS_MAX };
        let queue = self.queues.get(usize::from(shard));
        queue.is_none_or(|queue| queue.len() >= most)
    }

    /// Writes a letter.
    pub(crate) fn post(&mut self, shard: u8, content: Content) {
        debug_assert!(self.is_other(shard), "nobody writes to itself");
        if let Some(queue) = self.queues.get_mut(usize::from(shard)) {
            queue.push(Letter(content));
            self.written += 1;
        }
    }

    /// A member abroad has to be closed. Said once; nothing that it could do without is written to it before
    /// it detaches.
    pub(crate) fn end(&mut self, to: Guest, room: Abroad, reason: CloseReason) {
        let client = (to.session, to.incarnation);
        let told = self.ending.insert((to.shard, to.key), client);
        if told != Some(client) {
            let what = ToSession::End(reason);
            self.post(to.shard, Content::ToSession { to, room, what });
        }
    }

    /// True if this client was told to end.
    pub(crate) fn is_ending(&self, guest: Guest) -> bool {
        self.ending.get(&(guest.shard, guest.key)) == Some(&(guest.session, guest.incarnation))
    }

    /// A newer client asks.
    pub(crate) fn forgive_older(&mut self, guest: Guest) {
        if !self.is_ending(guest) {
            self.forgive(guest);
        }
    }

    /// Its end has come.
    pub(crate) fn forgive(&mut self, guest: Guest) {
        self.ending.remove(&(guest.shard, guest.key));
    }

    /// Moves all letters for a shard to `taken`.
    pub(crate) fn take(&mut self, shard: u8, taken: &mut Vec<Letter>) {
        if let Some(queue) = self.queues.get_mut(usize::from(shard)) {
            taken.append(queue);
        }
    }

    /// Letters written so far.
    pub(crate) const fn written(&self) -> u64 {
        self.written
    }

    /// True if nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.queues.iter().all(Vec::is_empty)
    }

    /// Checks the bound on what can be done without: what is always written comes on top.
    pub(crate) fn check(&self) {
        for queue in &self.queues {
            let spare = queue.iter().filter(|letter| !letter.must_go());
            assert!(spare.count() <= LETTERS_MAX, "letters are bounded");
            let ends = queue.iter().filter_map(|letter| {
                let Content::ToSession { to, what, .. } = &letter.0 else {
                    return None;
                };
                matches!(what, ToSession::End(_)).then_some(to.key)
            });
            let mut told = BTreeSet::new();
            assert!({ ends }.all(|key| told.insert(key)), "an end is told once");
        }
        let own = self.queues.get(usize::from(self.own));
        assert!(own.is_none_or(Vec::is_empty), "nobody writes to itself");
    }
}
