//! The server: ENet's service loop, each millisecond.

use std::net::{SocketAddr, UdpSocket};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rejoin_arena::server;
use rusty_enet::{EventNoRef, Host, HostSettings, PeerID};

use super::{PEERS_MAX, send, turn_throttle_off};
use crate::game::{Game, Told};

/// Between two looks at the socket, as those of `raw2`.
const DRAIN: Duration = Duration::from_millis(1);

/// Serves until standard input closes: `SHAPE ROOMS`. `None` if told something else.
pub(crate) fn serve(told: &[&str]) -> Option<ExitCode> {
    let [shape, rooms] = told else {
        return None;
    };
    let told = Told::read(shape, rooms)?;
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let socket = rejoin_datagram::bind(any).expect("loopback has a free port");
    let address = socket.local_addr().expect("a bound socket has one");
    let settings = HostSettings {
        peer_limit: told.players().min(PEERS_MAX),
        channel_limit: 1,
        ..HostSettings::default()
    };
    let host = Host::new(socket, settings).ok()?;
    server::announce(address);
    run(Game::new(told), host)
}

/// The number of a player is that of the slot that ENet has given it.
fn run(mut game: Game, mut host: Host<UdpSocket>) -> ! {
    loop {
        let start = Instant::now();
        // An error is one datagram's that could not be sent: the next is another's.
        while let Some(event) = host.service().ok().flatten() {
            match event.no_ref() {
                EventNoRef::Receive { peer, packet, .. } => {
                    if game.take(peer.0, packet.data()) {
                        send(host.peer_mut(peer), packet.data());
                    }
                }
                EventNoRef::Connect { peer, .. } => turn_throttle_off(host.peer_mut(peer)),
                EventNoRef::Disconnect { .. } => {}
            }
        }
        game.step_due(Instant::now(), |members, state| {
            let members = members.filter_map(|member| {
                let peer = host.get_peer(PeerID(member))?;
                peer.connected().then_some(PeerID(member))
            });
            let members: Vec<PeerID> = members.collect();
            for member in members {
                send(host.peer_mut(member), state);
            }
        });
        host.flush();
        std::thread::sleep(DRAIN.saturating_sub(start.elapsed()));
    }
}
