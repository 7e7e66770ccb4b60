//! Those who are not in yet: floods of hellos, cookies, permits.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use rejoin_client::{Ended, Event};
use rejoin_coordinator::{Auth, Config, MemoryDirectory, Shard};
use rejoin_protocol::crypto::{StaticKeys, Suite};
use rejoin_protocol::handshake::{
    ClientHandshake, Grant, HandshakeError, HandshakeOptions, Permit, PermitId, PermitKeys,
    SealingKey,
};
use rejoin_protocol::{Connection, RefusalCode, RequestId, Rng, Timestamp};
use rejoin_room::{Kinds, RoomSettings};
use rejoin_store::MemoryStore;

use crate::rooms::Yard;
use crate::world::{World, identity};

pub(crate) type Server = Shard<MemoryStore, MemoryDirectory>;

pub(crate) fn server(auth: Auth) -> Server {
    server_with(auth, |_| {})
}

pub(crate) fn server_with(auth: Auth, change: impl FnOnce(&mut Config)) -> Server {
    let mut config = Config::new(StaticKeys::development(), [7; 32]);
    config.auth = auth;
    config.unix_start = Duration::from_secs(1_000);
    change(&mut config);
    let kinds = Kinds::new().with::<Yard>();
    let (store, directory) = (MemoryStore::default(), MemoryDirectory::default());
    let rng = Rng::from_number(1);
    Shard::new(config, kinds, store, directory, rng, Timestamp::ZERO)
}

pub(crate) fn hello_of(identity: StaticKeys, permit: Permit, moment: u64) -> ClientHandshake {
    let options = HandshakeOptions {
        server: StaticKeys::development().public(),
        identity,
        permit,
        suites: Suite::ALL.to_vec(),
        receive_id: None,
        moment,
    };
    ClientHandshake::new(&options, &mut Rng::from_number(moment)).unwrap()
}

pub(crate) fn stranger(number: u32) -> (SocketAddr, ClientHandshake) {
    let name = format!("stranger {number}");
    let [_, a, b, c] = number.to_be_bytes();
    let from = SocketAddr::from(([127, a, b, c], 9));
    (from, hello_of(identity(&name), Permit::dev(name), 1))
}

/// Where honest clients are.
pub(crate) const HOME: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9);

/// What the shard answers to a datagram.
pub(crate) fn answer(
    server: &mut Server,
    from: SocketAddr,
    datagram: &[u8],
    now: Timestamp,
) -> Option<Vec<u8>> {
    server.handle_datagram(from, &mut datagram.to_vec(), now);
    server.check_invariants();
    server.turn(now);
    let mut reply = Vec::new();
    let to = server.poll_transmit(&mut reply, now)?;
    assert_eq!(to, from);
    assert!(
        reply.len() <= datagram.len(),
        "no reply is larger than its hello"
    );
    Some(reply)
}

/// Confirms a join with a first packet.
pub(crate) fn confirm(
    server: &mut Server,
    from: SocketAddr,
    setup: rejoin_protocol::connection::Setup,
    now: Timestamp,
) {
    let mut connection = Connection::new(setup, None, now);
    let mut packet = Vec::new();
    assert!(connection.poll_transmit(&mut packet, now));
    server.handle_datagram(from, &mut packet, now);
    server.turn(now);
    server.check_invariants();
    while server.poll_transmit(&mut packet, now).is_some() {}
}

#[test]
fn a_flood_of_good_hellos_from_spoofed_addresses_holds_no_more_memory_than_its_first_64() {
    let mut server = server(Auth::Dev);
    let (mut cookies, mut replies) = (0, 0);
    for number in 0..2_000_u32 {
        // 1,000 a second: twice what is taken on trust.
        let now = Timestamp::from_millis(u64::from(number));
        let (from, handshake) = stranger(number);
        match answer(&mut server, from, handshake.hello(), now).map(|reply| reply.len()) {
            Some(33) => cookies += 1,
            Some(_) => replies += 1,
            None => panic!("a good hello is answered"),
        }
        assert!(server.stats().joins_pending <= 64);
    }
    assert_eq!((replies, cookies), (64, 2_000 - 64));
    assert_eq!(server.stats().cookies_asked, 2_000 - 64);
    server.turn(Timestamp::from_millis(20_000));
    assert_eq!(server.stats().joins_pending, 0);
}

#[test]
fn a_turn_answers_a_few_of_a_flood_and_first_those_who_have_proven_themselves() {
    let mut server = server(Auth::Dev);
    let now = Timestamp::from_millis(5);
    let (_, mallory) = stranger(0);
    for number in 1..=10_000_u16 {
        // The same hello from elsewhere is asked, so the first are of different players.
        let hello = if number <= 50 {
            stranger(number.into()).1.hello().to_vec()
        } else {
            mallory.hello().to_vec()
        };
        let from = SocketAddr::from(([127, 1, 1, 1], number));
        server.handle_datagram(from, &mut hello.clone(), now);
    }
    assert_eq!(server.stats().cookies_asked, 4_096, "more have no place");
    // 50 handshakes on trust, then demands.
    server.turn(now);
    assert_eq!(sent(&mut server, now), (50, 128));
    assert_eq!(sent(&mut server, now), (0, 0));
    assert_eq!(
        server.poll_timeout(),
        Some(now),
        "the rest waits for a turn"
    );

    // There is a place again, so ana is asked, comes back at once and is answered before others.
    let (from, mut ana) = stranger(1_000);
    server.handle_datagram(from, &mut ana.hello().to_vec(), now);
    let mut turns = 0;
    let demand = loop {
        server.turn(now);
        turns += 1;
        let mut all = std::iter::from_fn(|| sent_to(&mut server, now));
        if let Some((_, demand)) = all.find(|(to, _)| *to == from) {
            break demand;
        }
    };
    assert_eq!(turns, 32);
    assert_eq!(
        ana.handle_reply(&demand).unwrap_err(),
        HandshakeError::Cookie
    );
    for number in 1..=10_000_u16 {
        let from = SocketAddr::from(([127, 1, 1, 1], number));
        server.handle_datagram(from, &mut mallory.hello().to_vec(), now);
    }
    server.handle_datagram(from, &mut ana.hello().to_vec(), now);
    server.turn(now);
    let (to, reply) = sent_to(&mut server, now).unwrap();
    assert_eq!(to, from);
    assert!(ana.handle_reply(&reply).is_ok());
}

/// The next datagram of this turn.
pub(crate) fn sent_to(server: &mut Server, now: Timestamp) -> Option<(SocketAddr, Vec<u8>)> {
    let mut datagram = Vec::new();
    let to = server.poll_transmit(&mut datagram, now)?;
    Some((to, datagram))
}

/// Replies and demands of this turn.
fn sent(server: &mut Server, now: Timestamp) -> (usize, usize) {
    let all: Vec<_> = std::iter::from_fn(|| sent_to(server, now)).collect();
    let demands = all.iter().filter(|(_, bytes)| bytes.len() == 33).count();
    (all.len() - demands, demands)
}

#[test]
fn under_a_flood_a_hello_with_its_cookie_passes_and_one_of_another_address_does_not() {
    let mut server = server(Auth::Dev);
    let now = Timestamp::from_millis(5);
    for number in 0..100 {
        let (from, handshake) = stranger(number);
        answer(&mut server, from, handshake.hello(), now);
    }
    let (from, mut ana) = stranger(1_000);
    let demand = answer(&mut server, from, ana.hello(), now).unwrap();
    let asked = ana.handle_reply(&demand).unwrap_err();
    assert_eq!(asked, HandshakeError::Cookie);

    let elsewhere = SocketAddr::from(([127, 9, 9, 9], 9));
    let again = answer(&mut server, elsewhere, ana.hello(), now).unwrap();
    assert_eq!(again.len(), 33, "the cookie is of another address");
    let late = now + Duration::from_secs(120);
    let stale = answer(&mut server, from, ana.hello(), now).unwrap();
    let established = ana.handle_reply(&stale).unwrap();
    confirm(&mut server, from, established.setup, now);
    assert_eq!(server.stats().sessions, 1);

    // Cookies end: two minutes later the same one is worth nothing.
    for number in 0..100 {
        let (from, handshake) = stranger(2_000 + number);
        answer(&mut server, from, handshake.hello(), late);
    }
    let old = answer(&mut server, from, ana.hello(), late).unwrap();
    assert_eq!(old.len(), 33);
}

#[test]
fn a_replayed_hello_makes_one_session_and_after_it_no_reply() {
    let mut server = server(Auth::Dev);
    let now = Timestamp::from_millis(5);
    let (from, mut ana) = stranger(1);
    let hello = ana.hello().to_vec();
    let reply = answer(&mut server, from, &hello, now).unwrap();
    let elsewhere = SocketAddr::from(([127, 9, 9, 9], 9));
    let demand = answer(&mut server, elsewhere, &hello, now).unwrap();
    assert_eq!(demand.len(), 33, "whoever repeats it elsewhere is asked");
    let same = answer(&mut server, from, &hello, now);
    assert_eq!(same.as_ref(), Some(&reply), "while it is pending");
    assert_eq!(server.stats().joins_pending, 1);
    let established = ana.handle_reply(&reply).unwrap();
    confirm(&mut server, from, established.setup, now);
    let later = now + Duration::from_secs(1);
    server.turn(later);
    while sent_to(&mut server, later).is_some() {}
    for replayer in [from, elsewhere] {
        assert_eq!(answer(&mut server, replayer, &hello, later), None);
    }
    assert_eq!(server.stats().sessions, 1);
    assert_eq!(server.stats().joins_pending, 0);
}

pub(crate) fn keys(seed: u64) -> PermitKeys {
    PermitKeys::new(vec![SealingKey::generate(&mut Rng::from_number(seed))]).unwrap()
}

pub(crate) fn permit(owner: &StaticKeys, id: u8, claims: &[u8]) -> Permit {
    let grant = Grant {
        id: PermitId([id; 16]),
        expires_unix_s: 1_060,
        client: owner.public(),
        name: "ana".into(),
        claims: claims.to_vec(),
    };
    let minted = keys(1).mint(&grant, &mut Rng::from_number(id.into()));
    minted.unwrap()
}

#[test]
fn a_permit_seen_on_the_wire_is_of_no_use_to_others_and_its_owner_still_joins() {
    let mut server = server(Auth::Token(keys(1)));
    let now = Timestamp::from_millis(5);
    let owner = identity("owner");
    let permit = permit(&owner, 1, b"");
    let thief = SocketAddr::from(([127, 6, 6, 6], 9));
    let mut stolen = hello_of(identity("thief"), permit.clone(), 1);
    let refusal = answer(&mut server, thief, stolen.hello(), now).unwrap();
    let Err(HandshakeError::Refused(refusal)) = stolen.handle_reply(&refusal) else {
        panic!("the thief is refused");
    };
    assert_eq!(refusal.code, RefusalCode::PermitRefused);
    assert!(refusal.text.contains("another client's key"));
    assert_eq!(server.stats().joins_pending, 0);

    let home = SocketAddr::from(([127, 0, 0, 1], 9));
    let mut own = hello_of(owner, permit, 1);
    let reply = answer(&mut server, home, own.hello(), now).unwrap();
    let established = own.handle_reply(&reply).unwrap();
    confirm(&mut server, home, established.setup, now);
    assert_eq!(server.stats().sessions, 1);
}

#[test]
fn a_permit_presented_again_reaches_the_same_session_until_it_expires() {
    let mut server = server(Auth::Token(keys(1)));
    let owner = identity("owner");
    let home = SocketAddr::from(([127, 0, 0, 1], 9));
    let mut sessions = Vec::new();
    for (moment, second) in [(1, 0), (2, 30), (3, 60)] {
        let now = Timestamp::from_millis(second * 1_000);
        let mut client = hello_of(owner.clone(), permit(&owner, 1, b""), moment);
        let reply = answer(&mut server, home, client.hello(), now).unwrap();
        let established = client.handle_reply(&reply).unwrap();
        let welcome = &established.welcome;
        sessions.push((welcome.session, u64::from(welcome.incarnation.0)));
        confirm(&mut server, home, established.setup, now);
        assert_eq!(server.stats().sessions, 1);
    }
    let (first, _) = sessions[0];
    assert_eq!(sessions, [(first, 1), (first, 2), (first, 3)]);
    let late = Timestamp::from_millis(61_000);
    let mut client = hello_of(owner.clone(), permit(&owner, 1, b""), 4);
    let refusal = answer(&mut server, home, client.hello(), late).unwrap();
    let refused = client.handle_reply(&refusal).unwrap_err();
    assert!(refused.to_string().contains("expired 1 s ago"), "{refused}");
}

#[test]
fn after_a_rotation_older_permits_open_only_while_their_key_is_kept() {
    let mut server = server(Auth::Token(keys(1)));
    let owner = identity("owner");
    let home = SocketAddr::from(([127, 0, 0, 1], 9));
    let both: Vec<_> = keys(2).iter().chain(keys(1).iter()).cloned().collect();
    let mut moment = 0;
    let mut outcome = |server: &mut Server| {
        moment += 1;
        let mut client = hello_of(owner.clone(), permit(&owner, 1, b""), moment);
        let now = Timestamp::from_millis(moment);
        let reply = answer(server, home, client.hello(), now).unwrap();
        client
            .handle_reply(&reply)
            .map(|established| established.welcome.session)
    };
    assert!(outcome(&mut server).is_ok());
    server.set_auth(Auth::Token(PermitKeys::new(both).unwrap()));
    assert!(outcome(&mut server).is_ok());
    server.set_auth(Auth::Token(keys(2)));
    let refused = outcome(&mut server).unwrap_err();
    assert!(refused.to_string().contains("no permit key"), "{refused}");
    server.set_auth(Auth::Dev);
    assert!(
        outcome(&mut server).is_err(),
        "a running server never opens to all"
    );
}

#[test]
fn forged_permits_of_proven_senders_cost_no_more_than_their_share() {
    let mut server = server(Auth::Token(keys(1)));
    let now = Timestamp::from_millis(5);
    let forger = identity("forger");
    let owner = identity("owner");
    let mut answered = 0;
    for moment in 1..=400 {
        let number = u16::try_from(moment).unwrap();
        let from = SocketAddr::from(([127, 0, 0, 1], number));
        let mut client = hello_of(forger.clone(), permit(&owner, 1, b"not mine"), moment);
        let Some(mut reply) = answer(&mut server, from, client.hello(), now) else {
            continue;
        };
        if matches!(client.handle_reply(&reply), Err(HandshakeError::Cookie)) {
            // It does receive where it sends from.
            reply.clear();
            reply.extend(answer(&mut server, from, client.hello(), now).unwrap_or_default());
        }
        answered += u32::from(reply.len() > 33);
    }
    // Opened and bound to another key: those are authentic permits, and each is told, but one address
    // has only so many handshakes: 50 on trust, 64 for its cookie.
    assert_eq!(answered, 50 + 64);
    assert_eq!(server.stats().over_budget, 400 - 50 - 64);

    server.set_auth(Auth::Token(keys(3)));
    let later = now + Duration::from_secs(1);
    let mut told = 0;
    for moment in 500..900 {
        let number = u16::try_from(moment).unwrap();
        let from = SocketAddr::from(([127, 0, 0, 1], number));
        let mut client = hello_of(forger.clone(), permit(&owner, 1, b"not mine"), moment);
        let reply = answer(&mut server, from, client.hello(), later).unwrap();
        if matches!(client.handle_reply(&reply), Err(HandshakeError::Cookie)) {
            told += u32::from(answer(&mut server, from, client.hello(), later).is_some());
        } else {
            told += 1;
        }
    }
    assert_eq!(told, 50, "what no key here opens is told 50 times at once");
    assert_eq!(server.stats().sessions, 0);
}

#[test]
fn claims_of_a_permit_reach_the_room() {
    let mut world = World::with(|config| {
        config.auth = Auth::Token(keys(1));
        config.unix_start = Duration::from_secs(1_000);
    });
    let seat = |world: &mut World, id: u8, claims: &[u8]| {
        let name = format!("player {id}");
        let keys = identity(&name);
        let permit = permit(&keys, id, claims);
        let player = world.start_with(&name, keys, permit);
        world.run(Duration::from_secs(1));
        let request = RequestId([1; 16]);
        world.ask(player, |core| {
            core.create(request, "yard", RoomSettings::default())
        })
    };
    assert!(seat(&mut world, 1, b"team=red").is_ok());
    let refusal = seat(&mut world, 2, b"banned").unwrap_err();
    assert_eq!(refusal.code, RefusalCode::NotAdmitted);
}

#[test]
fn a_development_permit_is_refused_by_a_public_server() {
    let mut world = World::with(|config| config.auth = Auth::Token(keys(1)));
    let player = world.start("ana");
    world.run(Duration::from_secs(1));
    let [Event::Ended(Ended::Refused(refusal))] = world.events(player) else {
        panic!("{:?}", world.events(player));
    };
    assert_eq!(refusal.code, RefusalCode::PermitRefused);
}
