//! `demo`: a server of its own, bots that play on it, and a picture of both.
//!
//! ```text
//! demo process                                 server process
//!   bots (a thread) ---------- UDP ------------> serve, on a free loopback port
//!   picture or lines            pipe to stdin -> ends when the pipe does
//! ```
//!
//! The pipe closes however the demo ends, so the server never outlives it.

mod child;
mod cut;
mod field;
mod lines;
mod live;
mod picture;
mod show;
mod usage;

use std::time::Duration;

use rejoin_bots::{Options, Report};
use rejoin_room::Room;
use rejoin_room::builtin::arena::Arena;

use crate::app::App;
use crate::bots_command::{check_span, judge, summary};
use crate::cli::DemoArgs;
use crate::exit::Failure;
use crate::output;
use crate::stop::Stop;

use child::ServerChild;

/// Runs the command.
///
/// # Errors
/// The server did not start, or a check failed.
pub(crate) fn run(app: &App, args: &DemoArgs) -> Result<(), Failure> {
    let stop = Stop::listen()?;
    let server = ServerChild::start()?;
    let kind = app.default_kind();
    let mut options = Options::new(server.socket(), server.address().key);
    options.bots = usize::try_from(args.bots).unwrap_or(usize::MAX);
    options.rooms = usize::try_from(args.rooms).unwrap_or(usize::MAX);
    options.play_for = args.duration;
    let drawn = kind == Arena::KIND && picture::fits();
    // Its server is its own: once that is gone nobody comes back to it. Only a key takes a network.
    options.resume_for = if drawn { cut::SPAN * 2 } else { Duration::ZERO };
    check_span(&options)?;
    let report = if drawn {
        show::play(app, &options, &server, &stop)?
    } else {
        lines::play(app, kind, &options, &server, stop)?
    };
    let ended = server.end();
    tell(&report);
    judge(&report)?;
    ended
}

fn tell(report: &Report) {
    for line in summary(report) {
        output::line(line);
    }
}
