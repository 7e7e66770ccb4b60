//! A few lines of the terminal that are drawn over in place, below what was printed before.
//!
//! Nothing is read from the terminal and its modes stay as they are, so Ctrl-C is a signal as ever. The
//! cursor is hidden while something is drawn, and waits below it. Whoever else prints to the terminal
//! lets the drawing [make way](make_way) first; the next one comes below.

use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ratatui::buffer::{Buffer, Cell};
use ratatui::crossterm::cursor::{Hide, MoveToColumn, MoveUp, Show};
use ratatui::crossterm::queue;
use ratatui::crossterm::style::{
    Attribute, Color as TerminalColor, SetAttribute, SetForegroundColor,
};
use ratatui::crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate,
};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Span;

/// What is drawn now. A process has one terminal.
static DRAWN: Mutex<Option<Drawn>> = Mutex::new(None);

/// A drawing on the terminal.
struct Drawn {
    to: Box<dyn Write + Send>,
    rows: u16,
}

/// The right to draw. Dropping it takes the drawing away and shows the cursor.
#[derive(Debug)]
pub(crate) struct Inline {
    /// Nobody else makes one.
    _private: (),
}

impl Inline {
    /// Draws on `to`, which is a terminal.
    pub(crate) fn on(to: impl Write + Send + 'static) -> Self {
        let to = Box::new(to);
        *drawn() = Some(Drawn { to, rows: 0 });
        Self { _private: () }
    }

    /// Draws the rows of `picture` over the ones before. A terminal that is gone is no failure: there is
    /// nobody to see it.
    pub(crate) fn draw(&self, picture: &Buffer) {
        if let Some(drawn) = &mut *drawn() {
            drop(drawn.draw(picture));
        }
    }
}

impl Drop for Inline {
    fn drop(&mut self) {
        if let Some(mut drawn) = drawn().take() {
            drop(drawn.erase());
        }
    }
}

/// Takes the drawing away, if there is one, for something that is printed now.
pub(crate) fn make_way() {
    if let Some(drawn) = &mut *drawn() {
        drop(drawn.erase());
    }
}

fn drawn() -> MutexGuard<'static, Option<Drawn>> {
    DRAWN.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drawn {
    fn draw(&mut self, picture: &Buffer) -> io::Result<()> {
        let mut bytes = Vec::new();
        queue!(bytes, BeginSynchronizedUpdate, Hide)?;
        self.go_to_top(&mut bytes)?;
        let width = usize::from(picture.area.width.max(1));
        for row in picture.content().chunks(width) {
            write_row(&mut bytes, row)?;
            queue!(bytes, Clear(ClearType::UntilNewLine))?;
            bytes.push(b'\n');
        }
        queue!(
            bytes,
            Clear(ClearType::FromCursorDown),
            EndSynchronizedUpdate
        )?;
        self.rows = picture.area.height;
        self.to.write_all(&bytes)?;
        self.to.flush()
    }

    fn erase(&mut self) -> io::Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let mut bytes = Vec::new();
        self.go_to_top(&mut bytes)?;
        queue!(bytes, Clear(ClearType::FromCursorDown), Show)?;
        self.rows = 0;
        self.to.write_all(&bytes)?;
        self.to.flush()
    }

    fn go_to_top(&self, bytes: &mut Vec<u8>) -> io::Result<()> {
        queue!(bytes, MoveToColumn(0))?;
        if self.rows > 0 {
            queue!(bytes, MoveUp(self.rows))?;
        }
        Ok(())
    }
}

/// The cells of a row up to the last that shows something.
fn write_row(bytes: &mut Vec<u8>, row: &[Cell]) -> io::Result<()> {
    let blank = Cell::default();
    let end = row.iter().rposition(|cell| *cell != blank);
    let plain = blank.style();
    let mut style = plain;
    // The second column of a wide character holds nothing of its own.
    let mut covered = 0;
    for cell in row.iter().take(end.map_or(0, |end| end + 1)) {
        if covered > 0 {
            covered -= 1;
            continue;
        }
        if cell.style() != style {
            style = cell.style();
            write_style(bytes, style)?;
        }
        bytes.extend_from_slice(cell.symbol().as_bytes());
        covered = Span::raw(cell.symbol()).width().saturating_sub(1);
    }
    if style != plain {
        queue!(bytes, SetAttribute(Attribute::Reset))?;
    }
    Ok(())
}

fn write_style(bytes: &mut Vec<u8>, style: Style) -> io::Result<()> {
    queue!(bytes, SetAttribute(Attribute::Reset))?;
    for (modifier, attribute) in [
        (Modifier::BOLD, Attribute::Bold),
        (Modifier::DIM, Attribute::Dim),
    ] {
        if style.add_modifier.contains(modifier) {
            queue!(bytes, SetAttribute(attribute))?;
        }
    }
    // Pictures use no other colours.
    if let Some(Color::Indexed(number)) = style.fg {
        queue!(bytes, SetForegroundColor(TerminalColor::AnsiValue(number)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ratatui::layout::Rect;

    use super::*;

    /// Keeps what is written.
    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Paper {
        fn take(&self) -> String {
            String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
        }
    }

    fn picture(rows: &[&str]) -> Buffer {
        Buffer::with_lines(rows.iter().copied())
    }

    const HIDE: &str = "\u{1b}[?25l";
    const SHOW: &str = "\u{1b}[?25h";

    #[test]
    fn a_drawing_is_drawn_over_makes_way_and_gives_the_cursor_back() {
        let paper = Paper::default();
        let inline = Inline::on(paper.clone());
        inline.draw(&picture(&["one", "", "three"]));
        let first = paper.take();
        assert!(
            first.contains(HIDE) && !first.contains("\u{1b}[3A"),
            "{first:?}"
        );
        assert!(
            first.contains("one\u{1b}[K\n\u{1b}[K\nthree\u{1b}[K\n"),
            "{first:?}"
        );
        inline.draw(&picture(&["two"]));
        let second = paper.take();
        assert!(
            second.contains("\u{1b}[1G\u{1b}[3Atwo\u{1b}[K\n\u{1b}[J"),
            "{second:?}"
        );
        make_way();
        let way = paper.take();
        assert!(
            way.contains("\u{1b}[1A\u{1b}[J") && way.ends_with(SHOW),
            "{way:?}"
        );
        make_way();
        assert_eq!(paper.take(), "", "nothing is drawn any more");
        inline.draw(&picture(&["two"]));
        let third = paper.take();
        assert!(
            third.contains(HIDE) && !third.contains("\u{1b}[1A"),
            "{third:?}"
        );
        drop(inline);
        assert!(paper.take().ends_with(SHOW));
        make_way();
        assert_eq!(paper.take(), "", "nobody draws any more");
    }

    #[test]
    fn rows_are_written_with_their_styles_and_without_what_is_blank() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 10, 1));
        buffer.set_string(0, 0, "a", Style::new());
        buffer.set_string(1, 0, "漢", Style::new().fg(Color::Indexed(9)));
        buffer.set_string(3, 0, "b", Style::new().add_modifier(Modifier::DIM));
        let mut bytes = Vec::new();
        write_row(&mut bytes, buffer.content()).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(
            text,
            "a\u{1b}[0m\u{1b}[38;5;9m漢\u{1b}[0m\u{1b}[2mb\u{1b}[0m"
        );
    }
}
