//! A run of bots: its crews, each in a thread of its own, and the conductor in this one.
//!
//! ```text
//! conductor --orders--> worker (a thread) -- crew: bots, sockets, rooms --UDP--> (relay) --> server
//!     ^                    |
//!     '-------notes--------'   news when asked, and the end of each part
//! ```

use std::io;
use std::panic;
use std::sync::mpsc::sync_channel;
use std::thread::{self, ScopedJoinHandle};
use std::time::Instant;

use rejoin_room::Room;

use crate::behaviour::Behaviour;
use crate::conductor::{Broken, Conductor};
use crate::crew::Crew;
use crate::observer::Observer;
use crate::options::Options;
use crate::orders::{Line, NOTES_MAX, ORDERS_MAX};
use crate::parts;
use crate::relay::Relay;
use crate::report::Report;
use crate::sockets::Sockets;
use crate::sources::Change;
use crate::worker::Worker;

/// Bots on their way to a seat at a time: a rush, but not a flood of 1,200-byte hellos.
const JOINING_MAX: usize = 64;
/// Bots on their way to a seat at a time if the run says how fast they come: a server that is too slow
/// is asked by so many, and no more.
const RAMP_JOINING_MAX: usize = 1_024;
const _: () = assert!(
    parts::THREADS_MAX <= JOINING_MAX,
    "each thread has a share of the joins"
);

/// Why a run could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FleetError {
    /// No behaviour for that kind of room.
    #[error("no bots know how to play {kind:?}: there are bots for {known}")]
    UnknownKind {
        /// The kind asked for.
        kind: String,
        /// The kinds there are bots for.
        known: String,
    },
    /// No sockets.
    #[error("cannot open the bots' UDP sockets: {0}")]
    Sockets(io::Error),
    /// No threads.
    #[error("cannot start the bots' threads: {0}")]
    Threads(io::Error),
    /// No folder for tickets.
    #[error("cannot make the folder for the bots' tickets: {0}")]
    Tickets(io::Error),
    /// No relay.
    #[error("cannot start the relay: {0}")]
    Relay(io::Error),
    /// No random numbers.
    #[error("the operating system gives no random numbers: {0}")]
    Entropy(getrandom::Error),
}

/// Plays a whole run of `B` and reports. Returns when all bots have left.
///
/// The observer is called in this thread, behaviours are in others.
///
/// # Errors
/// The run could not start. What goes wrong later is in the report.
///
/// # Panics
/// If a behaviour does.
pub fn run<B: Behaviour>(
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<Report, FleetError> {
    let relay = options.net.map(|net| Relay::start(options.server, net));
    let relay = relay.transpose().map_err(FleetError::Relay)?;
    let target = relay.as_ref().map_or(options.server, Relay::address);
    let mut entropy = [0; 32];
    getrandom::fill(&mut entropy).map_err(FleetError::Entropy)?;
    if let Some(folder) = &options.ticket_dir {
        std::fs::create_dir_all(folder).map_err(FleetError::Tickets)?;
    }
    let parts = parts::of(options);
    let change = options.rebind_every.map(|_| Change::towards(target));
    let sockets = parts
        .iter()
        .map(|part| Sockets::open(target, options.conduct, part.bots.len(), change))
        .collect::<io::Result<Vec<_>>>()
        .map_err(FleetError::Sockets)?;
    let count = parts.len();
    let origin = Instant::now();
    thread::scope(|scope| {
        let (tell, notes) = sync_channel(count * NOTES_MAX);
        let (mut crews, mut threads) = (Vec::new(), Vec::new());
        for (crew, (part, sockets)) in parts.into_iter().zip(sockets).enumerate() {
            let (order, orders) = sync_channel(ORDERS_MAX);
            let line = Line {
                crew,
                orders,
                notes: tell.clone(),
            };
            let joining_max = joining_share(options, crew, count);
            let work = move || {
                let crew = Crew::<B>::new(options, part, sockets, entropy);
                Worker::new(crew, options, line, origin, joining_max).run();
            };
            let named = thread::Builder::new().name(format!("bots {crew}"));
            // Those that run already end as their orders do.
            let thread = named.spawn_scoped(scope, work);
            threads.push(thread.map_err(FleetError::Threads)?);
            crews.push(order);
        }
        drop(tell);
        let conductor = Conductor::new(options, (crews, notes), relay, origin).rebinding(change);
        let ended = conductor.run(B::Room::KIND, observer);
        Ok(all_ended(threads, ended))
    })
}

/// Bots that one of so many crews may have on their way: all together as many as one thread would.
fn joining_share(options: &Options, crew: usize, count: usize) -> usize {
    let most = match options.ramp_hz {
        Some(_) => RAMP_JOINING_MAX,
        None => JOINING_MAX,
    };
    (most + crew) / count
}

/// Waits for the threads, whose conductor is gone. A panic of theirs is one of the run.
fn all_ended(threads: Vec<ScopedJoinHandle<'_, ()>>, ended: Result<Report, Broken>) -> Report {
    for thread in threads {
        if let Err(panic) = thread.join() {
            panic::resume_unwind(panic);
        }
    }
    ended.expect("a crew ends early only if it panics")
}

#[cfg(test)]
mod tests {
    use rejoin_protocol::crypto::PublicKey;

    use super::*;

    #[test]
    fn all_crews_together_join_as_many_at_a_time_as_one() {
        let mut options = Options::new("127.0.0.1:7".parse().unwrap(), PublicKey([0; 32]));
        for (ramp, most) in [(None, JOINING_MAX), (Some(5), RAMP_JOINING_MAX)] {
            options.ramp_hz = ramp;
            for count in 1..=parts::THREADS_MAX {
                let shares = (0..count).map(|crew| joining_share(&options, crew, count));
                let shares: Vec<usize> = shares.collect();
                assert_eq!(shares.iter().sum::<usize>(), most, "{count} threads");
                assert!(shares.iter().all(|share| *share > 0), "{shares:?}");
            }
        }
    }
}
