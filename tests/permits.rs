//! Permits as operators and players meet them: real servers, real files, exit codes, one line for
//! each failure.

#[cfg(unix)]
mod signal;
#[allow(dead_code, reason = "each test file uses its own part of it")]
mod support;
#[cfg(unix)]
mod within_patience;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rejoin::client::Credentials;
use rejoin::protocol::Rng;
use rejoin::protocol::crypto::StaticKeys;
use rejoin::protocol::handshake::{Grant, PermitId, PermitKeys, SealingKey};
use support::{Ended, Process};

const SYSTEM: &str = "the folder of a test can be used";
const MINTED: &str = "the server's own key mints";
const SECRET: &str = "a minted permit comes with a secret";

/// Starts `rejoin`.
fn start(arguments: &[&str]) -> Process {
    Process::of(Path::new(env!("CARGO_BIN_EXE_rejoin")), &[], arguments)
}

/// Runs `rejoin` to its end.
fn run(arguments: &[&str]) -> Ended {
    start(arguments).end()
}

/// Asserts the promise of every failure: its code, and one line on standard error.
#[track_caller]
fn failed_with<'a>(ended: &'a Ended, code: i32, words: &str) -> &'a str {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    let line = ended.stderr.trim_end();
    assert_eq!(line.lines().count(), 1, "{ended:?}");
    assert!(line.starts_with("rejoin: "), "{ended:?}");
    assert!(line.contains(words), "{line} holds no {words:?}");
    line
}

/// A server's folder, removed when its test ends, and what is done with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("rejoin-permits-{}-{name}", std::process::id());
        let folder = Self(std::env::temp_dir().join(name));
        fs::create_dir_all(&folder.0).expect(SYSTEM);
        folder
    }

    fn data(&self) -> &str {
        self.0.to_str().expect(SYSTEM)
    }

    /// Writes a file and gives its name.
    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, text).expect(SYSTEM);
        path.to_str().expect(SYSTEM).to_owned()
    }

    fn permit_keys(&self) -> String {
        fs::read_to_string(self.0.join("permit.keys")).expect(SYSTEM)
    }

    fn serve(&self) -> (Process, String) {
        let mut server = start(&[
            "--log",
            "info",
            "serve",
            "--bind",
            "127.0.0.1:0",
            "--auth",
            "token",
            "--data",
            self.data(),
            "--print-address",
        ]);
        let line = server.line();
        let address = line.strip_prefix("listening on ").expect("its address");
        (server, address.to_owned())
    }

    fn mint(&self, more: &[&str]) -> String {
        let mint = ["token", "mint", "--player", "ana", "--data", self.data()];
        let minted = run(&[&mint, more].concat());
        assert_eq!(
            (minted.code, minted.stderr.as_str()),
            (Some(0), ""),
            "{minted:?}"
        );
        minted.stdout.trim_end().to_owned()
    }

    /// What no command mints: a permit that is past its time.
    fn mint_expired(&self, seconds_ago: u64) -> String {
        let keys = self.permit_keys();
        let key: SealingKey = keys.lines().next().expect(MINTED).parse().expect(MINTED);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let client = StaticKeys::from_secret([5; 32]);
        let grant = Grant {
            id: PermitId([1; 16]),
            expires_unix_s: now.expect(MINTED).as_secs() - seconds_ago,
            client: client.public(),
            name: "ana".to_owned(),
            claims: Vec::new(),
        };
        let keys = PermitKeys::new(vec![key]).expect(MINTED);
        let permit = keys.mint(&grant, &mut Rng::from_number(1)).expect(MINTED);
        let identity = Some(client);
        Credentials { permit, identity }.to_text()
    }

    fn inspect(&self, permit: &str) -> Ended {
        run(&["token", "inspect", permit, "--data", self.data()])
    }

    fn rotate(&self) {
        let rotated = run(&["token", "rotate", "--data", self.data()]);
        assert_eq!(rotated.code, Some(0), "{rotated:?}");
    }

    /// A bot with this permit on the server.
    fn play(&self, address: &str, permit: &str) -> Ended {
        let file = self.write("permits", permit);
        run(&[
            "bots",
            address,
            "--permits",
            &file,
            "--for",
            "200ms",
            "--lateness-max",
            "1m",
        ])
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

#[track_caller]
fn played(ended: &Ended) {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("1 of 1 took a seat"), "{ended:?}");
}

/// The permit of one with the secret of another.
fn with_secret_of(permit: &str, other: &str) -> String {
    let (permit, _) = permit.split_once('.').expect(SECRET);
    let (_, secret) = other.split_once('.').expect(SECRET);
    format!("{permit}.{secret}")
}

/// Another letter inside the sealed part.
fn changed(permit: &str) -> String {
    let change = |(index, letter)| match (index, letter) {
        (40, 'A') => 'B',
        (40, _) => 'A',
        _ => letter,
    };
    permit.chars().enumerate().map(change).collect()
}

#[test]
fn a_minted_permit_plays_and_others_are_refused_with_the_reason() {
    let folder = Folder::new("refused");
    let (_server, address) = folder.serve();
    let permit = folder.mint(&[]);
    played(&folder.play(&address, &permit));

    let stolen = with_secret_of(&permit, &folder.mint(&[]));
    let ended = folder.play(&address, &stolen);
    failed_with(&ended, 7, "the permit is for another client's key");
    let ended = folder.play(&address, &folder.mint_expired(90));
    let line = failed_with(&ended, 7, "the permit expired 9");
    assert!(line.ends_with(" s ago"), "{line}");
    let ended = folder.play(&address, &changed(&permit));
    failed_with(&ended, 7, "the permit is not sealed with permit key ");
    let foreign = Folder::new("refused-foreign").mint(&[]);
    let ended = folder.play(&address, &foreign);
    failed_with(&ended, 7, "no permit key ");
    let ended = run(&["bots", &address, "-n", "1", "--for", "200ms"]);
    failed_with(
        &ended,
        7,
        "takes only permits that its game's backend minted",
    );

    // After all of them it is still good: nothing counts how often it is presented.
    played(&folder.play(&address, &permit));
}

#[test]
fn inspect_tells_good_permits_from_others() {
    let folder = Folder::new("inspect");
    let id = "0123456789abcdef0123456789abcdef";
    let permit = folder.mint(&["--claims", "team=red", "--id", id]);
    let good = folder.inspect(&permit);
    assert_eq!((good.code, good.stderr.as_str()), (Some(0), ""), "{good:?}");
    for line in [
        ", mints here\n",
        &format!("id       {id}\n"),
        "player   ana\n",
        ", its secret is in this text\n",
        "claims   team=red\n",
        "expires  in ",
    ] {
        assert!(good.stdout.contains(line), "{good:?} has no {line:?}");
    }
    let (_, secret) = permit.split_once('.').unwrap();
    assert!(!good.stdout.contains(secret), "{good:?}");
    let (bare, _) = permit.split_once('.').unwrap();
    let bare = folder.inspect(bare);
    assert_eq!(bare.code, Some(0), "{bare:?}");
    assert!(bare.stdout.contains("its secret is not in this text"));

    let expired = folder.inspect(&folder.mint_expired(90));
    failed_with(&expired, 1, "the permit expired 9");
    assert!(expired.stdout.contains("expires  9"), "{expired:?}");
    let stolen = with_secret_of(&permit, &folder.mint(&[]));
    failed_with(&folder.inspect(&stolen), 1, "another client's key");
    failed_with(&folder.inspect(&changed(&permit)), 1, "not sealed with");
    let foreign = Folder::new("inspect-foreign").mint(&[]);
    let foreign = folder.inspect(&foreign);
    failed_with(&foreign, 1, "no permit key ");
    assert!(foreign.stdout.contains(", unknown here"), "{foreign:?}");
    for garbage in ["", "garbage", "AQ", &permit[..40], &format!("{permit}.x")] {
        failed_with(&folder.inspect(garbage), 2, "expected a permit");
    }
    let empty = Folder::new("inspect-empty");
    failed_with(&empty.inspect(&permit), 2, "permit.keys");
}

#[test]
fn bots_of_several_threads_have_a_permit_each_on_a_bad_network_too() {
    let folder = Folder::new("threads");
    let (_server, address) = folder.serve();
    let file = folder.write("seven", &folder.mint(&["--count", "7"]));
    let net = "delay=50ms±10,loss=5%,reorder=2%,seed=7";
    // Two bots of one permit would be one session, which the second takes from the first.
    let ended = run(&[
        "bots",
        &address,
        "--permits",
        &file,
        "--threads",
        "3",
        "--rooms",
        "2",
        "--net",
        net,
        "--for",
        "2s",
        "--lateness-max",
        "1m",
        "--json",
        "-",
        "--check",
        "inputs.acked==100%",
    ]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for line in ["\"threads\": 3\n", "\"connected\": 7\n", "\"ok\": 7,\n"] {
        assert!(ended.stdout.contains(line), "{line:?} in {ended:?}");
    }
}

#[test]
fn a_list_of_permits_that_cannot_be_used_is_told_before_anything_is_sent() {
    let folder = Folder::new("lists");
    let two = folder.mint(&["--count", "2"]);
    let own_key = StaticKeys::from_secret([5; 32]).public().to_string();
    let no_secret = folder.mint(&["--client", &own_key]);
    assert!(!no_secret.contains('.'), "{no_secret}");
    let cases = [
        (
            format!("{two}\n{no_secret}\n"),
            "line 3: the permit comes without its client's secret",
        ),
        (format!("\n{two}\n\ngarbage\n"), "line 5: expected a permit"),
        (
            format!("{two}\n{two}\n"),
            "line 3: the same permit as in line 1",
        ),
        (two, "3 bots need as many permits, there are 2"),
        (String::new(), "no permit in it"),
        ("\n \n".to_owned(), "no permit in it"),
    ];
    for (text, told) in cases {
        let file = folder.write("list", &text);
        // Nothing listens there: a bot that asked would be told so, with another code.
        let ended = run(&["bots", "127.0.0.1:9", "-n", "3", "--permits", &file]);
        let line = failed_with(&ended, 2, told);
        assert!(!line.contains(text.get(..40).unwrap_or("\n")), "{line}");
    }
    let missing = folder.0.join("missing");
    let missing = missing.to_str().unwrap();
    let ended = run(&["bots", "127.0.0.1:9", "--permits", missing]);
    failed_with(&ended, 2, missing);
}

#[test]
fn what_makes_no_permit_is_a_wrong_value() {
    let folder = Folder::new("mint");
    let long = "x".repeat(129);
    let mint = |more: &[&str]| run(&[&["token", "mint", "--data", folder.data()], more].concat());
    let cases: [(&[&str], &str); 6] = [
        (&[], "--player"),
        (&["--player", ""], "1 to 32 bytes"),
        (&["--player", "ana", "--for", "0s"], "less than a second"),
        (&["--player", "ana", "--claims", &long], "at most 128 bytes"),
        (&["--player", "ana", "--id", "12"], "32 hexadecimal digits"),
        (&["--player", "ana", "--client", "12"], "12"),
    ];
    for (arguments, told) in cases {
        let ended = mint(arguments);
        failed_with(&ended, 2, told);
        assert_eq!(ended.stdout, "", "{arguments:?}");
    }
}

#[cfg(unix)]
mod reload {
    //! A server that is asked to read its keys again while it runs.

    use rejoin::client::Ended as RoomEnded;
    use rejoin::prelude::*;
    use rejoin::protocol::CloseReason;
    use rejoin::room::builtin::chat::Chat;

    use super::*;
    use crate::signal::signal;
    use crate::within_patience::within_patience;

    /// Sends SIGHUP and gives the line that the server logs of it.
    fn reload(server: &mut Process) -> String {
        signal(server.id(), "HUP");
        loop {
            let line = server.log_line();
            if line.contains("permit keys") {
                return line;
            }
        }
    }

    #[test]
    fn a_rotation_keeps_old_permits_good_until_the_third() {
        let folder = Folder::new("rotation");
        let (mut server, address) = folder.serve();
        let old = folder.mint(&[]);
        folder.rotate();
        let new = folder.mint(&[]);
        played(&folder.play(&address, &old));
        let early = folder.play(&address, &new);
        failed_with(&early, 7, "no permit key ");

        let line = reload(&mut server);
        assert!(
            line.contains(" INFO ") && line.contains("read again"),
            "{line}"
        );
        played(&folder.play(&address, &old));
        played(&folder.play(&address, &new));

        folder.rotate();
        reload(&mut server);
        played(&folder.play(&address, &old));
        folder.rotate();
        reload(&mut server);
        failed_with(&folder.play(&address, &old), 7, "no permit key ");
        played(&folder.play(&address, &new));
        played(&folder.play(&address, &folder.mint(&[])));
    }

    #[test]
    fn keys_that_cannot_be_used_change_nothing_and_the_log_says_why() {
        use std::os::unix::fs::PermissionsExt;
        let folder = Folder::new("broken");
        let (mut server, address) = folder.serve();
        let permit = folder.mint(&[]);
        let good = folder.permit_keys();
        let key = good.lines().next().unwrap();
        let file = folder.0.join("permit.keys");
        let cut = &key[..key.len() - 1];
        for (text, told) in [
            ("nonsense\n", "line 1: expected a key"),
            ("# nothing\n", "there is no key"),
            (&format!("{good}{cut}\n"), "line 2: expected a key"),
            (&good.repeat(2), "two keys have the id"),
        ] {
            folder.write("permit.keys", text);
            let line = reload(&mut server);
            assert!(line.contains(" WARN ") && line.contains(told), "{line}");
            assert!(line.contains("permit keys stay as they were"), "{line}");
            assert!(!line.contains(&cut[9..]), "the secret is not repeated");
        }
        fs::remove_file(&file).unwrap();
        assert!(reload(&mut server).contains(" WARN "));
        played(&folder.play(&address, &permit));

        folder.write("permit.keys", &good);
        let line = reload(&mut server);
        assert!(line.contains("chmod 600"), "a new file is open: {line}");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(reload(&mut server).contains(" INFO "));
        signal(server.id(), "TERM");
        assert_eq!(server.end().code, Some(0));
    }

    #[test]
    fn a_second_device_with_the_same_permit_id_takes_the_session_over() {
        let folder = Folder::new("device");
        let (_server, address) = folder.serve();
        let id = ["--id", "0123456789abcdef0123456789abcdef"];
        let [phone, tablet, other] = [folder.mint(&id), folder.mint(&id), folder.mint(&[])];
        assert_ne!(phone, tablet, "each has a key of its own");
        within_patience(async {
            let connect = async |permit: &str| {
                let credentials: Credentials = permit.parse().unwrap();
                Client::connect(&address, credentials).await.unwrap()
            };
            let phone = connect(&phone).await;
            let mut room = phone.join_or_create::<Chat>(JoinSpec::any()).await.unwrap();
            let other = connect(&other).await;
            let tablet = connect(&tablet).await;
            assert_eq!(tablet.session(), phone.session());
            assert_ne!(other.session(), phone.session());
            let ended = loop {
                if let RoomEvent::Ended(ended) = room.next().await.expect("it ends once") {
                    break ended;
                }
            };
            assert_eq!(ended, RoomEnded::Closed(CloseReason::Replaced));
        });
    }
}
