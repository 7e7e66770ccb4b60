//! The field: players as dots, with the way they came as a trail of finer dots.
//!
//! A cell of the terminal holds 2 x 4 dots of Braille. Players stand above trails, newer trails
//! above older ones.

use std::collections::{BTreeMap, VecDeque};

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::widgets::Widget;
use rejoin_protocol::PlayerId;
use rejoin_protocol::message::SeatChange;
use rejoin_room::builtin::arena::SIDE;

use super::live::Spot;

/// Middle tones of the 256 colours: to be read on dark and on light ground.
const COLOURS: [u8; 12] = [74, 173, 71, 140, 179, 168, 73, 107, 137, 104, 209, 66];
/// Newest places that are left out of a trail: they lie under the player.
const HEAD: usize = 1;

/// See the module page.
pub(super) struct FieldView<'a> {
    pub(super) trails: &'a BTreeMap<PlayerId, VecDeque<Spot>>,
    /// Who is not all there: drawn hollow, and with dots while that is not sure.
    pub(super) absent: Option<&'a BTreeMap<PlayerId, SeatChange>>,
    pub(super) plain: bool,
}

impl Widget for FieldView<'_> {
    fn render(self, area: Rect, buffer: &mut Buffer) {
        for (index, trail) in self.trails.values().enumerate() {
            let style = self.colour(index).add_modifier(Modifier::DIM);
            for spot in trail.iter().rev().skip(HEAD) {
                put_dot(*spot, style, area, buffer);
            }
        }
        for (index, (player, trail)) in self.trails.iter().enumerate() {
            let Some(spot) = trail.back() else { continue };
            let (x, y) = cell_of(dot_of(*spot, area));
            let Some(cell) = buffer.cell_mut((area.x + x, area.y + y)) else {
                continue;
            };
            let told = self.absent.and_then(|absent| absent.get(player));
            let symbol = match told {
                None => "●",
                Some(SeatChange::Detached) => "○",
                Some(_) => "◌",
            };
            cell.set_symbol(symbol)
                .set_style(self.colour(index).add_modifier(Modifier::BOLD));
            cell.modifier.remove(Modifier::DIM);
        }
    }
}

impl FieldView<'_> {
    /// A player keeps a colour while nobody comes or goes.
    fn colour(&self, index: usize) -> Style {
        let colour = COLOURS.get(index % COLOURS.len()).copied();
        match colour {
            Some(colour) if !self.plain => Style::new().fg(Color::Indexed(colour)),
            Some(_) | None => Style::new(),
        }
    }
}

/// A place in dots from the upper left corner of the area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Dot {
    x: u16,
    y: u16,
}

fn dot_of(spot: Spot, area: Rect) -> Dot {
    Dot {
        x: scale(spot.x, area.width * 2),
        y: scale(spot.y, area.height * 4),
    }
}

/// `place` of a side in steps of `count`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the product is clamped to a 16-bit count before"
)]
fn scale(place: f32, count: u16) -> u16 {
    let last = f32::from(count.saturating_sub(1));
    (place / SIDE * f32::from(count)).clamp(0.0, last) as u16
}

const fn cell_of(dot: Dot) -> (u16, u16) {
    (dot.x / 2, dot.y / 4)
}

fn put_dot(spot: Spot, style: Style, area: Rect, buffer: &mut Buffer) {
    let dot = dot_of(spot, area);
    let (x, y) = cell_of(dot);
    let Some(cell) = buffer.cell_mut((area.x + x, area.y + y)) else {
        return;
    };
    let before = cell
        .symbol()
        .chars()
        .next()
        .and_then(braille_bits)
        .unwrap_or(0);
    if let Some(symbol) = char::from_u32(BRAILLE + u32::from(before | bit_of(dot))) {
        cell.set_char(symbol).set_style(style);
    }
}

/// The first of 256 Braille patterns in Unicode.
const BRAILLE: u32 = 0x2800;

fn braille_bits(symbol: char) -> Option<u8> {
    u8::try_from(u32::from(symbol).checked_sub(BRAILLE)?).ok()
}

/// Unicode numbers the dots of a cell by column, and the lowest row last.
const fn bit_of(dot: Dot) -> u8 {
    match (dot.x % 2, dot.y % 4) {
        (0, 0) => 0x01,
        (0, 1) => 0x02,
        (0, 2) => 0x04,
        (_, 0) => 0x08,
        (_, 1) => 0x10,
        (_, 2) => 0x20,
        (0, _) => 0x40,
        (_, _) => 0x80,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corners_of_the_field_are_corners_of_the_area() {
        let area = Rect::new(3, 5, 10, 4);
        let cell = |x, y| cell_of(dot_of(Spot { x, y }, area));
        assert_eq!(cell(0.0, 0.0), (0, 0));
        assert_eq!(cell(SIDE, SIDE), (9, 3));
        assert_eq!(cell(f32::NAN, -5.0), (0, 0));
    }

    #[test]
    fn a_player_stands_above_the_trail() {
        let spots = [10.0, 40.0, 60.0].map(|x| Spot { x, y: 50.0 });
        let trails = BTreeMap::from([(PlayerId(1), VecDeque::from(spots))]);
        let area = Rect::new(0, 0, 10, 1);
        let mut buffer = Buffer::empty(area);
        FieldView {
            trails: &trails,
            absent: None,
            plain: true,
        }
        .render(area, &mut buffer);
        let row: String = buffer
            .content()
            .iter()
            .map(ratatui::buffer::Cell::symbol)
            .collect();
        assert_eq!(row, " ⠄  ⠄ ●   ");
    }
}
