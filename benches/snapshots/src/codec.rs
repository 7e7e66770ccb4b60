//! Ways to tell a view by another one.

use rejoin_protocol::snapshot::{self, Codec};
use zstd_safe::{CCtx, DCtx};

/// One way.
pub(crate) trait Way {
    fn name(&self) -> &'static str;
    /// `None`: it has nothing shorter than the view.
    fn delta(&mut self, base: &[u8], view: &[u8]) -> Option<Vec<u8>>;
    fn apply(&mut self, base: &[u8], delta: &[u8], len: usize) -> Vec<u8>;
}

/// All of them, our own last.
pub(crate) fn ways() -> Vec<Box<dyn Way>> {
    vec![
        Box::new(Lz4),
        Box::new(Zstd::new()),
        Box::new(Own(Codec::Xor, "xor")),
        Box::new(Own(Codec::Dictionary, "dictionary")),
        Box::new(Own(Codec::Values, "values")),
    ]
}

/// The view alone.
struct Lz4;

impl Way for Lz4 {
    fn name(&self) -> &'static str {
        "lz4"
    }

    fn delta(&mut self, _base: &[u8], view: &[u8]) -> Option<Vec<u8>> {
        Some(lz4_flex::block::compress(view)).filter(|delta| delta.len() < view.len())
    }

    fn apply(&mut self, _base: &[u8], delta: &[u8], len: usize) -> Vec<u8> {
        lz4_flex::block::decompress(delta, len).expect("it was made here")
    }
}

/// The base as what came before, as in `zstd --patch-from`. Contexts are kept, as zstd advises.
struct Zstd {
    to: CCtx<'static>,
    from: DCtx<'static>,
}

impl Zstd {
    const LEVEL: i32 = 1;

    fn new() -> Self {
        Self {
            to: CCtx::create(),
            from: DCtx::create(),
        }
    }
}

impl Way for Zstd {
    fn name(&self) -> &'static str {
        "zstd -1, prefix"
    }

    fn delta(&mut self, base: &[u8], view: &[u8]) -> Option<Vec<u8>> {
        let mut delta = Vec::with_capacity(zstd_safe::compress_bound(view.len()));
        let written = self
            .to
            .compress_using_dict(&mut delta, view, base, Self::LEVEL);
        written.expect("there is room for the longest frame");
        Some(delta).filter(|delta| delta.len() < view.len())
    }

    fn apply(&mut self, base: &[u8], delta: &[u8], len: usize) -> Vec<u8> {
        let mut view = Vec::with_capacity(len);
        let made = self.from.decompress_using_dict(&mut view, delta, base);
        made.expect("it was made here");
        view
    }
}

/// Those of a server.
struct Own(Codec, &'static str);

impl Way for Own {
    fn name(&self) -> &'static str {
        self.1
    }

    fn delta(&mut self, base: &[u8], view: &[u8]) -> Option<Vec<u8>> {
        snapshot::delta_by(self.0, base, view).map(|delta| delta.to_vec())
    }

    fn apply(&mut self, base: &[u8], delta: &[u8], len: usize) -> Vec<u8> {
        snapshot::apply(base, delta, len).expect("it was made here")
    }
}
