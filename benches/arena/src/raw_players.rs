//! Players of the raw servers, and of the echo: the least that can play.

use aws_lc_rs::aead::LessSafeKey;
use rejoin::protocol::Timestamp;

use crate::net::{Net, Traffic};
use crate::players::{self, Ping, Players, Target};
use crate::raw_wire::{self, Head, Kind, Way};
use crate::subject::Size;
use crate::workload::SHAPES;

/// All players of one raw server.
pub(crate) struct RawPlayers {
    net: Net,
    sealed: bool,
    /// An echo knows nobody: its players begin by themselves.
    greeted: bool,
    players: Vec<Player>,
    ready: usize,
    state_len: usize,
    out: Vec<u8>,
}

struct Player {
    key: Option<LessSafeKey>,
    sent: u32,
    ready: bool,
}

impl RawPlayers {
    pub(crate) fn new(target: Target, sealed: bool, greeted: bool, size: Size) -> Self {
        Self {
            net: Net::open(target.address, size.players),
            sealed,
            greeted,
            players: Vec::new(),
            ready: 0,
            state_len: size.shape.map_or(0, |shape| SHAPES[shape].state_len),
            out: Vec::new(),
        }
    }

    fn send(&mut self, index: usize, kind: Kind, payload: &[u8]) {
        let player = &mut self.players[index];
        let head = Head {
            player: index as u32,
            number: player.sent,
        };
        player.sent += 1;
        let key = player.key.as_ref().filter(|_| kind != Kind::Hello);
        self.out.clear();
        raw_wire::write(&mut self.out, head, (kind, payload), (key, Way::Up));
        self.net.send(index, &self.out);
    }
}

impl Players for RawPlayers {
    fn begin(&mut self, player: usize, _now: Timestamp) {
        assert_eq!(player, self.players.len(), "players begin in order");
        let key = ((player as u128) << 64 | 0x5ca1_ab1e).to_be_bytes();
        self.players.push(Player {
            key: self.sealed.then(|| raw_wire::key(key)),
            sent: 0,
            ready: !self.greeted,
        });
        if self.greeted {
            self.send(player, Kind::Hello, &key);
        } else {
            self.ready += 1;
        }
    }

    fn ready(&self) -> usize {
        self.ready
    }

    fn input(&mut self, player: usize, now: Timestamp) {
        let input = players::input(now);
        self.send(player, Kind::Input, &input);
    }

    fn ping(&mut self, player: usize, ping: Ping, _now: Timestamp) {
        self.send(player, Kind::Ping, &ping.bytes());
    }

    fn pump(&mut self, _now: Timestamp, echoes: &mut Vec<Ping>) -> bool {
        let Self {
            net,
            players,
            ready,
            state_len,
            greeted,
            ..
        } = self;
        let (mut states, way) = (0, if *greeted { Way::Down } else { Way::Up });
        let any = net.receive(|_, datagram| {
            let Some(head) = Head::read(datagram) else {
                return;
            };
            let player = &mut players[head.player as usize];
            match raw_wire::read(datagram, (player.key.as_ref(), way)) {
                Some((Kind::Welcome, _)) if !player.ready => {
                    player.ready = true;
                    *ready += 1;
                }
                Some((Kind::State, state)) => states += u64::from(state.len() == *state_len),
                Some((Kind::Echo | Kind::Ping, payload)) => echoes.extend(Ping::read(payload)),
                _ => {}
            }
        });
        net.traffic.whole += states;
        any
    }

    fn leave(&mut self, _player: usize, _now: Timestamp) {}

    fn traffic(&self) -> Traffic {
        self.net.traffic
    }
}
