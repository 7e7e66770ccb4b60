//! A server under load: a process of its own on a core of its own, and what /proc tells of it.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rejoin::client::ServerAddress;

use crate::own;
use crate::players::{Players, Target};
use crate::subject::{Size, Subject};

/// A running server. It ends with this value, and with this process however that ends.
pub(crate) struct Server {
    child: Child,
    subject: &'static Subject,
    size: Size,
    target: Target,
}

/// Processor time of a server so far, in nanoseconds.
#[derive(Clone, Copy)]
pub(crate) struct Cpu {
    pub(crate) ran: u64,
    /// Time that it could have run while something else did.
    pub(crate) waited: u64,
    /// Times that it went to sleep by itself, and so had to be woken.
    pub(crate) sleeps: u64,
    /// Bytes that it gave to the system for files.
    pub(crate) written: u64,
}

impl Cpu {
    pub(crate) const fn since(self, before: Self) -> Self {
        Self {
            ran: self.ran - before.ran,
            waited: self.waited - before.waited,
            sleeps: self.sleeps - before.sleeps,
            written: self.written - before.written,
        }
    }
}

const PAGE: u64 = 4_096;
const SERVER_CORE: &str = "0";
const PLAYERS_CORE: &str = "1";
const STOP_WITHIN: Duration = Duration::from_secs(10);

impl Server {
    pub(crate) fn start(subject: &'static Subject, size: Size) -> Self {
        let mut child = pinned((subject.command)(size))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut line = String::new();
        let read = BufReader::new(child.stdout.take().unwrap()).read_line(&mut line);
        let Some(target) = line.trim().strip_prefix("listening on ").and_then(target) else {
            child.kill().ok();
            child.wait().ok();
            panic!("{} says {line:?}, {read:?}", subject.name);
        };
        Self {
            child,
            subject,
            size,
            target,
        }
    }

    /// Where it is.
    pub(crate) const fn target(&self) -> Target {
        self.target
    }

    /// Players for this server, none of whom has begun.
    pub(crate) fn players(&self) -> Box<dyn Players> {
        (self.subject.players)(self.target, self.size)
    }

    /// Processor time of all its threads.
    pub(crate) fn cpu(&self) -> Cpu {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let mut cpu = Cpu {
            ran: 0,
            waited: 0,
            sleeps: 0,
            written: self.written(),
        };
        for task in tasks {
            let task = task.unwrap().path();
            // A thread may end between being listed and being read.
            let read = |name| fs::read_to_string(task.join(name)).unwrap_or_default();
            let text = read("schedstat");
            let mut fields = text
                .split_whitespace()
                .map(|field| field.parse::<u64>().unwrap());
            cpu.ran += fields.next().unwrap_or(0);
            cpu.waited += fields.next().unwrap_or(0);
            let status = read("status");
            let sleeps = status
                .lines()
                .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            cpu.sleeps += sleeps.map_or(0, |count| count.trim().parse().unwrap());
        }
        cpu
    }

    /// What it sends is not counted by the system here.
    fn written(&self) -> u64 {
        let io = fs::read_to_string(format!("/proc/{}/io", self.child.id())).unwrap_or_default();
        let mut lines = io.lines();
        let bytes = lines.find_map(|line| line.strip_prefix("wchar: "));
        bytes.and_then(|bytes| bytes.parse().ok()).unwrap_or(0)
    }

    /// Resident bytes.
    pub(crate) fn resident(&self) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/statm", self.child.id())).unwrap();
        let pages: u64 = text.split(' ').nth(1).unwrap().parse().unwrap();
        pages * PAGE
    }

    /// Ends it by closing its standard input. True if it ended well.
    pub(crate) fn stop(mut self) -> bool {
        drop(self.child.stdin.take());
        let end = Instant::now() + STOP_WITHIN;
        loop {
            match self.child.try_wait().unwrap() {
                Some(status) => {
                    if !status.success() {
                        println!("{} ended with {status}", self.subject.name);
                    }
                    return status.success();
                }
                None if Instant::now() >= end => {
                    println!("{} did not end when asked", self.subject.name);
                    return false;
                }
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Only if the run was cut short; a stopped server is gone already.
        self.child.kill().ok();
        self.child.wait().ok();
        own::clear();
    }
}

/// Where a server says that it is: an address of ours, with its key, or a plain one.
fn target(told: &str) -> Option<Target> {
    if let Ok(address) = told.parse() {
        return Some(Target { address, key: None });
    }
    let address: ServerAddress = told.parse().ok()?;
    Some(Target {
        address: SocketAddr::new(address.host.parse().ok()?, address.port),
        key: Some(address.key),
    })
}

/// The same command, on the server's core.
fn pinned(command: Command) -> Command {
    if !has_taskset() {
        return command;
    }
    let mut pinned = Command::new("taskset");
    pinned.args(["-c", SERVER_CORE]).arg(command.get_program());
    pinned.args(command.get_args());
    pinned
}

/// Says where this server listens, and ends this process once whoever started it is gone.
pub fn announce(address: SocketAddr) {
    println!("listening on {address}");
    std::io::stdout().flush().unwrap();
    std::thread::spawn(|| {
        std::io::stdin().lock().read_to_end(&mut Vec::new()).ok();
        std::process::exit(0);
    });
}

/// Moves this process to the players' core.
///
/// # Panics
/// If there is no second core.
pub fn pin_self() {
    if !has_taskset() {
        println!("no taskset of util-linux here: server and players share all cores");
        return;
    }
    let own = std::process::id().to_string();
    let pinned = Command::new("taskset")
        .args(["-a", "-c", "-p", PLAYERS_CORE, &own])
        .stdout(Stdio::null())
        .status();
    assert!(
        pinned.is_ok_and(|status| status.success()),
        "two cores are needed"
    );
}

fn has_taskset() -> bool {
    let version = Command::new("taskset")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    version.is_ok_and(|status| status.success())
}
