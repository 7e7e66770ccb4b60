//! The `rejoin` binary as a user runs it: built here, then started as a process of its own.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::capture::capture;

/// Where the binary is.
pub(crate) struct Product {
    folder: PathBuf,
}

/// How a process ended, and what it said.
pub(crate) struct Ended {
    code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A server that runs until this is dropped.
pub(crate) struct Server {
    child: Child,
    /// As it tells in its log: `rejoin://KEY@host:port`.
    pub(crate) address: String,
}

/// A folder that is removed at the end, with all the secrets in it.
pub(crate) struct Folder(PathBuf);

/// Far longer than a server takes to start.
const PATIENCE: Duration = Duration::from_secs(30);

impl Product {
    /// Builds the binary.
    pub(crate) fn build(root: &Path) -> Result<Self, String> {
        let format = "--message-format=json-render-diagnostics";
        let arguments = ["build", "--locked", "--package", "rejoin", "--bin"];
        let messages = capture(
            root,
            "cargo",
            &[&arguments[..], &["rejoin", format]].concat(),
        )?;
        let executable = messages
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .find_map(|message| Some(PathBuf::from(message.get("executable")?.as_str()?)));
        let folder = executable.and_then(|file| Some(file.parent()?.to_owned()));
        let folder = folder.ok_or("cargo built no `rejoin`")?;
        Ok(Self { folder })
    }

    /// `rejoin` with these arguments.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.folder.join("rejoin"));
        command.args(arguments);
        self.prepare(&mut command);
        command
    }

    /// Makes `rejoin` a word that `command` finds, as on a machine where it is installed.
    pub(crate) fn prepare(&self, command: &mut Command) {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(self.folder.clone()).chain(std::env::split_paths(&path));
        if let Ok(path) = std::env::join_paths(folders) {
            command.env("PATH", path);
        }
        command.env("NO_COLOR", "1").env_remove("RUST_LOG");
    }
}

/// Runs a command to its end with `input` on its standard input.
pub(crate) fn run(mut command: Command, input: &str) -> Result<Ended, String> {
    let name = name_of(&command);
    let failed = |error| format!("{name}: {error}");
    command.stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that asks for nothing may have closed it.
        drop(stdin.write_all(input.as_bytes()));
    }
    let output = child.wait_with_output().map_err(failed)?;
    Ok(Ended {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// Without its environment, which can hold a key.
fn name_of(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(std::ffi::OsStr::to_string_lossy).collect();
    words.join(" ")
}

impl Ended {
    /// Demands an exit code, and words in what the process said.
    pub(crate) fn expect(self, what: &str, code: i32, words: &[&str]) -> Result<Self, String> {
        let missing =
            |words: &&&str| !self.stdout.contains(**words) && !self.stderr.contains(**words);
        let problem = if self.code == Some(code) {
            let missing = words.iter().find(missing);
            missing.map(|words| format!("it does not say {words:?}"))
        } else {
            Some(format!("it ended with {:?} instead of {code}", self.code))
        };
        match problem {
            None => Ok(self),
            Some(problem) => Err(format!("{what}: {problem}\n{}{}", self.stdout, self.stderr)),
        }
    }
}

impl Server {
    /// Starts a command that serves, and waits until it says that it listens.
    pub(crate) fn start(mut command: Command) -> Result<Self, String> {
        let name = name_of(&command);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.stderr(Stdio::piped()).spawn();
        let mut server = Self {
            child: child.map_err(|error| format!("{name}: {error}"))?,
            address: String::new(),
        };
        let stderr = server.child.stderr.take();
        let log = follow(stderr.ok_or("standard error is no pipe")?);
        let mut said = String::new();
        while let Ok(line) = log.recv_timeout(PATIENCE) {
            if let Some((_, address)) = line.split_once("listening address=") {
                let address = address.split_whitespace().next();
                address.unwrap_or_default().clone_into(&mut server.address);
                return Ok(server);
            }
            said.push_str(&line);
        }
        Err(format!("{name}: it does not listen\n{said}"))
    }
}

/// The lines of a server's log. They are read to the end even if nobody wants them: a full pipe would
/// block the server.
fn follow(stderr: ChildStderr) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            drop(sender.send(line + "\n"));
        }
    });
    receiver
}

impl Drop for Server {
    fn drop(&mut self) {
        // An error says that it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Folder {
    /// Makes one that no other run uses.
    pub(crate) fn new(name: &str) -> Result<Self, String> {
        let name = format!("rejoin-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let folder = std::fs::create_dir_all(&path);
        folder.map_err(|error| format!("cannot make {}: {error}", path.display()))?;
        Ok(Self(path))
    }

    /// Where something in it is.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file in it.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<(), String> {
        let path = self.path(name);
        std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}
