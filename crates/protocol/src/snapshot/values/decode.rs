//! The base is walked; what is told of it, and of its columns, makes the view.

use super::effort::Effort;
use super::encode::REPLACED;
use super::mask::{self, Form, Mask};
use super::paths::{Path, Paths};
use super::shapes::{Entries, Shapes, Told};
use super::token::{self, Kind, Token};
use crate::limits::MESSAGEPACK_DEPTH_MAX;
use crate::snapshot::{BadDelta, length, view_len};
use crate::wire::Reader;

/// The view that `body` makes of `base`, of at most `len_max` bytes.
pub(super) fn view(base: &[u8], mut body: Reader<'_>, len_max: usize) -> Result<Vec<u8>, BadDelta> {
    let len = view_len(&mut body, len_max)?;
    let shapes = length(&mut body)?;
    let mut walk = Walk {
        shapes: Shapes::new(body.take(shapes)?),
        paths: Paths::new(),
        columns: Columns::new(body)?,
        effort: Effort::new(base, len),
        out: Out {
            view: Vec::with_capacity(len),
            len,
        },
    };
    let mut base = Reader::new(base);
    walk.pair(&mut base, Path::default(), 0)?;
    let is_all = walk.out.view.len() == len && walk.shapes.is_at_end();
    if base.is_empty() && is_all && walk.columns.are_at_end() {
        Ok(walk.out.view)
    } else {
        Err(BadDelta)
    }
}

struct Walk<'a> {
    paths: Paths,
    shapes: Shapes<'a>,
    columns: Columns<'a>,
    effort: Effort,
    out: Out,
}

/// What is made, and how long it is to become.
struct Out {
    view: Vec<u8>,
    len: usize,
}

impl Out {
    fn put(&mut self, bytes: &[u8]) -> Result<(), BadDelta> {
        self.view.extend_from_slice(bytes);
        self.check()
    }

    fn put_with<T>(&mut self, put: fn(&mut Vec<u8>, T), what: T) -> Result<(), BadDelta> {
        put(&mut self.view, what);
        self.check()
    }

    const fn check(&self) -> Result<(), BadDelta> {
        if self.view.len() <= self.len {
            Ok(())
        } else {
            Err(BadDelta)
        }
    }
}

impl<'a> Walk<'a> {
    fn pair(&mut self, base: &mut Reader<'a>, path: Path, depth: usize) -> Result<(), BadDelta> {
        let of = self.effort.token(base)?;
        let (Kind::Array(before) | Kind::Map(before)) = of.kind else {
            let column = self.paths.column(path);
            return self.columns.at(column)?.put(&of, &mut self.out);
        };
        if depth == MESSAGEPACK_DEPTH_MAX {
            return Err(BadDelta);
        }
        let is_map = matches!(of.kind, Kind::Map(_));
        match self.shapes.container()? {
            None => {
                self.out.put(of.bytes)?;
                for place in 0..before {
                    if is_map {
                        self.out.put(self.effort.value(base)?)?;
                    }
                    let inside = self.paths.inside(path, place, before)?;
                    self.pair(base, inside, depth + 1)?;
                }
                Ok(())
            }
            Some(Told::Replaced(value)) => {
                self.effort.skip_inside(&of, base)?;
                self.out.put(value)
            }
            Some(Told::Resized(count)) => {
                let head = u32::try_from(count).map_err(|_| BadDelta)?;
                if is_map {
                    self.out.put_with(token::put_map, head)?;
                    self.entries((base, before), count, path, depth)
                } else {
                    self.out.put_with(token::put_array, head)?;
                    self.elements((base, before), count, path, depth)
                }
            }
        }
    }

    fn elements(
        &mut self,
        (base, before): (&mut Reader<'a>, usize),
        count: usize,
        path: Path,
        depth: usize,
    ) -> Result<(), BadDelta> {
        let mut last = None;
        for place in 0..count {
            let inside = self.paths.inside(path, place, count)?;
            if place < before {
                last = Some(*base);
                self.pair(base, inside, depth + 1)?;
            } else {
                self.addition(last, inside, depth)?;
            }
        }
        for _ in count..before {
            self.effort.value(base)?;
        }
        Ok(())
    }

    fn addition(
        &mut self,
        like: Option<Reader<'a>>,
        path: Path,
        depth: usize,
    ) -> Result<(), BadDelta> {
        match like {
            Some(mut like) => self.pair(&mut like, path, depth + 1),
            None => self.out.put(self.shapes.value()?),
        }
    }

    fn entries(
        &mut self,
        (base, before): (&mut Reader<'a>, usize),
        count: usize,
        path: Path,
        depth: usize,
    ) -> Result<(), BadDelta> {
        let from = self.effort.entries(base, before)?;
        let like = from.last().map(|entry| entry.value);
        let mut kept = from.into_iter();
        let mut place = 0;
        while place < count {
            match self.shapes.entries()? {
                Entries::New { key } => {
                    self.out.put(key)?;
                    let inside = self.paths.inside(path, place, count)?;
                    self.addition(like, inside, depth)?;
                    place += 1;
                }
                Entries::Gone(gone) => {
                    kept.nth(gone.checked_sub(1).ok_or(BadDelta)?)
                        .ok_or(BadDelta)?;
                }
                Entries::Kept(entries) if entries > count - place => return Err(BadDelta),
                Entries::Kept(entries) => {
                    for _ in 0..entries {
                        let mut entry = kept.next().ok_or(BadDelta)?;
                        self.out.put(entry.key)?;
                        let inside = self.paths.inside(path, place, count)?;
                        self.pair(&mut entry.value, inside, depth + 1)?;
                        place += 1;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Columns as they are met first; of those that changed, what is written of them.
struct Columns<'a> {
    rest: Reader<'a>,
    /// Unchanged ones to be met before the next that changed; `None` if none did.
    unchanged: Option<u64>,
    met: Vec<Column<'a>>,
    /// The mask of the newest that changed, before any of it was read.
    before: Option<Mask<'a>>,
}

/// What is written of one column. An unchanged one has a mask without bytes.
#[derive(Clone, Copy, Debug)]
struct Column<'a> {
    mask: Mask<'a>,
    changes: Reader<'a>,
}

impl<'a> Columns<'a> {
    fn new(rest: Reader<'a>) -> Result<Self, BadDelta> {
        let mut columns = Self {
            rest,
            unchanged: None,
            met: Vec::new(),
            before: None,
        };
        columns.look_ahead()?;
        Ok(columns)
    }

    fn at(&mut self, index: usize) -> Result<&mut Column<'a>, BadDelta> {
        if index == self.met.len() {
            let column = self.meet()?;
            self.met.push(column);
        }
        self.met.get_mut(index).ok_or(BadDelta)
    }

    fn meet(&mut self) -> Result<Column<'a>, BadDelta> {
        let left = self.unchanged.map(|unchanged| unchanged.checked_sub(1));
        if left != Some(None) {
            self.unchanged = left.flatten();
            return Ok(Column {
                mask: Mask::bits(&[]),
                changes: Reader::new(&[]),
            });
        }
        let (form, mask_len) = mask::form(&mut self.rest)?;
        let changes_len = length(&mut self.rest)?;
        let mask = self.rest.take(mask_len)?;
        let mask = match form {
            Form::Runs => Mask::runs(mask),
            Form::Bits => Mask::bits(mask),
            Form::Before if mask.is_empty() => self.before.ok_or(BadDelta)?,
            Form::Before => return Err(BadDelta),
        };
        self.before = Some(mask);
        let changes = Reader::new(self.rest.take(changes_len)?);
        self.look_ahead()?;
        Ok(Column { mask, changes })
    }

    fn look_ahead(&mut self) -> Result<(), BadDelta> {
        self.unchanged = match self.rest.is_empty() {
            true => None,
            false => Some(self.rest.varint()?),
        };
        Ok(())
    }

    fn are_at_end(&self) -> bool {
        self.unchanged.is_none() && self.met.iter().all(|column| column.changes.is_empty())
    }
}

impl Column<'_> {
    /// The next value of the column, which in the base is `of`.
    fn put(&mut self, of: &Token<'_>, out: &mut Out) -> Result<(), BadDelta> {
        if !self.mask.next()? {
            return out.put(of.bytes);
        }
        if of.kind == Kind::Other {
            return out.put(token::value(&mut self.changes)?);
        }
        match (self.changes.varint()?, of.kind) {
            (REPLACED, _) => out.put(token::value(&mut self.changes)?),
            (told, Kind::Int(of)) => {
                let step = (told >> 1).cast_signed() ^ -(told & 1).cast_signed();
                let value = of.checked_add(step).ok_or(BadDelta)?;
                out.put_with(token::put_int, value)
            }
            (told, Kind::Single(of)) => {
                let told = u32::try_from(told).map_err(|_| BadDelta)?;
                out.put(&[0xca])?;
                out.put(&(of ^ told).to_be_bytes())
            }
            (told, Kind::Double(of)) => {
                out.put(&[0xcb])?;
                out.put(&(of ^ told).to_be_bytes())
            }
            (_, Kind::Other | Kind::Array(_) | Kind::Map(_)) => Err(BadDelta),
        }
    }
}
