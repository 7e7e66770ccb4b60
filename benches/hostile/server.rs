//! The server under attack: a real process, and what /proc tells of it.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rejoin::client::ServerAddress;
use rejoin::protocol::crypto::PublicKey;

/// Clock ticks of /proc a second, on every Linux that matters.
const TICKS: f64 = 100.0;
const PAGE: u64 = 4_096;

/// See the module page.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) key: PublicKey,
}

impl Server {
    /// Starts one on loopback, on core 0; this process moves to core 1.
    pub(crate) fn start(more: &[&str]) -> Self {
        Self::start_program(Path::new(env!("CARGO_BIN_EXE_rejoin")), more)
    }

    /// The same of this binary, which serves rooms of its own.
    pub(crate) fn start_own(more: &[&str]) -> Self {
        let own = std::env::current_exe().expect("this process has a program");
        Self::start_program(&own, more)
    }

    fn start_program(program: &Path, more: &[&str]) -> Self {
        let mut child = Command::new("taskset")
            .args(["-c", "0"])
            .arg(program)
            .args(["--log", "warn"])
            .args(["serve", "--bind", "127.0.0.1:0", "--print-address"])
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("taskset and the server start");
        let own = std::process::id().to_string();
        let pinned = Command::new("taskset")
            .args(["-a", "-c", "-p", "1", &own])
            .stdout(Stdio::null())
            .status();
        assert!(pinned.is_ok_and(|status| status.success()));
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address: ServerAddress = line
            .trim()
            .strip_prefix("listening on ")
            .unwrap_or_else(|| panic!("{line:?}"))
            .parse()
            .unwrap();
        Self {
            child,
            address: SocketAddr::new(address.host.parse().unwrap(), address.port),
            key: address.key,
        }
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Resident bytes.
    pub(crate) fn resident(&self) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/statm", self.child.id())).unwrap();
        let pages: u64 = text.split(' ').nth(1).unwrap().parse().unwrap();
        pages * PAGE
    }

    /// Processor seconds so far.
    pub(crate) fn cpu(&self) -> f64 {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let (_, fields) = text.rsplit_once(") ").unwrap();
        let field =
            |index: usize| -> f64 { fields.split(' ').nth(index).unwrap().parse().unwrap() };
        (field(11) + field(12)) / TICKS
    }

    /// Processor time of all its threads so far, in nanoseconds.
    pub(crate) fn cpu_ns(&self) -> u64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.id())).unwrap();
        let ran = |task: std::io::Result<std::fs::DirEntry>| {
            // A thread may end between being listed and being read.
            let text = std::fs::read_to_string(task.unwrap().path().join("schedstat"));
            let text = text.unwrap_or_default();
            let first = text.split_whitespace().next();
            first.map_or(0, |ran| ran.parse::<u64>().unwrap())
        };
        tasks.map(ran).sum()
    }

    /// Asks it to stop, and checks that it ended well and without a panic.
    pub(crate) fn stop(mut self) -> bool {
        let id = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &id]).status().unwrap();
        let end = Instant::now() + Duration::from_secs(10);
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < end, "the server stops when asked");
            std::thread::sleep(Duration::from_millis(10));
        }
        let status = self.child.wait().unwrap();
        let mut said = String::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut said)
            .unwrap();
        let lines = said.lines().count();
        claim(
            status.success() && !said.contains("panicked") && lines < 100,
            format_args!("server ended with {status}, {lines} lines at warn or above"),
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Only if the run was cut short; a stopped server is gone already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Bytes as MiB for people.
pub(crate) fn mib(bytes: u64) -> f64 {
    bytes as f64 / (1 << 20) as f64
}

/// The claim that an attack left the server's resident bytes within 1 MiB of its warmed plateau.
pub(crate) fn stays(before: u64, after: u64) -> bool {
    claim(
        after <= before + (1 << 20),
        format_args!(
            "resident {:.2} MiB after, {:.2} MiB warmed before",
            mib(after),
            mib(before)
        ),
    )
}

/// Prints a claim with its figure and tells whether it holds.
pub(crate) fn claim(holds: bool, text: impl std::fmt::Display) -> bool {
    println!("{} {text}", if holds { "ok    " } else { "FAILED" });
    holds
}
