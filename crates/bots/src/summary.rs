//! Sums over a crew: the progress of a run and its report.

use std::time::Duration;

use rejoin_room::Room;

use crate::behaviour::Behaviour;
use crate::bot::BotStage;
use crate::crew::Crew;
use crate::measure::Percentiles;
use crate::observer::{Glimpse, Progress, Stage};
use crate::options::{Conduct, Mode, Options};
use crate::report::{
    ACKNOWLEDGED_SHARE_MIN, Cause, Inputs, Probes, Report, Snapshots, Traffic, share,
};
use crate::series::Amounts;
use crate::tally::Tally;

/// Late acts below which nothing is said of a run: in a short one a single hiccup of the system is more
/// than one act in a hundred.
const LATE_ACTS_MIN: u64 = 10;

/// What the fleet knows of a finished run besides its crew.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Course {
    /// Bots that took a seat.
    pub(crate) joined: usize,
    /// Bots that were there at the end of play.
    pub(crate) connected: usize,
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
        playing: crew.present().count(),
        failed,
        rooms: crew.rooms.len(),
        inputs: inputs(crew),
        snapshots: snapshots(crew),
        traffic: traffic(crew),
        rtt: crew.tally.rtts().newest(),
        input: crew.tally.inputs().newest(),
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
    if options.conduct == Conduct::Idle {
        return;
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
    let micros = |span: Duration| u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
    Report {
        kind: B::Room::KIND,
        conduct: options.conduct,
        mode: options.mode,
        seed: options.seed,
        input_hz: options.input_hz,
        bots: options.bots,
        joined: course.joined,
        connected: course.connected,
        joins: crew.tally.joins,
        rooms: match options.conduct {
            Conduct::Play => crew.rooms.len(),
            Conduct::Idle => 0,
        },
        played: course.played,
        inputs: inputs(&crew),
        snapshots: snapshots(&crew),
        events: crew.tally.events,
        traffic: traffic(&crew),
        join: crew.tally.join.percentiles(),
        rtt: crew.tally.rtts().whole(),
        input: crew.tally.inputs().whole(),
        snapshot_age: crew.tally.snapshot_age.percentiles(),
        probes: probes(&crew),
        lateness,
        invalid: lateness_fault(&crew.tally, &lateness, options.lateness_max),
        rtt_buckets: crew.tally.rtts().buckets(),
        agreed_after_us: course.agreed_after.map(micros),
        settled_after_us: course.settled_after.map(micros),
        failures_total: crew.tally.failures_total,
        failures: crew.tally.failures,
        windows: crew.tally.series.into_windows(),
    }
}

/// Why the bots were too late for their figures to speak of the server.
fn lateness_fault(tally: &Tally, lateness: &Percentiles, most: Duration) -> Option<String> {
    let acts = lateness.count;
    let is_late = tally.late >= LATE_ACTS_MIN && tally.late.saturating_mul(100) > acts;
    is_late.then(|| {
        let late = tally.late;
        format!("the bots were late: {late} of {acts} planned acts by more than {most:?}")
    })
}

/// What went through so far.
pub(crate) fn amounts<B: Behaviour>(crew: &Crew<B>) -> Amounts {
    let inputs = inputs(crew);
    let snapshots = crew.tally.snapshots;
    let carried = crew.carried();
    Amounts {
        inputs: inputs.reliable + inputs.latest,
        snapshots: snapshots.full + snapshots.delta,
        bytes_up: carried.bytes_up,
        bytes_down: carried.bytes_down,
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
        sum.lost += bot.sends.lost();
        sum.duplicated += bot.sends.duplicated;
        sum.latest += bot.sends.latest_sent;
        sum.refused += bot.sends.refused;
    }
    sum
}

fn probes<B: Behaviour>(crew: &Crew<B>) -> Probes {
    let mut sum = Probes::default();
    for bot in &crew.bots {
        sum.planned += bot.probes.planned;
        sum.answered += bot.probes.answered;
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
    let carried = crew.carried();
    Traffic {
        datagrams_up: carried.datagrams_up,
        datagrams_down: carried.datagrams_down,
        bytes_up: carried.bytes_up,
        bytes_down: carried.bytes_down,
        lost_up: crew.bots.iter().map(|bot| bot.core.link().lost).sum(),
    }
}

#[cfg(test)]
mod tests {
    use rejoin_protocol::crypto::PublicKey;

    use super::*;

    fn fault(acts: u64, late: u64) -> Option<String> {
        let server = "127.0.0.1:7777".parse().unwrap();
        let options = Options::new(server, PublicKey([0; 32]));
        let mut tally = Tally::new(&options);
        for act in 0..acts {
            let over = Duration::from_micros(u64::from(act < late));
            tally.act(options.lateness_max + over);
        }
        let lateness = tally.lateness.percentiles();
        lateness_fault(&tally, &lateness, options.lateness_max)
    }

    #[test]
    fn bots_that_are_late_once_in_a_hundred_times_prove_nothing() {
        assert_eq!(fault(2_000, 20), None);
        let told = fault(2_000, 21).unwrap();
        assert!(
            told.contains("21 of 2000 planned acts by more than 10ms"),
            "{told}"
        );
    }

    #[test]
    fn a_hiccup_of_a_short_run_is_none_of_it() {
        assert_eq!(fault(90, 9), None);
        assert!(fault(90, 10).is_some());
    }
}
