//! What one seed stands for: who plays, what goes wrong, and how often.
//!
//! Each class of faults is off, or drawn from its range. So some runs meet one fault
//! alone, undisturbed by the others, and some meet all of them.

use std::fmt;
use std::time::Duration;

use rejoin_protocol::Rng;

use crate::breaks::{Breaks, Outages};
use crate::draws::{between, maybe, millis, pick};

/// How much is played.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Load {
    /// Players, rooms and rates are drawn from the seed.
    #[default]
    Drawn,
    /// 16 clients in 4 arenas at 20 inputs a second: to measure speed.
    Full,
}

/// What was drawn for a run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Options {
    /// Players, each with one client at a time, or two for a moment.
    pub(crate) players: usize,
    /// The kind of each group's rooms. A group plays in one room after another.
    pub(crate) groups: Vec<RoomKind>,
    /// Share of players who also join a second group.
    pub(crate) second_group: f64,
    /// Inputs per second and seat.
    pub(crate) input_hz: u64,
    /// Share of reliable inputs among them.
    pub(crate) reliable: f64,
    /// Datagrams to the server.
    pub(crate) up: Impairment,
    /// Datagrams to clients.
    pub(crate) down: Impairment,
    /// Partitions between the server and some clients.
    pub(crate) partitions: Option<Outages>,
    /// Clients that fall silent and come back.
    pub(crate) silences: Option<Outages>,
    /// Mean time between clients that die without a word and are started anew.
    pub(crate) kills: Option<Duration>,
    /// Mean time between players who start a second client while the first one runs.
    pub(crate) takeovers: Option<Duration>,
    /// Mean time between clients whose address changes.
    pub(crate) moves: Option<Duration>,
    /// Mean time between players who give a seat or their session back, and return.
    pub(crate) leaves: Option<Duration>,
    /// Mean time between rooms closed by their owner.
    pub(crate) closes: Option<Duration>,
    /// Moments at which the server does not run for a while.
    pub(crate) stalls: Option<Outages>,
    /// True if a peer takes part that sends its inputs again and again.
    pub(crate) repeater: bool,
    /// True if somebody on the path sends copies from an address of its own.
    pub(crate) eavesdropper: bool,
    /// Whether each group's rooms are private: entered by the code that a member tells.
    pub(crate) private: Vec<bool>,
    /// Mean time between bursts of wrong codes and ids.
    pub(crate) guesses: Option<Duration>,
    /// Clients that load and say so.
    pub(crate) loads: Option<Outages>,
    /// Chance that a client repeats a request for a seat at once.
    pub(crate) retries: f64,
    /// How long the server holds a seat.
    pub(crate) seat_hold: Duration,
    /// How long a room without members stays open.
    pub(crate) empty_room_hold: Duration,
    /// How long the server gathers datagrams before a turn.
    pub(crate) gather: Duration,
    pub(crate) sharding: Sharding,
    /// What breaks sessions.
    pub(crate) breaks: Breaks,
}

/// Longest time of a letter: a turn of a busy shard.
const LETTER_DELAY_MAX: Duration = Duration::from_millis(3);

/// The shards of the server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sharding {
    /// How many there are.
    pub(crate) shards: u8,
    /// Share of datagrams that reach any shard, not their own.
    pub(crate) astray: f64,
    /// Longest time of a letter between two.
    pub(crate) letter_delay: Duration,
}

impl Sharding {
    fn draw(rng: &mut Rng) -> Self {
        Self {
            shards: if rng.chance(0.5) { 2 } else { 1 },
            astray: maybe(rng, 0.4, Rng::unit).unwrap_or(0.0),
            letter_delay: LETTER_DELAY_MAX.mul_f64(rng.unit()),
        }
    }
}

/// The rooms of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RoomKind {
    /// The arena that comes with Rejoin.
    Arena,
    /// The chat that comes with Rejoin.
    Chat,
    /// [`Witness`](crate::witness::Witness).
    Witness,
}

/// What happens to datagrams of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Impairment {
    /// Time every datagram takes.
    pub(crate) delay: Duration,
    /// Time that is added at most; order is kept.
    pub(crate) jitter: Duration,
    /// Chance to vanish.
    pub(crate) loss: f64,
    /// Chance to arrive twice.
    pub(crate) duplication: f64,
    /// Chance to be overtaken by later ones.
    pub(crate) reorder: f64,
    /// Chance that a bit or byte flips, or the end is missing.
    pub(crate) corruption: f64,
}

impl Options {
    /// Draws a run.
    pub(crate) fn draw(load: Load, rng: &mut Rng) -> Self {
        let (delay_up, delay_down) = (millis(rng, 0, 200), millis(rng, 0, 200));
        let near = rng.chance(0.3);
        let delay = |drawn: Duration| if near { drawn / 20 } else { drawn };
        let mut options = Self {
            players: usize::try_from(between(rng, 4, 16)).expect("a small number"),
            groups: (0..between(rng, 1, 4))
                .map(|_| RoomKind::draw(rng))
                .collect(),
            second_group: if rng.chance(0.5) {
                rng.unit() * 0.5
            } else {
                0.0
            },
            input_hz: pick(rng, &[5, 10, 15, 20, 30]),
            reliable: if rng.chance(0.4) { 1.0 } else { rng.unit() },
            up: Impairment {
                delay: delay(delay_up),
                ..Impairment::default()
            },
            down: Impairment {
                delay: delay(delay_down),
                ..Impairment::default()
            },
            partitions: maybe(rng, 0.5, |rng| Outages {
                every: millis(rng, 2_000, 15_000),
                longest: millis(rng, 400, 8_000),
            }),
            silences: maybe(rng, 0.4, |rng| Outages {
                every: millis(rng, 4_000, 20_000),
                longest: millis(rng, 500, 12_000),
            }),
            kills: maybe(rng, 0.4, |rng| millis(rng, 5_000, 25_000)),
            takeovers: maybe(rng, 0.3, |rng| millis(rng, 5_000, 25_000)),
            moves: maybe(rng, 0.4, |rng| millis(rng, 2_000, 15_000)),
            leaves: maybe(rng, 0.5, |rng| millis(rng, 2_000, 15_000)),
            closes: maybe(rng, 0.4, |rng| millis(rng, 8_000, 25_000)),
            stalls: maybe(rng, 0.3, |rng| Outages {
                every: millis(rng, 3_000, 15_000),
                longest: millis(rng, 200, 1_500),
            }),
            repeater: rng.chance(0.3),
            eavesdropper: rng.fork("eavesdropper").chance(0.4),
            private: Vec::new(),
            guesses: None,
            loads: maybe(&mut rng.fork("loads"), 0.4, |rng| Outages {
                every: millis(rng, 2_000, 12_000),
                longest: millis(rng, 400, 8_000),
            }),
            retries: maybe(rng, 0.5, |rng| rng.unit() * 0.8).unwrap_or(0.0),
            seat_hold: maybe(rng, 0.3, |rng| millis(rng, 6_000, 20_000))
                .unwrap_or(Duration::from_secs(120)),
            empty_room_hold: millis(rng, 2_000, 10_000),
            gather: Duration::from_micros(between(rng, 0, 2_000)),
            sharding: Sharding::draw(&mut rng.fork("sharding")),
            breaks: Breaks::draw(&mut rng.fork("breaks")),
        };
        options.draw_impairments(rng);
        options.draw_privacy(&mut rng.fork("private"));
        if load == Load::Full {
            options.fill();
        }
        options
    }

    /// As much as is played to measure speed, and nothing that plays by rules of its own.
    fn fill(&mut self) {
        self.players = 16;
        self.groups = vec![RoomKind::Arena; 4];
        self.second_group = 0.0;
        self.input_hz = 20;
        self.repeater = false;
        self.eavesdropper = false;
        self.loads = None;
        self.private = vec![false; 4];
        self.guesses = None;
        self.sharding.shards = 2;
        self.sharding.astray = 0.0;
        self.breaks = Breaks::default();
    }

    /// The repeater plays in the first group and knows of no codes.
    fn draw_privacy(&mut self, rng: &mut Rng) {
        let share = maybe(rng, 0.5, |_| 0.6).unwrap_or(0.0);
        let open = usize::from(self.repeater);
        self.private = (0..self.groups.len())
            .map(|group| rng.chance(share) && group >= open)
            .collect();
        if self.private.contains(&true) {
            self.guesses = maybe(rng, 0.7, |rng| millis(rng, 2_000, 12_000));
        }
    }

    /// Both directions meet the same classes, each with its own figure.
    fn draw_impairments(&mut self, rng: &mut Rng) {
        let jitter = maybe(rng, 0.6, |rng| between(rng, 1, 60));
        let loss = maybe(rng, 0.6, |rng| rng.unit() * 0.3);
        let duplication = maybe(rng, 0.5, |rng| rng.unit() * 0.5);
        let reorder = maybe(rng, 0.5, |rng| rng.unit() * 0.3);
        let corruption = maybe(rng, 0.5, |rng| rng.unit() * 0.05);
        for link in [&mut self.up, &mut self.down] {
            link.jitter = jitter.map_or(Duration::ZERO, |most| millis(rng, 0, most));
            link.loss = part(rng, loss);
            link.duplication = part(rng, duplication);
            link.reorder = part(rng, reorder);
            link.corruption = part(rng, corruption);
        }
    }
}

impl RoomKind {
    fn draw(rng: &mut Rng) -> Self {
        pick(
            rng,
            &[
                Self::Arena,
                Self::Arena,
                Self::Witness,
                Self::Witness,
                Self::Chat,
            ],
        )
    }
}

/// One direction's share: half of what was drawn at least, nothing in one case of six.
fn part(rng: &mut Rng, most: Option<f64>) -> f64 {
    let share = 0.5 + rng.unit() / 2.0;
    if rng.chance(1.0 / 6.0) {
        0.0
    } else {
        most.unwrap_or(0.0) * share
    }
}

impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            players,
            groups,
            input_hz,
            reliable,
            second_group,
            ..
        } = self;
        write!(
            f,
            "{players} players; groups {groups:?} (+{second_group:.2}); "
        )?;
        write!(f, "{input_hz} Hz, {:.0} % reliable; ", reliable * 100.0)?;
        write!(f, "up {}; down {}; ", self.up, self.down)?;
        write!(f, "partitions {}; ", Shown(self.partitions))?;
        write!(f, "silences {}; ", Shown(self.silences))?;
        write!(f, "kills {}; ", Shown(self.kills.map(Every)))?;
        write!(f, "takeovers {}; ", Shown(self.takeovers.map(Every)))?;
        write!(f, "moves {}; ", Shown(self.moves.map(Every)))?;
        write!(f, "leaves {}; ", Shown(self.leaves.map(Every)))?;
        write!(f, "closes {}; ", Shown(self.closes.map(Every)))?;
        write!(f, "stalls {}; ", Shown(self.stalls))?;
        write!(f, "repeater {}; ", if self.repeater { "yes" } else { "no" })?;
        let listens = if self.eavesdropper { "yes" } else { "no" };
        write!(f, "eavesdropper {listens}; ")?;
        let private = self.private.iter().filter(|private| **private).count();
        write!(f, "{private} private; ")?;
        write!(f, "guesses {}; ", Shown(self.guesses.map(Every)))?;
        write!(f, "loads {}; ", Shown(self.loads))?;
        write!(f, "retries {:.2}; ", self.retries)?;
        write!(
            f,
            "hold seats {:?}, empty rooms {:?}; ",
            self.seat_hold, self.empty_room_hold
        )?;
        write!(f, "gather {:?}; ", self.gather)?;
        let Sharding {
            shards,
            astray,
            letter_delay,
        } = self.sharding;
        write!(
            f,
            "{shards} shards, {:.0} % astray, letters {letter_delay:?}; {}",
            astray * 100.0,
            self.breaks
        )
    }
}

impl fmt::Display for Impairment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            delay,
            jitter,
            loss,
            duplication,
            reorder,
            corruption,
        } = self;
        write!(f, "{}+{} ms", delay.as_millis(), jitter.as_millis())?;
        for (name, share) in [
            ("lost", loss),
            ("twice", duplication),
            ("late", reorder),
            ("changed", corruption),
        ] {
            if *share > 0.0 {
                write!(f, " {:.1} % {name}", share * 100.0)?;
            }
        }
        Ok(())
    }
}

struct Every(Duration);

impl fmt::Display for Every {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "every {:?}", self.0)
    }
}

struct Shown<T>(Option<T>);

impl<T: fmt::Display> fmt::Display for Shown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(shown) => shown.fmt(f),
            None => f.write_str("none"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(seed: u64) -> Options {
        Options::draw(Load::Drawn, &mut Rng::from_number(seed))
    }

    #[test]
    fn one_seed_draws_one_run_in_one_line() {
        assert_eq!(drawn(7), drawn(7));
        assert_ne!(drawn(7), drawn(8));
        assert_eq!(drawn(7).to_string().lines().count(), 1);
    }

    #[test]
    fn figures_stay_in_their_ranges() {
        for options in (0..300).map(drawn) {
            assert!((4..=16).contains(&options.players));
            assert!((1..=4).contains(&options.groups.len()));
            for link in [options.up, options.down] {
                assert!(link.delay <= Duration::from_millis(200));
                assert!(link.loss <= 0.3 && link.duplication <= 0.5 && link.corruption <= 0.05);
            }
        }
    }

    #[test]
    fn each_class_of_faults_is_on_in_some_runs_and_off_in_others() {
        let runs: Vec<_> = (0..200).map(drawn).collect();
        let classes: [fn(&Options) -> bool; 21] = [
            |o| o.up.loss > 0.0,
            |o| o.up.duplication > 0.0,
            |o| o.up.reorder > 0.0,
            |o| o.up.corruption > 0.0,
            |o| o.partitions.is_some(),
            |o| o.silences.is_some(),
            |o| o.kills.is_some(),
            |o| o.takeovers.is_some(),
            |o| o.closes.is_some(),
            |o| o.stalls.is_some(),
            |o| o.moves.is_some(),
            |o| o.repeater,
            |o| o.eavesdropper,
            |o| o.private.contains(&true),
            |o| o.guesses.is_some(),
            |o| o.loads.is_some(),
            |o| o.breaks.losses.is_some(),
            |o| o.breaks.storms.is_some(),
            |o| o.breaks.rivals.is_some(),
            |o| o.breaks.restarts.is_some(),
            |o| o.breaks.skewed > 0.0,
        ];
        for class in classes {
            let on = runs.iter().filter(|options| class(options)).count();
            assert!((20..180).contains(&on), "{on} of 200");
        }
    }

    #[test]
    fn the_full_load_is_sixteen_clients_in_four_rooms() {
        let options = Options::draw(Load::Full, &mut Rng::from_number(1));
        assert_eq!(
            (options.players, options.groups.len(), options.input_hz),
            (16, 4, 20)
        );
    }
}
