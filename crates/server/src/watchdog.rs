//! The watchdog: a thread that ends the process when a turn does not come back.
//!
//! A thread cannot be made to stop, so room logic that never returns holds up every room and session of its shard,
//! for as long as the process lives. Its end, with the room's name in the log, is better than that.
//!
//! ```text
//! driver --enters and leaves turns, begins and ends calls--> Watch <--looks twice a second-- watchdog
//! ```

use std::io::Write;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use rejoin_coordinator::Stopwatch;
use rejoin_protocol::RoomId;

use crate::stuck_file::StuckFile;

/// Between two looks. Stalled time is counted in them, and not read from a clock: while the whole process was
/// stopped, or the machine slept, there was none.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long the last line may take: whoever does not return may hold what the log needs.
const LAST_LINE: Duration = Duration::from_secs(1);

/// What a driver is doing, for another thread to see. It tells without waiting; only which room is called has a lock, taken
/// when that is another than before.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// Grows with each turn and call: who gets on is not stalled, however long the turn.
    steps: AtomicU64,
    in_turn: AtomicBool,
    in_call: AtomicBool,
    /// The room whose logic is being called, or was last, and its kind.
    room: Mutex<Option<(RoomId, &'static str)>>,
}

/// See [`Watch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Doing {
    steps: u64,
    in_turn: bool,
    call: Option<(RoomId, &'static str)>,
}

impl Watch {
    /// A turn begins.
    pub(crate) fn enter(&self) {
        self.step();
        self.in_turn.store(true, Release);
    }

    /// It came back.
    pub(crate) fn leave(&self) {
        self.step();
        self.in_turn.store(false, Release);
    }

    fn step(&self) {
        self.steps.fetch_add(1, Relaxed);
    }

    /// Steps are read last, and made before what they lead to is shown: with as many as at the look before, all of it
    /// is of that time.
    fn doing(&self) -> Doing {
        let room = *self.room.lock().unwrap_or_else(PoisonError::into_inner);
        let call = room.filter(|_| self.in_call.load(Acquire));
        Doing {
            in_turn: self.in_turn.load(Acquire),
            call,
            steps: self.steps.load(Relaxed),
        }
    }
}

/// Measures calls by the system's clock, and shows them to a watchdog.
#[derive(Debug)]
pub(crate) struct WatchedCalls {
    watch: Arc<Watch>,
    room: Option<RoomId>,
    began: Instant,
}

impl WatchedCalls {
    pub(crate) fn new(watch: Arc<Watch>) -> Self {
        Self {
            watch,
            room: None,
            began: Instant::now(),
        }
    }
}

impl Stopwatch for WatchedCalls {
    fn begin(&mut self, room: RoomId, kind: &'static str) {
        if self.room != Some(room) {
            self.room = Some(room);
            let shown = self.watch.room.lock();
            *shown.unwrap_or_else(PoisonError::into_inner) = Some((room, kind));
        }
        self.watch.step();
        self.watch.in_call.store(true, Release);
        self.began = Instant::now();
    }

    fn end(&mut self) -> Duration {
        let took = self.began.elapsed();
        self.watch.step();
        self.watch.in_call.store(false, Release);
        took
    }
}

/// What one driver was seen doing.
#[derive(Debug, Default)]
struct Seen {
    steps: u64,
    /// Looks since then that found it in the same step.
    looks: u32,
}

impl Seen {
    /// How long it has been stalled.
    fn look(&mut self, doing: &Doing) -> Duration {
        if doing.in_turn && doing.steps == self.steps {
            self.looks = self.looks.saturating_add(1);
        } else {
            self.steps = doing.steps;
            self.looks = 0;
        }
        LOOK_EVERY * self.looks
    }
}

/// Starts to look after `watches`, one for each shard. Ends with the last of their drivers.
///
/// # Errors
/// The system has no thread for it.
pub(crate) fn start(
    watches: Vec<Weak<Watch>>,
    patience: Duration,
    stuck: StuckFile,
) -> std::io::Result<()> {
    let mut shards: Vec<_> = watches
        .into_iter()
        .map(|it| (it, Seen::default()))
        .collect();
    let look = move || {
        while shards.iter().any(|(watch, _)| watch.strong_count() > 0) {
            thread::sleep(LOOK_EVERY);
            for (shard, (watch, seen)) in shards.iter_mut().enumerate() {
                let Some(doing) = watch.upgrade().map(|watch| watch.doing()) else {
                    continue;
                };
                let stalled = seen.look(&doing);
                if stalled >= patience {
                    end(shard, &doing, stalled, &stuck);
                }
            }
        }
    };
    let thread = thread::Builder::new().name("watchdog".to_owned());
    thread.spawn(look).map(drop)
}

/// Names the room and ends the process.
fn end(shard: usize, doing: &Doing, stalled: Duration, stuck: &StuckFile) -> ! {
    let second = thread::Builder::new().spawn(|| {
        thread::sleep(LAST_LINE);
        std::process::abort();
    });
    // Without a second thread the line is left out: the end is what matters.
    if second.is_ok() {
        match doing.call {
            Some((room, kind)) => {
                stuck.write(room);
                tracing::error!(%room, kind, shard, ?stalled, "room logic does not return; the process aborts");
            }
            None => tracing::error!(
                shard,
                ?stalled,
                "a turn does not return; the process aborts"
            ),
        }
        drop(std::io::stderr().flush());
    }
    std::process::abort()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: RoomId = RoomId([7; 16]);

    /// What `looks` looks in a row tell at last.
    fn stalled(seen: &mut Seen, watch: &Watch, looks: u32) -> Duration {
        (0..looks).fold(Duration::ZERO, |_, _| seen.look(&watch.doing()))
    }

    #[test]
    fn stalled_is_who_is_seen_in_the_same_step_again_and_again() {
        let watch = Arc::new(Watch::default());
        let mut seen = Seen::default();
        watch.enter();
        let mut calls = WatchedCalls::new(Arc::clone(&watch));
        calls.begin(ROOM, "mill");
        // The first look only sees the step.
        assert_eq!(stalled(&mut seen, &watch, 1), Duration::ZERO);
        assert_eq!(stalled(&mut seen, &watch, 10), LOOK_EVERY * 10);
        assert_eq!(watch.doing().call, Some((ROOM, "mill")));
        calls.end();
        assert_eq!(watch.doing().call, None);
        assert_eq!(stalled(&mut seen, &watch, 1), Duration::ZERO);
    }

    #[test]
    fn a_long_turn_that_gets_on_is_not_stalled_and_who_waits_is_in_none() {
        let watch = Arc::new(Watch::default());
        let mut seen = Seen::default();
        let mut calls = WatchedCalls::new(Arc::clone(&watch));
        watch.enter();
        for _ in 0..20 {
            calls.begin(ROOM, "mill");
            assert_eq!(stalled(&mut seen, &watch, 1), Duration::ZERO);
            calls.end();
        }
        watch.leave();
        assert_eq!(stalled(&mut seen, &watch, 20), Duration::ZERO);
    }
}
