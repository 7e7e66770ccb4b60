//! A server's process of our own: the same executable, started as `serve` on loopback, and started again after it died.
//!
//! Called by `demo`, and by `bots` when they kill their server. It ends with whoever started it, by a pipe.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rejoin_client::ServerAddress;
use rejoin_room::Durability;

use crate::exit::{Exit, Failure};
use crate::supervisor::read_address;

/// How long the server may need to listen: long for a busy machine, short for a person.
const START_WITHIN: Duration = Duration::from_secs(10);
/// How long it may need to end once its standard input closes.
const END_WITHIN: Duration = Duration::from_secs(5);
/// Lines of its log that are kept to explain a failure.
const LOG_LINES_MAX: usize = 20;

/// A running server. Dropping it ends the process.
#[derive(Debug)]
pub(crate) struct ServerChild {
    start: Start,
    running: Running,
    address: ServerAddress,
    socket: SocketAddr,
}

/// What a server of our own is started with.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    /// Where it keeps its rooms.
    pub(crate) data: PathBuf,
    /// Sessions that it has to take.
    pub(crate) sessions: usize,
    /// Rooms that it has to hold.
    pub(crate) rooms: usize,
    /// How it keeps them, if not as their kinds say.
    pub(crate) durability: Option<Durability>,
    /// What it has not synced dies with it, as with a machine that loses power.
    pub(crate) unsynced_in_memory: bool,
    /// No journal record is let go.
    pub(crate) keep_all_records: bool,
}

/// One process.
#[derive(Debug)]
struct Running {
    child: Child,
    /// The server ends when this closes, however that comes.
    stdin: Option<ChildStdin>,
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
    pub(crate) fn start(start: Start) -> Result<Self, Failure> {
        let (running, address, socket) = Running::start(&start, None)?;
        Ok(Self {
            start,
            running,
            address,
            socket,
        })
    }

    /// Where it listens, as people write it.
    pub(crate) const fn address(&self) -> &ServerAddress {
        &self.address
    }

    /// Where it listens.
    pub(crate) const fn socket(&self) -> SocketAddr {
        self.socket
    }

    /// Where it keeps its rooms.
    pub(crate) fn data(&self) -> &Path {
        &self.start.data
    }

    /// Its process id.
    pub(crate) fn process(&self) -> u32 {
        self.running.child.id()
    }

    /// How it ended, if it has.
    pub(crate) fn has_ended(&mut self) -> Option<String> {
        let status = self.running.child.try_wait().ok()??;
        Some(
            self.running
                .with_last_words(format!("the server ended with {status}")),
        )
    }

    /// Kills it as `kill -9` does, unless it has ended already, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        drop(self.running.child.kill());
        drop(self.running.child.wait());
    }

    /// Starts the next process where one was that has ended, and waits until it listens.
    ///
    /// # Errors
    /// It does not start; its own last words are in the failure.
    pub(crate) fn start_again(&mut self) -> Result<(), Failure> {
        let (running, ..) = Running::start(&self.start, Some(self.socket))?;
        self.running = running;
        Ok(())
    }

    /// Asks it to end and waits for that.
    ///
    /// # Errors
    /// It does not end, or not well.
    pub(crate) fn end(mut self) -> Result<(), Failure> {
        let text = match self.running.close() {
            Some(status) if status.success() => return Ok(()),
            Some(status) => format!("the server ended with {status}"),
            None => format!("the server did not end within {END_WITHIN:?}"),
        };
        let text = self.running.with_last_words(text);
        Err(Failure::new(Exit::CheckFailed, text))
    }
}

impl Running {
    fn start(
        start: &Start,
        again_at: Option<SocketAddr>,
    ) -> Result<(Self, ServerAddress, SocketAddr), Failure> {
        let fail = |text: String| Failure::new(Exit::Internal, text);
        let mut child = command(start, again_at)?
            .spawn()
            .map_err(|error| fail(format!("cannot start a server: {error}")))?;
        let log = Log::default();
        if let Some(stderr) = child.stderr.take() {
            let log = log.clone();
            thread::spawn(move || log.fill(stderr));
        }
        let stdout = child.stdout.take();
        let mut running = Self {
            stdin: child.stdin.take(),
            child,
            log,
        };
        let line = stdout.and_then(first_line);
        let place = line.as_deref().and_then(read_address);
        let Some((address, socket)) = place else {
            drop(running.child.kill());
            drop(running.child.wait());
            running.stdin = None;
            let said = running.log.last().or(line);
            let said = said.unwrap_or_else(|| "it said nothing".to_owned());
            return Err(fail(format!("the server did not start: {said}")));
        };
        Ok((running, address, socket))
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

    fn with_last_words(&self, text: String) -> String {
        match self.log.last() {
            Some(line) => format!("{text}: {line}"),
            None => text,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.stdin.is_some() {
            self.close();
        }
    }
}

fn command(start: &Start, again_at: Option<SocketAddr>) -> Result<Command, Failure> {
    let program = std::env::current_exe().map_err(|error| {
        let text = format!("cannot find the own executable: {error}");
        Failure::new(Exit::Internal, text)
    })?;
    let mut command = Command::new(program);
    let limit = |name: &str, wanted: usize, least: usize| {
        [
            "--limit".to_owned(),
            format!("{name}={}", wanted.max(least)),
        ]
    };
    command
        .args(["--log", "warn", "serve", "--bind", "127.0.0.1:0"])
        .args(["--until-stdin-closes", "--print-address", "--data"])
        .arg(&start.data)
        .args(limit("sessions_max", start.sessions, SESSIONS_LEAST))
        .args(limit("rooms_max", start.rooms, ROOMS_LEAST))
        .args(again_at.map(|at| format!("--again-at={at}")))
        .args(
            start
                .durability
                .map(|level| format!("--durability={}", level.name())),
        )
        .args(start.unsynced_in_memory.then_some("--unsynced-in-memory"))
        .args(start.keep_all_records.then_some("--keep-all-records"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // It is its own server: nobody's settings for another one are meant for it.
    for (name, _) in std::env::vars_os() {
        let name_text = name.to_string_lossy();
        if name_text.starts_with("REJOIN_") || NOTIFIED.contains(&&*name_text) {
            command.env_remove(name);
        }
    }
    out_of_reach_of_ctrl_c(&mut command);
    Ok(command)
}

/// A server takes so many unless more are needed: its defaults.
const SESSIONS_LEAST: usize = 4_096;
const ROOMS_LEAST: usize = 1_024;

/// What a service manager says to the process that started this one.
const NOTIFIED: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];

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
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.back().cloned()
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
