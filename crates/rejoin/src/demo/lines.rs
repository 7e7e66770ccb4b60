//! The demo without a picture: a line each second.

use rejoin_bots::Report;

use crate::bots_command::{Lines, introduction};
use crate::exit::Failure;
use crate::kills::{self, Shared, Victim};
use crate::output;
use crate::server_child::ServerChild;
use crate::stop::Stop;

use super::{FOR_SHOW, Game};

/// Plays, and tells about it line by line.
///
/// # Errors
/// The run could not start, or the server does not come back.
pub(super) fn play(
    game: &Game<'_>,
    server: &mut ServerChild,
    stop: Stop,
) -> Result<Report, Failure> {
    let Game { app, kind, options } = *game;
    let process = server.process();
    output::line(format_args!("a server of its own, process {process}"));
    output::line(introduction(kind, options, server.address()));
    let shared = Shared::new(process);
    let mut victim = Victim::Own(server);
    let mut lines = Lines::new(stop);
    kills::play(
        (app, kind, options),
        (&FOR_SHOW, &shared),
        &mut victim,
        &mut lines,
    )
}
