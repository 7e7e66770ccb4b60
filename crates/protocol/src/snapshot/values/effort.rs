//! How much of the base is read: for elements that it does not have it is read once more, and most of it may be passed
//! over then, so that a short delta of a short view could take very long.

use super::shapes::Entry;
use super::token::{self, Token};
use crate::snapshot::BadDelta;
use crate::wire::Reader;

/// Bytes of the base that may be read for each byte of base and view. Both ends refuse more.
const EFFORT_MAX: usize = 16;

/// What may still be read.
#[derive(Debug)]
pub(super) struct Effort {
    left: usize,
}

impl Effort {
    pub(super) const fn new(base: &[u8], view_len: usize) -> Self {
        let left = base
            .len()
            .saturating_add(view_len)
            .saturating_mul(EFFORT_MAX);
        Self { left }
    }

    pub(super) fn token<'a>(&mut self, base: &mut Reader<'a>) -> Result<Token<'a>, BadDelta> {
        self.spend(base, Token::read)
    }

    pub(super) fn value<'a>(&mut self, base: &mut Reader<'a>) -> Result<&'a [u8], BadDelta> {
        self.spend(base, token::value)
    }

    pub(super) fn skip_inside<'a>(
        &mut self,
        of: &Token<'a>,
        base: &mut Reader<'a>,
    ) -> Result<(), BadDelta> {
        self.spend(base, |base| of.skip_inside(base))
    }

    /// All entries of a map.
    pub(super) fn entries<'a>(
        &mut self,
        base: &mut Reader<'a>,
        count: usize,
    ) -> Result<Vec<Entry<'a>>, BadDelta> {
        (0..count).map(|_| self.spend(base, Entry::read)).collect()
    }

    fn spend<'a, T>(
        &mut self,
        base: &mut Reader<'a>,
        read: impl FnOnce(&mut Reader<'a>) -> Result<T, BadDelta>,
    ) -> Result<T, BadDelta> {
        let before = base.rest().len();
        let outcome = read(base)?;
        let bytes = before - base.rest().len();
        self.left = self.left.checked_sub(bytes).ok_or(BadDelta)?;
        Ok(outcome)
    }
}
