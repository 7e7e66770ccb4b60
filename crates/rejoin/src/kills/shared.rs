//! What the thread that kills, the bots' observer and a picture share.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rejoin_bots::{Control, CutOff, Newest, Observer, Progress, Stage};

/// How old may be what is known of the bots: as exactly it can be said which kill came before all were back.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// See the module page.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    standing: Mutex<Standing>,
    /// The server is to be killed.
    wish: AtomicBool,
    /// The play is to end.
    ends: AtomicBool,
    /// The run is over.
    over: AtomicBool,
    kills: AtomicU64,
    process: AtomicU32,
}

/// How the bots stand.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Standing {
    pub(super) is_playing: bool,
    /// Bots with a seat, or a session if they take none.
    pub(super) present: usize,
    pub(super) newest: Newest,
}

impl Shared {
    /// Before a run on the server of that process id.
    pub(crate) fn new(process: u32) -> Self {
        let shared = Self::default();
        shared.on_served(process);
        shared
    }

    /// Asks for a kill.
    pub(crate) fn ask(&self) {
        self.wish.store(true, Ordering::Relaxed);
    }

    pub(super) fn take_wish(&self) -> bool {
        self.wish.swap(false, Ordering::Relaxed)
    }

    pub(super) fn end_play(&self) {
        self.ends.store(true, Ordering::Relaxed);
    }

    /// The run is over: nobody is killed any more.
    pub(super) fn finish(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    pub(super) fn on_kill(&self, kills: u64) {
        self.kills.store(kills, Ordering::Relaxed);
    }

    /// Kills so far.
    pub(crate) fn kills(&self) -> u64 {
        self.kills.load(Ordering::Relaxed)
    }

    pub(super) fn on_served(&self, process: u32) {
        self.process.store(process, Ordering::Relaxed);
    }

    /// The process that serves, or served last.
    pub(crate) fn process(&self) -> u32 {
        self.process.load(Ordering::Relaxed)
    }

    pub(super) fn standing(&self) -> Standing {
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the killer informed, and lets another observer look on as often as that wants.
pub(super) struct Watched<'a> {
    inner: &'a mut dyn Observer,
    shared: &'a Shared,
    /// When the other one looks next.
    next: Instant,
    /// True if the other one wanted the end.
    pub(super) was_stopped: bool,
}

impl<'a> Watched<'a> {
    pub(super) fn new(inner: &'a mut dyn Observer, shared: &'a Shared) -> Self {
        let next = Instant::now();
        Self {
            inner,
            shared,
            next,
            was_stopped: false,
        }
    }
}

impl Observer for Watched<'_> {
    fn interval(&self) -> Duration {
        self.inner.interval().min(LOOK_EVERY)
    }

    fn room(&self) -> usize {
        self.inner.room()
    }

    fn cut_off(&mut self) -> Option<CutOff> {
        self.inner.cut_off()
    }

    fn observe(&mut self, progress: &Progress) -> Control {
        let standing = Standing {
            is_playing: progress.stage == Stage::Playing,
            present: progress.playing,
            newest: progress.newest,
        };
        let mut shared = self
            .shared
            .standing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *shared = standing;
        drop(shared);
        let now = Instant::now();
        let mut control = Control::Continue;
        if now >= self.next {
            self.next = now + self.inner.interval();
            control = self.inner.observe(progress);
            self.was_stopped |= control == Control::Stop;
        }
        if self.shared.ends.load(Ordering::Relaxed) {
            control = Control::Stop;
        }
        control
    }
}
