//! What the picture shows: the newest state of the run, rates over the last second, and trails.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use rejoin_bots::Progress;
use rejoin_protocol::PlayerId;
use rejoin_protocol::messagepack::{self, Bounds};
use rejoin_room::builtin::arena::Field;

/// Rates are taken over this long.
const WINDOW: Duration = Duration::from_secs(1);
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

/// Amounts per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rates {
    pub(super) snapshots: u64,
    pub(super) bytes_down: u64,
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
    marks: VecDeque<Mark>,
    /// Median latency from input to view of each second, in microseconds, oldest first.
    pub(super) latency_us: VecDeque<u64>,
    latency_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Mark {
    at: Instant,
    snapshots: u64,
    bytes_down: u64,
}

impl Live {
    /// Takes a newer state of the run.
    pub(super) fn take(&mut self, progress: Progress, now: Instant) {
        self.move_players(&progress);
        self.mark(&progress, now);
        if self
            .latency_at
            .is_none_or(|at| now.duration_since(at) >= WINDOW)
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

    fn mark(&mut self, progress: &Progress, now: Instant) {
        let mark = Mark {
            at: now,
            snapshots: progress.snapshots.full + progress.snapshots.delta,
            bytes_down: progress.traffic.bytes_down,
        };
        self.marks.push_back(mark);
        while self
            .marks
            .get(1)
            .is_some_and(|next| now.duration_since(next.at) >= WINDOW)
        {
            self.marks.pop_front();
        }
        let Some(first) = self.marks.front() else {
            return;
        };
        let passed = now.duration_since(first.at);
        if passed >= WINDOW / 4 {
            self.rates = Rates {
                snapshots: per_second(mark.snapshots.saturating_sub(first.snapshots), passed),
                bytes_down: per_second(mark.bytes_down.saturating_sub(first.bytes_down), passed),
            };
        }
    }
}

fn push_bounded<T>(queue: &mut VecDeque<T>, item: T, max: usize) {
    if queue.len() >= max {
        queue.pop_front();
    }
    queue.push_back(item);
}

fn per_second(count: u64, passed: Duration) -> u64 {
    let micros = passed.as_micros().max(1);
    u64::try_from(u128::from(count) * 1_000_000 / micros).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_per_second_whatever_the_window() {
        assert_eq!(per_second(30, Duration::from_millis(500)), 60);
        assert_eq!(per_second(30, Duration::from_secs(2)), 15);
        assert_eq!(per_second(0, Duration::ZERO), 0);
    }

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
