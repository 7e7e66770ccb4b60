//! A run as a few lines of a terminal that are drawn over in place, four times a second.
//!
//! What is drawn is a function of the newest state and the width; the terminal is `crate::terminal`'s.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use rejoin_bots::{Conduct, Control, Observer, Options, Percentiles, Progress, Stage};

use crate::course::Course;
use crate::figures::{bytes, counted, millis, thousands, wide};
use crate::rates::Rates;
use crate::stop::Stop;
use crate::terminal::{self, Inline, Size, accent, alarm, bar, faint, sparkline};

/// Between two drawings.
const FRAME: Duration = Duration::from_millis(250);
/// Columns of the names of rows.
const NAME_WIDTH: usize = 12;
/// Seconds of round trips that are remembered: as many as a wide row has room for.
const HISTORY: usize = 60;
/// Between two of them.
const SECOND: Duration = Duration::from_secs(1);
/// The round trip that fills the course of them, unless one is longer: less would make much of noise.
const COURSE_FULL_US: u64 = 2_000;
/// The narrowest course and bar that are worth their columns.
const COURSE_WIDTH_MIN: usize = 4;
/// See [`COURSE_WIDTH_MIN`].
const BAR_WIDTH_MIN: usize = 8;
/// The size of a terminal that does not tell it.
const SIZE_UNTOLD: Size = Size {
    width: 80,
    height: 24,
};

/// See the module page.
#[derive(Debug)]
pub(super) struct Live<'a> {
    options: &'a Options,
    stop: Stop,
    inline: Inline,
    rates: Rates,
    seconds: Seconds,
}

/// The round trips of each second of play, as far as a row has room for them.
#[derive(Debug, Default)]
struct Seconds {
    /// Their 99th percentiles in microseconds, oldest first.
    p99_us: VecDeque<u64>,
    newest: Option<Instant>,
}

impl<'a> Live<'a> {
    /// Draws on a terminal until `stop` is asked for.
    pub(super) fn new(options: &'a Options, stop: Stop, inline: Inline) -> Self {
        Self {
            options,
            stop,
            inline,
            rates: Rates::default(),
            seconds: Seconds::default(),
        }
    }
}

impl Seconds {
    /// Takes a newer state of the run.
    fn take(&mut self, progress: &Progress, now: Instant) {
        let is_over = |newest| now.duration_since(newest) >= SECOND;
        let due = self.newest.is_none_or(is_over);
        if !due || progress.stage != Stage::Playing || progress.rtt.count == 0 {
            return;
        }
        self.newest = Some(now);
        if self.p99_us.len() >= HISTORY {
            self.p99_us.pop_front();
        }
        self.p99_us.push_back(progress.rtt.p99_us);
    }
}

impl Observer for Live<'_> {
    fn interval(&self) -> Duration {
        FRAME
    }

    fn observe(&mut self, progress: &Progress) -> Control {
        let now = Instant::now();
        self.rates.take(progress, now);
        self.seconds.take(progress, now);
        let size = terminal::size().unwrap_or(SIZE_UNTOLD);
        let picture = Picture {
            options: self.options,
            progress,
            rates: &self.rates,
            course: &self.seconds.p99_us,
            plain: terminal::is_plain(),
            ending: self.stop.is_asked(),
        };
        self.inline.draw(&picture.draw(size));
        if self.stop.is_asked() {
            Control::Stop
        } else {
            Control::Continue
        }
    }
}

/// All that a drawing is made of.
struct Picture<'a> {
    options: &'a Options,
    progress: &'a Progress,
    rates: &'a Rates,
    course: &'a VecDeque<u64>,
    plain: bool,
    ending: bool,
}

impl Picture<'_> {
    /// Rows of at most the terminal's width, and one less than its height: the cursor waits below.
    fn draw(&self, size: Size) -> Buffer {
        let width = usize::from(size.width);
        let mut rows = vec![
            self.head(width),
            self.bots(width),
            self.amounts(width),
            self.round_trip(width),
            self.lateness(width),
            self.failures(width),
        ];
        rows.truncate(usize::from(size.height.saturating_sub(1)));
        let height = u16::try_from(rows.len()).unwrap_or(u16::MAX);
        let mut buffer = Buffer::empty(Rect::new(0, 0, size.width, height));
        for (y, row) in (0..height).zip(&rows) {
            buffer.set_line(0, y, row, size.width);
            // What does not fit is seen to go on.
            let last = (size.width.saturating_sub(1), y);
            if row.width() > width
                && let Some(cell) = buffer.cell_mut(last)
            {
                cell.set_symbol("…");
            }
        }
        buffer
    }

    /// The part of the run, how much of it is done, and what is left.
    fn head(&self, width: usize) -> Line<'static> {
        let Options { bots, play_for, .. } = *self.options;
        let Course { words, share } = Course::of(self.progress, bots, play_for, self.ending);
        let stage = match self.progress.stage {
            Stage::Joining => "joining",
            Stage::Playing => "playing",
            Stage::Settling => "settling",
            Stage::Leaving => "leaving",
        };
        let mut spans = vec![Span::styled(named(stage), accent(self.plain))];
        let room = width.saturating_sub(NAME_WIDTH + words.chars().count() + 2);
        if room >= BAR_WIDTH_MIN {
            spans.extend(bar(room, share, self.plain));
            spans.push(Span::raw("  "));
        }
        spans.push(Span::raw(words));
        Line::from(spans)
    }

    fn bots(&self, width: usize) -> Line<'static> {
        let Progress {
            playing,
            failed,
            rooms,
            ..
        } = *self.progress;
        let there = match self.options.conduct {
            Conduct::Play => "have a seat",
            Conduct::Idle => "have a session",
        };
        let mut parts = vec![Span::raw(format!(
            "{} of {} {there}",
            thousands(wide(playing)),
            thousands(wide(self.options.bots))
        ))];
        if failed > 0 {
            let text = format!("{} failed", thousands(wide(failed)));
            parts.push(Span::styled(text, alarm(self.plain)));
        }
        if self.options.conduct == Conduct::Play {
            parts.push(Span::raw(counted(rooms, "room")));
        }
        row("bots", parts, width)
    }

    /// Inputs, and what they bring; of idle bots all that there is, their bytes.
    fn amounts(&self, width: usize) -> Line<'static> {
        let rates = self.rates.per_second;
        let per_second = |count, what: &str| Span::raw(format!("{}/s {what}", thousands(count)));
        let flow = |count, way: &str| Span::raw(format!("{}/s {way}", bytes(count)));
        let (up, down) = (flow(rates.bytes_up, "up"), flow(rates.bytes_down, "down"));
        match self.options.conduct {
            Conduct::Play => {
                let inputs = per_second(rates.inputs, "sent");
                let snapshots = per_second(rates.snapshots, "snapshots");
                row("inputs", vec![inputs, snapshots, up, down], width)
            }
            Conduct::Idle => row("network", vec![up, down], width),
        }
    }

    fn round_trip(&self, width: usize) -> Line<'static> {
        let Percentiles {
            count,
            p50_us,
            p99_us,
            ..
        } = self.progress.rtt;
        let mut line = row(
            "round trip",
            spread(count, &[("p50", p50_us), ("p99", p99_us)]),
            width,
        );
        let room = width.saturating_sub(line.width() + 3);
        if room >= COURSE_WIDTH_MIN && !self.course.is_empty() {
            let shown = self.course.len().saturating_sub(room);
            let course = sparkline(self.course.iter().skip(shown).copied(), COURSE_FULL_US);
            line.push_span(Span::raw("   "));
            line.push_span(Span::styled(course, accent(self.plain)));
        }
        line
    }

    /// How late the bots themselves are.
    fn lateness(&self, width: usize) -> Line<'static> {
        let Percentiles { count, p99_us, .. } = self.progress.lateness;
        let bound = self.options.lateness_max;
        let late = u128::from(p99_us) > bound.as_micros();
        let mut parts = match count {
            0 => vec![Span::raw("–")],
            _ => vec![Span::raw(format!("p99 {} late", millis(p99_us)))],
        };
        if late {
            parts.push(Span::raw("too late to tell"));
            let style = |part: Span<'static>| part.style(alarm(self.plain));
            parts = parts.into_iter().map(style).collect();
        }
        row("tester", parts, width)
    }

    fn failures(&self, width: usize) -> Line<'static> {
        let Some(newest) = &self.progress.newest_failure else {
            return row("failures", vec![Span::styled("none", faint())], width);
        };
        let count = thousands(self.progress.failures_total);
        let count = Span::styled(count, alarm(self.plain));
        Line::from(vec![
            Span::styled(named("failures"), faint()),
            count,
            Span::raw(format!("  {newest}")),
        ])
    }
}

/// A name and as many parts as fit, the first ones first.
fn row(name: &str, parts: Vec<Span<'static>>, width: usize) -> Line<'static> {
    let mut line = Line::from(Span::styled(named(name), faint()));
    for (index, part) in parts.into_iter().enumerate() {
        let space = if index > 0 { 3 } else { 0 };
        // What does not fit and is all there is, is cut.
        if index > 0 && line.width() + space + part.width() > width {
            break;
        }
        line.push_span(Span::raw(" ".repeat(space)));
        line.push_span(part);
    }
    line
}

fn spread(count: u64, figures: &[(&str, u64)]) -> Vec<Span<'static>> {
    let figure = |(name, us): &(&str, u64)| match count {
        0 => format!("{name} –"),
        _ => format!("{name} {}", millis(*us)),
    };
    figures.iter().map(figure).map(Span::raw).collect()
}

fn named(name: &str) -> String {
    format!("{name:<NAME_WIDTH$}")
}

#[cfg(test)]
#[path = "live_tests.rs"]
mod tests;
