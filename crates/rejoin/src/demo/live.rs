//! What the picture shows: the newest state of the run, rates over the last second, and trails.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use rejoin_bots::Progress;
use rejoin_protocol::PlayerId;
use rejoin_protocol::messagepack::{self, Bounds};
use rejoin_room::builtin::arena::Field;

use crate::rates::Rates;

use super::cut::Cut;

/// Between two latencies that are remembered.
const EVERY: Duration = Duration::from_secs(1);
/// Places of a player that are remembered: a second at 20 pictures per second.
const TRAIL: usize = 20;
/// Seconds of latency that are remembered: as many as a wide panel has columns.
const HISTORY: usize = 120;

/// A place on the field, 0.0 to the length of its side each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spot {
    pub(super) x: f32,
    pub(super) y: f32,
}

/// See the module page.
#[derive(Debug, Default)]
pub(super) struct Live {
    pub(super) progress: Option<Progress>,
    pub(super) rates: Rates,
    /// By player, oldest first; the last is where the player is.
    pub(super) trails: BTreeMap<PlayerId, VecDeque<Spot>>,
    /// The room that the trails are of.
    room: usize,
    /// Median latency from input to view of each second, in microseconds, oldest first.
    pub(super) latency_us: VecDeque<u64>,
    latency_at: Option<Instant>,
    /// Whose network was taken away last.
    pub(super) cut: Option<Cut>,
    /// How often the server was killed.
    pub(super) kills: u64,
}

impl Live {
    /// Takes a newer state of the run.
    pub(super) fn take(&mut self, progress: Progress, now: Instant) {
        self.move_players(&progress);
        if let (Some(cut), Some(glimpse)) = (&mut self.cut, &progress.glimpse) {
            cut.take(&glimpse.absent, now);
        }
        self.rates.take(&progress, now);
        if self
            .latency_at
            .is_none_or(|at| now.duration_since(at) >= EVERY)
        {
            self.latency_at = Some(now);
            if progress.input.count > 0 {
                push_bounded(&mut self.latency_us, progress.input.p50_us, HISTORY);
            }
        }
        self.progress = Some(progress);
    }

    fn move_players(&mut self, progress: &Progress) {
        let Some(glimpse) = &progress.glimpse else {
            return;
        };
        if glimpse.room != self.room {
            self.trails.clear();
            self.cut = None;
            self.room = glimpse.room;
        }
        let Ok(field) = messagepack::decode::<Field>(&glimpse.view, Bounds::PEER) else {
            return;
        };
        self.trails
            .retain(|player, _| field.players.iter().any(|row| row.player == *player));
        for row in field.players {
            let trail = self.trails.entry(row.player).or_default();
            push_bounded(trail, Spot { x: row.x, y: row.y }, TRAIL);
        }
    }
}

fn push_bounded<T>(queue: &mut VecDeque<T>, item: T, max: usize) {
    if queue.len() >= max {
        queue.pop_front();
    }
    queue.push_back(item);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trails_forget_their_oldest_places() {
        let mut trail = VecDeque::new();
        for number in 0..50 {
            push_bounded(&mut trail, number, TRAIL);
        }
        assert_eq!(
            (trail.len(), trail.front(), trail.back()),
            (TRAIL, Some(&30), Some(&49))
        );
    }
}
