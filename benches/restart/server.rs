//! The server's process, what its operators' port and /proc say of it, and its folder.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Options, since};

const PAGE: u64 = 4_096;
/// A data packet of each epoch that no server knows the connection of: all but the present one are answered.
const PROBES: [u8; 4] = [0x04, 0x14, 0x24, 0x34];
const PROBE_EVERY: Duration = Duration::from_micros(500);

/// A data folder, removed at the end.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(given: Option<PathBuf>) -> Self {
        let name = format!("rejoin-restart-{}", std::process::id());
        Self(given.unwrap_or_else(std::env::temp_dir).join(name))
    }

    /// Bytes of all files in it.
    pub(crate) fn bytes(&self) -> u64 {
        let files = fs::read_dir(self.0.join("rooms")).unwrap();
        files
            .map(|file| file.unwrap().metadata().unwrap().len())
            .sum()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// A running server.
pub(crate) struct Server {
    child: Child,
    started: Instant,
    /// As a client is told it.
    pub(crate) address: String,
    admin: String,
    /// From its start to its first answer.
    pub(crate) answered: Duration,
}

/// What its operators are told.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) rooms: usize,
    pub(crate) asleep: usize,
    pub(crate) to_come: usize,
}

impl Server {
    /// The first of a folder has no earlier connections to answer for, and is asked nothing.
    pub(crate) fn start(folder: &Folder, options: &Options, first: bool) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (port, admin) = (free_port(), format!("127.0.0.1:{}", free_port()));
        let place: SocketAddr = format!("127.0.0.1:{port}").parse().unwrap();
        let most = 2 * options.rooms + 64;
        let limits = [
            format!("rooms_max={most}"),
            format!("sessions_max={}", options.members * most),
            format!("address_rooms_max={most}"),
            format!("address_room_creates_burst={most}"),
            format!("seats_burst={most}"),
            format!(
                "hibernate_for={}",
                if options.asleep { "24h" } else { "0s" }
            ),
            format!("seat_hold={}", if options.asleep { "1s" } else { "1h" }),
            format!("pending_joins_max={most}"),
        ];
        let started = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_rejoin"))
            .args([
                "--log",
                "warn",
                "serve",
                "--print-address",
                "--admin",
                &admin,
            ])
            .args(["--bind", &place.to_string(), "--data"])
            .arg(&folder.0)
            .args(limits.iter().flat_map(|limit| ["--limit", limit]))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let answered = (!first).then(|| first_answer(&socket, place, started));
        let mut line = String::new();
        let out = child.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut line).unwrap();
        let address = line
            .trim()
            .strip_prefix("listening on ")
            .unwrap()
            .to_owned();
        Self {
            child,
            started,
            address,
            admin,
            answered: answered.unwrap_or_default(),
        }
    }

    /// Waits until the figures are right. Gives the time since the process was started.
    pub(crate) fn wait(&self, patience: Duration, right: impl Fn(Figures) -> bool) -> Duration {
        while !right(self.figures()) {
            let waited = since(self.started);
            assert!(
                waited < patience * 5,
                "{:?} after {waited:?}",
                self.figures()
            );
            thread::sleep(Duration::from_millis(2));
        }
        since(self.started)
    }

    pub(crate) fn figures(&self) -> Figures {
        let page = self.page().unwrap_or_default();
        let of = |name: &str| {
            let lines = page.lines().filter(|line| line.starts_with(name));
            let values =
                lines.filter_map(|line| line.split_whitespace().last()?.parse::<usize>().ok());
            values.sum()
        };
        Figures {
            rooms: of("rejoin_rooms{"),
            asleep: of("rejoin_rooms_asleep{"),
            to_come: of("rejoin_rooms_to_come{"),
        }
    }

    fn page(&self) -> Option<String> {
        let mut stream = TcpStream::connect(&self.admin).ok()?;
        let ask = format!(
            "GET /metrics HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            self.admin
        );
        stream.write_all(ask.as_bytes()).ok()?;
        let mut page = String::new();
        stream.read_to_string(&mut page).ok()?;
        Some(page)
    }

    /// Resident bytes.
    pub(crate) fn resident(&self) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/statm", self.child.id())).unwrap();
        text.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * PAGE
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Asks until there is an answer.
fn first_answer(socket: &UdpSocket, place: SocketAddr, started: Instant) -> Duration {
    socket.set_read_timeout(Some(PROBE_EVERY)).unwrap();
    let mut answer = [0; 64];
    loop {
        for flags in PROBES {
            let mut probe = [7; 48];
            probe[..5].copy_from_slice(&[flags, 0, 1, 2, 3]);
            drop(socket.send_to(&probe, place));
        }
        if socket.recv_from(&mut answer).is_ok() {
            return since(started);
        }
        assert!(since(started) < Duration::from_secs(60), "no answer");
    }
}

fn free_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port()
}

/// What was read from disks is forgotten.
pub(crate) fn drop_caches() {
    let synced = Command::new("sync").status();
    assert!(synced.is_ok_and(|status| status.success()));
    fs::write("/proc/sys/vm/drop_caches", "1").expect("root drops the page cache");
}
