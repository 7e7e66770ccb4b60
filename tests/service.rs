//! A server as a service: what it tells the manager that started it, and the unit file that comes with it.

#![cfg(target_os = "linux")]

mod signal;
#[allow(dead_code, reason = "each test file uses its own part of it")]
mod support;

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use signal::signal;
use support::{PATIENCE, Process};

/// A service manager's socket, and the name that services know it by.
struct Manager {
    socket: UnixDatagram,
    name: String,
    /// Removed at the end of its test, if the socket has one.
    path: Option<PathBuf>,
}

impl Manager {
    fn at_path(name: &str) -> Self {
        let file = format!("rejoin-service-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(file);
        let socket = UnixDatagram::bind(&path).expect("a free path");
        let name = path.to_str().expect("a plain name").to_owned();
        Self::of(socket, name, Some(path))
    }

    fn abstract_one() -> Self {
        let name = format!("rejoin-service-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("a short name");
        let socket = UnixDatagram::bind_addr(&address).expect("a free name");
        Self::of(socket, format!("@{name}"), None)
    }

    fn of(socket: UnixDatagram, name: String, path: Option<PathBuf>) -> Self {
        socket
            .set_read_timeout(Some(PATIENCE))
            .expect("a socket takes it");
        Self { socket, name, path }
    }

    /// Starts a server that is to tell this manager.
    fn serve(&self, variables: &[(&str, &str)], more: &[&str]) -> Process {
        let named = ("NOTIFY_SOCKET", self.name.as_str());
        let serve = ["serve", "--bind", "127.0.0.1:0", "--print-address"];
        let arguments = [&serve[..], more].concat();
        let program = Path::new(env!("CARGO_BIN_EXE_rejoin"));
        Process::of(program, &[&[named], variables].concat(), &arguments)
    }

    /// The next thing that it is told.
    fn told(&self) -> String {
        let mut bytes = [0; 256];
        let length = self.socket.recv(&mut bytes).expect("it is told in time");
        let told = bytes.get(..length).expect("so much was told");
        String::from_utf8(told.to_vec()).expect("a text")
    }

    /// True if nothing is told for so long.
    fn is_silent(&self, span: Duration) -> bool {
        self.socket
            .set_read_timeout(Some(span))
            .expect("a socket takes it");
        let told = self.socket.recv(&mut [0; 256]);
        self.socket
            .set_read_timeout(Some(PATIENCE))
            .expect("a socket takes it");
        told.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.path
            .iter()
            .for_each(|path| drop(std::fs::remove_file(path)));
    }
}

#[test]
fn a_manager_is_told_when_the_server_serves_and_when_it_stops() {
    for manager in [Manager::at_path("life"), Manager::abstract_one()] {
        let server = manager.serve(&[], &["--shards", "2"]);
        assert_eq!(manager.told(), "READY=1");
        assert!(
            manager.is_silent(Duration::from_millis(300)),
            "nobody asked for pings"
        );
        signal(server.id(), "TERM");
        assert_eq!(manager.told(), "STOPPING=1");
        let ended = server.end();
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    }
}

#[test]
fn ready_is_told_of_a_server_that_players_can_join() {
    let manager = Manager::at_path("ready");
    let mut server = manager.serve(&[], &[]);
    assert_eq!(manager.told(), "READY=1");
    let line = server.line();
    let address = line.strip_prefix("listening on ").expect("its address");
    let program = Path::new(env!("CARGO_BIN_EXE_rejoin"));
    let bots = Process::of(
        program,
        &[],
        &[
            "bots",
            address,
            "-n",
            "2",
            "--for",
            "1s",
            "--lateness-max",
            "1m",
        ],
    );
    assert_eq!(bots.end().code, Some(0));
}

#[test]
fn pings_come_twice_as_often_as_they_must_and_end_while_the_process_is_stopped() {
    let manager = Manager::at_path("pings");
    let server = manager.serve(&[("WATCHDOG_USEC", "200000")], &[]);
    assert_eq!(manager.told(), "READY=1");
    let start = Instant::now();
    (0..20).for_each(|_| assert_eq!(manager.told(), "WATCHDOG=1"));
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(1_800), "{took:?}");
    signal(server.id(), "STOP");
    // One may be under way.
    manager.is_silent(Duration::from_millis(300));
    assert!(manager.is_silent(Duration::from_millis(600)));
    signal(server.id(), "CONT");
    assert_eq!(manager.told(), "WATCHDOG=1");
}

#[test]
fn pings_are_for_the_process_that_they_are_asked_of() {
    let manager = Manager::at_path("others");
    let variables = [("WATCHDOG_USEC", "20000"), ("WATCHDOG_PID", "1")];
    let _server = manager.serve(&variables, &[]);
    assert_eq!(manager.told(), "READY=1");
    assert!(manager.is_silent(Duration::from_millis(300)));
}

#[test]
fn a_manager_that_cannot_be_told_is_named_in_one_line() {
    let program = Path::new(env!("CARGO_BIN_EXE_rejoin"));
    for (name, value) in [("NOTIFY_SOCKET", "nonsense"), ("WATCHDOG_USEC", "soon")] {
        let variables = [("NOTIFY_SOCKET", "@nobody"), (name, value)];
        let ended = Process::of(program, &variables, &["serve", "--bind", "127.0.0.1:0"]).end();
        assert_eq!(ended.code, Some(2), "{ended:?}");
        let told = format!("rejoin: {name} is `{value}`");
        assert!(ended.stderr.starts_with(&told), "{ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    }
}

/// The unit that comes with Rejoin.
const UNIT: &str = include_str!("../deploy/rejoin.service");

/// What the unit says of a key.
fn of_unit(key: &str) -> Vec<&'static str> {
    let value = |line: &'static str| line.strip_prefix(key)?.strip_prefix('=');
    UNIT.lines().filter_map(value).collect()
}

#[test]
fn the_unit_starts_a_server_with_flags_that_it_has() {
    let [command] = of_unit("ExecStart")[..] else {
        panic!("one command");
    };
    let flags = command
        .strip_prefix("/usr/local/bin/rejoin serve ")
        .expect("a server");
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let settings = repository.join("docs/rejoin.toml");
    let settings = settings.to_str().expect("a plain name");
    let flags = flags.replace("/etc/rejoin.toml", settings);
    let arguments: Vec<&str> = ["config", "check"]
        .into_iter()
        .chain(flags.split(' '))
        .collect();
    let checked = Process::of(Path::new(env!("CARGO_BIN_EXE_rejoin")), &[], &arguments).end();
    assert_eq!(
        (checked.code, checked.stdout.trim_end()),
        (Some(0), "ok"),
        "{checked:?}"
    );
    assert_eq!(of_unit("Type"), ["notify"]);
    assert_eq!(of_unit("RestartPreventExitStatus"), ["2 3 8"]);
}

/// Where systemd is there to be asked.
#[test]
fn systemd_finds_nothing_wrong_with_the_unit() {
    let folder = std::env::temp_dir().join(format!("rejoin-unit-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    let file = folder.join("rejoin.service");
    let unit = UNIT.replace("/usr/local/bin/rejoin", env!("CARGO_BIN_EXE_rejoin"));
    std::fs::write(&file, unit).expect("a file of it");
    let verified = Command::new("systemd-analyze")
        .arg("verify")
        .arg(&file)
        .output();
    drop(std::fs::remove_dir_all(&folder));
    let Ok(verified) = verified else {
        return;
    };
    let said = String::from_utf8_lossy(&verified.stderr);
    // Older ones do not know how pauses grow, and leave them as they are.
    let is_known =
        |line: &&str| !line.contains("RestartSteps") && !line.contains("RestartMaxDelaySec");
    let wrong: Vec<&str> = said.lines().filter(is_known).collect();
    assert!(verified.status.success() && wrong.is_empty(), "{said}");
}
