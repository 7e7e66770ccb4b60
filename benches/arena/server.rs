//! A server under load: a process of its own on a core of its own, and what /proc tells of it.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rejoin::client::ServerAddress;

use crate::players::{Players, Target};
use crate::raw_players::RawPlayers;
use crate::rejoin_players::RejoinPlayers;
use crate::workload::MEMBERS;

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Kind {
    /// One thread, recvmmsg and sendmmsg, nothing else
    Raw2,
    /// The same, every datagram sealed with AES-128-GCM
    #[value(name = "raw2+aes")]
    Raw2Aes,
    /// A plain echo, one system call each way, woken by each datagram
    Echo,
    /// Rejoin
    Rejoin,
    /// Rejoin with two shards, both on the server's core
    Rejoin2,
    /// Rejoin with a data folder on a disk: every call is journalled
    #[value(name = "rejoin-exact")]
    Exact,
    /// The same, and inputs are acknowledged once they are on the medium
    #[value(name = "rejoin-synced")]
    Synced,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Raw2 => "raw2",
            Self::Raw2Aes => "raw2+aes",
            Self::Echo => "echo",
            Self::Rejoin => "rejoin",
            Self::Rejoin2 => "rejoin2",
            Self::Exact => "rejoin-exact",
            Self::Synced => "rejoin-synced",
        }
    }
}

/// What a server is started for.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) players: usize,
    pub(crate) shape: Option<usize>,
}

/// A running server. It ends with this value, and with this process however that ends.
pub(crate) struct Server {
    child: Child,
    kind: Kind,
    size: Size,
    address: ServerAddress,
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
    pub(crate) fn start(kind: Kind, size: Size) -> Self {
        let own = std::env::current_exe().expect("this process has a program");
        let mut command = if has_taskset() {
            let mut command = Command::new("taskset");
            command.args(["-c", SERVER_CORE]).arg(own);
            command
        } else {
            Command::new(own)
        };
        let mut child = command
            .args(arguments(kind, size))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut line = String::new();
        let read = BufReader::new(child.stdout.take().unwrap()).read_line(&mut line);
        let address = line.trim().strip_prefix("listening on ").map(str::parse);
        let Some(Ok(address)) = address else {
            child.kill().ok();
            child.wait().ok();
            panic!("{} says {line:?}, {read:?}", kind.name());
        };
        Self {
            child,
            kind,
            size,
            address,
        }
    }

    /// Players for this server, none of whom has begun.
    pub(crate) fn players(&self) -> Box<dyn Players> {
        let target = Target {
            address: SocketAddr::new(self.address.host.parse().unwrap(), self.address.port),
            key: Some(self.address.key),
            shape: self.size.shape,
        };
        let count = self.size.players;
        match self.kind {
            Kind::Raw2 => Box::new(RawPlayers::new(target, false, true, count)),
            Kind::Raw2Aes => Box::new(RawPlayers::new(target, true, true, count)),
            Kind::Echo => Box::new(RawPlayers::new(target, false, false, count)),
            Kind::Rejoin | Kind::Rejoin2 | Kind::Exact | Kind::Synced => {
                Box::new(RejoinPlayers::new(target, count))
            }
        }
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
                        println!("{} ended with {status}", self.kind.name());
                    }
                    return status.success();
                }
                None if Instant::now() >= end => {
                    println!("{} did not end when asked", self.kind.name());
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
        fs::remove_dir_all(folder()).ok();
    }
}

fn arguments(kind: Kind, size: Size) -> Vec<String> {
    let rooms = size.players.div_ceil(MEMBERS);
    let shape = size.shape.unwrap_or(crate::workload::STILL);
    let told = match kind {
        Kind::Raw2 => format!("raw {shape} {rooms} plain"),
        Kind::Raw2Aes => format!("raw {shape} {rooms} aes"),
        Kind::Echo => "echo".to_owned(),
        // Limits that a server of this size is given; all that bound one peer stay as they are.
        Kind::Rejoin | Kind::Rejoin2 | Kind::Exact | Kind::Synced => format!(
            "serve --shards {} --log warn --bind 127.0.0.1:0 --print-address --until-stdin-closes \
             --limit sessions_max={} --limit rooms_max={} --limit address_rooms_max={} \
             --limit address_room_creates_burst={}{}",
            shards(kind),
            // Divided among the shards, and the players may not be.
            shards(kind) * (size.players + 64),
            shards(kind) * (rooms + 64),
            rooms + 64,
            rooms + 64,
            durability(kind),
        ),
    };
    told.split_whitespace().map(str::to_owned).collect()
}

/// Rooms are kept in a folder of this process alone, made anew for each server.
fn durability(kind: Kind) -> String {
    let level = match kind {
        Kind::Exact => "exact",
        Kind::Synced => "synced",
        Kind::Raw2 | Kind::Raw2Aes | Kind::Echo | Kind::Rejoin | Kind::Rejoin2 => {
            return String::new();
        }
    };
    format!(" --data {} --durability {level}", folder().display())
}

/// On the disk that holds temporary files.
fn folder() -> PathBuf {
    std::env::temp_dir().join(format!("rejoin-arena-{}", std::process::id()))
}

const fn shards(kind: Kind) -> usize {
    match kind {
        Kind::Rejoin2 => 2,
        Kind::Raw2 | Kind::Raw2Aes | Kind::Echo | Kind::Rejoin | Kind::Exact | Kind::Synced => 1,
    }
}

/// Says where this server listens, and ends this process once whoever started it is gone.
pub(crate) fn announce(address: SocketAddr) {
    println!("listening on rejoin://{address}");
    std::io::stdout().flush().unwrap();
    std::thread::spawn(|| {
        std::io::stdin().lock().read_to_end(&mut Vec::new()).ok();
        std::process::exit(0);
    });
}

/// Moves this process to the players' core.
pub(crate) fn pin_self() {
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
