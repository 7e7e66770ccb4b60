//! The client: a state machine without sockets ([`Core`]), and two ways to drive it.
//!
//! - [`Client`]: async, for tools and bots; a tokio task owns the socket.
//! - [`PollClient`]: for game engines; call it once per frame, no threads.
//!
//! Without the feature `driver` only the state machine is built, for any target.

mod active;
pub mod address;
mod away;
mod calls;
#[cfg(feature = "driver")]
mod connect_options;
mod control;
pub mod core;
mod credentials;
#[cfg(feature = "driver")]
mod driver;
mod early;
mod end;
mod entry;
#[cfg(feature = "driver")]
mod error;
pub mod event;
#[cfg(feature = "driver")]
mod inbox;
mod inputs;
#[cfg(feature = "driver")]
mod join_spec;
mod joining;
mod options;
pub mod payload;
#[cfg(feature = "driver")]
mod poll;
#[cfg(feature = "driver")]
mod room_handle;
#[cfg(feature = "driver")]
mod route;
mod seat;
#[cfg(feature = "driver")]
mod shared;
mod state;
#[cfg(feature = "driver")]
mod system;
#[cfg(feature = "driver")]
mod task;
#[cfg(test)]
mod tests;
#[cfg(feature = "driver")]
mod ticket_file;
#[cfg(feature = "driver")]
mod ticket_keeper;
mod unread;
mod views;

pub use address::{AddressError, ServerAddress};
#[cfg(feature = "driver")]
pub use connect_options::ConnectOptions;
pub use core::Core;
pub use credentials::{Credentials, CredentialsError};
#[cfg(feature = "driver")]
pub use driver::Client;
#[cfg(feature = "driver")]
pub use error::{ConnectError, InputError, RequestError};
pub use event::{Ended, Event, Loss, Receipt};
#[cfg(feature = "driver")]
pub use join_spec::JoinSpec;
pub use options::Options;
#[cfg(feature = "driver")]
pub use poll::PollClient;
#[cfg(feature = "driver")]
pub use room_handle::{RoomEvent, RoomHandle};
pub use state::State;
#[cfg(feature = "driver")]
pub use system::suites_of_this_processor;
#[cfg(feature = "driver")]
pub use ticket_file::{TicketFile, TicketFileError};

pub use rejoin_protocol::handshake::{Permit, Ticket};
