//! Sums over a crew: the progress of a run and its report.

use std::time::Duration;

use rejoin_room::Room;

use crate::behaviour::Behaviour;
use crate::bot::BotStage;
use crate::crew::Crew;
use crate::observer::{Glimpse, Progress, Stage};
use crate::options::{Mode, Options};
use crate::report::{ACKNOWLEDGED_SHARE_MIN, Cause, Inputs, Report, Snapshots, Traffic, share};

/// Lateness of the 99th percentile above which a run is marked late: half an interval at 30 Hz.
const LATE_P99_MS: f64 = 16.0;

/// What the fleet knows of a finished run besides its crew.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Course {
    /// Bots that took a seat.
    pub(crate) joined: usize,
    /// How long they played.
    pub(crate) played: Duration,
    /// From the end of play to the first agreement.
    pub(crate) agreed_after: Option<Duration>,
    /// From the end of play until nothing was missing.
    pub(crate) settled_after: Option<Duration>,
}

/// Where a run stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    pub(crate) stage: Stage,
    pub(crate) in_stage: Duration,
    /// The room to show.
    pub(crate) room: usize,
}

/// The run as it stands.
pub(crate) fn progress<B: Behaviour>(crew: &Crew<B>, standing: Standing) -> Progress {
    let failed = crew
        .bots
        .iter()
        .filter(|bot| bot.stage == BotStage::Failed)
        .count();
    let member = crew.seated().filter(|bot| bot.place.room == standing.room);
    let newest = member
        .filter_map(|bot| bot.seen())
        .max_by_key(|seen| seen.sequence);
    Progress {
        stage: standing.stage,
        in_stage: standing.in_stage,
        playing: crew.seated().count(),
        failed,
        rooms: crew.rooms.len(),
        inputs: inputs(crew),
        snapshots: snapshots(crew),
        traffic: traffic(crew),
        rtt: crew.tally.rtt_now,
        input: crew.tally.input_now,
        glimpse: newest.map(|seen| Glimpse {
            room: standing.room,
            tick: seen.tick,
            view: seen.bytes.clone(),
        }),
    }
}

/// Adds the failures that only the whole shows.
pub(crate) fn check_whole<B: Behaviour>(crew: &mut Crew<B>, options: &Options, course: &Course) {
    if course.joined < options.bots && crew.tally.failures_total == 0 {
        let missing = options.bots - course.joined;
        crew.tally
            .fail(None, Cause::Check, format!("{missing} bots took no seat"));
    }
    let inputs = inputs(crew);
    let sent = match options.mode {
        Mode::Latest => inputs.latest,
        Mode::Reliable => inputs.reliable,
    };
    let part = share(inputs.acknowledged, inputs.planned);
    if sent == 0 {
        let text = format!("no {} input was sent: nothing is proven", options.mode);
        crew.tally.fail(None, Cause::Check, text);
    } else if options.mode == Mode::Reliable && part < ACKNOWLEDGED_SHARE_MIN {
        let text = format!(
            "{:.1} % of the planned inputs were acknowledged, expected {:.0} %",
            part * 100.0,
            ACKNOWLEDGED_SHARE_MIN * 100.0
        );
        crew.tally.fail(None, Cause::Check, text);
    }
}

/// The run's result.
pub(crate) fn report<B: Behaviour>(crew: Crew<B>, options: &Options, course: &Course) -> Report {
    let lateness = crew.tally.lateness.percentiles();
    let millis = |span: Duration| span.as_secs_f64() * 1_000.0;
    Report {
        kind: B::Room::KIND,
        mode: options.mode,
        seed: options.seed,
        input_hz: options.input_hz,
        bots: options.bots,
        joined: course.joined,
        rooms: crew.rooms.len(),
        played_s: course.played.as_secs_f64(),
        inputs: inputs(&crew),
        snapshots: snapshots(&crew),
        events: crew.tally.events,
        traffic: traffic(&crew),
        join: crew.tally.join.percentiles(),
        rtt: crew.tally.rtt.percentiles(),
        input: crew.tally.input_percentiles(),
        lateness,
        late: lateness.p99_ms > LATE_P99_MS,
        agreed_after_ms: course.agreed_after.map(millis),
        settled_after_ms: course.settled_after.map(millis),
        failures_total: crew.tally.failures_total,
        failures: crew.tally.failures,
    }
}

fn inputs<B: Behaviour>(crew: &Crew<B>) -> Inputs {
    let mut sum = Inputs {
        planned: crew.tally.planned,
        ..Inputs::default()
    };
    for bot in &crew.bots {
        sum.reliable += bot.sends.reliable_sent;
        sum.acknowledged += bot.sends.acknowledged;
        sum.latest += bot.sends.latest_sent;
        sum.refused += bot.sends.refused;
    }
    sum
}

fn snapshots<B: Behaviour>(crew: &Crew<B>) -> Snapshots {
    let compared = crew
        .rooms
        .iter()
        .map(|(_, agreement)| agreement.compared)
        .sum();
    Snapshots {
        compared,
        ..crew.tally.snapshots
    }
}

fn traffic<B: Behaviour>(crew: &Crew<B>) -> Traffic {
    let mut sum = Traffic::default();
    for bot in &crew.bots {
        let link = bot.core.link();
        sum.datagrams_up += link.sent;
        sum.datagrams_down += link.received;
        sum.bytes_up += link.sent_bytes;
        sum.bytes_down += link.received_bytes;
        sum.lost_up += link.lost;
    }
    sum
}
