//! The poll form: one call per frame, no threads, no async.
//!
//! ```no_run
//! # use rejoin_client::{Event, JoinSpec, Permit, PollClient};
//! # use rejoin_room::builtin::arena::Arena;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut client = PollClient::connect("rejoin://127.0.0.1:7777", Permit::dev("ana"))?;
//! loop {
//!     client.poll();
//!     while let Some(event) = client.next_event() {
//!         match event {
//!             Event::Connected { .. } => {
//!                 client.join_or_create::<Arena>(JoinSpec::any())?;
//!             }
//!             Event::Ended(reason) => return Err(reason.into()),
//!             _ => {}
//!         }
//!     }
//!     // draw a frame
//! }
//! # }
//! ```

use std::io::{self, ErrorKind};
use std::net::{ToSocketAddrs, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use rejoin_protocol::connection::SendError;
use rejoin_protocol::message::CallId;
use rejoin_protocol::{Rng, RoomCode, SeatId};
use rejoin_room::Room;

use crate::address::ServerAddress;
use crate::connect_options::ConnectOptions;
use crate::core::Core;
use crate::credentials::Credentials;
use crate::error::{ConnectError, InputError};
use crate::event::{Ended, Event};
use crate::join_spec::JoinSpec;
use crate::payload;
use crate::route::Route;
use crate::state::State;
use crate::system::{self, Clock, Start};
use crate::ticket_file::TicketFileError;
use crate::ticket_keeper::TicketKeeper;

/// Datagrams taken in one frame at most; more wait in the socket for the next.
const RECEIVE_BATCH: usize = 256;

/// Room for a datagram; a longer one is none of ours.
const DATAGRAM_BUFFER: usize = 2048;

/// A client for game loops. Dropping it leaves the server.
#[derive(Debug)]
pub struct PollClient {
    core: Core,
    rng: Rng,
    clock: Clock,
    route: Route,
    socket: UdpSocket,
    keeper: Option<TicketKeeper>,
    out: Vec<u8>,
    buffer: Box<[u8; DATAGRAM_BUFFER]>,
}

impl PollClient {
    /// Starts to open a session at `address`, see [`ServerAddress`]. Only resolving a host name may
    /// block. [`Event::Connected`] or [`Event::Ended`] follows. A client that loses its connection comes back
    /// by itself: [`PollClient::connect_with`] says for how long.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub fn connect(
        address: &str,
        credentials: impl Into<Credentials>,
    ) -> Result<Self, ConnectError> {
        Self::connect_with(address, credentials, ConnectOptions::new())
    }

    /// The same, with options. With a ticket file there is one thread: the one that writes it.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub fn connect_with(
        address: &str,
        credentials: impl Into<Credentials>,
        options: ConnectOptions,
    ) -> Result<Self, ConnectError> {
        let address: ServerAddress = address.parse()?;
        let resolved = (address.host.as_str(), address.port).to_socket_addrs();
        let addresses = resolved.map_err(|source| ConnectError::Resolve {
            host: address.host.clone(),
            source,
        })?;
        let mut route = Route::new(addresses);
        let socket = route.open().map_err(ConnectError::Socket)?;
        let clock = Clock::start();
        let start = system::start(&address, credentials.into(), options, clock)?;
        let Start { core, rng, keeper } = start;
        let buffer = Box::new([0; DATAGRAM_BUFFER]);
        Ok(Self {
            core,
            rng,
            clock,
            route,
            socket,
            keeper,
            out: Vec::new(),
            buffer,
        })
    }

    /// Takes what has arrived, lets time pass, sends what is due. Call it once per frame, then
    /// take the events; what a request or input needs to send leaves with the next call.
    pub fn poll(&mut self) {
        for _ in 0..RECEIVE_BATCH {
            match self.socket.recv(self.buffer.as_mut_slice()) {
                Ok(len) => {
                    let datagram = self.buffer.get_mut(..len).unwrap_or_default();
                    self.core.handle_datagram(datagram, self.clock.now());
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // A report about something sent before, such as a port that nobody listens on:
                // the server may be restarting. Only silence ends a session.
                Err(_) => {}
            }
        }
        self.core.handle_timeout(self.clock.now());
        if matches!(self.core.state(), State::Active(_)) {
            self.route.on_welcome();
        }
        self.transmit();
    }

    /// This machine's address has changed, or may have: goes on with a fresh socket, and tells the server
    /// at once. See [`Core::handle_moved`].
    ///
    /// # Errors
    /// There is no socket to be had, as while no network is there. The old one stays in use; call this
    /// again once there is one.
    pub fn moved(&mut self) -> io::Result<()> {
        self.socket = self.route.reopen()?;
        self.core.handle_moved(self.clock.now());
        self.transmit();
        Ok(())
    }

    /// Tells the server at once that the game loads and will not call [`PollClient::poll`] for up to
    /// `span`: see [`Core::loading`].
    ///
    /// # Errors
    /// The session is not open.
    pub fn loading(&mut self, span: Duration) -> Result<(), SendError> {
        self.core.loading(span)?;
        self.transmit();
        Ok(())
    }

    /// Tells the server that loading is over; leaves with the next [`PollClient::poll`].
    ///
    /// # Errors
    /// As [`PollClient::loading`].
    pub fn loaded(&mut self) -> Result<(), SendError> {
        self.core.loaded()
    }

    /// What happened. Take all of it after each [`PollClient::poll`].
    pub fn next_event(&mut self) -> Option<Event> {
        let event = self.core.poll_event()?;
        match (&event, &self.keeper, self.core.ticket()) {
            (Event::Ticket, Some(keeper), Some(ticket)) => keeper.keep(ticket.clone()),
            (Event::Ended(Ended::Left), Some(keeper), _) => keeper.forget(),
            _ => {}
        }
        Some(event)
    }

    /// Why the ticket file is not as it should be, as when the disk is full. The client goes on; only a new
    /// process would not find its way back.
    #[must_use]
    pub fn ticket_file_problem(&self) -> Option<Arc<TicketFileError>> {
        self.keeper.as_ref().and_then(TicketKeeper::problem)
    }

    /// The state machine, to ask it.
    #[must_use]
    pub const fn core(&self) -> &Core {
        &self.core
    }

    /// The state machine, for requests that have no typed form here.
    pub const fn core_mut(&mut self) -> &mut Core {
        &mut self.core
    }

    /// Opens a room of kind `R` and takes a seat in it. The filters of `spec` do not matter.
    ///
    /// # Errors
    /// As [`Core::create`].
    pub fn create<R: Room>(&mut self, spec: JoinSpec) -> Result<CallId, SendError> {
        let request = spec.request_id(&mut self.rng);
        self.core.create(request, R::KIND, spec.settings)
    }

    /// Takes a seat in the room that the spec's request names, else in one that matches its
    /// filters, else in a new one.
    ///
    /// # Errors
    /// As [`Core::join_or_create`].
    pub fn join_or_create<R: Room>(&mut self, spec: JoinSpec) -> Result<CallId, SendError> {
        let request = spec.request_id(&mut self.rng);
        self.core
            .join_or_create(request, R::KIND, spec.filters, spec.settings)
    }

    /// Takes a seat in the private room of a code.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn join_by_code(&mut self, code: RoomCode) -> Result<CallId, SendError> {
        self.core.join_by_code(code)
    }

    /// Sends a reliable input: it is applied exactly once, in order. Gives its number.
    ///
    /// # Errors
    /// See [`InputError`].
    pub fn send<R: Room>(&mut self, seat: SeatId, input: &R::Input) -> Result<u64, InputError> {
        Ok(self.core.send(seat, payload::input(input)?)?)
    }

    /// Sends a latest input: the newest that waits for the tick of the room wins, an older one may be lost.
    ///
    /// # Errors
    /// See [`InputError`].
    pub fn latest<R: Room>(&mut self, seat: SeatId, input: &R::Input) -> Result<(), InputError> {
        Ok(self.core.latest(seat, payload::input(input)?)?)
    }

    /// Leaves the server and tells it at once. The ticket file is removed.
    pub fn disconnect(&mut self) {
        self.core.disconnect();
        self.transmit();
        if let (State::Ended(Ended::Left), Some(keeper)) = (self.core.state(), &self.keeper) {
            keeper.forget();
        }
    }

    fn transmit(&mut self) {
        loop {
            self.out.clear();
            let is_hello = matches!(self.core.state(), State::Joining | State::Away);
            if !self.core.poll_transmit(&mut self.out, self.clock.now()) {
                return;
            }
            if is_hello && let Some(socket) = self.route.on_hello() {
                self.socket = socket;
            }
            self.send_datagram();
        }
    }

    /// Sends one datagram. What the system refuses is lost, as on any link.
    fn send_datagram(&self) {
        let sent = self.socket.send(&self.out);
        // That was the report about an earlier datagram; this one has not left.
        if sent.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused) {
            drop(self.socket.send(&self.out));
        }
    }
}

impl Drop for PollClient {
    fn drop(&mut self) {
        self.disconnect();
    }
}
