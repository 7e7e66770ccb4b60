//! What a crew tells the conductor when it is asked: what it counted, and what it saw.

use rejoin_protocol::Timestamp;

use crate::agreement::Shown;
use crate::behaviour::Behaviour;
use crate::bot::BotStage;
use crate::crew::{Crew, Unsettled};
use crate::marks::Marks;
use crate::observer::Glimpse;
use crate::rebinds::RebindCounts;
use crate::recovery::{Newest, Stretches};
use crate::report::{Inputs, Joins, Probes, ResumeCounts, Snapshots, Traffic};
use crate::silences::SilenceCounts;
use crate::tally::{Failures, Measures};

/// What is asked.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Question {
    /// What was measured since this was last asked for.
    pub(crate) measures: bool,
    /// What is still missing after the end of play.
    pub(crate) unsettled: bool,
    /// How this room looks.
    pub(crate) room: Option<usize>,
}

/// The answer.
#[derive(Debug)]
pub(crate) struct News {
    pub(crate) totals: Totals,
    /// If asked for.
    pub(crate) measures: Option<Measures>,
    /// Those since the last answer.
    pub(crate) failures: Failures,
    /// Views of rooms that cross crews, since the last answer.
    pub(crate) shown: Vec<Shown>,
    /// Ticks that members saw, since the last answer.
    pub(crate) stretches: Stretches,
    /// Views that members saw, since the last answer, if they are kept.
    pub(crate) marks: Option<Marks>,
    /// If asked for.
    pub(crate) unsettled: Option<Unsettled>,
    /// If asked for, and a member is here who saw it; with the number of the view.
    pub(crate) glimpse: Option<(u64, Glimpse)>,
}

/// What a crew has counted since its start.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    /// Bots that do now what they joined for.
    pub(crate) present: usize,
    /// Those of them that have no connection now.
    pub(crate) away: usize,
    /// Bots that failed.
    pub(crate) failed: usize,
    pub(crate) joins: Joins,
    pub(crate) inputs: Inputs,
    pub(crate) probes: Probes,
    pub(crate) snapshots: Snapshots,
    pub(crate) events: u64,
    pub(crate) rebinds: RebindCounts,
    pub(crate) silences: SilenceCounts,
    pub(crate) resumes: ResumeCounts,
    pub(crate) traffic: Traffic,
    pub(crate) newest: Newest,
    /// Views that do not fit what was seen before.
    pub(crate) disagreed: u64,
}

impl Totals {
    /// Adds those of another crew.
    pub(crate) fn add(&mut self, other: &Self) {
        self.present += other.present;
        self.away += other.away;
        self.failed += other.failed;
        self.joins += other.joins;
        self.inputs += other.inputs;
        self.probes += other.probes;
        self.snapshots += other.snapshots;
        self.events += other.events;
        self.rebinds += other.rebinds;
        self.silences += other.silences;
        self.resumes += other.resumes;
        self.traffic += other.traffic;
        self.newest.add(other.newest);
        self.disagreed += other.disagreed;
    }
}

impl<B: Behaviour> Crew<'_, B> {
    /// Answers the conductor.
    pub(crate) fn news(&mut self, question: Question) -> News {
        let rooms = self.rooms.iter_mut();
        let shown = rooms.flat_map(|(_, agreement)| agreement.take_told());
        News {
            shown: shown.collect(),
            stretches: std::mem::take(&mut self.tally.stretches),
            marks: self.tally.marks.as_mut().map(std::mem::take),
            totals: self.totals(),
            measures: question
                .measures
                .then(|| std::mem::take(&mut self.tally.measures)),
            failures: std::mem::take(&mut self.tally.failures),
            unsettled: question.unsettled.then(|| self.unsettled()),
            glimpse: question.room.and_then(|room| self.glimpse(room)),
        }
    }

    /// The numbers of the bots that do now what they joined for, rising.
    pub(crate) fn muster(&self) -> Vec<usize> {
        self.present().map(|bot| bot.place.bot).collect()
    }

    /// Judges what every bot saw last, and gives up on what has no answer.
    pub(crate) fn check(&mut self, now: Timestamp) {
        for bot in &mut self.bots {
            if bot.stage.is_present() || bot.back.is_pending() {
                bot.close_books(&mut self.tally, now);
            }
            if let Err(fault) = bot.check() {
                self.tally
                    .fail(Some(bot.place.bot), fault.cause, fault.text);
            }
        }
    }

    fn totals(&self) -> Totals {
        let tally = &self.tally;
        let carried = self.carried();
        let compared = self.rooms.iter().map(|(_, agreement)| agreement.compared);
        let mut totals = Totals {
            joins: tally.joins,
            snapshots: Snapshots {
                compared: compared.sum(),
                ..tally.snapshots
            },
            events: tally.events,
            rebinds: tally.rebinds,
            silences: tally.silences,
            resumes: tally.resumes,
            traffic: Traffic {
                datagrams_up: carried.datagrams_up,
                datagrams_down: carried.datagrams_down,
                bytes_up: carried.bytes_up,
                bytes_down: carried.bytes_down,
                lost_up: 0,
            },
            ..Totals::default()
        };
        totals.inputs.planned = tally.planned;
        let disagreed = self.rooms.iter().map(|(_, agreement)| agreement.disagreed);
        totals.disagreed = disagreed.sum();
        for bot in &self.bots {
            let inputs = &mut totals.inputs;
            inputs.reliable += bot.sends.reliable_sent;
            inputs.acknowledged += bot.sends.acknowledged;
            inputs.lost += bot.sends.lost();
            inputs.duplicated += bot.sends.duplicated;
            inputs.latest += bot.sends.latest_sent;
            inputs.refused += bot.sends.refused;
            totals.probes.planned += bot.probes.planned;
            totals.probes.answered += bot.probes.answered;
            totals.traffic.lost_up += bot.core.link().lost + bot.back.lost_before;
            totals.present += usize::from(bot.stage.is_present());
            totals.newest.add(Newest {
                epoch: bot.epoch,
                bots: usize::from(bot.stage.is_present()),
            });
            totals.away += usize::from(bot.is_away());
            totals.failed += usize::from(bot.stage == BotStage::Failed);
        }
        totals
    }

    /// A room as the member sees it who has the newest view.
    fn glimpse(&self, room: usize) -> Option<(u64, Glimpse)> {
        let place = room.checked_sub(self.part.rooms.start)?;
        let members = self.seated().filter(|bot| bot.place.room == place);
        let (bot, seen) = members
            .filter_map(|bot| Some((bot, bot.seen()?)))
            .max_by_key(|(_, seen)| seen.held.sequence)?;
        let glimpse = Glimpse {
            room,
            tick: seen.tick,
            view: seen.held.bytes.clone(),
            absent: bot.absent.all().clone(),
        };
        Some((seen.held.sequence, glimpse))
    }
}
