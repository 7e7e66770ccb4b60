//! The plan of a run: who starts when, what breaks when, and when everything must be whole.

use std::time::Duration;

use rejoin_protocol::{CloseReason, Rng, Timestamp};

use crate::breaks::{Breaks, Outages, Restart, WORDS};
use crate::draws::{around, between, millis, pick};
use crate::network::Direction;
use crate::options::Options;

/// Something that happens to players or rooms at its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// A player's client starts, unless one runs.
    Start { player: usize },
    /// A partition begins for some players and directions, and ends.
    Cut {
        players: Vec<usize>,
        ways: Vec<Direction>,
        lasts: Duration,
    },
    /// A player's client stops to run for a while, as if its machine slept.
    Silence { player: usize, lasts: Duration },
    /// The server does not run for a while.
    Stall {
        /// Which; `None`: all.
        shard: Option<usize>,
        lasts: Duration,
    },
    /// A player's client dies without a word; another one starts later, with its ticket or without.
    Kill {
        player: usize,
        back_after: Duration,
        ticket: bool,
    },
    /// A player starts a second client while the first one runs.
    TakeOver { player: usize },
    /// The server loses the connection of a player, and says why or does not.
    Lose {
        player: usize,
        word: Option<CloseReason>,
    },
    /// The server loses all connections at once.
    Storm { word: Option<CloseReason> },
    /// The server loses the connection of a player, who starts a second client before the first may be back.
    Rival {
        player: usize,
        wait: Duration,
        ticket: bool,
        /// If so the first is silent for that long, and the second gives a seat up and takes it again meanwhile.
        silent: Option<Duration>,
    },
    /// A player starts another client with a ticket that an earlier one was given.
    Relaunch { player: usize, alone: bool },
    /// The server's process ends.
    Restart(Restart),
    /// It ended, since the store took nothing any more.
    Fail,
    /// And another one begins.
    Up(Restart),
    /// The disk is full for a while.
    Fill { lasts: Duration },
    /// It has place again, unless it was filled anew.
    Empty,
    /// Whoever was connected when the server went must be back.
    CheckBack(CheckBack),
    /// A client's address changes; what is on its way to the old one is lost.
    Move { player: usize },
    /// A player gives a seat back, and returns later.
    Leave { player: usize, back_after: Duration },
    /// A player ends the session, and returns later.
    Disconnect { player: usize, back_after: Duration },
    /// The owner of a room of the group closes it.
    Close { group: usize },
    /// A player tries codes and ids that lead nowhere.
    Guess { player: usize, times: u64 },
    /// A player's client says that it loads, and does.
    Load { player: usize, load: Load },
    /// All members must have been told of the player's load.
    CheckLoad { player: usize },
    /// All faults end, and players stop to send.
    Heal,
    /// Every seat sends one more reliable input.
    LastWord,
    /// Everything must be whole; then the server stops.
    Judge,
    /// Every client must know that the server stopped.
    End,
}

/// A client that must be back on its connection by a moment, unless something kept it away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CheckBack {
    pub(crate) client: usize,
    /// When the server was back.
    pub(crate) up: Timestamp,
    /// Its process.
    pub(crate) epoch: u64,
}

/// A load as it is planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    /// As announced.
    pub(crate) span: Duration,
    /// How long it takes.
    pub(crate) lasts: Duration,
    /// True if the client does not run meanwhile.
    pub(crate) silent: bool,
    /// True if it says when it is done.
    pub(crate) says_done: bool,
    /// True if all members must be told of it.
    pub(crate) watched: bool,
}

/// From the end of faults until everything must be whole.
pub(crate) const WHOLE_AFTER: Duration = Duration::from_secs(15);
/// From the end of faults until the last input of each seat.
const LAST_WORD_AFTER: Duration = Duration::from_secs(10);
/// From the end of faults until some load while all can be told of it.
const LOAD_AFTER: Duration = Duration::from_millis(5_500);
/// From such a load until all must have been told: had the notice no effect, its silence would
/// be told as suspicion by then.
const CHECK_LOAD_AFTER: Duration = Duration::from_millis(2_700);
/// How long such a load takes.
const WATCHED_SPAN: Duration = Duration::from_secs(3);
/// How many of them there are.
const WATCHED_LOADS: usize = 2;
/// From the order to stop until every client must know.
const STOP_AFTER: Duration = Duration::from_secs(4);
/// Players start within this time.
const START_WITHIN_MS: u64 = 3_000;

/// Draws the plan of a run of `seconds`, in order of time.
pub(crate) fn plan(options: &Options, seconds: u64, rng: &mut Rng) -> Vec<(Timestamp, Act)> {
    let judge = Timestamp::ZERO + Duration::from_secs(seconds);
    let heal = judge - WHOLE_AFTER;
    let mut plan = Plan {
        acts: Vec::new(),
        until: heal,
        players: options.players,
    };
    for player in 0..options.players {
        let at = Timestamp::ZERO + millis(rng, 0, START_WITHIN_MS);
        plan.acts.push((at, Act::Start { player }));
    }
    plan.outages(options.partitions, &mut rng.fork("partitions"), Plan::cut);
    plan.outages(
        options.silences,
        &mut rng.fork("silences"),
        |plan, lasts, rng| Act::Silence {
            player: plan.player(rng),
            lasts,
        },
    );
    plan.outages(options.stalls, &mut rng.fork("stalls"), |_, lasts, _| {
        // By its length, so that nothing that is drawn shifts.
        let shard = match lasts.as_millis() % 3 {
            0 => Some(0),
            1 => Some(1),
            _ => None,
        };
        Act::Stall { shard, lasts }
    });
    plan.repeat(options.kills, &mut rng.fork("kills"), |plan, rng| {
        Act::Kill {
            player: plan.player(rng),
            back_after: millis(rng, 0, 10_000),
            ticket: rng.chance(0.6),
        }
    });
    plan.repeat(
        options.takeovers,
        &mut rng.fork("takeovers"),
        |plan, rng| Act::TakeOver {
            player: plan.player(rng),
        },
    );
    plan.repeat(options.moves, &mut rng.fork("moves"), |plan, rng| {
        Act::Move {
            player: plan.player(rng),
        }
    });
    plan.repeat(options.leaves, &mut rng.fork("leaves"), |plan, rng| {
        let (player, back_after) = (plan.player(rng), millis(rng, 0, 6_000));
        if rng.chance(0.3) {
            Act::Disconnect { player, back_after }
        } else {
            Act::Leave { player, back_after }
        }
    });
    let groups = u64::try_from(options.groups.len()).expect("groups are few");
    plan.repeat(options.closes, &mut rng.fork("closes"), |_, rng| {
        Act::Close {
            group: usize::try_from(rng.below(groups)).expect("groups are few"),
        }
    });
    plan.privacy_and_loads(options, rng);
    plan.full_disks(options, rng);
    let mut acts = plan.acts;
    acts.extend(plan_breaks(&options.breaks, options.players, heal, rng));
    acts.push((heal, Act::Heal));
    acts.push((heal + LAST_WORD_AFTER, Act::LastWord));
    acts.push((judge, Act::Judge));
    acts.push((judge + STOP_AFTER, Act::End));
    acts
}

struct Plan {
    acts: Vec<(Timestamp, Act)>,
    until: Timestamp,
    players: usize,
}

impl Plan {
    fn privacy_and_loads(&mut self, options: &Options, rng: &Rng) {
        self.repeat(options.guesses, &mut rng.fork("guesses"), |plan, rng| {
            Act::Guess {
                player: plan.player(rng),
                times: between(rng, 1, 30),
            }
        });
        let mut rng = rng.fork("loads");
        self.outages(options.loads, &mut rng, |plan, span, rng| Act::Load {
            player: plan.player(rng),
            load: Load {
                span,
                lasts: span.mul_f64(0.3 + rng.unit() * 1.2),
                silent: rng.chance(0.7),
                says_done: rng.chance(0.5),
                watched: false,
            },
        });
        if options.loads.is_none() {
            return;
        }
        // And some with nothing in the way, so that it can be said what all must be told.
        for _ in 0..WATCHED_LOADS {
            let player = self.player(&mut rng);
            let load = Load {
                span: WATCHED_SPAN,
                lasts: WATCHED_SPAN,
                silent: rng.chance(0.5),
                says_done: rng.chance(0.5),
                watched: true,
            };
            let at = self.until + LOAD_AFTER;
            self.acts.push((at, Act::Load { player, load }));
            let checked = at + CHECK_LOAD_AFTER;
            self.acts.push((checked, Act::CheckLoad { player }));
        }
    }

    fn full_disks(&mut self, options: &Options, rng: &Rng) {
        let full = options.breaks.disk.and_then(|disk| disk.full);
        let mut rng = rng.fork("full disks");
        self.outages(full, &mut rng, |_, lasts, _| Act::Fill { lasts });
    }

    fn repeat(
        &mut self,
        every: Option<Duration>,
        rng: &mut Rng,
        mut act: impl FnMut(&Self, &mut Rng) -> Act,
    ) {
        let Some(every) = every else { return };
        let mut at = Timestamp::ZERO + around(rng, every);
        while at < self.until {
            let act = act(self, rng);
            self.acts.push((at, act));
            // Never twice at one moment, so that the loop ends.
            at = at + around(rng, every) + Duration::from_millis(1);
        }
    }

    fn outages(
        &mut self,
        outages: Option<Outages>,
        rng: &mut Rng,
        act: impl Fn(&Self, Duration, &mut Rng) -> Act,
    ) {
        let Some(Outages { every, longest }) = outages else {
            return;
        };
        let longest_ms = u64::try_from(longest.as_millis()).expect("outages are short");
        self.repeat(Some(every), rng, |plan, rng| {
            let lasts = millis(rng, 200, longest_ms.max(200));
            act(plan, lasts, rng)
        });
    }

    fn cut(&self, lasts: Duration, rng: &mut Rng) -> Act {
        let share = rng.unit();
        let mut players: Vec<_> = (0..self.players).filter(|_| rng.chance(share)).collect();
        if players.is_empty() {
            players.push(self.player(rng));
        }
        let ways = match between(rng, 0, 3) {
            0 => vec![Direction::Up],
            1 => vec![Direction::Down],
            _ => vec![Direction::Up, Direction::Down],
        };
        Act::Cut {
            players,
            ways,
            lasts,
        }
    }

    fn player(&self, rng: &mut Rng) -> usize {
        let players = u64::try_from(self.players).expect("players are few");
        usize::try_from(rng.below(players)).expect("players are few")
    }
}

/// What breaks sessions when, until `until`.
fn plan_breaks(
    breaks: &Breaks,
    players: usize,
    until: Timestamp,
    rng: &Rng,
) -> Vec<(Timestamp, Act)> {
    let mut acts = Vec::new();
    let mut repeat = |every: Option<Duration>, label, act: &mut dyn FnMut(&mut Rng) -> Act| {
        let Some(every) = every else { return };
        let mut rng = rng.fork(label);
        let mut at = Timestamp::ZERO + around(&mut rng, every);
        while at < until {
            acts.push((at, act(&mut rng)));
            at = at + around(&mut rng, every) + Duration::from_millis(1);
        }
    };
    repeat(breaks.losses, "losses", &mut |rng| Act::Lose {
        player: rng.index(players),
        word: pick(rng, &WORDS),
    });
    repeat(breaks.storms, "storms", &mut |rng| Act::Storm {
        word: pick(rng, &WORDS),
    });
    repeat(breaks.rivals, "rivals", &mut |rng| Act::Rival {
        player: rng.index(players),
        wait: millis(rng, 0, 400),
        ticket: rng.chance(0.6),
        silent: rng.chance(0.3).then(|| millis(rng, 1_500, 4_000)),
    });
    if let Some(restarts) = breaks.restarts {
        // Drawn beside the others, so that nothing shifts.
        let mut ends = rng.fork("endings");
        let disk = breaks.disk;
        let mut restart = |rng: &mut Rng| {
            let ending = disk.map(|disk| disk.draw_ending(&mut ends));
            Act::Restart(Restart {
                ending: ending.unwrap_or_default(),
                ..restarts.draw(rng)
            })
        };
        repeat(Some(restarts.every), "restarts", &mut restart);
    }
    acts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Load;

    #[test]
    fn faults_end_before_the_judgement() {
        for seed in 0..100 {
            let mut rng = Rng::from_number(seed);
            let options = Options::draw(Load::Drawn, &mut rng);
            let acts = plan(&options, 60, &mut rng);
            let heal = Timestamp::from_millis(45_000);
            let watched = |act: &Act| {
                let load = matches!(act, Act::Load { load, .. } if load.watched);
                load || matches!(act, Act::CheckLoad { .. })
            };
            let after = acts.iter().filter(|(at, act)| *at >= heal && !watched(act));
            let after: Vec<_> = after.collect();
            assert_eq!(after.len(), 4, "{after:?}");
            assert!(acts.contains(&(heal, Act::Heal)));
        }
    }

    #[test]
    fn every_player_starts() {
        let mut rng = Rng::from_number(3);
        let options = Options::draw(Load::Full, &mut rng);
        let acts = plan(&options, 60, &mut rng);
        let starts = acts
            .iter()
            .filter(|(_, act)| matches!(act, Act::Start { .. }))
            .count();
        assert_eq!(starts, 16);
    }
}
