//! Settings as an operator meets them: real processes with a file, an environment and flags.

#[cfg(unix)]
mod signal;
mod support;

use std::fs;
use std::path::{Path, PathBuf};

#[cfg(unix)]
use signal::signal;
use support::{Ended, Process};

/// A folder of its own for one test, removed at its end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let name = format!("rejoin-settings-process-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).expect("a folder of this test's own");
        Self(path)
    }

    /// A file of settings, and its path.
    fn sheet(&self, text: &str) -> String {
        let path = self.0.join("rejoin.toml");
        fs::write(&path, text).expect("the folder is ours");
        path.display().to_string()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn start(variables: &[(&str, &str)], arguments: &[&str]) -> Process {
    Process::of(
        Path::new(env!("CARGO_BIN_EXE_rejoin")),
        variables,
        arguments,
    )
}

fn run(variables: &[(&str, &str)], arguments: &[&str]) -> Ended {
    start(variables, arguments).end()
}

/// Asserts a failure of code 2 and its one line.
#[track_caller]
fn refused(ended: &Ended) -> &str {
    assert_eq!(ended.code, Some(2), "{ended:?}");
    let line = ended.stderr.trim_end();
    assert_eq!(line.lines().count(), 1, "{ended:?}");
    line.strip_prefix("rejoin: ")
        .unwrap_or_else(|| panic!("{ended:?}"))
}

#[test]
fn a_server_listens_where_the_flag_says_then_the_variable_then_the_file() {
    let scratch = Scratch::new("bind");
    let sheet = scratch.sheet("bind = '127.0.0.2:0'\n");
    let bound = |variables: &[(&str, &str)], flags: &[&str]| {
        let mut arguments = vec!["serve", "--print-address", "--config", &sheet];
        arguments.extend(flags);
        start(variables, &arguments).line()
    };
    let variable = [("REJOIN_BIND", "127.0.0.3:0")];
    let told = bound(&[], &[]);
    assert!(told.contains("rejoin://127.0.0.2:"), "{told}");
    let told = bound(&variable, &[]);
    assert!(told.contains("rejoin://127.0.0.3:"), "{told}");
    let told = bound(&variable, &["--bind", "127.0.0.4:0"]);
    assert!(told.contains("rejoin://127.0.0.4:"), "{told}");
}

#[test]
fn a_limit_of_the_file_is_heeded_by_the_server() {
    let scratch = Scratch::new("limit");
    let sheet = scratch.sheet("[limits]\nsessions_max = 1\n");
    let variables = [("REJOIN_CONFIG", sheet.as_str())];
    let arguments = ["serve", "--bind", "127.0.0.1:0", "--print-address"];
    let mut server = start(&variables, &arguments);
    let line = server.line();
    let address = line.strip_prefix("listening on ").expect("an address");
    let bots = run(&[], &["bots", address, "-n", "2", "--for", "2s"]);
    assert_eq!(bots.code, Some(7), "{bots:?}");
}

#[cfg(unix)]
#[test]
fn what_is_logged_is_said_by_the_file_too() {
    let scratch = Scratch::new("log");
    let sheet = scratch.sheet("bind = '127.0.0.1:0'\nlog = 'error'\n");
    // Without `--log`, which the tests' processes have otherwise.
    let logged = |variables: &[(&str, &str)]| {
        let program = Path::new(env!("CARGO_BIN_EXE_rejoin"));
        let arguments = ["serve", "--print-address", "--config", &sheet];
        let mut server = Process::bare(program, variables, &arguments);
        server.line();
        signal(server.id(), "TERM");
        server.end().stderr
    };
    assert_eq!(logged(&[("RUST_LOG", "debug")]), "");
    assert!(logged(&[("REJOIN_LOG", "info")]).contains("stopped"));
}

#[test]
fn every_wrong_place_is_one_line_that_names_it() {
    let scratch = Scratch::new("wrong");
    let sheet = scratch.sheet("# ours\n[limits]\ninputs_per_sec = 5\n");
    let serve = ["serve", "--config", &sheet];
    let expected = format!(
        "{sheet}:3: no key is named `inputs_per_sec` in [limits]; did you mean `inputs_per_s`?"
    );
    assert_eq!(refused(&run(&[], &serve)), expected);
    for command in ["check", "show"] {
        let ended = run(&[("REJOIN_CONFIG", &sheet)], &["config", command]);
        assert_eq!(refused(&ended), expected);
    }
    let ended = run(&[("REJOIN_BIDN", "x")], &["serve"]);
    let told = refused(&ended);
    assert!(
        told.starts_with("REJOIN_BIDN: ") && told.contains("REJOIN_BIND"),
        "{told}"
    );
    let ended = run(&[], &["config", "check", "--limit", "input_per_s=5"]);
    let told = refused(&ended);
    assert!(
        told.contains("--limit") && told.contains("`inputs_per_s`"),
        "{told}"
    );
    let ended = run(&[], &["config", "check", "--bind", "127.0.0.1:http"]);
    let told = refused(&ended);
    assert_eq!(
        told,
        "--bind: 127.0.0.1:http: a port is a number from 0 to 65535"
    );
    // Other commands are no server's, and heed none of it.
    let version = run(
        &[("REJOIN_BIDN", "x")],
        &["simulate", "--seed", "1", "--seconds", "20"],
    );
    assert_eq!(version.code, Some(0), "{version:?}");
}

#[test]
fn a_check_finds_what_serve_would_refuse_and_makes_nothing() {
    let scratch = Scratch::new("check");
    let data = scratch.0.join("data").display().to_string();
    let sheet = scratch.sheet(&format!("bind = '0.0.0.0:7777'\ndata = '{data}'\n"));
    let refusal = run(&[], &["config", "check", "--config", &sheet]);
    assert!(
        refused(&refusal).starts_with(&format!("{sheet}:1: dev auth")),
        "{refusal:?}"
    );
    let fine = run(
        &[],
        &["config", "check", "--config", &sheet, "--auth", "token"],
    );
    assert_eq!(
        (fine.code, fine.stdout.as_str()),
        (Some(0), "ok\n"),
        "{fine:?}"
    );
    assert!(!Path::new(&data).exists());
    let homeless = [("HOME", ""), ("XDG_STATE_HOME", "")];
    let refusal = run(&homeless, &["config", "check", "--auth", "token"]);
    assert!(
        refused(&refusal).starts_with("no folder for the server's key"),
        "{refusal:?}"
    );
}

#[test]
fn what_is_shown_can_be_given_back() {
    let scratch = Scratch::new("show");
    let variables = [("REJOIN_LIMIT_SEAT_HOLD", "90s")];
    let flags = ["--bind", "127.0.0.9", "--limit", "rooms_max=7"];
    let shown = |variables: &[(&str, &str)], more: &[&str]| {
        let ended = run(variables, &[&["config", "show"], more].concat());
        assert_eq!(
            (ended.code, ended.stderr.as_str()),
            (Some(0), ""),
            "{ended:?}"
        );
        ended.stdout
    };
    let first = shown(&variables, &flags);
    for line in [
        "bind = \"127.0.0.9\"",
        "seat_hold = \"90s\"",
        "rooms_max = 7",
    ] {
        assert!(first.lines().any(|it| it == line), "{first}");
    }
    let sheet = scratch.sheet(&first);
    assert_eq!(shown(&[], &["--config", &sheet]), first);

    let with_origins = shown(&variables, &[&flags[..], &["--origin"]].concat());
    for (key, origin) in [
        ("bind", "--bind"),
        ("auth", "default"),
        ("rooms_max", "--limit"),
        ("seat_hold", "REJOIN_LIMIT_SEAT_HOLD"),
    ] {
        let line = with_origins.lines().find(|line| line.starts_with(key));
        assert!(
            line.is_some_and(|line| line.ends_with(&format!("# {origin}"))),
            "{with_origins}"
        );
    }
    let sheet = scratch.sheet(&with_origins);
    assert_eq!(shown(&[], &["--config", &sheet]), first);
}

#[test]
fn a_demo_is_told_nothing_of_what_is_meant_for_other_servers() {
    let variables = [("REJOIN_BIDN", "x"), ("REJOIN_AUTH", "token")];
    let demo = run(
        &variables,
        &["demo", "--for", "2s", "-n", "2", "--rooms", "1"],
    );
    assert_eq!(demo.code, Some(0), "{demo:?}");
}

#[test]
fn the_example_is_the_file_in_the_docs() {
    let ended = run(&[], &["config", "example"]);
    assert_eq!(ended.stdout, include_str!("../docs/rejoin.toml"));
}

#[test]
fn no_secret_is_shown() {
    let scratch = Scratch::new("secret");
    let data = scratch.0.display().to_string();
    let key = run(&[], &["key", "--data", &data]);
    assert_eq!(key.code, Some(0), "{key:?}");
    let secret = fs::read_to_string(scratch.0.join("server.key")).expect("it was made");
    for command in [&["config", "show", "--origin"][..], &["config", "check"]] {
        let ended = run(
            &[],
            &[command, &["--data", &data, "--auth", "token"]].concat(),
        );
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(!ended.stdout.contains(secret.trim()), "{ended:?}");
    }
}
