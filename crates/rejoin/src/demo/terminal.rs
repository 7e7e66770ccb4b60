//! The terminal: taken over for the picture, and given back as it was.

use std::io::{self, IsTerminal, Stdout, Write};
use std::panic;

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode, size,
};

/// The smallest terminal that the picture fits, as wide and high as terminals used to be.
pub(super) const WIDTH_MIN: u16 = 80;
/// See [`WIDTH_MIN`].
pub(super) const HEIGHT_MIN: u16 = 24;

/// A terminal in the hands of the picture. Dropping it gives it back.
pub(super) struct Screen {
    pub(super) terminal: Terminal<CrosstermBackend<Stdout>>,
    _restore: Restore,
}

/// Gives the terminal back, however the picture ends.
struct Restore;

/// True if there is a terminal that can show the picture.
pub(super) fn fits() -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb" || term.is_empty());
    let interactive = io::stdin().is_terminal() && io::stdout().is_terminal();
    interactive && !dumb && size().is_ok_and(|(w, h)| w >= WIDTH_MIN && h >= HEIGHT_MIN)
}

/// True if the user wants no colours (`NO_COLOR`, see no-color.org).
pub(super) fn is_plain() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

impl Screen {
    /// Takes the terminal over.
    ///
    /// # Errors
    /// It does not do what it is told. It is as before then.
    pub(super) fn take() -> io::Result<Self> {
        let restore = Restore;
        enable_raw_mode()?;
        restore_before_panics_speak();
        execute!(io::stdout(), EnterAlternateScreen, Hide)?;
        let terminal = Terminal::new(CrosstermBackend::new(io::stdout()))?;
        Ok(Self {
            terminal,
            _restore: restore,
        })
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        give_back();
    }
}

/// Harmless if done twice. A terminal that is gone cannot be given back, so errors are dropped.
fn give_back() {
    drop(disable_raw_mode());
    let mut out = io::stdout();
    drop(execute!(out, LeaveAlternateScreen, Show));
    drop(out.flush());
}

/// What a panic says must not vanish with the alternate screen.
fn restore_before_panics_speak() {
    let speak = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        give_back();
        speak(info);
    }));
}
