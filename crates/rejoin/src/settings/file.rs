//! The file's part: TOML whose every key is known, read whole or refused.

use std::fs::{self, File};
use std::io::Read;
use std::ops::Range;
use std::path::Path;

use rejoin_server::nearest;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{Key, LIMITS};
use super::problem::plain;
use super::{Loaded, Origin, Problem, Settings, SettingsError};

/// Longest file, in bytes: ten times the example with all its comments.
pub(crate) const LEN_MAX: u64 = 64 * 1024;

/// What a file says of one name.
struct Saying<'a> {
    table: Option<&'static str>,
    name: &'a str,
    span: Range<usize>,
    value: &'a DeValue<'a>,
}

impl Loaded {
    /// Sets what the file says.
    ///
    /// # Errors
    /// The first thing that is wrong in it, with its line.
    pub(super) fn read_file(&mut self, path: &Path) -> Result<(), SettingsError> {
        let at = |line, problem| SettingsError {
            place: Origin::File {
                path: path.to_owned(),
                line,
            },
            problem,
        };
        let bytes = read(path).map_err(|problem| at(None, problem))?;
        let text = std::str::from_utf8(&bytes).map_err(|error| {
            let line = line_of(&bytes, error.valid_up_to());
            at(Some(line), Problem::NotUtf8)
        })?;
        let table = DeTable::parse(text).map_err(|error| {
            let span = error.span().unwrap_or_default();
            let line = line_of(&bytes, span.start);
            at(Some(line), not_toml(error.message(), text.get(span)))
        })?;
        for saying in sayings(table.get_ref()) {
            let line = Some(line_of(&bytes, saying.span.start));
            let (key, text) = saying.read().map_err(|problem| at(line, problem))?;
            let path = path.to_owned();
            self.set(&key, &text, Origin::File { path, line })?;
        }
        Ok(())
    }
}

impl Saying<'_> {
    /// The key's path and its value as text.
    fn read(&self) -> Result<(String, String), Problem> {
        let mut known = Settings::default();
        let keys = known.keys();
        let mine = |key: &&Key<'_>| key.table == self.table && key.name == self.name;
        if let Some(key) = keys.iter().find(mine) {
            return Ok((key.path(), self.text(key)?));
        }
        if self.table.is_none() && self.name == LIMITS {
            return Err(self.wrong_type("a table, [limits]"));
        }
        Err(Problem::UnknownKey {
            name: plain(self.name),
            table: self.table,
            hint: self.hint(&keys),
        })
    }

    fn text(&self, key: &Key<'_>) -> Result<String, Problem> {
        if key.is_switch() {
            let is_on = self.value.as_bool().map(|it| it.to_string());
            return is_on.ok_or_else(|| self.wrong_type("true or false"));
        }
        if !key.is_number() {
            let text = self.value.as_str().map(str::to_owned);
            return text.ok_or_else(|| self.wrong_type("a text in quotes"));
        }
        let number = self.value.as_integer();
        let number = number.ok_or_else(|| self.wrong_type("a whole number"))?;
        Ok(match number.radix() {
            10 => number.as_str().to_owned(),
            // One too large to read is out of every bound.
            other => u64::from_str_radix(number.as_str(), other)
                .unwrap_or(u64::MAX)
                .to_string(),
        })
    }

    fn wrong_type(&self, wanted: &'static str) -> Problem {
        let given = match self.value {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "a number",
            DeValue::Float(_) => "a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        Problem::Type {
            name: plain(self.name),
            wanted,
            given,
        }
    }

    fn hint(&self, keys: &[Key<'_>]) -> String {
        if let Some(key) = keys.iter().find(|key| key.name == self.name) {
            return match key.table {
                Some(table) => format!("; it belongs into [{table}]"),
                None => format!("; it belongs to the top, before [{LIMITS}]"),
            };
        }
        let beside = keys.iter().filter(|key| key.table == self.table);
        let tables = self.table.is_none().then_some(LIMITS);
        match nearest(self.name, beside.map(|key| key.name).chain(tables)) {
            Some(name) => format!("; did you mean `{name}`?"),
            None => "; `config example` has them all".to_owned(),
        }
    }
}

/// All that a file says, in its order.
fn sayings<'a>(table: &'a DeTable<'a>) -> Vec<Saying<'a>> {
    let mut sayings = Vec::new();
    for (name, value) in table {
        match value.get_ref().as_table() {
            Some(limits) if name.get_ref() == LIMITS => {
                sayings.extend(limits.iter().map(|it| Saying::of(Some(LIMITS), it)));
            }
            Some(_) | None => sayings.push(Saying::of(None, (name, value))),
        }
    }
    sayings.sort_by_key(|saying| saying.span.start);
    sayings
}

impl<'a> Saying<'a> {
    fn of(
        table: Option<&'static str>,
        (name, value): (
            &'a Spanned<std::borrow::Cow<'a, str>>,
            &'a Spanned<DeValue<'a>>,
        ),
    ) -> Self {
        Self {
            table,
            name: name.get_ref(),
            span: name.span(),
            value: value.get_ref(),
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    // Before it is opened, as that alone waits for a pipe's writer.
    if !fs::metadata(path)?.is_file() {
        return Err(Problem::NotAFile);
    }
    let mut bytes = Vec::new();
    // One more, to tell a longer file from one of just that length.
    File::open(path)?
        .take(LEN_MAX + 1)
        .read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|len| len > LEN_MAX) {
        return Err(Problem::TooLong(LEN_MAX));
    }
    Ok(bytes)
}

fn not_toml(message: &str, place: Option<&str>) -> Problem {
    match place {
        Some(name) if message == "duplicate key" => Problem::Twice(plain(name)),
        _ => Problem::NotToml(message.replace('\n', ", ")),
    }
}

fn line_of(bytes: &[u8], offset: usize) -> usize {
    let before = bytes.iter().take(offset);
    before.filter(|byte| **byte == b'\n').count() + 1
}
