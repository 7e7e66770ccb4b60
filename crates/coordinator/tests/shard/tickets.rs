//! Tickets and resets in the hands of those who should not have them.

use std::net::SocketAddr;
use std::time::Duration;

use rejoin_client::{Event, State};
use rejoin_coordinator::{Auth, Config};
use rejoin_protocol::crypto::{StaticKeys, Suite};
use rejoin_protocol::handshake::{
    Bearer, ClientHandshake, HandshakeError, HandshakeOptions, Permit, Ticket, TicketKeys,
};
use rejoin_protocol::limits::SEAT_HOLD;
use rejoin_protocol::packet::{Header, TruncatedNumber};
use rejoin_protocol::reset::{self, RESET_LEN, ResetKey};
use rejoin_protocol::{Epoch, Incarnation, Liveness, Rng, SessionId, Timestamp};

use crate::rooms::Act;
use crate::strangers::{answer, server_with, stranger};
use crate::world::{SESSION_SECRET, World, identity};

const STRANGER: ([u8; 4], u16) = ([127, 0, 9, 9], 999);

fn world() -> World {
    let mut world = World::new();
    world.resume_for = SEAT_HOLD;
    world
}

fn is_live(world: &World, player: usize) -> bool {
    *world.players[player].core.state() == State::Active(Liveness::Live)
}

/// Sends a datagram from where no player is; gives what comes back there.
fn send(world: &mut World, datagram: &[u8]) -> Vec<Vec<u8>> {
    let from = SocketAddr::from(STRANGER);
    world
        .shard
        .handle_datagram(from, &mut datagram.to_vec(), world.now);
    world.step();
    let mut back = Vec::new();
    for _ in 0..3 {
        let strays = world.strays.iter().filter(|(to, _)| *to == from);
        back.extend(strays.map(|(_, bytes)| bytes.clone()));
        world.step();
    }
    back
}

fn resume(ticket: &Ticket, moment: u64) -> ClientHandshake {
    let options = HandshakeOptions {
        server: StaticKeys::development().public(),
        identity: identity("mallory"),
        permit: Permit::dev("mallory"),
        suites: Suite::ALL.to_vec(),
        receive_id: None,
        moment,
    };
    ClientHandshake::resume(&options, ticket, &mut Rng::from_number(moment))
}

#[test]
fn a_recorded_resume_moves_nothing_whether_it_arrived_before_or_not() {
    let mut world = world();
    let (ana, ben) = (world.player("ana"), world.player("ben"));
    let room = world.create(ana, "yard", 1);
    let seat = world.join(ben, room.room).seat;
    world.run(Duration::from_secs(1));
    world.hellos.clear();
    world.restart_connection(ben);
    assert!(
        world.run_until(Duration::from_secs(3), |world| world.shard.stats().resumes
            == 1)
    );
    world.run(Duration::from_secs(1));
    // One that arrived and was confirmed, and one that never arrived.
    let mut recorded: Vec<Vec<u8>> = world
        .hellos
        .iter()
        .map(|(_, hello)| hello.clone())
        .collect();
    let ticket = world.players[ben].core.ticket().cloned().unwrap();
    recorded.push(resume(&ticket, world.now.as_micros() + 1).hello().to_vec());
    let (before, events) = (world.shard.stats(), world.events(ana).len());
    for hello in &recorded {
        for _ in 0..3 {
            for bytes in send(&mut world, hello) {
                assert!(bytes.len() < hello.len());
            }
        }
        world.act(ben, seat, Act::Add(1));
    }
    let count = u64::try_from(recorded.len()).unwrap();
    world.expect_view(ana, room.seat, |board| board.adds == count);
    world.run(Duration::from_secs(15));
    let after = world.shard.stats();
    assert_eq!((after.joins, after.resumes), (before.joins, before.resumes));
    assert!(is_live(&world, ben));
    let news = world.events(ana)[events..].iter();
    let changes = news.filter(|event| matches!(event, Event::Seat { .. }));
    assert_eq!(changes.count(), 0, "nobody heard of it");
    // The session's own client can still come back: the pending one is not in its way.
    world.restart_connection(ben);
    world.run(Duration::from_secs(3));
    assert!(is_live(&world, ben));
}

#[test]
fn tickets_that_open_nothing_are_refused_alike_and_one_without_its_secret_with_silence() {
    let mut world = world();
    let ana = world.player("ana");
    world.create(ana, "yard", 1);
    world.run(Duration::from_millis(500));
    let good = world.players[ana].core.ticket().cloned().unwrap();
    let bearer = |epoch, expires_unix_s| Bearer {
        session: world.players[ana].core.session().unwrap(),
        incarnation: Incarnation(1),
        epoch: Epoch(epoch),
        psk: good.psk,
        expires_unix_s,
        name: "ana".into(),
        claims: Vec::new(),
    };
    let sealed = |keys: u8, bearer: &Bearer| Ticket {
        sealed: TicketKeys::of(&[keys; 32]).seal(bearer),
        psk: good.psk,
    };
    // The world's secret is all sevens.
    let now_unix_s = 1;
    let wrong = [
        ("of another server", sealed(8, &bearer(1, 1_000_000))),
        ("expired", sealed(7, &bearer(1, now_unix_s - 1))),
        ("of a later process", sealed(7, &bearer(2, 1_000_000))),
    ];
    let mut moment = world.now.as_micros();
    let mut refused = Vec::new();
    for (name, ticket) in wrong {
        moment += 1;
        let mut thief = resume(&ticket, moment);
        let back = send(&mut world, thief.hello());
        assert_eq!(back.len(), 1, "{name}");
        let told = thief.handle_reply(&back[0]).unwrap_err();
        assert_eq!(told, HandshakeError::TicketRefused, "{name}");
        refused.push((back[0][0], back[0].len()));
    }
    assert_eq!(refused, [(0x45, 17); 3], "all alike");
    let stolen = Ticket {
        psk: [9; 32],
        ..good.clone()
    };
    let thief = resume(&stolen, moment + 5);
    assert_eq!(send(&mut world, thief.hello()), [[0; 0]; 0]);
    assert_eq!(world.shard.stats().resumes, 0);
    assert!(is_live(&world, ana));
    let mut owner = resume(&good, moment + 9);
    let back = send(&mut world, owner.hello());
    assert!(
        owner.handle_reply(&back[0]).is_ok(),
        "it was the secret alone"
    );
}

#[test]
fn a_relaunched_client_whose_clock_is_an_hour_off_comes_back_all_the_same() {
    const HOUR: u64 = 3_600 * 1_000_000;
    let start = 5 * HOUR;
    for moment in [start - HOUR, start + HOUR] {
        let mut world = world();
        let ana = world.start_at("ana", (identity("ana"), Permit::dev("ana")), start);
        world.run(Duration::from_secs(1));
        world.create(ana, "yard", 1);
        // The first resume sets a mark for the second one.
        world.restart_connection(ana);
        world.run(Duration::from_secs(3));
        assert!(is_live(&world, ana));
        let mut options = rejoin_client::Options::new(
            StaticKeys::development().public(),
            identity("another device"),
            Permit::dev("ana"),
            moment,
        );
        options.ticket = world.players[ana].core.ticket().cloned();
        let again = world.start_from("ana again", options);
        world.run(Duration::from_secs(1));
        assert!(is_live(&world, again), "{moment}");
        assert_eq!(world.shard.stats().resumes, 2);
        assert_eq!(world.shard.stats().sessions, 1);
    }
}

/// A data packet of that connection and epoch, as long as one with nothing in it.
fn packet(id: [u8; 4], epoch: u64) -> Vec<u8> {
    numbered(id, epoch, 5)
}

fn numbered(id: [u8; 4], epoch: u64, number: u64) -> Vec<u8> {
    let header = Header {
        epoch_bits: Epoch(epoch).bits(),
        key_phase: false,
        label: Some(id),
        number: TruncatedNumber::shortest(number, None),
    };
    let mut packet = Vec::new();
    header.encode(&mut packet);
    packet.resize(22, 0);
    packet
}

#[test]
fn a_reset_is_smaller_than_what_asks_for_it_and_never_of_a_connection_that_is_there() {
    let mut world = World::with(|config| config.epoch = Epoch(4));
    world.resume_for = SEAT_HOLD;
    let ana = world.player("ana");
    world.create(ana, "yard", 1);
    world.run(Duration::from_millis(500));
    let shards = u8::try_from(world.shard.shards.len()).unwrap();
    let mut answered = 0;
    for number in 0..30_000_u32 {
        let [_, a, b, c] = (number * 559).to_be_bytes();
        let id = [u8::try_from(number).unwrap_or(0) % shards, a, b, c];
        // No connection of this process has ended.
        let back = send(&mut world, &packet(id, 4));
        assert_eq!(back, [[0; 0]; 0], "{id:?}");
        if number % 300 != 0 {
            continue;
        }
        for epoch in [1, 2, 3] {
            for bytes in send(&mut world, &packet(id, epoch)) {
                answered += 1;
                assert_eq!(bytes.len(), RESET_LEN);
                // It is no data packet, so that two servers cannot go on resetting each other.
                assert_eq!(send(&mut world, &bytes), [[0; 0]; 0]);
                let (of, _) = reset::decode(&bytes).unwrap();
                assert_eq!(of.0, id);
            }
        }
    }
    assert_eq!(answered, 300);
    assert_eq!(world.shard.stats().resets, 300);
    assert!(is_live(&world, ana));
}

/// Which epochs resets are of, in order; all must be of that connection.
fn epochs_told(id: [u8; 4], resets: &[Vec<u8>]) -> Vec<u64> {
    let key = ResetKey::of(&SESSION_SECRET);
    let told = resets.iter().map(|bytes| {
        let (of, token) = reset::decode(bytes).expect("a reset");
        assert_eq!(of.0, id);
        let epoch = (1..=40).find(|epoch| key.token(Epoch(*epoch), of) == token);
        epoch.expect("of one epoch")
    });
    told.collect()
}

#[test]
fn a_client_that_goes_on_is_told_though_its_server_began_fifteen_times_anew() {
    let own = 40;
    let mut world = World::with(|config| config.epoch = Epoch(own));
    let id = [0, 1, 2, 3];
    // Members of the last processes are told first, whatever the number.
    let young = (200..204).flat_map(|number| send(&mut world, &numbered(id, own - 3, number)));
    let young: Vec<_> = young.collect();
    assert_eq!(epochs_told(id, &young), [own - 3; 4]);
    world.run(Duration::from_secs(1));
    for behind in 1..=20 {
        let mut told = [Vec::new(), Vec::new()];
        for number in 200..212 {
            for (told, len) in told.iter_mut().zip([RESET_LEN + 1, 2 * RESET_LEN + 1]) {
                let mut packet = numbered(id, own - behind, number);
                packet.resize(len, 0);
                let resets = send(&mut world, &packet);
                assert!(resets.len() * RESET_LEN < len, "{resets:?}");
                told.push(epochs_told(id, &resets));
            }
        }
        for told in &told {
            // Four packets in a row, wherever they begin.
            let mut rows = told.windows(4).map(|row| row.concat());
            let answered = |row: Vec<u64>| row.contains(&(own - behind));
            assert!(
                rows.all(|row| answered(row) == (behind <= 15)),
                "{behind} behind: {told:?}"
            );
            assert!(
                !told.concat().contains(&own),
                "no token of its own: {told:?}"
            );
        }
        let [_, long] = &told;
        let always = long.iter().all(|told| told.contains(&(own - behind)));
        assert!(behind > 3 || always, "{behind} behind: {long:?}");
    }
}

#[test]
fn a_flood_that_asks_for_resets_is_answered_in_part() {
    let mut world = World::with(|config| config.epoch = Epoch(6));
    let from = SocketAddr::from(STRANGER);
    for number in 0..60_000_u32 {
        let [_, a, b, c] = number.to_be_bytes();
        let mut datagram = packet([0, a, b, c], 5);
        world.shard.handle_datagram(from, &mut datagram, world.now);
    }
    assert_eq!(world.shard.stats().resets, 4_096);
    world.run(Duration::from_millis(100));
    assert_eq!(world.shard.stats().resets, 4_096);
}

/// Of a session that some earlier process had, sealed with a server's keys.
fn held_by(number: u32, keys: u8) -> Ticket {
    let [a, b, c, d] = number.to_be_bytes();
    let mut session = [1; 16];
    session[..4].copy_from_slice(&[a, b, c, d]);
    let psk = [5; 32];
    let bearer = Bearer {
        session: SessionId(session),
        incarnation: Incarnation(1),
        epoch: Epoch(1),
        psk,
        expires_unix_s: 1_000_000,
        name: format!("player {number}"),
        claims: Vec::new(),
    };
    let sealed = TicketKeys::of(&[keys; 32]).seal(&bearer);
    Ticket { sealed, psk }
}

#[test]
fn thousands_come_back_at_once_without_a_cookie_while_strangers_are_asked_for_one() {
    let many = |config: &mut Config| {
        (config.pending_joins_max, config.sessions_max) = (8_192, 8_192);
    };
    let mut server = server_with(Auth::Dev, many);
    let now = Timestamp::from_millis(5);
    let cookies = |of: Option<Vec<u8>>| usize::from(of.unwrap().len() == 33);
    let mut asked = 0;
    for number in 0..100 {
        let (from, handshake) = stranger(number);
        asked += cookies(answer(&mut server, from, handshake.hello(), now));
    }
    assert_eq!(asked, 50);
    for number in 0..4_096 {
        let (from, _) = stranger(1_000 + number);
        let hello = resume(&held_by(number, 7), 1);
        assert_eq!(cookies(answer(&mut server, from, hello.hello(), now)), 0);
    }
    // The next one shows first that it is where it says.
    let (from, _) = stranger(9_000);
    let mut hello = resume(&held_by(9_000, 7), 1);
    let demand = answer(&mut server, from, hello.hello(), now).unwrap();
    assert_eq!(
        hello.handle_reply(&demand).unwrap_err(),
        HandshakeError::Cookie
    );
    let reply = answer(&mut server, from, hello.hello(), now).unwrap();
    assert!(hello.handle_reply(&reply).is_ok());
    // A recorded one is worth no handshake elsewhere, and a ticket that opens nothing none at all.
    let hello = resume(&held_by(7, 7), 1);
    let later = now + Duration::from_secs(1);
    assert_eq!(cookies(answer(&mut server, from, hello.hello(), later)), 1);
    let hello = resume(&held_by(9_001, 8), 1);
    let refused = answer(&mut server, from, hello.hello(), later).unwrap();
    assert_eq!(refused.len(), 17);
    assert_eq!(server.stats().joins_pending, 50 + 4_096 + 1);
}

#[test]
fn everybody_who_was_cut_off_at_once_is_back_soon_and_at_different_times() {
    const CLIENTS: usize = 300;
    let mut world = world();
    let mut players = Vec::new();
    for number in 0..CLIENTS {
        players.push(world.start(&format!("bot {number}")));
    }
    world.run(Duration::from_secs(5));
    for (number, player) in players.iter().enumerate() {
        let request = u8::try_from(number / 4).unwrap();
        let request = rejoin_protocol::RequestId([request; 16]);
        let core = &mut world.players[*player].core;
        core.join_or_create(request, "yard", Vec::new(), Default::default())
            .unwrap();
    }
    world.run(Duration::from_secs(2));
    world.hellos.clear();
    let before = world.shard.stats().received;
    world.restart(|_| {});
    let all = |world: &World| players.iter().all(|player| is_live(world, *player));
    world.run(Duration::from_millis(600));
    assert!(world.run_until(Duration::from_secs(3), all), "all are back");
    assert_eq!(world.shard.stats().resumes, 300);
    assert_eq!(world.shard.stats().sessions, CLIENTS);
    let hellos = world.hellos.len();
    assert!(
        hellos < CLIENTS * 3,
        "{hellos} hellos, {before} datagrams before"
    );
}
