//! `serve`: a server until a signal, or the end of its parent, stops it.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::thread;

use rejoin_client::ServerAddress;
use rejoin_protocol::handshake::TicketKeys;
use rejoin_room::Durability;
use rejoin_server::{
    Auth, BindError, EpochError, Identity, KeyFileError, LockedFolder, Notifier, OwnError,
    ReloadSignals, Server, ServerConfig, ServerError, StopSignals, key_ids,
};
use tokio::sync::{oneshot, watch};

use crate::app::App;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::own_failure::{self, For};
use crate::server_args::{AuthMode, ServeArgs};
use crate::settings::Checked;
use crate::supervisor::{self, patiently};

/// Runs the command.
///
/// # Errors
/// The server cannot start, or its socket failed.
pub(crate) fn run(app: &App, args: &ServeArgs, settings: &Checked) -> Result<(), Failure> {
    if args.supervise {
        let parent = args.until_stdin_closes.then(watch_parent).transpose()?;
        return supervisor::run(args, parent);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Internal, format!("no async runtime: {error}")))?;
    // Before all else: a signal that comes while the server starts is not lost, and ends it in order.
    let signals = {
        let _entered = runtime.enter();
        Signals::listen()
    };
    let signals =
        signals.map_err(|error| Failure::new(Exit::Internal, format!("no signals: {error}")))?;
    let lives = args.supervised_by.map_or(Ok(true), supervisor::die_with);
    let lives = lives.map_err(|error| Failure::new(Exit::Internal, format!("no parent: {error}")));
    if !lives? {
        return Ok(());
    }
    let folder = settings.folder()?;
    let mut config = config(settings, folder.as_deref())?;
    config.bind = args.again_at.unwrap_or(config.bind);
    config.limits = settings.limits();
    config.admin = settings.admin();
    config.shards = settings.shards();
    config.durability = settings.durability();
    config.check_determinism = settings.check_determinism();
    let notifier = Notifier::of(|name| std::env::var_os(name));
    let notifier = notifier.map_err(|error| Failure::new(Exit::Usage, error))?;
    let mut server = taken(&config, args, folder.as_deref())?;
    notifier.into_iter().for_each(|it| server.notify(it));
    runtime.block_on(serve((server, signals), app, args, settings.auth(), folder))
}

/// What this process is asked from outside.
struct Signals {
    stop: StopSignals,
    reload: ReloadSignals,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            stop: StopSignals::listen()?,
            reload: ReloadSignals::listen()?,
        })
    }
}

/// A server that has its port and folder. A child waits for those of a process that dies just now.
fn taken(
    config: &ServerConfig,
    args: &ServeArgs,
    folder: Option<&Path>,
) -> Result<Server, Failure> {
    let is_child = args.supervised_by.is_some();
    let Some(folder) = folder else {
        if args.take_over || args.fresh {
            let text =
                "--take-over and --fresh are about a data folder: say which, with --data DIR";
            return Err(Failure::new(Exit::Usage, text));
        }
        if is_child
            || config
                .durability
                .is_some_and(|level| level > Durability::None)
        {
            tracing::warn!(
                "rooms end with this process: there is no data folder to keep them in, say --data DIR"
            );
        }
        return bound(config, is_child);
    };
    let failed = |error| own_failure::of(error, folder, For::Serve);
    // Before the port, which the same process has.
    let locked = args.take_over.then(|| LockedFolder::take_over(folder));
    let locked = locked.transpose().map_err(failed)?;
    let mut server = bound(config, is_child)?;
    let is_held = |error: &OwnError| matches!(error, OwnError::Lock(_));
    let locked = match locked {
        Some(locked) => locked,
        None => patiently(is_child, || LockedFolder::lock(folder), is_held).map_err(failed)?,
    };
    let locked = if args.fresh { locked.afresh() } else { locked };
    let locked = if args.unsynced_in_memory {
        locked.with_unsynced_in_memory()
    } else {
        locked
    };
    let locked = if args.keep_all_records {
        locked.with_all_records()
    } else {
        locked
    };
    server.own_locked(locked).map_err(failed)?;
    Ok(server)
}

/// A server that has its port.
fn bound(config: &ServerConfig, is_child: bool) -> Result<Server, Failure> {
    let bind = || Server::bind(config.clone());
    let is_busy = |error: &ServerError| matches!(error, ServerError::Bind(BindError::InUse(_)));
    Ok(patiently(is_child, bind, is_busy)?)
}

/// Whom the server lets in, with the keys for it.
fn config(settings: &Checked, folder: Option<&Path>) -> Result<ServerConfig, Failure> {
    let bind = settings.bind();
    let Some(folder) = folder else {
        let identity = Identity::development().map_err(KeyFileError::from)?;
        return Ok(ServerConfig::dev(bind, identity));
    };
    let identity = rejoin_server::load_or_make(folder)?;
    match settings.auth() {
        AuthMode::Dev => Ok(ServerConfig::dev(bind, identity)),
        AuthMode::Token => {
            let keys = rejoin_server::load_or_make_permit_keys(folder)?;
            Ok(ServerConfig::token(bind, identity, keys))
        }
    }
}

/// Reads the keys in the data folder again whenever the process is asked to. Without a folder there is nothing
/// to read, and the signal must not end the process.
async fn reload(keys: Option<Keys>, mut signals: ReloadSignals) {
    loop {
        signals.recv().await;
        match &keys {
            Some(keys) => keys.read_again(),
            None => tracing::warn!("nothing is read again: there is no data folder"),
        }
    }
}

/// What a server reads again while it runs. A file that cannot be used changes nothing.
struct Keys {
    folder: PathBuf,
    /// Under `token` auth alone.
    permits: Option<watch::Sender<Auth>>,
    tickets: watch::Sender<TicketKeys>,
}

impl Keys {
    fn of(server: &Server, mode: AuthMode, folder: PathBuf) -> Self {
        Self {
            folder,
            permits: (mode == AuthMode::Token).then(|| server.auth()),
            tickets: server.ticket_keys(),
        }
    }

    fn read_again(&self) {
        if let Some(auth) = &self.permits {
            match rejoin_server::load_permit_keys(&self.folder) {
                Ok(keys) => {
                    tracing::info!(keys = key_ids(keys.iter()), "permit keys read again");
                    auth.send_replace(Auth::Token(keys));
                }
                Err(problem) => tracing::warn!(%problem, "permit keys stay as they were"),
            }
        }
        match rejoin_server::load_ticket_keys(&self.folder) {
            Ok(keys) => {
                tracing::info!(keys = key_ids(keys.iter()), "ticket keys read again");
                self.tickets.send_replace(keys);
            }
            Err(problem) => tracing::warn!(%problem, "ticket keys stay as they were"),
        }
    }
}

async fn serve(
    (server, signals): (Server, Signals),
    app: &App,
    args: &ServeArgs,
    mode: AuthMode,
    folder: Option<PathBuf>,
) -> Result<(), Failure> {
    let address = address_of(&server);
    let keys = folder.map(|folder| Keys::of(&server, mode, folder));
    if let Some(keys) = &keys {
        let rotation = rejoin_server::rotate_ticket_keys(keys.folder.clone(), keys.tickets.clone());
        drop(tokio::spawn(rotation));
    }
    drop(tokio::spawn(reload(keys, signals.reload)));
    let parent = args.until_stdin_closes.then(watch_parent).transpose()?;
    if args.print_address {
        output::line(format_args!("listening on {address}"));
    }
    if let Some(admin) = server.admin_address() {
        tracing::info!("operators ask at http://{admin}");
    }
    let rooms: Vec<_> = app.kinds().names().collect();
    let (shards, epoch) = (server.shards(), server.epoch().0);
    tracing::info!(%address, shards, epoch, rooms = rooms.join(" "), auth = ?mode, "listening");
    let report = server
        .run(app.kinds().clone(), stop(signals.stop, parent))
        .await?;
    tracing::info!(
        joins = report.shard.joins,
        inputs = report.shard.inputs,
        ticks = report.shard.ticks,
        received = report.received,
        sent = report.sent,
        sends_blocked = report.sends_blocked,
        "stopped",
    );
    Ok(())
}

/// Waits for whatever stops the server first.
async fn stop(mut signals: StopSignals, parent: Option<oneshot::Receiver<()>>) {
    let parent_gone = async {
        match parent {
            // An error means that the watching thread is gone: as good as an answer.
            Some(gone) => drop(gone.await),
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        signal = signals.recv() => tracing::info!(signal, "stopping"),
        () = parent_gone => tracing::info!("stopping: standard input closed"),
    }
}

/// A thread that reads standard input to its end. The runtime's own reader would hold up the
/// end of the process.
fn watch_parent() -> Result<oneshot::Receiver<()>, Failure> {
    let (closed, receiver) = oneshot::channel();
    let watch = move || {
        let mut byte = [0];
        let mut input = io::stdin().lock();
        loop {
            match input.read(&mut byte) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        // Nobody listens if something else stopped the server first.
        closed.send(()).ok();
    };
    thread::Builder::new()
        .name("stdin".to_owned())
        .spawn(watch)
        .map_err(|error| Failure::new(Exit::Internal, format!("no thread: {error}")))?;
    Ok(receiver)
}

/// How clients reach the server: the key is left out where it is the well-known one.
fn address_of(server: &Server) -> ServerAddress {
    ServerAddress {
        key: server.public_key(),
        host: server.address().ip().to_string(),
        port: server.address().port(),
    }
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Self {
        let exit = match &error {
            fenced if fenced.is_fenced() => Exit::Fenced,
            ServerError::Config(_) => Exit::Usage,
            ServerError::Bind(_) | ServerError::Admin(_) => Exit::CannotBind,
            ServerError::Entropy(_) | ServerError::Socket(_) | ServerError::Store(_) => {
                Exit::Internal
            }
            other => {
                tracing::debug!(%other, "a failure without a code of its own");
                Exit::Internal
            }
        };
        Self::new(exit, error)
    }
}

impl From<KeyFileError> for Failure {
    fn from(error: KeyFileError) -> Self {
        if own_failure::is_full(&error) {
            let text = format!("{error}; {}", own_failure::MAKE_ROOM);
            return Self::new(Exit::Internal, text);
        }
        let entropy = matches!(error, KeyFileError::Entropy(_));
        Self::new(if entropy { Exit::Internal } else { Exit::Usage }, error)
    }
}

impl From<OwnError> for Failure {
    fn from(error: OwnError) -> Self {
        if error.is_fenced() {
            return Self::new(Exit::Fenced, error);
        }
        match error {
            OwnError::Epoch(error) => error.into(),
            OwnError::Lock(_)
            | OwnError::Folder(_)
            | OwnError::Rooms { .. }
            | OwnError::TakeOver(_)
            | OwnError::SetAside { .. } => Self::new(Exit::Usage, error),
            other @ (OwnError::Entropy(_) | _) => Self::new(Exit::Internal, other),
        }
    }
}

impl From<EpochError> for Failure {
    fn from(error: EpochError) -> Self {
        match error {
            EpochError::File(error) => error.into(),
            EpochError::Damaged(_) | EpochError::Missing(_) => Self::new(Exit::Usage, error),
            other => Self::new(Exit::Internal, other),
        }
    }
}
