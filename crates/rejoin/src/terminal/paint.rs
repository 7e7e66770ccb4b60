//! What pictures on terminals have in common: their few styles, bars and courses.

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Span;

/// Bars of a course, from the lowest.
const BARS: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

/// What stands out; `plain` is without colours.
pub(crate) fn accent(plain: bool) -> Style {
    if plain {
        Style::new()
    } else {
        // A middle tone: to be read on dark and on light ground.
        Style::new().fg(Color::Indexed(73))
    }
}

/// What is not as it should be.
pub(crate) fn alarm(plain: bool) -> Style {
    let style = Style::new().add_modifier(Modifier::BOLD);
    if plain {
        style
    } else {
        style.fg(Color::Indexed(167))
    }
}

/// What stands back.
pub(crate) const fn faint() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

/// A bar of `width` columns, of which `share` is done.
pub(crate) fn bar(width: usize, share: f64, plain: bool) -> [Span<'static>; 2] {
    let full = filled(width, share);
    [
        Span::styled("━".repeat(full), accent(plain)),
        Span::styled("─".repeat(width - full), faint()),
    ]
}

/// Values as bars of a column each, the highest at least as high as `full`.
pub(crate) fn sparkline(values: impl Iterator<Item = u64> + Clone, full: u64) -> String {
    let top = values.clone().max().unwrap_or(0).max(full).max(1);
    let bar = |value: u64| {
        let step = (u128::from(value) * 8).div_ceil(u128::from(top));
        let step = step.saturating_sub(1);
        let step = usize::try_from(step).unwrap_or(usize::MAX);
        BARS.get(step).copied().unwrap_or("█")
    };
    values.map(bar).collect()
}

/// Columns of `width` that `share` fills.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a share of a terminal's width"
)]
fn filled(width: usize, share: f64) -> usize {
    ((width as f64) * share.clamp(0.0, 1.0)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_wide_as_asked_whatever_the_share() {
        for (share, full) in [(0.0, 0), (0.5, 5), (1.0, 10), (7.0, 10), (f64::NAN, 0)] {
            let spans = bar(10, share, true);
            assert_eq!(
                spans.each_ref().map(Span::width),
                [full, 10 - full],
                "{share}"
            );
        }
    }

    #[test]
    fn a_course_rises_to_its_highest_value() {
        let course = |values: &[u64], full| sparkline(values.iter().copied(), full);
        assert_eq!(course(&[0, 1, 2, 4, 8], 0), "▁▁▂▄█");
        assert_eq!(course(&[1, 2], 16), "▁▁");
        assert_eq!(course(&[u64::MAX, 0], 1), "█▁");
        assert_eq!(course(&[], 1), "");
    }
}
