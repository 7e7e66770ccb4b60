//! What breaks sessions in a run: lost connections, second clients, servers that start anew, clocks.
//!
//! Drawn beside the other options, from a fork of their chance.

use std::fmt;
use std::time::Duration;

use rejoin_protocol::{CloseReason, Rng};

use crate::chores::SLOW_SYNC;
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
    /// What the rooms are kept on, if not in memory.
    pub(crate) disk: Option<DiskOptions>,
}

/// Outages of some clients.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Outages {
    /// Mean time between two.
    pub(crate) every: Duration,
    /// Longest one.
    pub(crate) longest: Duration,
}

/// The disk of a server's machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct DiskOptions {
    /// True if rooms acknowledge what is on the medium.
    pub(crate) synced: bool,
    /// Share of processes that end with a loss of power.
    pub(crate) power: f64,
    /// Share of processes that end within an operation of the disk, or because it fails.
    pub(crate) faults: f64,
    /// Longest time of most syncs.
    pub(crate) sync: Duration,
    /// Times in which it is full.
    pub(crate) full: Option<Outages>,
    /// Share of restarts before which bits flip.
    pub(crate) rot: f64,
}

/// How a process ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ending {
    /// True if its machine stops: of what was not synced anything may be gone.
    pub(crate) power: bool,
    pub(crate) when: When,
}

/// When a process ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum When {
    #[default]
    Now,
    /// Within an operation of the disk: as many are done before.
    Within(u64),
    /// As soon as a sync fails.
    SyncFails,
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

/// Longest time in which a disk is full: what waits is told late by as much.
const FULL_MAX_MS: u64 = 5_000;
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
    pub(crate) ending: Ending,
}

impl Breaks {
    /// Draws what breaks.
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        let mut breaks = Self {
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
            disk: None,
        };
        breaks.draw_disk(&mut rng.fork("disk"));
        breaks
    }

    /// Most servers that start anew and keep their rooms have them on a disk; so do some others, which then start anew.
    fn draw_disk(&mut self, rng: &mut Rng) {
        let has_disk = match self.restarts {
            Some(restarts) => restarts.keeps_rooms && rng.chance(0.85),
            None => rng.chance(0.2),
        };
        if !has_disk {
            return;
        }
        let synced = rng.chance(0.4);
        // A synced room does not expect that anything it acknowledged is gone.
        let rots = if synced { 0.0 } else { 0.35 };
        self.disk = Some(DiskOptions {
            synced,
            power: rng.unit(),
            faults: maybe(rng, 0.6, |rng| rng.unit() * 0.6).unwrap_or(0.0),
            sync: Duration::from_millis(pick(rng, &[3, 15, 60, 200, 400])),
            full: maybe(&mut rng.fork("full"), 0.4, |rng| Outages {
                every: millis(rng, 3_000, 12_000),
                longest: millis(rng, 1_000, FULL_MAX_MS),
            }),
            rot: maybe(&mut rng.fork("rot"), rots, |rng| rng.unit() * 0.5).unwrap_or(0.0),
        });
        self.restarts.get_or_insert_with(|| Restarts {
            every: millis(rng, 4_000, 15_000),
            longest: millis(rng, 0, 4_000),
            keys: KeysFate::Kept,
            jumps: false,
            keeps_rooms: true,
        });
    }

    /// True if rooms acknowledge what is on the medium.
    pub(crate) fn is_synced(&self) -> bool {
        self.disk.is_some_and(|disk| disk.synced)
    }

    /// How long what a room tells may wait for the medium: for the sync under way, and the one after it.
    pub(crate) fn synced_within(&self) -> Duration {
        let disk = self.disk.filter(|disk| disk.synced);
        disk.map_or(Duration::ZERO, |disk| disk.sync * SLOW_SYNC * 2)
    }

    /// True if a ticket may open nothing in this run.
    pub(crate) fn tickets_may_fail(&self) -> bool {
        let fails = |restarts: Restarts| restarts.jumps || restarts.keys != KeysFate::Kept;
        self.restarts.is_some_and(fails)
    }
}

impl DiskOptions {
    /// How a process ends.
    pub(crate) fn draw_ending(&self, rng: &mut Rng) -> Ending {
        let power = rng.chance(self.power);
        let fault = rng.chance(self.faults);
        let when = match (fault, rng.chance(0.3)) {
            (false, _) => When::Now,
            (true, true) => When::SyncFails,
            (true, false) => When::Within(between(rng, 0, 60)),
        };
        Ending { power, when }
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
            ending: Ending::default(),
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
        if let Some(DiskOptions {
            synced,
            power,
            faults,
            sync,
            full,
            rot,
        }) = self.disk
        {
            let level = if synced { "synced" } else { "exact" };
            write!(
                f,
                "disk {level}, syncs of at most {sync:?}, {power:.2} lose power, {faults:.2} by a fault, {rot:.2} after rot, "
            )?;
            match full {
                Some(full) => write!(f, "full {full}; ")?,
                None => write!(f, "never full; ")?,
            }
        }
        write!(f, "{:.2} skewed", self.skewed)
    }
}

impl fmt::Display for Outages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "of at most {:?} every {:?}", self.longest, self.every)
    }
}
