//! One server under load for a while: what it cost, and what its players saw.

use std::ops::Range;
use std::time::Duration;

use hdrhistogram::Histogram;
use rejoin::protocol::Timestamp;

use crate::load::Load;
use crate::net::{Carried, Traffic};
use crate::players::{Clock, Ping, Players};
use crate::schedule::Schedule;
use crate::server::{Cpu, Server};
use crate::workload::SHAPES;

/// What players do, and for how long.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) players: usize,
    pub(crate) input_hz: u64,
    pub(crate) ping_hz: u64,
    pub(crate) span: Duration,
}

/// What was measured between two marks.
pub(crate) struct Sample {
    pub(crate) span: Duration,
    pub(crate) cpu: Cpu,
    pub(crate) traffic: Traffic,
    pub(crate) carried: Carried,
    /// Resident bytes of the server at the end.
    pub(crate) resident: u64,
    /// From when a ping should have been sent, in nanoseconds. One without an answer counts as a second.
    pub(crate) rtt: Histogram<u64>,
    pub(crate) unanswered: u64,
    /// How long after their time sends left, in nanoseconds.
    pub(crate) late: Histogram<u64>,
}

/// Play before the first mark: joins are over, caches and predictors warm.
const WARM_UP: Duration = Duration::from_secs(1);
/// How long an echo may need before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(1);
/// Time between two looks at sockets where nothing was: without it the looks would contend with the
/// server's sends for the sockets' locks.
const LOOK: Duration = Duration::from_micros(20);
/// Sends of a pass before what came must be looked at.
const SENDS_PER_PASS: usize = 64;
/// Players on their way in at once.
const BEGINNING_MAX: usize = 32;
const BEGIN_WITHIN: Duration = Duration::from_secs(60);

/// A state of the counters.
struct Mark {
    at: Timestamp,
    cpu: Cpu,
    traffic: Traffic,
    carried: Carried,
}

/// Lets players begin until there are `count`.
///
/// # Panics
/// If they cannot.
pub(crate) fn begin(players: &mut dyn Players, count: usize, clock: Clock) {
    let (mut begun, end) = (players.ready(), clock.now() + BEGIN_WITHIN);
    while players.ready() < count {
        let now = clock.now();
        assert!(now < end, "{} of {count} could begin", players.ready());
        while begun < count && begun - players.ready() < BEGINNING_MAX {
            players.begin(begun, clock.now());
            begun += 1;
        }
        players.pump(now, &mut Vec::new());
    }
}

/// Lets players come back, each once.
///
/// # Panics
/// If they cannot.
pub(crate) fn come_back(players: &mut dyn Players, who: Range<usize>, clock: Clock) {
    let (mut who, all, end) = (who, players.ready(), clock.now() + BEGIN_WITHIN);
    while !who.is_empty() || players.ready() < all {
        let now = clock.now();
        assert!(now < end, "{} of {all} could come back", players.ready());
        while all - players.ready() < BEGINNING_MAX
            && let Some(player) = who.next()
        {
            players.come_back(player, clock.now());
        }
        players.pump(now, &mut Vec::new());
    }
}

/// Only takes in what comes, for `span`.
pub(crate) fn rest(players: &mut dyn Players, span: Duration, clock: Clock) {
    let end = clock.now() + span;
    while clock.now() < end {
        if !players.pump(clock.now(), &mut Vec::new()) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// A run under way.
struct Play<'a> {
    players: &'a mut dyn Players,
    clock: Clock,
    from: Timestamp,
    until: Timestamp,
    inputs: Schedule,
    pings: Schedule,
    rtt: Histogram<u64>,
    late: Histogram<u64>,
    /// Pings planned between the marks, and their echoes.
    asked: u64,
    answered: u64,
    echoes: Vec<Ping>,
}

/// Plays as planned: once all players are ready.
pub(crate) fn play(players: &mut dyn Players, server: &Server, plan: Plan, clock: Clock) -> Sample {
    let begin = clock.now();
    let from = begin + WARM_UP;
    let mut play = Play {
        players,
        clock,
        from,
        until: from + plan.span,
        inputs: Schedule::new(plan.players, plan.input_hz, begin),
        pings: Schedule::new(plan.players, plan.ping_hz, begin),
        rtt: histogram(),
        late: histogram(),
        asked: 0,
        answered: 0,
        echoes: Vec::new(),
    };
    play.run_until(from);
    let start = play.mark(server);
    play.run_until(play.until);
    let end = play.mark(server);
    // Pings go on, so that those still on their way meet the same server.
    play.settle();
    let unanswered = play.asked - play.answered;
    let patience = PATIENCE.as_nanos() as u64;
    play.rtt.record_n(patience, unanswered).unwrap();
    Sample {
        span: end.at.since(start.at),
        cpu: end.cpu.since(start.cpu),
        traffic: end.traffic.since(start.traffic),
        carried: end.carried.since(start.carried),
        resident: server.resident(),
        rtt: play.rtt,
        unanswered,
        late: play.late,
    }
}

impl Play<'_> {
    fn run_until(&mut self, end: Timestamp) {
        while self.clock.now() < end {
            self.pass();
        }
    }

    fn settle(&mut self) {
        let end = self.until + PATIENCE;
        while self.answered < self.asked && self.clock.now() < end {
            self.pass();
        }
    }

    fn mark(&self, server: &Server) -> Mark {
        Mark {
            at: self.clock.now(),
            cpu: server.cpu(),
            traffic: self.players.traffic(),
            carried: Carried::so_far(),
        }
    }

    /// Sends what is due, then takes in what came.
    fn pass(&mut self) {
        let now = self.clock.now();
        for _ in 0..SENDS_PER_PASS {
            let Some(due) = self.inputs.next_due(now) else {
                break;
            };
            self.note_lateness(due.planned);
            self.players.input(due.player, now);
        }
        for _ in 0..SENDS_PER_PASS {
            let Some(due) = self.pings.next_due(now) else {
                break;
            };
            self.note_lateness(due.planned);
            self.asked += u64::from(self.is_measured(due.planned));
            let planned = due.planned;
            self.players.ping(due.player, Ping { planned }, now);
        }
        let any = self.players.pump(now, &mut self.echoes);
        let mut echoes = std::mem::take(&mut self.echoes);
        // After all that came was worked off: rather too long than too short.
        let seen = self.clock.now();
        for echo in echoes.drain(..) {
            if self.is_measured(echo.planned) {
                self.answered += 1;
                let rtt = seen.since(echo.planned).as_nanos() as u64;
                self.rtt.saturating_record(rtt);
            }
        }
        self.echoes = echoes;
        while !any && self.clock.now().since(now) < LOOK {
            std::hint::spin_loop();
        }
    }

    fn is_measured(&self, planned: Timestamp) -> bool {
        (self.from..self.until).contains(&planned)
    }

    fn note_lateness(&mut self, planned: Timestamp) {
        if self.is_measured(planned) {
            let late = self.clock.now().since(planned).as_nanos() as u64;
            self.late.saturating_record(late);
        }
    }
}

/// One to ten thousand milliseconds in steps of a thousandth.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 10_000_000_000, 3).expect("these bounds are in order")
}

impl Plan {
    /// What players of rooms of a shape do.
    pub(crate) fn of(load: Load) -> Self {
        Self {
            players: load.players,
            input_hz: SHAPES[load.shape].input_hz,
            ping_hz: load.ping_hz,
            span: load.span,
        }
    }
}
