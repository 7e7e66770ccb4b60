//! What a datagram costs, from the cipher up: sealing, packets, messages, views, a turn of a shard, a round
//! trip on loopback.
//!
//! ```sh
//! cargo bench --bench wire                  # all
//! cargo bench --bench wire -- turn          # those whose name holds the word
//! cargo bench --bench wire -- --test        # each once, to see that it works
//! ```

#![allow(
    missing_docs,
    reason = "criterion's macros make undocumented functions"
)]
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a tool of its own, which may stop at the first surprise"
)]

mod crypto;
mod loopback;
mod messages;
mod packets;
mod turns;
mod views;

use criterion::{criterion_group, criterion_main};

criterion_group!(
    benches,
    crypto::sealing,
    crypto::join,
    crypto::resume,
    packets::ticks,
    packets::one_way,
    messages::inputs,
    messages::frames,
    views::deltas,
    turns::turns,
    loopback::round_trip,
);
criterion_main!(benches);
