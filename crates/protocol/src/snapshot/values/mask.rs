//! Which values of a column changed.

use crate::snapshot::{BadDelta, number};
use crate::wire::{Reader, put_varint};

/// One bit for each value, the first is the lowest of the first byte.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    bits: Vec<u8>,
    count: usize,
}

/// How a mask is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Varints: how many did not change, how many did, and so on.
    Runs = 0,
    /// As bits.
    Bits = 1,
    /// As that of the changed column before.
    Before = 2,
}

impl Marks {
    pub(super) fn push(&mut self, changed: bool) {
        let (byte, bit) = (self.count / 8, self.count % 8);
        self.count += 1;
        if changed {
            self.bits.resize(byte + 1, 0);
            if let Some(byte) = self.bits.last_mut() {
                *byte |= 1 << bit;
            }
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.bits.is_empty()
    }

    /// The shorter of both forms. What is not told did not change.
    pub(super) fn written(&self) -> (Form, Vec<u8>) {
        let mut runs = Vec::new();
        let mut bits = (0..self.bits.len() * 8)
            .map(|index| self.is_marked(index))
            .peekable();
        let mut run_of = |marked: bool| {
            let mut len = 0;
            while bits.next_if_eq(&marked).is_some() {
                len += 1;
            }
            (len, bits.peek().is_none())
        };
        while runs.len() < self.bits.len() {
            let (unchanged, _) = run_of(false);
            let (changed, is_last) = run_of(true);
            if changed > 0 {
                put_varint(&mut runs, unchanged);
                put_varint(&mut runs, changed);
            }
            if is_last && runs.len() < self.bits.len() {
                return (Form::Runs, runs);
            }
        }
        (Form::Bits, self.bits.clone())
    }

    fn is_marked(&self, index: usize) -> bool {
        self.bits
            .get(index / 8)
            .is_some_and(|byte| byte >> (index % 8) & 1 == 1)
    }
}

/// A written mask, read from the front.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mask<'a> {
    Runs {
        rest: Reader<'a>,
        unchanged: u64,
        changed: u64,
    },
    Bits {
        bits: &'a [u8],
        index: usize,
    },
}

impl<'a> Mask<'a> {
    pub(super) const fn runs(written: &'a [u8]) -> Self {
        Self::Runs {
            rest: Reader::new(written),
            unchanged: 0,
            changed: 0,
        }
    }

    pub(super) const fn bits(bits: &'a [u8]) -> Self {
        Self::Bits { bits, index: 0 }
    }

    /// Whether the next value changed.
    pub(super) fn next(&mut self) -> Result<bool, BadDelta> {
        match self {
            Self::Bits { bits, index } => {
                let byte = bits.get(*index / 8);
                let marked = byte.is_some_and(|byte| byte >> (*index % 8) & 1 == 1);
                *index += 1;
                Ok(marked)
            }
            Self::Runs {
                rest,
                unchanged,
                changed,
            } => {
                if *unchanged == 0 && *changed == 0 && !rest.is_empty() {
                    (*unchanged, *changed) = (rest.varint()?, rest.varint()?);
                }
                if *unchanged > 0 {
                    *unchanged -= 1;
                    return Ok(false);
                }
                let marked = *changed > 0;
                *changed = changed.saturating_sub(1);
                Ok(marked)
            }
        }
    }
}

/// A form and how long its mask is, in one varint.
pub(super) fn put_form(out: &mut Vec<u8>, form: Form, len: usize) {
    put_varint(out, number(len) << 2 | form as u64);
}

/// Reads what [`put_form`] wrote.
pub(super) fn form(reader: &mut Reader<'_>) -> Result<(Form, usize), BadDelta> {
    let told = reader.varint()?;
    let forms = [Form::Runs, Form::Bits, Form::Before];
    let form = forms.into_iter().find(|form| *form as u64 == told & 3);
    let len = usize::try_from(told >> 2).map_err(|_| BadDelta)?;
    Ok((form.ok_or(BadDelta)?, len))
}
