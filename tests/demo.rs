//! The demo as a real process, without a terminal.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// Far longer than anything here takes, so that it only ends what hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A demo under way. It is killed when its test ends.
struct Demo {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

/// What a demo left behind.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Demo {
    fn start(play_for: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_rejoin"))
            .args(["demo", "--for", play_for])
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary under test starts");
        let stdout = child.stdout.take().expect("standard output is a pipe");
        Self {
            child,
            stdout: BufReader::new(stdout),
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        let read = self.stdout.read_line(&mut line);
        assert!(read.is_ok_and(|len| len > 0), "the demo ended early");
        line.trim_end().to_owned()
    }

    /// The process id of its server, from its first line.
    #[cfg(unix)]
    fn server(&mut self) -> u32 {
        let line = self.line();
        let number = line.rsplit(' ').next().and_then(|word| word.parse().ok());
        number.unwrap_or_else(|| panic!("{line:?}"))
    }

    fn end(mut self) -> Ended {
        let stdout = read_all(&mut self.stdout);
        let mut stderr = self.child.stderr.take().expect("standard error is a pipe");
        let stderr = read_all(&mut stderr);
        let status = self.child.wait().expect("the process is ours");
        Ended {
            code: status.code(),
            stdout,
            stderr,
        }
    }
}

fn read_all(from: &mut impl Read) -> String {
    let mut text = String::new();
    from.read_to_string(&mut text)
        .expect("the binary writes UTF-8");
    text
}

impl Drop for Demo {
    fn drop(&mut self) {
        // An error says that it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn the_demo_plays_ends_by_itself_and_all_is_well() {
    let ended = Demo::start("3s").end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.stdout.contains("48 of 48 took a seat in 6 rooms"),
        "{ended:?}"
    );
    assert!(ended.stdout.contains("checks      all held"), "{ended:?}");
    assert!(
        !ended.stdout.contains('\u{1b}'),
        "no escape sequences without a terminal: {ended:?}"
    );
    assert_eq!(ended.stderr, "");
}

#[cfg(target_os = "linux")]
#[test]
fn a_killed_demo_takes_its_server_with_it() {
    let mut demo = Demo::start("60s");
    let server = demo.server();
    while !demo.line().starts_with("playing") {}
    assert!(runs(server), "the server runs while the demo does");
    demo.child.kill().unwrap();
    let start = Instant::now();
    while runs(server) {
        assert!(
            start.elapsed() < PATIENCE,
            "server {server} outlived its demo"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[cfg(unix)]
#[test]
fn a_terminated_demo_ends_early_and_is_still_checked() {
    let mut demo = Demo::start("60s");
    demo.server();
    while !demo.line().starts_with("playing") {}
    let start = Instant::now();
    let id = demo.child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-s", "TERM", &id])
            .status()
            .unwrap()
            .success()
    );
    let ended = demo.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("checks      all held"), "{ended:?}");
    assert!(start.elapsed() < Duration::from_secs(30), "{ended:?}");
}

/// A demo whose server was killed says so, and does not call it a success.
#[cfg(unix)]
#[test]
fn a_demo_that_loses_its_server_fails() {
    let mut demo = Demo::start("60s");
    let server = demo.server().to_string();
    while !demo.line().starts_with("playing") {}
    assert!(
        Command::new("kill")
            .args(["-s", "KILL", &server])
            .status()
            .unwrap()
            .success()
    );
    let ended = demo.end();
    assert_eq!(ended.code, Some(6), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
}

/// True while a process runs: one that ended but was not waited for does not.
#[cfg(target_os = "linux")]
fn runs(process: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let state = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}
