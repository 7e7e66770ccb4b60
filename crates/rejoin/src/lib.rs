//! Multiplayer game sessions that players rejoin where they left off.
//!
//! A game implements [`Room`] and hands it to [`serve`]; the binary then has the whole command
//! line of `rejoin`: `serve`, `config`, `doctor`, `bots`, `demo`, `key`, `token`, `store`, `simulate`.
//!
//! ```no_run
//! use rejoin::prelude::*;
//!
//! #[derive(Clone, Default, Serialize, Deserialize)]
//! struct Score {
//!     points: BTreeMap<PlayerId, u32>,
//! }
//! #[derive(Serialize, Deserialize)]
//! struct Hit {
//!     points: u32,
//! }
//!
//! struct Duel;
//! impl Room for Duel {
//!     const KIND: &'static str = "duel";
//!     type State = Score;
//!     type Input = Hit;
//!     type View = Score;
//!     type Event = ();
//!     fn open(_spec: &RoomSpec, _cx: &mut Cx<Self>) -> Score {
//!         Score::default()
//!     }
//!     fn input(state: &mut Score, from: PlayerId, hit: Hit, _cx: &mut Cx<Self>) {
//!         *state.points.entry(from).or_default() += hit.points;
//!     }
//!     fn view(state: &Score) -> Cow<'_, Score> {
//!         Cow::Borrowed(state)
//!     }
//! }
//!
//! fn main() -> ExitCode {
//!     rejoin::serve(|server| server.room::<Duel>())
//! }
//! ```

pub mod prelude;

mod app;
mod bots_args;
mod bots_command;
mod check;
mod cli;
mod config_command;
mod course;
mod demo;
mod doctor;
mod exit;
mod figures;
mod key_command;
mod kills;
mod logging;
mod metrics;
mod output;
mod own_failure;
mod rates;
mod run;
mod serve_command;
mod server_args;
mod server_child;
mod settings;
mod simulate_command;
mod stop;
mod store_args;
mod store_command;
mod supervisor;
mod terminal;
mod token_command;

pub use app::App;
pub use run::serve;

pub use rejoin_bots as bots;
pub use rejoin_client as client;
pub use rejoin_protocol as protocol;
pub use rejoin_room as room;
pub use rejoin_server as server;
pub use serde;

pub use rejoin_client::{Client, JoinSpec, Permit, RoomEvent, RoomHandle};
pub use rejoin_room::{Cx, PlayerId, Refusal, Room, RoomSpec, SeatChange, TestRoom};
