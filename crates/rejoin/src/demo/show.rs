//! The demo in the terminal: bots play in a thread, this one draws and listens to keys.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use rejoin_bots::{Control, CutOff, Observer, Options, Progress, Report, Stage};

use crate::exit::{Exit, Failure};
use crate::kills;
use crate::server_child::ServerChild;
use crate::stop::Stop;
use crate::terminal::{Screen, is_plain};

use super::cut::{self, Cut};
use super::live::Live;
use super::picture::Picture;
use super::usage::Usage;
use super::{FOR_SHOW, Game};

/// Between pictures: 20 per second look smooth and cost little.
const FRAME: Duration = Duration::from_millis(50);

/// What the bots' thread and the picture share.
#[derive(Debug, Default)]
struct Shared {
    newest: Mutex<Option<Progress>>,
    room: AtomicUsize,
    /// A player's network is to be gone.
    cut_off: AtomicBool,
}

/// The bots' side of it.
struct Watcher<'a> {
    shared: &'a Shared,
    stop: &'a Stop,
}

/// The picture's side.
struct Viewer<'a> {
    shared: &'a Shared,
    kills: &'a kills::Shared,
    stop: &'a Stop,
    options: &'a Options,
    address: String,
    usage: Usage,
    live: Live,
}

type Run<'scope> = ScopedJoinHandle<'scope, Result<Report, Failure>>;

/// Plays, and shows it.
///
/// # Errors
/// The run could not start, or the terminal fails.
pub(super) fn play(
    game: &Game<'_>,
    server: &mut ServerChild,
    stop: &Stop,
) -> Result<Report, Failure> {
    let Game { app, kind, options } = *game;
    let shared = Shared::default();
    let kills = kills::Shared::new(server.process());
    let viewer = Viewer {
        shared: &shared,
        kills: &kills,
        stop,
        options,
        address: server.socket().to_string(),
        usage: Usage::of(server.process()),
        live: Live::default(),
    };
    let kills = &kills;
    thread::scope(|scope| {
        let mut watcher = Watcher {
            shared: &shared,
            stop,
        };
        let run = scope.spawn(move || {
            let mut victim = kills::Victim::Own(server);
            let plan = (&FOR_SHOW, kills);
            kills::play((app, kind, options), plan, &mut victim, &mut watcher)
        });
        let shown = viewer.show(&run);
        if shown.is_err() {
            stop.ask();
        }
        let report = match run.join() {
            Ok(report) => report?,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        shown.map_err(|error| {
            Failure::new(Exit::Internal, format!("the terminal fails: {error}"))
        })?;
        Ok(report)
    })
}

impl Observer for Watcher<'_> {
    fn interval(&self) -> Duration {
        FRAME
    }

    fn room(&self) -> usize {
        self.shared.room.load(Ordering::Relaxed)
    }

    fn cut_off(&mut self) -> Option<CutOff> {
        let asked = self.shared.cut_off.swap(false, Ordering::Relaxed);
        let room = self.room();
        asked.then_some(CutOff {
            room,
            span: cut::SPAN,
        })
    }

    fn observe(&mut self, progress: &Progress) -> Control {
        let mut newest = self
            .shared
            .newest
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *newest = Some(progress.clone());
        if self.stop.is_asked() {
            Control::Stop
        } else {
            Control::Continue
        }
    }
}

impl Viewer<'_> {
    /// Draws until the bots are done. The terminal is given back on every way out.
    fn show(mut self, run: &Run<'_>) -> io::Result<()> {
        let mut screen = Screen::take()?;
        while !run.is_finished() {
            let now = Instant::now();
            self.usage.look(self.kills.process(), now);
            self.live.kills = self.kills.kills();
            let newest = self
                .shared
                .newest
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            if let Some(progress) = newest {
                self.live.take(progress, now);
            }
            screen.terminal.draw(|frame| self.picture().draw(frame))?;
            self.listen(now + FRAME)?;
        }
        Ok(())
    }

    fn picture(&self) -> Picture<'_> {
        Picture {
            live: &self.live,
            usage: &self.usage,
            address: &self.address,
            bots: self.options.bots,
            rooms: self.rooms(),
            play_for: self.options.play_for,
            plain: is_plain(),
            ending: self.stop.is_asked(),
        }
    }

    fn rooms(&self) -> usize {
        self.options.rooms.min(self.options.bots)
    }

    /// Takes keys until the next picture is due.
    fn listen(&mut self, until: Instant) -> io::Result<()> {
        loop {
            let wait = until.saturating_duration_since(Instant::now());
            if !event::poll(wait)? {
                return Ok(());
            }
            if let Event::Key(key) = event::read()? {
                self.on_key(key);
            }
            if Instant::now() >= until {
                return Ok(());
            }
        }
    }

    fn on_key(&mut self, key: KeyEvent) {
        if key.kind == KeyEventKind::Release {
            return;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let rooms = self.rooms();
        let ends = [KeyCode::Char('q'), KeyCode::Esc].contains(&key.code)
            || (control && [KeyCode::Char('c'), KeyCode::Char('d')].contains(&key.code));
        if ends {
            self.stop.ask();
        } else if key.code == KeyCode::Char('d') {
            self.cut_off();
        } else if key.code == KeyCode::Char('k') {
            self.kill();
        } else if [KeyCode::Right, KeyCode::Tab, KeyCode::Char('n')].contains(&key.code) {
            self.turn_to(1, rooms);
        } else if [KeyCode::Left, KeyCode::BackTab, KeyCode::Char('p')].contains(&key.code) {
            self.turn_to(rooms.saturating_sub(1), rooms);
        }
    }

    /// Takes the network of a player of the room, unless another's story is not over.
    fn cut_off(&mut self) {
        let busy = self.live.cut.as_ref().is_some_and(|cut| !cut.is_over());
        let playing = self.live.progress.as_ref();
        if !busy && playing.is_some_and(|progress| progress.stage == Stage::Playing) {
            self.shared.cut_off.store(true, Ordering::Relaxed);
            self.live.cut = Some(Cut::new(Instant::now()));
        }
    }

    /// Kills the server, as `kill -9` does.
    fn kill(&self) {
        let playing = self.live.progress.as_ref();
        if playing.is_some_and(|progress| progress.stage == Stage::Playing) {
            self.kills.ask();
        }
    }

    /// Shows the room so many further on, around the end.
    fn turn_to(&self, further: usize, rooms: usize) {
        let room = self.shared.room.load(Ordering::Relaxed) + further;
        self.shared
            .room
            .store(room.checked_rem(rooms).unwrap_or(0), Ordering::Relaxed);
    }
}
