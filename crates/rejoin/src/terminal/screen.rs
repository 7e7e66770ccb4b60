//! The whole screen: taken over for a picture, and given back as it was.

use std::io::{self, Stdout, Write};
use std::panic;

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};

/// A terminal in the hands of the picture. Dropping it gives it back.
pub(crate) struct Screen {
    pub(crate) terminal: Terminal<CrosstermBackend<Stdout>>,
    _restore: Restore,
}

/// Gives the terminal back, however the picture ends.
struct Restore;

impl Screen {
    /// Takes the terminal over.
    ///
    /// # Errors
    /// It does not do what it is told. It is as before then.
    pub(crate) fn take() -> io::Result<Self> {
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
