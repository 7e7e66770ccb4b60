//! The system's allocator, counted on each thread while its shard runs.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    static COUNTS: Cell<Counts> = const { Cell::new(Counts { made: 0, held: 0 }) };
}

/// What was counted on this thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counts {
    /// Allocations.
    pub(crate) made: usize,
    /// Bytes allocated and not freed.
    pub(crate) held: usize,
}

fn count(change: impl FnOnce(&mut Counts)) {
    if INSIDE.get() {
        let mut counts = COUNTS.get();
        change(&mut counts);
        COUNTS.set(counts);
    }
}

// SAFETY: every call goes to the system's allocator unchanged; counting touches no memory of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(|counts| {
            counts.made += 1;
            counts.held += layout.size();
        });
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        count(|counts| counts.held = counts.held.wrapping_sub(layout.size()));
        // SAFETY: the caller got `place` from `alloc` above, and so from the system's.
        unsafe { System.dealloc(place, layout) }
    }
}

/// Counts so far.
pub(crate) fn counts() -> Counts {
    COUNTS.get()
}

/// Counts what `work` allocates and frees.
pub(crate) fn inside<T>(work: impl FnOnce() -> T) -> T {
    INSIDE.set(true);
    let outcome = work();
    INSIDE.set(false);
    outcome
}
