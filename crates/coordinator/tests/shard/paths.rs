//! A client whose address changes: how soon it sees again, and what a stranger can make of that.

use std::net::SocketAddr;
use std::time::Duration;

use rejoin_client::Event;
use rejoin_protocol::{SeatId, Timestamp};

use crate::rooms::Act;
use crate::world::{DELAY, World};

/// Behind the same NAT, and in another network.
const PORT: ([u8; 4], u16) = ([127, 0, 0, 1], 20_000);
const HOST: ([u8; 4], u16) = ([127, 0, 0, 9], 20_000);
const OTHER: ([u8; 4], u16) = ([127, 0, 0, 8], 20_000);

/// Ana and ben in a room without a clock, and nothing under way.
struct Pair {
    world: World,
    ana: (usize, SeatId),
    ben: (usize, SeatId),
}

impl Pair {
    fn settled() -> Self {
        Self::settled_in("yard")
    }

    fn settled_in(kind: &str) -> Self {
        let mut world = World::new();
        let (ana, ben) = (world.player("ana"), world.player("ben"));
        let seated = world.create(ana, kind, 1);
        let joined = world.join(ben, seated.room);
        world.run(Duration::from_secs(2));
        Self {
            world,
            ana: (ana, seated.seat),
            ben: (ben, joined.seat),
        }
    }

    /// Ana is elsewhere from now on, and her game knows.
    fn move_to(&mut self, address: SocketAddr) {
        let player = &mut self.world.players[self.ana.0];
        player.address = address;
        player.core.handle_moved(self.world.now);
    }

    fn act(&mut self, (player, seat): (usize, SeatId)) {
        self.world.act(player, seat, Act::Add(1));
    }

    /// True if ana sees so many inputs within that time.
    fn shows(&mut self, adds: u64, within: Duration) -> bool {
        let (player, seat) = self.ana;
        let seen = |world: &World| world.view(player, seat).is_some_and(|it| it.adds >= adds);
        self.world.run_until(within, seen)
    }

    /// Both act each 33 ms for about a second: if an input of one is lost, and holds up those after it, the
    /// view goes on with the other's. Gives the longest time between two views, from `newest` on, which
    /// becomes when the newest came.
    fn longest_pause(&mut self, newest: &mut Timestamp) -> Duration {
        let mut longest = Duration::ZERO;
        for step in 0..1_013 {
            if step % 33 == 0 {
                self.act(self.ana);
                self.act(self.ben);
            }
            let known = self.world.events(self.ana.0).len();
            self.world.step();
            let told = &self.world.events(self.ana.0)[known..];
            if told.iter().any(|event| matches!(event, Event::View { .. })) {
                longest = longest.max(self.world.now.since(*newest));
                *newest = self.world.now;
            }
        }
        longest.max(self.world.now.since(*newest))
    }

    fn moves(&self) -> u64 {
        self.world.shard.stats().moves
    }

    /// What ana's client says next, as a stranger on the path would take it.
    fn packet(&mut self) -> Vec<u8> {
        self.act(self.ana);
        let (mut bytes, now) = (Vec::new(), self.world.now);
        let core = &mut self.world.players[self.ana.0].core;
        assert!(core.poll_transmit(&mut bytes, now));
        bytes
    }

    fn hand(&mut self, from: SocketAddr, mut bytes: Vec<u8>) {
        let now = self.world.now;
        self.world.shard.expect(std::iter::once(&bytes[..]));
        self.world.shard.handle_datagram(from, &mut bytes, now);
    }

    /// What the shard sends to an address where no player is, in the next step.
    fn told(&mut self, to: SocketAddr) -> Vec<Vec<u8>> {
        self.world.step();
        let strays = self.world.strays.iter();
        let told = strays.filter(|(address, _)| *address == to);
        told.map(|(_, bytes)| bytes.clone()).collect()
    }
}

/// A step for each of four ways, and two more.
const SLACK: Duration = Duration::from_millis(6);

#[test]
fn what_was_sent_to_the_old_address_is_shown_as_soon_as_the_new_one_has_answered() {
    for address in [PORT, HOST].map(SocketAddr::from) {
        let mut pair = Pair::settled();
        pair.move_to(address);
        // Its view goes to the old address, and nothing newer follows.
        pair.act(pair.ben);
        assert!(pair.shows(1, 4 * DELAY + SLACK), "{address}");
        assert_eq!(pair.moves(), 1);
    }
}

#[test]
fn a_client_that_is_not_told_of_its_move_moves_with_its_next_packet() {
    let mut pair = Pair::settled();
    pair.world.players[pair.ana.0].address = PORT.into();
    pair.act(pair.ana);
    assert!(pair.shows(1, 4 * DELAY + SLACK));
    assert_eq!(pair.moves(), 1);
}

#[test]
fn a_lost_challenge_costs_the_time_to_the_next_packet() {
    let mut pair = Pair::settled();
    pair.move_to(HOST.into());
    pair.world.players[pair.ana.0].deaf = true;
    pair.world.run(DELAY);
    pair.act(pair.ana);
    pair.world.run(DELAY + SLACK);
    pair.world.players[pair.ana.0].deaf = false;
    assert!(pair.shows(1, 3 * DELAY));
}

#[test]
fn a_lost_answer_costs_the_time_to_the_next_packet() {
    let mut pair = Pair::settled();
    pair.move_to(HOST.into());
    // Not even the answers to what was heard before leave.
    pair.world.run(DELAY + SLACK);
    pair.world.network.loss = 1.0;
    pair.world.run(DELAY);
    pair.world.network.loss = 0.0;
    assert_eq!(pair.moves(), 0);
    pair.act(pair.ana);
    // With its next packet: there, and back.
    assert!(pair.shows(1, 2 * DELAY + SLACK));
}

#[test]
fn a_stranger_who_is_first_once_delays_a_move_and_one_who_is_not_changes_nothing() {
    let (host, other) = (SocketAddr::from(HOST), SocketAddr::from(OTHER));
    let mut pair = Pair::settled();
    let packet = pair.packet();
    pair.hand(host, packet);
    let mut challenge = pair.told(host).pop().unwrap();
    // The next one is copied from elsewhere, and the copy comes first.
    let packet = pair.packet();
    pair.hand(other, packet);
    assert!(pair.told(other).is_empty(), "the first has its time");
    let now = pair.world.now;
    let core = &mut pair.world.players[pair.ana.0].core;
    core.handle_datagram(&mut challenge, now);
    let packet = pair.packet();
    pair.hand(host, packet);
    assert_eq!(pair.moves(), 1);

    // Who does not answer is waited for no longer than that.
    pair.world.players[pair.ana.0].address = host;
    let packet = pair.packet();
    pair.hand(other, packet);
    assert_eq!(pair.told(other).len(), 1);
    pair.world.run(Duration::from_millis(101));
    let packet = pair.packet();
    pair.hand(SocketAddr::from(PORT), packet);
    assert_eq!(pair.told(PORT.into()).len(), 1);
    assert_eq!(pair.moves(), 1);
}

#[test]
fn the_round_trip_is_kept_with_the_host_and_forgotten_with_another() {
    for (address, is_kept) in [(PORT, true), (HOST, false)] {
        let mut pair = Pair::settled();
        pair.move_to(address.into());
        // What the shard has to say is on its way, and then nobody answers any more.
        let before = pair.moves();
        pair.act(pair.ben);
        assert!(
            pair.world
                .run_until(4 * DELAY, |world| world.shard.stats().moves > before)
        );
        pair.world.players[pair.ana.0].address = OTHER.into();
        pair.world.players[pair.ana.0].online = false;
        // Known, the round trip of 20 ms and what an acknowledgement may be late are less than this; a
        // probe of a link that nobody knows waits for longer.
        let mut told = 0;
        for _ in 0..200 {
            told += pair.told(address.into()).len();
        }
        assert_eq!(told > 0, is_kept, "{told} probes of {address:?}");
    }
}

#[test]
fn on_a_link_that_loses_one_in_twenty_a_client_that_moves_sees_again_soon() {
    const MOVES: u8 = 200;
    let mut pair = Pair::settled_in("mill");
    pair.world.network.loss = 0.05;
    let mut newest = pair.world.now;
    pair.longest_pause(&mut newest);
    let mut pauses: Vec<Duration> = (0..MOVES)
        .map(|number| {
            pair.move_to(SocketAddr::from(([127, 0, 1, number], 9)));
            pair.longest_pause(&mut newest)
        })
        .collect();
    pauses.sort_unstable();
    let at = |share: usize| pauses[pauses.len() * share / 100];
    // A view comes each 50 ms. In most seconds one is lost, in some two on end, and that is as long as
    // most moves take: two round trips, and the age of the view before.
    assert!(at(50) <= Duration::from_millis(100), "{pauses:?}");
    assert!(at(99) <= Duration::from_millis(150), "{pauses:?}");
    assert_eq!(pair.moves(), u64::from(MOVES));
}
