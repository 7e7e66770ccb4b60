//! Server, clients and network in one seeded thread, in virtual time.
//!
//! [`run`] plays the real shard and the real clients, with their real cryptography, against
//! a network and players drawn from one number. Safety is checked while faults last, liveness
//! after they stop. The same seed gives the same [`Report::hash`] on every machine.
//!
//! ```text
//! options   what a seed stands for           world     the loop: the earliest thing happens
//! faults    what happens when                network   delay, loss, copies, order, corruption
//! breaks    what breaks sessions            operator  who runs the server
//! workload  what players attempt             checkers  what clients are told must be true
//! model     what must be true                coverage  which fault met which state
//! machine   the disk below the server         chores    what its store does meanwhile
//! ```

mod breaking;
mod breaks;
mod cast;
mod casting;
mod checkers;
mod chores;
mod contact;
mod content;
mod coverage;
mod draws;
mod eavesdropper;
mod faults;
mod guest;
mod loading;
mod machine;
mod model;
mod network;
mod operator;
mod options;
mod private;
mod queue;
mod records;
mod repeater;
mod report;
mod rot;
mod scene;
mod server;
mod settings;
mod strikes;
mod trace;
mod wiring;
mod witness;
mod workload;
mod world;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use rejoin_protocol::Timestamp;

pub use coverage::{Coverage, Fault, Stage};
pub use options::Load;
pub use report::{Counters, Failure, Report};
pub use settings::Settings;

use report::Violation;
use world::World;

/// Runs one seed to its end, or to the first property that does not hold. A panic inside the
/// product is such a failure too.
#[must_use]
pub fn run(seed: u64, settings: &Settings) -> Report {
    let settings = Settings {
        seconds: settings.seconds.max(SECONDS_MIN),
        ..*settings
    };
    let mut world = World::new(seed, &settings);
    let outcome = catch_unwind(AssertUnwindSafe(|| world.run()))
        .unwrap_or_else(|panic| Err(Violation::new("nothing panics", words(&*panic))));
    let coverage = world.coverage().clone();
    let scene = world.scene();
    let now = scene.now;
    Report {
        seed,
        options: scene.options.to_string(),
        hash: scene.trace.digest(),
        simulated: now.since(Timestamp::ZERO),
        outcome: outcome.map_err(|violation| violation.into_failure(seed, settings.seconds, now)),
        coverage,
        counters: scene.counters,
        log: scene.trace.take_log(),
    }
}

/// The shortest run: faults last five seconds, and the wounds have 15 to heal.
const SECONDS_MIN: u64 = Duration::from_secs(20).as_secs();

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without words").to_owned()
}
