//! A peer that joins, keeps its ticket, and comes back with it: a client as its protocol sees it, without rooms.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use rejoin::client::ServerAddress;
use rejoin::protocol::crypto::{StaticKeys, Suite};
use rejoin::protocol::handshake::{
    ClientHandshake, HandshakeError, HandshakeOptions, Permit, SealedTicket, Ticket, Welcome,
};
use rejoin::protocol::message::ServerMessage;
use rejoin::protocol::messagepack::{self, Bounds};
use rejoin::protocol::{Connection, ConnectionEvent, ConnectionId, Rng, Timestamp, reset};

use crate::support::PATIENCE;

/// How long one datagram is waited for.
const MOMENT: Duration = Duration::from_millis(50);

/// See the module page.
pub(crate) struct Peer {
    socket: UdpSocket,
    connection: Connection,
    started: Instant,
    /// What the server said when it let the peer in.
    pub(crate) welcome: Welcome,
    /// What it can come back with.
    pub(crate) ticket: Ticket,
}

impl Peer {
    /// Joins as somebody new.
    pub(crate) fn join(server: &ServerAddress, rng: &mut Rng) -> Self {
        let options = options(server, rng);
        let handshake = ClientHandshake::new(&options, rng).expect("the options are good");
        Self::enter(server, handshake).expect("the server takes players")
    }

    /// Resumes the session of a ticket.
    ///
    /// # Errors
    /// What the server said to it.
    pub(crate) fn resume(
        server: &ServerAddress,
        ticket: &Ticket,
        rng: &mut Rng,
    ) -> Result<Self, HandshakeError> {
        let options = options(server, rng);
        Self::enter(server, ClientHandshake::resume(&options, ticket, rng))
    }

    fn enter(
        server: &ServerAddress,
        mut handshake: ClientHandshake,
    ) -> Result<Self, HandshakeError> {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port is free");
        let place: SocketAddr = format!("{}:{}", server.host, server.port)
            .parse()
            .expect("an address of loopback");
        socket.connect(place).expect("loopback is there");
        socket
            .set_read_timeout(Some(MOMENT))
            .expect("a socket can wait");
        let established = until(|| {
            // A server that is not there yet refuses this.
            socket.send(handshake.hello()).ok();
            let reply = receive(&socket)?;
            match handshake.handle_reply(&reply) {
                Err(HandshakeError::Cookie | HandshakeError::NotForUs) => None,
                outcome => Some(outcome),
            }
        })?;
        let psk = established.resume_psk;
        let mut connection = Connection::new(established.setup, None, Timestamp::ZERO);
        connection.set_heartbeat(MOMENT);
        let started = Instant::now();
        let sealed = until(|| {
            let now = Timestamp::ZERO + started.elapsed();
            connection.handle_timeout(now);
            let mut packet = Vec::new();
            while connection.poll_transmit(&mut packet, now) {
                socket.send(&packet).ok();
                packet.clear();
            }
            if let Some(mut datagram) = receive(&socket) {
                connection.handle_datagram(&mut datagram, now).ok();
            }
            std::iter::from_fn(|| connection.poll_event()).find_map(ticket_in)
        });
        Ok(Self {
            socket,
            connection,
            started,
            welcome: established.welcome,
            ticket: Ticket { sealed, psk },
        })
    }

    /// Goes on sending over its connection until the server says that there is none, and proves it.
    pub(crate) fn is_reset(&mut self) {
        let label = ConnectionId(self.welcome.connection);
        let expected = reset::encode(label, self.welcome.reset_token);
        until(|| {
            let now = Timestamp::ZERO + self.started.elapsed();
            self.connection.handle_timeout(now);
            // A packet with a reliable message is longer than a reset.
            let message = vec![0; 16].into();
            self.connection.send_control(message).ok();
            let mut packet = Vec::new();
            if self.connection.poll_transmit(&mut packet, now) {
                self.socket.send(&packet).ok();
            }
            receive(&self.socket).filter(|datagram| *datagram == expected)
        });
    }
}

fn options(server: &ServerAddress, rng: &mut Rng) -> HandshakeOptions {
    HandshakeOptions {
        server: server.key,
        identity: StaticKeys::generate(rng),
        permit: Permit::dev("ana"),
        suites: Suite::ALL.to_vec(),
        receive_id: None,
        moment: 1,
    }
}

fn ticket_in(event: ConnectionEvent) -> Option<SealedTicket> {
    let ConnectionEvent::Control(message) = event else {
        return None;
    };
    match messagepack::decode(&message, Bounds::PEER) {
        Ok(ServerMessage::Ticket { ticket, .. }) => SealedTicket::from_bytes(&ticket).ok(),
        _ => None,
    }
}

/// The next datagram, if one comes within a moment.
fn receive(socket: &UdpSocket) -> Option<Vec<u8>> {
    let mut buffer = vec![0; 2_048];
    let len = socket.recv(&mut buffer).ok()?;
    buffer.truncate(len);
    Some(buffer)
}

/// Asks again and again until there is an answer.
fn until<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < PATIENCE, "the server does not answer");
    }
}
