//! The server: the loop of renet's examples, at 60 Hz.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use rejoin_arena::server;
use renet::{ClientId, ConnectionConfig, DefaultChannel, RenetServer};
use renet_netcode::{NetcodeServerTransport, ServerAuthentication, ServerConfig};

use super::{CLIENTS_MAX, FRAME, KEY, PROTOCOL};
use crate::game::{Game, Told};

/// Serves until standard input closes: `SHAPE ROOMS`. `None` if told something else.
pub(crate) fn serve(told: &[&str]) -> Option<ExitCode> {
    let [shape, rooms] = told else {
        return None;
    };
    let told = Told::read(shape, rooms)?;
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let socket = rejoin_datagram::bind(any).expect("loopback has a free port");
    let address = socket.local_addr().expect("a bound socket has one");
    let config = ServerConfig {
        current_time: since_1970(),
        max_clients: told.players().min(CLIENTS_MAX),
        protocol_id: PROTOCOL,
        public_addresses: vec![address],
        authentication: ServerAuthentication::Secure { private_key: KEY },
    };
    let transport = NetcodeServerTransport::new(config, socket).expect("the socket lives");
    server::announce(address);
    run(Game::new(told), transport)
}

fn run(mut game: Game, mut transport: NetcodeServerTransport) -> ! {
    let mut server = RenetServer::new(ConnectionConfig::default());
    let (mut last, mut next) = (Instant::now(), Instant::now());
    loop {
        let now = Instant::now();
        let passed = now - std::mem::replace(&mut last, now);
        server.update(passed);
        // What one datagram did wrong must not end the others' play.
        transport.update(passed, &mut server).ok();
        while server.get_event().is_some() {}
        for client in server.clients_id() {
            while let Some(message) = server.receive_message(client, DefaultChannel::Unreliable) {
                if game.take(index(client), &message) {
                    server.send_message(client, DefaultChannel::Unreliable, message);
                }
            }
        }
        game.step_due(now, |members, state| {
            let state = Bytes::copy_from_slice(state);
            for member in members {
                let client = member as ClientId;
                if server.is_connected(client) {
                    server.send_message(client, DefaultChannel::Unreliable, state.clone());
                }
            }
        });
        transport.send_packets(&mut server);
        next = (next + FRAME).max(Instant::now());
        std::thread::sleep(next - Instant::now());
    }
}

/// The number of the player is its client's id.
fn index(client: ClientId) -> usize {
    usize::try_from(client).unwrap_or(usize::MAX)
}

pub(super) fn since_1970() -> Duration {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default()
}
