//! What a game developer writes against: the [`Room`] trait, its context [`Cx`], and
//! [`TestRoom`] to drive a room in virtual time without sockets.
//!
//! A room is a pure function with a journal: its logic sees state, calls and `cx`, and
//! nothing else. So checkpoint plus replay gives the exact state again.

pub mod builtin;
pub mod call;
mod checkpoint;
pub mod compare;
mod context;
mod difference;
pub mod durability;
pub mod effect;
pub mod fault;
pub mod hosted;
pub mod inspect;
pub mod kinds;
mod replay;
pub mod room;
pub mod spec;
pub mod test_room;
mod timers;

pub use call::{Call, Outcome};
pub use compare::{Mismatch, compare};
pub use context::Seated;
pub use durability::Durability;
pub use effect::{Audience, Effect};
pub use fault::RoomFault;
pub use hosted::RoomInstance;
pub use kinds::{Kind, Kinds};
pub use room::{Applicant, Cx, Receipt, Room};
pub use spec::RoomSpec;
pub use test_room::TestRoom;

pub use rejoin_protocol::message::{Metadata, MetadataValue, RoomSettings, SeatChange};
pub use rejoin_protocol::{PlayerId, Refusal, RefusalCode, RoomId};
