//! Bytes as a sequence of choices.

/// Reads choices from the front of some bytes, until they end.
#[derive(Debug)]
pub(crate) struct Script<'a> {
    rest: &'a [u8],
}

impl<'a> Script<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next byte, `None` at the end: the play is over.
    pub(crate) fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    /// The next byte, 0 past the end.
    pub(crate) fn byte(&mut self) -> u8 {
        self.next().unwrap_or(0)
    }

    /// A number from two bytes.
    pub(crate) fn wide(&mut self) -> usize {
        usize::from(u16::from_be_bytes([self.byte(), self.byte()]))
    }

    /// A few bytes, once in sixteen times up to 255, so that a script has many steps.
    pub(crate) fn bytes(&mut self) -> &'a [u8] {
        let first = self.byte();
        let len = if first < 240 { first % 16 } else { self.byte() };
        let len = usize::from(len).min(self.rest.len());
        let (taken, rest) = self.rest.split_at(len);
        self.rest = rest;
        taken
    }

    /// One of `choices`.
    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        let index = usize::from(self.byte()) % choices.len();
        *choices.get(index).expect("the remainder is an index")
    }

    /// Changes `bytes` as the script says: up to four edits.
    pub(crate) fn edit(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.byte() % 4 {
            let place = self.wide() % (bytes.len() + 1);
            let (kind, value) = (self.byte() % 4, self.byte());
            match (kind, bytes.get_mut(place)) {
                (0, Some(byte)) => *byte ^= 1 << (value % 8),
                (1, Some(byte)) => *byte = value,
                (2, Some(_)) => bytes.truncate(place),
                _ => bytes.insert(place, value),
            }
        }
    }
}
