//! Base and view are walked side by side; where both are scalars their column is told what changed.

use std::collections::BTreeMap;

use super::effort::Effort;
use super::mask::{self, Form, Marks};
use super::paths::{Path, Paths};
use super::shapes::{Entries, Entry, Written};
use super::token::{self, Kind, Token};
use crate::limits::MESSAGEPACK_DEPTH_MAX;
use crate::snapshot::{BadDelta, number};
use crate::wire::{Reader, VARINT_MAX, put_varint};

/// Appends the body of a delta; an error if one of both is no MessagePack, or is not written in its shortest form.
pub(super) fn put(out: &mut Vec<u8>, base: &[u8], view: &[u8]) -> Result<(), BadDelta> {
    let mut walk = Walk::new(Effort::new(base, view.len()));
    let (mut from, mut to) = (Reader::new(base), Reader::new(view));
    walk.pair(&mut from, &mut to, Path::default(), 0)?;
    if !from.is_empty() || !to.is_empty() {
        return Err(BadDelta);
    }
    put_varint(out, number(view.len()));
    put_varint(out, number(walk.shapes.bytes().len()));
    out.extend_from_slice(walk.shapes.bytes());
    put_columns(out, &walk.columns);
    Ok(())
}

struct Walk {
    paths: Paths,
    shapes: Written,
    columns: Vec<Column>,
    effort: Effort,
    scratch: Vec<u8>,
}

#[derive(Debug, Default)]
struct Column {
    marks: Marks,
    changes: Vec<u8>,
}

impl Walk {
    fn new(effort: Effort) -> Self {
        Self {
            effort,
            paths: Paths::new(),
            shapes: Written::default(),
            columns: Vec::new(),
            scratch: Vec::new(),
        }
    }

    fn pair<'a>(
        &mut self,
        base: &mut Reader<'a>,
        view: &mut Reader<'a>,
        path: Path,
        depth: usize,
    ) -> Result<(), BadDelta> {
        let (of, all) = (self.effort.token(base)?, view.rest());
        if !of.is_container() && all.starts_with(of.bytes) {
            // No value is the front of another, so that is the whole of it.
            view.take(of.bytes.len())?;
            let column = self.paths.column(path);
            self.column(column).marks.push(false);
            return Ok(());
        }
        if of.is_container() && depth == MESSAGEPACK_DEPTH_MAX {
            return Err(BadDelta);
        }
        let to = Token::read(view)?;
        match (of.kind, to.kind) {
            (Kind::Array(before), Kind::Array(count)) => {
                self.array(&of, &to)?;
                self.elements((base, before), (view, count), path, depth)
            }
            (Kind::Map(before), Kind::Map(count)) => {
                self.map((base, &of, before), (view, &to, count), path, depth)
            }
            (Kind::Array(_) | Kind::Map(_), _) => {
                self.effort.skip_inside(&of, base)?;
                to.skip_inside(view)?;
                let (value, _) = all.split_at(all.len() - view.rest().len());
                self.shapes.replaced(value);
                Ok(())
            }
            _ => {
                to.skip_inside(view)?;
                let (value, _) = all.split_at(all.len() - view.rest().len());
                let column = self.paths.column(path);
                self.scalar(&of, &to, value, column);
                Ok(())
            }
        }
    }

    /// The heads of two arrays.
    fn array(&mut self, of: &Token<'_>, to: &Token<'_>) -> Result<(), BadDelta> {
        if of.bytes == to.bytes {
            self.shapes.like();
            return Ok(());
        }
        let Kind::Array(count) = to.kind else {
            return Err(BadDelta);
        };
        self.scratch.clear();
        token::put_array(&mut self.scratch, short(count)?);
        if self.scratch != to.bytes {
            return Err(BadDelta);
        }
        self.shapes.resized(count);
        Ok(())
    }

    /// Elements by their place; those that are more are held against the last of the base.
    fn elements<'a>(
        &mut self,
        (base, before): (&mut Reader<'a>, usize),
        (view, count): (&mut Reader<'a>, usize),
        path: Path,
        depth: usize,
    ) -> Result<(), BadDelta> {
        let mut last = None;
        for place in 0..count {
            let inside = self.paths.inside(path, place, count)?;
            if place < before {
                last = Some(*base);
                self.pair(base, view, inside, depth + 1)?;
            } else {
                self.addition(last, view, inside, depth)?;
            }
        }
        for _ in count..before {
            self.effort.value(base)?;
        }
        Ok(())
    }

    /// One that the base does not have, held against `like`, which it has.
    fn addition<'a>(
        &mut self,
        like: Option<Reader<'a>>,
        view: &mut Reader<'a>,
        path: Path,
        depth: usize,
    ) -> Result<(), BadDelta> {
        match like {
            Some(mut like) => self.pair(&mut like, view, path, depth + 1),
            None => {
                self.shapes.value(token::value(view)?);
                Ok(())
            }
        }
    }

    fn map<'a>(
        &mut self,
        (base, of, before): (&mut Reader<'a>, &Token<'a>, usize),
        (view, to, count): (&mut Reader<'a>, &Token<'a>, usize),
        path: Path,
        depth: usize,
    ) -> Result<(), BadDelta> {
        if of.bytes == to.bytes && self.has_keys_of(*base, *view, count)? {
            self.shapes.like();
            for place in 0..count {
                self.effort.value(base)?;
                token::value(view)?;
                let inside = self.paths.inside(path, place, count)?;
                self.pair(base, view, inside, depth + 1)?;
            }
            return Ok(());
        }
        self.scratch.clear();
        token::put_map(&mut self.scratch, short(count)?);
        if self.scratch != to.bytes {
            return Err(BadDelta);
        }
        self.shapes.resized(count);
        self.entries((base, before), (view, count), path, depth)
    }

    fn has_keys_of(
        &mut self,
        mut base: Reader<'_>,
        mut view: Reader<'_>,
        count: usize,
    ) -> Result<bool, BadDelta> {
        for place in 1..=count {
            if self.effort.value(&mut base)? != token::value(&mut view)? {
                return Ok(false);
            }
            // Behind the last is no key.
            if place < count {
                self.effort.value(&mut base)?;
                token::value(&mut view)?;
            }
        }
        Ok(true)
    }

    /// Entries by their key, as long as their order is that of the base; others are new.
    fn entries<'a>(
        &mut self,
        (base, before): (&mut Reader<'a>, usize),
        (view, count): (&mut Reader<'a>, usize),
        path: Path,
        depth: usize,
    ) -> Result<(), BadDelta> {
        let from = self.effort.entries(base, before)?;
        let to = (0..count)
            .map(|_| Entry::read(view))
            .collect::<Result<Vec<_>, _>>()?;
        let places: BTreeMap<&[u8], usize> = from
            .iter()
            .enumerate()
            .map(|(place, entry)| (entry.key, place))
            .collect();
        let (mut next, mut place) = (0, 0);
        while let Some(entry) = to.get(place) {
            match places.get(entry.key) {
                Some(at) if *at >= next => {
                    if *at > next {
                        self.shapes.entries(Entries::Gone(at - next));
                    }
                    let (old, new) = (from.iter().skip(*at), to.iter().skip(place));
                    let pairs = old.zip(new).take_while(|(old, new)| old.key == new.key);
                    let pairs: Vec<_> = pairs.collect();
                    self.shapes.entries(Entries::Kept(pairs.len()));
                    for (old, new) in &pairs {
                        let inside = self.paths.inside(path, place, count)?;
                        let (mut old, mut new) = (old.value, new.value);
                        self.pair(&mut old, &mut new, inside, depth + 1)?;
                        place += 1;
                    }
                    next = at + pairs.len();
                }
                _ => {
                    self.shapes.entries(Entries::New { key: entry.key });
                    let inside = self.paths.inside(path, place, count)?;
                    let like = from.last().map(|entry| entry.value);
                    self.addition(like, &mut entry.value.clone(), inside, depth)?;
                    place += 1;
                }
            }
        }
        Ok(())
    }

    fn scalar(&mut self, of: &Token<'_>, to: &Token<'_>, value: &[u8], column: usize) {
        let told = difference(of.kind, to, &mut self.scratch);
        let column = self.column(column);
        column.marks.push(true);
        if of.kind != Kind::Other {
            put_varint(&mut column.changes, told.unwrap_or(REPLACED));
        }
        if told.is_none() {
            column.changes.extend_from_slice(value);
        }
    }

    fn column(&mut self, index: usize) -> &mut Column {
        if index == self.columns.len() {
            self.columns.push(Column::default());
        }
        let column = self.columns.get_mut(index);
        column.expect("columns are numbered as they are met")
    }
}

/// In place of the difference of two numbers: a value follows.
pub(super) const REPLACED: u64 = 0;

/// What tells a number from that of the base; `None` if only itself does.
fn difference(of: Kind, to: &Token<'_>, scratch: &mut Vec<u8>) -> Option<u64> {
    let difference = match (of, to.kind) {
        (Kind::Int(of), Kind::Int(value)) => {
            scratch.clear();
            token::put_int(scratch, value);
            let step = value.checked_sub(of)?;
            // To the lowest bit goes the sign, so that small steps down are small too.
            (scratch.as_slice() == to.bytes).then_some((step << 1 ^ step >> 63).cast_unsigned())?
        }
        (Kind::Single(of), Kind::Single(bits)) => u64::from(of ^ bits),
        (Kind::Double(of), Kind::Double(bits)) => of ^ bits,
        _ => return None,
    };
    (difference != REPLACED && difference <= VARINT_MAX).then_some(difference)
}

fn short(count: usize) -> Result<u32, BadDelta> {
    u32::try_from(count).map_err(|_| BadDelta)
}

/// `unchanged varint` columns come first, then one that changed: its mask and its changes, and so on.
fn put_columns(out: &mut Vec<u8>, columns: &[Column]) {
    let (mut unchanged, mut before) = (0, None);
    for column in columns {
        if column.marks.is_empty() {
            unchanged += 1;
            continue;
        }
        let (form, mask) = if before == Some(&column.marks) {
            (Form::Before, Vec::new())
        } else {
            column.marks.written()
        };
        put_varint(out, unchanged);
        mask::put_form(out, form, mask.len());
        put_varint(out, number(column.changes.len()));
        out.extend_from_slice(&mask);
        out.extend_from_slice(&column.changes);
        (unchanged, before) = (0, Some(&column.marks));
    }
}
