//! The players: a WebSocket each that speaks as much of Colyseus' protocol as the arena needs. Its own client, in
//! JavaScript, takes more of the players' core than the server takes of the other.
//!
//! Who begins asks for a seat over HTTP, opens the WebSocket, and is ready once the room has answered; one after the other,
//! as each waits for its answers.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rejoin::protocol::Timestamp;
use rejoin_arena::Size;
use rejoin_arena::net::Traffic;
use rejoin_arena::players::{self, Ping, Players, Target};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Error, Message, WebSocket};

use crate::game::state_len;
use crate::readiness::Readiness;

// Colyseus' codes, the first byte of a message.
const JOIN_ROOM: u8 = 10;
const ROOM_ERROR: u8 = 11;
const ROOM_DATA_BYTES: u8 = 17;
// Types of this room's messages, the second byte: see `server.js`.
const INPUT: u8 = 0;
const PING: u8 = 1;
const ECHO: u8 = 2;
const STATE: u8 = 3;

/// More than a message, and little enough for thousands of players.
const BUFFER: usize = 4_096;
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

pub(crate) struct ColyseusPlayers {
    server: SocketAddr,
    readiness: Readiness,
    players: Vec<Player>,
    ready: usize,
    state_len: usize,
    traffic: Traffic,
}

struct Player {
    socket: WebSocket<TcpStream>,
    left: bool,
}

/// Where a player has a seat.
struct Seat {
    process: String,
    room: String,
    session: String,
}

impl ColyseusPlayers {
    pub(crate) fn new(target: Target, size: Size) -> Self {
        Self {
            server: target.address,
            readiness: Readiness::new(),
            players: Vec::new(),
            ready: 0,
            state_len: state_len(size),
            traffic: Traffic::default(),
        }
    }

    fn connect(&self) -> std::io::Result<TcpStream> {
        let stream = TcpStream::connect(self.server)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        Ok(stream)
    }

    /// A seat in a room that has one left, or in a new one.
    fn reserve(&self) -> std::io::Result<Seat> {
        let mut stream = self.connect()?;
        // Of HTTP 1.0: the answer ends with the connection.
        let request = format!(
            "POST /matchmake/joinOrCreate/arena HTTP/1.0\r\nHost: {}\r\nContent-Type: application/json\r\n\
             Content-Length: 2\r\n\r\n{{}}",
            self.server
        );
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let wrong = || std::io::Error::new(ErrorKind::InvalidData, answer.clone());
        let (_, body) = answer.split_once("\r\n\r\n").ok_or_else(wrong)?;
        let body: serde_json::Value = serde_json::from_str(body)?;
        let field = |path| body.pointer(path).and_then(|value| value.as_str());
        let field = |path| field(path).map(str::to_owned).ok_or_else(wrong);
        Ok(Seat {
            process: field("/room/processId")?,
            room: field("/room/roomId")?,
            session: field("/sessionId")?,
        })
    }

    fn open(&self, seat: &Seat) -> std::io::Result<WebSocket<TcpStream>> {
        let Seat {
            process,
            room,
            session,
        } = seat;
        let url = format!("ws://{}/{process}/{room}?sessionId={session}", self.server);
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER)
            .write_buffer_size(0)
            .max_write_buffer_size(16 * BUFFER);
        let opened =
            tungstenite::client::client_with_config(url.as_str(), self.connect()?, Some(config));
        let (socket, _) = opened.map_err(|error| std::io::Error::other(error.to_string()))?;
        socket.get_ref().set_nonblocking(true)?;
        Ok(socket)
    }

    fn send(&mut self, player: usize, kind: u8, payload: &[u8]) {
        if let Some(player) = self.players.get_mut(player) {
            let mut bytes = Vec::with_capacity(2 + payload.len());
            bytes.extend([ROOM_DATA_BYTES, kind]);
            bytes.extend_from_slice(payload);
            player.send(bytes);
        }
    }

    /// Takes what came for one player.
    fn take(&mut self, index: usize, echoes: &mut Vec<Ping>) {
        let Some(player) = self.players.get_mut(index) else {
            return;
        };
        loop {
            let message = match player.socket.read() {
                Ok(Message::Binary(message)) => message,
                Ok(_) => continue,
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) if player.left => return,
                Err(error) => panic!("player {index}: {error}"),
            };
            match *message {
                [ROOM_DATA_BYTES, STATE, ref state @ ..] => {
                    self.traffic.whole += u64::from(state.len() == self.state_len);
                }
                [ROOM_DATA_BYTES, ECHO, ref ping @ ..] => echoes.extend(Ping::read(ping)),
                [JOIN_ROOM, ..] => {
                    player.send(vec![JOIN_ROOM]);
                    self.ready += 1;
                }
                [ROOM_ERROR, ..] => panic!("player {index} is refused"),
                _ => {}
            }
        }
    }
}

impl Player {
    /// What the system does not take now stays in the socket's buffer, and leaves with the next.
    fn send(&mut self, bytes: Vec<u8>) {
        match self.socket.send(Message::Binary(bytes.into())) {
            Ok(()) => {}
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => assert!(self.left, "a player cannot send: {error}"),
        }
    }
}

impl Players for ColyseusPlayers {
    fn begin(&mut self, index: usize, _now: Timestamp) {
        assert_eq!(index, self.players.len(), "players begin in order");
        let opened = self.reserve().and_then(|seat| self.open(&seat));
        let socket = opened.unwrap_or_else(|error| panic!("player {index} has no seat: {error}"));
        self.readiness.watch(socket.get_ref(), index);
        self.players.push(Player {
            socket,
            left: false,
        });
        // The room's answer may have come with that to the handshake.
        self.take(index, &mut Vec::new());
    }

    fn ready(&self) -> usize {
        self.ready
    }

    fn input(&mut self, player: usize, now: Timestamp) {
        let input = players::input(now);
        self.send(player, INPUT, &input);
    }

    fn ping(&mut self, player: usize, ping: Ping, _now: Timestamp) {
        self.send(player, PING, &ping.bytes());
    }

    fn pump(&mut self, _now: Timestamp, echoes: &mut Vec<Ping>) -> bool {
        let ready = self.readiness.ready();
        for index in &ready {
            self.take(*index, echoes);
        }
        !ready.is_empty()
    }

    fn leave(&mut self, player: usize, _now: Timestamp) {
        if let Some(player) = self.players.get_mut(player) {
            player.left = true;
            player.socket.close(None).ok();
        }
    }

    fn traffic(&self) -> Traffic {
        self.traffic
    }
}
