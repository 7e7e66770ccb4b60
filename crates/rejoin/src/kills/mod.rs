//! Servers that are killed under play, as `kill -9` does it, and come back: for `bots --kills` and for `demo`.
//!
//! ```text
//! killer (a thread) --kills, starts again--> server process
//!     ^ how the bots stand                       ^
//! observer <----- bots <---------- UDP ----------'
//! ```

mod folder;
mod killer;
mod moments;
mod shared;
mod twins;
mod victim;

use std::thread;

use rejoin_bots::{Observer, Options, Report};

use crate::app::App;
use crate::exit::Failure;
use crate::figures::counted;

pub(crate) use folder::TemporaryFolder;
pub(crate) use moments::{Moments, Window};
pub(crate) use shared::Shared;
pub(crate) use twins::replay_all;
pub(crate) use victim::{Supervisor, Victim};

use killer::Killer;
use shared::Watched;

/// What is to become of a server.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Kills, beside those that are asked for.
    pub(crate) count: u32,
    pub(crate) moments: Moments,
    /// Seeds random moments.
    pub(crate) seed: u64,
    /// The play ends once all are back from the last kill.
    pub(crate) ends_play: bool,
    /// A server that somebody else killed is started again too. Else its death is a failure: it may have been a crash.
    pub(crate) is_for_show: bool,
}

impl Plan {
    /// What will be done, in a line.
    pub(crate) fn words(&self) -> String {
        let Self {
            count,
            moments,
            seed,
            ends_play,
            ..
        } = self;
        let seed = match moments {
            Moments::Within(_) => format!(", seed {seed}"),
            Moments::Every(_) | Moments::Asked => String::new(),
        };
        let times = counted(*count, "time");
        let end = if *ends_play {
            "; the play ends once all are back from the last"
        } else {
            ""
        };
        format!("the server is killed {times}, {moments}{seed}{end}")
    }
}

/// Plays a whole run while the server is killed as planned. The kills are in the report.
///
/// # Errors
/// The run could not start, the server ended by itself, or it did not come back.
pub(crate) fn play(
    (app, kind, options): (&App, &str, &Options),
    (plan, shared): (&Plan, &Shared),
    victim: &mut Victim<'_>,
    observer: &mut dyn Observer,
) -> Result<Report, Failure> {
    thread::scope(|scope| {
        let killer = Killer::new(plan, shared, victim);
        let killer = scope.spawn(|| killer.run());
        let mut watched = Watched::new(observer, shared);
        let report = app.behaviours().run(kind, options, &mut watched);
        shared.finish();
        let kills = match killer.join() {
            Ok(kills) => kills,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        let mut report = report?;
        // What the bots saw of a server that did not come back only follows from that.
        report.kills = kills?;
        if report.kills.done < plan.count.into() && !watched.was_stopped {
            let (done, count) = (report.kills.done, plan.count);
            let text = format!("only {done} of {count} kills were made in the time of play");
            report.fail(text);
        }
        Ok(report)
    })
}
