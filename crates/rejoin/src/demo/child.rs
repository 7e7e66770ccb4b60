//! The server's process: the same executable, started as `serve`.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rejoin_client::ServerAddress;

use crate::exit::{Exit, Failure};

/// How long the server may need to listen: long for a busy machine, short for a person.
const START_WITHIN: Duration = Duration::from_secs(10);
/// How long it may need to end once its standard input closes.
const END_WITHIN: Duration = Duration::from_secs(5);
/// Lines of its log that are kept to explain a failure.
const LOG_LINES_MAX: usize = 20;

/// A running server. Dropping it ends the process.
#[derive(Debug)]
pub(super) struct ServerChild {
    child: Child,
    /// The server ends when this closes, however that comes.
    stdin: Option<ChildStdin>,
    address: ServerAddress,
    socket: SocketAddr,
    log: Log,
}

/// The last lines of the server's standard error.
#[derive(Clone, Debug, Default)]
struct Log(Arc<Mutex<VecDeque<String>>>);

impl ServerChild {
    /// Starts a server on a free loopback port and waits until it listens.
    ///
    /// # Errors
    /// It does not start; its own last words are in the failure.
    pub(super) fn start() -> Result<Self, Failure> {
        let fail = |text: String| Failure::new(Exit::Internal, text);
        let program = std::env::current_exe()
            .map_err(|error| fail(format!("cannot find the own executable: {error}")))?;
        let mut command = Command::new(program);
        command
            .args(["--log", "warn", "serve", "--bind", "127.0.0.1:0"])
            .args(["--until-stdin-closes", "--print-address"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // The demo's server is its own: nobody's settings for another one are meant for it.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("REJOIN_") {
                command.env_remove(name);
            }
        }
        out_of_reach_of_ctrl_c(&mut command);
        let mut child = command
            .spawn()
            .map_err(|error| fail(format!("cannot start a server: {error}")))?;
        let stdin = child.stdin.take();
        let log = Log::default();
        if let Some(stderr) = child.stderr.take() {
            let log = log.clone();
            thread::spawn(move || log.fill(stderr));
        }
        let line = child.stdout.take().and_then(first_line);
        let place = line.as_deref().and_then(read_address);
        let Some((address, socket)) = place else {
            drop(stdin);
            drop(child.kill());
            drop(child.wait());
            let said = log
                .last()
                .or(line)
                .unwrap_or_else(|| "it said nothing".to_owned());
            return Err(fail(format!("the server did not start: {said}")));
        };
        Ok(Self {
            child,
            stdin,
            address,
            socket,
            log,
        })
    }

    /// Where it listens, as people write it.
    pub(super) const fn address(&self) -> &ServerAddress {
        &self.address
    }

    /// Where it listens.
    pub(super) const fn socket(&self) -> SocketAddr {
        self.socket
    }

    /// Its process id.
    pub(super) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end and waits for that.
    ///
    /// # Errors
    /// It does not end, or not well.
    pub(super) fn end(mut self) -> Result<(), Failure> {
        let status = self.close();
        let text = match status {
            Some(status) if status.success() => return Ok(()),
            Some(status) => format!("the server ended with {status}"),
            None => format!("the server did not end within {END_WITHIN:?}"),
        };
        let said = self
            .log
            .last()
            .map(|line| format!(": {line}"))
            .unwrap_or_default();
        Err(Failure::new(Exit::CheckFailed, format!("{text}{said}")))
    }

    /// How it ended once it was asked to; `None` if it had to be killed.
    fn close(&mut self) -> Option<ExitStatus> {
        drop(self.stdin.take());
        let patience = Instant::now() + END_WITHIN;
        while Instant::now() < patience {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            thread::sleep(Duration::from_millis(5));
        }
        drop(self.child.kill());
        drop(self.child.wait());
        None
    }
}

impl Drop for ServerChild {
    fn drop(&mut self) {
        if self.stdin.is_some() {
            self.close();
        }
    }
}

impl Log {
    fn fill(&self, from: impl Read) {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if lines.len() >= LOG_LINES_MAX {
                lines.pop_front();
            }
            lines.push_back(line);
        }
    }

    fn last(&self) -> Option<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .back()
            .cloned()
    }
}

/// Ctrl-C reaches every process of the terminal's group. The bots must leave before their
/// server does, so the server has a group of its own.
fn out_of_reach_of_ctrl_c(command: &mut Command) {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    #[cfg(not(unix))]
    drop(command.get_program());
}

/// The first line that comes in time. The rest is read and dropped, so that the writer never waits.
fn first_line(from: impl Read + Send + 'static) -> Option<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            // Nobody listens after the first.
            drop(sender.send(line));
        }
    });
    receiver.recv_timeout(START_WITHIN).ok()
}

/// Reads `listening on rejoin://127.0.0.1:41234`.
fn read_address(line: &str) -> Option<(ServerAddress, SocketAddr)> {
    let address: ServerAddress = line.strip_prefix("listening on ")?.parse().ok()?;
    let socket = SocketAddr::new(address.host.parse().ok()?, address.port);
    Some((address, socket))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_first_line_tells_where_it_listens() {
        let (address, socket) = read_address("listening on rejoin://127.0.0.1:41234").unwrap();
        assert_eq!(address.to_string(), "rejoin://127.0.0.1:41234");
        assert_eq!(socket.to_string(), "127.0.0.1:41234");
        assert_eq!(read_address("cannot bind"), None);
    }
}
