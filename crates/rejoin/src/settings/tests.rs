//! Claims about settings that need no process.

use std::fs;
use std::path::Path;

use rejoin_room::Durability;

mod docs;

use super::*;
use crate::settings::keys::Place;

/// A file of its own for one test, removed at its end.
struct Sheet(PathBuf);

impl Sheet {
    fn new(name: &str, text: impl AsRef<[u8]>) -> Self {
        let name = format!("rejoin-settings-{}-{name}.toml", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, text).unwrap();
        Self(path)
    }
}

impl Drop for Sheet {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

fn flags(config: Option<&Path>) -> SettingsArgs {
    SettingsArgs {
        config: config.map(Path::to_owned),
        ..SettingsArgs::default()
    }
}

fn variables(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    pairs
        .iter()
        .map(|(name, value)| (OsString::from(name), OsString::from(value)))
        .collect()
}

fn from_variables(pairs: &[(&str, &str)]) -> Result<Loaded, SettingsError> {
    load(&flags(None), None, variables(pairs))
}

/// What is said of a file with this text, without its folder.
fn told(name: &str, text: impl AsRef<[u8]>) -> String {
    let sheet = Sheet::new(name, text);
    let error = load(&flags(Some(&sheet.0)), None, []).and_then(|loaded| loaded.check().map(drop));
    let text = error.unwrap_err().to_string();
    assert!(!text.contains('\n'), "{text}");
    text.replace(&sheet.0.display().to_string(), "F")
}

#[test]
fn a_flag_goes_before_a_variable_before_the_file_before_the_default() {
    let sheet = Sheet::new(
        "precedence",
        "auth = 'token'\ndata = 'file'\nlog = 'warn'\n\n[limits]\nrooms_max = 1\ninputs_per_s = 1\nseat_hold = '1s'\n",
    );
    let environment = variables(&[
        ("PATH", "/bin"),
        ("REJOIN_DATA", "variable"),
        ("REJOIN_LOG", "error"),
        ("REJOIN_ADMIN", "127.0.0.1:9"),
        ("REJOIN_SHARDS", "3"),
        ("REJOIN_LIMIT_INPUTS_PER_S", "2"),
        ("REJOIN_LIMIT_SEAT_HOLD", "2s"),
    ]);
    let mut flags = flags(Some(&sheet.0));
    flags.limits = vec!["seat_hold=3s".to_owned(), "seat_hold=4s".to_owned()];
    let loaded = load(&flags, Some(LevelFilter::DEBUG), environment).unwrap();

    let mut expected = Settings {
        auth: AuthMode::Token,
        data: Some(PathBuf::from("variable")),
        admin: Some(([127, 0, 0, 1], 9).into()),
        shards: 3.try_into().unwrap(),
        log: Some(LevelFilter::DEBUG),
        ..Settings::default()
    };
    expected.limits.rooms_max = 1;
    expected.limits.budgets.inputs_per_s = 2;
    expected.limits.seat_hold = std::time::Duration::from_secs(4);
    assert_eq!(loaded.settings, expected);
    let file = sheet.0.display();
    for (path, origin) in [
        ("bind", "default".to_owned()),
        ("auth", format!("{file}:1")),
        ("data", "REJOIN_DATA".to_owned()),
        ("admin", "REJOIN_ADMIN".to_owned()),
        ("shards", "REJOIN_SHARDS".to_owned()),
        ("log", "--log".to_owned()),
        ("limits.rooms_max", format!("{file}:6")),
        (
            "limits.inputs_per_s",
            "REJOIN_LIMIT_INPUTS_PER_S".to_owned(),
        ),
        ("limits.seat_hold", "--limit".to_owned()),
    ] {
        assert_eq!(loaded.origin(path).to_string(), origin);
    }
}

#[test]
fn what_is_shown_can_be_given_back_and_means_the_same() {
    let mut odd = Loaded::default();
    odd.settings.data = Some(PathBuf::from("a \"folder\"\\\t\u{7f}é"));
    for key in odd.settings.keys() {
        if let Place::Limit(mut limit) = key.place {
            let other = if limit.unit == "time" {
                "2001ms"
            } else {
                "2001"
            };
            limit.set(other).unwrap();
        }
    }
    for (name, loaded) in [("default", Loaded::default()), ("odd", odd)] {
        for with_origins in [false, true] {
            let sheet = Sheet::new(name, show(&loaded, with_origins));
            let again = load(&flags(Some(&sheet.0)), None, []).unwrap();
            assert_eq!(again.settings, loaded.settings);
        }
    }
}

#[test]
fn every_key_can_be_set_by_its_variable_and_by_the_file() {
    let mut settings = Settings::default();
    for key in settings.keys() {
        let text = match (&key.place, key.is_number()) {
            (Place::Admin(_), _) => "127.0.0.1:7777",
            (Place::Auth(_), _) => "token",
            (Place::Durability(_), _) => "synced",
            (Place::Switch(_), _) => "true",
            (Place::Level(_), _) => "trace",
            (Place::Shards(_), _) => "7",
            (Place::Address(_) | Place::Folder(_), _) => "127.0.0.2",
            (Place::Limit(_), true) => "7777",
            (Place::Limit(_), false) => "7777s",
        };
        let variable = key.variable();
        let by_variable = from_variables(&[(&variable, text)]).unwrap();
        assert_ne!(by_variable.settings, Settings::default(), "{variable}");
        let table = key
            .table
            .map(|name| format!("[{name}]\n"))
            .unwrap_or_default();
        let quote = if key.is_number() || key.is_switch() {
            ""
        } else {
            "'"
        };
        let sheet = Sheet::new(
            &format!("every-{}", key.name),
            format!("{table}{} = {quote}{text}{quote}", key.name),
        );
        let by_file = load(&flags(Some(&sheet.0)), None, []).unwrap();
        assert_eq!(by_file.settings, by_variable.settings, "{variable}");
    }
}

/// Files with one thing wrong, and what is told of each.
const WRONG_FILES: [(&str, &str); 31] = [
    (
        "check_determinism = 'on'",
        "F:1: check_determinism takes true or false, not a text",
    ),
    (
        "# ours\n\n[limits]\nrooms_max = 5\n\n\ninputs_per_sec = 9\n",
        "F:7: no key is named `inputs_per_sec` in [limits]; did you mean `inputs_per_s`?",
    ),
    (
        "bidn = 'x'",
        "F:1: no key is named `bidn`; did you mean `bind`?",
    ),
    (
        "\nlimit.a = 1",
        "F:2: no key is named `limit`; did you mean `limits`?",
    ),
    (
        "inputs_per_s = 5",
        "F:1: no key is named `inputs_per_s`; it belongs into [limits]",
    ),
    (
        "[limits]\nbind = '::1'",
        "F:2: no key is named `bind` in [limits]; it belongs to the top, before [limits]",
    ),
    (
        "colour = 1",
        "F:1: no key is named `colour`; `config example` has them all",
    ),
    (
        "\"a\\nb\" = 1",
        "F:1: no key is named `a\\nb`; `config example` has them all",
    ),
    (
        "limits = 5",
        "F:1: limits takes a table, [limits], not a number",
    ),
    (
        "[[limits]]",
        "F:1: limits takes a table, [limits], not a list",
    ),
    (
        "bind = 7777",
        "F:1: bind takes a text in quotes, not a number",
    ),
    (
        "bind.port = 7",
        "F:1: bind takes a text in quotes, not a table",
    ),
    (
        "[limits]\nseat_hold = 120",
        "F:2: seat_hold takes a text in quotes, not a number",
    ),
    (
        "[limits]\nrooms_max = '5'",
        "F:2: rooms_max takes a whole number, not a text",
    ),
    (
        "[limits]\nrooms_max = 5.0",
        "F:2: rooms_max takes a whole number, not a fraction",
    ),
    (
        "[limits]\nrooms_max = true",
        "F:2: rooms_max takes a whole number, not true or false",
    ),
    (
        "[limits]\nrooms_max = 0",
        "F:2: rooms_max must be 1 to 1,000,000",
    ),
    (
        "[limits]\nrooms_max = -5",
        "F:2: rooms_max must be 1 to 1,000,000",
    ),
    (
        "[limits]\nrooms_max = 99999999999999999999999999",
        "F:2: rooms_max must be 1 to 1,000,000",
    ),
    (
        "[limits]\nrooms_max = 0xFFFFFFFFFF",
        "F:2: rooms_max must be 1 to 1,000,000",
    ),
    ("auth = 'none'", "F:1: auth is dev or token, not `none`"),
    (
        "log = ''",
        "F:1: log is off, error, warn, info, debug or trace, not ``",
    ),
    (
        "admin = '127.0.0.1'",
        "F:1: admin is an address and port, not `127.0.0.1`",
    ),
    (
        "admin = '0.0.0.0:9'",
        "F:1: the operators' port lets everyone read, so it does not listen on the public 0.0.0.0:9; use a \
         loopback address, and a proxy that asks who it is",
    ),
    ("shards = 0", "F:1: shards is 1 to 64, not `0`"),
    ("shards = 65", "F:1: shards is 1 to 64, not `65`"),
    (
        "data = ''",
        "F:1: data is empty: leave it out or name a place",
    ),
    (
        "bind = '127.0.0.1:http'",
        "F:1: 127.0.0.1:http: a port is a number from 0 to 65535",
    ),
    ("auth = 'dev'\n\nauth = 'dev'", "F:3: `auth` is there twice"),
    (
        "[limits]\nseats_burst = 1\n\n[limits]\n",
        "F:4: `limits` is there twice",
    ),
    // The first in the file's order, not in that of the alphabet.
    (
        "zzz = 1\naaa = 1",
        "F:1: no key is named `zzz`; `config example` has them all",
    ),
];

#[test]
fn what_is_wrong_in_a_file_is_told_with_its_line() {
    let long = format!("\"{}\" = 1", "k".repeat(10_000));
    for (index, (text, expected)) in WRONG_FILES.into_iter().enumerate() {
        assert_eq!(told(&format!("wrong-{index}"), text), expected);
    }
    let cut = told("long", long);
    assert!(cut.len() < 200 && cut.contains('…'), "{cut}");
    for (name, text) in [
        ("a", "\n\nbind ="),
        ("b", "\n\nbind"),
        ("c", "\n\n[limits\n"),
        ("d", "\n\n= 3"),
    ] {
        let told = told(name, text);
        assert!(told.starts_with("F:3: "), "{told}");
    }
    let sheet = Sheet::new("two\nlines", "bidn = 1");
    let told_in = load(&flags(Some(&sheet.0)), None, [])
        .unwrap_err()
        .to_string();
    assert!(told_in.contains("-two?lines.toml:1: no key"), "{told_in}");
    let public = told("public", "# all\nbind = '0.0.0.0:9'");
    assert!(
        public.starts_with("F:2: dev auth lets everyone in"),
        "{public}"
    );
}

#[test]
fn what_is_no_file_of_settings_is_told_and_not_waited_for() {
    assert_eq!(told("bytes", b"# a\n\xff\n"), "F:2: is no UTF-8");
    let most = usize::try_from(file::LEN_MAX).unwrap();
    let sheet = Sheet::new("full", "#".repeat(most));
    assert!(load(&flags(Some(&sheet.0)), None, []).is_ok());
    let told_long = told("longer", "#".repeat(most + 1));
    assert!(
        told_long.starts_with("F: is longer than 65536 bytes"),
        "{told_long}"
    );

    let refused = |path: &Path| load(&flags(Some(path)), None, []).unwrap_err().to_string();
    let folder = std::env::temp_dir();
    assert_eq!(
        refused(&folder),
        format!("{}: is no plain file", folder.display())
    );
    let missing = folder.join("rejoin-is-not-there.toml");
    let text = refused(&missing);
    assert!(
        text.starts_with(&format!("{}: cannot be read: ", missing.display())),
        "{text}"
    );
    let named = missing.to_str().unwrap();
    let text = from_variables(&[("REJOIN_CONFIG", named)])
        .unwrap_err()
        .to_string();
    assert!(text.ends_with("(REJOIN_CONFIG names this file)"), "{text}");
    #[cfg(unix)]
    {
        let pipe = folder.join(format!("rejoin-settings-{}.pipe", std::process::id()));
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let text = refused(&pipe);
        fs::remove_file(&pipe).unwrap();
        assert!(text.ends_with(": is no plain file"), "{text}");
    }
}

#[test]
fn what_is_wrong_in_the_environment_is_told_with_the_variable() {
    for (name, value, expected) in [
        (
            "REJOIN_BIDN",
            "x",
            "REJOIN_BIDN: no setting has this variable; did you mean `REJOIN_BIND`?",
        ),
        (
            "REJOIN_LIMIT_INPUT_PER_S",
            "5",
            "REJOIN_LIMIT_INPUT_PER_S: no setting has this variable; did you mean `REJOIN_LIMIT_INPUTS_PER_S`?",
        ),
        (
            "REJOIN_SEAT_HOLD",
            "5s",
            "REJOIN_SEAT_HOLD: no setting has this variable; did you mean `REJOIN_LIMIT_SEAT_HOLD`?",
        ),
        (
            "REJOIN_FOO",
            "5",
            "REJOIN_FOO: no setting has this variable; `config example` names them all",
        ),
        (
            "REJOIN_BIND",
            "",
            "REJOIN_BIND: : expected an address such as 127.0.0.1:7777 or [::1]:7777",
        ),
        (
            "REJOIN_CONFIG",
            "",
            "REJOIN_CONFIG: the file's name is empty: leave it out or name a place",
        ),
        (
            "REJOIN_AUTH",
            "Token",
            "REJOIN_AUTH: auth is dev or token, not `Token`",
        ),
        (
            "REJOIN_LIMIT_ROOMS_MAX",
            "0",
            "REJOIN_LIMIT_ROOMS_MAX: rooms_max must be 1 to 1,000,000",
        ),
        (
            "REJOIN_LIMIT_ROOMS_MAX",
            "a\nb",
            "REJOIN_LIMIT_ROOMS_MAX: rooms_max takes a whole number, not `a\\nb`; no limit can be switched off",
        ),
    ] {
        let error = from_variables(&[(name, value)]).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn what_kubernetes_says_of_a_service_called_rejoin_is_no_slip() {
    let told = [
        ("REJOIN_SERVICE_HOST", "10.0.0.1"),
        ("REJOIN_SERVICE_PORT", "7777"),
        ("REJOIN_SERVICE_PORT_GAME", "7777"),
        ("REJOIN_PORT", "udp://10.0.0.1:7777"),
        ("REJOIN_PORT_7777_UDP", "udp://10.0.0.1:7777"),
        ("REJOIN_PORT_7777_UDP_ADDR", "10.0.0.1"),
        ("REJOIN_PORT_7777_UDP_PORT", "7777"),
        ("REJOIN_PORT_7777_UDP_PROTO", "udp"),
        ("REJOIN_EU_PORT", "tcp://10.0.0.1:7777"),
    ];
    assert_eq!(from_variables(&told).unwrap().settings, Settings::default());
    assert!(from_variables(&[("REJOIN_PORT", "7777")]).is_err());
}

#[test]
fn the_example_file_without_its_comment_signs_is_the_default() {
    let text: String = example()
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(key) if key.starts_with(|c: char| c.is_ascii_lowercase()) => format!("{key}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let sheet = Sheet::new("example", text);
    let loaded = load(&flags(Some(&sheet.0)), None, []).unwrap();
    assert_eq!(loaded.origins.len(), Settings::default().keys().len());
    // These have no default that could be written down.
    let expected = Settings {
        data: Some(PathBuf::from("/var/lib/rejoin")),
        admin: Some(([127, 0, 0, 1], 7780).into()),
        durability: Some(Durability::Exact),
        log: Some(LevelFilter::INFO),
        ..Settings::default()
    };
    assert_eq!(loaded.settings, expected);
}

#[test]
fn the_page_of_limits_has_every_limit() {
    let page = include_str!("../../../../docs/limits.md");
    for limit in Settings::default().limits.all() {
        assert!(
            page.contains(&format!("`{}`", limit.name)),
            "{}",
            limit.name
        );
    }
}

#[test]
fn limits_that_do_not_go_together_are_told_before_a_server_starts() {
    let loaded = from_variables(&[("REJOIN_LIMIT_WATCHDOG", "5ms")]).unwrap();
    let told = loaded.check().unwrap_err().to_string();
    assert!(told.contains("REJOIN_LIMIT_WATCHDOG"), "{told}");
    assert!(
        told.contains("watchdog must be more than call_budget"),
        "{told}"
    );
}
