//! Addresses are counted, bounded and forgotten.

use rejoin_protocol::Rng;

use super::*;

const RATE: Rate = Rate::per_minute(60, 2);

fn from(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// As [`RATE`].
fn guesses() -> Budgets {
    Budgets {
        address_guesses_per_min: 60,
        address_guesses_burst: 2,
        ..Budgets::default()
    }
}

fn addresses() -> Addresses {
    Addresses::new(2, true)
}

#[test]
fn an_address_has_only_so_many_sessions_and_the_refusal_names_the_setting() {
    let mut addresses = addresses();
    let now = Timestamp::ZERO;
    let first = addresses.admit_session(from("203.0.113.1:1")).unwrap();
    addresses
        .admit_session(from("[::ffff:203.0.113.1]:2"))
        .unwrap();
    let refusal = addresses.admit_session(from("203.0.113.1:3")).unwrap_err();
    assert_eq!(refusal.limit, Some(Limit::AddressSessions));
    assert!(refusal.retry_after_ms.is_some() && refusal.text.contains("address_sessions_max"));
    assert!(addresses.admit_session(from("203.0.113.2:1")).is_ok());
    addresses.release(first, now);
    assert!(addresses.admit_session(from("203.0.113.1:3")).is_ok());
    addresses.check(3, 0);
}

#[test]
fn an_ipv6_subscriber_is_one_address() {
    let mut addresses = addresses();
    addresses.admit_session(from("[2001:db8::1]:1")).unwrap();
    addresses.admit_session(from("[2001:db8::2]:1")).unwrap();
    assert!(addresses.admit_session(from("[2001:db8::3]:1")).is_err());
    assert!(addresses.admit_session(from("[2001:db8:0:1::1]:1")).is_ok());
}

#[test]
fn loopback_is_exempt_only_if_everyone_there_is_trusted() {
    for (exempt, text) in [
        (true, "127.0.0.1:1"),
        (true, "[::1]:1"),
        (false, "127.0.0.1:1"),
    ] {
        let mut addresses = Addresses::new(2, exempt);
        let admitted = (0..9).filter(|_| addresses.admit_session(from(text)).is_ok());
        assert_eq!(admitted.count(), if exempt { 9 } else { 2 }, "{text}");
    }
}

#[test]
fn guesses_outlive_the_sessions_that_made_them_but_not_their_budget() {
    let mut addresses = addresses();
    let at = Timestamp::from_millis;
    let key = addresses.admit_session(from("203.0.113.1:1")).unwrap();
    for _ in 0..2 {
        assert_eq!(addresses.check_guess(key, &guesses(), at(0)), Ok(()));
        addresses.on_wrong_guess(key, &guesses(), at(0));
    }
    addresses.release(key, at(0));
    let key = addresses.admit_session(from("203.0.113.1:1")).unwrap();
    let refusal = addresses.check_guess(key, &guesses(), at(400)).unwrap_err();
    assert_eq!(refusal.retry_after_ms, Some(600));
    addresses.release(key, at(400));
    assert_eq!(addresses.known.len(), 1);
    addresses.release(None, at(2_000));
    assert_eq!(addresses.known.len(), 0, "all came back");
}

#[test]
fn an_ipv6_site_has_the_guesses_of_four_addresses() {
    let mut addresses = addresses();
    let (now, budgets) = (Timestamp::ZERO, guesses());
    let mut tried = 0;
    let refusal = loop {
        let address = from(&format!("[2001:db8:1:{tried:x}::1]:1"));
        let key = addresses.admit_session(address).unwrap();
        if let Err(refusal) = addresses.check_guess(key, &budgets, now) {
            break refusal;
        }
        addresses.on_wrong_guess(key, &budgets, now);
        addresses.release(key, now);
        tried += 1;
        assert!(tried < 20, "nothing stops it");
    };
    assert_eq!((tried, refusal.limit), (8, Some(Limit::RoomGuesses)));
    assert!(refusal.text.contains("(address_guesses_per_min)"));
    let other = addresses.admit_session(from("[2001:db8:2::1]:1")).unwrap();
    assert_eq!(addresses.check_guess(other, &budgets, now), Ok(()));
}

#[test]
fn addresses_that_guess_and_go_are_bounded() {
    let mut addresses = addresses();
    for number in 0..2 * u32::try_from(IDLE_ADDRESSES_MAX).unwrap() {
        let address = SocketAddr::from(((number + 0x0100_0000).to_be_bytes(), 1));
        let key = addresses.admit_session(address).unwrap();
        addresses.on_wrong_guess(key, &guesses(), Timestamp::ZERO);
        addresses.release(key, Timestamp::ZERO);
        addresses.check(0, 0);
    }
    assert_eq!(addresses.known.len(), IDLE_ADDRESSES_MAX);
}

#[test]
fn an_address_joins_only_so_fast_and_is_forgotten_when_it_could_again() {
    let mut addresses = addresses();
    let at = Timestamp::from_millis;
    let mut spend = |text: &str, now| {
        let spent = addresses.spend_join(from(text), RATE, now);
        addresses.check(0, 0);
        (spent, addresses.known.len())
    };
    assert_eq!(spend("203.0.113.1:1", at(0)), (true, 1));
    assert_eq!(spend("203.0.113.1:2", at(0)), (true, 1));
    assert_eq!(spend("203.0.113.1:3", at(0)), (false, 1));
    assert_eq!(spend("203.0.113.2:1", at(0)), (true, 2), "another");
    assert_eq!(spend("127.0.0.1:1", at(0)), (true, 2), "not counted");
    assert_eq!(spend("203.0.113.1:1", at(1_000)), (true, 1));
    assert_eq!(spend("203.0.113.1:1", at(1_000)), (false, 1));
    assert_eq!(spend("203.0.113.2:1", at(5_000)), (true, 1));
}

fn budgets(per_min: u32, burst: u32, rooms: u32) -> Budgets {
    Budgets {
        address_room_creates_per_min: per_min,
        address_room_creates_burst: burst,
        address_rooms_max: rooms,
        ..Budgets::default()
    }
}

#[test]
fn an_address_has_only_so_many_rooms_though_their_sessions_end_before_them() {
    let mut addresses = addresses();
    let (now, budgets) = (Timestamp::ZERO, budgets(60, 60, 2));
    let mut key = None;
    for rooms in 0..2 {
        key = addresses.admit_session(from("203.0.113.1:1")).unwrap();
        assert_eq!(addresses.spend_create(key, &budgets, now), Ok(()));
        addresses.on_room_opened(key);
        addresses.release(key, now);
        addresses.check(0, rooms + 1);
    }
    let refusal = addresses.spend_create(key, &budgets, now).unwrap_err();
    assert_eq!(refusal.limit, Some(Limit::AddressRooms));
    assert!(
        refusal.retry_after_ms.is_some() && refusal.text.contains("2 rooms (address_rooms_max)")
    );
    addresses.on_room_closed(key, now);
    assert_eq!(addresses.spend_create(key, &budgets, now), Ok(()));
    addresses.on_room_closed(key, now);
    addresses.check(0, 0);
    addresses.release(None, now + Duration::from_secs(10));
    assert_eq!(addresses.known.len(), 0, "all came back");
}

#[test]
fn an_address_opens_rooms_only_so_fast_whichever_session_asks() {
    let mut addresses = addresses();
    let at = Timestamp::from_millis;
    let budgets = budgets(60, 2, 9);
    for ok in [true, true, false] {
        let key = addresses.admit_session(from("203.0.113.1:1")).unwrap();
        let spent = addresses.spend_create(key, &budgets, at(400));
        addresses.release(key, at(400));
        addresses.check(0, 0);
        let Err(refusal) = spent else {
            assert!(ok);
            continue;
        };
        assert!(!ok && refusal.limit == Some(Limit::RoomCreates));
        assert_eq!(refusal.retry_after_ms, Some(1_000));
        assert!(
            refusal
                .text
                .contains("60 rooms per minute (address_room_creates_per_min)")
        );
    }
}

#[test]
fn whatever_addresses_do_few_are_remembered_and_the_most_whole_forgotten() {
    for seed in 0..3 {
        let mut rng = Rng::from_number(seed);
        let mut addresses = addresses();
        let (mut open, mut rooms, mut now) = (Vec::new(), Vec::new(), Timestamp::ZERO);
        let budgets = budgets(60, 2, 2);
        let mut filled = false;
        for step in 0..30_000 {
            now += Duration::from_micros(rng.below(10));
            if open.len() < 50 && rng.chance(0.8) || open.is_empty() {
                let host = u32::try_from(0x0100_0000 + rng.below(50_000)).unwrap();
                let address = SocketAddr::from((host.to_be_bytes(), 1));
                open.extend(addresses.admit_session(address));
            } else if rng.chance(0.1) {
                let host = u32::try_from(0x0100_0000 + rng.below(50_000)).unwrap();
                addresses.spend_join(SocketAddr::from((host.to_be_bytes(), 1)), RATE, now);
            } else if rng.chance(0.2) {
                let key = open[rng.index(open.len())];
                if rooms.len() < 50 && addresses.spend_create(key, &budgets, now).is_ok() {
                    addresses.on_room_opened(key);
                    rooms.push(key);
                } else if !rooms.is_empty() {
                    let key = rooms.swap_remove(rng.index(rooms.len()));
                    addresses.on_room_closed(key, now);
                }
            } else if rng.chance(0.6) {
                let key = open[rng.index(open.len())];
                addresses.on_wrong_guess(key, &guesses(), now);
            } else {
                let key = open.swap_remove(rng.index(open.len()));
                let before = addresses.idle.last().copied();
                addresses.release(key, now);
                let first = addresses.idle.first();
                assert!(first.is_none_or(|(whole_at, _)| *whole_at > now));
                assert!(before.is_none_or(|last| addresses.idle.contains(&last) || last.0 <= now));
            }
            assert!(addresses.known.len() <= open.len() + rooms.len() + IDLE_ADDRESSES_MAX);
            filled |= addresses.idle.len() == IDLE_ADDRESSES_MAX;
            if step % 100 == 0 {
                addresses.check(open.len(), rooms.len());
            }
        }
        assert!(filled);
    }
}
