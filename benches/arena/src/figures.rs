//! From samples to figures: per player and second, medians, ratios within a round, and whether to believe.

use std::fmt;

use serde::Serialize;

use crate::own::{RAW2, RAW2_AES};
use crate::play::{Plan, Sample};
use crate::subject::Subject;

/// What IPv4 and UDP add to a datagram.
const WIRE_OVERHEAD: u64 = 28;
/// Players who send later than this at the 99th percentile measure themselves.
const LATE_MAX_MS: f64 = 1.0;
/// A server that waited longer for its core shared it with something else.
const WAITED_MAX: f64 = 0.10;
/// Share of the snapshots that must come.
const SHOWN_MIN: f64 = 0.97;

/// One server in one round.
#[derive(Clone, Serialize)]
pub struct Turn {
    pub round: u16,
    pub server: &'static str,
    /// Why its figures are not to be believed; they are left out of medians.
    pub invalid: Option<String>,
    pub cpu_ns_per_player_second: f64,
    pub cpu_ns_per_datagram: f64,
    /// Share of a core.
    pub cpu_share: f64,
    /// Share of the time in which the server could have run and something else did.
    pub waited_share: f64,
    /// Times a second that the server slept and was woken.
    pub wakes_per_s: f64,
    /// Bytes that the server gave to the system for files, per input of a player.
    pub written_per_input: f64,
    /// Datagrams and bytes, IPv4 and UDP included, per player and second.
    pub datagrams_up: f64,
    pub datagrams_down: f64,
    pub wire_up: f64,
    pub wire_down: f64,
    /// The same of both ways, as the loopback device counts them.
    pub packets_carried: f64,
    pub wire_carried: f64,
    pub rtt_p50_ms: f64,
    pub rtt_p99_ms: f64,
    pub pings_unanswered: u64,
    /// Share of the snapshots of all ticks that came.
    pub snapshots_share: f64,
    /// Share of those that came as deltas.
    pub deltas_share: f64,
    pub late_p99_ms: f64,
    /// By how much the server grew since it started, rooms and queues included.
    pub kib_per_player: f64,
}

/// What a turn was about.
#[derive(Clone, Copy)]
pub(crate) struct About {
    pub(crate) round: u16,
    pub(crate) subject: &'static Subject,
    pub(crate) plan: Plan,
    pub(crate) tick_hz: u32,
    /// Resident bytes of the server before its first player.
    pub(crate) resident: u64,
}

impl Turn {
    pub(crate) fn new(about: About, sample: &Sample) -> Self {
        let About {
            round,
            subject,
            plan,
            tick_hz,
            resident,
        } = about;
        let seconds = sample.span.as_secs_f64();
        let player_seconds = seconds * plan.players as f64;
        let traffic = sample.traffic;
        let wire = |bytes: u64, count: u64| (bytes + count * WIRE_OVERHEAD) as f64 / player_seconds;
        let shown = (traffic.whole + traffic.deltas) as f64;
        let due = if subject.has_rooms {
            player_seconds * f64::from(tick_hz)
        } else {
            0.0
        };
        let ran = sample.cpu.ran as f64;
        let datagrams = match traffic.up + traffic.down {
            // The players' library does not tell.
            0 => sample.carried.packets.max(1),
            counted => counted,
        };
        let mut turn = Self {
            round,
            server: subject.name,
            invalid: None,
            cpu_ns_per_player_second: ran / player_seconds,
            cpu_ns_per_datagram: ran / datagrams as f64,
            cpu_share: ran / 1e9 / seconds,
            waited_share: sample.cpu.waited as f64 / 1e9 / seconds,
            wakes_per_s: sample.cpu.sleeps as f64 / seconds,
            written_per_input: sample.cpu.written as f64
                / (player_seconds * plan.input_hz as f64).max(1.0),
            datagrams_up: traffic.up as f64 / player_seconds,
            datagrams_down: traffic.down as f64 / player_seconds,
            wire_up: wire(traffic.up_bytes, traffic.up),
            wire_down: wire(traffic.down_bytes, traffic.down),
            packets_carried: sample.carried.packets as f64 / player_seconds,
            wire_carried: sample.carried.bytes as f64 / player_seconds,
            rtt_p50_ms: millis(sample.rtt.value_at_quantile(0.5)),
            rtt_p99_ms: millis(sample.rtt.value_at_quantile(0.99)),
            pings_unanswered: sample.unanswered,
            snapshots_share: if due > 0.0 { shown / due } else { 1.0 },
            deltas_share: traffic.deltas as f64 / shown.max(1.0),
            late_p99_ms: millis(sample.late.value_at_quantile(0.99)),
            kib_per_player: sample.resident.saturating_sub(resident) as f64
                / 1_024.0
                / plan.players as f64,
        };
        turn.invalid = turn.doubt();
        turn
    }

    /// All that speaks against its figures.
    fn doubt(&self) -> Option<String> {
        let (waited, shown) = (self.waited_share * 100.0, self.snapshots_share * 100.0);
        let doubts = [
            (
                self.late_p99_ms > LATE_MAX_MS,
                format!("players sent {:.1} ms late at p99", self.late_p99_ms),
            ),
            (
                self.waited_share > WAITED_MAX,
                format!("the server's core was taken {waited:.0} % of the time"),
            ),
            (
                self.snapshots_share < SHOWN_MIN,
                format!("only {shown:.1} % of the snapshots came"),
            ),
        ];
        let doubts = doubts.into_iter().filter(|(is_so, _)| *is_so);
        let doubts: Vec<String> = doubts.map(|(_, text)| text).collect();
        (!doubts.is_empty()).then(|| doubts.join(", "))
    }

    pub(crate) fn line(&self) -> String {
        format!(
            "round {:>2} {:<9} {:>8.1} us/player/s {:>6.0} ns/datagram {:>5.1} % cpu, rtt {:.2} / {:.2} ms, \
             late {:.2} ms, waited {:.1} %{}",
            self.round,
            self.server,
            self.cpu_ns_per_player_second / 1e3,
            self.cpu_ns_per_datagram,
            self.cpu_share * 100.0,
            self.rtt_p50_ms,
            self.rtt_p99_ms,
            self.late_p99_ms,
            self.waited_share * 100.0,
            self.invalid
                .as_ref()
                .map_or(String::new(), |why| format!("  INVALID: {why}")),
        )
    }
}

fn millis(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}

/// A median and how far its values lie apart.
#[derive(Clone, Copy, Serialize)]
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

impl Spread {
    /// `None` of nothing.
    pub fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let middle = |at: usize| values.get(at).copied();
        let upper = middle(values.len() / 2)?;
        let lower = middle((values.len() - 1) / 2)?;
        Some(Self {
            median: f64::midpoint(lower, upper),
            least: *values.first()?,
            most: *values.last()?,
        })
    }
}

/// `median [least-most]`, each with as many digits as asked for.
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            median,
            least,
            most,
        } = *self;
        let digits = f.precision().unwrap_or(1);
        write!(f, "{median:.digits$} [{least:.digits$}-{most:.digits$}]")
    }
}

/// One server over all its rounds.
#[derive(Serialize)]
pub(crate) struct Summary {
    pub(crate) server: &'static str,
    pub(crate) rounds: usize,
    pub(crate) cpu_us_per_player_second: Spread,
    /// Of the same round.
    pub(crate) ratio_to_raw2: Option<Spread>,
    pub(crate) ratio_to_raw2_aes: Option<Spread>,
    pub(crate) cpu_ns_per_datagram: f64,
    pub(crate) wakes_per_s: f64,
    pub(crate) datagrams_up: f64,
    pub(crate) datagrams_down: f64,
    pub(crate) wire_up: f64,
    pub(crate) wire_down: f64,
    pub(crate) packets_carried: f64,
    pub(crate) wire_carried: f64,
    pub(crate) rtt_p50_ms: f64,
    pub(crate) rtt_p99_ms: f64,
    pub(crate) pings_unanswered: u64,
    pub(crate) deltas_share: f64,
    pub(crate) late_p99_ms: f64,
    pub(crate) kib_per_player: f64,
}

impl Summary {
    /// Of the turns to be believed, or of all if `rough`. `None` if there are none.
    pub(crate) fn of(subject: &Subject, turns: &[Turn], rough: bool) -> Option<Self> {
        let valid = |turn: &&Turn| rough || turn.invalid.is_none();
        let own: Vec<&Turn> = turns
            .iter()
            .filter(|turn| turn.server == subject.name)
            .filter(valid)
            .collect();
        let cpu = |turn: &Turn| turn.cpu_ns_per_player_second;
        let ratio = |other: &Subject| {
            let same = |turn: &Turn| {
                let of_round = |it: &&Turn| it.round == turn.round && it.server == other.name;
                let found = turns.iter().find(of_round);
                found.filter(valid).map(|it| cpu(turn) / cpu(it))
            };
            Spread::of(own.iter().filter_map(|turn| same(turn)))
        };
        let median = |of: fn(&Turn) -> f64| {
            Spread::of(own.iter().map(|turn| of(turn))).map(|spread| spread.median)
        };
        Some(Self {
            server: subject.name,
            rounds: own.len(),
            cpu_us_per_player_second: Spread::of(own.iter().map(|turn| cpu(turn) / 1e3))?,
            ratio_to_raw2: ratio(&RAW2),
            ratio_to_raw2_aes: ratio(&RAW2_AES),
            cpu_ns_per_datagram: median(|turn| turn.cpu_ns_per_datagram)?,
            wakes_per_s: median(|turn| turn.wakes_per_s)?,
            datagrams_up: median(|turn| turn.datagrams_up)?,
            datagrams_down: median(|turn| turn.datagrams_down)?,
            wire_up: median(|turn| turn.wire_up)?,
            wire_down: median(|turn| turn.wire_down)?,
            packets_carried: median(|turn| turn.packets_carried)?,
            wire_carried: median(|turn| turn.wire_carried)?,
            rtt_p50_ms: median(|turn| turn.rtt_p50_ms)?,
            rtt_p99_ms: median(|turn| turn.rtt_p99_ms)?,
            pings_unanswered: own.iter().map(|turn| turn.pings_unanswered).sum(),
            deltas_share: median(|turn| turn.deltas_share)?,
            late_p99_ms: median(|turn| turn.late_p99_ms)?,
            kib_per_player: median(|turn| turn.kib_per_player)?,
        })
    }
}
