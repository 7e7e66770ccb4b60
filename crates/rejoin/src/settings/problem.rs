//! What can be wrong with settings, and where it stands.

use std::fmt;
use std::io;
use std::path::PathBuf;

use rejoin_server::{ConfigError, LimitError};

use crate::exit::{Exit, Failure};

/// Where a value was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nowhere.
    Default,
    /// In a file.
    File {
        /// Which one, as it was named.
        path: PathBuf,
        /// Counts from 1; none if all of the file is meant.
        line: Option<usize>,
    },
    /// In an environment variable.
    Variable(String),
    /// On the command line.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            // Each is a part of one line, and a file's name may hold anything.
            Self::File { path, line } => {
                let path = path.display().to_string().replace(char::is_control, "?");
                match line {
                    Some(line) => write!(f, "{path}:{line}"),
                    None => f.write_str(&path),
                }
            }
            Self::Variable(name) => f.write_str(name),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// Why settings cannot be used, and where.
#[derive(Debug, thiserror::Error)]
#[error("{}{problem}", before(place, problem))]
pub(crate) struct SettingsError {
    /// Where it was said.
    pub(crate) place: Origin,
    /// What is wrong.
    pub(crate) problem: Problem,
}

/// What is wrong with settings.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Problem {
    /// The file cannot be opened or read.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// A folder, a pipe or a device.
    #[error("is no plain file")]
    NotAFile,
    /// Far longer than all keys with their comments.
    #[error("is longer than {0} bytes, which no file of settings needs to be")]
    TooLong(u64),
    /// Bytes that are no text.
    #[error("is no UTF-8")]
    NotUtf8,
    /// The file is no TOML.
    #[error("{0}")]
    NotToml(String),
    /// A key stands twice.
    #[error("`{0}` is there twice")]
    Twice(String),
    /// No key has that name.
    #[error("no key is named `{name}`{}{hint}", table.map(|name| format!(" in [{name}]")).unwrap_or_default())]
    UnknownKey {
        /// What was given.
        name: String,
        /// In which table.
        table: Option<&'static str>,
        /// What was meant, as the end of the sentence.
        hint: String,
    },
    /// No variable has that name.
    #[error("no setting has this variable{0}")]
    UnknownVariable(String),
    /// A value of another type.
    #[error("{name} takes {wanted}, not {given}")]
    Type {
        /// The key.
        name: String,
        /// A type, with its article.
        wanted: &'static str,
        /// The same.
        given: &'static str,
    },
    /// None of the words that a key takes.
    #[error("{name} is {wanted}, not `{given}`")]
    Word {
        /// The key.
        name: &'static str,
        /// Those it takes.
        wanted: String,
        /// What was given.
        given: String,
    },
    /// Nothing where something is needed.
    #[error("{0} is empty: leave it out or name a place")]
    Empty(&'static str),
    /// A limit that cannot be set so.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// The address to bind is none.
    #[error("{text}: {reason}")]
    Address {
        /// What was given.
        text: String,
        /// Why it is none.
        reason: String,
    },
    /// The settings make no sense together.
    #[error(transparent)]
    Together(#[from] ConfigError),
    /// The file of which the environment speaks cannot be used.
    #[error("{problem} ({variable} names this file)")]
    NamedBy {
        /// What is wrong with it.
        problem: Box<Self>,
        /// What names it.
        variable: &'static str,
    },
}

impl SettingsError {
    /// The same, if all of a file is meant that `variable` names.
    pub(crate) fn named_by(self, variable: &'static str) -> Self {
        if !matches!(self.place, Origin::File { line: None, .. }) {
            return self;
        }
        let problem = Box::new(self.problem);
        Self {
            place: self.place,
            problem: Problem::NamedBy { problem, variable },
        }
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        Self::new(Exit::Usage, error)
    }
}

/// A default needs no place: there is none to go and look. Nor does what flags alone come to.
fn before(place: &Origin, problem: &Problem) -> String {
    match (place, problem) {
        (Origin::Default, _) | (Origin::Flag(_), Problem::Together(_)) => String::new(),
        (place, _) => format!("{place}: "),
    }
}

/// Text of a stranger's making for one line: escaped, and cut where nobody would read on.
pub(crate) fn plain(text: &str) -> String {
    const SHOWN_MAX: usize = 80;
    let mut shown: String = text.escape_debug().take(SHOWN_MAX).collect();
    if text.escape_debug().nth(SHOWN_MAX).is_some() {
        shown.push('…');
    }
    shown
}
