//! Bounds on texts that others made up.

use std::fmt::{self, Display, Write};

/// Longest text of a peer in one field of a log line, in bytes before escaping.
pub const QUOTED_MAX: usize = 64;

/// Text that may hold what a peer wrote, as a field of a log: in quotes, escaped so that it stays on its
/// line and acts on no terminal, and cut after [`QUOTED_MAX`] bytes.
#[derive(Debug)]
pub struct Quoted<T>(pub T);

impl<T: Display> Display for Quoted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut head = Head(String::new());
        // An error says that the head is full.
        let whole = write!(head, "{}", self.0).is_ok();
        write!(f, "{:?}{}", head.0, if whole { "" } else { "..." })
    }
}

/// The first bytes of a text, whatever its length.
struct Head(String);

impl Write for Head {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let left = QUOTED_MAX - self.0.len();
        let end = border(text, left);
        self.0.push_str(text.get(..end).unwrap_or_default());
        if end == text.len() {
            Ok(())
        } else {
            Err(fmt::Error)
        }
    }
}

/// `text`, cut to at most `max` bytes at the border of a character.
#[must_use]
pub fn cut(mut text: String, max: usize) -> String {
    text.truncate(border(&text, max));
    text
}

/// The last border of a character within `max` bytes.
fn border(text: &str, max: usize) -> usize {
    if text.len() <= max {
        return text.len();
    }
    let mut ends = (0..=max).rev();
    ends.find(|&end| text.is_char_boundary(end)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_peer_wrote_stays_on_its_line_and_short() {
        let wrote = "a\nERROR \"b\"\u{1b}[31m\u{202e}\0";
        let quoted = Quoted(wrote).to_string();
        assert_eq!(quoted, "\"a\\nERROR \\\"b\\\"\\u{1b}[31m\\u{202e}\\0\"");
        let long = Quoted("ü".repeat(1_000_000)).to_string();
        assert_eq!(long, format!("\"{}\"...", "ü".repeat(32)));
        assert_eq!(
            Quoted(format_args!("{}{}", "x", "yy")).to_string(),
            "\"xyy\""
        );
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("short".into(), 5), "short");
        assert_eq!(cut("grün".into(), 3), "gr");
        assert_eq!(cut("grün".into(), 4), "grü");
        assert_eq!(cut("ü".into(), 1), "");
    }
}
