//! Attacks on a live server: each leaves strangers without an answer, and the honest player at play.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

mod hostile_peer;
#[cfg(unix)]
mod signal;
#[allow(dead_code, reason = "each test file uses its own part of it")]
mod support;
mod within_patience;

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use hostile_peer::Peer;
use rejoin::client::ServerAddress;
use rejoin::prelude::*;
use rejoin::protocol::crypto::{StaticKeys, Suite};
use rejoin::protocol::handshake::{ClientHandshake, HandshakeOptions};
use rejoin::protocol::message::{ClientMessage, RoomSettings};
use rejoin::protocol::wire::Reader;
use rejoin::protocol::{CloseReason, RequestId, Rng, RoomId, SeatId};
use rejoin::room::builtin::arena::{self, Arena, Move};
use support::Process;
use within_patience::within_patience;

/// A server and a player on it who must notice nothing.
struct Stage {
    server: Process,
    address: ServerAddress,
    player: Client,
    room: RoomHandle<Arena>,
    played: u32,
    chain: u64,
}

impl Stage {
    async fn set() -> Self {
        Self::logging("warn").await
    }

    /// With a server that logs at a level.
    async fn logging(level: &str) -> Self {
        let arguments = [
            "--log",
            level,
            "serve",
            "--bind",
            "127.0.0.1:0",
            "--print-address",
        ];
        let program = Path::new(env!("CARGO_BIN_EXE_rejoin"));
        let mut server = Process::of(program, &[], &arguments);
        let line = server.line();
        let text = line.strip_prefix("listening on ").expect("its address");
        let player = Client::connect(text, Permit::dev("ana")).await.unwrap();
        let room = player.create::<Arena>(JoinSpec::any()).await.unwrap();
        let mut stage = Self {
            server,
            address: text.parse().unwrap(),
            player,
            room,
            played: 0,
            chain: 0,
        };
        stage.plays_on().await;
        stage
    }

    fn target(&self) -> SocketAddr {
        SocketAddr::new(self.address.host.parse().unwrap(), self.address.port)
    }

    /// A peer with good keys, and a seat in a room of its own.
    fn peer(&self, seed: u64) -> Peer {
        let mut rng = Rng::from_number(seed);
        let from = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut peer = Peer::join(self.target(), self.address.key, from, &mut rng).unwrap();
        peer.take_seat("arena", &mut rng);
        peer
    }

    /// The player's next inputs are applied, once each, and nothing was lost before.
    async fn plays_on(&mut self) {
        for _ in 0..20 {
            self.played += 1;
            let input = Move(0.5, -0.5, u64::from(self.played), true);
            self.chain = arena::chain(self.chain, &input);
            self.room.send(input).unwrap();
        }
        let me = self.room.player();
        loop {
            let event = self.room.next().await.expect("the room is open");
            let RoomEvent::View(field) = event else {
                continue;
            };
            let mine = field.players.into_iter().find(|it| it.player == me);
            if let Some(mine) = mine.filter(|mine| mine.count >= u64::from(self.played)) {
                assert_eq!(
                    (mine.count, mine.chain),
                    (u64::from(self.played), self.chain)
                );
                return;
            }
        }
    }

    /// The player leaves, and the server ends without a word of complaint.
    async fn clear(self) {
        let logged = self.end().await;
        #[cfg(unix)]
        assert_eq!(logged, "");
    }

    /// The player leaves, and the server ends well. What it logged, where it can be asked to end.
    async fn end(mut self) -> String {
        self.plays_on().await;
        self.player.disconnect().await;
        #[cfg(unix)]
        {
            signal::signal(self.server.id(), "TERM");
            let ended = self.server.end();
            assert_eq!(ended.code, Some(0), "{ended:?}");
            ended.stderr
        }
        #[cfg(not(unix))]
        String::new()
    }
}

/// Waits until the server closes the peer, and tells why.
async fn closed(peer: &mut Peer) -> CloseReason {
    loop {
        peer.listen();
        if let Some(reason) = &peer.closed {
            return CloseReason::read(&mut Reader::new(reason))
                .expect("the server writes whole reasons");
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What comes back to a socket within a while.
async fn answers(socket: &UdpSocket) -> Vec<usize> {
    socket.set_nonblocking(true).unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut buffer = [0; 65_536];
    std::iter::from_fn(|| socket.recv(&mut buffer).ok()).collect()
}

fn hello(stage: &Stage) -> Vec<u8> {
    let mut rng = Rng::from_number(77);
    let options = HandshakeOptions {
        server: stage.address.key,
        identity: StaticKeys::generate(&mut rng),
        permit: Permit::dev("stranger"),
        suites: Suite::ALL.to_vec(),
        receive_id: None,
        moment: 1,
    };
    let handshake = ClientHandshake::new(&options, &mut rng).unwrap();
    handshake.hello().to_vec()
}

#[test]
fn datagrams_of_any_size_from_nowhere_get_silence() {
    within_patience(async {
        let mut stage = Stage::set().await;
        let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
        stranger.connect(stage.target()).unwrap();
        let mut rng = Rng::from_number(1);
        for len in [
            0, 1, 2, 16, 19, 23, 40, 1_199, 1_200, 1_201, 2_048, 2_049, 9_000, 65_507,
        ] {
            for first in [0x00, 0x10, 0x3f, 0x40, 0x41, 0x42, 0x43, 0x44, 0x80, 0xff] {
                let mut datagram = vec![0; len];
                rng.fill(&mut datagram);
                if let Some(byte) = datagram.first_mut() {
                    *byte = first;
                }
                stranger.send(&datagram).unwrap();
            }
        }
        assert!(answers(&stranger).await.is_empty());
        stage.plays_on().await;
        stage.clear().await;
    });
}

#[test]
fn hellos_that_are_cut_or_changed_get_silence_and_a_good_one_is_answered() {
    within_patience(async {
        let mut stage = Stage::set().await;
        let good = hello(&stage);
        let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
        stranger.connect(stage.target()).unwrap();
        for len in [1, 8, 40, 600, 1_199] {
            stranger.send(&good[..len]).unwrap();
        }
        stranger.send(&[good.as_slice(), &[0]].concat()).unwrap();
        // Every byte but those of the cookie, which says nothing until the server asks for one.
        for index in (1..24).chain(40..1_200) {
            let mut changed = good.clone();
            changed[index] ^= 0x40;
            stranger.send(&changed).unwrap();
        }
        assert!(answers(&stranger).await.is_empty());
        stranger.send(&good).unwrap();
        let [reply] = answers(&stranger).await[..] else {
            panic!("a good hello gets one reply");
        };
        assert!(reply < good.len());
        stage.plays_on().await;
        stage.clear().await;
    });
}

#[test]
fn handshake_messages_in_the_wrong_state_change_nothing() {
    within_patience(async {
        let mut stage = Stage::set().await;
        let mut peer = stage.peer(2);
        let good = hello(&stage);
        for kind in 0x41..=0x4f_u8 {
            for len in [1, 17, 33, 200, 1_200] {
                let mut message = good[..len].to_vec();
                message[0] = kind;
                peer.socket.send(&message).unwrap();
            }
        }
        peer.send(&[0x01]);
        stage.plays_on().await;
        peer.listen();
        assert!(peer.closed.is_none() && peer.heard > 0);
        stage.clear().await;
    });
}

#[test]
fn nobody_without_keys_can_close_or_move_a_connection() {
    within_patience(async {
        let mut stage = Stage::set().await;
        let mut peer = stage.peer(3);
        let sealed = peer.seal(&[0x01]);
        peer.socket.send(&sealed).unwrap();
        let elsewhere = UdpSocket::bind("127.0.0.2:0").unwrap();
        elsewhere.connect(stage.target()).unwrap();
        // A close frame in clear behind a header of the peer's, with and without room for a tag.
        for tail in [&[0x04, 0x00][..], &[0; 18], &[0x04; 40]] {
            let forged = [&sealed[..7], tail].concat();
            elsewhere.send(&forged).unwrap();
            peer.socket.send(&forged).unwrap();
        }
        // And every bit of its header.
        for bit in 0..56 {
            let mut forged = sealed.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            elsewhere.send(&forged).unwrap();
        }
        // The very packet again, from here and from there.
        for _ in 0..50 {
            elsewhere.send(&sealed).unwrap();
            peer.socket.send(&sealed).unwrap();
        }
        assert!(answers(&elsewhere).await.is_empty());
        peer.send(&[0x01]);
        let before = peer.heard;
        tokio::time::sleep(Duration::from_millis(300)).await;
        peer.listen();
        assert!(peer.closed.is_none() && peer.heard > before);
        stage.plays_on().await;
        stage.clear().await;
    });
}

/// `MessagePack` that promises more than it holds, or holds more than anyone reads.
fn bombs() -> Vec<Vec<u8>> {
    vec![
        vec![0x91; 1_000],
        vec![0x81; 1_000],
        vec![0xdd, 0xff, 0xff, 0xff, 0xff],
        vec![0xdf, 0xff, 0xff, 0xff, 0xff, 0x01],
        vec![0xc6, 0xff, 0xff, 0xff, 0xff],
        vec![0xdb, 0x7f, 0xff, 0xff, 0xff, b'x'],
        [0xdd, 0x00, 0x10, 0x00, 0x00].repeat(200),
        vec![0xc1],
        vec![0x81, 0xa4, b'L', b'i', b's', b't', 0xc0, 0xc0],
        vec![],
    ]
}

#[test]
fn messages_that_are_bombs_end_their_sender_alone() {
    within_patience(async {
        let mut stage = Stage::set().await;
        for (seed, bomb) in (10..).zip(bombs()) {
            let mut peer = stage.peer(seed);
            // The seat was control message 0.
            peer.send(&[&[0x10, 1], bomb.as_slice()].concat());
            assert_eq!(
                closed(&mut peer).await,
                CloseReason::ProtocolViolation,
                "{bomb:x?}"
            );
        }
        stage.plays_on().await;
        stage.clear().await;
    });
}

#[test]
fn no_text_of_a_peer_begins_a_line_of_the_log_or_acts_on_a_terminal() {
    within_patience(async {
        let stage = Stage::logging("debug").await;
        let text = "x\n2026 ERROR forged \"y\"\r\u{1b}[2J";
        let mut asked = stage.peer(50);
        let request = ClientMessage::Create {
            call: 2,
            request: RequestId([2; 16]),
            kind: text.to_owned(),
            settings: RoomSettings::default(),
        };
        let frame = asked.control(&request);
        asked.send(&frame);
        // A message by that name, with nothing in it.
        let mut unheard = stage.peer(51);
        let head = [0x10, 1, 0x81, 0xa0 | u8::try_from(text.len()).unwrap()];
        unheard.send(&[&head, text.as_bytes(), &[0x80]].concat());
        closed(&mut unheard).await;
        let logged = stage.end().await;
        if cfg!(unix) {
            assert!(logged.contains("forged"), "{logged}");
        }
        for line in logged.lines() {
            assert!(line.starts_with("20") && line.contains("Z "), "{line:?}");
            assert!(!line.contains(['\u{1b}', '\r']), "{line:?}");
        }
    });
}

#[test]
fn frames_that_break_a_rule_end_their_sender_alone() {
    within_patience(async {
        let mut stage = Stage::set().await;
        let cases: [(&str, Vec<u8>); 9] = [
            ("no frame", vec![]),
            ("unknown frame", vec![0x3f]),
            ("cut heartbeat", vec![0x03]),
            (
                "ack of packets never sent",
                vec![0x02, 0xbf, 0xff, 0xff, 0xff, 0, 0],
            ),
            ("ack below packet 0", vec![0x02, 0x00, 0, 0x05]),
            ("fragment beyond its message", vec![0x16, 5, 2, 2, 1]),
            ("short fragment", vec![0x16, 5, 0, 2, 1]),
            (
                "latest points before the first packet",
                vec![0x36, 0, 0x12, 0x3f, 1],
            ),
            ("ordered beyond the window", vec![0x14, 0x7f, 0xff, 1]),
        ];
        for (seed, (what, frames)) in (30..).zip(cases) {
            let mut peer = stage.peer(seed);
            peer.send(&frames);
            assert_eq!(
                closed(&mut peer).await,
                CloseReason::ProtocolViolation,
                "{what}"
            );
        }
        stage.plays_on().await;
        stage.clear().await;
    });
}

#[test]
fn a_session_reaches_no_room_or_seat_but_its_own() {
    within_patience(async {
        let mut stage = Stage::set().await;
        let mut peer = stage.peer(50);
        // Seats that it does not hold: dropped, without a word that tells one from another.
        for seat in [1, 2, 15, 63] {
            let frame = peer.input(SeatId(seat), &[1; 8]);
            peer.send(&frame);
            peer.send(&[0x34, u8::try_from(seat).unwrap(), 1, 2, 3]);
        }
        let resync = peer.control(&ClientMessage::Resync { seat: SeatId(9) });
        peer.send(&resync);
        tokio::time::sleep(Duration::from_millis(200)).await;
        peer.listen();
        assert!(peer.closed.is_none());
        // An honest client learns the same of a room that never was and of one that is not open.
        let other = Client::connect(&stage.address.to_string(), Permit::dev("bo"))
            .await
            .unwrap();
        let guess = |id: [u8; 16]| {
            let other = other.clone();
            async move {
                other
                    .join::<Arena>(RoomId(id))
                    .await
                    .unwrap_err()
                    .to_string()
            }
        };
        assert_eq!(guess([1; 16]).await, guess([2; 16]).await);
        stage.plays_on().await;
        stage.clear().await;
    });
}

#[test]
fn the_server_goes_on_after_peers_whose_ports_are_closed() {
    within_patience(async {
        let mut stage = Stage::set().await;
        for seed in 60..70 {
            // Gone without a word: what the server still sends comes back as unreachable.
            drop(stage.peer(seed));
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        stage.plays_on().await;
        stage.clear().await;
    });
}

#[test]
fn a_flood_of_requests_and_creates_ends_with_a_reason() {
    within_patience(async {
        let mut stage = Stage::set().await;
        let mut peer = stage.peer(80);
        let mut rng = Rng::from_number(80);
        for call in 0..2_000 {
            let create = peer.control(&ClientMessage::Create {
                call,
                request: RequestId(rng.bytes()),
                kind: "arena".to_owned(),
                settings: RoomSettings::default(),
            });
            peer.send(&create);
        }
        let reason = closed(&mut peer).await;
        assert_ne!(reason, CloseReason::InternalError);
        stage.plays_on().await;
        stage.clear().await;
    });
}
