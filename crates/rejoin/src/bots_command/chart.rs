//! Charts as inline SVG: lines over time, and bars. Colours come from the page's style sheet.

use std::fmt::Write;

/// Width and height of a chart, in the units of its own picture.
const SIZE: (f64, f64) = (720.0, 240.0);
/// Room for the scale to the left and for that below.
const LEFT: f64 = 64.0;
/// See [`LEFT`].
const BELOW: f64 = 28.0;
/// Room above, and to the right.
const EDGE: f64 = 12.0;
/// Marks of a scale, about.
const MARKS: f64 = 4.0;

/// A line of a chart.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line {
    /// What it shows.
    pub(crate) name: &'static str,
    /// Places from left to right; none where nothing was measured.
    pub(crate) points: Vec<(f64, Option<f64>)>,
}

/// Lines over seconds; `unit` is that of their heights.
pub(crate) fn lines(title: &str, unit: &str, lines: &[Line]) -> String {
    let points = || lines.iter().flat_map(|line| &line.points);
    let right = points().map(|(x, _)| *x).fold(0.0, f64::max);
    let top = points().filter_map(|(_, y)| *y).fold(0.0, f64::max);
    let area = Area::new(right, top);
    let mut svg = area.open(title);
    area.grid(&mut svg);
    for mark in marks(right) {
        let text = format!("{} s", number(mark));
        area.below(&mut svg, area.x(mark), &text);
    }
    for (index, line) in lines.iter().enumerate() {
        draw_line(&mut svg, &area, line, index);
    }
    svg.push_str("</svg>");
    figure(title, unit, &svg, lines)
}

/// A bar for each height, from `names.0` to `names.1`.
pub(crate) fn bars(title: &str, unit: &str, bars: &[Bar]) -> String {
    let top = bars.iter().map(|bar| bar.height).fold(0.0, f64::max);
    let count = f64::from(u32::try_from(bars.len()).unwrap_or(u32::MAX));
    let area = Area::new(count, top);
    let mut svg = area.open(title);
    area.grid(&mut svg);
    // As many names as fit, evenly.
    let named = (bars.len() / 8).max(1);
    let mut left = 0.0;
    for (index, bar) in bars.iter().enumerate() {
        let (x, y) = (area.x(left), area.y(bar.height));
        let (width, height) = (area.x(left + 1.0) - x - 1.0, area.y(0.0) - y);
        let _ = write!(
            svg,
            r#"<rect class="c0 bar" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}"><title>{}: {}</title></rect>"#,
            escape(&bar.name),
            number(bar.height)
        );
        if index.is_multiple_of(named) {
            area.below(&mut svg, x, &bar.name);
        }
        left += 1.0;
    }
    svg.push_str("</svg>");
    figure(title, unit, &svg, &[])
}

/// A bar.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bar {
    /// What it stands for: the lower end of its range.
    pub(crate) name: String,
    /// How high it is.
    pub(crate) height: f64,
}

/// Text that cannot be taken for markup.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// What a chart's places are on the picture. Never writing to text fails, so results are dropped.
struct Area {
    right: f64,
    top: f64,
}

impl Area {
    fn new(right: f64, top: f64) -> Self {
        let some = |most: f64| if most > 0.0 { most } else { 1.0 };
        Self {
            right: some(right),
            // A little air above the highest.
            top: some(top) * 1.05,
        }
    }

    fn x(&self, x: f64) -> f64 {
        LEFT + x / self.right * (SIZE.0 - LEFT - EDGE)
    }

    fn y(&self, y: f64) -> f64 {
        SIZE.1 - BELOW - y / self.top * (SIZE.1 - BELOW - EDGE)
    }

    fn open(&self, title: &str) -> String {
        format!(
            r#"<svg viewBox="0 0 {} {}" role="img" aria-label="{}">"#,
            SIZE.0,
            SIZE.1,
            escape(title)
        )
    }

    fn grid(&self, svg: &mut String) {
        for mark in marks(self.top) {
            let y = self.y(mark);
            let (right, text_x, text_y) = (SIZE.0 - EDGE, LEFT - 8.0, y + 4.0);
            let _ = write!(
                svg,
                r#"<path class="grid" d="M{LEFT} {y:.1}H{right}"/><text class="left" x="{text_x}" y="{text_y:.1}">{}</text>"#,
                number(mark)
            );
        }
    }

    fn below(&self, svg: &mut String, x: f64, text: &str) {
        let y = SIZE.1 - 8.0;
        let _ = write!(svg, r#"<text x="{x:.1}" y="{y}">{}</text>"#, escape(text));
    }
}

fn draw_line(svg: &mut String, area: &Area, line: &Line, index: usize) {
    let mut path = String::new();
    let mut dots = String::new();
    let mut command = 'M';
    for (x, y) in &line.points {
        let Some(height) = y else {
            // A gap stays a gap.
            command = 'M';
            continue;
        };
        let (x, y) = (area.x(*x), area.y(*height));
        let _ = write!(path, "{command}{x:.1} {y:.1}");
        let _ = write!(
            dots,
            r#"<circle class="c{index} dot" cx="{x:.1}" cy="{y:.1}" r="2.5"><title>{}: {}</title></circle>"#,
            line.name,
            number(*height)
        );
        command = 'L';
    }
    let _ = write!(svg, r#"<path class="c{index} line" d="{path}"/>{dots}"#);
}

fn figure(title: &str, unit: &str, svg: &str, lines: &[Line]) -> String {
    let mut legend = String::new();
    for (index, line) in lines.iter().enumerate() {
        let _ = write!(
            legend,
            r#" <span class="c{index} key">{}</span>"#,
            line.name
        );
    }
    let (title, unit) = (escape(title), escape(unit));
    format!("<figure><figcaption><b>{title}</b>, {unit}{legend}</figcaption>{svg}</figure>\n")
}

/// Round numbers from 0 to `most`: 1, 2 or 5 times a power of ten apart.
fn marks(most: f64) -> Vec<f64> {
    // A scale of nothing has no second mark, and a step of nothing would never reach its end.
    if most <= 0.0 || !most.is_finite() {
        return vec![0.0];
    }
    let rough = most / MARKS;
    let power = 10f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
    let step = steps.into_iter().find(|step| *step >= rough);
    let step = step.unwrap_or(most);
    let mut marks = vec![0.0];
    let mut mark = step;
    while mark <= most {
        marks.push(mark);
        mark += step;
    }
    marks
}

/// A number with no more digits than it needs.
fn number(value: f64) -> String {
    let text = match value {
        v if v >= 1e9 => format!("{:.2} G", v / 1e9),
        v if v >= 1e6 => format!("{:.2} M", v / 1e6),
        v if v >= 1e4 => format!("{:.1} k", v / 1e3),
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 1.0 => format!("{v:.1}"),
        v => format!("{v:.3}"),
    };
    let (digits, unit) = text.split_once(' ').unwrap_or((&text, ""));
    let short = match digits.contains('.') {
        true => digits.trim_end_matches('0').trim_end_matches('.'),
        false => digits,
    };
    format!("{short}{}{unit}", if unit.is_empty() { "" } else { " " })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_have_few_round_marks() {
        assert_eq!(marks(10.0), [0.0, 5.0, 10.0]);
        assert_eq!(marks(31.0), [0.0, 10.0, 20.0, 30.0]);
        assert_eq!(marks(0.9), [0.0, 0.5]);
        assert_eq!(marks(0.0), [0.0]);
        let texts = [0.0, 0.25, 4.0, 7.5, 120.0, 25_000.0, 3_000_000.0].map(number);
        assert_eq!(texts, ["0", "0.25", "4", "7.5", "120", "25 k", "3 M"]);
    }

    #[test]
    fn a_line_has_a_gap_where_nothing_was_measured() {
        let points = vec![
            (0.0, Some(1.0)),
            (1.0, Some(2.0)),
            (2.0, None),
            (3.0, Some(1.0)),
        ];
        let chart = lines(
            "latency",
            "ms",
            &[Line {
                name: "p50",
                points,
            }],
        );
        let path = chart.split(r#"line" d=""#).nth(1).unwrap();
        let path = path.split('"').next().unwrap();
        assert_eq!(
            (path.matches('M').count(), path.matches('L').count()),
            (2, 1)
        );
        assert_eq!(chart.matches("<circle").count(), 3);
    }

    #[test]
    fn what_has_nothing_to_show_is_still_a_chart() {
        for chart in [lines("a", "b", &[]), bars("a", "b", &[])] {
            assert!(!chart.contains("NaN") && !chart.contains("inf"), "{chart}");
        }
    }

    #[test]
    fn names_cannot_become_markup() {
        let height = 1.0;
        let name = "<script>\"&".to_owned();
        let chart = bars("<b>", "ms", &[Bar { name, height }]);
        assert!(
            !chart.contains("<script>") && !chart.contains("<b><b>"),
            "{chart}"
        );
        assert!(chart.contains("&lt;script&gt;&quot;&amp;"), "{chart}");
    }
}
