//! Settings of `rejoin serve`: what flags, environment and file say, under one precedence.
//!
//! ```text
//! flag > REJOIN_ variable > file > default        load -> Loaded -> check -> Checked
//! ```
//!
//! `serve`, `config` and `doctor` load the same way. Every key has one definition, in `keys.rs` or, for a
//! limit, beside its field. What is wrong is wrong in every place, even where a higher one goes before it.

mod bind;
mod checked;
mod environment;
mod file;
mod keys;
mod problem;
mod show;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::num::NonZeroU8;
use std::path::PathBuf;

use clap::ValueEnum;
use rejoin_room::Durability;
use rejoin_server::{LimitError, Limits};
use tracing_subscriber::filter::LevelFilter;

use crate::server_args::{AuthMode, SettingsArgs};

pub(crate) use checked::Checked;
pub(crate) use keys::quoted;
pub(crate) use problem::{Origin, Problem, SettingsError};
pub(crate) use show::{example, show};

/// What can be set, as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Address to listen on.
    pub(crate) bind: String,
    /// Who may open a session.
    pub(crate) auth: AuthMode,
    /// Folder of the server's keys.
    pub(crate) data: Option<PathBuf>,
    /// Where operators ask.
    pub(crate) admin: Option<SocketAddr>,
    /// How many threads serve.
    pub(crate) shards: NonZeroU8,
    /// How rooms of all kinds are kept, if not as these say.
    pub(crate) durability: Option<Durability>,
    /// Rooms are replayed and compared with each checkpoint.
    pub(crate) check_determinism: bool,
    /// Least severity to log.
    pub(crate) log: Option<LevelFilter>,
    /// How much of everything.
    pub(crate) limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            bind: "127.0.0.1:7777".to_owned(),
            auth: AuthMode::Dev,
            data: None,
            admin: None,
            shards: NonZeroU8::MIN,
            durability: None,
            check_determinism: false,
            log: None,
            limits: Limits::default(),
        }
    }
}

/// Settings, and where each of them was said.
#[derive(Clone, Debug, Default)]
pub(crate) struct Loaded {
    settings: Settings,
    /// By the key's path; what is not here is a default.
    origins: BTreeMap<String, Origin>,
}

/// Reads the settings of a command line.
///
/// # Errors
/// The first thing that is wrong: in the file, then in the environment, then in the flags.
pub(crate) fn load(
    flags: &SettingsArgs,
    log: Option<LevelFilter>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Loaded, SettingsError> {
    let mut loaded = Loaded::default();
    let variables = environment::ours(environment);
    if let Some(path) = &flags.config {
        loaded.read_file(path)?;
    } else if let Some(path) = environment::file(&variables)? {
        let named = |error: SettingsError| error.named_by(environment::CONFIG);
        loaded.read_file(&path).map_err(named)?;
    }
    loaded.read_environment(&variables)?;
    loaded.read_flags(flags, log)?;
    Ok(loaded)
}

impl Loaded {
    /// What was set.
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Checks the settings together.
    ///
    /// # Errors
    /// The address is none, or no server with these settings may listen there.
    pub(crate) fn check(&self) -> Result<Checked, SettingsError> {
        Checked::new(&self.settings).map_err(|problem| {
            let watchdog = matches!(problem, Problem::Limit(LimitError::Watchdog(_)));
            let place = if watchdog { "limits.watchdog" } else { "bind" };
            SettingsError {
                place: self.origin(place),
                problem,
            }
        })
    }

    fn origin(&self, path: &str) -> Origin {
        self.origins.get(path).cloned().unwrap_or(Origin::Default)
    }

    fn read_flags(
        &mut self,
        flags: &SettingsArgs,
        log: Option<LevelFilter>,
    ) -> Result<(), SettingsError> {
        let data = flags.data.as_deref().map(|folder| {
            let text = folder.to_str().ok_or(SettingsError {
                place: Origin::Flag("--data"),
                problem: Problem::NotUtf8,
            })?;
            Ok(text.to_owned())
        });
        let auth = flags.auth.and_then(|mode| mode.to_possible_value());
        let flags_given = [
            ("bind", "--bind", flags.bind.clone()),
            (
                "auth",
                "--auth",
                auth.map(|mode| mode.get_name().to_owned()),
            ),
            ("data", "--data", data.transpose()?),
            (
                "admin",
                "--admin",
                flags.admin.map(|address| address.to_string()),
            ),
            (
                "shards",
                "--shards",
                flags.shards.map(|count| count.to_string()),
            ),
            (
                "durability",
                "--durability",
                flags.durability.map(|level| level.name().to_owned()),
            ),
            (
                "check_determinism",
                "--check-determinism",
                flags.check_determinism.then(|| "true".to_owned()),
            ),
            ("log", "--log", log.map(|level| level.to_string())),
        ];
        for (path, flag, text) in flags_given {
            if let Some(text) = text {
                self.set(path, &text, Origin::Flag(flag))?;
            }
        }
        for limit in &flags.limits {
            let (name, value) = limit.split_once('=').unwrap_or((limit, ""));
            self.set(&format!("limits.{name}"), value, Origin::Flag("--limit"))?;
        }
        Ok(())
    }

    /// Sets the key of a path that was found among the keys, or checked by clap.
    fn set(&mut self, path: &str, text: &str, place: Origin) -> Result<(), SettingsError> {
        let mut keys = self.settings.keys();
        let key = keys.iter_mut().find(|key| key.path() == path);
        let outcome = match key {
            Some(key) => key.set(text),
            None => Err(Problem::UnknownKey {
                name: path.to_owned(),
                table: None,
                hint: String::new(),
            }),
        };
        if let Err(problem) = outcome {
            return Err(SettingsError { place, problem });
        }
        self.origins.insert(path.to_owned(), place);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
