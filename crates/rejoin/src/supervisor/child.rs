//! A server as the child of its supervisor.

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rejoin_server::ReloadSignals;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{self, ChildStdin, ChildStdout, Command};

use crate::exit::{Exit, Failure};
use crate::output;
use crate::server_args::ServeArgs;

use super::read_address;

/// How children are started.
pub(super) struct Start {
    program: PathBuf,
    /// The name under which this program was started, and all that it was told.
    arguments: Vec<OsString>,
    /// What the supervisor was asked to print is printed for it.
    prints_address: bool,
    /// Where the first one listened: another free port would not be found by anybody.
    pub(super) again_at: Option<SocketAddr>,
}

/// A running server. Dropping it kills the process.
pub(super) struct Child {
    process: process::Child,
    /// The server stops in order when this closes.
    stdin: Option<ChildStdin>,
    /// What it prints, up to its end.
    stdout: Option<Lines<BufReader<ChildStdout>>>,
    prints_address: bool,
    listening: Option<(Instant, SocketAddr)>,
}

impl Start {
    /// The same program with the same flags.
    ///
    /// # Errors
    /// The system does not say where this program is.
    pub(super) fn of(args: &ServeArgs) -> Result<Self, Failure> {
        // Asked for once: the next child is what stands there then, were it replaced meanwhile.
        let program = std::env::current_exe();
        let program = program.map_err(|error| {
            Failure::new(
                Exit::Internal,
                format!("cannot find the own executable: {error}"),
            )
        })?;
        let arguments = std::env::args_os().filter(|argument| argument != "--supervise");
        let mut arguments: Vec<OsString> = arguments.collect();
        for (flag, is_there) in [
            ("--print-address", args.print_address),
            ("--until-stdin-closes", args.until_stdin_closes),
        ] {
            if !is_there {
                arguments.push(flag.into());
            }
        }
        arguments.push(format!("--supervised-by={}", std::process::id()).into());
        Ok(Self {
            program,
            arguments,
            prints_address: args.print_address,
            again_at: None,
        })
    }

    /// Starts one. What is asked of a start alone is asked of the first: a later one would set aside the rooms that the
    /// first has kept, or end who took the folder over from it.
    ///
    /// # Errors
    /// The system does not.
    pub(super) fn child(&mut self) -> Result<Child, Failure> {
        let mut command = Command::new(&self.program);
        command
            .args(self.arguments.iter().skip(1))
            .args(self.again_at.map(|at| format!("--again-at={at}")))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        #[cfg(unix)]
        if let Some(name) = self.arguments.first() {
            command.arg0(name);
        }
        let mut process = command.spawn().map_err(|error| {
            Failure::new(Exit::Internal, format!("cannot start a server: {error}"))
        })?;
        self.arguments
            .retain(|argument| argument != "--fresh" && argument != "--take-over");
        Ok(Child {
            stdin: process.stdin.take(),
            stdout: process
                .stdout
                .take()
                .map(|pipe| BufReader::new(pipe).lines()),
            process,
            prints_address: self.prints_address,
            listening: None,
        })
    }
}

impl Child {
    /// Waits for its end. Until then it reads what it prints, and passes SIGHUP on. Cancel safe.
    ///
    /// # Errors
    /// The system does not tell.
    pub(super) async fn ended(
        &mut self,
        reload: &mut ReloadSignals,
    ) -> Result<ExitStatus, Failure> {
        loop {
            tokio::select! {
                // What it printed last comes before its end.
                biased;
                line = next_line(&mut self.stdout) => self.on_line(line),
                status = self.process.wait() => {
                    let told = |error| Failure::new(Exit::Internal, format!("a lost child: {error}"));
                    return status.map_err(told);
                }
                () = reload.recv() => self.reload(),
            }
        }
    }

    fn on_line(&mut self, line: Option<String>) {
        let Some(line) = line else {
            self.stdout = None;
            return;
        };
        if let Some((_, at)) = read_address(&line) {
            self.listening.get_or_insert((Instant::now(), at));
            if !self.prints_address {
                return;
            }
        }
        output::line(line);
    }

    /// Where it listened, if it came so far.
    pub(super) fn listens_at(&self) -> Option<SocketAddr> {
        self.listening.map(|(_, at)| at)
    }

    /// For how long it has listened.
    pub(super) fn served(&self) -> Duration {
        self.listening
            .map_or(Duration::ZERO, |(since, _)| since.elapsed())
    }

    /// Asks it to stop in order.
    pub(super) fn stop(&mut self) {
        drop(self.stdin.take());
    }

    /// Kills it, and waits for its end.
    pub(super) async fn kill(&mut self) {
        // An error says that it has ended already.
        drop(self.process.kill().await);
    }

    #[cfg(unix)]
    fn reload(&self) {
        use rustix::process::{Pid, Signal, kill_process};
        let id = self.process.id().and_then(|id| i32::try_from(id).ok());
        // Its id is its own until its end has been waited for.
        if let Some(id) = id.and_then(Pid::from_raw)
            && let Err(problem) = kill_process(id, Signal::HUP)
        {
            tracing::warn!(%problem, "SIGHUP is not passed on");
        }
    }

    /// Elsewhere nobody can ask for it.
    #[cfg(not(unix))]
    fn reload(&self) {}
}

/// The next line; none once there are no more, and never again after that.
async fn next_line(lines: &mut Option<Lines<BufReader<ChildStdout>>>) -> Option<String> {
    match lines {
        Some(lines) => lines.next_line().await.unwrap_or_else(|error: io::Error| {
            tracing::debug!(%error, "what the server prints cannot be read");
            None
        }),
        None => std::future::pending().await,
    }
}
