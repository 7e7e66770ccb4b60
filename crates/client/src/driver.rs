//! The async form: a tokio task owns the socket and drives the core.

use std::sync::Arc;
use std::time::Duration;

use rejoin_protocol::connection::SendError;
use rejoin_protocol::limits::LIST_MAX;
use rejoin_protocol::message::{Answer, Filter, RoomCard};
use rejoin_protocol::{LinkStats, PlayerId, RoomCode, RoomId, SessionId};
use rejoin_room::Room;

use crate::address::ServerAddress;
use crate::connect_options::ConnectOptions;
use crate::credentials::Credentials;
use crate::error::{ConnectError, RequestError};
use crate::event::Ended;
use crate::join_spec::JoinSpec;
use crate::room_handle::RoomHandle;
use crate::route::Route;
use crate::shared::{Inner, Owner, Shared};
use crate::state::State;
use crate::system::{self, Clock};
use crate::task::Task;
use crate::ticket_file::TicketFileError;
use crate::ticket_keeper::TicketKeeper;

/// A connected client. Cheap to clone; the session ends when the last clone and room handle are dropped.
///
/// All methods must be called inside a tokio runtime with I/O and time. A client that holds seats
/// must read them: a room handle of which more than
/// [`ROOM_EVENTS_UNREAD_MAX`](rejoin_protocol::limits::ROOM_EVENTS_UNREAD_MAX) events or
/// [`ROOM_EVENTS_UNREAD_BYTES_MAX`](rejoin_protocol::limits::ROOM_EVENTS_UNREAD_BYTES_MAX) wait ends
/// the session with [`CloseReason::Overloaded`](rejoin_protocol::CloseReason::Overloaded), rather
/// than lose one unknowingly.
#[derive(Clone, Debug)]
pub struct Client {
    owner: Arc<Owner>,
}

impl Client {
    /// Opens a session at `address`, see [`ServerAddress`]. If the host has several addresses,
    /// each unanswered hello tries the next one. A client that loses its connection comes back by itself:
    /// [`Client::connect_with`] says for how long.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn connect(
        address: &str,
        credentials: impl Into<Credentials>,
    ) -> Result<Self, ConnectError> {
        Self::connect_with(address, credentials, ConnectOptions::new()).await
    }

    /// The same, with options.
    ///
    /// ```no_run
    /// # use rejoin_client::{Client, ConnectOptions, JoinSpec, Permit};
    /// # use rejoin_room::builtin::arena::Arena;
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let options = ConnectOptions::new().ticket_file("ana.ticket");
    /// let client = Client::connect_with("localhost", Permit::dev("ana"), options).await?;
    /// // A seat, and the same one when the process is killed and started again.
    /// let room = client.join_or_create::<Arena>(JoinSpec::any()).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn connect_with(
        address: &str,
        credentials: impl Into<Credentials>,
        options: ConnectOptions,
    ) -> Result<Self, ConnectError> {
        let address: ServerAddress = address.parse()?;
        let place = (address.host.as_str(), address.port);
        let resolved = tokio::net::lookup_host(place).await;
        let addresses = resolved.map_err(|source| ConnectError::Resolve {
            host: address.host.clone(),
            source,
        })?;
        let clock = Clock::start();
        let start = system::start(&address, credentials.into(), options, clock)?;
        let shared = Arc::new(Shared::new(start));
        let mut task = Task::new(Arc::clone(&shared), clock, Route::new(addresses))?;
        task.join().await?;
        drop(tokio::spawn(task.run()));
        Ok(Self {
            owner: Arc::new(Owner { shared }),
        })
    }

    /// Opens a room of kind `R` and takes a seat in it. The filters of `spec` do not matter.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn create<R: Room>(&self, spec: JoinSpec) -> Result<RoomHandle<R>, RequestError> {
        let shared = &self.owner.shared;
        let granted = shared.request(|Inner { core, rng, .. }| {
            core.create(spec.request_id(rng), R::KIND, spec.settings)
        });
        RoomHandle::new(&self.owner, granted.await?)
    }

    /// Takes a seat in an open room.
    ///
    /// # Errors
    /// See [`RequestError`]; one is that the room is not of kind `R`.
    pub async fn join<R: Room>(&self, room: RoomId) -> Result<RoomHandle<R>, RequestError> {
        let granted = self.owner.shared.request(|inner| inner.core.join(room));
        RoomHandle::new(&self.owner, granted.await?)
    }

    /// Takes a seat in the private room of a code, as a member's [`RoomHandle::code`] tells it.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn join_by_code<R: Room>(
        &self,
        code: RoomCode,
    ) -> Result<RoomHandle<R>, RequestError> {
        let shared = &self.owner.shared;
        let granted = shared.request(|inner| inner.core.join_by_code(code));
        RoomHandle::new(&self.owner, granted.await?)
    }

    /// Takes a seat in the room that the spec's request names, else in one that matches its
    /// filters, else in a new one.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn join_or_create<R: Room>(
        &self,
        spec: JoinSpec,
    ) -> Result<RoomHandle<R>, RequestError> {
        let shared = &self.owner.shared;
        let granted = shared.request(|Inner { core, rng, .. }| {
            core.join_or_create(spec.request_id(rng), R::KIND, spec.filters, spec.settings)
        });
        RoomHandle::new(&self.owner, granted.await?)
    }

    /// Open rooms of a kind, or of all kinds, that match the filters.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn list(
        &self,
        kind: Option<&str>,
        filters: Vec<Filter>,
    ) -> Result<Vec<RoomCard>, RequestError> {
        let max = u16::try_from(LIST_MAX).unwrap_or(u16::MAX);
        let granted = self
            .owner
            .shared
            .request(|inner| inner.core.list(kind, filters, max));
        match granted.await? {
            (Answer::Rooms(rooms), _) => Ok(rooms),
            _ => Err(RequestError::WrongAnswer),
        }
    }

    /// Estimates of the link to the server.
    #[must_use]
    pub fn stats(&self) -> LinkStats {
        self.owner.shared.lock().core.link()
    }

    /// Where the session stands.
    #[must_use]
    pub fn state(&self) -> State {
        self.owner.shared.lock().core.state().clone()
    }

    /// The session.
    #[must_use]
    pub fn session(&self) -> SessionId {
        let session = self.owner.shared.lock().core.session();
        session.expect("a client exists from the welcome on, which names the session")
    }

    /// This player, as others see it.
    #[must_use]
    pub fn player(&self) -> PlayerId {
        self.session().player()
    }

    /// Tells the server that this client loads and may be silent for `span`: see
    /// [`Core::loading`](crate::Core::loading). Only needed if its task may not run meanwhile.
    ///
    /// # Errors
    /// The session is over.
    pub fn loading(&self, span: Duration) -> Result<(), SendError> {
        let shared = &self.owner.shared;
        let told = shared.lock().core.loading(span);
        shared.wake();
        told
    }

    /// Tells the server that loading is over.
    ///
    /// # Errors
    /// As [`Client::loading`].
    pub fn loaded(&self) -> Result<(), SendError> {
        let shared = &self.owner.shared;
        let told = shared.lock().core.loaded();
        shared.wake();
        told
    }

    /// This machine's address has changed, or may have: the client goes on with a fresh socket, and tells
    /// the server at once. Without one, as while no network is there, the old one stays in use; call this
    /// again once there is one. See [`Core::handle_moved`](crate::Core::handle_moved).
    pub fn moved(&self) {
        let shared = &self.owner.shared;
        shared.lock().moved = true;
        shared.wake();
    }

    /// True if the ticket that was found at the start, or the newest later, was not taken by the server, and
    /// the permit had to serve.
    #[must_use]
    pub fn ticket_refused(&self) -> bool {
        self.owner.shared.lock().ticket_refused
    }

    /// Why the ticket file is not as it should be, as when the disk is full. The client goes on; only a new
    /// process would not find its way back.
    #[must_use]
    pub fn ticket_file_problem(&self) -> Option<Arc<TicketFileError>> {
        let inner = self.owner.shared.lock();
        inner.keeper.as_ref().and_then(TicketKeeper::problem)
    }

    /// Waits until the session is over.
    pub async fn ended(&self) -> Ended {
        self.owner.shared.wait_ended().await
    }

    /// Leaves the server; returns when it has been told, and the ticket file is removed.
    pub async fn disconnect(&self) {
        let shared = &self.owner.shared;
        shared.lock().core.disconnect();
        shared.wake();
        shared.wait_ended().await;
    }
}
