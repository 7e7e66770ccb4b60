//! Our own notice that we load and may be silent for long, told to the peer until it knows.

use std::time::Duration;

use super::carried::{Carried, Fate};
use super::frame::{FrameWriter, LoadingFrame};
use crate::limits::LOADING_MAX;
use crate::time::Timestamp;

/// The present notice. Each has a name, so that the fate of an older one says nothing about it.
#[derive(Debug, Default)]
pub(crate) struct Loading {
    name: u32,
    /// Zero: loading is over.
    span: Duration,
    /// When the span ends, counted from when the notice first left.
    until: Option<Timestamp>,
    /// The notice has to leave now.
    announce: bool,
    /// The peer has acknowledged it.
    known: bool,
}

impl Loading {
    /// Announces a load of at most `span`; a longer one than [`LOADING_MAX`] is of no use.
    pub(crate) fn begin(&mut self, span: Duration) {
        self.set(span.min(LOADING_MAX));
    }

    /// Announces its end, if there was one.
    pub(crate) fn end(&mut self) {
        if !self.span.is_zero() {
            self.set(Duration::ZERO);
        }
    }

    /// True if a notice must leave whatever the time.
    pub(crate) fn is_pending(&self) -> bool {
        self.announce
    }

    /// A probe may as well repeat what the peer may not know.
    pub(crate) fn on_probe(&mut self) {
        self.announce |= self.name > 0 && !self.known;
    }

    /// Writes the notice if it must leave. Told again, it says what is left of its time.
    pub(crate) fn fill(
        &mut self,
        writer: &mut FrameWriter<'_>,
        carried: &mut Vec<Carried>,
        now: Timestamp,
    ) {
        if !self.announce {
            return;
        }
        let until = *self.until.get_or_insert(now + self.span);
        let span = if self.span.is_zero() {
            Duration::ZERO
        } else {
            until.since(now).max(Duration::from_millis(1))
        };
        if LoadingFrame::new(span).write(writer) {
            self.announce = false;
            carried.push(Carried::Loading(self.name));
        }
    }

    /// The fate of the notice of that name.
    pub(crate) fn on_settled(&mut self, name: u32, fate: Fate) {
        if name != self.name {
            return;
        }
        match fate {
            Fate::Acked => {
                self.known = true;
                self.announce = false;
            }
            Fate::Lost => self.announce |= !self.known,
        }
    }

    fn set(&mut self, span: Duration) {
        *self = Self {
            name: self.name.wrapping_add(1),
            span,
            until: None,
            announce: true,
            known: false,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::Frame;
    use super::*;
    use crate::wire::Reader;

    /// What leaves at `millis`: the span told and the name.
    fn fill(loading: &mut Loading, millis: u64) -> Option<(Duration, u32)> {
        let (mut out, mut carried) = (Vec::new(), Vec::new());
        let now = Timestamp::from_millis(millis);
        loading.fill(&mut FrameWriter::new(&mut out), &mut carried, now);
        let [Carried::Loading(name)] = carried[..] else {
            return None;
        };
        let Ok(Frame::Loading(frame)) = Frame::read(&mut Reader::new(&out)) else {
            panic!("loading")
        };
        Some((frame.span(), name))
    }

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_notice_is_repeated_until_known_and_says_what_is_left() {
        let mut loading = Loading::default();
        loading.on_probe();
        assert_eq!(fill(&mut loading, 0), None, "nothing was announced");
        loading.begin(ms(5_000));
        assert_eq!(fill(&mut loading, 100), Some((ms(5_000), 1)));
        assert_eq!(fill(&mut loading, 101), None);
        loading.on_settled(1, Fate::Lost);
        assert_eq!(fill(&mut loading, 600), Some((ms(4_500), 1)));
        loading.on_probe();
        assert_eq!(
            fill(&mut loading, 9_000),
            Some((ms(1), 1)),
            "late, but not zero"
        );
        loading.on_settled(1, Fate::Acked);
        loading.on_settled(1, Fate::Lost);
        loading.on_probe();
        assert!(!loading.is_pending());
    }

    #[test]
    fn an_end_takes_the_place_of_its_beginning() {
        let mut loading = Loading::default();
        loading.end();
        assert!(!loading.is_pending(), "nothing ends");
        loading.begin(Duration::MAX);
        assert_eq!(fill(&mut loading, 0), Some((LOADING_MAX, 1)));
        loading.end();
        loading.end();
        loading.on_settled(1, Fate::Lost);
        assert_eq!(fill(&mut loading, 10), Some((Duration::ZERO, 2)));
        loading.on_settled(1, Fate::Acked);
        loading.on_settled(2, Fate::Lost);
        assert_eq!(fill(&mut loading, 20), Some((Duration::ZERO, 2)));
    }
}
