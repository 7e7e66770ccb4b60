//! What must always hold in a shard, checked from outside of the turn.

use rejoin_protocol::limits::SEATS_MAX;

use crate::connections::Stage;
use crate::directory::Directory;
use crate::holdings::Holding;
use crate::house::House;
use crate::keys::{RoomKey, SessionKey};
use crate::limits::{REQUESTS_MAX, ROOM_ENTRIES_MAX, UNEARNED_JOINS_MAX};
use crate::mail::{At, Home};
use crate::rooms::member::{Line, Member};
use crate::rooms::room::HostedRoom;
use crate::rooms::seat::Seat;
use crate::schedule::Due;
use crate::sessions::Session;

/// Checks that all indexes agree and all bounds hold.
///
/// # Panics
/// If something does not hold.
pub(crate) fn check<D: Directory>(house: &House, directory: &D) {
    house.connections.check();
    house.sessions.check();
    house.rooms.check();
    house.schedule.check();
    house.hellos.check();
    house.goodbyes.check();
    house.answers.check();
    house.mail.check();
    house.dormant.check();
    let counted = house.sessions.iter().filter(|(_, s)| s.address.is_some());
    let rooms = house.rooms.by_id();
    let opened = rooms.filter(|(_, room)| room.address.is_some());
    house.addresses.check(counted.count(), opened.count());
    check_bounds(house);
    check_connections(house);
    check_sessions(house);
    let paused = house.rooms.by_id().filter(|(_, room)| room.is_paused());
    assert_eq!(
        paused.count(),
        house.paused.len(),
        "paused rooms are listed"
    );
    for (key, room) in house.rooms.by_id() {
        check_room(house, key, room);
        if room.durable.is_some() && !room.active {
            let owner = directory.owner(room.id);
            assert_eq!(
                owner,
                Some(house.config.shard),
                "the directory shows every open room"
            );
        }
    }
    check_schedule(house);
}

fn check_bounds(house: &House) {
    let config = &house.config;
    assert!(
        house.sessions.len() <= config.sessions_max,
        "admission bounds the sessions"
    );
    assert!(
        house.rooms.len() <= config.rooms_max,
        "the lobby bounds the rooms"
    );
    let pending = house.connections.pending();
    assert!(
        pending.unearned <= UNEARNED_JOINS_MAX,
        "the gate bounds what strangers hold"
    );
    assert!(
        pending.all <= config.pending_joins_max,
        "admission bounds the pending joins"
    );
}

fn check_connections(house: &House) {
    for (slot, peer) in house.connections.iter() {
        if let Stage::Active(key) = peer.stage {
            let session = house
                .sessions
                .get(key)
                .expect("a connection carries a session");
            assert_eq!(
                session.connection,
                Some(slot),
                "a session knows its connection"
            );
        }
    }
}

fn check_sessions(house: &House) {
    let requests = house.sessions.iter().map(|(_, s)| usize::from(s.requests));
    assert_eq!(
        requests.sum::<usize>(),
        house.requests.len(),
        "requests that wait are counted by session"
    );
    for (key, session) in house.sessions.iter() {
        if let Some(slot) = session.connection {
            let peer = house
                .connections
                .get(slot)
                .expect("a session names a connection there is");
            assert!(
                matches!(peer.stage, Stage::Active(of) if of == key),
                "and it is its own"
            );
        }
        assert!(
            session.seats.len() <= SEATS_MAX,
            "the lobby bounds the seats"
        );
        assert!(
            // Those that another shard refused are asked again here.
            usize::from(session.requests) <= usize::from(REQUESTS_MAX) + SEATS_MAX,
            "and the requests of a turn are bounded"
        );
        assert!(
            session.abroad.len() <= SEATS_MAX,
            "questions abroad are bounded"
        );
        for holding in session.seats.values() {
            check_seat(house, (key, session), holding);
        }
    }
}

fn check_seat(house: &House, (key, session): (SessionKey, &Session), holding: &Holding) {
    let room = match holding.at {
        At::Here(room) => room,
        At::There(abroad) => {
            assert!(
                house.mail.is_other(abroad.shard),
                "a room abroad is not here"
            );
            return;
        }
    };
    let room = house.rooms.get(room).expect("a seat is in a room there is");
    let member = room.members.get(&session.player());
    let member = member.expect("a seat has a member");
    assert_eq!(member.home, Some(Home::Here(key)), "seat and member agree");
    let cursor = room.seat(session.player()).map_or(0, |seat| seat.cursor);
    assert!(
        cursor <= holding.queued_to,
        "a cursor covers only what was sent"
    );
}

fn check_room(house: &House, key: RoomKey, room: &HostedRoom) {
    assert!(
        room.queue.len() <= ROOM_ENTRIES_MAX,
        "calls that wait are bounded"
    );
    room.queue.check();
    assert!(
        !room.is_paused() || !room.queue.is_empty() || room.closing.is_some(),
        "a paused room has something to store"
    );
    assert!(
        room.taken() <= usize::from(room.members_max),
        "a room has no more than its seats"
    );
    for (player, member) in &room.members {
        let seat = room.seat(*player).expect("a member has a seat");
        check_home(house, key, member, seat);
        let shown = member.shown_cursor.unwrap_or(0);
        assert!(shown <= seat.cursor, "a cursor never falls");
        assert!(member.delivery.told_cursor() <= shown, "nor is more told");
    }
    let Some(durable) = &room.durable else { return };
    assert!(
        durable.seats.keys().eq(room.members.keys()),
        "seats and members agree"
    );
    let inside = durable.instance.members();
    assert!(
        durable.seats.keys().eq(inside.keys()),
        "and so do the instance's own members"
    );
}

fn check_home(house: &House, key: RoomKey, member: &Member, seat: &Seat) {
    let session = match member.home {
        None => {
            assert!(member.line.is_none(), "nobody is sent anything yet");
            return;
        }
        Some(Home::Here(session)) => session,
        Some(Home::There(guest)) => {
            assert!(house.mail.is_other(guest.shard), "a guest is not from here");
            assert_eq!(seat.session, guest.session, "the seat is the guest's");
            let line = member.line;
            assert!(line.is_none_or(|line| matches!(line, Line::There(_))));
            return;
        }
    };
    let session = house.sessions.get(session);
    let session = session.expect("a member has a session");
    let name = session.seat_in(key).expect("which has the seat");
    assert_eq!(seat.session, session.id, "and it is the session's");
    let own = session
        .connection
        .map(|slot| Line::Here { slot, seat: name });
    assert!(
        member.line.is_none() || member.line == own,
        "a member is sent things on its session's connection"
    );
}

fn check_schedule(house: &House) {
    for due in house.schedule.keys() {
        let exists = match due {
            Due::Join(slot) | Due::Timers(slot) | Due::Gone(slot) => {
                house.connections.get(slot).is_some()
            }
            Due::Idle(session) | Due::Ticket(session) => house.sessions.get(session).is_some(),
            Due::Hold(room, player) => house
                .rooms
                .get(room)
                .is_some_and(|room| room.members.contains_key(&player)),
            Due::Room(room) => house.rooms.get(room).is_some(),
        };
        assert!(exists, "{due:?} names something that is gone");
    }
}
