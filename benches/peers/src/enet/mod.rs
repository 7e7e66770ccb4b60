//! `enet`: ENet's protocol by `rusty_enet`, unreliable and unsequenced, without encryption.

mod players;
mod server;

use rejoin_arena::{Subject, own};
use rusty_enet::{Packet, Peer, Socket};

pub(crate) use server::serve;

use crate::game;

/// What it is called, and its word on the command line.
pub(crate) const NAME: &str = "enet";

/// More no host of ENet can have: `PROTOCOL_MAXIMUM_PEER_ID`.
pub(crate) const PEERS_MAX: usize = 4_095;

pub(crate) const SUBJECT: Subject = Subject {
    name: NAME,
    about: "rusty_enet: no encryption, a look at the socket each millisecond",
    command: |size| {
        let shape = game::shape(size);
        own::told(&format!("{NAME} {shape} {}", size.rooms()))
    },
    players: |target, size| Box::new(players::EnetPlayers::new(target, size)),
    has_rooms: true,
};

const CHANNEL: u8 = 0;

/// Sends what may be lost. Without a connection it is.
fn send<S: Socket>(peer: &mut Peer<S>, message: &[u8]) {
    let packet = Packet::unreliable_unsequenced(message);
    peer.send(CHANNEL, &packet).ok();
}

/// Turns the throttle off, which drops unreliable packets once round trips grow: with it a loaded server loses what the
/// others deliver. A deceleration of 0 never lowers it. ENet tells the other side, whose throttle is the same then.
fn turn_throttle_off<S: Socket>(peer: &mut Peer<S>) {
    use rusty_enet::consts::{PEER_PACKET_THROTTLE_INTERVAL, PEER_PACKET_THROTTLE_SCALE};
    peer.set_throttle(PEER_PACKET_THROTTLE_INTERVAL, PEER_PACKET_THROTTLE_SCALE, 0);
}
