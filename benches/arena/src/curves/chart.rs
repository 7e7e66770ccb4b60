//! `curves.svg`: a small picture for each curve, both axes by powers.

use std::fmt::Write as _;

use super::{Drawn, Line, Place, Report};

const COLUMNS: usize = 3;
const WIDTH: f64 = 300.0;
const HEIGHT: f64 = 230.0;
/// Around what is plotted.
const LEFT: f64 = 44.0;
const RIGHT: f64 = 60.0;
const TOP: f64 = 46.0;
const BOTTOM: f64 = 42.0;
/// Between two labels along the bottom, and two lines of text.
const APART: f64 = 24.0;
const LINE: f64 = 12.0;

/// Greys and colours with contrast to white and to black alike: the picture has no background of its own.
const INK: &str = "#7a828a";
const GRID: &str = "#7a828a40";
const OURS: [&str; 2] = ["#2f9e5b", "#4f83cc"];
const FLOOR: &str = "#8b949e";

pub(super) fn svg(report: &Report) -> String {
    let rows = report.curves.len().div_ceil(COLUMNS);
    let (width, height) = (WIDTH * COLUMNS as f64, HEIGHT * rows as f64);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" role=\"img\" font-family=\"system-ui, sans-serif\" font-size=\"11\" fill=\"{INK}\">\n\
         <title>How cost grows</title>\n"
    );
    for (index, curve) in report.curves.iter().enumerate() {
        let (x, y) = (
            (index % COLUMNS) as f64 * WIDTH,
            (index / COLUMNS) as f64 * HEIGHT,
        );
        write!(
            text,
            "<g transform=\"translate({x} {y})\">\n{}</g>\n",
            panel(curve)
        )
        .expect(super::TEXT);
    }
    text + "</svg>\n"
}

/// A scale by powers.
struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Scale {
    fn new(values: impl Iterator<Item = f64>, margin: f64, from: f64, to: f64) -> Self {
        let (low, high) = values.fold((f64::MAX, f64::MIN_POSITIVE), |(low, high), it| {
            (low.min(it), high.max(it))
        });
        let (low, high) = (low.max(1e-6) / margin, high.max(1e-6) * margin);
        Self {
            low,
            high,
            from,
            to,
        }
    }

    fn at(&self, value: f64) -> f64 {
        let part = (value.max(1e-6) / self.low).ln() / (self.high / self.low).ln();
        self.from + part * (self.to - self.from)
    }
}

fn panel(curve: &Drawn) -> String {
    let places = || curve.lines.iter().flat_map(|line| &line.places);
    let along = Scale::new(places().map(|it| it.at as f64), 1.0, LEFT, WIDTH - RIGHT);
    let ups = places().flat_map(|it| [it.value.least, it.value.most]);
    let up = Scale::new(ups, 1.25, HEIGHT - BOTTOM, TOP);
    let mut text = format!(
        "<text x=\"8\" y=\"16\" font-size=\"13\" font-weight=\"600\">{}</text>\n\
         <text x=\"8\" y=\"31\">{}</text>\n\
         <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n",
        curve.name,
        curve.up,
        f64::midpoint(LEFT, WIDTH - RIGHT),
        HEIGHT - 10.0,
        curve.along,
    );
    let mut labelled = f64::MIN;
    for at in curve.ats() {
        let x = along.at(at as f64);
        let label = if x - labelled < APART {
            String::new()
        } else {
            short(at)
        };
        if !label.is_empty() {
            labelled = x;
        }
        write!(
            text,
            "<path d=\"M{x:.1} {TOP}V{:.1}\" stroke=\"{GRID}\"/>\n\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" font-size=\"9\">{}</text>\n",
            HEIGHT - BOTTOM,
            HEIGHT - BOTTOM + 13.0,
            label,
        )
        .expect(super::TEXT);
    }
    for tick in ticks(&up) {
        let y = up.at(tick);
        write!(
            text,
            "<path d=\"M{LEFT} {y:.1}H{:.1}\" stroke=\"{GRID}\"/>\n\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" font-size=\"9\">{tick}</text>\n",
            WIDTH - RIGHT,
            LEFT - 4.0,
            y + 3.0,
        )
        .expect(super::TEXT);
    }
    text + &lines(curve, (&along, &up))
}

/// All lines, each with its name at its end.
fn lines(curve: &Drawn, (along, up): (&Scale, &Scale)) -> String {
    let mut text = String::new();
    let mut ours = OURS.iter();
    let mut named: Vec<f64> = Vec::new();
    for line in &curve.lines {
        let colour = match line.name.starts_with("raw") {
            true => FLOOR,
            false => ours.next().unwrap_or(&INK),
        };
        text += &drawn(line, colour, (along, up));
        if let Some(last) = line.places.last() {
            let (x, mut y) = (along.at(last.at as f64), up.at(last.value.median));
            // Beneath another name that is as high.
            while named.iter().any(|other| (other - y).abs() < LINE) {
                y += LINE;
            }
            named.push(y);
            writeln!(
                text,
                "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"{colour}\">{}</text>",
                x + 5.0,
                y + 4.0,
                line.name
            )
            .expect(super::TEXT);
        }
    }
    text
}

fn drawn(line: &Line, colour: &str, (along, up): (&Scale, &Scale)) -> String {
    let point = |it: &Place| (along.at(it.at as f64), up.at(it.value.median));
    let points: Vec<String> = line
        .places
        .iter()
        .map(point)
        .map(|(x, y)| format!("{x:.1},{y:.1}"))
        .collect();
    let mut text = format!(
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.8\"/>\n",
        points.join(" ")
    );
    for it in &line.places {
        let (x, y) = point(it);
        let (low, high) = (up.at(it.value.least), up.at(it.value.most));
        write!(
            text,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.4\" fill=\"{colour}\"/>\n\
             <path d=\"M{x:.1} {low:.1}V{high:.1}\" stroke=\"{colour}\"/>\n"
        )
        .expect(super::TEXT);
    }
    text
}

/// Round numbers in a scale: more of them if it is short.
fn ticks(scale: &Scale) -> Vec<f64> {
    let steps: &[f64] = match scale.high / scale.low {
        0.0..4.0 => &[1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0],
        _ => &[1.0, 2.0, 5.0],
    };
    let powers = (-3..7).map(|power| 10_f64.powi(power));
    let all = powers.flat_map(|power| steps.iter().map(move |step| step * power));
    all.filter(|tick| (scale.low..=scale.high).contains(tick))
        .collect()
}

fn short(at: usize) -> String {
    match at {
        1_000.. if at.is_multiple_of(1_000) => format!("{}k", at / 1_000),
        1_000.. if at.is_multiple_of(100) => format!("{:.1}k", at as f64 / 1_000.0),
        _ => at.to_string(),
    }
}
