//! Which values share a column: those at the same path, where all elements of a long container are at one.

use crate::snapshot::BadDelta;

/// Containers of more are lists of rows: their elements share their columns. Shorter ones are records.
const RECORD_MAX: usize = 16;
const PLACES: usize = RECORD_MAX + 1;
const ROW: usize = RECORD_MAX;
/// Both ends refuse more: each takes memory, and a program has few.
const PATHS_MAX: usize = 4_096;

/// Paths seen, as a tree.
#[derive(Debug)]
pub(super) struct Paths {
    nodes: Vec<Node>,
    columns: usize,
}

/// One path. The first is that of the whole.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Path(usize);

#[derive(Clone, Copy, Debug, Default)]
struct Node {
    /// Those inside; the root is inside of none.
    inside: [Path; PLACES],
    column: Option<usize>,
}

impl Paths {
    pub(super) fn new() -> Self {
        Self {
            nodes: vec![Node::default()],
            columns: 0,
        }
    }

    /// The path of the value at `place` of a container of `count`.
    pub(super) fn inside(
        &mut self,
        of: Path,
        place: usize,
        count: usize,
    ) -> Result<Path, BadDelta> {
        let place = if count > RECORD_MAX { ROW } else { place };
        let next = Path(self.nodes.len());
        let known = self.node(of).inside.get_mut(place).ok_or(BadDelta)?;
        if known.0 > 0 {
            return Ok(*known);
        }
        if next.0 == PATHS_MAX {
            return Err(BadDelta);
        }
        *known = next;
        self.nodes.push(Node::default());
        Ok(next)
    }

    /// The column of the scalars at a path: they are numbered as they are met.
    pub(super) fn column(&mut self, of: Path) -> usize {
        let new = self.columns;
        let column = *self.node(of).column.get_or_insert(new);
        self.columns += usize::from(column == new);
        column
    }

    fn node(&mut self, path: Path) -> &mut Node {
        self.nodes
            .get_mut(path.0)
            .expect("a path is made with its node")
    }
}
