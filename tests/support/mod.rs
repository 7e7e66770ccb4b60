//! Real processes for tests: each is killed by its own id when its test ends.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Far longer than anything here takes, so that it only ends what hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a test's async part, and fails it if it hangs.
pub(crate) fn within_patience<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("the system has what a runtime needs")
        .block_on(async {
            tokio::time::timeout(PATIENCE, test)
                .await
                .expect("it hangs")
        })
}

/// A process of the binary under test.
pub(crate) struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    /// Reads standard error all along, so that a full pipe never blocks the process.
    stderr: Option<JoinHandle<String>>,
}

/// What a process left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its exit code; `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    /// What it printed and nobody read before.
    pub(crate) stdout: String,
    /// What it said on standard error.
    pub(crate) stderr: String,
}

impl Process {
    /// Starts a binary that has the command line of `rejoin`, logging errors alone.
    pub(crate) fn of(program: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Self {
        let mut child = Command::new(program)
            .args(["--log", "error"])
            .args(arguments)
            .envs(variables.iter().copied())
            .env_remove("RUST_LOG")
            .env("NO_COLOR", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary under test starts");
        let mut stderr = child.stderr.take().expect("standard error is a pipe");
        Self {
            stdin: child.stdin.take(),
            stdout: BufReader::new(child.stdout.take().expect("standard output is a pipe")),
            stderr: Some(thread::spawn(move || {
                let mut text = String::new();
                stderr
                    .read_to_string(&mut text)
                    .expect("the binary writes UTF-8");
                text
            })),
            child,
        }
    }

    /// The next line it prints.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout
            .read_line(&mut line)
            .expect("the binary writes UTF-8");
        line.trim_end().to_owned()
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Closes its standard input, as the death of its parent does.
    pub(crate) fn close_stdin(&mut self) {
        drop(self.stdin.take());
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ended {
        let code = self.wait().code();
        let mut stdout = String::new();
        self.stdout
            .read_to_string(&mut stdout)
            .expect("the binary writes UTF-8");
        let stderr = self
            .stderr
            .take()
            .expect("it ends once")
            .join()
            .expect("the reader ends");
        Ended {
            code,
            stdout,
            stderr,
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
