//! The environment's part: every variable that begins with `REJOIN_` is a setting or an error, as a
//! mistyped one would silently do nothing.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use rejoin_server::nearest;

use super::keys::{Key, VARIABLES};
use super::problem::plain;
use super::{Loaded, Origin, Problem, Settings, SettingsError};

/// Names the file of settings.
pub(crate) const CONFIG: &str = "REJOIN_CONFIG";

/// Variables that are ours, by name.
pub(crate) type Variables = BTreeMap<String, OsString>;

/// Picks those that begin with `REJOIN_`.
pub(crate) fn ours(environment: impl IntoIterator<Item = (OsString, OsString)>) -> Variables {
    environment
        .into_iter()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value))
        .filter(|(name, value)| name.starts_with(VARIABLES) && !is_service(name, value))
        .collect()
}

/// The file of which the environment speaks.
///
/// # Errors
/// The variable is there and empty.
pub(crate) fn file(variables: &Variables) -> Result<Option<PathBuf>, SettingsError> {
    let Some(path) = variables.get(CONFIG) else {
        return Ok(None);
    };
    if path.is_empty() {
        return Err(at(CONFIG, Problem::Empty("the file's name")));
    }
    Ok(Some(PathBuf::from(path)))
}

impl Loaded {
    /// Sets what the environment says.
    ///
    /// # Errors
    /// The first variable, by name, that is no setting or has no value for it.
    pub(super) fn read_environment(&mut self, variables: &Variables) -> Result<(), SettingsError> {
        for (name, value) in variables {
            if name == CONFIG {
                continue;
            }
            let mut known = Settings::default();
            let keys = known.keys();
            let Some(key) = keys.iter().find(|key| key.variable() == *name) else {
                return Err(at(name, Problem::UnknownVariable(hint(name, &keys))));
            };
            let value = value.to_str().ok_or_else(|| at(name, Problem::NotUtf8))?;
            self.set(&key.path(), value, Origin::Variable(name.clone()))?;
        }
        Ok(())
    }
}

fn at(name: &str, problem: Problem) -> SettingsError {
    SettingsError {
        place: Origin::Variable(plain(name)),
        problem,
    }
}

/// Names are compared without what they all begin with.
fn hint(given: &str, keys: &[Key<'_>]) -> String {
    let given = given.strip_prefix(VARIABLES).unwrap_or(given);
    let without_table = keys
        .iter()
        .find(|key| key.name.eq_ignore_ascii_case(given))
        .map(Key::variable);
    let variables: Vec<_> = keys
        .iter()
        .map(Key::variable)
        .chain([CONFIG.to_owned()])
        .collect();
    let ends = variables.iter().filter_map(|it| it.strip_prefix(VARIABLES));
    let meant = without_table.or_else(|| nearest(given, ends).map(|it| format!("{VARIABLES}{it}")));
    match meant {
        Some(name) => format!("; did you mean `{name}`?"),
        None => "; `config example` names them all".to_owned(),
    }
}

/// Kubernetes tells every container of each service in its namespace. Of one called `rejoin` it says
/// `REJOIN_SERVICE_HOST`, `REJOIN_PORT` and the like, which are no slips of a pen.
fn is_service(name: &str, value: &OsString) -> bool {
    let is_url = value.to_str().is_some_and(|url| {
        ["udp://", "tcp://", "sctp://"]
            .iter()
            .any(|it| url.starts_with(it))
    });
    let numbered = name.split_once("_PORT_").is_some_and(|(_, rest)| {
        let mut parts = rest.split('_');
        let number = parts.next().unwrap_or_default();
        !number.is_empty()
            && number.bytes().all(|byte| byte.is_ascii_digit())
            && matches!(parts.next(), Some("UDP" | "TCP" | "SCTP"))
    });
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || (name.ends_with("_PORT") && is_url)
        || numbered
}
