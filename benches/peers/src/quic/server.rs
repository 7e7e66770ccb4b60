//! The server: quinn on tokio, as its examples have it. One task for each connection and one for each room, all on one
//! thread.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use quinn::{Connection, Endpoint, EndpointConfig, Incoming, ServerConfig, TokioRuntime};
use rejoin_arena::server;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::from_hex;
use crate::game::{self, Game, Told};

/// Serves until standard input closes: `SHAPE ROOMS CERTIFICATE KEY`, the last two in hexadecimal. `None` if told
/// something else.
pub(crate) fn serve(told: &[&str]) -> Option<ExitCode> {
    let [shape, rooms, certificate, key] = told else {
        return None;
    };
    let told = Told::read(shape, rooms)?;
    let certificate = CertificateDer::from(from_hex(certificate)?);
    let key = PrivatePkcs8KeyDer::from(from_hex(key)?);
    let mut config = ServerConfig::with_single_cert(vec![certificate], key.into()).ok()?;
    // As quinn's examples: streams that nobody uses are not allowed for.
    let transport = Arc::get_mut(&mut config.transport)?;
    transport.max_concurrent_uni_streams(0_u8.into());
    transport.max_concurrent_bidi_streams(0_u8.into());
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().expect("a runtime starts");
    runtime.block_on(run(told, config));
    Some(ExitCode::SUCCESS)
}

async fn run(told: Told, config: ServerConfig) {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let socket = rejoin_datagram::bind(any).expect("loopback has a free port");
    let (settings, runtime) = (EndpointConfig::default(), Arc::new(TokioRuntime));
    let endpoint =
        Endpoint::new(settings, Some(config), socket, runtime).expect("the socket lives");
    server::announce(endpoint.local_addr().expect("a bound socket has one"));
    let world = World::new(told);
    for room in 0..told.rooms {
        tokio::spawn(show(room, told, world.clone()));
    }
    while let Some(incoming) = endpoint.accept().await {
        tokio::spawn(play(incoming, world.clone()));
    }
}

/// One player: inputs change the room, pings go back at once.
async fn play(incoming: Incoming, world: World) {
    let Ok(connection) = incoming.await else {
        return;
    };
    let Some(player) = world.admit(connection.clone()) else {
        return;
    };
    while let Ok(message) = connection.read_datagram().await {
        if world.state().game.take(player, &message) {
            // A datagram that cannot be sent is lost, as any may be.
            connection.send_datagram(message).ok();
        }
    }
    world.release(player);
}

/// One room: a step, and every member is shown the state.
async fn show(room: u32, told: Told, world: World) {
    let mut ticks = interval_at(Instant::now() + told.phase(room), told.period());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let room = room as usize;
    loop {
        ticks.tick().await;
        let State { game, players } = &mut *world.state();
        let Some(state) = game.step(room).map(Bytes::copy_from_slice) else {
            return;
        };
        let members = players.get(game::members(room)).unwrap_or_default();
        for member in members.iter().flatten() {
            member.send_datagram(state.clone()).ok();
        }
    }
}

#[derive(Clone)]
struct World(Arc<Mutex<State>>);

struct State {
    game: Game,
    players: Vec<Option<Connection>>,
}

impl World {
    fn new(told: Told) -> Self {
        Self(Arc::new(Mutex::new(State {
            game: Game::new(told),
            players: vec![None; told.players()],
        })))
    }

    /// The lock is that of one thread: never waited for.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no holder panics")
    }

    /// The first free seat, if there is one.
    fn admit(&self, connection: Connection) -> Option<usize> {
        let players = &mut self.state().players;
        let free = players.iter().position(Option::is_none)?;
        *players.get_mut(free)? = Some(connection);
        Some(free)
    }

    fn release(&self, player: usize) {
        if let Some(seat) = self.state().players.get_mut(player) {
            *seat = None;
        }
    }
}
