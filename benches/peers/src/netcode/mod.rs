//! `renet`: messages over the netcode protocol, encrypted, in a loop of 60 Hz.

mod players;
mod server;

use std::time::Duration;

use renet_netcode::NETCODE_KEY_BYTES;

use rejoin_arena::{Subject, own};

pub(crate) use server::serve;

use crate::game;

/// What it is called, and its word on the command line.
pub(crate) const NAME: &str = "renet";

/// More it does not let in: `NETCODE_MAX_CLIENTS`.
pub(crate) const CLIENTS_MAX: usize = 1_024;

/// Between the starts of two passes of the server's loop: 60 Hz.
pub(crate) const FRAME: Duration = Duration::from_nanos(1_000_000_000 / 60);

pub(crate) const SUBJECT: Subject = Subject {
    name: NAME,
    about: "renet: the netcode protocol with connect tokens, a loop of 60 Hz",
    command: |size| {
        let shape = game::shape(size);
        own::told(&format!("{NAME} {shape} {}", size.rooms()))
    },
    players: |target, size| Box::new(players::RenetPlayers::new(target, size)),
    has_rooms: true,
};

const PROTOCOL: u64 = 1;

/// What the server and the backend that makes connect tokens share; here both are this program.
const KEY: [u8; NETCODE_KEY_BYTES] = [7; NETCODE_KEY_BYTES];
