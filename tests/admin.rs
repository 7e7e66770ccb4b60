//! The operators' port of a real server.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected fails")]

#[cfg(unix)]
mod signal;
#[allow(dead_code, reason = "not every test needs all of it")]
mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use support::{Ended, Process};

fn start(arguments: &[&str]) -> Process {
    Process::of(Path::new(env!("CARGO_BIN_EXE_rejoin")), &[], arguments)
}

/// A server that answers operators, its own address, and theirs.
fn serve() -> (Process, String, String) {
    let mut server = start(&[
        "--log",
        "info",
        "serve",
        "--bind",
        "127.0.0.1:0",
        "--print-address",
        "--admin",
        "127.0.0.1:0",
    ]);
    let line = server.line();
    let address = line.strip_prefix("listening on ").unwrap().to_owned();
    let admin = loop {
        let line = server.log_line();
        if let Some((_, admin)) = line.split_once("operators ask at http://") {
            break admin.to_owned();
        }
    };
    (server, address, admin)
}

/// Asks for a path under a host's name. Gives the number of the answer, and its body.
fn ask(admin: &str, path: &str, host: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(admin).unwrap();
    stream.set_read_timeout(Some(support::PATIENCE)).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let number = head.split(' ').nth(1).unwrap().parse().unwrap();
    (number, body.to_owned())
}

fn get(admin: &str, path: &str) -> (u16, String) {
    ask(admin, path, admin)
}

/// The figure of a metric.
fn metric(page: &str, name: &str) -> u64 {
    let line = page
        .lines()
        .find(|line| line.starts_with(&format!("{name}{{")));
    line.unwrap().rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn operators_see_that_a_server_lives_what_it_does_and_its_rooms() {
    let (server, address, admin) = serve();
    assert_eq!(get(&admin, "/livez"), (200, "ok\n".to_owned()));
    assert_eq!(get(&admin, "/readyz"), (200, "ok\n".to_owned()));
    assert_eq!(
        get(&admin, "/rooms").1.trim(),
        r#"{"private":0,"rooms":[]}"#
    );

    let bots = start(&["bots", &address, "-n", "6", "--rooms", "2", "--for", "3s"]);
    let rooms: serde_json::Value = loop {
        let page = serde_json::from_str(&get(&admin, "/rooms").1).unwrap();
        let rooms: &serde_json::Value = &page;
        let members = |room: &serde_json::Value| room["members"].as_u64().unwrap();
        if rooms["rooms"]
            .as_array()
            .unwrap()
            .iter()
            .map(members)
            .sum::<u64>()
            == 6
        {
            break page;
        }
    };
    let first = &rooms["rooms"][0];
    assert_eq!(
        (&first["kind"], &first["shard"]),
        (&"arena".into(), &0.into())
    );
    let ended = bots.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    // At most as old as the status is.
    let page = loop {
        let (_, page) = get(&admin, "/metrics");
        if metric(&page, "rejoin_sessions") == 0 {
            break page;
        }
    };
    assert_eq!(metric(&page, "rejoin_joins_total"), 6);
    assert!(metric(&page, "rejoin_inputs_total") > 100);
    assert!(!page.contains("arena"), "no room is in a label");

    assert_eq!(get(&admin, "/elsewhere").0, 404);
    assert_eq!(ask(&admin, "/rooms", "evil.example").0, 403);
    #[cfg(unix)]
    {
        signal::signal(server.id(), "TERM");
        assert_eq!(server.end().code, Some(0));
        assert!(TcpStream::connect(&admin).is_err());
    }
}

fn failed_with(ended: &Ended, code: i32, words: &str) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    assert_eq!(ended.stderr.trim_end().lines().count(), 1, "{ended:?}");
    assert!(ended.stderr.contains(words), "{ended:?}");
}

#[test]
fn a_port_that_is_busy_or_public_is_refused_at_the_start() {
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = busy.local_addr().unwrap().to_string();
    for (admin, code, words) in [
        (
            taken.as_str(),
            3,
            "cannot listen for operators on 127.0.0.1:",
        ),
        ("0.0.0.0:9090", 2, "use a loopback address"),
        ("nowhere", 2, "nowhere"),
    ] {
        let server = start(&["serve", "--bind", "127.0.0.1:0", "--admin", admin]);
        failed_with(&server.end(), code, words);
    }
}
