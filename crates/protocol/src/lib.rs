//! What travels between a Rejoin client and server, and the connection of one peer.
//!
//! Both ends use this crate. It holds no socket, clock, entropy or thread: time and
//! chance are arguments, bytes go in by `handle_*` and come out by `poll_*`. Three
//! layers are kept apart:
//!
//! ```text
//! path        an address pair packets travel on; may change at any time
//! connection  one set of keys and packet numbers; dies with the process   <- this crate
//! session     a player's presence; outlives connections and processes
//! ```
//!
//! A datagram of a connection, 22 bytes over its frames to the server and 18 to the client:
//!
//! ```text
//! flags 1 | connection id 0 or 4 | packet number 1..4 | sealed frames | tag 16
//! ```

mod bounded;
pub mod bucket;
pub mod close;
pub mod connection;
pub mod crypto;
pub mod fetch;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
pub mod handshake;
pub mod ids;
pub mod limit;
pub mod limits;
pub mod link;
pub mod liveness;
pub mod message;
pub mod message_bounds;
pub mod messagepack;
pub mod packet;
pub mod planted;
pub mod random;
pub mod refusal;
pub mod reset;
pub mod room_code;
pub mod room_message;
pub mod size;
pub mod snapshot;
pub mod text;
pub mod time;
pub mod wire;

pub use bucket::{Bucket, Rate, Spending};
pub use close::CloseReason;
pub use connection::{Connection, ConnectionEvent};
pub use fetch::Fetch;
pub use ids::{
    ConnectionId, Epoch, Incarnation, PlayerId, RequestId, RoomId, SeatId, SessionId, Stay,
};
pub use limit::Limit;
pub use link::LinkStats;
pub use liveness::Liveness;
pub use random::Rng;
pub use refusal::{Refusal, RefusalCode};
pub use room_code::RoomCode;
pub use size::SizeError;
pub use time::Timestamp;
