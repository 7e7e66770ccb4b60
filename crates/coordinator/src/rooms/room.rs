//! A room in a shard: what survives of it, and what lives with this process alone.
//!
//! Owned by the registry. The turn feeds it, the fan-out shows it; it knows members by
//! connection and seat, and nothing of how either comes or goes.

use std::time::Duration;

use rejoin_protocol::limits::SNAPSHOT_RING;
use rejoin_protocol::message::{Metadata, RoomCard, RoomCloseReason};
use rejoin_protocol::{Incarnation, PlayerId, RoomCode, RoomId, Stay, Timestamp};
use rejoin_room::{Durability, Kind, RoomSpec};

use super::by_player::ByPlayer;
use super::clock::Clock;
use super::durable::Durable;
use super::entry::Entry;
use super::gate::Gate;
use super::member::{Line, Member};
use super::queue::{Asked, Queue};
use super::ring::Ring;
use super::seat::Seat;
use super::upkeep::Upkeep;
use crate::addresses::AddressKey;
use crate::keys::RoomKey;
use crate::limits::{CHECKPOINT_AFTER, INPUTS_WAITING_MAX, OWED_RETRY, VIEW_INTERVAL};
use crate::mail::{Abroad, Home};

/// A hosted room.
#[derive(Debug)]
pub(crate) struct HostedRoom {
    pub(crate) id: RoomId,
    pub(crate) kind: Kind,
    pub(crate) owner: PlayerId,
    /// Where the session that opened it was opened from, as far as that counts.
    pub(crate) address: AddressKey,
    pub(crate) members_max: u16,
    /// What lets others in, if the room is private.
    pub(crate) code: Option<RoomCode>,
    /// What a rebuild gives again; `None` until the opening call was applied.
    pub(crate) durable: Option<Durable>,
    /// The live side of each seat.
    pub(crate) members: ByPlayer<Member>,
    /// The name that a stay was given last.
    stays: Stay,
    /// Calls of the next turn.
    pub(crate) queue: Queue,
    /// Number of the newest journal record.
    pub(crate) sequence: u64,
    /// It has lost some of what its members were told.
    pub(crate) rolled_back: bool,
    /// What its checkpoints stand for in the store, if that has no journal of it.
    pub(crate) stored: u64,
    pub(crate) clock: Clock,
    pub(crate) ring: Ring,
    pub(crate) showing: Showing,
    pub(crate) gate: Gate,
    pub(crate) upkeep: Upkeep,
    /// Set once the room is to end with this turn.
    pub(crate) closing: Option<RoomCloseReason>,
    /// What becomes of its history then.
    pub(crate) after: After,
    /// True while the registry lists the room for a turn.
    pub(crate) active: bool,
    /// Facts from before the opening call; after it the instance has them.
    asked: Metadata,
}

/// What becomes of the history of a room that is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// The room is over.
    Forget,
    /// It stays as it is, and the room is taken up when somebody asks for it.
    Rest,
    /// It stays as it is, for an operator to look at.
    Quarantine,
}

/// What the room owes its members' eyes.
#[derive(Debug, Default)]
pub(crate) struct Showing {
    /// Calls were applied since the newest view.
    pub(crate) stale: bool,
    /// A tick was applied in this turn.
    pub(crate) ticked: bool,
    /// A snapshot was lost, or a member wants a whole one.
    pub(crate) resend: bool,
    /// The next view of a room without a clock is not due before.
    next: Timestamp,
    /// Members at another shard could not be sent theirs: when to try again.
    again: Option<Timestamp>,
}

impl HostedRoom {
    /// A room whose opening call waits. It counts its stays from the number given.
    pub(crate) fn new(kind: Kind, spec: &RoomSpec, stays: Stay, now: Timestamp) -> Self {
        Self {
            id: spec.room,
            kind,
            owner: spec.owner,
            address: None,
            members_max: spec.settings.members_max,
            code: spec.code,
            durable: None,
            members: ByPlayer::default(),
            stays,
            queue: Queue::default(),
            sequence: 0,
            rolled_back: false,
            stored: 0,
            clock: Clock::new(spec.room, kind.tick_hz, Duration::ZERO, now),
            ring: Ring::new(SNAPSHOT_RING),
            showing: Showing {
                stale: true,
                ..Showing::default()
            },
            gate: Gate::new(kind.durability == Durability::Synced),
            upkeep: Upkeep {
                card_stale: true,
                // What has no journal has its first at once.
                checkpoint_wanted: kind.durability == Durability::Checkpoint,
                ..Upkeep::default()
            },
            closing: None,
            after: After::Forget,
            active: false,
            asked: spec.settings.metadata.clone(),
        }
    }

    /// A room that was rebuilt as it was after record `sequence` of an earlier process. Its time goes on from there, and
    /// nobody is there.
    pub(crate) fn restored(
        kind: Kind,
        durable: Durable,
        (sequence, stays): (u64, Stay),
        now: Timestamp,
    ) -> Self {
        let instance = &durable.instance;
        let mut room = Self::new(kind, instance.spec(), stays, now);
        room.clock = Clock::new(room.id, kind.tick_hz, instance.now(), now);
        room.sequence = sequence;
        for (player, seat) in &durable.seats {
            room.members.insert(*player, Member::new(None, seat.stay));
        }
        room.durable = Some(durable);
        room
    }

    /// True if it is closed but for the word in the store that it is over, for which there was no place.
    pub(crate) fn waits_for_its_end(&self) -> bool {
        self.closing.is_some() && self.after == After::Forget && self.is_paused()
    }

    /// The seat of a player.
    pub(crate) fn seat(&self, player: PlayerId) -> Option<&Seat> {
        self.durable.as_ref()?.seats.get(&player)
    }

    /// All seats.
    pub(crate) fn seats(&self) -> impl Iterator<Item = &Seat> {
        let durable = self.durable.iter();
        durable.flat_map(|durable| durable.seats.values())
    }

    /// What another shard calls the room of a member.
    pub(crate) const fn as_abroad(&self, shard: u8, key: RoomKey, member: &Member) -> Abroad {
        member.room_abroad((shard, key), self.id)
    }

    /// The same, to change it.
    pub(crate) fn seat_mut(&mut self, player: PlayerId) -> Option<&mut Seat> {
        self.durable.as_mut()?.seats.get_mut(&player)
    }

    /// A name for a stay that may begin.
    pub(crate) fn next_stay(&mut self) -> Stay {
        self.stays = Stay(self.stays.0.wrapping_add(1));
        self.stays
    }

    /// A session has a seat here, and its client is to be told.
    pub(crate) fn seat_member(
        &mut self,
        player: PlayerId,
        client: Incarnation,
        home: Home,
    ) -> &Member {
        let stay = self.seat(player).map_or(self.stays, |seat| seat.stay);
        let new = || Member::new(Some(home), stay);
        let member = self.members.get_or_insert_with(player, new);
        member.home = Some(home);
        member.await_answer(client);
        member
    }

    /// The name of a view that is made now.
    pub(crate) fn view_name(&self) -> u64 {
        let from = self
            .durable
            .as_ref()
            .map_or(0, |durable| durable.views_from);
        from + self.sequence
    }

    /// A member's client has the seat on that line. False if it had it there already.
    pub(crate) fn attach(&mut self, asked: &Asked, line: Option<Line>) -> bool {
        self.showing.resend = true;
        let newest = self.ring.newest().map(|view| view.sequence);
        let Some(member) = self.members.get_mut(&asked.player) else {
            return false;
        };
        let is_other = member.attach(line);
        if is_other && newest >= Some(asked.view) {
            // The view was made while the answer waited.
            member.shown_cursor = Some(asked.cursor);
        }
        is_other
    }

    /// Seats taken.
    pub(crate) fn taken(&self) -> usize {
        self.durable
            .as_ref()
            .map_or(0, |durable| durable.seats.len())
    }

    /// True if a seat is free, those asked for in this turn taken off.
    pub(crate) fn has_free_seat(&self) -> bool {
        self.taken() + self.queue.admits() < usize::from(self.members_max)
    }

    /// The facts that lists show and filters match.
    pub(crate) fn metadata(&self) -> &Metadata {
        self.durable
            .as_ref()
            .map_or(&self.asked, |durable| durable.instance.metadata())
    }

    /// The room as lists show it.
    pub(crate) fn card(&self) -> RoomCard {
        RoomCard {
            room: self.id,
            kind: self.kind.name.to_owned(),
            members: u16::try_from(self.taken()).unwrap_or(u16::MAX),
            members_max: self.members_max,
            metadata: self.metadata().clone(),
        }
    }

    /// True if it has members, and none of them is there.
    pub(crate) fn is_deserted(&self) -> bool {
        let absent = |(_, member): (_, &Member)| !member.is_claimed();
        self.taken() > 0 && self.members.iter().all(absent)
    }

    /// True if anyone would see a view.
    pub(crate) fn has_watchers(&self) -> bool {
        self.members.iter().any(|(player, member)| {
            member.line.is_some() && self.seat(*player).is_some_and(Seat::is_here)
        })
    }

    /// True if a view is to be made in this turn.
    pub(crate) fn is_view_due(&self, now: Timestamp) -> bool {
        let due = if self.kind.tick_hz > 0 {
            self.showing.ticked
        } else {
            now >= self.showing.next
        };
        due && self.showing.stale && !self.gate.holds_view() && self.has_watchers()
    }

    /// True if that will be so once the calls that wait were made: a tick is the last of them.
    pub(crate) fn will_show(&self, now: Timestamp) -> bool {
        if self.kind.tick_hz > 0 {
            self.queue.ends_with_tick()
        } else {
            now >= self.showing.next
        }
    }

    /// A view was made.
    pub(crate) fn on_shown(&mut self, now: Timestamp) {
        self.showing.stale = false;
        self.showing.next = now + VIEW_INTERVAL;
    }

    /// A call was applied.
    pub(crate) fn on_applied(&mut self, entry: &Entry, now: Timestamp) {
        self.showing.stale = true;
        self.showing.ticked |= matches!(entry, Entry::Tick);
        self.upkeep.dirty_since.get_or_insert(now);
    }

    /// True if its calls cannot be stored, and wait.
    pub(crate) const fn is_paused(&self) -> bool {
        self.upkeep.paused_until.is_some()
    }

    /// Reliable inputs of one member that may wait: all that its client keeps if the room is paused.
    pub(crate) fn inputs_waiting_max(&self, usual: u64) -> u64 {
        match self.is_paused() {
            true => INPUTS_WAITING_MAX,
            false => usual,
        }
    }

    /// When the room needs a turn although nobody calls.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        let stale = self.showing.stale && !self.gate.holds_view();
        let view = self.kind.tick_hz == 0 && stale && self.has_watchers();
        let view = view.then_some(self.showing.next);
        if let Some(until) = self.upkeep.paused_until {
            let due = [Some(until), view, self.showing.again];
            return due.into_iter().flatten().min();
        }
        let timer = self
            .durable
            .as_ref()
            .and_then(|durable| durable.instance.next_timer());
        [
            self.clock.next_tick(),
            timer.map(|at| self.clock.moment(at)),
            view,
            self.upkeep
                .dirty_since
                .map(|since| since + CHECKPOINT_AFTER),
            self.upkeep.empty_until,
            self.showing.again,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// True if room logic's timers are due at room time `at`.
    pub(crate) fn is_timer_due(&self, at: Duration) -> bool {
        let timer = self
            .durable
            .as_ref()
            .and_then(|durable| durable.instance.next_timer());
        timer.is_some_and(|due| due <= at)
    }
}

impl Showing {
    /// Some members could not be sent what they lack, or all were.
    pub(crate) fn owe(&mut self, some: bool, now: Timestamp) {
        self.resend = some;
        self.again = some.then(|| now + OWED_RETRY);
    }
}
