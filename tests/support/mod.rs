//! Real processes for tests: each is killed by its own id when its test ends.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// Far longer than anything here takes, so that it only ends what hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A process of the binary under test.
pub(crate) struct Process {
    child: Child,
    /// Held open: a process may end with it.
    #[allow(dead_code, reason = "not every test closes it")]
    stdin: Option<ChildStdin>,
    stdout: Lines,
    stderr: Lines,
}

/// The lines of a pipe, each with its end. A thread reads them all along: a full pipe never blocks
/// the process, and a silent process never blocks its test.
struct Lines(Receiver<String>);

/// What a process left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its exit code; `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    /// The signal that ended it.
    #[cfg(unix)]
    #[allow(dead_code, reason = "few tests ask which")]
    pub(crate) signal: Option<i32>,
    /// What it printed and nobody read before.
    #[allow(dead_code, reason = "not every test asks")]
    pub(crate) stdout: String,
    /// What it said on standard error.
    pub(crate) stderr: String,
}

impl Process {
    /// Starts a binary that has the command line of `rejoin`, logging errors alone unless told
    /// otherwise.
    pub(crate) fn of(program: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Self {
        Self::with(program, variables, arguments, Stdio::piped())
    }

    /// The same, with another standard error than a pipe that is read.
    pub(crate) fn with(
        program: &Path,
        variables: &[(&str, &str)],
        arguments: &[&str],
        stderr: Stdio,
    ) -> Self {
        let quiet = ["--log", "error"];
        let chosen = arguments.contains(&"--log");
        let arguments = [if chosen { &[][..] } else { &quiet }, arguments].concat();
        Self::spawn(program, variables, &arguments, stderr)
    }

    /// The same, logging as everyone's does.
    #[allow(dead_code, reason = "not every test is about the log")]
    pub(crate) fn bare(program: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Self {
        Self::spawn(program, variables, arguments, Stdio::piped())
    }

    /// A binary with a command line of its own.
    #[allow(dead_code, reason = "not every test has one")]
    pub(crate) fn spawn_plain(program: &Path, arguments: &[&str]) -> Self {
        Self::spawn(program, &[], arguments, Stdio::piped())
    }

    fn spawn(
        program: &Path,
        variables: &[(&str, &str)],
        arguments: &[&str],
        stderr: Stdio,
    ) -> Self {
        let mut command = Command::new(program);
        // What a developer's shell says to servers is not meant for these.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("REJOIN_") {
                command.env_remove(name);
            }
        }
        let mut child = command
            .args(arguments)
            .env_remove("RUST_LOG")
            .envs(variables.iter().copied())
            .env("NO_COLOR", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .expect("the binary under test starts");
        Self {
            stdin: child.stdin.take(),
            stdout: Lines::of(child.stdout.take().expect("standard output is a pipe")),
            stderr: match child.stderr.take() {
                Some(pipe) => Lines::of(pipe),
                None => Lines::of(io::empty()),
            },
            child,
        }
    }

    /// The next line it prints.
    #[allow(dead_code, reason = "not every test needs one before the end")]
    pub(crate) fn line(&mut self) -> String {
        let next = self.stdout.next();
        let line = next.unwrap_or_else(|| panic!("it ended early: {:?}", self.stderr.rest()));
        line.trim_end().to_owned()
    }

    /// The next line that it logs.
    #[allow(dead_code, reason = "not every test reads a log")]
    pub(crate) fn log_line(&mut self) -> String {
        let line = self.stderr.next().expect("it goes on");
        line.trim_end().to_owned()
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Closes its standard input, as the death of its parent does.
    #[allow(dead_code, reason = "not every test closes it")]
    pub(crate) fn close_stdin(&mut self) {
        drop(self.stdin.take());
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ended {
        let status = self.wait();
        Ended {
            code: status.code(),
            #[cfg(unix)]
            signal: std::os::unix::process::ExitStatusExt::signal(&status),
            stdout: self.stdout.rest(),
            stderr: self.stderr.rest(),
        }
    }

    fn wait(&mut self) -> ExitStatus {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().expect("the process is ours") {
                return status;
            }
            thread::sleep(Duration::from_millis(5));
        }
        panic!("process {} still runs after {PATIENCE:?}", self.id());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error says that it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Lines {
    fn of(pipe: impl Read + Send + 'static) -> Self {
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = String::new();
            while pipe.read_line(&mut line).expect("the binary writes UTF-8") > 0 {
                // Nobody listens once the test is over.
                drop(sender.send(std::mem::take(&mut line)));
            }
        });
        Self(receiver)
    }

    /// The next line, or none once the pipe is closed.
    fn next(&self) -> Option<String> {
        match self.0.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("no line within {PATIENCE:?}"),
        }
    }

    /// What nobody has read yet.
    fn rest(&self) -> String {
        std::iter::from_fn(|| self.next()).collect()
    }
}
