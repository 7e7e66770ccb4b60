//! Logs of the binary: lines on standard error, and panics as one of them.

use std::any::Any;
use std::io::{self, IsTerminal};
use std::panic;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::{output, terminal};

/// Starts logging at `level`, else as `RUST_LOG` says, else at `default`.
///
/// Colours are for terminals, and only without `NO_COLOR`.
pub(crate) fn start(level: Option<LevelFilter>, default: LevelFilter) {
    let filter = level.map_or_else(
        || {
            EnvFilter::builder()
                .with_default_directive(default.into())
                .from_env_lossy()
        },
        |level| EnvFilter::default().add_directive(level.into()),
    );
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| output::Log)
        .with_ansi(io::stderr().is_terminal() && !terminal::is_plain())
        // A line that cannot be written would be told of on the same closed stream, by a panic.
        .log_internal_errors(false)
        .try_init();
    if started.is_err() {
        // A game that set up its own subscriber keeps it.
        tracing::debug!("logging was set up before");
    }
    panic::set_hook(Box::new(log_panic));
}

/// Room logic that panics is caught and its room mended or closed, so a backtrace would only
/// bury the line that matters.
fn log_panic(info: &panic::PanicHookInfo<'_>) {
    let message = panic_text(info.payload());
    let location = info.location().map(ToString::to_string).unwrap_or_default();
    let mut repeats = REPEATS.lock().unwrap_or_else(PoisonError::into_inner);
    let line = repeats.line(&location, Instant::now());
    drop(repeats);
    if let Some(left_out) = line {
        tracing::error!(message, location, left_out, "panicked");
    }
}

/// Panics of one place that follow each other within this time are one line: a player who found an
/// input that room logic panics at must not fill the log. One of another place is never left out.
const REPEAT_INTERVAL: Duration = Duration::from_secs(1);

static REPEATS: Mutex<Repeats> = Mutex::new(Repeats {
    location: String::new(),
    next: None,
    left_out: 0,
});

/// The last panic that was told, and those of its place since.
struct Repeats {
    location: String,
    next: Option<Instant>,
    left_out: u64,
}

impl Repeats {
    /// Whether a panic is told: `Some` with the number of those left out since the last one.
    fn line(&mut self, location: &str, now: Instant) -> Option<u64> {
        if self.location == location && self.next.is_some_and(|next| now < next) {
            self.left_out += 1;
            return None;
        }
        location.clone_into(&mut self.location);
        self.next = Some(now + REPEAT_INTERVAL);
        Some(std::mem::take(&mut self.left_out))
    }
}

/// The words that a panic came with.
pub(crate) fn panic_text(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_that_repeats_is_one_line_a_second_and_another_one_is_told_at_once() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut repeats = Repeats {
            location: String::new(),
            next: None,
            left_out: 0,
        };
        assert_eq!(repeats.line("room.rs:1", at(0)), Some(0));
        for millis in 0..500 {
            assert_eq!(repeats.line("room.rs:1", at(millis)), None);
        }
        assert_eq!(repeats.line("server.rs:9", at(500)), Some(500));
        assert_eq!(repeats.line("server.rs:9", at(501)), None);
        assert_eq!(repeats.line("server.rs:9", at(1_500)), Some(1));
    }
}
