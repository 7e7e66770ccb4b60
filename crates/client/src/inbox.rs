//! What waits for the holder of a seat: the newest view, and everything else in order.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use rejoin_protocol::limits::{
    ROOM_EVENTS_UNREAD_BYTES_MAX, ROOM_EVENTS_UNREAD_MAX, ROOM_MEMBERS_MAX,
};
use rejoin_protocol::message::{Member, RoomCloseReason, SeatChange, Seated};
use rejoin_protocol::{CloseReason, PlayerId, Refusal, RoomId};
use tokio::sync::Notify;

use crate::event::{Ended, Loss, Receipt};

/// One thing that happened in a room, not decoded yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    View(Bytes),
    Event(Bytes),
    Missed(u64),
    Seat(PlayerId, SeatChange),
    InputRefused(u64, Refusal),
    Away(Loss),
    Resumed(Receipt),
    Closed(RoomCloseReason),
    Ended(Ended),
}

impl Item {
    /// Bytes of payload and text that count: those of a view do not, since one at most waits.
    fn bytes(&self) -> usize {
        match self {
            Self::Event(payload) => payload.len(),
            Self::InputRefused(_, refusal) => refusal.text.len(),
            Self::Closed(reason) => reason.word().len(),
            Self::View(_)
            | Self::Missed(_)
            | Self::Seat(..)
            | Self::Away(_)
            | Self::Resumed(_)
            | Self::Ended(_) => 0,
        }
    }
}

/// Filled by the driver's task, emptied by the room handles of one seat.
#[derive(Debug)]
pub(crate) struct Inbox {
    room: RoomId,
    contents: Mutex<Contents>,
    changed: Notify,
}

#[derive(Debug)]
struct Contents {
    items: VecDeque<Item>,
    /// Their bytes, as far as they count.
    bytes: usize,
    /// Bounded as the members of a room are.
    members: BTreeMap<PlayerId, String>,
    /// Nothing more will come.
    is_over: bool,
    /// Room handles that read here.
    handles: usize,
}

impl Inbox {
    pub(crate) fn new(seated: &Seated) -> Self {
        let contents = Contents {
            items: VecDeque::new(),
            bytes: 0,
            members: BTreeMap::new(),
            is_over: false,
            handles: 0,
        };
        Self {
            room: seated.room,
            contents: Mutex::new(contents),
            changed: Notify::new(),
        }
    }

    pub(crate) fn room(&self) -> RoomId {
        self.room
    }

    /// Takes over the members that an answer lists.
    pub(crate) fn set_members(&self, members: &[Member]) {
        let members = members
            .iter()
            .map(|member| (member.player, member.name.clone()));
        self.lock().members = members.collect();
    }

    /// Something happened to a member.
    ///
    /// # Errors
    /// Why the session cannot go on.
    pub(crate) fn on_seat(
        &self,
        player: PlayerId,
        name: String,
        change: SeatChange,
    ) -> Result<(), CloseReason> {
        match change {
            SeatChange::Joined => {
                let members = &mut self.lock().members;
                members.insert(player, name);
                if members.len() > usize::from(ROOM_MEMBERS_MAX) {
                    members.remove(&player);
                    return Err(CloseReason::ProtocolViolation);
                }
            }
            SeatChange::Left => {
                self.lock().members.remove(&player);
            }
            SeatChange::Loading
            | SeatChange::Suspect
            | SeatChange::Detached
            | SeatChange::Returned => {}
        }
        self.push(Item::Seat(player, change))
    }

    /// Adds an item. An unread view is replaced where it stands, so that events keep their order
    /// and none can hold a view back.
    ///
    /// # Errors
    /// Why the session cannot go on: the game does not take what it is sent.
    pub(crate) fn push(&self, item: Item) -> Result<(), CloseReason> {
        let mut contents = self.lock();
        if contents.is_over {
            return Ok(());
        }
        let Contents { items, bytes, .. } = &mut *contents;
        let unread_view = items
            .iter()
            .position(|unread| matches!(unread, Item::View(_)));
        let events = items.len() - usize::from(unread_view.is_some());
        if !matches!(item, Item::View(_)) {
            let more = *bytes + item.bytes();
            if events >= ROOM_EVENTS_UNREAD_MAX || more > ROOM_EVENTS_UNREAD_BYTES_MAX {
                return Err(CloseReason::Overloaded);
            }
            items.push_back(item);
            *bytes = more;
        } else if let Some(older) = unread_view.and_then(|index| items.get_mut(index)) {
            *older = item;
        } else {
            items.push_back(item);
        }
        drop(contents);
        self.changed.notify_waiters();
        Ok(())
    }

    /// Ends it, with a last item if there is something to say. What came before is still there.
    pub(crate) fn end(&self, last: Option<Item>) {
        let mut contents = self.lock();
        if !contents.is_over {
            contents.bytes += last.as_ref().map_or(0, Item::bytes);
            contents.items.extend(last);
            contents.is_over = true;
        }
        drop(contents);
        self.changed.notify_waiters();
    }

    /// The next item; `None` once it is over and empty.
    pub(crate) async fn next(&self) -> Option<Item> {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // Listening before looking: nothing that comes in between is missed.
            changed.as_mut().enable();
            {
                let mut contents = self.lock();
                let item = contents.items.pop_front();
                contents.bytes -= item.as_ref().map_or(0, Item::bytes);
                if item.is_some() || contents.is_over {
                    return item;
                }
            }
            changed.await;
        }
    }

    pub(crate) fn members(&self) -> Vec<Member> {
        let contents = self.lock();
        let members = contents.members.iter();
        members
            .map(|(player, name)| Member {
                player: *player,
                name: name.clone(),
            })
            .collect()
    }

    pub(crate) fn add_handle(&self) {
        self.lock().handles += 1;
    }

    /// True if that was the last handle.
    pub(crate) fn remove_handle(&self) -> bool {
        let mut contents = self.lock();
        contents.handles = contents.handles.saturating_sub(1);
        contents.handles == 0
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        // Nothing panics while it holds the lock; and what it guards is whole at every step.
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use rejoin_protocol::limits::EVENT_MAX;
    use rejoin_protocol::{RefusalCode, Rng, Stay};

    use super::*;

    fn inbox() -> Inbox {
        Inbox::new(&Seated {
            seat: rejoin_protocol::SeatId(0),
            room: RoomId([0; 16]),
            stay: Stay(1),
            kind: "arena".into(),
            version: 1,
            tick_hz: 30,
            player: PlayerId(1),
            cursor: 0,
            event: 0,
            events_dropped: 0,
            inputs_lost: 0,
            created: true,
            found: false,
            members: Vec::new(),
            code: None,
        })
    }

    fn view(number: u8) -> Item {
        Item::View(Bytes::from(vec![number]))
    }

    fn event(number: u8) -> Item {
        Item::Event(Bytes::from(vec![number]))
    }

    fn all(inbox: &Inbox) -> Vec<Item> {
        inbox.end(None);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut items = Vec::new();
            while let Some(item) = inbox.next().await {
                items.push(item);
            }
            items
        })
    }

    #[test]
    fn the_newest_view_replaces_an_unread_one_and_events_keep_their_order() {
        let inbox = inbox();
        for item in [event(1), view(1), event(2), view(2), event(3)] {
            inbox.push(item).unwrap();
        }
        assert_eq!(all(&inbox), [event(1), view(2), event(2), event(3)]);
    }

    #[test]
    fn a_full_inbox_refuses_events_and_still_takes_views() {
        let inbox = inbox();
        for _ in 0..ROOM_EVENTS_UNREAD_MAX {
            inbox.push(event(1)).unwrap();
        }
        assert_eq!(inbox.push(event(2)), Err(CloseReason::Overloaded));
        assert_eq!(inbox.push(view(1)), Ok(()));
        assert_eq!(inbox.push(view(2)), Ok(()));
        assert_eq!(all(&inbox).len(), ROOM_EVENTS_UNREAD_MAX + 1);
    }

    #[test]
    fn what_came_before_the_end_is_still_read_and_nothing_after_it() {
        let inbox = inbox();
        inbox.push(event(1)).unwrap();
        inbox.end(Some(Item::Closed(RoomCloseReason::ClosedByOwner)));
        inbox.push(event(2)).unwrap();
        inbox.end(Some(Item::Ended(Ended::Left)));
        assert_eq!(
            all(&inbox),
            [event(1), Item::Closed(RoomCloseReason::ClosedByOwner)]
        );
    }

    #[test]
    fn members_come_and_go() {
        let inbox = inbox();
        inbox.set_members(&[Member {
            player: PlayerId(1),
            name: "ana".into(),
        }]);
        inbox
            .on_seat(PlayerId(2), "bo".into(), SeatChange::Joined)
            .unwrap();
        inbox
            .on_seat(PlayerId(2), "bo".into(), SeatChange::Suspect)
            .unwrap();
        inbox
            .on_seat(PlayerId(1), "ana".into(), SeatChange::Left)
            .unwrap();
        assert_eq!(
            inbox.members(),
            [Member {
                player: PlayerId(2),
                name: "bo".into()
            }]
        );
    }

    #[test]
    fn whatever_a_server_tells_an_inbox_is_bounded_in_count_and_bytes() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        for seed in 0..12 {
            let mut rng = Rng::from_number(seed);
            let inbox = inbox();
            let longest = [1, 2_000, EVENT_MAX][rng.index(3)];
            let diligence = [0.0, 0.3][rng.index(2)];
            let mut refused = 0;
            for number in 0..6_000 {
                let payload = Bytes::from(vec![0; rng.index(longest)]);
                let pushed = match rng.below(6) {
                    0 => inbox.push(Item::View(payload)),
                    1 => {
                        let word = "x".repeat(payload.len());
                        let refusal = Refusal::new(RefusalCode::RoomFailed, word);
                        inbox.push(Item::InputRefused(number, refusal))
                    }
                    _ => inbox.push(Item::Event(payload)),
                };
                assert!(pushed.is_ok() || pushed == Err(CloseReason::Overloaded));
                refused += usize::from(pushed.is_err());
                if rng.chance(diligence) && !inbox.lock().items.is_empty() {
                    runtime.block_on(inbox.next()).unwrap();
                }
                let contents = inbox.lock();
                let views = contents
                    .items
                    .iter()
                    .filter(|item| matches!(item, Item::View(_)));
                let views = views.count();
                assert!(views <= 1 && contents.items.len() <= ROOM_EVENTS_UNREAD_MAX + views);
                let bytes: usize = contents.items.iter().map(Item::bytes).sum();
                assert_eq!(bytes, contents.bytes, "every byte is counted");
                assert!(bytes <= ROOM_EVENTS_UNREAD_BYTES_MAX);
            }
            assert!(refused > 0, "it was filled");
        }
    }

    #[test]
    fn no_server_makes_an_inbox_know_more_members_than_a_room_has() {
        for seed in 0..8 {
            let mut rng = Rng::from_number(seed);
            let inbox = inbox();
            let most = usize::from(ROOM_MEMBERS_MAX);
            let mut refused = 0;
            for _ in 0..6_000 {
                let player = PlayerId(rng.below(5_000));
                let change = match rng.below(4) {
                    0 => SeatChange::Left,
                    1 => SeatChange::Returned,
                    _ => SeatChange::Joined,
                };
                let known = inbox.lock().members.contains_key(&player);
                let full = inbox.lock().members.len() == most;
                let told = inbox.on_seat(player, "bo".into(), change);
                let one_more = change == SeatChange::Joined && full && !known;
                assert_eq!(told == Err(CloseReason::ProtocolViolation), one_more);
                refused += usize::from(one_more);
                assert!(inbox.lock().members.len() <= most);
                // A game that reads all.
                let mut contents = inbox.lock();
                contents.items.clear();
            }
            assert!(refused > 0, "it was filled");
        }
    }
}
