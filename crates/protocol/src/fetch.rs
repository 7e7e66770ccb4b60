//! Asking for memory before it is needed.
//!
//! A processor that is asked fetches it while it goes on with other work, and so for many things at once.
//! No safe code can ask: whoever runs on a processor brings how. Nothing is changed by it, nor read.

use std::ptr;

/// How memory is asked for; the default does not ask.
#[derive(Clone, Copy, Debug)]
pub struct Fetch(fn(*const u8, usize));

impl Default for Fetch {
    fn default() -> Self {
        Self(|_, _| {})
    }
}

impl Fetch {
    /// `ask` is told where memory begins and how many bytes will be needed. There may be none: it must not read.
    #[must_use]
    pub const fn new(ask: fn(*const u8, usize)) -> Self {
        Self(ask)
    }

    /// Asks for the thing itself, not for what it points at.
    pub fn whole<T: ?Sized>(self, thing: &T) {
        (self.0)(ptr::from_ref(thing).cast(), size_of_val(thing));
    }

    /// Asks for its first `bytes`.
    pub fn front<T>(self, thing: &T, bytes: usize) {
        (self.0)(ptr::from_ref(thing).cast(), bytes);
    }

    /// Asks for what stands first in a queue, and for the place of what is added next.
    pub fn ends<T>(self, queue: &[T]) {
        let places = queue.as_ptr_range();
        (self.0)(places.start.cast(), size_of::<T>());
        if !queue.is_empty() {
            (self.0)(places.end.cast(), size_of::<T>());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    thread_local! {
        static ASKED: RefCell<Vec<(usize, usize)>> = const { RefCell::new(Vec::new()) };
    }

    #[test]
    fn what_is_named_is_asked_for() {
        let fetch = Fetch::new(|at, len| ASKED.with_borrow_mut(|all| all.push((at.addr(), len))));
        let things = [[1_u64; 4]; 3];
        let start = ptr::from_ref(&things).addr();
        fetch.whole(&things);
        fetch.whole(&things[1..]);
        fetch.front(&things, 40);
        fetch.ends(&things[..2]);
        fetch.ends(&things[..0]);
        let expected = [
            (start, 96),
            (start + 32, 64),
            (start, 40),
            (start, 32),
            (start + 64, 32),
            (start, 32),
        ];
        assert_eq!(ASKED.take(), expected);
        Fetch::default().whole(&things);
        assert_eq!(ASKED.take(), []);
    }
}
