//! The history of a test's room, and the proof that it gives the same room again.
//!
//! Called by `TestRoom` alone. It panics where a server would report, since whoever looks is a
//! test of game logic.

use std::time::Duration;

use crate::call::{Call, Outcome};
use crate::compare::{Mismatch, compare, written};
use crate::effect::Effect;
use crate::fault::RoomFault;
use crate::hosted::{Hosted, RoomInstance};
use crate::room::Room;
use crate::spec::RoomSpec;

/// All that a recovery needs: where it starts from, and every call since.
#[derive(Debug)]
pub(crate) struct History {
    base: Base,
    journal: Vec<Recorded>,
}

/// A call, and what came of it.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) at: Duration,
    pub(crate) call: Call,
    pub(crate) outcome: Outcome,
    pub(crate) effects: Vec<Effect>,
}

/// What a recovery starts from.
#[derive(Debug)]
enum Base {
    /// The room is opened anew, which must have these effects.
    Opening(RoomSpec, Vec<Effect>),
    /// A checkpoint's bytes.
    Checkpoint(Vec<u8>),
}

/// Feeds the chance of every test room: a test that passes once passes always.
pub(crate) const SEED: [u8; 32] = [7; 32];

impl History {
    /// The history of a room that was opened for `spec` with `effects`.
    pub(crate) const fn new(spec: RoomSpec, effects: Vec<Effect>) -> Self {
        Self {
            base: Base::Opening(spec, effects),
            journal: Vec::new(),
        }
    }

    /// Forgets what is older than `checkpoint`.
    pub(crate) fn start_from(&mut self, checkpoint: Vec<u8>) {
        self.base = Base::Checkpoint(checkpoint);
        self.journal.clear();
    }

    /// Adds a call that was made.
    pub(crate) fn record(&mut self, recorded: Recorded) {
        self.journal.push(recorded);
    }

    /// The room again, read from its own checkpoint.
    ///
    /// # Panics
    /// If it is not `live`, or a replay of the history is not.
    pub(crate) fn recover<R: Room>(&self, live: &Hosted<R>) -> Hosted<R> {
        let reread = held(Hosted::restore(&held(written(live))));
        assert_same("being written and read", live, &reread);
        assert_same("a replay", live, &self.replay(live.tick()));
        reread
    }

    /// The room from its base; every call must come out as it did.
    fn replay<R: Room>(&self, live_tick: u64) -> Hosted<R> {
        let repeated = |call: &str, tick: u64, same: bool| {
            assert!(
                same,
                "{} is not deterministic: {call} at tick {tick} of {live_tick} came out otherwise \
                 in a replay",
                R::KIND,
            );
        };
        let mut room = match &self.base {
            Base::Opening(spec, before) => {
                let mut effects = Vec::new();
                let room = held(Hosted::<R>::open(spec, SEED, &mut effects));
                repeated("its opening", 0, effects == *before);
                room
            }
            Base::Checkpoint(bytes) => held(Hosted::restore(bytes)),
        };
        for recorded in &self.journal {
            let mut effects = Vec::new();
            let outcome = held(room.apply(recorded.at, &recorded.call, &mut effects));
            let same = outcome == recorded.outcome && effects == recorded.effects;
            repeated(name(&recorded.call), room.tick(), same);
        }
        room
    }
}

/// Fails the test if logic failed.
pub(crate) fn held<T>(result: Result<T, RoomFault>) -> T {
    result.unwrap_or_else(|fault| panic!("{fault}"))
}

/// Fails the test unless both rooms hold and show the same.
fn assert_same<R: Room>(after: &str, live: &Hosted<R>, again: &Hosted<R>) {
    let (kind, tick) = (R::KIND, live.tick());
    match compare(live, again) {
        Ok(()) => {}
        Err(Mismatch::Bytes) => panic!("{kind} at tick {tick} is written otherwise after {after}"),
        Err(Mismatch::View) => panic!("a view of {kind} at tick {tick} is another after {after}"),
        Err(Mismatch::Fault(fault)) => panic!("{fault}"),
        Err(found @ Mismatch::Field { .. }) => {
            panic!("{kind} is another after {after}: at tick {tick}, {found}")
        }
    }
}

const fn name(call: &Call) -> &'static str {
    match call {
        Call::Admit { .. } => "an admission",
        Call::Seat { .. } => "a change of seat",
        Call::Input { .. } => "an input",
        Call::Resumed(_) => "a resumption",
        Call::Tick => "a step",
        Call::Timers => "a timer",
    }
}
