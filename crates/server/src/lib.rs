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

mod admin;
mod chores;
mod clock;
mod config;
mod directory;
mod drains;
mod driver;
mod durations;
mod entropy;
mod epoch_file;
mod identity;
mod key_files;
mod key_lists;
mod limits;
mod lock_holder;
mod locked_folder;
mod mailboxes;
mod nearest;
mod notify;
mod permit_files;
mod private_files;
mod report;
mod rooms_folder;
mod running_file;
mod server;
mod shutdown;
mod steering;
mod stored_rooms;
mod stuck_file;
mod threads;
mod ticket_files;
mod watchdog;

pub use admin::AdminError;
pub use config::{ConfigError, SHARDS_MAX, ServerConfig};
pub use directory::SharedDirectory;
pub use durations::NotASpan;
pub use entropy::rng as entropy;
pub use epoch_file::EpochError;
pub use identity::Identity;
pub use key_files::{default_folder, load_or_make};
pub use key_lists::key_ids;
pub use limits::{Limit, LimitError, LimitValue, Limits};
pub use lock_holder::TakeOverError;
pub use locked_folder::LockedFolder;
pub use nearest::nearest;
pub use notify::{Notifier, NotifyError};
pub use permit_files::{load_or_make_permit_keys, load_permit_keys, rotate_permit_keys};
pub use private_files::KeyFileError;
pub use report::ServerReport;
pub use rooms_folder::OwnError;
pub use server::{Server, ServerError};
pub use shutdown::{ReloadSignals, StopSignals};
pub use stored_rooms::{NoRooms, StoredRooms};
pub use ticket_files::{load_ticket_keys, rotate_ticket_keys};

pub use rejoin_coordinator::{Auth, Budgets, ShardStats};
pub use rejoin_datagram::{Abilities, BindError, abilities, buffer_wanted, free_space};
