//! `peers.svg`: processor time of a player, a bar for each server, with the least and the most of its rounds.

use super::Report;
use super::summary::Summary;
use crate::peer::{NONE, Peer};

const WIDTH: f64 = 800.0;
/// Room for names on the left, and for figures on the right.
const LEFT: f64 = 130.0;
const RIGHT: f64 = 230.0;
const TOP: f64 = 64.0;
const ROW: f64 = 34.0;
const BAR: f64 = 20.0;
const BOTTOM: f64 = 40.0;

/// Greys and colours with contrast to white and to black alike: the picture has no background of its own.
const INK: &str = "#7a828a";
const OURS: &str = "#2f9e5b";
const FLOOR: &str = "#8b949e";
const THEIRS: &str = "#4f83cc";
const WHISKER: &str = "#c0392b";

impl Report {
    pub(crate) fn chart(&self) -> String {
        let rows: Vec<(&Peer, Summary)> = self
            .peers
            .iter()
            .filter_map(|peer| Some((*peer, self.summary(peer)?)))
            .collect();
        let most = rows.iter().map(|(_, it)| it.cpu_us.most);
        let scale = (WIDTH - LEFT - RIGHT) / most.fold(1.0, f64::max);
        let bars = rows.iter().enumerate();
        let bars: String = bars
            .map(|(at, (peer, it))| bar(TOP + ROW * at as f64, (peer, it), scale))
            .collect();
        let height = TOP + ROW * rows.len() as f64 + BOTTOM;
        let (players, foot) = (self.plan.players, height - 14.0);
        let title = format!("Server CPU per player, {players} players in rooms of 16");
        let axis = "microseconds of a core per player and second: 30 Hz inputs, 30 Hz snapshots of 1,000 bytes";
        let note = format!(
            "Median of {} rounds in turns; red: least and most. In brackets the ratio to raw2 of the same round.{}",
            self.plan.rounds,
            if self.plan.quick { " A SHORT TRY." } else { "" }
        );
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
             height=\"{height}\" role=\"img\" font-family=\"system-ui, sans-serif\" font-size=\"13\" fill=\"{INK}\">\n\
             <title>{title}</title>\n\
             <text x=\"12\" y=\"24\" font-size=\"16\" font-weight=\"600\">{title}</text>\n\
             <text x=\"12\" y=\"44\" font-size=\"12\">{axis}</text>\n\
             {bars}<text x=\"12\" y=\"{foot}\" font-size=\"12\">{note}</text>\n</svg>\n"
        )
    }
}

fn bar(top: f64, (peer, it): (&Peer, &Summary), scale: f64) -> String {
    let name = peer.name();
    let colour = match (peer.is_ours, name.starts_with("raw")) {
        (true, _) => OURS,
        (false, true) => FLOOR,
        (false, false) => THEIRS,
    };
    let at = |value: f64| LEFT + value * scale;
    let (length, middle) = (it.cpu_us.median * scale, top + BAR / 2.0);
    let (least, most) = (at(it.cpu_us.least), at(it.cpu_us.most));
    let (text, names) = (middle + 4.5, LEFT - 8.0);
    let ratio = it
        .ratio
        .map_or(String::new(), |ratio| format!(" ({:.2}x)", ratio.median));
    let secret = if peer.cipher == NONE {
        ", not encrypted"
    } else {
        ""
    };
    let (low, high) = (middle - 4.0, middle + 4.0);
    format!(
        "<text x=\"{names:.1}\" y=\"{text:.1}\" text-anchor=\"end\">{name}</text>\n\
         <rect x=\"{LEFT}\" y=\"{top:.1}\" width=\"{length:.1}\" height=\"{BAR}\" rx=\"2\" fill=\"{colour}\"/>\n\
         <path d=\"M{least:.1} {middle:.1}H{most:.1}M{least:.1} {low:.1}V{high:.1}M{most:.1} {low:.1}V{high:.1}\" \
         stroke=\"{WHISKER}\" stroke-width=\"1.5\" fill=\"none\"/>\n\
         <text x=\"{:.1}\" y=\"{text:.1}\">{:.0}{ratio}{secret}</text>\n",
        most.max(at(it.cpu_us.median)) + 8.0,
        it.cpu_us.median,
    )
}
