//! Where containers of a view are not shaped as those of its base.
//!
//! ```text
//! (like varint, told)*      `like` containers as in the base come first; what is told of the next one:
//!   0, value                it is replaced by this value
//!   1 + count               its head; of a map one or more of what follows, each after another `like`
//!     1, key                  an entry that the base does not have
//!     2n                      the next n entries
//!     2n + 1                  nothing: the next n entries of the base are gone
//! ```

use super::token::{self, Token};
use crate::snapshot::{BadDelta, number};
use crate::wire::{Reader, put_varint};

/// What is told of a container, or of the next entries of a map.
#[derive(Clone, Copy, Debug)]
pub(super) enum Told<'a> {
    Replaced(&'a [u8]),
    Resized(usize),
}

/// What becomes of the next entries of a map.
#[derive(Clone, Copy, Debug)]
pub(super) enum Entries<'a> {
    New { key: &'a [u8] },
    Kept(usize),
    Gone(usize),
}

/// Shapes as they are written.
#[derive(Debug, Default)]
pub(super) struct Written {
    bytes: Vec<u8>,
    like: u64,
}

impl Written {
    pub(super) const fn like(&mut self) {
        self.like += 1;
    }

    pub(super) fn replaced(&mut self, value: &[u8]) {
        self.tell(0);
        self.bytes.extend_from_slice(value);
    }

    pub(super) fn resized(&mut self, count: usize) {
        self.tell(1 + number(count));
    }

    pub(super) fn entries(&mut self, entries: Entries<'_>) {
        match entries {
            Entries::New { key } => {
                self.tell(1);
                self.bytes.extend_from_slice(key);
            }
            Entries::Kept(count) => self.tell(number(count) << 1),
            Entries::Gone(count) => self.tell(number(count) << 1 | 1),
        }
    }

    /// A value of which the base has none like it.
    pub(super) fn value(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
    }

    fn tell(&mut self, told: u64) {
        put_varint(&mut self.bytes, self.like);
        put_varint(&mut self.bytes, told);
        self.like = 0;
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Shapes as they are read.
#[derive(Debug)]
pub(super) struct Shapes<'a> {
    rest: Reader<'a>,
    /// Containers to come that are like those of the base, before something is told, once it was looked up.
    like: Option<u64>,
}

impl<'a> Shapes<'a> {
    pub(super) const fn new(written: &'a [u8]) -> Self {
        Self {
            rest: Reader::new(written),
            like: None,
        }
    }

    /// What is told of the next container; `None` if it is as in the base.
    pub(super) fn container(&mut self) -> Result<Option<Told<'a>>, BadDelta> {
        match self.likes()? {
            // Whatever else comes is as it was.
            None => return Ok(None),
            Some(0) => {}
            Some(like) => {
                self.like = Some(like - 1);
                return Ok(None);
            }
        }
        match self.told()?.checked_sub(1) {
            None => Ok(Some(Told::Replaced(token::value(&mut self.rest)?))),
            Some(count) => Ok(Some(Told::Resized(to_len(count)?))),
        }
    }

    /// What becomes of the next entries.
    pub(super) fn entries(&mut self) -> Result<Entries<'a>, BadDelta> {
        if self.likes()? != Some(0) {
            return Err(BadDelta);
        }
        let told = self.told()?;
        match (told >> 1, told & 1) {
            (0, 0) => Err(BadDelta),
            (0, _) => Ok(Entries::New { key: self.value()? }),
            (count, 0) => Ok(Entries::Kept(to_len(count)?)),
            (count, _) => Ok(Entries::Gone(to_len(count)?)),
        }
    }

    /// A value of which the base has none like it.
    pub(super) fn value(&mut self) -> Result<&'a [u8], BadDelta> {
        token::value(&mut self.rest)
    }

    /// True if all was read.
    pub(super) const fn is_at_end(&self) -> bool {
        self.rest.is_empty() && self.like.is_none()
    }

    /// `None` if nothing more is told.
    fn likes(&mut self) -> Result<Option<u64>, BadDelta> {
        if self.like.is_none() && !self.rest.is_empty() {
            self.like = Some(self.rest.varint()?);
        }
        Ok(self.like)
    }

    fn told(&mut self) -> Result<u64, BadDelta> {
        self.like = None;
        Ok(self.rest.varint()?)
    }
}

fn to_len(count: u64) -> Result<usize, BadDelta> {
    usize::try_from(count).map_err(|_| BadDelta)
}

/// A head and what is behind it, of a map: where each entry begins, and its key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    pub(super) key: &'a [u8],
    /// Its value and all behind it.
    pub(super) value: Reader<'a>,
}

impl<'a> Entry<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, BadDelta> {
        let key = token::value(reader)?;
        let value = *reader;
        Token::read(reader)?.skip_inside(reader)?;
        Ok(Self { key, value })
    }
}
