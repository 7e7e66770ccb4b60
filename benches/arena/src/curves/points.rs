//! What is measured for which curve.

use std::time::Duration;

use crate::load::Load;
use crate::own::{EXACT, RAW2, REJOIN, REJOIN2};
use crate::subject::Subject;
use crate::workload::{QUARTER, SEATS, SIZES, SLOW, SMALL, TICKS, WHOLE};

/// One thing that changes.
pub(super) struct Curve {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) along: &'static str,
    pub(super) lines: &'static [Series],
}

/// One server along a curve.
pub(super) struct Series {
    /// How it is called there.
    pub(super) name: &'static str,
    pub(super) subject: &'static Subject,
    pub(super) what: What,
    pub(super) points: &'static [Point],
}

/// What is looked at.
#[derive(Clone, Copy)]
pub(super) enum What {
    Play,
    /// Sessions without a seat.
    Idle,
}

impl What {
    pub(super) const fn unit(self) -> &'static str {
        match self {
            Self::Play => "CPU us/player/s",
            Self::Idle => "CPU us/session/s",
        }
    }
}

#[derive(Clone, Copy)]
pub(super) struct Point {
    /// Its place along the bottom.
    pub(super) at: usize,
    players: usize,
    shape: usize,
    ping_hz: u64,
}

impl Point {
    pub(super) const fn load(self, span: Duration) -> Load {
        Load {
            players: self.players,
            shape: self.shape,
            ping_hz: self.ping_hz,
            span,
        }
    }
}

const fn point(at: usize, players: usize, shape: usize) -> Point {
    Point {
        at,
        players,
        shape,
        ping_hz: 5,
    }
}

const fn players(players: usize) -> Point {
    point(players, players, WHOLE)
}

/// Rooms of two, whose players ping once a second.
const fn rooms(rooms: usize) -> Point {
    Point {
        ping_hz: 1,
        ..point(rooms, 2 * rooms, SMALL)
    }
}

const PLAYERS: &[Point] = &[
    players(64),
    players(256),
    players(512),
    players(992),
    players(2_000),
    players(3_200),
    players(4_000),
];

const ROOMS: &[Point] = &[
    rooms(1),
    rooms(16),
    rooms(64),
    rooms(256),
    rooms(1_024),
    rooms(4_096),
];

const MEMBERS: &[Point] = &[
    point(2, 400, SEATS[0]),
    point(4, 400, SEATS[1]),
    point(16, 400, WHOLE),
    point(50, 400, SEATS[2]),
    point(100, 400, SEATS[3]),
    point(200, 400, SEATS[4]),
];

const STATE: &[Point] = &[
    point(100, 64, SIZES[0]),
    point(1_000, 64, WHOLE),
    point(4_000, 64, SIZES[1]),
    point(16_000, 64, SIZES[2]),
    point(65_000, 64, SIZES[3]),
];

const HZ: &[Point] = &[
    point(10, 400, TICKS[0]),
    point(20, 400, TICKS[1]),
    point(30, 400, WHOLE),
    point(60, 400, TICKS[2]),
    point(128, 400, TICKS[3]),
];

const DELTAS: &[Point] = &[
    point(512, 512, QUARTER),
    point(992, 992, QUARTER),
    point(2_000, 2_000, QUARTER),
];

const SLOWLY: &[Point] = &[slow(500), slow(1_000), slow(2_000), slow(4_000)];

/// Of two messages a second one is told to the room, and one is answered.
const fn slow(players: usize) -> Point {
    Point {
        ping_hz: 1,
        ..point(players, players, SLOW)
    }
}

const SESSIONS: &[Point] = &[
    point(1_000, 0, WHOLE),
    point(4_000, 0, WHOLE),
    point(16_000, 0, WHOLE),
    point(50_000, 0, WHOLE),
];

const fn play(subject: &'static Subject, points: &'static [Point]) -> Series {
    named(subject.name, subject, points)
}

const fn named(name: &'static str, subject: &'static Subject, points: &'static [Point]) -> Series {
    Series {
        name,
        subject,
        what: What::Play,
        points,
    }
}

pub(super) const CURVES: &[Curve] = &[
    Curve {
        name: "players",
        about: "rooms of 16, 30 Hz, whole snapshots of 1,000 bytes",
        along: "players",
        lines: &[play(&RAW2, PLAYERS), play(&REJOIN, PLAYERS)],
    },
    Curve {
        name: "deltas",
        about: "the same, and rooms of which a quarter changes",
        along: "players",
        lines: &[
            named(
                "whole",
                &REJOIN,
                &[players(512), players(992), players(2_000)],
            ),
            named("deltas", &REJOIN, DELTAS),
        ],
    },
    Curve {
        name: "rooms",
        about: "rooms of 2 at 5 Hz, 100 bytes",
        along: "rooms",
        lines: &[play(&RAW2, ROOMS), play(&REJOIN, ROOMS)],
    },
    Curve {
        name: "members",
        about: "400 players at 30 Hz in rooms of more and more",
        along: "members of a room",
        lines: &[play(&RAW2, MEMBERS), play(&REJOIN, MEMBERS)],
    },
    Curve {
        name: "state",
        about: "64 players in rooms of 16 at 30 Hz, whole snapshots",
        along: "bytes of a snapshot",
        lines: &[play(&REJOIN, STATE)],
    },
    Curve {
        name: "ticks",
        about: "400 players in rooms of 16, who act as often as their room ticks",
        along: "ticks a second",
        lines: &[play(&RAW2, HZ), play(&REJOIN, HZ)],
    },
    Curve {
        name: "shards",
        about: "as players, with one shard and with two, on one core",
        along: "players",
        lines: &[
            play(&REJOIN, &[players(512), players(992), players(2_000)]),
            play(&REJOIN2, &[players(512), players(992), players(2_000)]),
        ],
    },
    Curve {
        name: "slow rooms",
        about: "rooms of 10 at 10 Hz, each player one input and one ping a second, with and without a journal",
        along: "players",
        lines: &[play(&REJOIN, SLOWLY), play(&EXACT, SLOWLY)],
    },
    Curve {
        name: "idle",
        about: "sessions without a seat, a heartbeat every 15 s",
        along: "sessions",
        lines: &[Series {
            name: REJOIN.name,
            subject: &REJOIN,
            what: What::Idle,
            points: SESSIONS,
        }],
    },
];
