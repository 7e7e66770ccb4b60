//! The drawing of a run on a real pseudo terminal, which `script` of util-linux makes.
#![cfg(target_os = "linux")]

mod support;

use std::path::Path;

use support::{Ended, Process};

const HIDE: &str = "\u{1b}[?25l";
const SHOW: &str = "\u{1b}[?25h";

/// A server, and its address.
fn serve() -> (Process, String) {
    let program = Path::new(env!("CARGO_BIN_EXE_rejoin"));
    let arguments = ["serve", "--bind", "127.0.0.1:0", "--print-address"];
    let mut server = Process::of(program, &[], &arguments);
    let line = server.line();
    let address = line.strip_prefix("listening on ").expect("it listens");
    (server, address.to_owned())
}

/// What a shell on a terminal of this kind shows of bots, and how they end; it does `before` first, and
/// `more` follows their command.
fn on_a_terminal(kind: &str, before: &str, more: &str) -> Ended {
    let (_server, address) = serve();
    let program = env!("CARGO_BIN_EXE_rejoin");
    let command = format!("{before}; '{program}' bots {address} -n 4 --lateness-max 1m {more}");
    let arguments = ["--return", "--quiet", "--command", &command, "/dev/null"];
    let variables = [("TERM", kind), ("SHELL", "/bin/sh")];
    Process::bare(Path::new("script"), &variables, &arguments).end()
}

const WIDE: &str = "stty cols 80 rows 24";

#[test]
fn a_run_is_drawn_in_place_and_the_result_stays() {
    let ended = on_a_terminal("xterm", "stty cols 60 rows 24", "--for 1s");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let shown = &ended.stdout;
    assert!(shown.contains(HIDE), "{shown:?}");
    assert!(shown.contains("4 of 4 have a seat"), "{shown:?}");
    assert!(shown.contains("failures    none"), "{shown:?}");
    assert_eq!(ended.stderr, "");
    // What is left is the result, below what was said before, with a cursor.
    let (drawn, rest) = shown.rsplit_once(SHOW).expect("the cursor comes back");
    assert!(drawn.ends_with("\u{1b}[6A\u{1b}[J"), "{drawn:?}");
    assert!(
        rest.starts_with("bots        4 of 4 took a seat"),
        "{rest:?}"
    );
    assert!(rest.contains("checks      all held"), "{rest:?}");
    assert!(!rest.contains('\u{1b}'), "{rest:?}");
    let bar = |line: &str| line.chars().filter(|c| "━─".contains(*c)).count();
    let widest = shown.lines().map(bar).max();
    // What is left of 60 columns beside the words.
    assert!(
        widest.is_some_and(|bar| (30..40).contains(&bar)),
        "{shown:?}"
    );
}

#[test]
fn colours_are_for_those_who_did_not_say_no() {
    // A terminal that was told no size is drawn on all the same.
    let shown = |before: &str| {
        let ended = on_a_terminal("xterm", before, "--for 1s");
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.stdout.contains("4 of 4 have a seat"), "{ended:?}");
        ended.stdout.contains("\u{1b}[38;5;")
    };
    assert!(shown("unset NO_COLOR"));
    assert!(!shown("export NO_COLOR=1"));
}

#[test]
fn a_terminal_that_cannot_be_drawn_on_gets_lines() {
    for (kind, more) in [("dumb", "--for 1s"), ("xterm", "--for 1s | cat")] {
        let ended = on_a_terminal(kind, WIDE, more);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(!ended.stdout.contains('\u{1b}'), "{ended:?}");
        assert!(ended.stdout.contains("\nplaying "), "{ended:?}");
    }
}

#[test]
fn a_result_alone_on_standard_output_leaves_the_terminal_to_the_drawing() {
    let ended = on_a_terminal(
        "xterm",
        WIDE,
        "--for 1s --json - | grep -c '\"schema\": 1,$'",
    );
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let (_, rest) = ended.stdout.rsplit_once(SHOW).expect("it was drawn");
    assert_eq!(rest.trim(), "1", "{ended:?}");
}

#[test]
fn a_run_that_is_broken_off_gives_the_cursor_back() {
    // Ctrl-C is this signal. It is said again, should the first be too early to be heard.
    let more = "--for 1h & while sleep 3; do kill -INT $! || break; done 2>/dev/null; wait $!";
    let ended = on_a_terminal("xterm", WIDE, more);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let (_, rest) = ended.stdout.rsplit_once(SHOW).expect("it was drawn");
    assert!(rest.contains("checks      all held"), "{rest:?}");
}
