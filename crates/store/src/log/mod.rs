//! The log engine: each shard's rooms in an append-only log of its own.
//!
//! A store is one folder, for all shards:
//!
//! ```text
//! manifest                           whose it is, and what of earlier epochs' segments is believed
//! 0000000000000007-0002-00000003.log  segment 3 of shard 2's log in epoch 7
//! spare-0002                         a segment made ahead
//! lock                               the process that has the folder, if its caller asks for that
//! ```
//!
//! What stands in a segment is drawn in `format.rs`, and the manifest in `manifest.rs`.
//!
//! - **Writing.** A turn is one write to the end of the shard's newest segment, whose place on the
//!   medium was taken when it was made: so a full disk shows where a segment begins.
//! - **Syncing** is a [`Chore`](crate::Chore) for another thread. Once a sync fails nothing is
//!   written or acknowledged any more.
//! - **Reclaiming.** The last two checkpoints of a room are needed and the records after the older
//!   one. The oldest segment is emptied by writing again what is needed of it.
//! - **Opening** reads all logs, whoever wrote them, and merges them room by room. What cannot be
//!   read costs the room it belongs to, and is told; see [`Recovery`].
//! - **Looking.** [`LogReader`] reads a store as an opening would and changes nothing, beside its owner too.
//! - **Owners.** The manifest names the epoch that may write. An engine that finds a newer one there,
//!   before it begins a segment or says that anything is synced, is fenced for good.

mod chores;
mod contents;
mod format;
mod index;
mod load;
mod manifest;
mod merge;
mod notes;
mod open;
mod reader;
mod reclaim;
mod report;
mod scan;
mod segments;
mod store;
mod survey;
mod tail;

pub use open::{Opening, open, open_keeping_all};
pub use reader::{EntryPlace, LogReader};
pub use report::{Cut, Damage, Late, OpenError, Recovery};
pub use segments::Limits;
pub use store::LogStore;
