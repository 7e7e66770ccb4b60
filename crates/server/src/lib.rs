//! The tokio shell of a server: a socket, a clock, entropy and key files around one
//! [`Shard`](rejoin_coordinator::Shard).
//!
//! ```text
//! ServerConfig -> Server::bind -> Server::run
//!                 socket          loop { wait; receive; turn; send } until the shutdown future
//! ```
//!
//! Called by the `rejoin` command and by tests. It owns what the cores must not: everything that
//! differs between two runs. Decisions about peers, rooms and players are the shard's.

mod clock;
mod config;
mod directory;
mod drains;
mod driver;
mod entropy;
mod identity;
mod key_files;
mod named_limits;
mod permit_files;
mod server;
mod shutdown;

pub use config::{ConfigError, Limits, ServerConfig};
pub use directory::SharedDirectory;
pub use driver::ServerReport;
pub use entropy::rng as entropy;
pub use identity::Identity;
pub use key_files::{KeyFileError, default_folder, load_or_make};
pub use named_limits::{SetLimitError, nearest};
pub use permit_files::{load_or_make_permit_keys, load_permit_keys, rotate_permit_keys};
pub use server::{Server, ServerError};
pub use shutdown::{ReloadSignals, StopSignals};

pub use rejoin_coordinator::{Auth, Budgets, ShardStats};
pub use rejoin_datagram::BindError;
