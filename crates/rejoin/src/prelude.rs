//! All that a game usually names: `use rejoin::prelude::*;`.
//!
//! `Serialize` and `Deserialize` are both the traits and their derives. A derive writes code that
//! names the crate `serde`, so a game adds it (`cargo add rejoin serde`), or says
//! `#[serde(crate = "rejoin::serde")]` on each type.

pub use std::borrow::Cow;
pub use std::collections::BTreeMap;
pub use std::process::ExitCode;

pub use serde::{Deserialize, Serialize};

pub use rejoin_bots::{Behaviour, BotCx};
pub use rejoin_client::{
    Client, ConnectOptions, Credentials, JoinSpec, Permit, RoomEvent, RoomHandle,
};
pub use rejoin_room::{
    Applicant, Cx, PlayerId, Refusal, RefusalCode, Room, RoomSpec, SeatChange, Seated, TestRoom,
};
