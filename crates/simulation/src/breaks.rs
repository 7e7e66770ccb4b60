//! What breaks sessions in a run: lost connections, second clients, servers that start anew, clocks.
//!
//! Drawn beside the other options, from a fork of their chance.

use std::fmt;
use std::time::Duration;

use rejoin_protocol::{CloseReason, Rng};

use crate::draws::{between, maybe, millis, pick};

/// What was drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Breaks {
    /// Share of clients that end with their connection.
    pub(crate) frail: f64,
    /// Mean time between connections that the server loses.
    pub(crate) losses: Option<Duration>,
    /// Mean time between storms: the server loses all connections at once.
    pub(crate) storms: Option<Duration>,
    /// Mean time between lost connections whose player starts another client before the first is back.
    pub(crate) rivals: Option<Duration>,
    /// Servers that start anew.
    pub(crate) restarts: Option<Restarts>,
    /// Share of clients whose clock is an hour off.
    pub(crate) skewed: f64,
}

/// Servers that start anew.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Restarts {
    /// Mean time between two.
    pub(crate) every: Duration,
    /// Longest time without a server.
    pub(crate) longest: Duration,
    /// What becomes of the keys of tickets.
    pub(crate) keys: KeysFate,
    /// True if the wall clock may jump.
    pub(crate) jumps: bool,
    /// True if the next process finds the rooms of the one before.
    pub(crate) keeps_rooms: bool,
}

const HOUR_S: i64 = 3_600;
/// Beyond the life of every ticket.
const LONG_JUMP_S: i64 = 25 * HOUR_S;
/// Closes that a client takes for a loss, and silence.
pub(crate) const WORDS: [Option<CloseReason>; 5] = [
    None,
    None,
    Some(CloseReason::TimedOut),
    Some(CloseReason::InternalError),
    Some(CloseReason::Overloaded),
];

/// What a new process finds of the keys of tickets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeysFate {
    Kept,
    /// A new one seals; those before open.
    Rotated,
    /// There are only new ones.
    Lost,
}

/// One restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Restart {
    /// How long there is no server.
    pub(crate) down: Duration,
    pub(crate) keys: KeysFate,
    /// Seconds by which the wall clock jumps.
    pub(crate) jump_s: i64,
    /// See [`Restarts::keeps_rooms`].
    pub(crate) keeps_rooms: bool,
}

impl Breaks {
    /// Draws what breaks.
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        Self {
            frail: maybe(rng, 0.5, |rng| rng.unit() * 0.4).unwrap_or(0.0),
            losses: maybe(rng, 0.5, |rng| millis(rng, 2_000, 12_000)),
            storms: maybe(rng, 0.25, |rng| millis(rng, 6_000, 30_000)),
            rivals: maybe(rng, 0.35, |rng| millis(rng, 4_000, 20_000)),
            restarts: maybe(rng, 0.4, |rng| Restarts {
                every: millis(rng, 6_000, 25_000),
                longest: millis(rng, 0, 7_000),
                keys: pick(
                    rng,
                    &[
                        KeysFate::Kept,
                        KeysFate::Kept,
                        KeysFate::Rotated,
                        KeysFate::Lost,
                    ],
                ),
                jumps: rng.chance(0.5),
                keeps_rooms: rng.chance(0.7),
            }),
            skewed: maybe(rng, 0.3, |rng| rng.unit() * 0.6).unwrap_or(0.0),
        }
    }

    /// True if a ticket may open nothing in this run.
    pub(crate) fn tickets_may_fail(&self) -> bool {
        let fails = |restarts: Restarts| restarts.jumps || restarts.keys != KeysFate::Kept;
        self.restarts.is_some_and(fails)
    }
}

impl Restarts {
    pub(crate) fn draw(&self, rng: &mut Rng) -> Restart {
        let longest = u64::try_from(self.longest.as_millis()).expect("outages are short");
        let jump_s = match between(rng, 0, 3) {
            0 => HOUR_S,
            1 => -HOUR_S,
            2 => LONG_JUMP_S,
            _ => 0,
        };
        Restart {
            down: millis(rng, 0, longest),
            keys: self.keys,
            jump_s: if self.jumps { jump_s } else { 0 },
            keeps_rooms: self.keeps_rooms,
        }
    }
}

impl fmt::Display for Breaks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} frail; ", self.frail)?;
        for (name, every) in [
            ("losses", self.losses),
            ("storms", self.storms),
            ("rivals", self.rivals),
        ] {
            match every {
                Some(every) => write!(f, "{name} every {every:?}; ")?,
                None => write!(f, "{name} none; ")?,
            }
        }
        match self.restarts {
            Some(Restarts {
                every,
                longest,
                keys,
                jumps,
                keeps_rooms,
            }) => {
                let jumps = if jumps { ", clock jumps" } else { "" };
                let rooms = if keeps_rooms { "kept" } else { "lost" };
                write!(
                    f,
                    "restarts of at most {longest:?} every {every:?}, keys {keys:?}, rooms {rooms}{jumps}; "
                )?;
            }
            None => write!(f, "restarts none; ")?,
        }
        write!(f, "{:.2} skewed", self.skewed)
    }
}
