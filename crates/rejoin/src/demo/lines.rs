//! The demo without a picture: a line each second.

use rejoin_bots::{Options, Report};

use crate::app::App;
use crate::bots_command::{Lines, introduction};
use crate::exit::Failure;
use crate::output;
use crate::stop::Stop;

use super::child::ServerChild;

/// Plays, and tells about it line by line.
///
/// # Errors
/// The run could not start.
pub(super) fn play(
    app: &App,
    kind: &str,
    options: &Options,
    server: &ServerChild,
    stop: Stop,
) -> Result<Report, Failure> {
    output::line(format_args!(
        "a server of its own, process {}",
        server.process()
    ));
    output::line(introduction(kind, options, server.address()));
    Ok(app.behaviours().run(kind, options, &mut Lines::new(stop))?)
}
