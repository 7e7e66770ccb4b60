//! `demo`: a server of its own, bots that play on it, and a picture of both.
//!
//! ```text
//! demo process                                 server process
//!   bots (a thread) ---------- UDP ------------> serve, on a free loopback port and a folder for this run
//!   killer (a thread) -- kills, starts again --> the same
//!   picture or lines            pipe to stdin -> ends when the pipe does
//! ```
//!
//! The pipe closes however the demo ends, so the server never outlives it.

mod cut;
mod field;
mod lines;
mod live;
mod picture;
mod script;
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
use crate::kills::{Moments, Plan, TemporaryFolder};
use crate::output;
use crate::server_child::{ServerChild, Start};
use crate::stop::Stop;

/// How long a player tries to come back: longer than its network is taken, and than a server needs to come back.
const RESUME_FOR: Duration = Duration::from_secs(16);
const _: () = assert!(RESUME_FOR.as_secs() > cut::SPAN.as_secs());

/// Runs the command.
///
/// # Errors
/// The server did not start, or a check failed.
pub(crate) fn run(app: &App, args: &DemoArgs) -> Result<(), Failure> {
    let stop = Stop::listen()?;
    // Dropped last: the server has it until it has ended.
    let folder = TemporaryFolder::make()?;
    let mut server = ServerChild::start(Start {
        data: folder.path().to_owned(),
        sessions: 0,
        rooms: 0,
        durability: None,
        unsynced_in_memory: false,
        keep_all_records: false,
    })?;
    let kind = app.default_kind();
    let mut options = Options::new(server.socket(), server.address().key);
    options.bots = usize::try_from(args.bots).unwrap_or(usize::MAX);
    options.rooms = usize::try_from(args.rooms).unwrap_or(usize::MAX);
    options.play_for = args.duration;
    options.resume_for = RESUME_FOR;
    check_span(&options)?;
    let game = Game {
        app,
        kind,
        options: &options,
    };
    if args.script.is_some() {
        let told = script::kill(&game, &mut server, stop, args.json);
        return told.and(server.end());
    }
    let drawn = kind == Arena::KIND && picture::fits();
    let report = if drawn {
        show::play(&game, &mut server, &stop)?
    } else {
        lines::play(&game, &mut server, stop)?
    };
    let ended = server.end();
    tell(&report);
    judge(&report)?;
    ended
}

/// What is played.
#[derive(Clone, Copy)]
struct Game<'a> {
    app: &'a App,
    kind: &'a str,
    options: &'a Options,
}

/// Whoever kills the server, it is started again at once.
const FOR_SHOW: Plan = Plan {
    count: 0,
    moments: Moments::Asked,
    seed: 0,
    ends_play: false,
    is_for_show: true,
};

fn tell(report: &Report) {
    for line in summary(report) {
        output::line(line);
    }
}
