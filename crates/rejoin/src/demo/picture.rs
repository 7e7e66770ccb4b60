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
        let block = match &self.live.cut {
            Some(cut) => block.title_bottom(Span::styled(
                format!(" {} ", cut.words()),
                accent(self.plain),
            )),
            None => block,
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
        let rows = [
            Constraint::Length(PANEL_HEIGHT),
            Constraint::Length(COURSE_HEIGHT),
        ];
        let [figures, course] = Layout::vertical(rows).areas(area);
        frame.render_widget(Paragraph::new(self.figures(progress)), figures);
        if area.height >= PANEL_HEIGHT + COURSE_HEIGHT {
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
        vec![
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
            self.heading("network"),
            figure("round trip, p50", millis(now.rtt.p50_us)),
            figure("round trip, p99", millis(now.rtt.p99_us)),
            figure(
                "down",
                format!("{}/s", bytes(self.live.rates.per_second.bytes_down)),
            ),
            Line::default(),
            self.heading("server"),
            figure("of one core", cpu),
            figure(
                "memory",
                self.usage.memory_bytes.map_or_else(unknown, bytes),
            ),
        ]
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
        let keys = "←/→ room   d cut off   q end ";
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

    use super::*;

    fn drawn(width: u16, height: u16) -> String {
        let (live, usage) = (Live::default(), Usage::of(1));
        let picture = Picture {
            live: &live,
            usage: &usage,
            address: "rejoin://127.0.0.1:41234",
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
