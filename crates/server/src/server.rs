//! A server from its settings to its end.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rejoin_coordinator::{Auth, Config, Shard};
use rejoin_datagram::BindError;
use rejoin_protocol::crypto::PublicKey;
use rejoin_room::Kinds;
use rejoin_store::MemoryStore;
use tokio::sync::watch;

use crate::admin::{AdminError, Port};
use crate::clock::{self, Clock};
use crate::config::{ConfigError, ServerConfig};
use crate::directory::SharedDirectory;
use crate::driver::Driver;
use crate::entropy;
use crate::report::{ServerReport, Status};
use crate::watchdog::{self, Watch};

/// A server that owns its port; [`Server::run`] makes it serve.
#[derive(Debug)]
pub struct Server {
    config: Config,
    socket: UdpSocket,
    address: SocketAddr,
    auth: watch::Sender<Auth>,
    admin: Option<Port>,
    /// How long a turn may stall; zero: as long as it likes.
    watchdog: Duration,
}

/// Why a server cannot start, or cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The settings make no sense together.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The address cannot be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// Operators cannot ask there.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The system has no entropy.
    #[error("no entropy from the system: {0}")]
    Entropy(#[from] getrandom::Error),
    /// The socket or the runtime failed.
    #[error("the socket failed: {0}")]
    Socket(#[from] io::Error),
}

impl Server {
    /// Checks the settings and takes the port.
    ///
    /// # Errors
    /// See [`ServerError`].
    pub fn bind(settings: ServerConfig) -> Result<Self, ServerError> {
        let (bind, admin) = (settings.bind, settings.admin);
        let watchdog = settings.limits.watchdog;
        let config = settings.check()?;
        let socket = rejoin_datagram::bind(bind)?;
        let address = socket.local_addr()?;
        let buffers = rejoin_datagram::buffers(&socket);
        tracing::debug!(%address, buffers.receive, buffers.send, "socket buffers");
        Ok(Self {
            admin: admin.map(Port::bind).transpose()?,
            auth: watch::Sender::new(config.auth.clone()),
            config,
            socket,
            address,
            watchdog,
        })
    }

    /// The address that was bound, with the real port.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address where operators ask, with the real port.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref()?.address().ok()
    }

    /// The key that clients pin.
    #[must_use]
    pub const fn public_key(&self) -> PublicKey {
        self.config.keys.public()
    }

    /// Changes who may open a session while the server runs: new permit keys, say. Sessions that are
    /// open go on. What `dev` auth may not do at the start, it may not do later: a change to it is
    /// passed over.
    #[must_use]
    pub fn auth(&self) -> watch::Sender<Auth> {
        self.auth.clone()
    }

    /// Serves rooms of `kinds` until `shutdown` is ready, then tells every player and ends within
    /// a second. Runs on a tokio runtime with I/O and time enabled.
    ///
    /// Room logic that does not return for as long as the limit `watchdog` says has the process aborted: a thread
    /// cannot be made to stop.
    ///
    /// # Errors
    /// The socket failed. Sessions are lost then.
    pub async fn run(
        self,
        kinds: Kinds,
        shutdown: impl Future<Output = ()>,
    ) -> Result<ServerReport, ServerError> {
        let clock = Clock::start();
        let config = Config {
            unix_start: clock::since_1970(),
            ..self.config
        };
        let directory = SharedDirectory::default();
        let shard = Shard::new(
            config,
            kinds,
            MemoryStore::default(),
            directory.clone(),
            entropy::rng()?,
            clock.now(),
        );
        let watch = Arc::new(Watch::default());
        if !self.watchdog.is_zero() {
            watchdog::start(vec![Arc::downgrade(&watch)], self.watchdog)?;
        }
        let auth = self.auth.subscribe();
        let mut driver = Driver::new(shard, self.socket, clock, auth, watch)?;
        if let Some(port) = self.admin {
            let status = watch::Sender::new(Status {
                serves: true,
                turned: Instant::now(),
                report: ServerReport::default(),
            });
            port.answer(status.subscribe(), directory)?;
            driver.tell(status);
        }
        Ok(driver.run(shutdown).await?)
    }
}
