//! The picture: one room's field, the figures that matter, and how far the match is.

use std::io;
use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Paragraph, Sparkline};
use rejoin_bots::Progress;

use crate::course::Course;
use crate::figures::{bytes, counted, millis, percent, thousands, wide};
use crate::terminal::{Size, accent, bar, can_draw, faint, size};

use super::field::FieldView;
use super::live::Live;
use super::usage::Usage;

/// The smallest terminal that the picture fits, as wide and high as terminals used to be.
const SMALLEST: Size = Size {
    width: 80,
    height: 24,
};
/// Columns of the figures.
const PANEL_WIDTH: u16 = 26;
/// Rows of the figures; what is left below them holds the course of the latency.
const PANEL_HEIGHT: u16 = 22;
/// Rows of that course, with its heading.
const COURSE_HEIGHT: u16 = 6;
/// The latency that fills it, unless one is longer: an input waits for a tick of 33 ms at most.
const COURSE_FULL_US: u64 = 50_000;

/// True if there is a terminal that can show the picture, and be listened to.
pub(super) fn fits() -> bool {
    let interactive = io::IsTerminal::is_terminal(&io::stdin()) && can_draw(&io::stdout());
    let large = |size: Size| size.width >= SMALLEST.width && size.height >= SMALLEST.height;
    interactive && size().is_some_and(large)
}

/// All that a picture is made of.
pub(super) struct Picture<'a> {
    pub(super) live: &'a Live,
    pub(super) usage: &'a Usage,
    /// The server's address.
    pub(super) address: &'a str,
    pub(super) bots: usize,
    pub(super) rooms: usize,
    pub(super) play_for: Duration,
    /// True without colours.
    pub(super) plain: bool,
    /// True once the user wants the end.
    pub(super) ending: bool,
}

impl Picture<'_> {
    /// Draws it.
    pub(super) fn draw(&self, frame: &mut Frame<'_>) {
        let area = frame.area();
        if area.width < SMALLEST.width || area.height < SMALLEST.height {
            return draw_too_small(frame);
        }
        let rows = [
            Constraint::Length(1),
            Constraint::Min(0),
            Constraint::Length(1),
        ];
        let [head, middle, foot] = Layout::vertical(rows).areas(area);
        let columns = [
            Constraint::Min(0),
            Constraint::Length(1),
            Constraint::Length(PANEL_WIDTH),
        ];
        let [field, _, panel] = Layout::horizontal(columns).areas(middle);
        frame.render_widget(self.head(), head);
        self.draw_field(frame, field);
        self.draw_panel(frame, panel);
        self.draw_foot(frame, foot);
    }

    fn head(&self) -> Line<'static> {
        let (bots, rooms) = (counted(self.bots, "bot"), counted(self.rooms, "room"));
        let words = format!("{bots} in {rooms} on {}", self.address);
        Line::from(vec![
            Span::styled(" Rejoin", accent(self.plain).add_modifier(Modifier::BOLD)),
            Span::styled(format!("  {words}"), faint()),
        ])
    }

    fn draw_field(&self, frame: &mut Frame<'_>, area: Rect) {
        let glimpse = self
            .live
            .progress
            .as_ref()
            .and_then(|progress| progress.glimpse.as_ref());
        let title = glimpse.map_or_else(String::new, |glimpse| {
            let (room, rooms) = (glimpse.room + 1, self.rooms);
            let players = counted(self.live.trails.len(), "player");
            let tick = thousands(glimpse.tick);
            format!(" room {room} of {rooms} · {players} · tick {tick} ")
        });
        let block = Block::bordered()
            .border_type(BorderType::Rounded)
            .border_style(faint())
            .title(Span::styled(title, Style::new()));
        let killed = self.killed();
        let block = match (&self.live.cut, killed) {
            (_, Some(words)) => {
                block.title_bottom(Span::styled(format!(" {words} "), accent(self.plain)))
            }
            (Some(cut), None) => block.title_bottom(Span::styled(
                format!(" {} ", cut.words()),
                accent(self.plain),
            )),
            (None, None) => block,
        };
        let inner = block.inner(area);
        frame.render_widget(block, area);
        frame.render_widget(
            FieldView {
                trails: &self.live.trails,
                absent: glimpse.map(|glimpse| &glimpse.absent),
                plain: self.plain,
            },
            inner,
        );
    }

    fn draw_panel(&self, frame: &mut Frame<'_>, area: Rect) {
        let Some(progress) = &self.live.progress else {
            return;
        };
        // Where both do not fit, the figures have all that there is.
        let is_high = area.height >= PANEL_HEIGHT + COURSE_HEIGHT;
        let below = if is_high { COURSE_HEIGHT } else { 0 };
        let rows = [Constraint::Length(PANEL_HEIGHT), Constraint::Length(below)];
        let [figures, course] = Layout::vertical(rows).areas(area);
        frame.render_widget(Paragraph::new(self.figures(progress)), figures);
        if is_high {
            self.draw_course(frame, course);
        }
    }

    fn figures(&self, now: &Progress) -> Vec<Line<'static>> {
        let unknown = || "–".to_owned();
        let snapshots = now.snapshots.full + now.snapshots.delta;
        let cpu = self
            .usage
            .cpu_percent
            .map_or_else(unknown, |share| format!("{share:.1} %"));
        let seconds = now.input.count > 0;
        let latency = |us: u64| if seconds { millis(us) } else { unknown() };
        let deltas = percent(now.snapshots.delta, snapshots);
        let mut lines = vec![
            self.heading("match"),
            figure("players", thousands(wide(now.playing))),
            figure("rooms", thousands(wide(now.rooms))),
            Line::default(),
            self.heading("inputs, exactly once"),
            figure("sent", thousands(now.inputs.reliable)),
            figure("applied", thousands(now.inputs.acknowledged)),
            figure("until seen, p50", latency(now.input.p50_us)),
            figure("until seen, p99", latency(now.input.p99_us)),
            Line::default(),
            self.heading("snapshots"),
            figure(
                "per second",
                thousands(self.live.rates.per_second.snapshots),
            ),
            figure(
                "as deltas",
                if snapshots > 0 {
                    format!("{deltas:.1} %")
                } else {
                    unknown()
                },
            ),
            Line::default(),
        ];
        lines.extend(if self.live.kills > 0 {
            self.recovery(now)
        } else {
            self.network(now)
        });
        lines.extend([
            Line::default(),
            self.heading("server"),
            figure("of one core", cpu),
            figure(
                "memory",
                self.usage.memory_bytes.map_or_else(unknown, bytes),
            ),
        ]);
        lines
    }

    fn network(&self, now: &Progress) -> [Line<'static>; 4] {
        let down = bytes(self.live.rates.per_second.bytes_down);
        [
            self.heading("network"),
            figure("round trip, p50", millis(now.rtt.p50_us)),
            figure("round trip, p99", millis(now.rtt.p99_us)),
            figure("down", format!("{down}/s")),
        ]
    }

    /// What became of the players once the server was killed: pauses are p50, p99 and the longest.
    fn recovery(&self, now: &Progress) -> [Line<'static>; 4] {
        let pauses = [now.pause.p50_us, now.pause.p99_us, now.pause.max_us];
        let pauses = pauses.map(|us| (us / 1_000).to_string()).join("/");
        let pause = if now.pause.count > 0 {
            pauses
        } else {
            "–".to_owned()
        };
        [
            self.heading("after kill -9"),
            figure("sessions resumed", thousands(now.resumes.ok)),
            figure("pause ms", pause),
            figure("ticks lost", thousands(now.recovery.ticks_lost)),
        ]
    }

    /// What is said of a server that was killed, until all are back.
    fn killed(&self) -> Option<String> {
        let now = self
            .live
            .progress
            .as_ref()
            .filter(|_| self.live.kills > 0)?;
        let (newest, all) = (now.newest, now.playing);
        // With each process the epoch grows by one, from 1 on.
        let back = if newest.epoch > self.live.kills {
            newest.bots
        } else {
            0
        };
        (back < all).then(|| format!("server killed · {back} of {all} back"))
    }

    fn draw_course(&self, frame: &mut Frame<'_>, area: Rect) {
        let rows = [Constraint::Length(2), Constraint::Min(0)];
        let [heading, course] = Layout::vertical(rows).areas(area);
        let heading_lines = vec![Line::default(), self.heading("until seen, by second")];
        frame.render_widget(Paragraph::new(heading_lines), heading);
        let width = usize::from(course.width);
        let seconds = &self.live.latency_us;
        let shown = seconds
            .iter()
            .skip(seconds.len().saturating_sub(width))
            .copied();
        let longest = seconds
            .iter()
            .copied()
            .max()
            .unwrap_or(0)
            .max(COURSE_FULL_US);
        let bars = Sparkline::default()
            .style(accent(self.plain))
            .max(longest)
            .data(shown);
        frame.render_widget(bars, course);
    }

    fn draw_foot(&self, frame: &mut Frame<'_>, area: Rect) {
        let Course { words, share } = self.course_of_match();
        let keys = "←/→ room   d cut off   k kill server   q end ";
        let taken = words.chars().count() + keys.chars().count() + 6;
        let width = usize::from(area.width).saturating_sub(taken);
        let [full, rest] = bar(width, share, self.plain);
        let line = Line::from(vec![
            Span::raw(" "),
            full,
            rest,
            Span::raw(format!("  {words}   ")),
            Span::styled(keys, faint()),
        ]);
        frame.render_widget(line, area);
    }

    fn course_of_match(&self) -> Course {
        let Some(now) = &self.live.progress else {
            return Course {
                words: "starting".to_owned(),
                share: 0.0,
            };
        };
        Course::of(now, self.bots, self.play_for, self.ending)
    }

    fn heading(&self, text: &'static str) -> Line<'static> {
        Line::from(Span::styled(text, accent(self.plain)))
    }
}

fn draw_too_small(frame: &mut Frame<'_>) {
    let area = frame.area();
    let Size { width, height } = SMALLEST;
    let text = format!(
        "{} x {} is too small:\nplease make it {width} x {height}\n\nq ends the demo",
        area.width, area.height
    );
    frame.render_widget(Paragraph::new(text).alignment(Alignment::Center), area);
}

/// A name at the left and its value at the right.
fn figure(name: &'static str, value: String) -> Line<'static> {
    let space = usize::from(PANEL_WIDTH).saturating_sub(name.len() + value.chars().count() + 2);
    Line::from(vec![
        Span::styled(format!(" {name}"), faint()),
        Span::raw(" ".repeat(space)),
        Span::raw(value),
    ])
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use rejoin_bots::{
        Inputs, Newest, Percentiles, RecoveryCounts, ResumeCounts, Snapshots, Stage, Traffic,
    };

    use super::*;

    /// In the middle of play, with two of three players back after a kill.
    fn killed() -> Live {
        let none = Percentiles::default();
        let progress = Progress {
            stage: Stage::Playing,
            in_stage: Duration::from_secs(9),
            playing: 3,
            away: 1,
            resumes: ResumeCounts {
                ok: 2,
                ..ResumeCounts::default()
            },
            recovery: RecoveryCounts::default(),
            newest: Newest { epoch: 2, bots: 2 },
            pause: Percentiles {
                count: 2,
                p50_us: 89_700,
                p99_us: 166_000,
                max_us: 171_999,
                ..none
            },
            failed: 0,
            failures_total: 0,
            newest_failure: None,
            rooms: 1,
            inputs: Inputs::default(),
            snapshots: Snapshots::default(),
            traffic: Traffic::default(),
            rtt: none,
            input: none,
            lateness: none,
            glimpse: None,
        };
        let mut live = Live::default();
        (live.progress, live.kills) = (Some(progress), 1);
        live
    }

    #[test]
    fn the_smallest_picture_holds_every_figure_and_tells_of_a_kill() {
        let picture = drawn_of(&killed(), 80, 24);
        for told in [
            "server killed · 2 of 3 back",
            "sessions resumed       2",
            "pause ms      89/166/171",
            "ticks lost             0",
            "memory",
        ] {
            assert!(picture.contains(told), "{told} in {picture}");
        }
        let mut back = killed();
        back.progress.iter_mut().for_each(|it| it.newest.bots = 3);
        let picture = drawn_of(&back, 80, 24);
        assert!(!picture.contains("back"), "{picture}");
    }

    fn drawn(width: u16, height: u16) -> String {
        drawn_of(&Live::default(), width, height)
    }

    fn drawn_of(live: &Live, width: u16, height: u16) -> String {
        let usage = Usage::of(1);
        let picture = Picture {
            live,
            usage: &usage,
            address: "127.0.0.1:41234",
            bots: 48,
            rooms: 6,
            play_for: Duration::from_secs(20),
            plain: true,
            ending: false,
        };
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| picture.draw(frame)).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn a_terminal_of_any_size_is_drawn_on() {
        for (width, height) in [(80, 24), (81, 25), (200, 60), (500, 200)] {
            assert!(
                drawn(width, height).contains("48 bots in 6 rooms"),
                "{width} x {height}"
            );
        }
        for (width, height) in [(1, 1), (79, 24), (80, 23), (10, 3)] {
            assert!(
                !drawn(width, height).contains("48 bots"),
                "{width} x {height}"
            );
        }
        assert!(drawn(79, 24).contains("please make it 80 x 24"));
    }

    #[test]
    fn a_figure_fills_the_panel() {
        let line = figure("sent", thousands(1_234_567));
        assert_eq!(line.width(), usize::from(PANEL_WIDTH) - 1);
    }
}
