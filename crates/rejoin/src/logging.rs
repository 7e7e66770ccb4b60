//! Logs of the binary: lines on standard error, and panics as one of them.

use std::any::Any;
use std::io::{self, IsTerminal};
use std::panic;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

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
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal() && !plain)
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
    tracing::error!(message, location, "panicked");
}

/// The words that a panic came with.
pub(crate) fn panic_text(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message")
}
