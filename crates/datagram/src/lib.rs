//! UDP sockets: a busy port is an error, and datagrams move in batches.
//!
//! Server and bots own their sockets and call this crate to bind, receive and send. It knows
//! nothing of what the datagrams mean. All sockets are non-blocking; waiting for readiness is
//! the caller's.

mod abilities;
mod bind;
mod group;
mod receive;
mod runs;
mod send;
#[cfg(all(target_os = "linux", not(feature = "portable")))]
#[path = "linux.rs"]
mod system;
#[cfg(any(not(target_os = "linux"), feature = "portable"))]
#[path = "portable.rs"]
mod system;

pub use abilities::{Abilities, abilities, buffer_wanted, free_space};
pub use bind::{BindError, Buffers, bind, buffers};
pub use group::{Group, Pattern, Steering, SteeringRules, bind_group};
pub use receive::{Arrived, RECEIVE_BATCH_MAX, RECEIVE_LEN_MAX, ReceiveBatch, Received};
pub use send::{SEND_BATCH_MAX, SendBatch, Sent};
pub use system::fetch;
