//! The command as a user meets it: real processes, real sockets, exit codes.

#[cfg(unix)]
mod signal;
mod support;
mod within_patience;

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rejoin::client;
use rejoin::prelude::*;
use rejoin::protocol::CloseReason;
use rejoin::room::builtin::arena::{self, Arena, Move};
use rejoin::room::builtin::chat::{Chat, Say};
#[cfg(unix)]
use signal::signal;
use support::{PATIENCE, Process};
use within_patience::within_patience;

/// Starts `rejoin`.
fn start(arguments: &[&str]) -> Process {
    Process::of(Path::new(env!("CARGO_BIN_EXE_rejoin")), &[], arguments)
}

/// Runs `rejoin` to its end.
fn run(arguments: &[&str]) -> support::Ended {
    start(arguments).end()
}

/// A server on a free loopback port, and its address.
fn serve(more: &[&str]) -> (Process, String) {
    let mut arguments = vec!["serve", "--bind", "127.0.0.1:0", "--print-address"];
    arguments.extend(more);
    let mut server = start(&arguments);
    let line = server.line();
    let address = line
        .strip_prefix("listening on ")
        .unwrap_or_else(|| panic!("{line:?}"));
    assert!(address.starts_with("rejoin://"), "{address}");
    (server, address.to_owned())
}

/// Asserts the promise of every failure: its code, and one line on standard error.
#[track_caller]
fn failed_with(ended: &support::Ended, code: i32) -> &str {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    let line = ended.stderr.trim_end();
    assert_eq!(line.lines().count(), 1, "{ended:?}");
    line.strip_prefix("rejoin: ")
        .unwrap_or_else(|| panic!("{ended:?}"))
}

async fn connect(address: &str, name: &str) -> Client {
    Client::connect(address, Permit::dev(name))
        .await
        .expect("the server takes players")
}

/// Waits for the first event that `wanted` takes.
async fn until<R: Room, T>(
    room: &mut RoomHandle<R>,
    mut wanted: impl FnMut(RoomEvent<R>) -> Option<T>,
) -> T {
    loop {
        let event = room.next().await.expect("the room is open");
        if let Some(found) = wanted(event) {
            return found;
        }
    }
}

#[test]
fn a_line_of_chat_reaches_the_other_player_through_a_real_server() {
    let (_server, address) = serve(&[]);
    within_patience(async {
        let ana = connect(&address, "ana").await;
        let bo = connect(&address, "bo").await;
        let mut anas = ana.join_or_create::<Chat>(JoinSpec::any()).await.unwrap();
        let mut bos = bo.join_or_create::<Chat>(JoinSpec::any()).await.unwrap();
        anas.send(Say {
            text: "hello".to_owned(),
        })
        .unwrap();
        for room in [&mut anas, &mut bos] {
            let line = until(room, |event| {
                let RoomEvent::Event(line) = event else {
                    return None;
                };
                Some(line)
            })
            .await;
            assert_eq!((line.from.as_str(), line.text.as_str()), ("ana", "hello"));
        }
    });
}

#[test]
fn the_arena_applies_every_reliable_input_once_and_in_order() {
    let (_server, address) = serve(&[]);
    within_patience(async {
        let client = connect(&address, "ana").await;
        let mut room = client
            .join_or_create::<Arena>(JoinSpec::any())
            .await
            .unwrap();
        let player = room.player();
        let mut expected = 0;
        for number in 1..=200 {
            let input = Move(0.5, -0.5, number, true);
            expected = arena::chain(expected, &input);
            room.send(input).unwrap();
        }
        let runner = until(&mut room, |event| {
            let RoomEvent::View(field) = event else {
                return None;
            };
            field
                .players
                .into_iter()
                .find(|runner| runner.player == player && runner.count >= 200)
        })
        .await;
        assert_eq!((runner.count, runner.chain), (200, expected));
    });
}

#[test]
fn a_busy_port_is_one_clear_line_and_its_owner_keeps_all_traffic() {
    let (_server, address) = serve(&[]);
    let bind = address.trim_start_matches("rejoin://").to_owned();
    let second = run(&["serve", "--bind", &bind]);
    let line = failed_with(&second, 3).to_owned();
    assert_eq!(line, format!("{bind} is in use by another process"));
    within_patience(async {
        for number in 0..20 {
            // Half of these would time out if the second server had taken half the traffic.
            connect(&address, &format!("player {number}")).await;
        }
    });
}

#[test]
fn a_data_folder_that_cannot_be_made_is_named() {
    let folder = "/dev/null/rejoin";
    let ended = run(&["serve", "--bind", "127.0.0.1:0", "--data", folder]);
    assert!(failed_with(&ended, 2).contains(folder), "{ended:?}");
}

#[test]
fn dev_auth_on_a_public_address_is_refused_with_the_commands_that_work() {
    let refused = run(&["serve", "--bind", "0.0.0.0:0"]);
    let line = failed_with(&refused, 2);
    for command in [
        "`rejoin serve --bind 0.0.0.0:0 --auth token`",
        "`rejoin token mint --player NAME | rejoin bots rejoin://KEY@HOST:0 --permits -`",
    ] {
        assert!(line.contains(command), "{line}");
    }
}

#[test]
fn wrong_flags_and_values_are_one_line_that_names_them() {
    let cases: [(&[&str], &str); 12] = [
        (&["serve", "--bidn", "x"], "--bidn"),
        (&["serve", "--bind", "127.0.0.1:http"], "127.0.0.1:http"),
        (&["bots", "--for", "soon"], "soon"),
        (&["bots", "--for", "0s"], "--for 0ns"),
        (&["bots", "--for", "1ms"], "--for 1ms"),
        (&["demo", "--for", "33ms"], "--for 33ms"),
        (&["bots", "--behaviour", "idle", "--kind", "chat"], "--kind"),
        (
            &["bots", "--json", "/dev/null/x", "--for", "1s"],
            "--json /dev/null/x",
        ),
        (
            &["bots", "--check", "rtts.p99<1ms"],
            "did you mean `rtt.p99`?",
        ),
        (&["bots", "rejoin://"], "rejoin://"),
        (&["bots", "--kind", "tetris", "--for", "1s"], "tetris"),
        (&["dance"], "dance"),
    ];
    for (arguments, named) in cases {
        let ended = run(arguments);
        assert!(
            failed_with(&ended, 2).contains(named),
            "{arguments:?}: {ended:?}"
        );
    }
}

#[test]
fn help_and_version_are_answers_and_a_bare_command_is_not() {
    let version = run(&["--version"]);
    assert_eq!(version.code, Some(0));
    assert_eq!(
        version.stdout,
        concat!("rejoin ", env!("CARGO_PKG_VERSION"), "\n")
    );
    let help = run(&["--help"]);
    assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""));
    assert!(help.stdout.contains("simulate"), "{help:?}");
    let bare = run(&[]);
    assert_eq!((bare.code, bare.stdout.as_str()), (Some(2), ""));
    assert!(bare.stderr.contains("simulate"), "{bare:?}");
}

#[test]
fn a_server_that_does_not_answer_is_unreachable() {
    // Owned by this test, so that nobody else can answer on its port.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let ended = run(&["bots", &address, "-n", "2", "--for", "1s"]);
    let line = failed_with(&ended, 4);
    assert!(line.contains("no answer"), "{line}");
}

#[test]
fn a_server_of_another_version_is_named_as_the_one_to_update() {
    const VERSION_REFUSAL: u8 = 0x43;
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    let address = server.local_addr().unwrap().to_string();
    let bots = start(&["bots", &address, "-n", "1", "--for", "1s"]);
    // A server that only speaks version 0 answers the hello's MAC1 with its range.
    let mut hello = [0; 2048];
    let (len, from) = server.recv_from(&mut hello).unwrap();
    assert_eq!(len, 1200);
    let mut answer = vec![VERSION_REFUSAL];
    answer.extend(&hello[8..24]);
    answer.extend([0, 0]);
    server.send_to(&answer, from).unwrap();
    let ended = bots.end();
    let line = failed_with(&ended, 5);
    assert!(line.contains("update the server"), "{line}");
}

#[cfg(unix)]
/// Bots that all have a seat in an arena of this server, as its list of rooms tells.
fn seated_bots(address: &str, count: u16) -> Process {
    let asked = ["bots", address, "-n", &count.to_string(), "--for", "5m"];
    let bots = start(&[&asked[..], &["--resume-for", "0s"]].concat());
    within_patience(async {
        let watcher = connect(address, "watcher").await;
        let mut seated = 0;
        while seated < count {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let rooms = watcher.list(Some(Arena::KIND), Vec::new()).await;
            seated = rooms
                .expect("the server lists rooms")
                .iter()
                .map(|room| room.members)
                .sum();
        }
    });
    bots
}

#[cfg(unix)]
#[test]
fn bots_whose_server_is_killed_say_that_the_connection_was_lost() {
    let (server, address) = serve(&[]);
    let bots = seated_bots(&address, 4);
    signal(server.id(), "KILL");
    failed_with(&bots.end(), 6);
}

#[cfg(unix)]
#[test]
fn a_server_asked_to_stop_tells_its_players_and_succeeds() {
    for name in ["TERM", "INT"] {
        let (server, address) = serve(&[]);
        within_patience(async {
            let client = connect(&address, "ana").await;
            let mut room = client
                .join_or_create::<Chat>(JoinSpec::any())
                .await
                .unwrap();
            signal(server.id(), name);
            // It comes back if another server takes the place of this one.
            let loss = until(&mut room, |event| {
                let RoomEvent::Away(loss) = event else {
                    return None;
                };
                Some(loss)
            })
            .await;
            assert_eq!(loss, client::Loss::Closed(CloseReason::ServerStopping));
        });
        let ended = server.end();
        assert_eq!(
            (ended.code, ended.stderr.as_str()),
            (Some(0), ""),
            "{ended:?}"
        );
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_server_whose_log_cannot_be_written_serves_on() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
    let program = Path::new(env!("CARGO_BIN_EXE_rejoin"));
    let log = ["--log", "trace"];
    let serve = ["serve", "--bind", "127.0.0.1:0", "--print-address"];
    let arguments = [&log[..], &serve].concat();
    let mut server = Process::with(program, &[], &arguments, full.unwrap().into());
    let line = server.line();
    let address = line.strip_prefix("listening on ").unwrap();
    let patient = ["--lateness-max", "1m"];
    let bots = run(&[
        &["bots", address, "-n", "2", "--for", "500ms"],
        &patient[..],
    ]
    .concat());
    assert_eq!(bots.code, Some(0), "{bots:?}");
    signal(server.id(), "TERM");
    assert_eq!(server.end().code, Some(0));
}

#[cfg(target_os = "linux")]
#[test]
fn a_result_that_cannot_be_written_is_no_success() {
    let program = env!("CARGO_BIN_EXE_rejoin");
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
    let ended = std::process::Command::new(program)
        .args(["simulate", "--seed", "1", "--seconds", "20"])
        .stdout(full.unwrap())
        .output()
        .unwrap();
    let told = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(70), "{told}");
    assert!(told.contains("standard output cannot be written"), "{told}");
}

#[cfg(unix)]
#[test]
fn a_dev_server_that_is_asked_to_read_its_keys_again_serves_on() {
    let (mut server, address) = serve(&["--log", "warn"]);
    signal(server.id(), "HUP");
    assert!(server.log_line().contains("there is no data folder"));
    within_patience(async { connect(&address, "ana").await });
    signal(server.id(), "TERM");
    assert_eq!(server.end().code, Some(0));
}

#[test]
fn bots_that_find_a_full_server_say_that_it_refused_them() {
    let (_server, address) = serve(&["--limit", "sessions_max=2"]);
    let bots = run(&["bots", &address, "-n", "8", "--for", "500ms"]);
    failed_with(&bots, 7);
}

#[test]
fn a_server_dies_with_its_parent_if_told_to() {
    let (mut server, address) = serve(&["--until-stdin-closes"]);
    within_patience(async { connect(&address, "ana").await });
    server.close_stdin();
    let ended = server.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn a_server_without_standard_input_serves_on() {
    let (mut server, address) = serve(&[]);
    server.close_stdin();
    within_patience(async { connect(&address, "ana").await });
}

/// A folder that is removed when its test ends.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("rejoin-{}-{name}", std::process::id())))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

#[test]
fn a_server_with_a_data_folder_keeps_its_key_over_restarts() {
    let folder = Folder::new("keeps-its-key");
    let data = ["--data", folder.0.to_str().unwrap()];
    let shown = run(&["key", data[0], data[1]]);
    let key = shown.stdout.lines().next().unwrap();
    assert_eq!((shown.code, key.len()), (Some(0), 43), "{shown:?}");
    assert!(
        shown.stdout.contains(&format!("rejoin://{key}@")),
        "{shown:?}"
    );
    for _ in 0..2 {
        let (_server, address) = serve(&data);
        assert!(
            address.starts_with(&format!("rejoin://{key}@127.0.0.1:")),
            "{address}"
        );
        within_patience(async { connect(&address, "ana").await });
    }
}
