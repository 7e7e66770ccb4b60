//! No MessagePack that a peer can send makes its reader hold many times its bytes.

#![expect(unsafe_code, reason = "an allocator that counts is an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use rejoin_fuzzing::{DECODERS, Sender, bombs, corpus};

/// The system's allocator, and how much is held and was held at most. What is grown is counted
/// twice while it is copied, since `realloc` is the provided one.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call goes to the system's allocator unchanged; counting touches no memory of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(held, Ordering::Relaxed);
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller got `place` from `alloc` above, and so from the system's.
        unsafe { System.dealloc(place, layout) }
    }
}

/// Bytes held at most while `work` runs, beyond those before it.
fn peak_of(work: impl FnOnce()) -> usize {
    let before = HELD.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    work();
    PEAK.load(Ordering::Relaxed) - before
}

/// What may be held for `len` bytes of one sender.
fn bound(sender: Sender, len: usize) -> usize {
    match sender {
        Sender::Client => 8 * len + 4 * 1024,
        // A list of 64 rooms with 16 facts each, or 1,024 members, is small in bytes and large
        // as a value; only the server whose key is pinned can send one.
        Sender::Server => 8 * len + 160 * 1024,
    }
}

/// The only test of this binary: others would count into it.
#[test]
fn no_message_makes_its_reader_hold_many_times_its_bytes() {
    let mut inputs = bombs::all();
    for decoder in DECODERS {
        inputs.extend(corpus::inputs(decoder.name).expect("the corpus can be read"));
    }
    let mut complaints = Vec::new();
    for (name, bytes) in &inputs {
        for decoder in DECODERS {
            let peak = peak_of(|| {
                (decoder.decode)(bytes);
            });
            let bound = bound(decoder.sender, bytes.len());
            if peak > bound {
                complaints.push(format!(
                    "{name}, {} bytes, as {}: {peak} held, at most {bound}",
                    bytes.len(),
                    decoder.name
                ));
            }
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}
