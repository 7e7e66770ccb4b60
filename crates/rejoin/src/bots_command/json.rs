//! JSON, as far as results need it: values in the order they were put in, written for people to read.

use std::fmt::{self, Write};

/// A JSON value. Numbers are whole: results count things and microseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Json {
    /// `null`: not known, or not asked for.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Number(u64),
    /// A text.
    Text(String),
    /// Names and values, in this order.
    Object(Vec<(String, Self)>),
    /// Values.
    List(Vec<Self>),
}

impl Json {
    /// A text.
    pub(crate) fn text(text: impl fmt::Display) -> Self {
        Self::Text(text.to_string())
    }

    /// A count.
    pub(crate) fn count(count: usize) -> Self {
        Self::Number(u64::try_from(count).unwrap_or(u64::MAX))
    }

    /// What is there, or null.
    pub(crate) fn maybe(value: Option<Self>) -> Self {
        value.unwrap_or(Self::Null)
    }

    /// An object of these.
    pub(crate) fn object<const N: usize>(members: [(&str, Self); N]) -> Self {
        let own = |(name, value): (&str, Self)| (name.to_owned(), value);
        Self::Object(members.into_iter().map(own).collect())
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(value) => write!(f, "{value}"),
            Self::Text(text) => quote(f, text),
            Self::Object(members) => {
                let lines = members.iter().map(|(name, value)| (Some(name), value));
                lined(f, ['{', '}'], lines, depth)
            }
            Self::List(items) => lined(f, ['[', ']'], items.iter().map(|item| (None, item)), depth),
        }
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0)
    }
}

/// One member or item a line.
fn lined<'a>(
    f: &mut fmt::Formatter<'_>,
    [open, close]: [char; 2],
    lines: impl Iterator<Item = (Option<&'a String>, &'a Json)>,
    depth: usize,
) -> fmt::Result {
    const INDENT: usize = 2;
    f.write_char(open)?;
    let mut any = false;
    for (name, value) in lines {
        f.write_str(if any { ",\n" } else { "\n" })?;
        any = true;
        write!(f, "{:1$}", "", (depth + 1) * INDENT)?;
        if let Some(name) = name {
            quote(f, name)?;
            f.write_str(": ")?;
        }
        value.write(f, depth + 1)?;
    }
    if any {
        write!(f, "\n{:1$}", "", depth * INDENT)?;
    }
    f.write_char(close)
}

/// RFC 8259, section 7: quotes, backslashes and control characters are escaped.
fn quote(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(f, "\\{c}")?,
            '\n' => f.write_str("\\n")?,
            c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_json_in_their_order() {
        let value = Json::object([
            ("b", Json::Number(u64::MAX)),
            ("a", Json::List(vec![Json::Bool(true), Json::Null])),
            ("none", Json::object([])),
            ("deep", Json::object([("é", Json::text("2"))])),
        ]);
        let written = "{\n  \"b\": 18446744073709551615,\n  \"a\": [\n    true,\n    null\n  ],\n  \
                       \"none\": {},\n  \"deep\": {\n    \"é\": \"2\"\n  }\n}";
        assert_eq!(value.to_string(), written);
    }

    #[test]
    fn what_a_server_said_cannot_break_out_of_its_quotes() {
        let hostile = Json::text("a\"b\\c\nd\u{1b}e\u{7f}");
        assert_eq!(hostile.to_string(), r#""a\"b\\c\nd\u001be\u007f""#);
    }
}
