//! Every key by name: its words, its place, what it takes. The one list from which reading, showing, the
//! environment's names, the example file and the table in the docs come.

use std::net::SocketAddr;
use std::num::NonZeroU8;
use std::path::PathBuf;

use clap::ValueEnum;
use rejoin_room::Durability;
use rejoin_server::{Limit, LimitError, LimitValue, SHARDS_MAX, ServerConfig};
use tracing_subscriber::filter::LevelFilter;

use super::problem::{Problem, plain};
use super::{Settings, bind};
use crate::server_args::AuthMode;

/// A key, with all that is said of it.
#[derive(Debug)]
pub(crate) struct Key<'a> {
    /// Its table in a file; none for those at the top.
    pub(crate) table: Option<&'static str>,
    /// Its name there.
    pub(crate) name: &'static str,
    /// What it is for, in sentences.
    pub(crate) about: &'static str,
    /// What is counted; empty for what is no number.
    pub(crate) unit: &'static str,
    /// What it costs in memory, if it costs any.
    pub(crate) memory: Option<&'static str>,
    /// Shown where it has no value of its own.
    pub(crate) example: &'static str,
    /// Its value.
    pub(crate) place: Place<'a>,
}

/// Where a value is kept, and what it may be.
#[derive(Debug)]
pub(crate) enum Place<'a> {
    /// An address or host name, with or without a port.
    Address(&'a mut String),
    /// Who may open a session.
    Auth(&'a mut AuthMode),
    /// A folder.
    Folder(&'a mut Option<PathBuf>),
    /// An address and port of this machine.
    Admin(&'a mut Option<SocketAddr>),
    /// How many threads serve.
    Shards(&'a mut NonZeroU8),
    /// How rooms are kept.
    Durability(&'a mut Option<Durability>),
    /// True or false.
    Switch(&'a mut bool),
    /// Severity of a log.
    Level(&'a mut Option<LevelFilter>),
    /// One of the server's limits.
    Limit(Limit<'a>),
}

/// The table of limits.
pub(crate) const LIMITS: &str = "limits";
/// What every variable of ours begins with.
pub(crate) const VARIABLES: &str = "REJOIN_";
/// What `log` is for.
const LOG: &str = "Least severity to log. Without it: as $RUST_LOG says, else info.";
/// What `data` is for.
const DATA: &str = "Folder of the server's keys. Without it: under `dev` auth the well-known development key and nothing \
     on disk, else $XDG_STATE_HOME/rejoin or ~/.local/state/rejoin.";
/// What `shards` is for.
const SHARDS: &str = "How many threads serve, each on a processor of its own where it can be. Sessions and rooms are \
     spread over them, and so are `sessions_max`, `rooms_max` and `pending_joins_max`.";
/// What `durability` is for.
const DURABILITY: &str = "How rooms are kept, of all kinds alike. Without it: as each kind says, by default `exact`. It \
     takes a data folder: without one rooms end with the server.";
/// What `check_determinism` is for.
const CHECK_DETERMINISM: &str = "For the development of room logic: with each checkpoint a room is replayed from the one \
     before and compared, and what differs is logged as an error. It takes the time of all calls since then once more.";
/// By the words of `--durability`.
const DURABILITIES: [&str; 4] = ["none", "checkpoint", "exact", "synced"];
/// What a switch takes.
const SWITCH: [&str; 2] = ["true", "false"];
/// By the words of `--log`.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

impl Settings {
    /// Every key, in the order of a file. The compiler refuses to leave a field out.
    pub(crate) fn keys(&mut self) -> Vec<Key<'_>> {
        let Self {
            bind,
            auth,
            data,
            admin,
            shards,
            durability,
            check_determinism,
            log,
            limits,
        } = self;
        let top = |name, about, example, place| Key {
            table: None,
            name,
            about,
            unit: "",
            memory: None,
            example,
            place,
        };
        let keys = [
            top(
                "bind",
                "Address to listen on; without a port: 7777. `dev` auth takes loopback alone.",
                "",
                Place::Address(bind),
            ),
            top(
                "auth",
                "Who may open a session: `dev` (anyone) or `token` (whoever holds a permit).",
                "",
                Place::Auth(auth),
            ),
            top("data", DATA, "/var/lib/rejoin", Place::Folder(data)),
            top(
                "admin",
                "Where operators ask for /livez, /readyz, /metrics and /rooms: a loopback address and port. \
                 Without it: nowhere.",
                "127.0.0.1:7780",
                Place::Admin(admin),
            ),
            Key {
                unit: "threads",
                ..top("shards", SHARDS, "", Place::Shards(shards))
            },
            top(
                "durability",
                DURABILITY,
                "exact",
                Place::Durability(durability),
            ),
            top(
                "check_determinism",
                CHECK_DETERMINISM,
                "",
                Place::Switch(check_determinism),
            ),
            top("log", LOG, "info", Place::Level(log)),
        ];
        let limits = limits.all().into_iter().map(Key::of_limit);
        keys.into_iter().chain(limits).collect()
    }
}

impl<'a> Key<'a> {
    fn of_limit(limit: Limit<'a>) -> Self {
        Self {
            table: Some(LIMITS),
            name: limit.name,
            about: limit.about,
            unit: limit.unit,
            memory: limit.memory,
            example: "",
            place: Place::Limit(limit),
        }
    }

    /// Table and name, such as `limits.rooms_max`.
    pub(crate) fn path(&self) -> String {
        match self.table {
            Some(table) => format!("{table}.{}", self.name),
            None => self.name.to_owned(),
        }
    }

    /// Its environment variable, such as `REJOIN_LIMIT_ROOMS_MAX`.
    pub(crate) fn variable(&self) -> String {
        let table = self.table.map_or("", |_| "LIMIT_");
        format!("{VARIABLES}{table}{}", self.name.to_uppercase())
    }

    /// Whether a file gives it as a number; else as text.
    pub(crate) fn is_number(&self) -> bool {
        match &self.place {
            Place::Shards(_) => true,
            Place::Limit(limit) => matches!(limit.value, LimitValue::Number(..)),
            Place::Address(_)
            | Place::Auth(_)
            | Place::Folder(_)
            | Place::Admin(_)
            | Place::Durability(_)
            | Place::Switch(_)
            | Place::Level(_) => false,
        }
    }

    /// Whether a file gives it as true or false.
    pub(crate) fn is_switch(&self) -> bool {
        matches!(self.place, Place::Switch(_))
    }

    /// Reads a value.
    ///
    /// # Errors
    /// The key does not take it; nothing is changed then.
    pub(crate) fn set(&mut self, text: &str) -> Result<(), Problem> {
        let word = |wanted: &[&str]| Problem::Word {
            name: self.name,
            wanted: one_of(wanted),
            given: plain(text),
        };
        match &mut self.place {
            Place::Address(place) => {
                bind::check(text)?;
                text.clone_into(place);
            }
            Place::Auth(place) => {
                **place = AuthMode::from_str(text, false).map_err(|_| word(&modes()))?;
            }
            Place::Folder(_) if text.is_empty() => return Err(Problem::Empty(self.name)),
            Place::Folder(place) => **place = Some(PathBuf::from(text)),
            Place::Admin(place) => {
                let address = text.parse().map_err(|_| word(&["an address and port"]))?;
                ServerConfig::check_admin(address)?;
                **place = Some(address);
            }
            Place::Shards(place) => {
                let count = text.parse().ok();
                let count = count.filter(|count: &NonZeroU8| count.get() <= SHARDS_MAX);
                **place = count.ok_or_else(|| word(&[&shards_bounds()]))?;
            }
            Place::Durability(place) => {
                **place = Some(text.parse().map_err(|_| word(&DURABILITIES))?);
            }
            Place::Switch(place) => {
                **place = text.parse().map_err(|_| word(&SWITCH))?;
            }
            Place::Level(place) => {
                let level = LEVELS.contains(&text).then(|| text.parse().ok()).flatten();
                **place = Some(level.ok_or_else(|| word(&LEVELS))?);
            }
            Place::Limit(limit) => limit.set(text).map_err(shown)?,
        }
        Ok(())
    }

    /// The value as a file has it, if there is one.
    pub(crate) fn toml(&self) -> Option<String> {
        match &self.place {
            Place::Address(text) => Some(quoted(text)),
            Place::Auth(mode) => mode.to_possible_value().map(|it| quoted(it.get_name())),
            Place::Folder(folder) => folder.as_ref().map(|it| quoted(&it.to_string_lossy())),
            Place::Admin(address) => address.map(|it| quoted(&it.to_string())),
            Place::Shards(count) => Some(count.to_string()),
            Place::Durability(level) => level.map(|it| quoted(it.name())),
            Place::Switch(is_on) => Some(is_on.to_string()),
            Place::Level(level) => level.map(|it| quoted(&it.to_string())),
            Place::Limit(limit) if self.is_number() => Some(limit.text()),
            Place::Limit(limit) => Some(quoted(&limit.text())),
        }
    }

    /// What it takes, in words.
    pub(crate) fn bounds(&self) -> String {
        match &self.place {
            Place::Address(_) => "an address or host name".to_owned(),
            Place::Auth(_) => one_of(&modes()),
            Place::Folder(_) => "a folder".to_owned(),
            Place::Admin(_) => "a loopback address and port".to_owned(),
            Place::Shards(_) => shards_bounds(),
            Place::Durability(_) => one_of(&DURABILITIES),
            Place::Switch(_) => one_of(&SWITCH),
            Place::Level(_) => one_of(&LEVELS),
            Place::Limit(limit) => limit.bounds(),
        }
    }
}

/// A stranger's text comes into the one line of a failure escaped.
fn shown(mut error: LimitError) -> Problem {
    if let LimitError::NotANumber { value, .. } = &mut error {
        *value = plain(value);
    }
    if let LimitError::NotASpan { problem, .. } = &mut error {
        problem.0 = plain(&problem.0);
    }
    error.into()
}

fn shards_bounds() -> String {
    format!("1 to {SHARDS_MAX}")
}

fn modes() -> Vec<&'static str> {
    AuthMode::value_variants()
        .iter()
        .map(|mode| match mode {
            AuthMode::Dev => "dev",
            AuthMode::Token => "token",
        })
        .collect()
}

/// `a, b or c`.
fn one_of(words: &[&str]) -> String {
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        Some((last, _)) => (*last).to_owned(),
        None => String::new(),
    }
}

/// A basic string of TOML.
pub(crate) fn quoted(text: &str) -> String {
    let mut toml = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => toml.extend(['\\', letter]),
            _ if letter.is_control() => toml.push_str(&format!("\\u{:04X}", u32::from(letter))),
            _ => toml.push(letter),
        }
    }
    toml.push('"');
    toml
}
