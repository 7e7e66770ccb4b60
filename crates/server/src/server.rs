//! A server from its settings to its end.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use rejoin_coordinator::{Auth, Config, Directory, Shard};
use rejoin_datagram::{BindError, Group, Steering};
use rejoin_protocol::Epoch;
use rejoin_protocol::crypto::PublicKey;
use rejoin_protocol::handshake::TicketKeys;
use rejoin_room::{Durability, Kinds};
use rejoin_store::log::LogStore;
use rejoin_store::{MemoryStore, Store, StoreError};
use tokio::sync::watch;

use crate::admin::{AdminError, Port};
use crate::chores::{self, Chores};
use crate::clock::{self, Clock};
use crate::config::{ConfigError, ServerConfig};
use crate::directory::SharedDirectory;
use crate::driver::{AnyStore, Driver, Outside};
use crate::entropy;
use crate::epoch_file::EpochError;
use crate::locked_folder::LockedFolder;
use crate::mailboxes::Mailboxes;
use crate::notify::Notifier;
use crate::report::{ServerReport, Status};
use crate::rooms_folder::OwnError;
use crate::running_file::RunningFile;
use crate::steering::STEERING_RULES;
use crate::stuck_file::StuckFile;
use crate::threads::{self, ShardThread};
use crate::ticket_files::load_or_make_ticket_keys;
use crate::watchdog::{self, Watch};

/// A server that owns its port; [`Server::run`] makes it serve.
#[derive(Debug)]
pub struct Server {
    config: Config,
    group: Arc<Group>,
    address: SocketAddr,
    auth: watch::Sender<Auth>,
    ticket_keys: watch::Sender<TicketKeys>,
    admin: Option<Port>,
    notifier: Option<Notifier>,
    /// How long a turn may stall; zero: as long as it likes.
    watchdog: Duration,
    /// Where each shard keeps its rooms; none: in memory.
    stores: Vec<LogStore>,
    /// How rooms of all kinds are kept, if not as these say themselves.
    durability: Option<Durability>,
    running: Option<RunningFile>,
    stuck: StuckFile,
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
    /// What the rooms are kept in takes nothing any more. Whatever was acknowledged is there for the next process.
    #[error(transparent)]
    Store(StoreError),
    /// The socket or the runtime failed.
    #[error("the socket failed: {0}")]
    Socket(#[from] io::Error),
}

impl ServerError {
    /// True if a later process owns the data folder: this one must not be started again.
    #[must_use]
    pub const fn is_fenced(&self) -> bool {
        matches!(self, Self::Store(StoreError::Fenced { .. }))
    }

    /// What ended a shard.
    fn of(problem: io::Error) -> Self {
        let store = problem.get_ref().and_then(|inner| inner.downcast_ref());
        match store {
            Some(store) => Self::Store(StoreError::clone(store)),
            None => Self::Socket(problem),
        }
    }
}

impl Server {
    /// Checks the settings and takes the port.
    ///
    /// # Errors
    /// See [`ServerError`].
    pub fn bind(settings: ServerConfig) -> Result<Self, ServerError> {
        let (bind, admin, shards) = (settings.bind, settings.admin, settings.shards);
        let (watchdog, durability) = (settings.limits.watchdog, settings.durability);
        let config = settings.check()?;
        let group = rejoin_datagram::bind_group(bind, shards, Some(STEERING_RULES))?;
        let Some(first) = group.sockets.first() else {
            return Err(io::Error::other("a group without a socket").into());
        };
        let address = first.local_addr()?;
        let buffers = rejoin_datagram::buffers(first);
        tracing::debug!(%address, buffers.receive, buffers.send, "socket buffers");
        if group.steering == Steering::None {
            tracing::warn!("the system does not steer datagrams: shards hand them to each other");
        }
        Ok(Self {
            admin: admin.map(Port::bind).transpose()?,
            notifier: None,
            auth: watch::Sender::new(config.auth.clone()),
            ticket_keys: watch::Sender::new(config.ticket_keys.clone()),
            config,
            group: Arc::new(group),
            address,
            watchdog,
            stores: Vec::new(),
            durability,
            running: None,
            stuck: StuckFile::default(),
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

    /// How many threads will serve.
    #[must_use]
    pub const fn shards(&self) -> u8 {
        self.config.shards
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

    /// Makes this the process that owns a data folder, so that clients of those before it can resume, in the rooms
    /// where they were: takes the folder for itself, raises its epoch, and takes its ticket keys and rooms. Without
    /// it the epoch is 1, the ticket key comes of the session secret, and rooms end with the process.
    ///
    /// To be called once, after the port is taken, so that a start which finds it busy is none.
    ///
    /// # Errors
    /// See [`OwnError`].
    pub fn own(&mut self, folder: &Path) -> Result<(), OwnError> {
        self.own_locked(LockedFolder::lock(folder)?)
    }

    /// The same with a folder that this process has locked already.
    ///
    /// # Errors
    /// See [`OwnError`].
    pub fn own_locked(&mut self, folder: LockedFolder) -> Result<(), OwnError> {
        // The lock before the epoch: a start that finds another process there is none.
        self.config.epoch = folder.raise_epoch()?;
        let data = folder.data().to_owned();
        let keys = load_or_make_ticket_keys(&data, clock::since_1970());
        let keys = keys.map_err(EpochError::from)?;
        self.ticket_keys.send_replace(keys);
        let mut rng = entropy::rng().map_err(OwnError::Entropy)?;
        let running = RunningFile::mark(&data).map_err(EpochError::from)?;
        if running.lost_power {
            tracing::warn!(
                "the machine stopped under the server before: what was not synced may be lost"
            );
        }
        let may_lack = running.lost_power || folder.is_volatile();
        self.running = Some(running);
        let cut;
        (self.stores, cut) = folder.open(self.config.epoch, self.config.shards, &mut rng)?;
        self.config.store_may_lack = may_lack || cut;
        self.stuck = StuckFile::of(&data);
        Ok(self.stuck.heed(&mut self.stores)?)
    }

    /// Tells a service manager how the server fares while it runs.
    pub fn notify(&mut self, notifier: Notifier) {
        self.notifier = Some(notifier);
    }

    /// Which process of its data folder it is.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.config.epoch
    }

    /// Changes the keys that seal and open tickets while the server runs.
    #[must_use]
    pub fn ticket_keys(&self) -> watch::Sender<TicketKeys> {
        self.ticket_keys.clone()
    }

    /// Serves rooms of `kinds` until `shutdown` is ready, then tells every player and ends within
    /// a second. Each shard has a thread of its own. Dropping the future stops them too, but does not wait: the port is
    /// free within a second.
    ///
    /// Room logic that does not return for as long as the limit `watchdog` says has the process aborted: a thread
    /// cannot be made to stop.
    ///
    /// # Errors
    /// A socket failed. Sessions are lost then.
    ///
    /// # Panics
    /// If a shard did: a defect of ours.
    pub async fn run(
        mut self,
        kinds: Kinds,
        shutdown: impl Future<Output = ()>,
    ) -> Result<ServerReport, ServerError> {
        let directory = SharedDirectory::default();
        let (stop, stopped) = watch::channel(false);
        let (mut threads, status) = self.start(&kinds, &directory, &stopped)?;
        let notifier = self.notifier.take().map(Arc::new);
        if let Some(notifier) = notifier.clone() {
            notifier.start(status.clone(), stopped)?;
        }
        if let Some(port) = self.admin {
            port.answer(status, directory)?;
        }
        let mut shutdown = pin!(shutdown);
        tokio::select! {
            () = &mut shutdown => {}
            () = any_ended(&mut threads) => {}
        }
        notifier.iter().for_each(|notifier| notifier.stopping());
        stop.send_replace(true);
        let mut report = ServerReport::default();
        let mut failure = None;
        for thread in threads {
            match thread.join().await {
                Ok(told) => report.add(&told),
                Err(problem) => failure = Some(problem),
            }
        }
        if let Some(problem) = failure {
            return Err(ServerError::of(problem));
        }
        if let Some(running) = self.running {
            running.clear();
        }
        Ok(report)
    }

    /// Starts all shards. Gives where each of them stands, too.
    fn start(
        &mut self,
        kinds: &Kinds,
        directory: &SharedDirectory,
        stopped: &watch::Receiver<bool>,
    ) -> Result<(Vec<ShardThread>, Vec<watch::Receiver<Status>>), ServerError> {
        let clock = Clock::start();
        let chance = entropy::rng()?;
        let config = Config {
            ticket_keys: self.ticket_keys.borrow().clone(),
            unix_start: clock::since_1970(),
            cookie_secret: Some(chance.fork("cookies").bytes()),
            ..self.config.clone()
        };
        let processors = threads::processors(self.group.sockets.len());
        let mailboxes = Mailboxes::of(self.group.sockets.len());
        let errands = chores::start()?;
        let stores = std::mem::take(&mut self.stores);
        // Before any shard serves: clients ask one shard for the rooms of another.
        let mut claims = directory.clone();
        for (number, store) in (0..).zip(&stores) {
            for room in store.rooms() {
                claims.claim(room, number);
            }
        }
        let kinds = match (stores.is_empty(), self.durability) {
            (true, _) => &kinds.clone().kept_as(Durability::None),
            (false, Some(durability)) => &kinds.clone().kept_as(durability),
            (false, None) => kinds,
        };
        let mut stores = stores.into_iter();
        let (mut threads, mut all_status, mut watches) = (Vec::new(), Vec::new(), Vec::new());
        for (number, (socket, mailboxes)) in (0..).zip(self.group.sockets.iter().zip(mailboxes)) {
            let (kinds, directory) = (kinds.clone(), directory.clone());
            let config = Config {
                shard: number,
                ..config.clone()
            };
            let chance = chance.fork(&format!("shard {number}"));
            let status = watch::Sender::new(Status::at_start());
            all_status.push(status.subscribe());
            let watch = Arc::new(Watch::default());
            watches.push(Arc::downgrade(&watch));
            let outside = Outside {
                socket: socket.try_clone()?,
                clock,
                auth: self.auth.subscribe(),
                ticket_keys: self.ticket_keys.subscribe(),
                mailboxes,
                chores: Chores::new(errands.clone()),
                watch,
                status,
            };
            let store: Box<dyn AnyStore> = match stores.next() {
                Some(log) => Box::new(log),
                None => Box::new(MemoryStore::default()),
            };
            let make = move || {
                let shard = Shard::new(config, kinds, store, directory, chance, clock.now());
                Driver::new(shard, outside)
            };
            let (number, stopped) = (usize::from(number), stopped.clone());
            let processor = processors.get(number).copied();
            // Until the last of them has ended, all sockets are open: else the system would steer wrongly.
            let group = Arc::clone(&self.group);
            threads.push(ShardThread::start(
                number,
                processor,
                stopped,
                (make, group),
            )?);
        }
        if !self.watchdog.is_zero() {
            watchdog::start(watches, self.watchdog, self.stuck.clone())?;
        }
        Ok((threads, all_status))
    }
}

/// Waits until some shard has ended.
async fn any_ended(threads: &mut [ShardThread]) {
    std::future::poll_fn(|context| {
        let ended = threads.iter_mut().any(|thread| thread.has_ended(context));
        if ended {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}
