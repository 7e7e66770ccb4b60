//! Load-testing players: they join rooms, play as a developer's [`Behaviour`] says, and check
//! what the server told them.
//!
//! Called by the commands `bots` and `demo`, and by tests. Owns the players' clock, sockets and
//! chance; what a player does in a room is left to the behaviour, and how a session works to
//! `rejoin_client`.
//!
//! ```text
//! Behaviours --run--> fleet: conductor --orders--> workers (threads), each with a crew
//!                              |                      |
//!                            report <----- news ------+--steps--> bot --> rejoin_client::Core
//!                                                                            |
//!                                             server <-- (relay) <-- sockets-+
//! ```

mod absent;
mod age;
mod agreement;
mod arena_bot;
mod behaviour;
mod behaviours;
mod bot;
mod bot_cx;
mod bot_stage;
mod chat_bot;
mod closing;
mod conductor;
mod crew;
mod crossing;
mod duration;
mod fault;
mod fleet;
mod impairment;
mod interruptions;
mod marks;
mod measure;
mod names;
mod news;
mod observer;
mod options;
mod orders;
mod parts;
mod pauses;
mod probes;
mod rebinds;
mod recovery;
mod relay;
mod report;
mod resets;
mod resumes;
mod returning;
mod room_request;
mod schedule;
mod sends;
mod series;
mod silences;
mod sockets;
mod sources;
mod summary;
mod tally;
mod wallet;
mod way_back;
mod worker;

pub use arena_bot::ArenaBot;
pub use behaviour::Behaviour;
pub use behaviours::Behaviours;
pub use bot_cx::BotCx;
pub use chat_bot::ChatBot;
pub use duration::{DurationError, parse_duration};
pub use fleet::{FleetError, run};
pub use impairment::{Impairment, ImpairmentError};
pub use marks::{Mark, Marks, digest};
pub use measure::{Bucket, Percentiles};
pub use observer::{Control, CutOff, Glimpse, Observer, Progress, Stage, Unobserved};
pub use options::{Conduct, Mode, ModeError, Options};
pub use rebinds::{RebindCounts, Rebinds};
pub use recovery::{Kills, Newest, RecoveryCounts, Twins};
pub use relay::{Relay, RelayStats};
pub use report::{
    Cause, Failure, Inputs, Joins, Probes, Report, ResumeCounts, Resumes, Snapshots, Traffic,
};
pub use series::{Amounts, Window};
pub use silences::{Silence, SilenceCounts, Silences};
pub use sources::Change;
