//! A server that ends and is started again on its data folder: what it keeps, and what it refuses to start from.

#![cfg(unix)]

mod returning_peer;
mod signal;
#[allow(dead_code, reason = "each test file uses its own part of it")]
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rejoin::client::ServerAddress;
use rejoin::protocol::handshake::HandshakeError;
use rejoin::protocol::{Epoch, Rng};
use returning_peer::Peer;
use signal::signal;
use support::{Ended, Process};

/// What may end a server.
const ENDS: [&str; 2] = ["TERM", "KILL"];

/// A data folder, removed when its test ends, and servers on it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("rejoin-data-folder-{}-{name}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).expect("a file of the folder")
    }

    /// Writes over a file of the server's, which leaves its mode as it is.
    fn write(&self, name: &str, text: &str) {
        fs::write(self.file(name), text).expect("a file of the folder");
    }

    fn mode(&self, name: &str) -> u32 {
        let metadata = fs::metadata(self.file(name));
        metadata.expect("it is there").permissions().mode() & 0o777
    }

    /// The id of the key that seals.
    fn first_key(&self) -> String {
        self.text("ticket.keys")[..8].to_owned()
    }

    /// A server at `bind` that listens, and where.
    fn serve(&self, bind: &str, more: &[&str]) -> (Process, ServerAddress) {
        listening(self.start(bind, more))
    }

    /// The same by another program, which is told what to run, with its log.
    #[cfg(target_os = "linux")]
    fn serve_by(&self, by: &[&str]) -> (Process, ServerAddress) {
        let data = self.0.to_str().expect("a plain name");
        let serve = ["--log", "info", "serve", "--bind", "127.0.0.1:0"];
        let more = ["--print-address", "--data", data];
        let [by, arguments @ ..] = by else {
            panic!("a program");
        };
        let program = [env!("CARGO_BIN_EXE_rejoin")];
        let arguments = [arguments, &program, &serve, &more].concat();
        listening(Process::of(Path::new(by), &[], &arguments))
    }

    fn start(&self, bind: &str, more: &[&str]) -> Process {
        let data = self.0.to_str().expect("a plain name");
        let serve = ["serve", "--bind", bind, "--print-address", "--data", data];
        let program = Path::new(env!("CARGO_BIN_EXE_rejoin"));
        Process::of(program, &[], &[&serve[..], more].concat())
    }

    /// The one line with which a server ends that cannot start from the folder: a wrong file.
    fn refuses(&self) -> String {
        let ended = self.start("127.0.0.1:0", &[]).end();
        assert_eq!(ended.code, Some(2), "{ended:?}");
        let line = ended.stderr.trim_end();
        assert_eq!(line.lines().count(), 1, "{ended:?}");
        line.strip_prefix("rejoin: ").expect("its name").to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// A server once it listens, and where.
fn listening(mut server: Process) -> (Process, ServerAddress) {
    let line = server.line();
    let text = line.strip_prefix("listening on ").expect("its address");
    (server, text.parse().expect("an address"))
}

fn rng() -> Rng {
    rejoin::server::entropy().expect("the system has entropy")
}

/// Ends a server by a signal.
fn end(server: Process, name: &str) -> Ended {
    signal(server.id(), name);
    server.end()
}

#[test]
fn a_server_started_again_takes_the_tickets_of_the_one_before_and_resets_its_connections() {
    let folder = Folder::new("again");
    let mut rng = rng();
    let (mut server, address) = folder.serve("127.0.0.1:0", &[]);
    let bind = format!("127.0.0.1:{}", address.port);
    let mut peer = Peer::join(&address, &mut rng);
    assert_eq!(peer.welcome.epoch, Epoch(1));
    let secrets = ["server.key", "session.secret", "ticket.keys"];
    let kept = secrets.map(|name| folder.text(name));
    for (name, epoch) in ENDS.into_iter().cycle().take(4).zip(2..) {
        end(server, name);
        let (next, again) = folder.serve(&bind, &[]);
        server = next;
        assert_eq!(again, address);
        assert_eq!(folder.text("epoch"), format!("{epoch}\n"));
        assert_eq!(secrets.map(|name| folder.text(name)), kept);
        peer.is_reset();
        let back = Peer::resume(&address, &peer.ticket, &mut rng).expect("its ticket is good");
        assert_eq!(back.welcome.epoch, Epoch(epoch));
        assert_eq!(back.welcome.session, peer.welcome.session);
        assert!(back.welcome.incarnation > peer.welcome.incarnation);
        peer = back;
    }
    for name in secrets.into_iter().chain(["epoch"]) {
        assert_eq!(folder.mode(name), 0o600, "{name}");
    }
    assert_eq!(folder.mode(""), 0o700);
    let files = fs::read_dir(&folder.0).expect("the folder").count();
    assert_eq!(files, 6, "no draft is left");
    assert_eq!(folder.mode("rooms"), 0o700);
}

#[test]
fn rooms_without_their_epoch_are_not_begun_anew() {
    let folder = Folder::new("rooms");
    let (server, _) = folder.serve("127.0.0.1:0", &[]);
    end(server, "TERM");
    for name in ["epoch", "ticket.keys"] {
        fs::remove_file(folder.file(name)).expect("it can go");
    }
    let refused = folder.refuses();
    assert!(refused.contains("epoch is missing"), "{refused}");
    let (_, remedy) = refused.split_once("run `").expect("a command");
    let remedy = remedy.trim_end_matches('`');
    let mended = Command::new("sh").args(["-c", remedy]).status();
    assert!(mended.expect("a shell").success());
    let (server, _) = folder.serve("127.0.0.1:0", &[]);
    end(server, "TERM");
}

#[test]
fn a_second_server_on_a_folder_is_refused_and_told_whose_it_is() {
    let folder = Folder::new("shared");
    let (server, _) = folder.serve("127.0.0.1:0", &[]);
    let refused = folder.refuses();
    assert!(refused.contains(&server.id().to_string()), "{refused}");
    assert!(refused.contains("lock"), "{refused}");
    assert_eq!(folder.text("epoch"), "1\n", "it is no start");
    end(server, "KILL");
    let (server, _) = folder.serve("127.0.0.1:0", &[]);
    end(server, "TERM");
}

#[test]
fn a_start_that_finds_its_port_busy_is_none() {
    let folder = Folder::new("busy");
    let (_server, address) = folder.serve("127.0.0.1:0", &[]);
    let bind = format!("127.0.0.1:{}", address.port);
    assert_eq!(folder.start(&bind, &[]).end().code, Some(3));
    assert_eq!(folder.text("epoch"), "1\n");
}

#[test]
fn a_server_without_a_data_folder_takes_no_ticket_of_the_one_before() {
    let mut rng = rng();
    let program = Path::new(env!("CARGO_BIN_EXE_rejoin"));
    let serve = |bind: &str| {
        let serve = ["serve", "--bind", bind, "--print-address"];
        listening(Process::of(program, &[], &serve))
    };
    let (server, address) = serve("127.0.0.1:0");
    let peer = Peer::join(&address, &mut rng);
    Peer::resume(&address, &peer.ticket, &mut rng).expect("the ticket is good here");
    end(server, "KILL");
    let (_server, address) = serve(&format!("127.0.0.1:{}", address.port));
    let refused = Peer::resume(&address, &peer.ticket, &mut rng).err();
    assert_eq!(refused, Some(HandshakeError::TicketRefused));
}

#[test]
fn files_that_cannot_be_used_are_named_and_kept() {
    let folder = Folder::new("wrong");
    let (server, _) = folder.serve("127.0.0.1:0", &[]);
    end(server, "TERM");
    let path = |name| folder.file(name).display().to_string();
    let (epoch, keys) = (path("epoch"), path("ticket.keys"));
    let good = folder.text("ticket.keys");
    let key = good.lines().next().expect("a key");
    let cases = [
        (
            "epoch",
            "first\n".to_owned(),
            format!("{epoch} does not hold the number of a start: run `date +%s > '{epoch}'`"),
        ),
        (
            "ticket.keys",
            format!("{key}\n{}\n", &key[..20]),
            format!("{keys}: line 2: expected a key ID:KEY, "),
        ),
        (
            "ticket.keys",
            "# made 1795773600\n".to_owned(),
            format!("{keys}: there is no key"),
        ),
    ];
    for (name, text, told) in cases {
        let before = folder.text(name);
        folder.write(name, &text);
        let line = folder.refuses();
        assert!(line.starts_with(&told), "{line}");
        assert!(!line.contains(&key[9..20]), "the secret is not repeated");
        assert_eq!(folder.text(name), text);
        folder.write(name, &before);
    }
    let open = fs::Permissions::from_mode(0o640);
    fs::set_permissions(folder.file("ticket.keys"), open).expect("it is ours");
    assert!(
        folder
            .refuses()
            .ends_with(&format!("run `chmod 600 {keys}`"))
    );
    let closed = fs::Permissions::from_mode(0o600);
    fs::set_permissions(folder.file("ticket.keys"), closed).expect("it is ours");
    fs::remove_file(folder.file("epoch")).expect("it is ours");
    let line = folder.refuses();
    assert!(line.starts_with(&format!("{epoch} is missing")), "{line}");

    // What the line says to run, as it says it.
    let remedy = line.split('`').nth(1).expect("a command");
    let ran = Command::new("sh").args(["-c", remedy]).status();
    assert!(ran.expect("there is a shell").success());
    let number: u64 = folder.text("epoch").trim().parse().expect("a number");
    let (_server, address) = folder.serve("127.0.0.1:0", &[]);
    let peer = Peer::join(&address, &mut rng());
    assert_eq!(peer.welcome.epoch, Epoch(number + 1));
}

/// Sends SIGHUP and gives the line that the server logs with these words.
fn told_of_hangup(server: &mut Process, words: &str) -> String {
    signal(server.id(), "HUP");
    loop {
        let line = server.log_line();
        if line.contains(words) {
            return line;
        }
    }
}

#[test]
fn every_shard_seals_with_a_new_key_and_opens_tickets_of_the_old_one() {
    let folder = Folder::new("rotation");
    let mut rng = rng();
    let more = ["--shards", "2", "--log", "info"];
    let (mut server, address) = folder.serve("127.0.0.1:0", &more);
    let old = Peer::join(&address, &mut rng);
    let first = folder.first_key();
    // A day passes.
    let key = folder.text("ticket.keys");
    let key = key.lines().next().expect("a key").to_owned();
    folder.write("ticket.keys", &format!("{key}\n# made 1000000000\n"));
    told_of_hangup(&mut server, "ticket keys rotated");
    let second = folder.first_key();
    assert_ne!(second, first);
    assert!(folder.text("ticket.keys").contains(&key));
    // A shard may learn of it after the one that answers first.
    let mut sealed = [false; 2];
    while sealed != [true; 2] {
        let peer = Peer::join(&address, &mut rng);
        let shard = usize::from(peer.welcome.connection[0]);
        let id = &peer.ticket.sealed.as_bytes()[1..5];
        let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(id == second || (id == first && !sealed[shard]), "{id}");
        sealed[shard] |= id == second;
    }
    let back = Peer::resume(&address, &old.ticket, &mut rng).expect("its key is kept");
    assert_eq!(back.welcome.session, old.welcome.session);
}

#[test]
fn keys_that_cannot_be_read_again_change_nothing_and_the_log_says_why() {
    let folder = Folder::new("unreadable");
    let mut rng = rng();
    let (mut server, address) = folder.serve("127.0.0.1:0", &["--log", "info"]);
    let peer = Peer::join(&address, &mut rng);
    folder.write("ticket.keys", "nonsense\n");
    let line = told_of_hangup(&mut server, "ticket keys");
    assert!(line.contains(" WARN "), "{line}");
    assert!(line.contains("ticket keys stay as they were"), "{line}");
    assert!(line.contains("line 1: expected a key"), "{line}");
    Peer::resume(&address, &peer.ticket, &mut rng).expect("its key is in use");
}

#[cfg(target_os = "linux")]
#[test]
fn a_rotation_that_cannot_be_written_is_a_warning_and_the_old_keys_go_on() {
    let folder = Folder::new("full");
    let mut rng = rng();
    // Without the signal that goes with a full disk of this kind, which would end the server.
    let (mut server, address) = folder.serve_by(&["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"]);
    let peer = Peer::join(&address, &mut rng);
    let text = folder.text("ticket.keys");
    let day_old = text.lines().next().expect("a key").to_owned() + "\n# made 1000000000\n";
    folder.write("ticket.keys", &day_old);
    // A disk on which nothing can be written: the system refuses the first byte of any file.
    let id = server.id().to_string();
    let limit = |most: &str| {
        let limited = Command::new("prlimit").args(["--pid", &id, most]).status();
        assert!(limited.expect("prlimit is installed").success());
    };
    limit("--fsize=0:");
    let line = told_of_hangup(&mut server, "ticket keys are not rotated");
    assert!(line.contains(" WARN "), "{line}");
    assert!(line.contains("ticket.keys: File too large"), "{line}");
    assert_eq!(folder.text("ticket.keys"), day_old);
    Peer::resume(&address, &peer.ticket, &mut rng).expect("its key goes on");
    limit("--fsize=unlimited:");
    told_of_hangup(&mut server, "ticket keys rotated");
    let files = fs::read_dir(&folder.0).expect("the folder").count();
    assert_eq!(files, 6, "no draft is left");
    assert_eq!(folder.mode("rooms"), 0o700);
}
