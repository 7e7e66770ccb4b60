//! Who plays: players, the clients they run, and the groups they meet in.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use rejoin_client::{Core, Ended, Loss, State};
use rejoin_protocol::connection::SendError;
use rejoin_protocol::crypto::StaticKeys;
use rejoin_protocol::handshake::Ticket;
use rejoin_protocol::message::{CallId, SeatChange, Seated};
use rejoin_protocol::{
    CloseReason, Liveness, PlayerId, RequestId, RoomId, SeatId, Stay, Timestamp,
};

use crate::contact::Contact;
use crate::content::Input;
use crate::coverage::Stage;
use crate::model::{Site, StayOf};
use crate::network::Datagram;
use crate::options::RoomKind;

/// All players, clients and groups of a run, each named by its index.
#[derive(Default)]
pub(crate) struct Cast {
    pub(crate) players: Vec<Player>,
    pub(crate) clients: Vec<Client>,
    pub(crate) groups: Vec<Group>,
    /// The player behind the [`Repeater`](crate::repeater::Repeater), and the room it sits in.
    pub(crate) guest: Option<(Player, Option<RoomId>)>,
}

/// A player: one identity, with one client after another.
pub(crate) struct Player {
    pub(crate) identity: StaticKeys,
    pub(crate) name: String,
    /// As the server names it; known from the first session on.
    pub(crate) id: Option<PlayerId>,
    /// The newest client.
    pub(crate) client: Option<usize>,
    /// The groups to be seated in.
    pub(crate) wishes: Vec<Wish>,
    /// Number of the newest input; never starts again.
    pub(crate) inputs: u64,
    /// How the server heard the player.
    pub(crate) reached: Contact,
    /// The client that has the session, by the server's own word.
    pub(crate) holder: Option<usize>,
    /// Tickets that clients of the player were given, the newest last.
    pub(crate) tickets: VecDeque<Ticket>,
    /// When the server last lost a connection of the player, and what its clients may be told then.
    pub(crate) lost_at: Option<Timestamp>,
    pub(crate) lost_words: Vec<CloseReason>,
    /// When a client of the player was last told that a seat is gone.
    pub(crate) gone_at: Option<Timestamp>,
    /// When something last kept a datagram of the player from arriving as it was sent.
    pub(crate) harmed_at: Timestamp,
    /// Requests that may have been wrong guesses.
    pub(crate) guesses: u64,
    /// When the session went to another client or connection, the newest last.
    pub(crate) changes: VecDeque<Timestamp>,
    /// True once a client of the player ended its session, so that seats may be lost.
    pub(crate) has_left: bool,
}

/// A group that a player wants to be seated in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) group: usize,
    pub(crate) not_before: Timestamp,
}

/// Players who meet in one room after another.
pub(crate) struct Group {
    pub(crate) kind: RoomKind,
    /// True if its rooms are private: the [`host`](Cast::host) opens them, and the others enter by
    /// the code that it tells them.
    pub(crate) private: bool,
    /// Which room is the current one.
    pub(crate) generation: u64,
}

/// A running client, and what it was told.
pub(crate) struct Client {
    pub(crate) player: usize,
    pub(crate) started: Timestamp,
    pub(crate) core: Core,
    /// Its UDP port, which a router on the way may change.
    pub(crate) port: u16,
    pub(crate) body: Body,
    /// What arrived while it was silent.
    pub(crate) inbox: VecDeque<Datagram>,
    pub(crate) seats: BTreeMap<SeatId, Seat>,
    pub(crate) calls: BTreeMap<CallId, Asked>,
    /// When it is to be woken.
    pub(crate) wake: Option<Timestamp>,
    /// How it heard the server.
    pub(crate) heard: Contact,
    /// True from its notice that it loads until it has loaded.
    pub(crate) loading: bool,
    /// Loads that it announced.
    pub(crate) loads: u32,
    /// Its guesses that were answered as wrong.
    pub(crate) wrong: u64,
    /// True once it was told to end the session.
    pub(crate) leaving: bool,
    /// True once the session was open.
    pub(crate) was_connected: bool,
    /// True if it comes back by itself.
    pub(crate) comes_back: bool,
    /// The server process of its connection.
    pub(crate) process: u64,
    /// The era of that process' rooms.
    pub(crate) era: u64,
    /// Since when it has the connection, or none.
    pub(crate) since: Timestamp,
    /// Times that it came back.
    pub(crate) returns: u32,
    /// True once a reset of the server's own arrived.
    pub(crate) was_reset: bool,
    /// Rooms that it asked for a seat on a connection that it lost before it was answered.
    pub(crate) asked_before: BTreeSet<RoomId>,
    /// Why it has no connection; `None` if it has one.
    pub(crate) away: Option<Loss>,
    pub(crate) ended: Option<Ended>,
}

/// Whether a client's process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Running,
    /// Stopped for a while.
    Silent,
    Dead,
}

/// A request under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Seat {
        group: usize,
        room: RoomId,
    },
    Leave {
        seat: SeatId,
    },
    Close {
        seat: SeatId,
    },
    List,
    /// A code or id that leads nowhere.
    Guess,
}

/// A seat, and how far its holder has seen.
#[derive(Clone, Debug)]
pub(crate) struct Seat {
    pub(crate) group: usize,
    pub(crate) kind: RoomKind,
    pub(crate) room: RoomId,
    /// The era of its room.
    pub(crate) era: u64,
    pub(crate) stay: Stay,
    pub(crate) sequence: u64,
    pub(crate) tick: u64,
    pub(crate) cursor: u64,
    /// What the client itself believes of the cursor.
    pub(crate) known_cursor: u64,
    /// The first event's number.
    pub(crate) first_event: u64,
    /// Events before it that it was not told yet that it missed.
    pub(crate) event_missed: u64,
    pub(crate) event: Option<u64>,
    /// The newest message to all, as [`Order`](crate::model::Order) names it, and its number.
    pub(crate) line: Option<(u64, u64)>,
    /// Words that were whispered to it. Not in the order of their numbers: another client of the player may have said
    /// some before this one repeats its own.
    pub(crate) whispered: BTreeSet<u64>,
    /// The place of the newest line of chat, by speaker.
    pub(crate) heard: BTreeMap<String, u64>,
    pub(crate) newest: Option<Newest>,
    /// The newest word about each other member, and when it came.
    pub(crate) shown: BTreeMap<PlayerId, (SeatChange, Timestamp)>,
    pub(crate) leaving: bool,
    pub(crate) taken_at: Timestamp,
    /// The counter of the newest latest input.
    pub(crate) latest: u64,
    /// Reliable inputs beyond the known cursor, by number.
    pub(crate) kept: VecDeque<(u64, Input)>,
    /// How often its client had come back when the room last confirmed it.
    pub(crate) returns: u32,
    /// Losses of power before the process that confirmed it.
    pub(crate) generation: u64,
    /// Numbers of inputs that stand for none that was applied.
    pub(crate) lost: u64,
}

/// The newest view of a seat.
#[derive(Clone, Debug)]
pub(crate) struct Newest {
    pub(crate) at: Timestamp,
    pub(crate) hash: u64,
    pub(crate) view: Bytes,
    pub(crate) private: bool,
}

impl Client {
    /// A client that has not been told anything.
    pub(crate) fn new(player: usize, core: Core, now: Timestamp) -> Self {
        Self {
            player,
            started: now,
            core,
            port: FIRST_PORT,
            body: Body::Running,
            inbox: VecDeque::new(),
            seats: BTreeMap::new(),
            calls: BTreeMap::new(),
            wake: None,
            heard: Contact::since(now),
            loading: false,
            loads: 0,
            wrong: 0,
            leaving: false,
            was_connected: false,
            comes_back: false,
            process: 0,
            era: 0,
            since: now,
            returns: 0,
            was_reset: false,
            asked_before: BTreeSet::new(),
            away: None,
            ended: None,
        }
    }

    /// Where it stands, for the table of what was tried; `None` if nobody is there any more.
    pub(crate) fn stage(&self) -> Option<Stage> {
        if self.body == Body::Dead {
            return None;
        }
        if self.leaving || self.seats.values().any(|seat| seat.leaving) {
            return Some(Stage::Leaving);
        }
        if self.loading && self.is_active() {
            return Some(Stage::Loading);
        }
        if self.body == Body::Silent {
            return Some(Stage::Lost);
        }
        Some(match self.core.state() {
            State::Joining => Stage::Joining,
            State::Away => Stage::Away,
            State::Active(Liveness::Live) if self.seats.is_empty() => Stage::Seatless,
            State::Active(Liveness::Live) => Stage::Seated,
            State::Active(Liveness::Suspect) => Stage::Suspect,
            State::Active(Liveness::Detached) | State::Ended(_) | _ => Stage::Lost,
        })
    }

    /// True if it is not over.
    pub(crate) fn lives(&self) -> bool {
        self.body != Body::Dead && self.ended.is_none()
    }

    /// True if it has a connection.
    pub(crate) fn is_active(&self) -> bool {
        matches!(self.core.state(), State::Active(_))
    }

    /// True if it runs and its session is open, with a connection or not.
    pub(crate) fn can_play(&self) -> bool {
        let open = self.is_active() || *self.core.state() == State::Away;
        self.body == Body::Running && !self.leaving && open
    }

    /// Groups and rooms whose answer about a seat it waits for.
    pub(crate) fn seats_asked_for(&self) -> impl Iterator<Item = (usize, RoomId)> {
        self.calls.values().filter_map(|asked| match asked {
            Asked::Seat { group, room } => Some((*group, *room)),
            Asked::Leave { .. } | Asked::Close { .. } | Asked::List | Asked::Guess => None,
        })
    }

    /// A full queue refuses a request; the player asks again in its next turn.
    pub(crate) fn remember(&mut self, call: Result<CallId, SendError>, asked: Asked) {
        self.calls.extend(call.ok().map(|call| (call, asked)));
    }

    /// True if it wants a seat in `group` and waits for the answer.
    pub(crate) fn asks_for(&self, group: usize) -> bool {
        self.seats_asked_for().any(|(of, _)| of == group)
    }

    /// True if it holds a seat in a room of `group`.
    pub(crate) fn sits_in(&self, group: usize) -> bool {
        self.seats.values().any(|seat| seat.group == group)
    }
}

impl Seat {
    /// A seat of which nothing was seen yet.
    pub(crate) fn new(
        (group, kind): (usize, RoomKind),
        era: u64,
        told: &Seated,
        now: Timestamp,
    ) -> Self {
        Self {
            group,
            kind,
            room: told.room,
            era,
            stay: told.stay,
            sequence: 0,
            tick: 0,
            cursor: told.cursor,
            known_cursor: told.cursor,
            first_event: told.event + 1,
            event_missed: told.events_dropped,
            event: None,
            line: None,
            whispered: BTreeSet::new(),
            heard: BTreeMap::new(),
            newest: None,
            shown: BTreeMap::new(),
            leaving: false,
            taken_at: now,
            latest: 0,
            kept: VecDeque::new(),
            returns: 0,
            generation: 0,
            lost: 0,
        }
    }

    /// The room has confirmed it on another connection: its events go on, latest inputs count anew. After a loss of power
    /// it may be as it was some moments before.
    pub(crate) fn on_return(&mut self, returns: u32, generation: u64, now: Timestamp) {
        (self.taken_at, self.latest, self.returns) = (now, 0, returns);
        self.shown.clear();
        if std::mem::replace(&mut self.generation, generation) != generation {
            (self.tick, self.line) = (0, None);
            self.whispered.clear();
            self.heard.clear();
        }
    }

    /// The stay, if it is of that player.
    pub(crate) fn stay_of(&self, player: PlayerId) -> StayOf {
        (self.site(), player, self.stay)
    }

    /// The room, as the model knows it.
    pub(crate) fn site(&self) -> Site {
        let Self { era, room, .. } = *self;
        Site { era, room }
    }
}

impl Cast {
    pub(crate) fn player(&self, number: usize) -> &Player {
        self.players.get(number).expect("players are never removed")
    }

    pub(crate) fn player_mut(&mut self, number: usize) -> &mut Player {
        self.players
            .get_mut(number)
            .expect("players are never removed")
    }

    pub(crate) fn client(&self, number: usize) -> &Client {
        self.clients.get(number).expect("clients are never removed")
    }

    pub(crate) fn client_mut(&mut self, number: usize) -> &mut Client {
        self.clients
            .get_mut(number)
            .expect("clients are never removed")
    }

    pub(crate) fn group(&self, number: usize) -> &Group {
        self.groups.get(number).expect("groups are never removed")
    }

    pub(crate) fn group_mut(&mut self, number: usize) -> &mut Group {
        self.groups
            .get_mut(number)
            .expect("groups are never removed")
    }

    /// Who opens the rooms of a group: the first who wants to be seated there.
    pub(crate) fn host(&self, group: usize) -> Option<usize> {
        let wants = |player: &Player| player.wishes.iter().any(|wish| wish.group == group);
        self.players.iter().position(wants)
    }

    /// The newest client of a player, unless it is over or dead.
    pub(crate) fn living_client(&self, player: usize) -> Option<usize> {
        let client = self.player(player).client;
        client.filter(|number| self.client(*number).lives())
    }

    /// The newest client of a player, if it runs and its session is open.
    pub(crate) fn playing(&self, player: usize) -> Option<usize> {
        let living = self.living_client(player);
        living.filter(|number| self.client(*number).can_play())
    }

    /// True if the server says that another client has the session of this one.
    pub(crate) fn is_stale(&self, number: usize) -> bool {
        let player = self.player(self.client(number).player);
        player.holder.is_some_and(|holder| holder != number)
    }

    /// The client that has the session is the one that the player plays with, if it runs.
    pub(crate) fn follow_holder(&mut self, player: usize) {
        let holder = self.player(player).holder;
        let holder = holder.filter(|holder| self.client(*holder).lives());
        if holder.is_some() {
            self.player_mut(player).client = holder;
        }
    }

    /// All players, the guest included.
    pub(crate) fn everyone(&self) -> impl Iterator<Item = &Player> {
        let guest = self.guest.iter().map(|(player, _)| player);
        self.players.iter().chain(guest)
    }

    /// The player behind an id.
    pub(crate) fn by_id(&self, id: PlayerId) -> Option<&Player> {
        self.everyone().find(|player| player.id == Some(id))
    }
}

impl Group {
    /// The current room.
    pub(crate) fn room(&self, number: usize) -> RoomId {
        RoomId::of(self.kind.name(), self.request(number))
    }

    /// The request that names the current room: every member asks by the same one.
    pub(crate) fn request(&self, number: usize) -> RequestId {
        let number = u64::try_from(number).expect("groups are few");
        let mut id = [0; 16];
        let (group, generation) = id.split_at_mut(8);
        group.copy_from_slice(&number.to_be_bytes());
        generation.copy_from_slice(&self.generation.to_be_bytes());
        RequestId(id)
    }
}

/// The address of a client at `port`: each client has its own.
pub(crate) fn address(client: usize, port: u16) -> SocketAddr {
    let bits = u32::try_from(client).expect("clients are few");
    SocketAddr::from((Ipv4Addr::from_bits(FIRST_ADDRESS + bits), port))
}

/// The client behind an address.
pub(crate) fn client_at(address: SocketAddr) -> Option<usize> {
    let SocketAddr::V4(address) = address else {
        return None;
    };
    let bits = address.ip().to_bits().checked_sub(FIRST_ADDRESS)?;
    usize::try_from(bits).ok()
}

/// The port of every client before it changes.
pub(crate) const FIRST_PORT: u16 = 40_000;
const FIRST_ADDRESS: u32 = Ipv4Addr::new(10, 0, 0, 1).to_bits();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_leads_back_to_its_client() {
        for client in [0, 1, 255, 70_000] {
            assert_eq!(client_at(address(client, 7)), Some(client));
        }
        assert_ne!(address(3, 7), address(4, 7));
    }

    #[test]
    fn each_generation_of_a_group_asks_by_its_own_request() {
        let of = |generation| {
            Group {
                kind: RoomKind::Arena,
                private: false,
                generation,
            }
            .request(2)
        };
        assert_ne!(of(0), of(1));
        assert_eq!(of(1), of(1));
    }
}
