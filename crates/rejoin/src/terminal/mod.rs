//! Terminals: whether there is one, and the two ways to draw on it: the whole screen, or a few lines in
//! place.
//!
//! Used by `demo` and `bots`. What is drawn is theirs.

mod inline;
mod paint;
mod screen;

use std::io::IsTerminal;

use ratatui::crossterm::terminal;

pub(crate) use inline::{Inline, make_way};
pub(crate) use paint::{accent, alarm, bar, faint, sparkline};
pub(crate) use screen::Screen;

/// Columns and rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) width: u16,
    pub(crate) height: u16,
}

/// True if `stream` is a terminal that can be drawn on.
pub(crate) fn can_draw(stream: &impl IsTerminal) -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb" || term.is_empty());
    stream.is_terminal() && !dumb
}

/// The terminal's size now, if it tells: one that nobody told its own says 0.
pub(crate) fn size() -> Option<Size> {
    let (width, height) = terminal::size().ok()?;
    (width > 0 && height > 0).then_some(Size { width, height })
}

/// True if the user wants no colours (`NO_COLOR`, see no-color.org).
pub(crate) fn is_plain() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}
