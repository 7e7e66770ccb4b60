//! `serve`: a server until a signal, or the end of its parent, stops it.

use std::io::{self, Read};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::thread;

use rejoin_client::ServerAddress;
use rejoin_client::address::DEFAULT_PORT;
use rejoin_server::{
    Auth, Identity, KeyFileError, ReloadSignals, Server, ServerConfig, ServerError,
};
use tokio::sync::{oneshot, watch};

use crate::app::App;
use crate::cli::{AuthMode, ServeArgs};
use crate::exit::{Exit, Failure};
use crate::output;

/// Runs the command.
///
/// # Errors
/// The server cannot start, or its socket failed.
pub(crate) fn run(app: &App, args: &ServeArgs) -> Result<(), Failure> {
    let bind = resolve(&args.bind)?;
    let mut settings = settings(bind, args)?;
    settings.admin = args.admin;
    for limit in &args.limits {
        let set = settings.limits.set(limit);
        set.map_err(|problem| Failure::new(Exit::Usage, problem.to_string()))?;
    }
    let server = Server::bind(settings)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Internal, format!("no async runtime: {error}")))?;
    runtime.block_on(serve(server, app, args))
}

/// Whom the server lets in, with the keys for it.
fn settings(bind: SocketAddr, args: &ServeArgs) -> Result<ServerConfig, Failure> {
    match (args.auth, &args.data) {
        (AuthMode::Dev, None) => {
            let identity = Identity::development().map_err(KeyFileError::from)?;
            Ok(ServerConfig::dev(bind, identity))
        }
        (AuthMode::Dev, Some(folder)) => Ok(ServerConfig::dev(
            bind,
            rejoin_server::load_or_make(folder)?,
        )),
        (AuthMode::Token, _) => {
            let folder = permit_folder(args)?;
            let identity = rejoin_server::load_or_make(&folder)?;
            let keys = rejoin_server::load_or_make_permit_keys(&folder)?;
            Ok(ServerConfig::token(bind, identity, keys))
        }
    }
}

fn permit_folder(args: &ServeArgs) -> Result<PathBuf, KeyFileError> {
    match &args.data {
        Some(folder) => Ok(folder.clone()),
        None => rejoin_server::default_folder(),
    }
}

/// Reads the permit keys in `folder` again whenever the process is asked to. A file that cannot be used
/// changes nothing. Without a folder there is nothing to read, and the signal must not end the process.
async fn reload(folder: Option<PathBuf>, mut signals: ReloadSignals, auth: watch::Sender<Auth>) {
    loop {
        signals.recv().await;
        let Some(folder) = &folder else {
            tracing::warn!("nothing is read again: dev auth has no permit keys");
            continue;
        };
        match rejoin_server::load_permit_keys(folder) {
            Ok(keys) => {
                let ids: Vec<_> = keys.iter().map(|key| key.id.to_string()).collect();
                tracing::info!(keys = ids.join(" "), "permit keys read again");
                auth.send_replace(Auth::Token(keys));
            }
            Err(problem) => tracing::warn!(%problem, "permit keys stay as they were"),
        }
    }
}

async fn serve(server: Server, app: &App, args: &ServeArgs) -> Result<(), Failure> {
    let address = address_of(&server);
    // The listener for signals stands before anyone is told that the server does.
    let signals = rejoin_server::StopSignals::listen()
        .map_err(|error| Failure::new(Exit::Internal, format!("no signals: {error}")))?;
    let reloads = ReloadSignals::listen()
        .map_err(|error| Failure::new(Exit::Internal, format!("no signals: {error}")))?;
    let folder = match args.auth {
        AuthMode::Dev => None,
        AuthMode::Token => Some(permit_folder(args)?),
    };
    drop(tokio::spawn(reload(folder, reloads, server.auth())));
    let parent = args.until_stdin_closes.then(watch_parent).transpose()?;
    if args.print_address {
        output::line(format_args!("listening on {address}"));
    }
    if let Some(admin) = server.admin_address() {
        tracing::info!("operators ask at http://{admin}");
    }
    let rooms: Vec<_> = app.kinds().names().collect();
    tracing::info!(%address, rooms = rooms.join(" "), auth = ?args.auth, "listening");
    let report = server
        .run(app.kinds().clone(), stop(signals, parent))
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
async fn stop(mut signals: rejoin_server::StopSignals, parent: Option<oneshot::Receiver<()>>) {
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

/// The first address of `text`: an address or host name, with or without a port.
fn resolve(text: &str) -> Result<SocketAddr, Failure> {
    let wrong = |reason: &str| Failure::new(Exit::Usage, format!("--bind {text}: {reason}"));
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    if let Ok(ip) = bare.parse() {
        return Ok(SocketAddr::new(ip, DEFAULT_PORT));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (
            host,
            port.parse()
                .map_err(|_| wrong("a port is a number from 0 to 65535"))?,
        ),
        None => (text, DEFAULT_PORT),
    };
    // Checked here, so that no name server is ever asked about a slip of the pen.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if host.is_empty() || !host.chars().all(is_plain) {
        return Err(wrong(
            "expected an address such as 127.0.0.1:7777 or [::1]:7777",
        ));
    }
    (host, port)
        .to_socket_addrs()
        .map_err(|error| wrong(&error.to_string()))?
        .next()
        .ok_or_else(|| wrong("the name has no address"))
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Self {
        let exit = match &error {
            ServerError::Config(_) => Exit::Usage,
            ServerError::Bind(_) | ServerError::Admin(_) => Exit::CannotBind,
            ServerError::Entropy(_) | ServerError::Socket(_) => Exit::Internal,
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
        let entropy = matches!(error, KeyFileError::Entropy(_));
        Self::new(if entropy { Exit::Internal } else { Exit::Usage }, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_to_bind_read_in_every_usual_form() {
        let read = |text: &str| resolve(text).map(|address| address.to_string());
        assert_eq!(read("127.0.0.1:0").unwrap(), "127.0.0.1:0");
        assert_eq!(read("127.0.0.1").unwrap(), "127.0.0.1:7777");
        assert_eq!(read("::1").unwrap(), "[::1]:7777");
        assert_eq!(read("[::1]").unwrap(), "[::1]:7777");
        assert_eq!(read("[::1]:9").unwrap(), "[::1]:9");
        assert!(resolve("localhost:7777").unwrap().ip().is_loopback());
    }

    #[test]
    fn what_is_no_address_is_a_wrong_value() {
        for text in [
            "",
            "127.0.0.1:99999",
            "no host:1",
            ":",
            ":1",
            "[::1",
            "::1]:5",
            "1:2:x",
        ] {
            let failure = resolve(text).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage, "{text}");
            assert!(failure.text.contains(text), "{text}: {}", failure.text);
        }
    }
}
